// Changing the leader: demotions before promotions, what a refused write costs, and the since that a promotion writes.
import { expect } from "chai";
import { denied, failing, failOnce, timedOut } from "../simulator/aws/faults";
import { groupKey } from "../simulator/aws/region";
import { callsOf, countLeaders, loggedAt, writesIn } from "../simulator/changes";
import { atFive, minute, second } from "../simulator/clock";
import { only } from "../simulator/lists";
import { addMembers, leading, type Options, standby, vetoed } from "../simulator/members";
import { a, b, c, d, shop, sinceKey, tagKey } from "../simulator/names";
import { leadersOf, quietRule, rule, sweep } from "../simulator/scenario";
import type { World } from "../simulator/world";

/** A leader that may stay, and hands over to a fit member. */
const unfitLeader: Options = leading(atFive, standby);

describe("An election", () => {
    describe("demotes before it promotes", () => {
        rule("so that there is no moment with two leaders", async (world) => {
            addMembers(world, {
                [a]: unfitLeader,
                [b]: leading(undefined, { lifecycleState: "Terminating:Wait" }),
                [c]: {},
            });
            const counts = countLeaders(world);
            await sweep(world);
            expect(counts).to.deep.equal([0, 1]);
            expect(leadersOf(world)).to.deep.equal([c]);
        });

        quietRule("and promotes none if a demotion is not answered, whether it took effect or not", async (world) => {
            addMembers(world, { [a]: unfitLeader, [b]: {} });
            world.region.addInstance("awseb-blog", unfitLeader);
            world.region.addInstance("awseb-blog");
            world.region.fault = failing("ec2:DeleteTags", timedOut);
            const reports = await sweep(world);
            expect(reports.map(({ outcome }) => outcome)).to.deep.equal(["failed", "failed"]);
            world.region.fault = failOnce("ec2:DeleteTags", { error: timedOut, afterEffect: true });
            await sweep(world);
            expect(callsOf(world, "ec2:CreateTags")).to.deep.equal([]);
            expect(leadersOf(world)).to.deep.equal([]);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
        });
    });

    describe("whose choice is gone when it is tagged", () => {
        /** Takes the first of the ids that are to be tagged away, so often. */
        function takeAway({ region }: World, action: string, times: number): string[] {
            const gone: string[] = [];
            region.fault = (call) => {
                if (call.action === action && gone.length < times) {
                    const [id] = call.input.Resources;
                    gone.push(id);
                    region.unlist(id);
                    region.instances.delete(id);
                }
                return undefined;
            };
            return gone;
        }

        rule("tags the next in rank", async (world) => {
            addMembers(world, { [a]: { load: 50 }, [b]: { load: 10 }, [c]: { load: 30 } });
            takeAway(world, "ec2:CreateTags", 1);
            expect(only(await sweep(world))).to.include({ outcome: "elected", leader: c });
            expect(leadersOf(world)).to.deep.equal([c]);
        });

        rule("has failed if none is left", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            takeAway(world, "ec2:CreateTags", 2);
            expect(only(await sweep(world)).outcome).to.equal("failed");
            expect(leadersOf(world)).to.deep.equal([]);
        });

        rule("promotes a successor even if the leader that it demotes is gone", async (world) => {
            addMembers(world, { [a]: leading(atFive, { lifecycleState: "Terminating" }), [b]: {} });
            takeAway(world, "ec2:DeleteTags", 1);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
        });
    });

    describe("with a leader that EC2 is ending", () => {
        const ending = leading(atFive, { state: "shutting-down" });

        rule("takes its tag when the successor gets it, so that its work ends, too", async (world) => {
            addMembers(world, { [a]: ending, [b]: {} });
            const report = only(await sweep(world));
            expect(world.region.tags(a)).to.deep.equal({ [groupKey]: shop, [sinceKey]: atFive });
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(report).to.deep.include({ outcome: "elected", leader: b, demoted: [a] });
            const taking = only(callsOf(world, "ec2:DeleteTags"));
            const giving = only(callsOf(world, "ec2:CreateTags"));
            expect(taking.start).to.equal(giving.start);
        });

        for (const error of [denied, timedOut]) {
            rule(`promotes a successor although AWS answers ${error.name}, with a warning`, async (world) => {
                addMembers(world, { [a]: ending, [b]: {} });
                world.region.fault = failing("ec2:DeleteTags", error);
                expect(only(await sweep(world))).to.include({ outcome: "elected", leader: b });
                expect(leadersOf(world)).to.deep.equal([b]);
                expect(JSON.stringify(loggedAt("warn", world)))
                    .to.contain("ec2:DeleteTags")
                    .and.contain(error.name);
            });
        }
    });

    describe("whose choice AWS refuses to tag", () => {
        const candidates = { [b]: { load: 10 }, [c]: { load: 30 }, [d]: { load: 50 } };

        rule("tags the next in rank", async (world) => {
            addMembers(world, { [a]: unfitLeader, ...candidates });
            world.region.fault = failing("ec2:CreateTags", denied, [b, c]);
            expect(only(await sweep(world))).to.deep.include({ outcome: "elected", leader: d, demoted: [a] });
            expect(leadersOf(world)).to.deep.equal([d]);
        });

        rule("gives the leader its tag back if AWS refuses for all, with the since that it had", async (world) => {
            addMembers(world, { [a]: unfitLeader, ...candidates });
            const before = world.region.tags(a);
            world.region.fault = failing("ec2:CreateTags", denied, [b, c, d]);
            const report = only(await sweep(world));
            expect(report).to.include({ outcome: "failed", leader: a, since: atFive });
            expect(report.reason).to.contain(denied.name);
            expect(world.region.tags(a)).to.deep.equal(before);
        });

        const barred: Record<string, (world: World) => void> = {
            "is vetoed": ({ region }) => region.setTags(a, vetoed.tags ?? {}),
            "is shutting down": ({ region }) => region.setState(a, "shutting-down"),
            "its group does not list": ({ region }) => region.unlist(a),
        };
        for (const [why, bar] of Object.entries(barred)) {
            quietRule(`gives no tag back to a leader that ${why}`, async (world) => {
                addMembers(world, { [a]: leading(atFive), ...candidates });
                bar(world);
                world.region.fault = failing("ec2:CreateTags", denied, [b, c, d]);
                expect(only(await sweep(world))).to.include({ outcome: "failed", leader: undefined });
                expect(world.region.tags(a)[tagKey]).to.equal(undefined);
                expect(leadersOf(world)).to.deep.equal([]);
            });
        }

        rule("does not go round between demotion, refusal and giving back", async (world) => {
            addMembers(world, { [a]: unfitLeader, [b]: {} });
            world.region.fault = failing("ec2:CreateTags", denied, [b]);
            world.stack.sweeping = true;
            await world.timeline.pass(minute + second);
            const written = writesIn(world.region.calls).length;
            await world.timeline.pass(2 * minute);
            expect(leadersOf(world)).to.deep.equal([a]);
            expect(writesIn(world.region.calls)).to.have.length(written);
            await world.timeline.pass(10 * minute);
            expect(writesIn(world.region.calls).length, "a try in each three minutes").to.be.within(
                written + 1,
                written + 5 * 3,
            );
            expect(leadersOf(world)).to.deep.equal([a]);

            world.region.fault = () => undefined;
            await world.timeline.pass(5 * minute);
            expect(leadersOf(world)).to.deep.equal([b]);
        });

        rule("tries again at each sweep where no leader may stay", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            world.region.fault = failing("ec2:CreateTags", denied, [a, b]);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([]);
            world.region.fault = () => undefined;
            await sweep(world);
            expect(leadersOf(world)).to.have.length(1);
        });
    });

    describe("whose promotion is not answered", () => {
        for (const afterEffect of [false, true]) {
            quietRule(
                `promotes no other, though the write ${afterEffect ? "took" : "had no"} effect`,
                async (world) => {
                    addMembers(world, { [a]: unfitLeader, [b]: { load: 10 }, [c]: { load: 30 } });
                    const counts = countLeaders(world);
                    world.region.fault = failOnce("ec2:CreateTags", { error: timedOut, afterEffect });
                    expect(only(await sweep(world)).outcome).to.equal("failed");
                    expect(callsOf(world, "ec2:CreateTags").map(({ input }) => input.Resources)).to.deep.equal([[b]]);
                    expect(leadersOf(world)).to.deep.equal(afterEffect ? [b] : []);
                    await sweep(world);
                    expect(leadersOf(world)).to.deep.equal([b]);
                    expect(Math.max(...counts)).to.equal(1);
                },
            );
        }
    });
});
