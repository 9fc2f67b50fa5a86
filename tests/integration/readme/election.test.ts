// What election/README.md says: how leaders are lost and replaced, handed over, and fenced.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { millisToSend } from "../../../election/aws/deadline";
import { sinceOf } from "../../../election/group";
import { type Way, waysToLose } from "../../failover/ways";
import { only } from "../../simulator/lists";
import { leaderTags } from "../../simulator/metadata";
import { eligibleKey, pausedKey, sinceKey, tagKey } from "../../simulator/names";
import { inOwnRegion, leadersOf, openShop, rule, sweep } from "../../simulator/scenario";
import { root } from "../../simulator/stack/program";
import { commandOf, Document, tagsOf } from "./document";
import { useSandbox } from "./sandbox";

const readme = new Document("election/README.md");
const topic = "arn:aws:sns:us-east-1:123456789012:leaders";

describe("election/README.md", () => {
    const sandbox = useSandbox("php", "aws");

    /** Runs the only shell block with a text in it; its only call. */
    async function run(part: string): Promise<string[]> {
        return only((await sandbox.run(readme.shellBlock(part).text)).calls);
    }

    it("the fencing token is the leader's since, and a follower goes no further", async () => {
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        const script = `${readme.shellBlock("leader-only --strict --since").text}\necho "fenced by $since"`;
        const [onLeader, onOther] = await sandbox.onBoth(script);
        expect(onLeader.stdout).to.equal(`fenced by ${leaderTags[sinceKey]}\n`);
        expect(onOther).to.include({ status: 1, stdout: "", stderr: "" });
    });

    it("the instance that takes the lead at once is tagged with a since of now", async () => {
        const before = Date.now() - 1000; // it is cut to the second
        const call = await run("Key=app:isLeader:since");
        expect(commandOf(call)).to.equal("aws ec2 create-tags");
        const [tag, { Key, Value: since } = {}, ...others] = tagsOf(call);
        expect([tag, Key, others]).to.deep.equal([{ Key: tagKey, Value: "true" }, sinceKey, []]);
        const now = Date.now();
        expect(sinceOf({ since }, now)).to.be.within(before, now);
    });

    it("its map has every file and folder of election/", () => {
        const named = readme.namedTable("files").map(([link]) => link?.match(/^\[(.*?)\/?\]/)?.[1]);
        const there = readdirSync(join(root, "election")).filter((name) => name !== "README.md");
        expect(named).to.have.members(there);
    });

    it("a group is paused by a tag of its own, until that is taken off", async () => {
        const [set, end] = [await run("autoscaling create-or-update-tags"), await run("autoscaling delete-tags")];
        const tag = { ResourceId: "awseb-e-x", ResourceType: "auto-scaling-group", Key: pausedKey };
        expect(tagsOf(set)).to.deep.equal([{ ...tag, Value: "true", PropagateAtLaunch: "false" }]);
        expect(tagsOf(end)).to.deep.equal([tag]);
    });

    it("an instance is vetoed by its tag, until that is taken off", async () => {
        const [set, end] = [await run("eligible,Value=false"), await run("ec2 delete-tags")];
        expect([set, end].map(commandOf)).to.deep.equal(["aws ec2 create-tags", "aws ec2 delete-tags"]);
        expect(tagsOf(set)).to.deep.equal([{ Key: eligibleKey, Value: "false" }]);
        expect(tagsOf(end)).to.deep.equal([{ Key: eligibleKey }]);
    });

    rule(
        "a message's subject is as shown, and it is given up after the seconds that it says",
        async (world) => {
            const [, subject, group, id] = readme.prose.match(/`((awseb-\S+): (i-\w+) leads)`/) ?? [];
            world.region.topics.set(topic, []);
            world.region.addInstance(group, { id });
            await sweep(world);
            expect(world.region.topics.get(topic)?.map((message) => message.subject)).to.deep.equal([subject]);
            const prose = readme.prose.replaceAll(/\s+/g, " ");
            expect(prose).to.include(`can't be sent within ${millisToSend / 1000} seconds`);
        },
        { changeTopicArn: topic },
    );

    describe("the ways to lose a leader", () => {
        const rows = readme.namedTable("losses");

        it("are those tried here", () => {
            expect(rows.map(([loss]) => loss)).to.deep.equal(Object.keys(waysToLose));
        });

        for (const [loss, lose] of Object.entries(waysToLose)) {
            const [, , says = ""] = rows.find(([cell]) => cell === loss) ?? [];
            it(`when it ${loss}: ${says}`, async () => {
                const { seconds, state } = await untilRest(lose);
                const boots = says.endsWith("leads while it boots");
                if (says.startsWith("0.4 s")) {
                    expect(seconds).to.be.within(0.3, 0.45);
                } else {
                    expect(boots || says.startsWith("up to `sweepMinutes`"), says).to.equal(true);
                    expect(seconds).to.be.within(1, boots ? 120 : 61);
                }
                expect(state).to.equal(boots ? "pending" : "running");
            });
        }
    });
});

/** How long it takes from a leader's loss until one instance leads alone, with sweeps, and what EC2 calls that instance then. */
function untilRest(lose: Way): Promise<{ seconds: number; state: string }> {
    return inOwnRegion(async (world) => {
        const { timeline, region, stack, leader, others } = await openShop(world, 3);
        stack.sweeping = true;
        const start = timeline.now;
        let found: { seconds: number; state: string } | undefined;
        // Only the function writes from here on.
        region.afterWrite.push(() => {
            const leaders = leadersOf(world);
            if (!found && leaders.length === 1) {
                found = { seconds: (timeline.now - start) / 1000, state: region.state(only(leaders)) };
            }
        });
        lose(world, leader, others);
        await timeline.pass(5 * 60_000);
        expect(leadersOf(world), "leaders at the end").to.have.length(1);
        return found ?? { seconds: Number.NaN, state: "unknown" };
    });
}
