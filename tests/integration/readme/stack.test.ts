// What the documents in election/stack say: their tables are what is registered, logged and billed, and their commands run.
import { expect } from "chai";
import { metricNames } from "../../../election/metrics";
import { tagEvent } from "../../simulator/aws/events";
import { denied, failing } from "../../simulator/aws/faults";
import { matches } from "../../simulator/aws/patterns";
import { firstOf, found, only } from "../../simulator/lists";
import { unhealthy } from "../../simulator/members";
import { followerTags, groupTag, leaderTags } from "../../simulator/metadata";
import { pausedKey, sinceKey, tagKey } from "../../simulator/names";
import { inOwnRegion, leadersOf, openShop, programWith } from "../../simulator/scenario";
import { everything, type Program } from "../../simulator/stack/program";
import { codeIn, commandOf, Document, optionsOf } from "./document";
import { useSandbox } from "./sandbox";

const readme = new Document("election/stack/README.md");
const monitoring = new Document("election/stack/monitoring.md");
const deploying = new Document("election/stack/deploying.md");
const costSheet = new Document("election/stack/costs.md");

// What Pulumi's AWS provider calls for each type of resource, traced while it made, read, changed and deleted one. AWS asks
// for the tagging actions and for iam:PassRole as well, which a stand-in for AWS can't show.
const callsFor: Record<string, string> = {
    Queue: "sqs: CreateQueue GetQueueAttributes SetQueueAttributes ListQueueTags TagQueue UntagQueue DeleteQueue",
    QueuePolicy: "sqs: GetQueueAttributes SetQueueAttributes",
    LogGroup:
        "logs: CreateLogGroup DescribeLogGroups PutRetentionPolicy ListTagsForResource TagResource UntagResource DeleteLogGroup",
    QueryDefinition: "logs: PutQueryDefinition DescribeQueryDefinitions DeleteQueryDefinition",
    Role: "iam: CreateRole GetRole UpdateAssumeRolePolicy ListRolePolicies ListAttachedRolePolicies ListInstanceProfilesForRole TagRole UntagRole PutRolePermissionsBoundary DeleteRolePermissionsBoundary DeleteRole",
    RolePolicy: "iam: PutRolePolicy GetRolePolicy DeleteRolePolicy",
    Function:
        "lambda: CreateFunction GetFunction UpdateFunctionCode UpdateFunctionConfiguration ListVersionsByFunction GetFunctionCodeSigningConfig TagResource UntagResource DeleteFunction; iam: PassRole",
    EventSourceMapping:
        "lambda: CreateEventSourceMapping GetEventSourceMapping UpdateEventSourceMapping ListTags TagResource UntagResource DeleteEventSourceMapping",
    EventRule: "events: PutRule DescribeRule ListTagsForResource TagResource UntagResource DeleteRule",
    EventTarget: "events: PutTargets ListTargetsByRule RemoveTargets",
    MetricAlarm: "cloudwatch: PutMetricAlarm DescribeAlarms ListTagsForResource TagResource UntagResource DeleteAlarms",
    Dashboard: "cloudwatch: PutDashboard GetDashboard DeleteDashboards",
};

/** The actions of a text like `sqs: CreateQueue TagQueue; iam: PassRole`. */
const actionsIn = (calls: string) =>
    calls.split("; ").flatMap((part) => {
        const [service, actions = ""] = part.split(": ");
        return actions.split(" ").map((action) => `${service}:${action}`);
    });

describe("election/stack/README.md", () => {
    const sandbox = useSandbox("php", "aws");

    let program: Program;
    let withAll: Program;
    before(async () => {
        program = await programWith();
        withAll = await programWith(everything);
    });

    const named = (type: string) =>
        withAll.resources.filter((resource) => resource.type.endsWith(`:${type}`)).map(({ name }) => name);

    describe("the tags of leaders that are left behind", () => {
        /** Runs the command where EC2 finds these leaders; its calls. */
        async function untag(leaders: string[]): Promise<string[][]> {
            // The CLI puts a tab between the instances of one reservation.
            const body = leaders.length > 0 ? `printf '${leaders.join("\\t").replaceAll("9\\t", "9\\n")}\\n'` : ":";
            sandbox.standIn("aws", `[ "$2" != describe-instances ] || ${body}`);
            const { status, calls } = await sandbox.run(readme.shellBlock("-n 500 aws ec2 delete-tags").text);
            expect(status).to.equal(0);
            return calls;
        }

        it("are looked for as the stack's output looks for leaders, and nothing is deleted where there are none", async () => {
            const listing = only((await sandbox.run(String(program.outputs.leadersCommand))).calls);
            const read = only(await untag([]));
            expect(commandOf(read)).to.equal(commandOf(listing));
            const { "--region": region, "--filters": filters = [] } = optionsOf(listing);
            const inShort = ({ Name, Values }: { Name: string; Values: string[] }) =>
                `Name=${Name},Values=${Values.join(",")}`;
            expect(optionsOf(read)).to.deep.equal({
                "--region": region,
                "--output": ["text"],
                "--query": ["Reservations[].Instances[].InstanceId"],
                "--filters": JSON.parse(only(filters)).map(inShort),
            });
        });

        it("are deleted, both and no others, from all of these leaders", async () => {
            const leaders = Array.from({ length: 1200 }, (_, number) => `i-${String(number).padStart(17, "0")}`);
            const [, ...writes] = await untag(leaders);
            for (const write of writes) {
                expect(commandOf(write)).to.equal("aws ec2 delete-tags");
                const { "--resources": ids, ...others } = optionsOf(write);
                expect(ids).to.have.length.within(1, 1000); // what EC2 takes
                expect(others).to.deep.equal({
                    "--region": ["us-east-1"],
                    "--tags": [`Key=${tagKey}`, `Key=${sinceKey}`],
                });
            }
            expect(writes.flatMap((write) => optionsOf(write)["--resources"])).to.deep.equal(leaders);
        });
    });

    describe("has tables of which", () => {
        /** What is set in code in the first column of a table. */
        const column = (document: Document, table: string) =>
            document.namedTable(table).flatMap(([cell]) => codeIn(cell));

        it("the permissions are those of the role", () => {
            const { policy } = withAll.resources.find(({ type }) => type.endsWith(":RolePolicy"))?.inputs ?? {};
            const allowed = JSON.parse(policy).Statement.flatMap(({ Action }: { Action: string | string[] }) => Action);
            expect(column(deploying, "permissions")).to.have.members([...new Set(allowed)]);
        });

        it("the permissions of the deploying person are what making each resource takes", () => {
            const types = withAll.resources.flatMap(({ type }) => type.match(/^aws:.*:(\w+)$/)?.[1] ?? []);
            const needed = types.flatMap((type) => actionsIn(found(callsFor[type])));
            const listed = codeIn(deploying.namedList("deploying"));
            expect(listed).to.have.members([...new Set([...needed, "sts:GetCallerIdentity"])]);
        });

        it("the alarms and the saved queries are those of the stack", () => {
            expect(column(readme, "alarms")).to.have.members(named("MetricAlarm"));
            expect(column(monitoring, "queries")).to.have.members(named("QueryDefinition"));
        });

        it("the fields of a report are those that the function reports, and the example of a line has those of such a change", async () => {
            const configs: Record<string, string>[] = [{}, { electorateTag: "environment" }, { dryRun: "true" }];
            const reports: Record<string, string>[] = [];
            for (const config of configs) {
                reports.push(...(await reportsWith(config)));
            }
            const documented = column(monitoring, "report");
            expect(documented).to.have.members([...new Set(reports.flatMap((report) => Object.keys(report)))]);
            const [, outcomes] = found(monitoring.namedTable("report").find(([cell]) => cell === "`outcome`"));
            expect(codeIn(outcomes)).to.have.members([...new Set(reports.map(({ outcome }) => outcome))]);

            const line = monitoring.in("json").find((text) => text.includes('"requestId"'));
            const { message } = JSON.parse(found(line));
            const real = found(reports.find(({ reason }) => reason?.endsWith("is shutting-down")));
            expect(Object.keys(message)).to.deep.equal(documented.filter((field) => field in real));
            expect(message.demoted).to.have.lengthOf(Number(real.demoted?.length)).and.to.include(message.formerLeader);
            expect(message.candidates).to.include(message.leader);
        });

        it("the metrics are those that the function sends", () => {
            expect(column(monitoring, "metrics")).to.have.members([...metricNames]);
        });
    });

    describe("reckons costs", () => {
        const groups = [1, 50, 500];
        const gigabytesOfMemory = 1.73;
        const sweeps = 43_800;
        const hours = 730;
        const events = groups.map((count) => 320 * count);
        const invocations = events.map((count) => sweeps + count);
        const changes = groups.map((count) => 10 * count);
        /** Dollars a month, for each number of groups. */
        const lines = [
            invocations.map((count) => (count / 1e6) * 0.2),
            [0.06, 0.1, 0.6].map((seconds, place) => {
                const total = sweeps * seconds + found(events[place]) * 0.06;
                return total * gigabytesOfMemory * 0.0000133334;
            }),
            invocations.map((count) => ((15 * sweeps + 3 * count) / 1e6) * 0.5),
            groups.map(() => 0),
            invocations.map((count) => ((count * 1.5) / 1e6) * (0.5 + 0.03)),
            groups.map(() => 3 * 0.3),
            changes.map((count) => ((count + 2 * Math.min(count, hours)) / hours) * 0.3),
            groups.map(() => 6 * 0.1),
            changes.map((count) => ((10 * count) / 1000) * 0.01),
        ];
        const cents = (cell: string) => Math.round(Number(cell.replaceAll("*", "")) * 100);
        const rows = costSheet.namedTable("costs").map(([, ...cells]) => cells.map(cents));
        const [total = [], more = [], totalWithTopic = []] = rows.slice(-3);

        it("as it says how, for the memory that the function has", () => {
            const lambda = program.resources.find(({ type }) => type.endsWith(":Function"))?.inputs;
            expect(lambda.memorySize / 1024).to.be.closeTo(gigabytesOfMemory, 0.005);
            const expected = lines.map((line) => line.map((dollars) => Math.round(dollars * 100)));
            expect(rows.slice(0, -3)).to.deep.equal(expected);
        });

        it("and adds them up", () => {
            const sums = groups.map((_, place) => rows.slice(0, -3).reduce((sum, row) => sum + found(row[place]), 0));
            expect(total).to.deep.equal(sums);
            expect(totalWithTopic).to.deep.equal(sums.map((sum, place) => sum + found(more[place])));
            // What a small fleet may cost.
            expect(total[0]).to.be.at.most(210);
            expect(totalWithTopic[0]).to.be.at.most(270);
        });

        it("for as many metrics as the alarms watch, and as a sweep sends", () => {
            const watchedBy = ({ resources }: Program) =>
                resources
                    .filter(({ type }) => type.endsWith(":MetricAlarm"))
                    .flatMap(({ inputs: { metricName, metricQueries = [] } }) => [
                        ...(metricName ? [metricName] : []),
                        ...metricQueries.filter(({ metric }: { metric?: object }) => metric),
                    ]).length;
            expect(watchedBy(program)).to.equal(6);
            expect(watchedBy(withAll) - watchedBy(program)).to.equal(firstOf(more) / 10);
            const ofSweeps = monitoring.namedTable("metrics").filter(([, when]) => when === "each sweep");
            expect(ofSweeps).to.have.length(3);
        });
    });

    describe("a rule that reacts to a change", () => {
        it("matches each new leader, of whatever group, and nothing else", () => {
            const pattern = JSON.parse(monitoring.namedBlock("pattern"));
            const isMatched = (changed: string[], tags: Record<string, string>) =>
                matches(pattern, tagEvent(Date.now(), "i-1", changed, tags));
            expect(isMatched([tagKey, sinceKey], leaderTags)).to.equal(true);
            expect(isMatched([tagKey, sinceKey], { ...leaderTags, "aws:autoscaling:groupName": "web" })).to.equal(true);
            expect(isMatched([tagKey], followerTags)).to.equal(false);
            expect(isMatched(["Name"], leaderTags)).to.equal(false);
            expect(isMatched([tagKey], { ...groupTag, [tagKey]: "false" })).to.equal(false);
        });

        it("its commands make a rule of it with a target", async () => {
            const [rule, targets] = (await sandbox.run(monitoring.shellBlock("put-rule").text)).calls;
            expect([rule, targets].map(commandOf)).to.deep.equal(["aws events put-rule", "aws events put-targets"]);
            const file = only(optionsOf(rule)["--event-pattern"] ?? []);
            expect(monitoring.text).to.include(`\`${file.replace("file://", "")}\``);
            expect(optionsOf(rule)["--name"]).to.deep.equal(optionsOf(targets)["--rule"]);
        });
    });
});

/** What the function reports with these settings, where groups come to all that they can come to; as JSON, without what is undefined. */
const reportsWith = (config: Record<string, string>) =>
    inOwnRegion(async (world) => {
        const { region, fleet, stack, leader } = await openShop(world, 3);
        fleet.addGroup("awseb-blog", 2, { environment: "blog" });
        fleet.addGroup("awseb-none", 0);
        fleet.addGroup("awseb-paused", 1, { [pausedKey]: "true" });
        region.addInstance("awseb-vacant", unhealthy);
        stack.sweep();
        await stack.settle();
        fleet.crash(leader);
        await stack.settle();
        region.fault = failing("ec2:CreateTags", denied);
        leadersOf(world).map((id) => fleet.crash(id));
        await stack.settle();
        return JSON.parse(JSON.stringify(stack.invocations.flatMap(({ reports }) => reports)));
    }, config);
