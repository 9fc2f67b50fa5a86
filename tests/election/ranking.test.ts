// Choosing: which of the candidates an election promotes, and why.

import { expect } from "chai";
import { scalingEvent } from "../simulator/aws/events";
import type { Call } from "../simulator/aws/faults";
import { writesIn } from "../simulator/changes";
import {
    a,
    addMembers,
    atFive,
    b,
    c,
    callsOf,
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
    receiveTogether,
    shop,
    start,
    sweep,
} from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

/** Ids that a call is about: its resources, its instances, the dimensions of its metrics. */
const idsIn = ({ input }: Call): string[] => [...new Set(JSON.stringify(input).match(/\bi-\w+/g))];

/** Whether a call reads the states of candidates. */
const readsStates = ({ action, input }: Call): boolean =>
    action === "ec2:DescribeInstances" && input.Filters.some(({ Name }: { Name: string }) => Name === "instance-id");

describe("An election", () => {
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    /** A test in a region of its own, which has this stack and nothing else in it. */
    function rule(name: string, act: (world: World) => Promise<void>): void {
        it(name, () => inWorld(program, act));
    }

    describe("chooses (rule 2)", () => {
        /** The shop's leader, after all of its members but the first have been reported as launched in one batch. */
        async function chosen(world: World, members: Record<string, Options>): Promise<string[]> {
            addMembers(world, members);
            const launched = Object.keys(members).slice(1);
            await receiveTogether(
                world,
                launched.map((id) => scalingEvent("launch-successful", start, shop, id)),
            );
            return leadersOf(world);
        }

        rule("a member that has been launched, however busy", async (world) => {
            expect(await chosen(world, { [a]: { load: 1 }, [b]: { load: 99, checks: "initializing" } })).to.deep.equal([
                b,
            ]);
        });

        rule("the least busy of several that have been launched", async (world) => {
            expect(await chosen(world, { [a]: { load: 1 }, [b]: { load: 99 }, [c]: { load: 50 } })).to.deep.equal([c]);
        });

        rule("another, if those that have been launched are not fit", async (world) => {
            const members = { [a]: { load: 99 }, [b]: { lifecycleState: "Standby" }, [c]: { state: "stopping" } };
            expect(await chosen(world, members)).to.deep.equal([a]);
        });

        rule("the first by rank, if those that were launched came in an earlier batch", async (world) => {
            addMembers(world, { [a]: { load: 1 }, [b]: { load: 99 } });
            world.region.setMember(a, { lifecycleState: "Pending" });
            await receive(world, eventOf(world, "launch-successful", b));
            world.region.setMember(a, { lifecycleState: "InService" });
            world.region.setState(b, "shutting-down");
            addMembers(world, { [c]: { load: 50 } });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
        });
    });

    describe("ranks (rule 3)", () => {
        type Two = [Options, Options];

        /** Which of two fit members leads in the end, in a region of their own. */
        async function winner([ofA, ofB]: Two, prepare: (world: World) => void = () => {}): Promise<string> {
            return inWorld(program, async (world) => {
                addMembers(world, { [a]: ofA, [b]: ofB });
                prepare(world);
                await sweep(world);
                expect(leadersOf(world)).to.have.length(1);
                return leadersOf(world)[0];
            });
        }

        const orders: [rule: string, first: Options, second: Options][] = [
            ["ok before initializing", { checks: "ok" }, { checks: "initializing" }],
            ["initializing before impaired", { checks: "initializing" }, { checks: "impaired" }],
            ["ok before impaired, however busy", { checks: "ok", load: 99 }, { checks: "impaired", load: 1 }],
            ["less load before more, from step to step", { load: 49 }, { load: 50 }],
            ["no load before some", { load: 0 }, { load: 11 }],
            ["any load before an unknown one", { load: 100 }, {}],
        ];
        for (const [name, first, second] of orders) {
            it(name, async () => {
                expect(await winner([first, second])).to.equal(a);
                expect(await winner([second, first])).to.equal(b);
            });
        }

        const ties: [rule: string, one: Options, other: Options][] = [
            ["by chance those that differ by less than a step", { load: 41 }, { load: 49 }],
            ["by chance those of which no load is known", {}, {}],
        ];
        for (const [name, one, other] of ties) {
            it(name, async () => {
                const byChance = await winner([{ load: 45 }, { load: 45 }]);
                expect(await winner([one, other])).to.equal(byChance);
                expect(await winner([other, one])).to.equal(byChance);
            });
        }

        it("by the average of the last 15 minutes", async () => {
            await inWorld(program, async (world) => {
                addMembers(world, { [a]: { load: 1 }, [b]: { load: 2 } });
                await sweep(world);
                const [{ input, start: askedAt }] = callsOf(world, "cloudwatch:GetMetricData");
                expect(input.EndTime - input.StartTime).to.equal(15 * minute);
                expect(askedAt - input.EndTime).to.be.within(0, 1000);
                for (const { MetricStat } of input.MetricDataQueries) {
                    expect(MetricStat).to.deep.nested.include({
                        "Metric.MetricName": "CPUUtilization",
                        Stat: "Average",
                    });
                }
            });
        });

        it("by the same chance for every elector, in whatever order it sees the members", async () => {
            const ids = Array.from({ length: 30 }, (_, place) => `i-2${String(place).padStart(16, "0")}`);
            const elect = (members: string[], since: string) =>
                inWorld(program, async (world) => {
                    world.region.addInstance(shop, { ...leading(since), state: "terminated" });
                    addMembers(world, Object.fromEntries(members.map((id) => [id, {}])));
                    await sweep(world);
                    return leadersOf(world)[0];
                });
            const sinces = Array.from({ length: 8 }, (_, hours) => isoTime(start - (hours + 1) * hour));
            const chosen = [];
            for (const since of sinces) {
                const first = await elect(ids, since);
                expect(await elect([...ids].reverse(), since)).to.equal(first);
                chosen.push(first);
            }
            expect(new Set(chosen).size, `chosen: ${chosen}`).to.be.greaterThan(1);
        });

        const optional: [what: string, action: string, ofA: Options, ofB: Options][] = [
            ["status checks", "ec2:DescribeInstanceStatus", { checks: "impaired", load: 1 }, { load: 99 }],
            ["load", "cloudwatch:GetMetricData", { load: 99 }, { checks: "impaired", load: 1 }],
        ];
        for (const [what, action, ofA, ofB] of optional) {
            rule(`without ${what}, with a warning, if AWS refuses to answer`, async (world) => {
                addMembers(world, { [a]: ofA, [b]: ofB });
                world.region.fault = (call) => (call.action === action ? { error: denied } : undefined);
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([a]);
                const warnings = world.lines.filter(({ level }) => level === "warn");
                expect(JSON.stringify(warnings)).to.contain(action).and.to.contain("UnauthorizedOperation");
            });
        }

        rule("none if EC2's state can't be read: the group's election has failed", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
            world.region.fault = (call) => (readsStates(call) ? { error: denied } : undefined);
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "failed", leader: a });
            expect(writesIn(world.region.calls)).to.deep.equal([]);
            expect(leadersOf(world)).to.deep.equal([a]);
        });
    });

    describe("of a large group (rule 4)", () => {
        const ranked = (world: World) => callsOf(world, "ec2:DescribeInstanceStatus").flatMap(idsIn);

        rule("ranks ten of its members", async (world) => {
            for (let count = 0; count < 300; count++) {
                world.region.addInstance(shop);
            }
            await sweep(world);
            expect(leadersOf(world)).to.have.length(1);
            expect(ranked(world)).to.have.length(10).and.to.include(leadersOf(world)[0]);
            expect(callsOf(world, "cloudwatch:GetMetricData").flatMap(idsIn)).to.have.members(ranked(world));
        });

        rule("ranks the next ones if none of them will do", async (world) => {
            const ids = Array.from({ length: 60 }, () => world.region.addInstance(shop));
            for (const id of ids) {
                world.region.setState(id, "stopped");
            }
            world.region.setState(ids[37], "running");
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([ids[37]]);
        });

        rule("keeps the leader if none of all its members will do", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" } });
            for (let count = 0; count < 40; count++) {
                world.region.addInstance(shop, { state: "stopped" });
            }
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "kept", leader: a });
            expect(leadersOf(world)).to.deep.equal([a]);
            expect(writesIn(world.region.calls)).to.deep.equal([]);
        });

        rule("ranks a thousand in all, and some of every group", async (world) => {
            const groups = Array.from({ length: 101 }, (_, place) => `awseb-${place}`);
            for (const group of groups) {
                for (let count = 0; count < 10; count++) {
                    world.region.addInstance(group);
                }
            }
            world.stack.fate = () => []; // no echo
            await sweep(world);
            expect(groups.map((group) => leadersOf(world, group).length)).to.deep.equal(groups.map(() => 1));
            expect(ranked(world).length).to.be.within(groups.length, 1000);
        });
    });
});
