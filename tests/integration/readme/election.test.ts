// What election/README.md says: how leaders are lost and replaced, handed over, and fenced.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { millisToSend } from "../../../election/aws/deadline";
import { decide } from "../../../election/decide";
import { sinceOf } from "../../../election/group";
import { type Way, waysToLose } from "../../failover/ways";
import { noteChanges } from "../../simulator/changes";
import { only } from "../../simulator/lists";
import { type Program, root, runProgram } from "../../simulator/stack/program";
import { inWorld } from "../../simulator/world";
import { Document, optionsOf } from "./document";
import { followerTags, group, leaderTags, sinceKey, tagKey } from "./fleet";
import { useSandbox } from "./sandbox";

const readme = new Document("election/README.md");

describe("election/README.md", function () {
    this.timeout(60_000);

    const sandbox = useSandbox("php", "aws");

    let program: Program;
    before(async () => {
        program = await runProgram();
    });

    it("the fencing token is the leader's since, and a follower goes no further", async () => {
        await sandbox.showMetadata(leaderTags);
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        const script = `${readme.shellBlock("leader-only --strict --since").text}\necho "fenced by $since"`;
        expect(await sandbox.run(script)).to.deep.include({ stdout: `fenced by ${leaderTags[sinceKey]}\n` });
        await sandbox.showMetadata(followerTags);
        expect(await sandbox.run(script)).to.deep.equal({ status: 1, stdout: "", stderr: "" });
    });

    it("the instance that is tagged so takes the lead", async () => {
        const { text } = readme.shellBlock("Key=app:isLeader:since");
        const before = Date.now();
        await sandbox.run(text);
        const call = only(sandbox.takeCalls());
        expect(call.slice(0, 3)).to.deep.equal(["aws", "ec2", "create-tags"]);
        const { "--resources": heirs = [], "--tags": written = [] } = optionsOf(call);
        const tags = Object.fromEntries(written.map((tag) => tag.match(/^Key=(.*),Value=(.*)$/)?.slice(1) ?? []));
        expect(tags).to.have.all.keys(tagKey, sinceKey);
        expect(tags[tagKey]).to.equal("true");
        const now = Date.now();
        expect(sinceOf({ since: tags[sinceKey] }, now)).to.be.within(before - 1000, now); // cut to the second

        const heir = only(heirs);
        const leader = (id: string, since: string) => ({
            id,
            listed: { id, group, lifecycleState: "InService", healthStatus: "Healthy", protected: false },
            state: "running",
            leads: true,
            since,
            vetoed: false,
            launched: false,
            warned: false,
            refused: false,
        });
        const instances = [leader("i-0", leaderTags[sinceKey]), leader(heir, tags[sinceKey])];
        const observed = {
            name: group,
            exists: true,
            desired: 2,
            paused: false,
            instances,
            orphans: [],
            triggers: [],
            protecting: [],
            emptying: [],
            latestWritten: 0,
            flapping: false,
            handingOver: false,
        };
        const decision = decide(observed, now);
        expect(decision).to.deep.include({ outcome: "kept", leader: instances[1], demote: [instances[0]] });
    });

    it("its map has every file and folder of election/", () => {
        const named = readme.namedTable("files").map(([link]) => link?.match(/^\[(.*?)\/?\]/)?.[1]);
        const there = readdirSync(join(root, "election")).filter((name) => name !== "README.md");
        expect(named).to.have.members(there);
    });

    it("the group that is paused so stays without a leader, until the tag is taken off so", async () => {
        await sandbox.run(readme.shellBlock("autoscaling create-or-update-tags").text);
        await sandbox.run(readme.shellBlock("autoscaling delete-tags").text);
        const calls = sandbox.takeCalls();
        expect(calls.map(([, service, command]) => `${service} ${command}`)).to.deep.equal([
            "autoscaling create-or-update-tags",
            "autoscaling delete-tags",
        ]);
        const [set, end] = calls.map((call) =>
            Object.fromEntries(
                only(optionsOf(call)["--tags"] ?? [])
                    .split(",")
                    .map((field) => field.split("=")),
            ),
        );
        expect(set).to.deep.equal({ ...end, Value: "true", PropagateAtLaunch: "false" });
        expect(set.ResourceType).to.equal("auto-scaling-group");
        await inWorld(program, async ({ region, fleet, stack }) => {
            fleet.addGroup(set.ResourceId, 2);
            const tags = region.groups.get(set.ResourceId)?.tags ?? {};
            tags[set.Key] = set.Value;
            stack.sweep();
            await stack.settle();
            expect(region.leaders(set.ResourceId, tagKey)).to.deep.equal([]);
            expect(stack.invocations[0]?.reports[0]?.outcome).to.equal("paused");
            delete tags[end.Key];
            stack.sweep();
            await stack.settle();
            expect(region.leaders(set.ResourceId, tagKey)).to.have.length(1);
        });
    });

    it("a message's subject is as shown, and it is given up after the seconds that it says", async () => {
        const topic = "arn:aws:sns:us-east-1:123456789012:leaders";
        const [, subject = "", name, id] = readme.prose.match(/`((awseb-\S+): (i-\w+) leads)`/) ?? [];
        await inWorld(await runProgram({ config: { changeTopicArn: topic } }), async ({ region, stack }) => {
            region.topics.set(topic, []);
            region.addInstance(name, { id });
            stack.sweep();
            await stack.settle();
            expect(region.topics.get(topic)?.map((message) => message.subject)).to.deep.equal([subject]);
        });
        expect(readme.prose.replaceAll(/\s+/g, " ")).to.include(`can't be sent within ${millisToSend / 1000} seconds`);
    });

    it("the instance that is vetoed so hands over after the pause, to a chosen successor, and leads again only without the veto", async () => {
        await sandbox.run(readme.shellBlock("eligible,Value=false").text);
        await sandbox.run(readme.shellBlock("ec2 delete-tags").text);
        const [set = [], end = []] = sandbox.takeCalls();
        expect([set, end].map(([, , command]) => command)).to.deep.equal(["create-tags", "delete-tags"]);
        const [, key = "", value] = only(optionsOf(set)["--tags"] ?? []).match(/^Key=(.*),Value=(.*)$/) ?? [];
        expect(optionsOf(end)["--tags"]).to.deep.equal([`Key=${key}`]);
        await inWorld(await runProgram({ config: { handoverSeconds: "18" } }), async (world) => {
            const { region, fleet, stack } = world;
            const [leader, other, chosen] = fleet.addGroup(group, 3);
            region.setTags(leader, { [tagKey]: "true", [sinceKey]: leaderTags[sinceKey] });
            const changes = noteChanges(world, tagKey);
            for (const id of [leader, other]) {
                region.setTags(id, { [key]: value });
            }
            await stack.settle();
            expect(changes.map(({ id }) => id)).to.deep.equal([leader, chosen]);
            expect((changes[1]?.at ?? 0) - (changes[0]?.at ?? 0)).to.be.at.least(18_000);
            fleet.crash(chosen);
            await stack.settle();
            expect(region.leaders(group, tagKey)).to.deep.equal([]);
            region.setTags(leader, { [key]: undefined });
            await stack.settle();
            expect(region.leaders(group, tagKey)).to.deep.equal([leader]);
        });
    });

    describe("the ways to lose a leader", () => {
        it("are those tried here", () => {
            expect(readme.namedTable("losses").map(([loss]) => loss)).to.deep.equal(Object.keys(waysToLose));
        });

        for (const [loss, lose] of Object.entries(waysToLose)) {
            const [, , says = ""] = readme.namedTable("losses").find(([cell]) => cell === loss) ?? [];
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

/** How long it takes from a leader's loss until one instance leads alone, with sweeps, and what EC2 calls that instance then. */
function untilRest(program: Program, lose: Way): Promise<{ seconds: number; state: string }> {
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
                found = { seconds: (timeline.now - start) / 1000, state: region.state(only(leaders)) };
            }
        });
        lose(world, leader, others);
        await timeline.pass(5 * 60_000);
        expect(region.leaders(group, tagKey), "leaders at the end").to.have.length(1);
        return found ?? { seconds: Number.NaN, state: "unknown" };
    });
}
