// What the packaged function does under AWS's own runtime client, and what a log reader gets: the same tests for any Node.js and SDK.
import { expect } from "chai";
import { stateEvent, sweepEvent } from "../../simulator/aws/events";
import { AwsServer, refusal } from "../../simulator/aws/http";
import { Region } from "../../simulator/aws/region";
import { Timeline } from "../../simulator/clock";
import { firstOf } from "../../simulator/lists";
import { type Program, runProgram } from "../../simulator/stack/program";
import { type Invoked, Lambda, type LambdaOptions } from "./lambda";

const tagKey = "app:isLeader";
const shop = "awseb-shop";

/** A line of a console method, as the runtime client wraps it. */
interface ConsoleLine {
    timestamp: string;
    level: string;
    requestId: string;
    // biome-ignore lint/suspicious/noExplicitAny: whatever was logged
    message: any;
}

/** Metric values of one line in the embedded metric format, with its dimensions. */
type MetricLine = Record<string, unknown>;

/**
 * Defines the tests for an environment.
 *
 * @param environment gives its Node.js, runtime client and SDK when the tests begin
 */
export function behavesInLambda(environment: () => Omit<LambdaOptions, "program" | "awsUrl">): void {
    let program: Program;
    let aws: AwsServer;
    let region: Region;
    let lambda: Lambda | undefined;

    before(async () => {
        program = await runProgram({ config: { asgPrefix: "awseb-", tagKey } });
        aws = await AwsServer.open(new Region(new Timeline()));
    });
    after(() => aws?.close());

    beforeEach(() => {
        region = new Region(new Timeline());
        aws.show(region);
        aws.fault = () => undefined;
    });
    afterEach(async () => {
        await lambda?.stop();
        lambda = undefined;
    });

    async function start(): Promise<Lambda> {
        lambda = await Lambda.start({ program, awsUrl: aws.url, ...environment() });
        return lambda;
    }

    function addGroup(group: string, size: number): string[] {
        return Array.from({ length: size }, () => region.addInstance(group));
    }

    const batch = (...bodies: unknown[]) => ({
        Records: bodies.map((body, index) => ({
            messageId: `059f36b4-87a3-44ab-83d2-${String(index).padStart(12, "0")}`,
            receiptHandle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            body: typeof body === "string" ? body : JSON.stringify(body),
            attributes: { ApproximateReceiveCount: "1", MessageGroupId: "election" },
            messageAttributes: {},
            eventSource: "aws:sqs",
            eventSourceARN: "arn:aws:sqs:us-east-1:123456789012:events.fifo",
            awsRegion: "us-east-1",
        })),
    });
    const sweep = () => batch(sweepEvent(Date.now()));
    const leadersOf = (group: string): string[] => region.leaders(group, tagKey);

    /** Stops the environment and reads its log: every line is JSON, and either a bare metric line or a wrapped console line. */
    async function logsOf(...invocations: Invoked[]): Promise<{ console: ConsoleLine[]; metrics: MetricLine[] }> {
        const { lines, stderr } = await (lambda as Lambda).stop();
        lambda = undefined;
        expect(stderr).to.equal("");
        const parsed = lines.map((line) => {
            expect(() => JSON.parse(line), line).to.not.throw();
            return JSON.parse(line);
        });
        const metrics = parsed.filter((line) => "_aws" in line);
        for (const line of metrics) {
            expect(line, "a metric line is bare").to.not.have.any.keys("timestamp", "level", "requestId", "message");
            const [{ Namespace, Metrics }] = line._aws.CloudWatchMetrics;
            expect(Namespace).to.equal("AsgLeaderElection");
            for (const { Name } of Metrics) {
                expect(line[Name], Name).to.be.a("number");
            }
        }
        const wrapped: ConsoleLine[] = parsed.filter((line) => !("_aws" in line));
        const requestIds = invocations.map(({ requestId }) => requestId);
        for (const line of wrapped) {
            expect(line).to.include.all.keys("timestamp", "level", "requestId", "message");
            expect(line.timestamp).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
            expect(["INFO", "WARN", "ERROR"]).to.include(line.level);
            expect(requestIds).to.include(line.requestId);
        }
        return { console: wrapped, metrics };
    }

    const ofLevel = (lines: ConsoleLine[], level: string) => lines.filter((line) => line.level === level);

    it("loads, sweeps, and logs each election and the sweep's counts, each once", async () => {
        const groups = { [shop]: addGroup(shop, 3), "awseb-wiki": addGroup("awseb-wiki", 1) };
        addGroup("other", 1);
        const invoked = await (await start()).invoke(sweep());
        expect(invoked.error).to.equal(undefined);
        for (const [group, members] of Object.entries(groups)) {
            expect(leadersOf(group)).to.have.length(1);
            expect(members).to.include(leadersOf(group)[0]);
        }
        expect(leadersOf("other")).to.deep.equal([]);
        const { console, metrics } = await logsOf(invoked);
        expect(console.map(({ level, message }) => [level, message.group, message.outcome])).to.have.deep.members([
            ["INFO", shop, "elected"],
            ["INFO", "awseb-wiki", "elected"],
        ]);
        expect(metrics.filter((line) => "LeaderChanges" in line).map(({ Group }) => Group)).to.have.members(
            Object.keys(groups),
        );
        expect(metrics.filter((line) => "Groups" in line).map(({ Groups }) => Groups)).to.deep.equal([2]);
    });

    it("logs nothing of a sweep that changes nothing, in the container that elected", async () => {
        addGroup(shop, 2);
        const started = await start();
        const first = await started.invoke(sweep());
        const [leader] = leadersOf(shop);
        const second = await started.invoke(sweep());
        expect(second.error).to.equal(undefined);
        expect(leadersOf(shop)).to.deep.equal([leader]);
        const { console } = await logsOf(first, second);
        expect(console.filter(({ requestId }) => requestId === second.requestId)).to.deep.equal([]);
    });

    it("replaces a leader that ends", async () => {
        const started = await start();
        addGroup(shop, 3);
        const first = await started.invoke(sweep());
        const leader = firstOf(leadersOf(shop));
        region.setState(leader, "shutting-down");
        const second = await started.invoke(batch(stateEvent(Date.now(), leader, "shutting-down")));
        const successors = leadersOf(shop).filter((id) => id !== leader);
        expect(successors).to.have.length(1);
        const { console } = await logsOf(first, second);
        const { message } = firstOf(console.filter(({ requestId }) => requestId === second.requestId));
        expect(message).to.include({ group: shop, outcome: "elected", leader: successors[0] });
        expect(message.triggers).to.deep.equal(["EC2 Instance State-change Notification"]);
    });

    it("warns of each record that it can't read, and elects for the others", async () => {
        addGroup(shop, 1);
        const { Records } = batch("{", "null", "[1]", { source: "aws.autoscaling" }, sweepEvent(Date.now()));
        const invoked = await (await start()).invoke({ Records: [...Records, null, {}] });
        expect(invoked.error).to.equal(undefined);
        expect(leadersOf(shop)).to.have.length(1);
        const { console } = await logsOf(invoked);
        expect(ofLevel(console, "WARN")).to.have.length.of.at.least(1);
        expect(ofLevel(console, "ERROR")).to.deep.equal([]);
        expect(ofLevel(console, "INFO").map(({ message }) => message.outcome)).to.deep.equal(["elected"]);
    });

    it("refuses by name what is no batch of the queue", async () => {
        const invoked = await (await start()).invoke({});
        expect(JSON.stringify(invoked.error)).to.contain("Not a batch of the queue");
    });

    it("names the action and the resource that AWS refuses", async () => {
        const [id] = addGroup(shop, 1);
        aws.fault = ({ action }) => (action === "CreateTags" ? refusal("UnauthorizedOperation", 403) : undefined);
        const invoked = await (await start()).invoke(sweep());
        expect(leadersOf(shop)).to.deep.equal([]);
        const { console, metrics } = await logsOf(invoked);
        const { message } = firstOf(ofLevel(console, "ERROR"));
        expect(message).to.include({ group: shop, outcome: "failed" });
        expect(message.reason).to.contain(`ec2:CreateTags on ${id}: UnauthorizedOperation`);
        expect(metrics.find((line) => "FailedElections" in line)?.FailedElections).to.equal(1);
    });

    it("knows by their names the refusals that need another instance, or another try", async () => {
        const ids = addGroup(shop, 2);
        aws.fault = ({ action, input }, before) => {
            if (action !== "CreateTags" || before > 1) {
                return undefined;
            }
            const [id] = input.Resources;
            return before === 0
                ? refusal("ConcurrentTagAccess", 400)
                : refusal("InvalidInstanceID.NotFound", 400, `The instance ID '${id}' does not exist`);
        };
        const invoked = await (await start()).invoke(sweep());
        expect(invoked.error).to.equal(undefined);
        const tried = aws.callsOf("CreateTags").map(({ input }) => input.Resources[0]);
        expect(tried).to.have.length(3);
        expect(tried[1], "tried again").to.equal(tried[0]);
        expect(tried.slice(1), "then the other").to.have.members(ids);
        expect(leadersOf(shop)).to.deep.equal([tried[2]]);
        const { console } = await logsOf(invoked);
        expect(ofLevel(console, "ERROR")).to.deep.equal([]);
    });

    it("ends in time when an answer stalls, and names the call", async () => {
        addGroup(shop, 1);
        aws.fault = ({ action }) => (action === "DescribeAutoScalingGroups" ? { stallsAfter: 100 } : undefined);
        const invoked = await (await start()).invoke(sweep(), 3);
        expect(invoked.error).to.equal(undefined);
        expect(leadersOf(shop)).to.deep.equal([]);
        const { console, metrics } = await logsOf(invoked);
        const reasons = ofLevel(console, "ERROR").map(({ message }) => message.reason);
        expect(reasons.join("\n")).to.contain("autoscaling:DescribeAutoScalingGroups");
        expect(metrics.map(({ FailedReads }) => FailedReads)).to.deep.equal([1]);
    });

    it("waits for each answer twice as long as for the one before", async () => {
        addGroup(shop, 1);
        aws.fault = ({ action }, before) =>
            action === "DescribeAutoScalingGroups" ? (before === 0 ? "hangs" : { after: 3000 }) : undefined;
        const invoked = await (await start()).invoke(sweep());
        expect(invoked.error).to.equal(undefined);
        expect(leadersOf(shop)).to.have.length(1);
        expect(aws.callsOf("DescribeAutoScalingGroups")).to.have.length(2);
        expect((await logsOf(invoked)).metrics.filter((line) => "FailedReads" in line)).to.deep.equal([]);
    });
}
