// What election/stack/README.md tells an operator to run, and to guard: each command does what it says, on stand-ins.
import { expect } from "chai";
import type { GroupStatus } from "../../../election/status/found";
import { tableOf } from "../../../election/status/table";
import { allows, requestsOf } from "../../simulator/aws/iam";
import { running } from "../../simulator/clock";
import { only } from "../../simulator/lists";
import { addMembers, leadersOf, leading, programWith, shop, sweep } from "../../simulator/scenario";
import { startContainer } from "../../simulator/stack/packaged";
import { accountId, type Program } from "../../simulator/stack/program";
import { inWorld } from "../../simulator/world";
import { Document, optionsOf } from "./document";
import { sinceKey, tagKey } from "./fleet";
import { useSandbox } from "./sandbox";

const readme = new Document("election/stack/README.md");
const location = { partition: "aws", region: "us-east-1", accountId };

describe("The runbook", () => {
    const sandbox = useSandbox("aws");
    let program: Program;
    before(async () => {
        program = await programWith();
    });
    beforeEach(() => sandbox.standIn("npx", "echo election-1234567"));

    /** Runs the only shell block with a text in it; the calls of the AWS CLI. */
    async function run(part: string): Promise<string[][]> {
        const { status } = await sandbox.run(readme.shellBlock(part).text);
        expect(status).to.equal(0);
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
            const reports = await world.timeline.until(invoke(JSON.parse(only(payload ?? []))));
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
        const prefix = only(optionsOf(listed)["--alarm-name-prefix"] ?? []);
        expect("no-leader-1234567".startsWith(prefix)).to.equal(true);
        expect(optionsOf(set)).to.deep.include({ "--state-value": ["ALARM"], "--alarm-name": ["no-leader-1234567"] });
    });

    it("follows the log: of the log group that the stack puts out", async () => {
        sandbox.standIn("npx", "echo /aws/lambda/election-1234567");
        const [tail] = await run("logs tail");
        expect(tail?.slice(0, 4)).to.deep.equal(["aws", "logs", "tail", "/aws/lambda/election-1234567"]);
        expect(program.outputs.logGroupName).to.equal("/aws/lambda/election-1234567");
    });

    it("keeps an instance out: the tag vetoes it", async () => {
        const [call] = await run("ec2 create-tags");
        const { "--resources": ids = [], "--tags": tags = [] } = optionsOf(call);
        const id = only(ids);
        const [, key = "", value] = only(tags).match(/^Key=(.*),Value=(.*)$/) ?? [];
        await inWorld(program, async (world) => {
            addMembers(world, { [id]: leading("2026-11-23T05:00:00.000Z"), "i-0bbbbbbbbbbbbbbbb": {} });
            world.region.setTags(id, { [key]: value });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal(["i-0bbbbbbbbbbbbbbbb"]);
        });
        const [ofGroup] = await run("create-or-update-tags");
        expect(ofGroup?.join(" ")).to.contain(`Key=${key},Value=${value},PropagateAtLaunch=true`);
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
        const scope = { stack: "", asgPrefixes: ["awseb-"], tagKey, electorateTag: "", handoverSeconds: 0 };
        const printed = tableOf(
            statuses,
            { ...scope, protectLeader: false, dryRun: true, changeTopicArn: "" },
            "us-east-1",
        );
        expect(printed.startsWith(`${shown}\n2 groups`)).to.equal(true);
    });
});

describe("The policy that guards the leader's tags", () => {
    const guard = JSON.parse(readme.namedBlock("guard"));
    const administrator = { Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
    const role = guard.Statement[0].Condition.ArnNotEquals["aws:PrincipalArn"];

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
            for (const keys of [[tagKey], [sinceKey], [tagKey, sinceKey], ["Name", tagKey]]) {
                expect(isAllowed(role, action, keys), keys.join()).to.equal(true);
                expect(isAllowed(other, action, keys), keys.join()).to.equal(false);
            }
            expect(isAllowed(other, action, ["Name"])).to.equal(true);
        });
    }

    it("names a role as the stack's output does", async () => {
        expect(role).to.equal((await programWith()).outputs.roleArn);
    });
});
