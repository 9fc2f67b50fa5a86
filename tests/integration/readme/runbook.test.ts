// What the documents in election/stack have an operator run, and guard: each command does what it says, on stand-ins.
import { expect } from "chai";
import type { GroupStatus } from "../../../election/status/found";
import { tableOf } from "../../../election/status/table";
import { alarmsOf } from "../../program/outages";
import { allows, requestsOf, rolePolicyOf } from "../../simulator/aws/iam";
import { running } from "../../simulator/clock";
import { only } from "../../simulator/lists";
import { addMembers, leading } from "../../simulator/members";
import { shop } from "../../simulator/names";
import { leadersOf, programWith, sweep } from "../../simulator/scenario";
import { startContainer } from "../../simulator/stack/packaged";
import { accountId, type Program, runProgram } from "../../simulator/stack/program";
import { inWorld } from "../../simulator/world";
import { codeIn, Document, optionsOf } from "./document";
import { sinceKey, tagKey } from "./fleet";
import { useSandbox } from "./sandbox";

const readme = new Document("election/stack/README.md");
const monitoring = new Document("election/stack/monitoring.md");
const deploying = new Document("election/stack/deploying.md");
const topicArn = "arn:aws:sns:us-east-1:123456789012:a-topic";
const location = { partition: "aws", region: "us-east-1", accountId };

/** The commands of the AWS CLI in a cell. */
const commandsIn = (cell: string): string[] => codeIn(cell).filter((code) => code.startsWith("aws "));

/** As the mocks of Pulumi make it up. */
const computedName = (type: string, name: string): string =>
    `${name}-1234567${type === "aws:sqs/queue:Queue" ? ".fifo" : ""}`;

describe("The runbook", () => {
    const sandbox = useSandbox("aws");
    let program: Program;
    before(async () => {
        program = await programWith();
    });
    beforeEach(() => sandbox.standIn("npx", "echo election-1234567"));

    /** Runs the only shell block with a text in it; the calls of the AWS CLI. */
    const run = (part: string, document = readme) => runText(document.shellBlock(part).text);

    async function runText(text: string): Promise<string[][]> {
        const { status } = await sandbox.run(text);
        expect(status, text).to.equal(0);
        return sandbox.takeCalls().filter(([command]) => command === "aws");
    }

    it("sweeps now: the payload is what the function takes for a sweep", async () => {
        const [call] = await run("lambda invoke");
        const { "--payload": payload, "--function-name": name } = optionsOf(call);
        expect(name).to.deep.equal(["election-1234567"]);
        await inWorld(program, async (world) => {
            world.fleet.addGroup(shop, 2);
            const handler = startContainer(program);
            const invoke = (batch: Parameters<typeof handler>[0]) =>
                running.run({ dead: false }, () => handler(batch, { getRemainingTimeInMillis: () => 10_000 }));
            const reports = await world.timeline.until(invoke(JSON.parse(payload?.[0] ?? "")));
            expect(reports.map(({ group, outcome }) => [group, outcome])).to.deep.equal([[shop, "elected"]]);
            expect(leadersOf(world)).to.have.length(1);
            const refused = await invoke({} as never).catch((error) => error);
            expect(refused).to.be.an("error");
        });
    });

    it("pauses it: the mapping of the function is disabled", async () => {
        sandbox.standIn("aws", '[ "$2" != list-event-source-mappings ] || echo 11111111-2222-3333-4444-555555555555');
        const [listed, updated] = await run("update-event-source-mapping");
        expect(optionsOf(listed)["--function-name"]).to.deep.equal(["election-1234567"]);
        expect(updated?.slice(0, 3)).to.deep.equal(["aws", "lambda", "update-event-source-mapping"]);
        expect(optionsOf(updated)).to.deep.equal({
            "--no-enabled": [],
            "--uuid": ["11111111-2222-3333-4444-555555555555"],
        });
    });

    it("tries an alarm: its physical name is found by its beginning", async () => {
        sandbox.standIn("aws", '[ "$2" != describe-alarms ] || echo no-leader-1234567');
        const [listed, set] = await run("set-alarm-state");
        const { "--alarm-name-prefix": [prefix] = [], "--query": [query] = [] } = optionsOf(listed);
        expect("no-leader-1234567".startsWith(String(prefix))).to.equal(true);
        // Of all stacks' alarms of that name, those whose description is of this stack.
        const [, of = ""] = query?.match(/starts_with\(AlarmDescription, '(.*)'\)/) ?? [];
        const stackOf = async (stack: string) =>
            alarmsOf(await runProgram({ stack }))["no-leader"]?.alarmDescription.startsWith(of);
        expect([await stackOf("prod"), await stackOf("production"), await stackOf("dev")]).to.deep.equal([
            true,
            false,
            false,
        ]);
        expect(optionsOf(set)).to.deep.include({ "--state-value": ["ALARM"], "--alarm-name": ["no-leader-1234567"] });
    });

    it("follows the log: of the log group that the stack puts out", async () => {
        sandbox.standIn("npx", "echo /aws/lambda/election-1234567");
        const [tail] = await run("logs tail", monitoring);
        expect(tail?.slice(0, 4)).to.deep.equal(["aws", "logs", "tail", "/aws/lambda/election-1234567"]);
        expect(program.outputs.logGroupName).to.equal("/aws/lambda/election-1234567");
    });

    it("keeps an instance out: the tag vetoes it", async () => {
        const [call] = await run("Key=app:isLeader:eligible");
        const { "--resources": ids = [], "--tags": tags = [] } = optionsOf(call);
        const id = only(ids);
        const [, key = "", value] = only(tags).match(/^Key=(.*),Value=(.*)$/) ?? [];
        await inWorld(program, async (world) => {
            addMembers(world, { [id]: leading("2026-11-23T05:00:00.000Z"), "i-0bbbbbbbbbbbbbbbb": {} });
            world.region.setTags(id, { [key]: value });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal(["i-0bbbbbbbbbbbbbbbb"]);
        });
    });

    it("keeps a group out: it is paused, its leader loses the tag alone, and no other is elected until the pause ends", async () => {
        const inCall = (call: string[] = []) => {
            const [tags = ""] = optionsOf(call)["--tags"] ?? [];
            return Object.fromEntries(tags.split(",").map((pair) => pair.split("=")));
        };
        const [pause] = await run("create-or-update-tags");
        const [takeOff] = await run("aws ec2 delete-tags --resources");
        const [resume] = await run("autoscaling delete-tags");
        expect(inCall(pause)).to.deep.include({ ResourceType: "auto-scaling-group", PropagateAtLaunch: "false" });
        await inWorld(program, async (world) => {
            const [id = ""] = optionsOf(takeOff ?? [])["--resources"] ?? [];
            const since = "2026-11-23T05:00:00.000Z";
            addMembers(world, { [id]: leading(since), "i-0bbbbbbbbbbbbbbbb": {} });
            const group = world.region.groups.get(shop);
            Object.assign(group?.tags ?? {}, { [inCall(pause).Key]: inCall(pause).Value });
            world.region.setTags(id, { [inCall(takeOff).Key]: undefined });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([]);
            delete group?.tags[inCall(resume).Key];
            await sweep(world);
            expect(leadersOf(world)).to.have.length(1);
            expect(String(world.region.tags(leadersOf(world)[0] ?? "")[sinceKey]) > since).to.equal(true);
        });
    });

    it("makes and subscribes topics, for alarms and for changes", async () => {
        for (const [document, setting] of [
            [readme, "alarmTopicArn"],
            [monitoring, "changeTopicArn"],
        ] as const) {
            sandbox.standIn("aws", `[ "$2" != create-topic ] || echo ${topicArn}`);
            await sandbox.run(document.shellBlock(`config set ${setting}`).text);
            const calls = sandbox.takeCalls();
            expect(calls.map((call) => call.slice(1, 3).join(" "))).to.deep.equal([
                "sns create-topic",
                "sns subscribe",
                "pulumi config",
                "pulumi up",
            ]);
            expect(optionsOf(calls[1] ?? [])["--topic-arn"]).to.deep.equal([topicArn]);
            expect(calls[2]).to.deep.equal(["npx", "pulumi", "config", "set", setting, topicArn]);
        }
    });

    it("runs a saved query of the stack in a shell, over a month", async () => {
        sandbox.standIn("sleep");
        sandbox.standIn("npx", "echo /aws/lambda/election-1234567");
        sandbox.standIn(
            "aws",
            'case "$2" in describe-query-definitions) echo "fields x | limit 5" ;; start-query) echo q-1 ;; esac',
        );
        const [found, started, read] = await run("start-query", monitoring);
        const { "--query-definition-name-prefix": [name = ""] = [] } = optionsOf(found);
        const { resources } = await runProgram({ stack: "prod" });
        expect(resources.map(({ inputs }) => inputs.name)).to.include(name);
        const { "--start-time": [start] = [], "--end-time": [end] = [], ...rest } = optionsOf(started);
        expect(rest).to.deep.equal({
            "--log-group-name": ["/aws/lambda/election-1234567"],
            "--query-string": ["fields x | limit 5"],
            "--query": ["queryId"],
            "--output": ["text"],
        });
        expect(Number(end) - Number(start)).to.be.within(30 * 86_400, 30 * 86_400 + 60);
        expect(optionsOf(read)["--query-id"]).to.deep.equal(["q-1"]);
    });

    describe("has cures without a checkout, of which", () => {
        const rows = readme.namedTable("cures");
        const lines = rows.flatMap(([failure = "", cure = ""]) =>
            commandsIn(cure).map((line): [string, string] => [failure, line]),
        );

        it("each is for a failure of the runbook, and each failure that `up --refresh` cures has one", () => {
            const failures = readme.namedTable("runbook");
            expect(failures.map(([failure]) => failure)).to.include.members(rows.map(([failure]) => failure));
            const byUp = failures.filter(([, , remedy = ""]) => remedy.includes("up --refresh"));
            expect(rows.map(([failure]) => failure)).to.include.members(byUp.map(([failure]) => failure));
        });

        for (const [failure, line] of [
            ...lines,
            ...readme
                .namedTable("causes")
                .flatMap(([failure = "", cause = ""]) =>
                    commandsIn(cause).map((command): [string, string] => [failure, command]),
                ),
        ]) {
            it(`one line is a command of the AWS CLI about what the stack has: ${failure}: ${line.split(" ", 3).join(" ")}`, async () => {
                sandbox.standIn(
                    "aws",
                    '[ "$2" != list-event-source-mappings ] || echo 11111111-2222-3333-4444-555555555555',
                );
                const call = (await runText(line)).at(-1) ?? [];
                const { resources } = program;
                const named = resources.flatMap(({ inputs, name, type }) => inputs.name ?? computedName(type, name));
                const physical = call.join(" ").match(/[a-z/-]+-1234567(\.fifo)?/g) ?? [];
                const known = physical.map((one) => one.split("/").at(-1));
                expect([...named, "no-leader-1234567"].map((one) => one.split("/").at(-1))).to.include.members(known);
            });
        }

        it("the rule is the one that the program makes: its schedule, its target and the message group", async () => {
            const [[, rule = ""] = [], [, target = ""] = []] = lines.filter(([failure]) =>
                failure.includes("rule `sweep`"),
            );
            const [made] = await runText(rule);
            const ofType = (type: string) =>
                program.resources.find((one) => one.type.endsWith(type) && one.name === "sweep");
            expect(optionsOf(made ?? [])).to.deep.equal({
                "--name": ["sweep-1234567"],
                "--schedule-expression": [ofType(":EventRule")?.inputs.scheduleExpression],
                "--state": ["ENABLED"],
            });
            const [aimed] = await runText(target);
            const { arn, sqsTarget } = ofType(":EventTarget")?.inputs ?? {};
            expect(optionsOf(aimed ?? [])["--targets"]).to.deep.equal([
                `Id=queue,Arn=${arn},SqsParameters={MessageGroupId=${sqsTarget.messageGroupId}}`,
            ]);
        });

        it("the queue is the one that the program makes", async () => {
            const [, line = ""] = lines.find(([failure]) => failure === "the queue is gone") ?? [];
            const [call] = await runText(line);
            const { inputs } = program.resources.find(({ type }) => type === "aws:sqs/queue:Queue") ?? {};
            expect(optionsOf(call ?? [])["--attributes"]).to.deep.equal([
                `FifoQueue=${inputs.fifoQueue},ContentBasedDeduplication=${inputs.contentBasedDeduplication},` +
                    `VisibilityTimeout=${inputs.visibilityTimeoutSeconds},MessageRetentionPeriod=${inputs.messageRetentionSeconds}`,
            ]);
        });

        it("the queue's policy lets the stack's rules send", () => {
            const policy = JSON.parse(JSON.parse(readme.namedBlock("queue")).Policy);
            for (const name of ["scaling", "departures", "tags", "sweep"]) {
                const source = `arn:aws:events:us-east-1:${accountId}:rule/${name}-1234567`;
                const request = {
                    action: "sqs:SendMessage",
                    resource: `arn:aws:sqs:us-east-1:${accountId}:events-1234567.fifo`,
                    context: { "aws:PrincipalServiceName": "events.amazonaws.com", "aws:SourceArn": source },
                };
                expect(allows(policy, request), name).to.equal(true);
                const other = { ...request.context, "aws:SourceArn": source.replace(accountId, "999999999999") };
                expect(allows(policy, { ...request, context: other })).to.equal(false);
            }
        });

        it("the stopgap lets the role read and tag, and delete no other tag", () => {
            const stopgap = JSON.parse(readme.namedBlock("stopgap"));
            const needed = rolePolicyOf(program)
                .Statement.flatMap(({ Action }) => Action)
                .filter((action) => /^(autoscaling|ec2|cloudwatch):/.test(action) && !/Tags$/.test(action));
            for (const action of needed) {
                expect(allows(stopgap, { action, resource: "*", context: {} }), action).to.equal(true);
            }
            const may = (action: "ec2:CreateTags" | "ec2:DeleteTags", keys: string[]) =>
                requestsOf(action, ["i-1"], keys, () => shop, location).every((request) => allows(stopgap, request));
            for (const action of ["ec2:CreateTags", "ec2:DeleteTags"] as const) {
                expect(may(action, [tagKey, sinceKey])).to.equal(true);
                expect(may(action, ["Name"]) || may(action, [tagKey, "Name"]) || may(action, [])).to.equal(false);
            }
        });
    });

    it("shows a status as npm run status prints it", () => {
        const shown = readme.text.match(/<!-- status -->\n+```text\n(.*?)```/s)?.[1] ?? "";
        const [, ...rows] = shown.trimEnd().split("\n");
        const statuses = rows.map((row): GroupStatus => {
            const [group = "", state, desired, inService, id = "", since, minutes] = row.split(/\s+/);
            const leader = { id, since, forSeconds: Number(minutes) * 60 };
            return {
                group,
                state: state as "led",
                desired: Number(desired),
                inService: Number(inService),
                leaders: [leader],
                reason: "fit",
            };
        });
        const printed = tableOf(statuses, { asgPrefixes: ["awseb-"], electorateTag: "" }, "us-east-1");
        expect(printed.startsWith(`${shown}\n2 groups`)).to.equal(true);
    });
});

describe("The policy that guards the leader's tags", () => {
    const guard = JSON.parse(deploying.namedBlock("guard"));
    const administrator = { Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
    const role = guard.Statement[0].Condition.ArnNotEquals["aws:PrincipalArn"];
    const eligibleKey = `${tagKey}:eligible`;

    const isAllowed = (principal: string, action: "ec2:CreateTags" | "ec2:DeleteTags", keys: string[]) =>
        requestsOf(action, ["i-1"], keys, () => shop, location).every((request) =>
            allows([administrator, guard], {
                ...request,
                context: { ...request.context, "aws:PrincipalArn": principal },
            }),
        );
    const other = "arn:aws:iam::123456789012:role/admin";

    for (const action of ["ec2:CreateTags", "ec2:DeleteTags"] as const) {
        it(`lets the function's role use ${action}, and no other`, () => {
            for (const keys of [[tagKey], [sinceKey], [eligibleKey], [tagKey, sinceKey], ["Name", tagKey]]) {
                expect(isAllowed(role, action, keys), keys.join()).to.equal(true);
                expect(isAllowed(other, action, keys), keys.join()).to.equal(false);
            }
            expect(isAllowed(other, action, ["Name"])).to.equal(true);
        });
    }

    it("lets one role pause groups, and no other", () => {
        const onCall = guard.Statement[1].Condition.ArnNotEquals["aws:PrincipalArn"];
        const resource = `arn:aws:autoscaling:us-east-1:${accountId}:autoScalingGroup:1-2:autoScalingGroupName/${shop}`;
        const may = (principal: string, action: string, key: string) =>
            allows([administrator, guard], {
                action,
                resource,
                context: { "aws:TagKeys": [key], "aws:PrincipalArn": principal },
            });
        for (const action of ["autoscaling:CreateOrUpdateTags", "autoscaling:DeleteTags"]) {
            expect(may(onCall, action, `${tagKey}:paused`)).to.equal(true);
            expect(may(other, action, `${tagKey}:paused`)).to.equal(false);
            expect(may(other, action, "Name")).to.equal(true);
        }
    });

    it("names a role as the stack's output does", async () => {
        expect(role).to.equal((await programWith()).outputs.roleArn);
    });
});
