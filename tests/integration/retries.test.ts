// The packaged function against an endpoint that fails as AWS does, or is slow: what is tried again, what it says when it gives
// up, and that it ends in time.
import { expect } from "chai";
import { invoke, pointSdkAt, type Reports } from "../simulator/aws/endpoint";
import { sweepEvent } from "../simulator/aws/events";
import { AwsServer, type HttpFault, refusal } from "../simulator/aws/http";
import { Region } from "../simulator/aws/region";
import { Timeline } from "../simulator/clock";
import { firstOf, firstTwo, only } from "../simulator/lists";
import { type Handler, startContainer } from "../simulator/stack/packaged";
import { type Program, runProgram } from "../simulator/stack/program";

const shop = "awseb-shop";
const tagKey = "app:isLeader";

describe("The packaged function, when AWS fails", () => {
    let program: Program;
    let aws: AwsServer;
    let restoreEnvironment = () => {};
    let handler: Handler;
    let region: Region;

    before(async () => {
        program = await runProgram({ config: { asgPrefix: "awseb-", tagKey } });
        aws = await AwsServer.open(new Region(new Timeline()));
        restoreEnvironment = pointSdkAt(aws.url);
    });

    after(() => {
        restoreEnvironment();
        aws.close();
    });

    beforeEach(() => {
        handler = startContainer(program);
        region = new Region(new Timeline());
        for (const id of ["i-1", "i-2"]) {
            region.addInstance(shop, { id });
        }
        aws.show(region);
        aws.fault = () => undefined;
    });

    const leadersOf = (group: string): string[] => region.leaders(group, tagKey);
    const idsTried = (): string[] => aws.callsOf("CreateTags").flatMap(({ input }) => input.Resources);
    const sweep = (seconds?: number, onError?: (about: { reason: string }) => void): Promise<Reports> =>
        invoke(handler, [JSON.stringify(sweepEvent(Date.now()))], seconds, onError);

    /** Sweeps, with some seconds for it: the reasons of all that failed, as the function logs them. */
    async function failuresOf(seconds: number): Promise<string> {
        const reasons: string[] = [];
        await sweep(seconds, ({ reason }) => reasons.push(reason));
        return reasons.join("\n");
    }

    describe("tries again", () => {
        for (const [action, what, failure] of [
            ["CreateTags", "another command is at the instance's tags", refusal("ConcurrentTagAccess", 400)],
            ["CreateTags", "there are too many requests", refusal("RequestLimitExceeded", 503)],
            ["DescribeInstances", "there are too many requests", refusal("RequestLimitExceeded", 503)],
            ["DescribeAutoScalingGroups", "there are too many requests", refusal("Throttling", 400)],
            ["DescribeAutoScalingGroups", "AWS has an internal error", refusal("InternalFailure", 500)],
            ["DescribeInstances", "the connection breaks", "breaks"],
        ] as const) {
            it(`${action} when ${what}`, async () => {
                aws.fault = (call, before) => (call.action === action && before === 0 ? failure : undefined);
                const report = only(await sweep());
                expect(report.outcome).to.equal("elected");
                expect(leadersOf(shop)).to.deep.equal([report.leader]);
                expect(new Set(idsTried()).size, "instances that were tried").to.equal(1);
            });
        }

        it("but not a call about several instances, when another command is at the tags of one", async () => {
            for (const id of ["i-3", "i-4"]) {
                region.addInstance("awseb-wiki", { id });
            }
            for (const id of ["i-1", "i-3"]) {
                region.setMember(id, { healthStatus: "Unhealthy" });
                region.setTags(id, { [tagKey]: "true" });
            }
            aws.fault = ({ action, input }) =>
                action === "DeleteTags" && input.Resources.length > 1 ? refusal("ConcurrentTagAccess", 400) : undefined;
            await sweep();
            expect([...leadersOf(shop), ...leadersOf("awseb-wiki")]).to.deep.equal(["i-2", "i-4"]);
            const asked = aws.callsOf("DeleteTags").map(({ input }) => input.Resources.length);
            expect(asked, "instances in each call").to.deep.equal([2, 1, 1]);
        });

        it("after two seconds without an answer", async () => {
            aws.fault = ({ action }, before) =>
                action === "DescribeAutoScalingGroups" && before === 0 ? "hangs" : undefined;
            const report = only(await sweep());
            expect(report.outcome).to.equal("elected");
            const asked = aws.callsOf("DescribeAutoScalingGroups");
            const [one, other] = firstTwo(asked);
            expect(other.start - one.start).to.be.at.least(1900);
            expect(asked).to.have.length(2);
            expect(leadersOf(shop)).to.deep.equal([report.leader]);

            // The container's next invocation has as little patience as its first.
            aws.fault = (call, before) =>
                call.action === "DescribeAutoScalingGroups" && before === 2 ? { after: 3000 } : undefined;
            await sweep();
            expect(aws.callsOf("DescribeAutoScalingGroups")).to.have.length(4);
        });

        it("until its time is up, and then the group's election has failed", async () => {
            aws.fault = ({ action }) => (action === "CreateTags" ? refusal("InternalError", 500) : undefined);
            const report = only(await sweep(5));
            expect(report.outcome).to.equal("failed");
            expect(leadersOf(shop)).to.deep.equal([]);
            expect(report.reason).to.contain(`ec2:CreateTags on ${firstOf(idsTried())}`);
            expect(idsTried()).to.have.length.above(2);
        });
    });

    describe("tags the next in rank", () => {
        for (const code of ["InvalidInstanceID.NotFound", "TagLimitExceeded", "UnauthorizedOperation"]) {
            it(`when the first is refused with ${code}`, async () => {
                aws.fault = ({ action, input }, before) =>
                    action === "CreateTags" && before === 0
                        ? refusal(code, 400, `The instance '${input.Resources[0]}'`)
                        : undefined;
                const report = only(await sweep());
                expect(report.outcome).to.equal("elected");
                expect(idsTried()).to.have.members(["i-1", "i-2"]);
                expect(report.leader).to.equal(idsTried()[1]);
                expect(leadersOf(shop)).to.deep.equal([report.leader]);
            });
        }
    });

    describe("goes without", () => {
        for (const [action, what, failure] of [
            ["GetMetricData", "load that it may not read", refusal("AccessDeniedException", 400)],
            ["GetMetricData", "load that doesn't come", "hangs"],
        ] as const) {
            it(what, async () => {
                aws.fault = (call) => (call.action === action ? failure : undefined);
                const report = only(await sweep());
                expect(report.outcome).to.equal("elected");
                expect(idsTried()).to.deep.equal([report.leader]);
                expect(leadersOf(shop)).to.deep.equal([report.leader]);
            });
        }
    });

    describe("says what is denied", () => {
        it("in the group's report, of which instance, and asks once for each", async () => {
            aws.fault = ({ action }) => (action === "CreateTags" ? refusal("UnauthorizedOperation", 403) : undefined);
            const report = only(await sweep());
            expect(report.outcome).to.equal("failed");
            expect(leadersOf(shop)).to.deep.equal([]);
            expect(idsTried()).to.have.members(["i-1", "i-2"]);
            expect(report.reason).to.match(/ec2:CreateTags on i-[12]: UnauthorizedOperation/);
        });

        for (const [action, permission, failure] of [
            ["DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups", refusal("AccessDenied", 403)],
            ["DescribeInstances", "ec2:DescribeInstances", refusal("UnauthorizedOperation", 403)],
            ["DescribeInstanceStatus", "ec2:DescribeInstanceStatus", refusal("UnauthorizedOperation", 403)],
        ] as const) {
            it(`in an error that is logged, when it can't read: ${permission}`, async () => {
                aws.fault = (call) => (call.action === action ? failure : undefined);
                expect(await failuresOf(10)).to.match(new RegExp(`${permission} on .*: (AccessDenied|Unauthorized)`));
                expect(idsTried()).to.deep.equal([]);
            });
        }
    });

    describe("when AWS is slow", () => {
        const slow: [string, HttpFault][] = [
            ["never comes", "hangs"],
            ["stalls half-way", { stallsAfter: 100 }],
            ["trickles", { bytesPerSecond: 50 }],
        ];
        for (const [how, fault] of slow) {
            for (const [action, permission] of [
                ["DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingGroups"],
                ["DescribeInstances", "ec2:DescribeInstances"],
                ["DescribeInstanceStatus", "ec2:DescribeInstanceStatus"],
            ]) {
                it(`ends in time and names ${permission}, when its answer ${how}`, async () => {
                    aws.fault = (call) => (call.action === action ? fault : undefined);
                    const deadline = performance.now() + 1500;
                    expect(await failuresOf(1.5)).to.contain(permission);
                    expect(performance.now(), "the end").to.be.below(deadline);
                    expect(leadersOf(shop)).to.deep.equal([]);
                });
            }
        }

        it("elects, though every read takes three seconds", async () => {
            aws.fault = ({ action }) => (/^(Describe|Get)/.test(action) ? { after: 3000 } : undefined);
            await failuresOf(10);
            expect(leadersOf(shop)).to.have.length(1);
            expect(aws.callsOf("DescribeAutoScalingGroups"), "one attempt that is too short").to.have.length(2);
        });
    });
});
