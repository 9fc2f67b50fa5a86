// What the documents in election/stack say: their tables are what is registered, logged and billed, and their commands run.
import { expect } from "chai";
import { type BusEvent, tagEvent } from "../../simulator/aws/events";
import { awsError } from "../../simulator/aws/faults";
import { matches } from "../../simulator/aws/patterns";
import { firstOf, found, only } from "../../simulator/lists";
import { type Program, runProgram } from "../../simulator/stack/program";
import { inWorld } from "../../simulator/world";
import { withTool } from "../../tools";
import { Moto } from "../moto";
import { codeIn, Document, type filterOf, optionsOf } from "./document";
import { followerTags, group, groupKey, leaderTags, sinceKey, tagKey } from "./fleet";
import { useSandbox } from "./sandbox";

const readme = new Document("election/stack/README.md");
const monitoring = new Document("election/stack/monitoring.md");
const deploying = new Document("election/stack/deploying.md");
const costSheet = new Document("election/stack/costs.md");
const alarmTopicArn = "arn:aws:sns:us-east-1:123456789012:on-call";
const changeTopicArn = "arn:aws:sns:us-east-1:123456789012:leaders";

// What Pulumi's AWS provider calls for each type of resource, traced while it made, read, changed and deleted one. AWS asks
// for the tagging actions and for iam:PassRole as well, which a stand-in for AWS can't show.
const callsFor: Record<string, string> = {
    "aws:sqs/queue:Queue": "sqs: CreateQueue GetQueueAttributes SetQueueAttributes ListQueueTags TagQueue DeleteQueue",
    "aws:sqs/queuePolicy:QueuePolicy": "sqs: GetQueueAttributes SetQueueAttributes",
    "aws:cloudwatch/logGroup:LogGroup":
        "logs: CreateLogGroup DescribeLogGroups PutRetentionPolicy ListTagsForResource TagResource DeleteLogGroup",
    "aws:cloudwatch/queryDefinition:QueryDefinition":
        "logs: PutQueryDefinition DescribeQueryDefinitions DeleteQueryDefinition",
    "aws:iam/role:Role":
        "iam: CreateRole GetRole UpdateAssumeRolePolicy ListRolePolicies ListAttachedRolePolicies ListInstanceProfilesForRole TagRole PutRolePermissionsBoundary DeleteRolePermissionsBoundary DeleteRole",
    "aws:iam/rolePolicy:RolePolicy": "iam: PutRolePolicy GetRolePolicy DeleteRolePolicy",
    "aws:lambda/function:Function":
        "lambda: CreateFunction GetFunction UpdateFunctionCode UpdateFunctionConfiguration ListVersionsByFunction GetFunctionCodeSigningConfig TagResource DeleteFunction; iam: PassRole",
    "aws:lambda/eventSourceMapping:EventSourceMapping":
        "lambda: CreateEventSourceMapping GetEventSourceMapping UpdateEventSourceMapping ListTags TagResource DeleteEventSourceMapping",
    "aws:cloudwatch/eventRule:EventRule": "events: PutRule DescribeRule ListTagsForResource TagResource DeleteRule",
    "aws:cloudwatch/eventTarget:EventTarget": "events: PutTargets ListTargetsByRule RemoveTargets",
    "aws:cloudwatch/metricAlarm:MetricAlarm":
        "cloudwatch: PutMetricAlarm DescribeAlarms ListTagsForResource TagResource DeleteAlarms",
    "aws:cloudwatch/dashboard:Dashboard": "cloudwatch: PutDashboard GetDashboard DeleteDashboards",
};

/** The actions of a text like `sqs: CreateQueue TagQueue; iam: PassRole`. */
const actionsIn = (calls: string) =>
    calls.split("; ").flatMap((part) => {
        const [service, actions = ""] = part.split(": ");
        return actions.split(" ").map((action) => `${service}:${action}`);
    });

describe("election/stack/README.md", function () {
    this.timeout(60_000);

    const sandbox = useSandbox("php", "aws");

    let program: Program;
    let withAll: Program;
    before(async () => {
        program = await runProgram();
        withAll = await runProgram({
            config: {
                electorateTag: "environment",
                protectLeader: "true",
                dashboard: "true",
                alarmTopicArn,
                changeTopicArn,
            },
        });
    });

    const named = (type: string, of = withAll) =>
        of.resources.filter((resource) => resource.type.endsWith(`:${type}`)).map(({ name }) => name);

    describe("the tags of leaders that are left behind", () => {
        const { text } = readme.shellBlock("-n 500 aws ec2 delete-tags");
        const leaders = Array.from({ length: 1200 }, (_, number) => `i-${String(number).padStart(17, "0")}`);

        /** Runs it where EC2 finds these leaders, and says what it asked for and what it deleted. */
        async function untag(found: string[]) {
            // The CLI puts a tab between the instances of one reservation.
            const body = found.length > 0 ? `printf '${found.join("\\t").replaceAll("9\\t", "9\\n")}\\n'` : ":";
            sandbox.standIn("aws", `[ "$2" != describe-instances ] || ${body}`);
            expect((await sandbox.run(text)).status).to.equal(0);
            const [read, ...writes] = sandbox.takeCalls();
            return { read, writes };
        }

        it("are looked for as the stack's output looks for leaders", async () => {
            sandbox.standIn("aws");
            await sandbox.run(String(program.outputs.leadersCommand));
            const listing = only(sandbox.takeCalls());
            const { read } = await untag([]);
            expect(read?.slice(0, 3)).to.deep.equal(listing.slice(0, 3));
            const filters = firstOf(optionsOf(listing)["--filters"] ?? []);
            expect(optionsOf(read)).to.deep.equal({
                "--region": optionsOf(listing)["--region"],
                "--output": ["text"],
                "--query": ["Reservations[].Instances[].InstanceId"],
                "--filters": JSON.parse(filters).map(
                    ({ Name, Values }: ReturnType<typeof filterOf>) => `Name=${Name},Values=${Values.join(",")}`,
                ),
            });
        });

        it("are deleted, both and no others, from all of these leaders", async () => {
            const { writes } = await untag(leaders);
            for (const write of writes) {
                expect(write.slice(0, 3)).to.deep.equal(["aws", "ec2", "delete-tags"]);
                const { "--resources": ids, ...others } = optionsOf(write);
                expect(ids).to.have.length.within(1, 1000); // what EC2 takes
                expect(others).to.deep.equal({
                    "--region": ["us-east-1"],
                    "--tags": [`Key=${tagKey}`, `Key=${sinceKey}`],
                });
            }
            expect(writes.flatMap((write) => optionsOf(write)["--resources"])).to.deep.equal(leaders);
        });

        it("are left alone where there are none", async () => {
            expect((await untag([])).writes).to.deep.equal([]);
        });
    });

    describe("has tables of which", () => {
        it("the permissions are those of the role", () => {
            const { policy } = withAll.resources.find(({ type }) => type.endsWith(":RolePolicy"))?.inputs ?? {};
            const allowed = JSON.parse(policy).Statement.flatMap(({ Action }: { Action: string | string[] }) => Action);
            expect(deploying.namedTable("permissions").flatMap(([actions]) => codeIn(actions))).to.have.members([
                ...new Set(allowed),
            ]);
        });

        it("the permissions of the deploying person are what making each resource takes", () => {
            const types = [...new Set(withAll.resources.map(({ type }) => type))].filter((type) => /^aws:/.test(type));
            expect(callsFor).to.include.all.keys(types);
            const needed = types.flatMap((type) => actionsIn(callsFor[type] ?? ""));
            const [, listed] = deploying.text.match(/<!-- deploying -->\n+((?:[-` ].*\n)+)/) ?? [];
            expect(codeIn(listed)).to.have.members([...new Set([...needed, "sts:GetCallerIdentity"])]);
        });

        it("the alarms and the saved queries are those of the stack", () => {
            const rows = (of: Document, name: string) => of.namedTable(name).flatMap(([cell = ""]) => codeIn(cell));
            expect(rows(readme, "alarms")).to.have.members(named("MetricAlarm"));
            expect(rows(monitoring, "queries")).to.have.members(named("QueryDefinition"));
        });

        it("the fields of a report are those that the function logs", async () => {
            const onTrial = await runProgram({ config: { dryRun: "true" } });
            const reports = [...(await whatIsSaid(withAll)).reports, ...(await whatIsSaid(onTrial)).reports];
            const fields = monitoring.namedTable("report").flatMap(([cell]) => codeIn(cell));
            expect([...new Set(reports.flatMap((report) => Object.keys(report)))]).to.have.members(fields);
            const rows = monitoring.namedTable("report").find(([cell]) => cell === "`outcome`") ?? [];
            expect(codeIn(rows[1])).to.include.members([...new Set(reports.map(({ outcome }) => outcome))]);
        });

        it("the example of a line has what a line has", async () => {
            const { reports } = await whatIsSaid(program);
            const elected = reports.find(({ outcome }) => outcome === "elected");
            const line = monitoring.blocks.map(({ text }) => text).find((text) => text.includes('"requestId"'));
            const { message } = JSON.parse(String(line));
            expect(Object.keys(message)).to.deep.equal(Object.keys(elected ?? {}));
            expect(message.candidates).to.include(message.leader);
        });

        it("the metrics are those that the function measures", async () => {
            const { metrics } = await whatIsSaid(withAll);
            expect(monitoring.namedTable("metrics").flatMap(([cell]) => codeIn(cell))).to.have.members([
                ...metrics.keys(),
            ]);
            expect(metrics.get("LeaderChanges")).to.deep.equal([["Stack"], ["Stack", "Group"]]);
            expect(metrics.get("VacantGroups")).to.deep.equal([["Stack"]]);
        });
    });

    describe("reckons costs", () => {
        const groups = [1, 50, 500];
        const gigabytesOfMemory = 1.73;
        const sweepSeconds = [0.06, 0.1, 0.6];
        const sweeps = 43_800;
        const hours = 730;
        const costs = groups.map((count, place) => {
            const invocations = sweeps + 320 * count;
            const seconds = sweeps * found(sweepSeconds[place]) + 320 * count * 0.06;
            const gigabytes = (invocations * 1.5) / 1e6;
            const changeHours = 10 * count + 2 * Math.min(10 * count, hours);
            return [
                (invocations / 1e6) * 0.2,
                seconds * gigabytesOfMemory * 0.0000133334,
                ((15 * sweeps + 3 * invocations) / 1e6) * 0.5,
                0,
                gigabytes * (0.5 + 0.03),
                3 * 0.3,
                (changeHours / hours) * 0.3,
                6 * 0.1,
                ((10 * 10 * count) / 1000) * 0.01,
            ];
        });
        const cents = (cell: string) => Math.round(Number(cell.replaceAll("*", "")) * 100);
        const rows = costSheet.namedTable("costs").map(([, ...cells]) => cells.map(cents));

        it("as it says how", () => {
            const expected = firstOf(costs).map((_, line) => costs.map((cost) => Math.round(found(cost[line]) * 100)));
            expect(rows.slice(0, -3)).to.deep.equal(expected);
        });

        it("and adds them up", () => {
            const sums = groups.map((_, place) => rows.slice(0, -3).reduce((sum, row) => sum + found(row[place]), 0));
            const [total, more, totalWithTopic] = rows.slice(-3);
            expect(total).to.deep.equal(sums);
            expect(totalWithTopic).to.deep.equal(sums.map((sum, place) => sum + found(more?.[place])));
            // What a small fleet may cost.
            expect(total?.[0]).to.be.at.most(210);
            expect(totalWithTopic?.[0]).to.be.at.most(270);
        });

        it("for the memory that the function has", () => {
            const lambda = program.resources.find(({ type }) => type.endsWith(":Function"))?.inputs;
            expect(lambda.memorySize / 1024).to.be.closeTo(gigabytesOfMemory, 0.005);
        });

        it("for as many metrics as the alarms watch, and as a sweep sends", async () => {
            const watchedBy = ({ resources }: Program) =>
                resources
                    .filter(({ type }) => type.endsWith(":MetricAlarm"))
                    .flatMap(({ inputs: { metricName, metricQueries = [] } }) => [
                        ...(metricName ? [metricName] : []),
                        ...metricQueries.filter(({ metric }: { metric?: object }) => metric),
                    ]).length;
            expect(watchedBy(program)).to.equal(6);
            expect(watchedBy(withAll) - watchedBy(program)).to.equal((rows.at(-2)?.[0] as number) / 10);
            const { metrics } = await whatIsSaid(program);
            expect(
                [...metrics].filter(([name]) => /^(Vacant|Contested|Failed)(Groups|Elections)$/.test(name)),
            ).to.have.length(3);
        });
    });

    describe("coming from another elector", () => {
        /** Lets the sweep look at a group whose leader another elector has tagged; gives its leaders' tags, and the reports. */
        const swept = (some: Program) =>
            inWorld(some, async ({ region, fleet, stack }) => {
                const [leader] = fleet.addGroup(group, 2);
                region.setTags(leader, { [tagKey]: "true" });
                stack.sweep();
                await stack.settle();
                const reports = stack.invocations.flatMap((invocation) => invocation.reports);
                const leaders = region.leaders(group, tagKey);
                return { leader, leaders, since: region.tags(leader)[sinceKey], reports };
            });

        it("nothing is written with dryRun, and the log says what would be done", async () => {
            const { leader, leaders, since, reports } = await swept(await runProgram({ config: { dryRun: "true" } }));
            expect({ leaders, since }).to.deep.equal({ leaders: [leader], since: undefined });
            expect(reports.at(-1)).to.include({ outcome: "kept", leader, dryRun: true });
        });

        it("afterwards a fit leader stays, and gets a since", async () => {
            const { leader, leaders, since } = await swept(program);
            expect(leaders).to.deep.equal([leader]);
            expect(since).to.match(/^2026-11-23T06:00:/);
        });
    });

    describe("a rule that reacts to a change", () => {
        const pattern = JSON.parse(monitoring.namedBlock("pattern"));

        it("matches each new leader, of whatever group, and nothing else", async () => {
            const matched = await inWorld(program, async ({ timeline, region, fleet, stack }) => {
                const all: BusEvent[] = [];
                region.onEvent.push((event) => all.push(event));
                fleet.addGroup(group, 3);
                const foreign = fleet.addGroup("web", 1);
                stack.sweep();
                await timeline.pass(5000);
                const first = only(region.leaders(group, tagKey));
                region.setTags(foreign[0], { [tagKey]: "true" });
                region.setTags(first, { Name: "the first" });
                region.setMember(first, { healthStatus: "Unhealthy" });
                stack.sweep();
                await timeline.pass(5000);
                const [second] = region.leaders(group, tagKey);
                expect(second).to.not.equal(first);
                expect(all).to.have.length.above(4);
                const named = all.filter((event) => matches(pattern, event)).map(({ resources }) => resources[0]);
                return named.map((arn) => [first, foreign[0], second].indexOf(String(arn?.split("/")[1])));
            });
            expect(matched).to.deep.equal([0, 1, 2]);
        });

        it("its commands make a rule of it with a target", async () => {
            await sandbox.run(monitoring.shellBlock("put-rule").text);
            const [rule, targets] = sandbox.takeCalls();
            expect(rule?.slice(0, 3)).to.deep.equal(["aws", "events", "put-rule"]);
            expect(targets?.slice(0, 3)).to.deep.equal(["aws", "events", "put-targets"]);
            const file = only(optionsOf(rule)["--event-pattern"] ?? []);
            expect(monitoring.text).to.include(`\`${file.replace("file://", "")}\``);
            expect(optionsOf(rule)["--name"]).to.deep.equal(optionsOf(targets)["--rule"]);
        });

        withTool("moto_server", () =>
            it("a bus over HTTP delivers just these events", async () => {
                const moto = await Moto.start();
                try {
                    expect(await deliveredByBus(moto)).to.deep.equal(["i-01", "i-03"]);
                } finally {
                    await moto.stop();
                }
            }),
        );

        async function deliveredByBus(moto: Moto): Promise<string[]> {
            const { QueueUrl } = await moto.sqs.createQueue({ QueueName: "leaders" });
            const Arn = "arn:aws:sqs:us-east-1:123456789012:leaders";
            await moto.eventBridge.putRule({ Name: "new-leader", EventPattern: JSON.stringify(pattern) });
            await moto.eventBridge.putTargets({ Rule: "new-leader", Targets: [{ Id: "queue", Arn }] });
            const at = Date.now();
            await moto.put(
                tagEvent(at, "i-01", [tagKey, sinceKey], leaderTags),
                tagEvent(at, "i-02", [tagKey, sinceKey], followerTags),
                tagEvent(at, "i-03", [tagKey, sinceKey], { ...leaderTags, [groupKey]: "web" }),
                tagEvent(at, "i-04", ["Name"], leaderTags),
                tagEvent(at, "i-05", [tagKey], { ...leaderTags, [tagKey]: "false" }),
            );
            const { Messages = [] } = await moto.sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10 });
            return Messages.map(({ Body }) => JSON.parse(String(Body)).resources[0].split("/")[1]);
        }
    });
});

/** What the function says of a change, of a sweep and of what fails: its reports, and its metrics with their dimensions. */
function whatIsSaid(program: Program) {
    return inWorld(program, async ({ timeline, region, fleet, stack, lines }) => {
        const refused = ["autoscaling:SetInstanceProtection", "sns:Publish"];
        region.fault = ({ action }) =>
            refused.includes(action) ? { error: awsError("AccessDenied", "no") } : undefined;
        fleet.addGroup(group, 3);
        fleet.addGroup("awseb-paused", 1, { [`${tagKey}:paused`]: "true" });

        fleet.addGroup("awseb-blog", 2, { environment: "blog" });
        fleet.addGroup("awseb-none", 0);
        stack.sweep();
        await timeline.pass(5000);
        const crashLeader = () =>
            region
                .leaders(group, tagKey)
                .slice(0, 1)
                .map((id) => fleet.crash(id));
        crashLeader();
        await timeline.pass(5000);

        // A loss that no event reports, a leader that changes too often, and a read that is refused.
        stack.fate = () => [];
        crashLeader();
        stack.sweep();
        await timeline.pass(60_000);
        stack.fate = () => [300];
        for (let times = 0; times < 5; times++) {
            region.setTags(region.leaders(group, tagKey)[0] ?? firstOf(fleet.members(group)), { [tagKey]: "false" });
            await timeline.pass(5000);
        }
        region.fault = ({ action }) =>
            action === "autoscaling:DescribeAutoScalingGroups" ? { error: awsError("AccessDenied", "no") } : undefined;
        stack.sweep();
        await timeline.pass(30_000);

        const entries = lines.filter(({ level }) => level !== "stdout").map(({ entry }) => entry);
        const reports = entries.filter((entry) => entry.group !== undefined) as Record<string, unknown>[];
        const metrics = new Map<string, string[][]>();
        for (const { entry } of lines.filter(({ level }) => level === "stdout")) {
            for (const { Metrics, Dimensions } of JSON.parse(entry)._aws.CloudWatchMetrics) {
                for (const { Name } of Metrics) {
                    metrics.set(Name, Dimensions);
                }
            }
        }
        // As JSON, where what is undefined is missing.
        return { reports: reports.map((report) => JSON.parse(JSON.stringify(report))), metrics };
    });
}
