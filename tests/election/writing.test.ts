// Writing: demotions before promotions, what a refused write costs, and the since that a promotion writes.

import { expect } from "chai";
import { tagEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { groupKey } from "../simulator/aws/region";
import { writesIn } from "../simulator/changes";
import {
    a,
    addMembers,
    atFive,
    b,
    c,
    callsOf,
    countLeaders,
    denied,
    eventOf,
    hour,
    isoTime,
    leadersOf,
    leading,
    minute,
    type Options,
    programWith,
    receive,
    shop,
    sinceKey,
    start,
    sweep,
    tagKey,
} from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

describe("An election", () => {
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    /** A test in a region of its own, which has this stack and nothing else in it. */
    function rule(name: string, act: (world: World) => Promise<void>): void {
        it(name, () => inWorld(program, act));
    }

    describe("that finds what it would write (rule 1)", () => {
        rule("writes nothing, and so ends the echo of its own tag events", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {}, [c]: {} });
            await sweep(world);
            const written = writesIn(world.region.calls).length;
            const tags = [a, b, c].map((id) => world.region.tags(id));
            expect(world.stack.invocations.length).to.be.within(2, 3);
            await sweep(world);
            await receive(world, eventOf(world, "launch-successful", c));
            world.stack.hear(tagEvent(world.timeline.now, b, [tagKey], world.region.tags(b)));
            await world.stack.settle();
            expect(writesIn(world.region.calls)).to.have.length(written);
            expect([a, b, c].map((id) => world.region.tags(id))).to.deep.equal(tags);
        });
    });

    describe("demotes before it promotes (rule 5)", () => {
        rule("so that there is no moment with two leaders", async (world) => {
            addMembers(world, {
                [a]: { ...leading(atFive), lifecycleState: "Standby" },
                [b]: { ...leading(), lifecycleState: "Terminating:Wait" },
                [c]: {},
            });
            const counts = countLeaders(world);
            await sweep(world);
            expect(counts).to.deep.equal([0, 1]);
            expect(leadersOf(world)).to.deep.equal([c]);
        });

        rule("so that there is no moment with two leaders in any of many groups", async (world) => {
            const groups = Array.from({ length: 30 }, (_, place) => `awseb-${place}`);
            for (const group of groups) {
                world.region.addInstance(group, { ...leading(atFive), healthStatus: "Unhealthy" });
                world.region.addInstance(group);
            }
            const most: number[] = [];
            world.region.afterWrite.push(() => most.push(...groups.map((group) => leadersOf(world, group).length)));
            const reports = await sweep(world);
            expect(Math.max(...most)).to.equal(1);
            expect(groups.map((group) => leadersOf(world, group))).to.deep.equal(
                reports.map(({ leader }) => [leader as string]),
            );
            expect(reports.map(({ outcome }) => outcome)).to.deep.equal(groups.map(() => "elected"));
        });

        rule("and promotes none if it can't demote", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
            world.region.fault = ({ action }) => (action === "ec2:DeleteTags" ? { error: denied } : undefined);
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "failed", leader: a });
            expect(report.reason).to.contain("ec2:DeleteTags");
            expect(leadersOf(world)).to.deep.equal([a]);
        });

        rule("and demotes none if too little time remains to promote", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
            world.region.latency = 4500; // of the ten seconds that it may take, one is left after reading
            world.stack.sweep();
            await world.timeline.pass(20_000);
            expect(world.stack.invocations[0].reports[0]).to.include({ outcome: "failed", leader: a });
            expect(leadersOf(world)).to.deep.equal([a]);
            expect(world.region.tags(a)).to.include({ [sinceKey]: atFive });
            world.region.latency = 20;
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
        });
    });

    describe("whose choice is gone when it is tagged (rule 6)", () => {
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
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "elected", leader: c });
            expect(leadersOf(world)).to.deep.equal([c]);
        });

        rule("tags the last in rank if the others are gone as well", async (world) => {
            addMembers(world, { [a]: { load: 50 }, [b]: { load: 10 }, [c]: { load: 30 } });
            takeAway(world, "ec2:CreateTags", 2);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
        });

        rule("has failed if none is left", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            takeAway(world, "ec2:CreateTags", 2);
            const [report] = await sweep(world);
            expect(report.outcome).to.equal("failed");
            expect(leadersOf(world)).to.deep.equal([]);
        });

        rule("leaves the groups alone whose choice is still there", async (world) => {
            addMembers(world, { [a]: { load: 10 }, [b]: { load: 30 } });
            const others = ["awseb-blog", "awseb-wiki"];
            const [blogger, writer] = others.map((group) => world.region.addInstance(group));
            takeAway(world, "ec2:CreateTags", 1);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(leadersOf(world, "awseb-blog")).to.deep.equal([blogger]);
            expect(leadersOf(world, "awseb-wiki")).to.deep.equal([writer]);
        });

        rule("promotes a successor even if the leader that it demotes is gone", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Terminating" }, [b]: {} });
            takeAway(world, "ec2:DeleteTags", 1);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
        });
    });

    describe("whose writes fail in one group (rule 7)", () => {
        const failures = [denied, awsError("OperationNotPermitted", "no"), awsError("InternalError", "no", 500)];
        for (const error of failures) {
            rule(`gives the other groups their leaders in spite of ${error.name}`, async (world) => {
                addMembers(world, { [a]: {} });
                const blogger = world.region.addInstance("awseb-blog");
                const writer = world.region.addInstance("awseb-wiki");
                world.region.fault = ({ action, input }) =>
                    action === "ec2:CreateTags" && input.Resources.includes(a) ? { error } : undefined;
                const reports = await sweep(world);
                expect(leadersOf(world)).to.deep.equal([]);
                expect(leadersOf(world, "awseb-blog")).to.deep.equal([blogger]);
                expect(leadersOf(world, "awseb-wiki")).to.deep.equal([writer]);
                const failed = reports.filter(({ outcome }) => outcome === "failed");
                expect(failed.map(({ group }) => group)).to.deep.equal([shop]);
                expect(failed[0].reason).to.contain("ec2:CreateTags").and.to.contain(error.name);
            });

            rule(`replaces the other groups' leaders in spite of ${error.name}`, async (world) => {
                addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
                world.region.addInstance("awseb-blog", { ...leading(atFive), lifecycleState: "Standby" });
                const blogger = world.region.addInstance("awseb-blog");
                world.region.fault = ({ action, input }) =>
                    action === "ec2:DeleteTags" && input.Resources.includes(a) ? { error } : undefined;
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([a]);
                expect(leadersOf(world, "awseb-blog")).to.deep.equal([blogger]);
            });
        }

        rule("ends up with one leader if a write took effect although its answer was an error", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {}, [c]: {} });
            world.region.fault = ({ action }) =>
                action === "ec2:CreateTags"
                    ? { error: awsError("InternalError", "no", 500), afterEffect: true }
                    : undefined;
            const counts = countLeaders(world);
            await sweep(world);
            world.region.fault = () => undefined;
            await sweep(world);
            expect(leadersOf(world)).to.have.length(1).and.not.to.include(a);
            expect(Math.max(...counts)).to.equal(1);
        });
    });

    describe("that promotes says since when", () => {
        rule("in the same call as the tag, in ISO 8601 with milliseconds, UTC", async (world) => {
            addMembers(world, { [a]: {} });
            const [{ since }] = await sweep(world);
            const { [tagKey]: value, [sinceKey]: written } = world.region.tags(a);
            expect(value).to.equal("true");
            expect(written)
                .to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
                .and.to.equal(since);
            expect(Date.parse(written)).to.be.within(start, start + 1000);
            const tagging = callsOf(world, "ec2:CreateTags").map(({ input }) => input);
            expect(tagging).to.deep.equal([
                {
                    Resources: [a],
                    Tags: [
                        { Key: tagKey, Value: "true" },
                        { Key: sinceKey, Value: written },
                    ],
                },
            ]);
        });

        const seen: [what: string, options: Options][] = [
            ["a live leader that it replaces", { lifecycleState: "Standby" }],
            ["a dead leader", { state: "terminated" }],
        ];
        for (const [what, options] of seen) {
            rule(`atFive than ${what} does, even if that is in the future`, async (world) => {
                const ahead = isoTime(start + 3 * hour);
                addMembers(world, { [a]: { ...leading(ahead), ...options }, [b]: {} });
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([b]);
                expect(Date.parse(world.region.tags(b)[sinceKey])).to.be.greaterThan(Date.parse(ahead));
            });
        }

        for (const since of [isoTime(start + 25 * hour), "yesterday", "9999", ""]) {
            rule(`as it is, in spite of a leader since ${JSON.stringify(since)}`, async (world) => {
                addMembers(world, { [a]: { ...leading(since), lifecycleState: "Standby" }, [b]: {} });
                await sweep(world);
                expect(Date.parse(world.region.tags(b)[sinceKey])).to.be.within(start, start + 1000);
            });
        }

        rule("atFive each time, however often the leader changes", async (world) => {
            addMembers(world, { [a]: {}, [b]: {}, [c]: {} });
            const sinces: string[] = [];
            for (let change = 0; change < 6; change++) {
                await sweep(world);
                const [leader] = leadersOf(world);
                sinces.push(world.region.tags(leader)[sinceKey]);
                for (const id of [a, b, c]) {
                    world.region.setMember(id, { healthStatus: id === leader ? "Unhealthy" : "Healthy" });
                }
            }
            expect(sinces).to.deep.equal([...new Set(sinces)].sort());
            expect(leadersOf(world)).to.have.length(1);
        });

        rule("so that an operator can hand over by tagging another fit instance with a atFive since", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            const [{ leader }] = await sweep(world);
            const other = leader === a ? b : a;
            await world.timeline.pass(minute);
            const since = isoTime(world.timeline.now);
            world.region.setTags(other, { [tagKey]: "true", [sinceKey]: since });
            await world.stack.settle();
            expect(leadersOf(world)).to.deep.equal([other]);
            expect(world.region.tags(other)).to.include({ [sinceKey]: since });
            expect(world.region.tags(leader as string)).to.deep.equal({ [groupKey]: shop });
        });
    });
});
