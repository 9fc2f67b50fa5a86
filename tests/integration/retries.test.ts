// The packaged function against an endpoint that fails as AWS does, or is slow: what is tried again, what it says when it gives
// up, and that it ends in time.
import { expect } from "chai";
import { invoke, pointSdkAt, type Reports } from "../simulator/aws/endpoint";
import { sweepEvent } from "../simulator/aws/events";
import { AwsServer, refusal } from "../simulator/aws/http";
import { Region } from "../simulator/aws/region";
import { Timeline } from "../simulator/clock";
import { firstOf, firstTwo, found, only } from "../simulator/lists";
import { shop, tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import { type Handler, startContainer } from "../simulator/stack/packaged";
import { accountId } from "../simulator/stack/program";

describe("The packaged function, when AWS fails", () => {
    let aws: AwsServer;
    let restoreEnvironment = () => {};
    let handler: Handler;
    let region: Region;

    before(async () => {
        aws = await AwsServer.open(new Region(new Timeline()));
        restoreEnvironment = pointSdkAt(aws.url);
    });

    after(() => {
        restoreEnvironment();
        aws.close();
    });

    beforeEach(async () => {
        handler = startContainer(await programWith());
        region = new Region(new Timeline());
        for (const id of ["i-1", "i-2"]) {
            region.addInstance(shop, { id });
        }
        aws.show(region);
        aws.fault = () => undefined;
    });

    const leaders = (group = shop): string[] => region.leaders(group, tagKey);
    const idsTried = (): string[] => aws.callsOf("CreateTags").flatMap(({ input }) => input.Resources);
    const sweep = (seconds?: number, onError?: (about: { reason: string }) => void): Promise<Reports> =>
        invoke(handler, [JSON.stringify(sweepEvent(Date.now()))], seconds, onError);

    it("speaks SNS's protocol, and tries again when there are too many messages", async () => {
        const topic = `arn:aws:sns:us-east-1:${accountId}:leaders`;
        region.topics.set(topic, []);
        handler = startContainer(await programWith({ changeTopicArn: topic }));
        const failure = refusal("Throttled", 429, "Rate exceeded");
        aws.fault = ({ action }, before) => (action === "Publish" && before === 0 ? failure : undefined);
        const report = only(await sweep());
        const { subject, text } = only(found(region.topics.get(topic)));
        expect(subject).to.equal(`${shop}: ${report.leader} leads`);
        expect(JSON.parse(text)).to.deep.equal(JSON.parse(JSON.stringify(report)));
    });

    for (const [what, tried, action, failure] of [
        ["tries again when another command is at the instance's tags", 1, "CreateTags", refusal("ConcurrentTagAccess")],
        ["tries again when there are too many writes", 1, "CreateTags", refusal("RequestLimitExceeded", 503)],
        ["tries again when there are too many reads", 1, "DescribeAutoScalingGroups", refusal("Throttling")],
        ["tries again when AWS has an error", 1, "DescribeAutoScalingGroups", refusal("InternalFailure", 500)],
        ["tries again when the connection breaks", 1, "DescribeInstances", "breaks"],
        ["goes without load that it may not read", 1, "GetMetricData", refusal("AccessDeniedException")],
        ["goes without load that doesn't come", 1, "GetMetricData", "hangs"],
        ["tags the next in rank when the first is gone", 2, "CreateTags", refusal("InvalidInstanceID.NotFound")],
        ["tags the next in rank when it may not tag the first", 2, "CreateTags", refusal("UnauthorizedOperation", 403)],
    ] as const) {
        it(what, async () => {
            aws.fault = (call, before) => (call.action === action && before === 0 ? failure : undefined);
            const report = only(await sweep());
            expect(report.outcome).to.equal("elected");
            expect(leaders()).to.deep.equal([report.leader]);
            expect(idsTried().at(-1)).to.equal(report.leader);
            expect(new Set(idsTried()).size, "instances that were tried").to.equal(tried);
        });
    }

    it("does not try a call about several instances again, when another command is at the tags of one", async () => {
        for (const id of ["i-3", "i-4"]) {
            region.addInstance("awseb-wiki", { id });
        }
        for (const id of ["i-1", "i-3"]) {
            region.setMember(id, { healthStatus: "Unhealthy" });
            region.setTags(id, { [tagKey]: "true" });
        }
        aws.fault = ({ action, input }) =>
            action === "DeleteTags" && input.Resources.length > 1 ? refusal("ConcurrentTagAccess") : undefined;
        await sweep();
        expect([...leaders(), ...leaders("awseb-wiki")]).to.deep.equal(["i-2", "i-4"]);
        const asked = aws.callsOf("DeleteTags").map(({ input }) => input.Resources.length);
        expect(asked, "instances in each call").to.deep.equal([2, 1, 1]);
    });

    it("waits two seconds for an answer, twice as long at a repeat and in all that follows, and two in the next invocation", async () => {
        const slow = { after: 2200 };
        const reads = ["DescribeAutoScalingGroups", "DescribeInstanceStatus"];
        aws.fault = ({ action }, before) => {
            const isFirst = action === "DescribeAutoScalingGroups" && before === 0;
            return isFirst ? "hangs" : reads.includes(action) ? slow : undefined;
        };
        const report = only(await sweep());
        expect(report.outcome).to.equal("elected");
        expect(leaders()).to.deep.equal([report.leader]);
        const [one, other] = firstTwo(aws.callsOf("DescribeAutoScalingGroups"));
        expect(other.start - one.start).to.be.at.least(1900);
        const asked = () => reads.map((action) => aws.callsOf(action).length);
        expect(asked()).to.deep.equal([2, 1]);

        aws.fault = ({ action }, before) => (action === "DescribeAutoScalingGroups" && before === 2 ? slow : undefined);
        await sweep();
        expect(asked()).to.deep.equal([4, 1]);
    });

    it("tries until its time is up, and then the group's election has failed", async () => {
        aws.fault = ({ action }) => (action === "CreateTags" ? refusal("InternalError", 500) : undefined);
        const report = only(await sweep(3.5));
        expect(report.outcome).to.equal("failed");
        expect(leaders()).to.deep.equal([]);
        expect(report.reason).to.contain(`ec2:CreateTags on ${firstOf(idsTried())}`);
        expect(idsTried()).to.have.length.above(2);
    });

    it("says in the group's report what is denied, of which instance, and asks once for each", async () => {
        aws.fault = ({ action }) => (action === "CreateTags" ? refusal("UnauthorizedOperation", 403) : undefined);
        const report = only(await sweep());
        expect(report.outcome).to.equal("failed");
        expect(leaders()).to.deep.equal([]);
        expect(idsTried()).to.have.members(["i-1", "i-2"]);
        expect(report.reason).to.match(/ec2:CreateTags on i-[12]: UnauthorizedOperation/);
    });

    // One form of an answer that doesn't come for each read: whatever it is, the same signal ends it.
    for (const [how, permission, fault] of [
        ["is denied", "autoscaling:DescribeAutoScalingGroups", refusal("AccessDenied", 403)],
        ["is denied", "ec2:DescribeInstances", refusal("UnauthorizedOperation", 403)],
        ["is denied", "ec2:DescribeInstanceStatus", refusal("UnauthorizedOperation", 403)],
        ["never comes", "autoscaling:DescribeAutoScalingGroups", "hangs"],
        ["never comes", "ec2:DescribeInstances", "hangs"],
        ["trickles", "ec2:DescribeInstanceStatus", { bytesPerSecond: 50 }],
    ] as const) {
        it(`ends, writes nothing and logs an error that names ${permission}, when its answer ${how}`, async () => {
            aws.fault = ({ action }) => (permission.endsWith(`:${action}`) ? fault : undefined);
            const reasons: string[] = [];
            await sweep(1.5, ({ reason }) => reasons.push(reason));
            const why = how === "is denied" ? "(AccessDenied|UnauthorizedOperation)" : "";
            expect(reasons.join("\n")).to.match(new RegExp(`${permission} on .*: ${why}`));
            expect(idsTried()).to.deep.equal([]);
        });
    }
});
