// What the packaged function does under AWS's own runtime client, and what a log reader gets: the same tests for any Node.js and SDK.
import { expect } from "chai";
import { stateEvent, sweepEvent } from "../../simulator/aws/events";
import { AwsServer, refusal } from "../../simulator/aws/http";
import { Region } from "../../simulator/aws/region";
import { Timeline } from "../../simulator/clock";
import { only } from "../../simulator/lists";
import { shop, tagKey } from "../../simulator/names";
import { programWith } from "../../simulator/scenario";
import { batchOf } from "../../simulator/stack/packaged";
import { Lambda, type LambdaOptions } from "./lambda";

/**
 * Defines the tests for an environment.
 *
 * @param environment gives its Node.js, runtime client and SDK when the tests begin
 */
export function behavesInLambda(environment: () => Omit<LambdaOptions, "program" | "awsUrl">): void {
    let aws: AwsServer;
    let region: Region;
    let lambda: Lambda;

    beforeEach(async () => {
        region = new Region(new Timeline());
        aws = await AwsServer.open(region);
        lambda = new Lambda({ program: await programWith(), awsUrl: aws.url, ...environment() });
    });
    afterEach(async () => {
        await lambda.stop();
        aws.close();
    });

    const addGroup = (group: string, size: number): string[] =>
        Array.from({ length: size }, () => region.addInstance(group));
    const leadersOf = (group: string): string[] => region.leaders(group, tagKey);
    const sweep = () => lambda.invoke(batchOf(sweepEvent(Date.now())));

    /** Stops the environment and reads its log: every line is JSON, and either a bare metric line or a wrapped console line. */
    // biome-ignore lint/suspicious/noExplicitAny: whatever was logged
    async function logs(): Promise<Record<"console" | "metrics", any[]>> {
        const { lines, stderr } = await lambda.stop();
        expect(stderr).to.equal("");
        const parsed = lines.map((line) => JSON.parse(line));
        const metrics = parsed.filter((line) => "_aws" in line);
        for (const line of metrics) {
            expect(line, "a metric line is bare").to.not.have.any.keys("timestamp", "level", "requestId", "message");
        }
        const wrapped = parsed.filter((line) => !("_aws" in line));
        for (const line of wrapped) {
            expect(line.timestamp).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
            expect(line.requestId).to.match(/^0{8}-/);
            expect(line).to.have.property("message");
        }
        return { console: wrapped, metrics };
    }

    it("loads, sweeps, and logs each election and the sweep's counts once, and nothing of a sweep that changes nothing", async () => {
        const groups = { [shop]: addGroup(shop, 3), "awseb-wiki": addGroup("awseb-wiki", 1) };
        addGroup("other", 1);
        const first = await sweep();
        const elected = Object.keys(groups).map((group) => only(leadersOf(group)));
        expect(groups[shop]).to.include(elected[0]);
        expect(leadersOf("other")).to.deep.equal([]);
        await sweep();
        expect(Object.keys(groups).flatMap(leadersOf)).to.deep.equal(elected);
        const { console, metrics } = await logs();
        const said = console.map(({ level, requestId, message }) => [level, requestId, message.group, message.outcome]);
        expect(said).to.have.deep.members([
            ["INFO", first, shop, "elected"],
            ["INFO", first, "awseb-wiki", "elected"],
        ]);
        const valuesOf = (metric: string, field = metric) =>
            metrics.filter((line) => metric in line).map((line) => line[field]);
        expect(valuesOf("LeaderChanges", "Group")).to.have.members(Object.keys(groups));
        expect(valuesOf("Groups")).to.deep.equal([2, 2]);
    });

    it("replaces a leader that ends", async () => {
        addGroup(shop, 3);
        await sweep();
        const leader = only(leadersOf(shop));
        region.setState(leader, "shutting-down");
        const second = await lambda.invoke(batchOf(stateEvent(Date.now(), leader, "shutting-down")));
        const successor = only(leadersOf(shop).filter((id) => id !== leader));
        const { console } = await logs();
        const { message } = only(console.filter(({ requestId }) => requestId === second));
        expect(message).to.include({ group: shop, outcome: "elected", leader: successor });
        expect(message.triggers).to.deep.equal(["EC2 Instance State-change Notification"]);
    });

    it("knows the refusals by their names: it tries again, or tags another instance, or names the action and the resource", async () => {
        const ids = addGroup(shop, 3);
        const refusals = [
            refusal("ConcurrentTagAccess"),
            refusal("InvalidInstanceID.NotFound"),
            refusal("UnauthorizedOperation", 403),
        ];
        aws.fault = ({ action }, before) => (action === "CreateTags" ? (refusals[before] ?? refusals[2]) : undefined);
        await sweep();
        const [first, ...tried] = aws.callsOf("CreateTags").map(({ input }) => input.Resources[0]);
        expect(tried[0], "tried again").to.equal(first);
        expect(tried, "then the others").to.have.members(ids);
        const { console, metrics } = await logs();
        const { level, message } = only(console);
        expect([level, message.group, message.outcome]).to.deep.equal(["ERROR", shop, "failed"]);
        expect(message.reason).to.match(/ec2:CreateTags on i-\w+: UnauthorizedOperation/);
        expect(metrics.find((line) => "FailedElections" in line)?.FailedElections).to.equal(1);
    });

    it("waits for each answer twice as long as for the one before", async () => {
        addGroup(shop, 1);
        aws.fault = ({ action }, before) =>
            action === "DescribeAutoScalingGroups" ? (before === 0 ? "hangs" : { after: 3000 }) : undefined;
        await sweep();
        expect(leadersOf(shop)).to.have.length(1);
        expect(aws.callsOf("DescribeAutoScalingGroups")).to.have.length(2);
        expect((await logs()).metrics.filter((line) => "FailedReads" in line)).to.deep.equal([]);
    });
}
