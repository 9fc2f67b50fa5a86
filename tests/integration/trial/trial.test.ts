// `npm run trial` against moto over HTTP, with the packaged function as the elector: what it makes, plays, reports and leaves.
import { expect } from "chai";
import { plays } from "../../../election/trial/plays";
import type { Report } from "../../../election/trial/report";
import { codeIn, Document } from "../readme/document";
import { leftover, trial, useRegion } from "./drive";

const readme = new Document("election/trial/README.md");
const [, permissions] = readme.text.match(/<!-- permissions -->\n+((?:[-` ].*\n)+)/) ?? [];
/** What AWS asks for and a stand-in doesn't, and what is called only if the group gets no instances. */
const notCalled = [
    "ec2:RunInstances",
    "ssm:GetParameters",
    "iam:CreateServiceLinkedRole",
    "autoscaling:DescribeScalingActivities",
];

describe("npm run trial", function () {
    this.timeout(120_000);

    const region = useRegion();
    const written = () => region().calls.filter(({ action }) => !/:Describe/.test(action));

    it("plays every loss, measures it, and leaves nothing behind; it calls what README lists, and nothing else", async () => {
        const { status, stdout, stderr, questions } = await trial(["--json"], { answers: ["y"] });
        const report: Report = JSON.parse(stdout);
        expect(report.plays.map(({ play }) => play)).to.deep.equal(plays.map(({ name }) => name));
        for (const result of report.plays) {
            expect(result, stderr).to.not.have.any.keys("broken", "untried");
            expect(result.seconds, result.play).to.be.at.least(0).and.at.most(result.promised);
            expect(result.since, result.play).to.equal(result.play === "copied" ? "kept" : "grew");
            expect(result.resolution, result.play).to.be.above(0);
        }
        const copied = report.plays.find(({ play }) => play === "copied");
        expect(copied?.twoLeaders, "while the copy was there").to.be.above(0);
        expect(report.plays.filter(({ metadata }) => metadata !== undefined)).to.have.length(plays.length - 1);
        expect(report.summary).to.have.nested.include({ "event.count": 6, "sweep.count": 2 });
        expect(status).to.equal(0);
        expect(questions).to.deep.equal(["Go on? [y/N] "]);
        expect(stderr).to.match(
            /In account 123456789012, region us-east-1.*at most 3 cents.*Nothing of trial-\w+ is left/s,
        );
        const called = [...new Set(region().calls.map(({ action }) => action))];
        expect(codeIn(permissions)).to.have.members([...called, ...notCalled]);
    });

    it("makes nothing without a yes, and calls nothing that writes", async () => {
        const { status, stderr } = await trial([], { answers: ["n"] });
        expect(status).to.equal(2);
        expect(stderr).to.contain("Nothing was made.");
        expect(written()).to.deep.equal([]);
    });

    it("cleans up when it is ended in the midst of a play, and reports what it had played", async () => {
        const stop = new AbortController();
        let writes = 0;
        region().onCall = ({ action }) => {
            if (action === "ec2:CreateTags" && ++writes === 2) {
                stop.abort();
            }
        };
        const { status, stdout } = await trial(["--yes", "--only", "vetoed", "--only", "copied"], {
            signal: stop.signal,
        });
        expect(stdout).to.match(/^vetoed .* yes$/m);
        expect(stdout).to.match(/^copied .* not tried: ended early$/m);
        expect(status).to.equal(2);
    });

    it("goes on when AWS refuses a step, says it in AWS's words, and exits with 2", async () => {
        region().refuses = ({ action }) =>
            action === "ec2:CreateTags" ? { code: "UnauthorizedOperation", message: "a policy forbids it" } : undefined;
        const { status, stdout } = await trial(["--yes", "--only", "vetoed", "--only", "untagged"]);
        expect(stdout).to.match(/^vetoed .* not tried: AWS refuses it: UnauthorizedOperation: a policy forbids it$/m);
        expect(stdout).to.match(/^untagged .* yes$/m);
        expect(status).to.equal(2);
    });

    it("offers to delete what an earlier run has left, and does so after a yes", async () => {
        const run = await leftover(60);
        const { questions, stderr } = await trial([], { answers: ["yes", "no"] });
        expect(questions).to.deep.equal(["Delete that first? [y/N] ", "Go on? [y/N] "]);
        expect(stderr).to.contain(`An earlier run, ${run.name}, may be going on until ${run.until.toISOString()}`);
        expect(stderr).to.contain(`Nothing of ${run.name} is left`);
    });

    describe("refuses, before it makes anything,", () => {
        const cases: [what: string, args: string[], message: string, over?: Record<string, string>][] = [
            ["a stack with dryRun", [], "The stack dev has dryRun", { dryRun: "true" }],
            [
                "a type that the region lacks",
                ["--type", "x9.nano"],
                "The region us-east-1 has no instances of type x9.nano",
            ],
            ["a subnet that isn't there", ["--subnet", "subnet-01234567"], "'subnet-01234567' does not exist"],
        ];
        for (const [what, args, message, over] of cases) {
            it(what, async () => {
                const { status, stdout, stderr } = await trial(args, { over });
                expect([status, stdout]).to.deep.equal([2, ""]);
                expect(stderr).to.contain(message);
                expect(written()).to.deep.equal([]);
            });
        }

        const unset: [what: string, keys: string[], message: string][] = [
            [
                "no region",
                ["AWS_REGION"],
                "Region is missing. Give --region, or set AWS_REGION, or aws:region of the stack.",
            ],
            [
                "no credentials",
                ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
                "Could not load credentials from any providers. Set AWS_PROFILE, or sign in.",
            ],
        ];
        for (const [what, keys, message] of unset) {
            it(what, async () => {
                const changes = {
                    AWS_CONFIG_FILE: "none",
                    AWS_SHARED_CREDENTIALS_FILE: "none",
                    AWS_EC2_METADATA_DISABLED: "true",
                };
                const before = keys.map((key) => [key, process.env[key]]);
                Object.assign(process.env, changes);
                for (const key of keys) {
                    delete process.env[key];
                }
                const { status, stderr } = await trial([]);
                for (const key of Object.keys(changes)) {
                    delete process.env[key];
                }
                Object.assign(process.env, Object.fromEntries(before));
                expect([status, stderr.slice(0, message.length)]).to.deep.equal([2, message]);
                expect(stderr.trimEnd().split("\n"), "one line").to.have.length(1);
            });
        }

        it("a region without a default VPC", async () => {
            region().hidesSubnets = true;
            const { status, stderr } = await trial([]);
            expect(status).to.equal(2);
            expect(stderr).to.contain("The region us-east-1 has no default VPC with subnets: give one with --subnet.");
        });
    });
});
