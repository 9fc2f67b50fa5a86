// What the README says: its commands run, its tables hold, its links lead somewhere.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { decide, sinceOf } from "../../election/decide";
import { readSettings } from "../../election/stack/settings";
import { type BusEvent, tagEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { matches } from "../simulator/aws/patterns";
import { configuration, declarations, type Program, project, root, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";
import { Moto, motoIsInstalled } from "./moto";
import { Bench, blocks, codeIn, namedBlock, namedTable, type Outcome, readme, shellBlock, slugOf } from "./readme";

const tagKey = "app:isLeader";
const sinceKey = "app:isLeader:since";
const groupKey = "aws:autoscaling:groupName";
const group = "awseb-shop";
const instance = { id: "i-0123456789abcdef0", region: "eu-central-1" };
const leaderTags = { [groupKey]: group, [tagKey]: "true", [sinceKey]: "2026-11-23T05:00:00.000Z" };
const followerTags = { [groupKey]: group };

const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts;
const shellBlocks = blocks.filter(({ language }) => language === "sh");

/** What a command was called with, as the CLI would take it: the values of each option, under its name. */
function optionsOf(call: string[]): Record<string, string[]> {
    const options: Record<string, string[]> = {};
    let values: string[] = [];
    for (const word of call.slice(3)) {
        if (word.startsWith("--")) {
            values = [];
            options[word] = values;
        } else {
            values.push(word);
        }
    }
    return options;
}

/** `Name=a,Values=b,c`, the CLI's short form of a filter. */
function filterOf(short: string): { Name: string; Values: string[] } {
    const [, Name, values] = short.match(/^Name=([^,]+),Values=(.+)$/) ?? [];
    return { Name, Values: values.split(",") };
}

describe("The README", function () {
    this.timeout(30_000);

    let program: Program;
    let withAll: Program;
    let bench: Bench;
    before(async () => {
        program = await runProgram();
        withAll = await runProgram({
            config: { electorateTag: "environment", protectLeader: "true", dashboard: "true" },
        });
    });
    beforeEach(() => {
        bench = new Bench();
        bench.standIn("php");
        bench.standIn("aws");
    });
    afterEach(() => bench.close());

    const named = (type: string, of = withAll) =>
        of.resources.filter((resource) => resource.type.endsWith(`:${type}`)).map(({ name }) => name);

    describe("leads only to what is there:", () => {
        const headings = [...readme.replaceAll(/^```.*?^```$/gms, "").matchAll(/^#+ (.+)$/gm)].map(([, text]) => text);
        const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link);

        it("every section that it links to", () => {
            const sections = links.filter((link) => link.startsWith("#"));
            expect(sections).to.have.length.above(5);
            expect(headings.map((heading) => `#${slugOf(heading)}`)).to.include.members(sections);
        });

        it("every file", () => {
            const files = links.filter((link) => !/^(#|https:)/.test(link));
            expect(files).to.include.members(["LICENSE", "election/instance/leader-only", "index.ts"]);
            expect(files.filter((file) => !existsSync(join(root, file)))).to.deep.equal([]);
        });

        it("every npm script", () => {
            const named = [...readme.matchAll(/\bnpm (?:run )?([a-z]+)/g)].map(([, name]) => name);
            expect(named).to.include.members(["start", "test", "check"]);
            expect([...Object.keys(scripts), "ci"]).to.include.members(named);
        });

        it("every output of the stack", () => {
            const mentioned = [...readme.matchAll(/stack output (\w+)|outputs? `(\w+)`/g)].map(([, a, b]) => a ?? b);
            expect(mentioned).to.include("leadersCommand");
            expect(Object.keys(program.outputs)).to.include.members(mentioned);
        });
    });

    describe("has blocks of which", () => {
        it("each in sh is a shell script without a syntax error", () => {
            expect(shellBlocks).to.have.length.above(15);
            for (const { text } of shellBlocks) {
                const { status, stderr } = spawnSync("sh", ["-n"], { input: text, encoding: "utf8" });
                expect({ status, stderr }, text).to.deep.equal({ status: 0, stderr: "" });
            }
        });

        it("those that use aws, pulumi or the script for instances say where they work", () => {
            const unmarked = shellBlocks.filter(({ where }) => where === "here").map(({ text }) => text);
            expect(unmarked.filter((text) => /\b(aws|pulumi|leader-only|curl)\b/.test(text))).to.deep.equal([]);
        });

        it("each in json is JSON", () => {
            const texts = blocks.filter(({ language }) => language === "json").map(({ text }) => text);
            expect(texts).to.have.length.above(2);
            expect(() => texts.map((text) => JSON.parse(text))).to.not.throw();
        });

        it("those for this machine are the two commands", () => {
            const texts = shellBlocks.filter(({ where }) => where === "here").map(({ text }) => text.trim());
            expect(texts).to.deep.equal(["npm ci && npm start", "npm ci && npm test"]);
        });
    });

    describe("tells how to try it:", () => {
        it("npm start plays what the excerpt shows", async function () {
            this.timeout(120_000);
            bench.standIn("npm", '[ "$1" = ci ] || exec npm "$@"');
            const { status, stdout, stderr } = await bench.run(shellBlock("npm start").text, root);
            expect({ status, stderr }).to.deep.equal({ status: 0, stderr: "" });
            expect(bench.takeCalls()).to.deep.equal([
                ["npm", "ci"],
                ["npm", "start"],
            ]);
            const lines = stdout.split("\n");
            for (const line of namedBlock("rehearsal").trimEnd().split("\n")) {
                const place = line === "[…]" ? 0 : lines.indexOf(line);
                expect(place, `the line in what npm start prints next: ${line}`).to.be.at.least(0);
                lines.splice(0, line === "[…]" ? 0 : place + 1);
            }
        });

        it("npm test", async () => {
            bench.standIn("npm");
            expect((await bench.run(shellBlock("npm test").text)).status).to.equal(0);
            expect(bench.takeCalls()).to.deep.equal([
                ["npm", "ci"],
                ["npm", "test"],
            ]);
        });
    });

    describe("tells how to deploy:", () => {
        const known = ["login", "stack init", "stack output", "stack rm", "config set", "up", "destroy"];

        it("every pulumi command is one, and what it sets are settings and values that are allowed", async () => {
            bench.standIn("npm");
            bench.standIn("npx");
            const deploying = shellBlocks.filter(({ text }) => text.includes("npx pulumi"));
            for (const { text, where } of deploying) {
                expect(where, text).to.equal("AWS");
                await bench.run(text);
            }
            const inline = codeIn(readme.replaceAll(/^ *```.*?^ *```$/gms, ""))
                .filter((code) => code.startsWith("npx pulumi ") && !code.includes("KEY"))
                .map((code) => code.split(" "));
            const calls = [...bench.takeCalls().filter(([command]) => command === "npx"), ...inline];
            expect(calls).to.have.length.above(8);
            for (const [, pulumi, ...words] of calls) {
                expect(pulumi).to.equal("pulumi");
                const command = known.find((one) => words.join(" ").startsWith(one));
                expect(command, words.join(" ")).to.be.a("string");
                if (command === "config set") {
                    const [, , key, value] = words;
                    const config = configuration({ [key]: value });
                    expect(["aws:region", ...Object.keys(declarations)]).to.include(key);
                    expect(() => readSettings((name) => config[`${project}:${name}`])).to.not.throw();
                }
            }
        });

        it("the leaders are listed by what the stack's output says", async () => {
            bench.standIn("npx", `cat <<'OUTPUT'\n${program.outputs.leadersCommand}\nOUTPUT`);
            const { status } = await bench.run(shellBlock("stack output leadersCommand").text);
            const [asked, listed] = bench.takeCalls();
            expect(status).to.equal(0);
            expect(asked).to.deep.equal(["npx", "pulumi", "stack", "output", "leadersCommand"]);
            expect(listed.slice(0, 3)).to.deep.equal(["aws", "ec2", "describe-instances"]);
        });

        describe("the tags of leaders that are left behind", () => {
            const { text } = shellBlock("delete-tags");
            const leaders = Array.from({ length: 1200 }, (_, number) => `i-${String(number).padStart(17, "0")}`);

            /** Runs it where EC2 finds these leaders, and says what it asked for and what it deleted. */
            async function untag(found: string[]) {
                // The CLI puts a tab between the instances of one reservation.
                const body = found.length > 0 ? `printf '${found.join("\\t").replaceAll("9\\t", "9\\n")}\\n'` : ":";
                bench.standIn("aws", `[ "$2" != describe-instances ] || ${body}`);
                expect((await bench.run(text)).status).to.equal(0);
                const [read, ...writes] = bench.takeCalls();
                return { read, writes };
            }

            it("are looked for as the stack's output looks for leaders", async () => {
                bench.standIn("aws");
                await bench.run(program.outputs.leadersCommand);
                const [listing] = bench.takeCalls();
                const { read } = await untag([]);
                expect(read.slice(0, 3)).to.deep.equal(listing.slice(0, 3));
                const [filters] = optionsOf(listing)["--filters"];
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
    });

    describe("tells how an instance asks:", () => {
        const onLeader = () => bench.showMetadata(leaderTags, instance);
        const onFollower = () => bench.showMetadata(followerTags, instance);
        const installed = () => bench.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");

        /** Runs a block on the leader and on a follower, and gives what PHP was asked to do on each. */
        async function whatRuns(block: string): Promise<string[][][]> {
            const runs: string[][][] = [];
            for (const [launch, status] of [
                [onLeader, 0],
                [onFollower, 0],
            ] as const) {
                await launch();
                expect(await bench.run(block)).to.deep.equal({ status, stdout: "", stderr: "" });
                runs.push(bench.takeCalls());
            }
            return runs;
        }

        it("a command runs on the leader only", async () => {
            await onLeader();
            await installed();
            const { text } = shellBlock("leader-only php artisan schedule:run");
            expect(await whatRuns(text)).to.deep.equal([[["php", "artisan", "schedule:run"]], []]);
        });

        it("after installing the script an instance says whether it leads", async () => {
            const { text } = shellBlock("install -m 755 election/instance/leader-only");
            await onLeader();
            expect(await bench.run(text)).to.deep.include({ status: 0, stdout: "this instance leads\n" });
            await onFollower();
            expect(await bench.run(text)).to.deep.include({ status: 1, stdout: "" });
        });

        it("the lines for cron and systemd run their command on the leader only", async () => {
            await onLeader();
            await installed();
            const cron = blocks.find(({ language }) => language === "cron")?.text.match(/www-data (.*)$/m)?.[1];
            const unit = blocks.map(({ text }) => text.match(/^ExecStart=(.*)$/m)?.[1]).find((line) => line);
            for (const command of [cron, unit]) {
                expect(await whatRuns(String(command))).to.deep.equal([
                    [["php", "/var/www/shop/artisan", "schedule:run"]],
                    [],
                ]);
            }
        });

        it("Elastic Beanstalk's hook runs its command on the leader only, and fails if there is no telling", async () => {
            const { text } = shellBlock("artisan migrate");
            expect(await whatRuns(text)).to.deep.equal([[["php", "artisan", "migrate", "--force"]], []]);
            bench.hideMetadata();
            expect((await bench.run(text)).status).to.equal(2);
            expect(bench.takeCalls()).to.deep.equal([]);
        });

        it("the hook that turns metadata tags on does so for this instance", async () => {
            await onFollower();
            const { text } = shellBlock('--region "$region" --instance-id "$id"');
            expect((await bench.run(text)).status).to.equal(0);
            const [call, ...others] = bench.takeCalls();
            expect(others).to.deep.equal([]);
            expect(call.slice(0, 3)).to.deep.equal(["aws", "ec2", "modify-instance-metadata-options"]);
            expect(optionsOf(call)).to.deep.equal({
                "--region": [instance.region],
                "--instance-id": [instance.id],
                "--instance-metadata-tags": ["enabled"],
            });
        });

        it("curl prints true on the leader, and fails with 404 on a follower", async () => {
            const { text } = shellBlock("meta-data/tags/instance/app:isLeader");
            await onLeader();
            expect(await bench.run(text)).to.deep.include({ status: 0, stdout: "true" });
            await onFollower();
            const { status, stdout, stderr }: Outcome = await bench.run(text);
            expect({ status, stdout }).to.deep.equal({ status: 22, stdout: "" });
            expect(stderr).to.include("404");
        });

        it("the AWS CLI is asked for the leader tag of one instance", async () => {
            await bench.run(shellBlock("describe-tags").text);
            const [call] = bench.takeCalls();
            expect(call.slice(0, 3)).to.deep.equal(["aws", "ec2", "describe-tags"]);
            const { "--filters": filters, "--query": query, "--output": output } = optionsOf(call);
            expect(filters.map(filterOf)).to.deep.equal([
                { Name: "resource-id", Values: [instance.id] },
                { Name: "key", Values: [tagKey] },
            ]);
            expect([query, output]).to.deep.equal([["Tags[].Value"], ["text"]]);
        });

        it("the fencing token is the leader's since, and a follower goes no further", async () => {
            await onLeader();
            await installed();
            const script = `${shellBlock("leader-only --strict --since").text}\necho "fenced by $since"`;
            expect(await bench.run(script)).to.deep.include({ stdout: `fenced by ${leaderTags[sinceKey]}\n` });
            await onFollower();
            expect(await bench.run(script)).to.deep.equal({ status: 1, stdout: "", stderr: "" });
        });

        it("the options are the script's", () => {
            const { stdout } = spawnSync(join(root, "election", "instance", "leader-only"), ["--help"], {
                encoding: "utf8",
            });
            const rows = [...readme.matchAll(/^\| `(--[a-z]+)/gm)].map(([, option]) => option);
            expect(rows).to.have.members(stdout.match(/^ +--[a-z]+/gm)?.map((option) => option.trim()) ?? []);
        });
    });

    describe("tells how to hand over:", () => {
        it("the instance that is tagged so takes the lead", async () => {
            const { text } = shellBlock("create-tags");
            const before = Date.now();
            await bench.run(text);
            const [call] = bench.takeCalls();
            expect(call.slice(0, 3)).to.deep.equal(["aws", "ec2", "create-tags"]);
            const { "--resources": heirs, "--tags": written } = optionsOf(call);
            const tags = Object.fromEntries(written.map((tag) => tag.match(/^Key=(.*),Value=(.*)$/)?.slice(1) ?? []));
            expect(tags).to.have.all.keys(tagKey, sinceKey);
            expect(tags[tagKey]).to.equal("true");
            const now = Date.now();
            expect(sinceOf({ since: tags[sinceKey] }, now)).to.be.within(before - 1000, now); // cut to the second

            const [heir] = heirs;
            const member = (id: string) => ({
                id,
                group,
                lifecycleState: "InService",
                healthStatus: "Healthy",
                protected: false,
            });
            const leaders = [
                { id: "i-0", state: "running", since: leaderTags[sinceKey] },
                { id: heir, state: "running", since: tags[sinceKey] },
            ];
            const observed = {
                name: group,
                exists: true,
                members: ["i-0", heir].map(member),
                leaders,
                strays: [],
                triggers: [],
            };
            const decision = decide(observed, { launched: new Set(), warned: new Set() }, now);
            expect(decision).to.deep.include({ outcome: "kept", leader: leaders[1], demote: ["i-0"] });
        });
    });

    describe("has tables of which", () => {
        it("the settings are those of Pulumi.yaml, in its order, with its defaults", () => {
            const rows = namedTable("settings").map(([key, value]) => [key, value]);
            const shown = (value: unknown) => (value === "" ? "empty" : `\`${value}\``);
            expect(rows).to.deep.equal(
                Object.entries(declarations).map(([key, { default: value }]) => [`\`${key}\``, shown(value)]),
            );
        });

        it("the permissions are those of the role", () => {
            const { policy } = withAll.resources.find(({ type }) => type.endsWith(":RolePolicy"))?.inputs ?? {};
            const allowed = JSON.parse(policy).Statement.flatMap(({ Action }: { Action: string | string[] }) => Action);
            expect(namedTable("permissions").flatMap(([actions]) => codeIn(actions))).to.have.members([
                ...new Set(allowed),
            ]);
        });

        it("the alarms and the saved queries are those of the stack", () => {
            const rows = (name: string) => namedTable(name).flatMap(([cell]) => codeIn(cell));
            expect(rows("alarms")).to.have.members(named("MetricAlarm"));
            expect(rows("queries")).to.have.members(named("QueryDefinition"));
        });

        it("the fields of a report are those that the function logs", async () => {
            const { reports } = await whatIsSaid(withAll);
            const fields = namedTable("report").flatMap(([cell]) => codeIn(cell));
            expect([...new Set(reports.flatMap((report) => Object.keys(report)))]).to.have.members(fields);
            const rows = namedTable("report").find(([cell]) => cell === "`outcome`") ?? [];
            expect(codeIn(rows[1])).to.include.members([...new Set(reports.map(({ outcome }) => outcome))]);
        });

        it("the example of a line has what a line has", async () => {
            const { reports } = await whatIsSaid(program);
            const elected = reports.find(({ outcome }) => outcome === "elected");
            const line = blocks.map(({ text }) => text).find((text) => text.includes('"requestId"'));
            const { message } = JSON.parse(String(line));
            expect(Object.keys(message)).to.deep.equal(Object.keys(elected ?? {}));
            expect(message.candidates).to.include(message.leader);
        });

        it("the metrics are those that the function measures", async () => {
            const { metrics } = await whatIsSaid(withAll);
            expect(namedTable("metrics").flatMap(([cell]) => codeIn(cell))).to.have.members([...metrics.keys()]);
            expect(metrics.get("LeaderChanges")).to.deep.equal([["Stack"], ["Stack", "Group"]]);
            expect(metrics.get("Groups")).to.deep.equal([["Stack"]]);
        });

        describe("the ways to lose a leader", () => {
            const losses: Record<string, (world: World, leader: string, others: string[]) => void> = {
                "is scaled in, terminated or replaced, or crashes": ({ fleet }, leader) => fleet.crash(leader),
                "is scaled in through a lifecycle hook": ({ fleet }, leader) => fleet.terminate(leader, { hook: true }),
                "is stopped": ({ fleet }, leader) => fleet.stop(leader),
                "gets a Spot interruption warning": ({ fleet }, leader) => fleet.warn(leader),
                "is detached from its group": ({ fleet }, leader) => fleet.detach(leader),
                "has its tag taken off or changed by somebody": ({ region }, leader) =>
                    region.setTags(leader, { [tagKey]: "false" }),
                "has its tag copied to another instance": ({ region }, _, [copy]) =>
                    region.setTags(copy, { [tagKey]: "true", [sinceKey]: "2026-11-23T04:00:00.000Z" }),
                "becomes unhealthy, or goes to Standby": ({ fleet }, leader) => fleet.enterStandby(leader),
                "is lost in any of these ways, and the event never comes": ({ fleet, stack }, leader) => {
                    stack.fate = () => [];
                    fleet.crash(leader);
                },
                "was the only member": ({ fleet }, leader) => {
                    for (const id of fleet.members(group)) {
                        fleet.crash(id);
                    }
                    fleet.crash(leader);
                },
            };

            it("are those tried here", () => {
                expect(namedTable("losses").map(([loss]) => loss)).to.deep.equal(Object.keys(losses));
            });

            for (const [loss, lose] of Object.entries(losses)) {
                const [, , says = ""] = namedTable("losses").find(([cell]) => cell === loss) ?? [];
                it(`when it ${loss}: ${says}`, async () => {
                    const { seconds, state } = await untilRest(program, lose);
                    if (says.startsWith("0.4 s")) {
                        expect(seconds).to.be.within(0.3, 0.45);
                    } else if (says.startsWith("up to `sweepMinutes`")) {
                        expect(seconds).to.be.within(1, 61);
                    } else {
                        expect(says).to.match(/leads while it boots/);
                        expect(seconds).to.be.within(1, 120);
                    }
                    expect(state).to.equal(says.includes("boots") ? "pending" : "running");
                });
            }
        });
    });

    describe("reckons costs", () => {
        const groups = [1, 50, 500];
        const sweepSeconds = [0.15, 0.2, 1];
        const sweeps = 43_800;
        const hours = 730;
        const costs = groups.map((count, place) => {
            const invocations = sweeps + 320 * count;
            const seconds = sweeps * sweepSeconds[place] + 320 * count * 0.15;
            const gigabytes = (invocations * 1.5) / 1e6;
            const changeHours = 10 * count + Math.min(10 * count, hours);
            return [
                (invocations / 1e6) * 0.2,
                seconds * 0.25 * 0.0000133334,
                ((15 * sweeps + 3 * invocations) / 1e6) * 0.5,
                0,
                gigabytes * (0.5 + 0.03),
                4 * 0.3,
                (changeHours / hours) * 0.3,
                4 * 0.1,
                ((10 * 10 * count) / 1000) * 0.01,
            ];
        });
        const cents = (cell: string) => Math.round(Number(cell.replaceAll("*", "")) * 100);
        const rows = namedTable("costs").map(([, ...cells]) => cells.map(cents));

        it("as it says how", () => {
            const expected = costs[0].map((_, line) => groups.map((_, place) => Math.round(costs[place][line] * 100)));
            expect(rows.slice(0, -1)).to.deep.equal(expected);
        });

        it("and adds them up", () => {
            const sums = groups.map((_, place) => rows.slice(0, -1).reduce((sum, row) => sum + row[place], 0));
            expect(rows.at(-1)).to.deep.equal(sums);
        });

        it("for as many metrics as the alarms watch", () => {
            const inputs = program.resources.filter(({ type }) => type.endsWith(":MetricAlarm"));
            const watched = inputs.flatMap(({ inputs: { metricName, metricQueries = [] } }) => [
                ...(metricName ? [metricName] : []),
                ...metricQueries.filter(({ metric }: { metric?: object }) => metric),
            ]);
            expect(watched).to.have.length(4);
        });
    });

    describe("tells how to react to a change:", () => {
        const pattern = JSON.parse(namedBlock("pattern"));

        it("the rule hears of each new leader of the prefix, and of nothing else", async () => {
            const heard = await inWorld(program, async ({ timeline, region, fleet, stack }) => {
                const all: BusEvent[] = [];
                region.onEvent.push((event) => all.push(event));
                fleet.addGroup(group, 3);
                const foreign = fleet.addGroup("web", 1);
                stack.sweep();
                await timeline.pass(5000);
                const [first] = region.leaders(group, tagKey);
                region.setTags(foreign[0], { [tagKey]: "true" });
                region.setTags(first, { Name: "the first" });
                region.setMember(first, { healthStatus: "Unhealthy" });
                stack.sweep();
                await timeline.pass(5000);
                const [second] = region.leaders(group, tagKey);
                expect(second).to.not.equal(first);
                expect(all).to.have.length.above(4);
                const named = all.filter((event) => matches(pattern, event)).map(({ resources }) => resources[0]);
                return named.map((arn) => [first, second].indexOf(arn.split("/")[1]));
            });
            expect(heard).to.deep.equal([0, 1]);
        });

        it("its commands make a rule of it with a target", async () => {
            await bench.run(shellBlock("put-rule").text);
            const [rule, targets] = bench.takeCalls();
            expect(rule.slice(0, 3)).to.deep.equal(["aws", "events", "put-rule"]);
            expect(targets.slice(0, 3)).to.deep.equal(["aws", "events", "put-targets"]);
            const [file] = optionsOf(rule)["--event-pattern"];
            expect(readme).to.include(`\`${file.replace("file://", "")}\``);
            expect(optionsOf(rule)["--name"]).to.deep.equal(optionsOf(targets)["--rule"]);
        });

        it("a bus over HTTP delivers just these events", async function () {
            if (!motoIsInstalled()) {
                if (process.env.CI === "true") {
                    throw new Error("moto_server is not installed: pip install 'moto[server]'");
                }
                this.skip();
            }
            const moto = await Moto.start();
            try {
                expect(await heardByBus(moto)).to.deep.equal(["i-01"]);
            } finally {
                await moto.stop();
            }
        });

        async function heardByBus(moto: Moto): Promise<string[]> {
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
        region.fault = ({ action }) =>
            action === "autoscaling:SetInstanceProtection" ? { error: awsError("AccessDenied", "no") } : undefined;
        fleet.addGroup(group, 3);
        fleet.addGroup("awseb-blog", 2, { environment: "blog" });
        fleet.addGroup("awseb-none", 0);
        stack.sweep();
        await timeline.pass(5000);
        fleet.crash(region.leaders(group, tagKey)[0]);
        await timeline.pass(5000);

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

/** How long it takes from a leader's loss until somebody leads alone, with sweeps, and what EC2 calls that instance then. */
function untilRest(
    program: Program,
    lose: (world: World, leader: string, others: string[]) => void,
): Promise<{ seconds: number; state: string }> {
    return inWorld(program, async (world) => {
        const { timeline, region, fleet, stack } = world;
        const [leader, ...others] = fleet.addGroup(group, 3);
        region.setTags(leader, { [tagKey]: "true", [sinceKey]: leaderTags[sinceKey] });
        await stack.settle();
        stack.sweeping = true;
        const start = timeline.now;
        let found: { seconds: number; state: string } | undefined;
        // Only the function writes from here on.
        region.afterWrite.push(() => {
            const leaders = region.leaders(group, tagKey);
            if (!found && leaders.length === 1) {
                found = { seconds: (timeline.now - start) / 1000, state: region.state(leaders[0]) };
            }
        });
        lose(world, leader, others);
        await timeline.pass(5 * 60_000);
        expect(region.leaders(group, tagKey), "leaders at the end").to.have.length(1);
        return found ?? { seconds: Number.NaN, state: "unknown" };
    });
}
