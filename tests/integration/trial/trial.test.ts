// `npm run trial` against moto over HTTP, with the packaged function as the elector: what it makes, plays, reports and leaves.
import { expect } from "chai";
import { plays } from "../../../election/trial/plays";
import type { Report } from "../../../election/trial/report";
import { withTool } from "../../tools";
import { codeIn, Document } from "../readme/document";
import { leftover, trial, useRegion } from "./drive";

const readme = new Document("election/trial/README.md");
/** What AWS asks for and a stand-in doesn't, and what is called only if the group gets no instances. */
const notCalled = [
    "ec2:RunInstances",
    "ssm:GetParameters",
    "iam:CreateServiceLinkedRole",
    "autoscaling:DescribeScalingActivities",
];

const declareTests = () =>
    describe("npm run trial", () => {
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
            expect(report.plays.filter(({ metadata }) => metadata !== undefined)).to.have.length(plays.length - 1);
            expect(report.summary).to.have.nested.include({ "event.count": 6, "sweep.count": 2 });
            expect(status).to.equal(0);
            expect(questions).to.deep.equal(["Go on? [y/N] "]);
            const [, name] = stderr.match(/launch template leader-(trial-\w+),/) ?? [];
            const said = [
                "In account 123456789012, region us-east-1, for the stack dev,",
                `group awseb-${name} of 3 t4g\\.nano`,
                "8 times \\(terminated, .* at most 3 cents .* At \\d{4}-\\d\\d-",
                `Nothing of ${name} is left`,
            ];
            expect(stderr).to.match(new RegExp(said.join(".*"), "s"));
            const called = [...new Set(region().calls.map(({ action }) => action))];
            expect(codeIn(readme.namedList("permissions"))).to.have.members([...called, ...notCalled]);
        });

        it("cleans up when it is ended in the midst of a play, and reports what it had played", async () => {
            const stop = new AbortController();
            let writes = 0;
            region().onCall = ({ action }) => {
                if (action === "ec2:CreateTags" && ++writes === 2) {
                    stop.abort();
                }
            };
            const args = ["--yes", "--only", "vetoed", "--only", "copied"];
            const { status, stdout } = await trial(args, { signal: stop.signal });
            expect(stdout).to.match(/^vetoed .* yes$/m);
            expect(stdout).to.match(/^copied .* not tried: ended early$/m);
            expect(status).to.equal(2);
        });

        it("goes on when AWS refuses a step, says it in AWS's words, and exits with 2", async () => {
            const refusal = { code: "UnauthorizedOperation", message: "a policy forbids it" };
            region().instead = ({ action }) => (action === "ec2:CreateTags" ? refusal : undefined);
            const { status, stdout } = await trial(["--yes", "--only", "vetoed", "--only", "untagged"]);
            expect(stdout).to.match(
                /^vetoed .* not tried: AWS refuses it: UnauthorizedOperation: a policy forbids it$/m,
            );
            expect(stdout).to.match(/^untagged .* yes$/m);
            expect(status).to.equal(2);
        });

        it("offers to delete what an earlier run has left, and does so after a yes; without another yes it makes nothing", async () => {
            const run = await leftover(60);
            region().calls = [];
            const { status, questions, stderr } = await trial([], { answers: ["yes", "no"] });
            expect(status).to.equal(2);
            expect(questions).to.deep.equal(["Delete that first? [y/N] ", "Go on? [y/N] "]);
            expect(stderr).to.contain(`An earlier run, ${run.name}, may be going on until ${run.until.toISOString()}`);
            expect(stderr).to.contain(`Nothing of ${run.name} is left`).and.to.contain("Nothing was made.");
            expect(written().filter(({ action }) => !/:(Delete|Terminate)/.test(action))).to.deep.equal([]);
        });

        describe("refuses in one line, before it makes anything,", () => {
            // `empty` is the action that finds nothing, `unset` the variable that the environment lacks.
            for (const { what, message, args = [], over, empty, unset = "" } of [
                { what: "a stack with dryRun", message: "The stack dev has dryRun", over: { dryRun: "true" } },
                {
                    what: "a type that the region lacks",
                    message: "The region us-east-1 has no instances of type x9.nano",
                    args: ["--type", "x9.nano"],
                },
                {
                    what: "a subnet that isn't there",
                    message: ".*'subnet-01234567' does not exist",
                    args: ["--subnet", "subnet-01234567"],
                },
                {
                    what: "a region without a default VPC",
                    message: "The region us-east-1 has no default VPC with subnets: give one with --subnet.",
                    empty: "ec2:DescribeSubnets",
                },
                {
                    what: "no region",
                    message: "Region is missing. Give --region, or set AWS_REGION, or aws:region of the stack.",
                    unset: "AWS_REGION",
                },
                {
                    what: "no credentials",
                    message: "Could not load credentials from any providers. Set AWS_PROFILE, or sign in.",
                    unset: "AWS_ACCESS_KEY_ID",
                },
            ]) {
                it(what, async () => {
                    region().instead = ({ action }) => (action === empty ? { body: "<Answer/>" } : undefined);
                    const { env } = process;
                    const { [unset]: _unset, ...others } = env;
                    const none = { AWS_CONFIG_FILE: "none", AWS_SHARED_CREDENTIALS_FILE: "none" };
                    process.env = { ...others, ...none, AWS_EC2_METADATA_DISABLED: "true" };
                    try {
                        const { status, stdout, stderr } = await trial(args, { over });
                        expect([status, stdout]).to.deep.equal([2, ""]);
                        expect(stderr).to.match(new RegExp(`^${message}.*\n$`));
                        expect(written()).to.deep.equal([]);
                    } finally {
                        process.env = env;
                    }
                });
            }
        });
    });

withTool("moto_server", declareTests);
