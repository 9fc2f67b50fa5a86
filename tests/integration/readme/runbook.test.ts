// What the documents in election/stack have an operator run, and guard: each command does what it says, on stand-ins.
import { expect } from "chai";
import type { GroupStatus } from "../../../election/status/found";
import { tableOf } from "../../../election/status/table";
import { alarmsOf } from "../../program/outages";
import { allows, requestsOf, rolePolicyOf } from "../../simulator/aws/iam";
import { running } from "../../simulator/clock";
import { only } from "../../simulator/lists";
import { eligibleKey, pausedKey, shop, sinceKey, tagKey } from "../../simulator/names";
import { leadersOf, programWith } from "../../simulator/scenario";
import { startContainer } from "../../simulator/stack/packaged";
import { accountId, type Program, physicalNames, type Resource, runProgram } from "../../simulator/stack/program";
import { inWorld } from "../../simulator/world";
import { codeIn, commandOf, Document, optionsOf, tagsOf } from "./document";
import { useSandbox } from "./sandbox";

const readme = new Document("election/stack/README.md");
const monitoring = new Document("election/stack/monitoring.md");
const deploying = new Document("election/stack/deploying.md");
const { functionName, logGroupName, queueName, roleName } = physicalNames;
const topicArn = "arn:aws:sns:us-east-1:123456789012:a-topic";
const mappingId = "11111111-2222-3333-4444-555555555555";
const writes = ["ec2:CreateTags", "ec2:DeleteTags"] as const;

/** Whether policies let a caller write these tags on an instance. */
function mayWrite(
    policies: Parameters<typeof allows>[0],
    action: (typeof writes)[number],
    keys: string[],
    principal = "",
) {
    const location = { partition: "aws", region: "us-east-1", accountId };
    return requestsOf(action, ["i-1"], keys, () => shop, location).every((request) =>
        allows(policies, { ...request, context: { ...request.context, "aws:PrincipalArn": principal } }),
    );
}

describe("The runbook", () => {
    const sandbox = useSandbox("aws");
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    /** What the program registers of a type, under a name if there are several. */
    const registered = (type: string, name?: string): Resource["inputs"] =>
        only(program.resources.filter((one) => one.type.endsWith(`:${type}`) && (!name || one.name === name))).inputs;

    /** Expects a call to silence the alarms that go off where the queue is not read. */
    function expectSilence(call?: string[]): void {
        const rows = readme.namedTable("runbook");
        const [, seen] = rows.find(([failure]) => failure === "the event source mapping is disabled") ?? [];
        expect(commandOf(call)).to.equal("aws cloudwatch disable-alarm-actions");
        const alarms = optionsOf(call)["--alarm-names"]?.map((name) => name.replace(/-\d{7}$/, ""));
        expect(alarms).to.deep.equal(codeIn(seen));
    }

    /** Runs the only shell block with a text in it; what it calls. */
    const run = (part: string, document = readme) => runText(document.shellBlock(part).text);

    /** Runs commands where a stack has these names; what they call, but for its outputs. */
    async function runText(text: string): Promise<string[][]> {
        sandbox.standIn("npx", `case "$4" in logGroupName) echo ${logGroupName} ;; *) echo ${functionName} ;; esac`);
        sandbox.standIn(
            "aws",
            `case "$2" in
                list-event-source-mappings) echo ${mappingId} ;;
                describe-alarms) echo no-leader-1234567 ;;
                create-topic) echo ${topicArn} ;;
                describe-query-definitions) echo "fields x | limit 5" ;;
                start-query) echo q-1 ;;
            esac`,
        );
        const { status, calls } = await sandbox.run(text);
        expect(status, text).to.equal(0);
        return calls.filter((call) => commandOf(call) !== "npx pulumi stack");
    }

    it("sweeps now: the payload is what the function takes for a sweep", async () => {
        const { "--payload": payload, "--function-name": name } = optionsOf(only(await run("lambda invoke")));
        expect(name).to.deep.equal([functionName]);
        await inWorld(program, async (world) => {
            world.fleet.addGroup(shop, 2);
            const handler = startContainer(program);
            const batch = JSON.parse(payload?.[0] ?? "");
            const invoke = () => handler(batch, { getRemainingTimeInMillis: () => 10_000 });
            const reports = await world.timeline.until(running.run({ dead: false }, invoke));
            expect(reports.map(({ group, outcome }) => [group, outcome])).to.deep.equal([[shop, "elected"]]);
            expect(leadersOf(world)).to.have.length(1);
        });
    });

    it("pauses it: the alarms that would go off are silenced, and the mapping of the function is disabled", async () => {
        const [silenced, listed, updated] = await run("update-event-source-mapping");
        expectSilence(silenced);
        expect(optionsOf(listed)["--function-name"]).to.deep.equal([functionName]);
        expect(optionsOf(updated)).to.deep.equal({ "--no-enabled": [], "--uuid": [mappingId] });
    });

    it("tries an alarm: its physical name is found by what is in it, and without one nothing is set", async () => {
        const [listed, set] = await run("set-alarm-state");
        const { "--query": [query = ""] = [] } = optionsOf(listed);
        // Of all stacks' alarms with that in their names, those whose description is of this stack. Others may have none.
        const [begin, of = ""] = query.split(/starts_with\(AlarmDescription, '|'\)\]/);
        expect(begin).to.equal("MetricAlarms[?contains(AlarmName, 'no-leader') && AlarmDescription && ");
        const others = [await runProgram({ stack: "prod" }), await runProgram({ stack: "production" })];
        const isMeant = (one: Program) => alarmsOf(one)["no-leader"]?.alarmDescription.startsWith(of);
        expect([...others, program].map(isMeant)).to.deep.equal([true, false, false]);
        expect(optionsOf(set)).to.deep.include({ "--state-value": ["ALARM"], "--alarm-name": ["no-leader-1234567"] });
        sandbox.standIn("aws");
        expect((await sandbox.run(readme.shellBlock("set-alarm-state").text)).calls).to.have.length(1);
    });

    it("follows the log: of the log group that the stack puts out", async () => {
        const [, tail] = await run("logs tail", monitoring);
        expect(tail?.slice(0, 4)).to.deep.equal(["aws", "logs", "tail", logGroupName]);
        expect(program.outputs.logGroupName).to.equal(logGroupName);
    });

    it("keeps an instance out: the tag vetoes it", async () => {
        expect(tagsOf(only(await run("Key=app:isLeader:eligible")))).to.deep.equal([
            { Key: eligibleKey, Value: "false" },
        ]);
    });

    it("keeps a group out: it is paused, its leader loses the tag alone, until the pause ends", async () => {
        const paused = { ResourceId: "awseb-e-x", ResourceType: "auto-scaling-group", Key: pausedKey };
        expect(tagsOf(only(await run("create-or-update-tags")))).to.deep.equal([
            { ...paused, Value: "true", PropagateAtLaunch: "false" },
        ]);
        expect(tagsOf(only(await run("aws ec2 delete-tags --resources")))).to.deep.equal([{ Key: tagKey }]);
        expect(tagsOf(only(await run("autoscaling delete-tags")))).to.deep.equal([paused]);
    });

    it("makes and subscribes topics, for alarms and for changes", async () => {
        for (const [document, setting] of [
            [readme, "alarmTopicArn"],
            [monitoring, "changeTopicArn"],
        ] as const) {
            const [made, subscribed, set, ...others] = await run(`config set ${setting}`, document);
            expect([made, subscribed].map(commandOf)).to.deep.equal(["aws sns create-topic", "aws sns subscribe"]);
            expect(optionsOf(subscribed)["--topic-arn"]).to.deep.equal([topicArn]);
            expect(set).to.deep.equal(["npx", "pulumi", "config", "set", setting, topicArn]);
            expect(others).to.deep.equal([["npx", "pulumi", "up"]]);
        }
    });

    it("runs a saved query of the stack in a shell, over a month", async () => {
        sandbox.standIn("sleep");
        const [found, started, , read] = await run("start-query", monitoring);
        const { resources } = await runProgram({ stack: "prod" });
        const name = only(optionsOf(found)["--query-definition-name-prefix"] ?? []);
        expect(resources.map(({ inputs }) => inputs.name)).to.include(name);
        const { "--start-time": [start] = [], "--end-time": [end] = [], ...rest } = optionsOf(started);
        expect(rest).to.deep.equal({
            "--log-group-name": [logGroupName],
            "--query-string": ["fields x | limit 5"],
            "--query": ["queryId"],
            "--output": ["text"],
        });
        expect(Number(end) - Number(start)).to.be.within(30 * 86_400, 30 * 86_400 + 60);
        expect(optionsOf(read)["--query-id"]).to.deep.equal(["q-1"]);
    });

    it("lists what a stack has by its tags, and then its role", async () => {
        const [listed, asked] = await run("get-resources");
        const tags = Object.entries({ ...registered("Queue").tags, "pulumi:stack": "prod" });
        const filters = { "--tag-filters": tags.map(([key, value]) => `Key=${key},Values=${value}`) };
        expect(optionsOf(listed)).to.deep.include(filters);
        expect(optionsOf(asked)).to.deep.include({ "--function-name": [functionName], "--query": ["Role"] });
    });

    describe("has cures without a checkout, of which", () => {
        const rows = readme.namedTable("cures");
        /** The commands of the AWS CLI in a table's second cells, each with the first cell of its row. */
        const linesOf = (table: string[][]) =>
            table.flatMap(([failure = "", cell]) =>
                codeIn(cell).flatMap((line) => (line.startsWith("aws ") ? [[failure, line] as const] : [])),
            );
        const cures = (failure: string) => linesOf(rows.filter(([one]) => one === failure)).map(([, line]) => line);

        it("each is for a failure of the runbook, and each failure that `up --refresh` cures has one", () => {
            const failures = readme.namedTable("runbook");
            const cured = rows.map(([failure]) => failure);
            expect(failures.map(([failure]) => failure)).to.include.members(cured);
            const byUp = failures.filter(([, , remedy]) => remedy?.includes("up --refresh"));
            expect(cured).to.include.members(byUp.map(([failure]) => failure));
        });

        const tables = ["cures", "leftovers", "causes"].map((name) => readme.namedTable(name));
        for (const [failure, line] of linesOf(tables.flat())) {
            it(`one line is a command of the AWS CLI about what the stack has: ${failure}: ${line.split(" ", 3).join(" ")}`, async () => {
                const call = (await runText(line)).at(-1) ?? [];
                const physical = call.join(" ").match(/[a-z-]+-(1234567|89abcde)(\.fifo)?/g) ?? [];
                const names = program.resources.map(({ name }) => `${name}-1234567`);
                expect([...names, queueName, roleName]).to.include.members(physical);
            });
        }

        it("the rule is the one that the program makes: its schedule, its target and the message group", async () => {
            const [made, aimed] = await runText(cures("the rule `sweep` is disabled or gone").join("\n"));
            expect(optionsOf(made)).to.deep.equal({
                "--name": ["sweep-1234567"],
                "--schedule-expression": [registered("EventRule", "sweep").scheduleExpression],
                "--state": ["ENABLED"],
            });
            const { arn, sqsTarget } = registered("EventTarget", "sweep");
            expect(optionsOf(aimed)["--targets"]).to.deep.equal([
                `Id=queue,Arn=${arn},SqsParameters={MessageGroupId=${sqsTarget.messageGroupId}}`,
            ]);
        });

        it("the queue is the one that the program makes", async () => {
            const [call] = await runText(only(cures("the queue is gone")));
            const queue = registered("Queue");
            expect(optionsOf(call)["--attributes"]).to.deep.equal([
                `FifoQueue=${queue.fifoQueue},ContentBasedDeduplication=${queue.contentBasedDeduplication},` +
                    `VisibilityTimeout=${queue.visibilityTimeoutSeconds},MessageRetentionPeriod=${queue.messageRetentionSeconds}`,
            ]);
            expect(readme.text).to.include(`(${queue.visibilityTimeoutSeconds} plus \`handoverSeconds\`)`);
        });

        it("a second stack that is stopped goes silent", async () => {
            expectSilence((await runText(cures("two stacks with the same settings").join("\n"))).at(-1));
        });

        it("the queue's policy lets the stack's rules send", () => {
            const policy = JSON.parse(JSON.parse(readme.namedBlock("queue")).Policy);
            const maySend = (account: string, rule: string) =>
                allows(policy, {
                    action: "sqs:SendMessage",
                    resource: `arn:aws:sqs:us-east-1:${accountId}:${queueName}`,
                    context: {
                        "aws:PrincipalServiceName": "events.amazonaws.com",
                        "aws:SourceArn": `arn:aws:events:us-east-1:${account}:rule/${rule}`,
                    },
                });
            for (const rule of Object.values(physicalNames.ruleNames)) {
                expect([maySend(accountId, rule), maySend("999999999999", rule)], rule).to.deep.equal([true, false]);
            }
        });

        it("the stopgap lets the role do all that its own policy does, and delete no other tag", () => {
            const stopgap = JSON.parse(readme.namedBlock("stopgap"));
            for (const { Action, Resource } of rolePolicyOf(program).Statement) {
                for (const action of [Action].flat().filter((one) => !/Tags$/.test(one))) {
                    const resource = String(Resource).replace(/:\*$/, ":a-stream");
                    expect(allows(stopgap, { action, resource, context: {} }), action).to.equal(true);
                }
            }
            for (const action of writes) {
                expect(mayWrite(stopgap, action, [tagKey, sinceKey])).to.equal(true);
                for (const keys of [["Name"], [tagKey, "Name"], []]) {
                    expect(mayWrite(stopgap, action, keys), keys.join()).to.equal(false);
                }
            }
        });
    });

    it("shows a status as npm run status prints it", () => {
        const shown = readme.namedBlock("status");
        const [, ...rows] = shown.trimEnd().split("\n");
        const statuses = rows.map((row): GroupStatus => {
            const [group = "", , desired, inService, id = "", since, minutes] = row.split(/\s+/);
            const leaders = [{ id, since, forSeconds: Number(minutes) * 60 }];
            const numbers = { desired: Number(desired), inService: Number(inService) };
            return { group, state: "led", ...numbers, leaders, reason: "fit" };
        });
        const printed = tableOf(statuses, { asgPrefixes: ["awseb-"], electorateTag: "" }, "us-east-1");
        expect(printed.startsWith(`${shown}\n2 groups`)).to.equal(true);
    });
});

describe("The policy that guards the leader's tags", () => {
    const guard = JSON.parse(deploying.namedBlock("guard"));
    const policies = [{ Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] }, guard];
    const role = guard.Statement[0].Condition.ArnNotEquals["aws:PrincipalArn"];
    const onCall = guard.Statement[1].Condition.ArnNotEquals["aws:PrincipalArn"];
    const other = "arn:aws:iam::123456789012:role/admin";

    for (const action of writes) {
        it(`lets the function's role use ${action}, and no other`, () => {
            for (const keys of [[tagKey], [sinceKey], [eligibleKey], [tagKey, sinceKey], ["Name", tagKey]]) {
                expect(mayWrite(policies, action, keys, role), keys.join()).to.equal(true);
                expect(mayWrite(policies, action, keys, other), keys.join()).to.equal(false);
            }
            expect(mayWrite(policies, action, ["Name"], other)).to.equal(true);
        });
    }

    it("lets one role pause groups, and no other", () => {
        const resource = `arn:aws:autoscaling:us-east-1:${accountId}:autoScalingGroup:1-2:autoScalingGroupName/${shop}`;
        const may = (principal: string, action: string, key: string) =>
            allows(policies, {
                action,
                resource,
                context: { "aws:TagKeys": [key], "aws:PrincipalArn": principal },
            });
        for (const action of ["autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags"]) {
            expect(may(onCall, action, pausedKey)).to.equal(true);
            expect(may(other, action, pausedKey)).to.equal(false);
            expect(may(other, action, "Name")).to.equal(true);
        }
    });

    it("names a role as the stack's output does", async () => {
        expect(role).to.equal((await programWith()).outputs.roleArn);
    });
});
