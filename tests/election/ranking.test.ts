// Choosing: which of the candidates an election promotes, and why.

import { expect } from "chai";
import type { Call } from "../simulator/aws/faults";
import { loggedAt, writesIn } from "../simulator/changes";
import { firstOf, found, only } from "../simulator/lists";
import {
    a,
    addMembers,
    atFive,
    b,
    c,
    callsOf,
    denied,
    eventOf,
    failing,
    hour,
    isoTime,
    leadersOf,
    leading,
    minute,
    type Options,
    programWith,
    receive,
    receiveTogether,
    rule,
    shop,
    start,
    sweep,
} from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

/** Ids that a call is about: its resources, its instances, the dimensions of its metrics. */
const idsIn = ({ input }: Call): string[] => [...new Set(JSON.stringify(input).match(/\bi-\w+/g))];

describe("An election", () => {
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    describe("ranks", () => {
        /** A fit member; `launched` in the election's batch, or with an event that EC2 has scheduled. */
        type Fit = Options & { launched?: boolean; scheduled?: string };
        type Two = [Fit, Fit];

        /** Which of two fit members leads in the end, in a region of their own. */
        async function winner(two: Two): Promise<string> {
            return inWorld(program, async (world) => {
                const launched: string[] = [];
                for (const [id, fit] of [[a, two[0]] as const, [b, two[1]] as const]) {
                    const { launched: isNew, scheduled, ...options } = fit;
                    addMembers(world, { [id]: options });
                    world.region.instance(id).scheduled = scheduled === undefined ? [] : [scheduled];
                    launched.push(...(isNew ? [id] : []));
                }
                await receiveTogether(world, [
                    eventOf(world, "terminate-unsuccessful", a),
                    ...launched.map((id) => eventOf(world, "launch-successful", id)),
                ]);
                return only(leadersOf(world));
            });
        }

        const retiring = "The instance is running on degraded hardware";
        const orders: [rule: string, first: Fit, second: Fit][] = [
            ["ok before initializing", { checks: "ok" }, { checks: "initializing" }],
            ["initializing before impaired", { checks: "initializing" }, { checks: "impaired" }],
            ["initializing before one with a scheduled event", { checks: "initializing" }, { scheduled: retiring }],
            [
                "one whose scheduled event is over before one that waits for it",
                {
                    scheduled: `[Completed] ${retiring}`,
                },
                { scheduled: retiring },
            ],
            [
                "one whose scheduled event was called off before one that waits for it",
                {
                    scheduled: `[Canceled] ${retiring}`,
                },
                { scheduled: retiring },
            ],
            ["ok before impaired, however busy", { checks: "ok", load: 99 }, { checks: "impaired", load: 1 }],
            ["ok before a launched one that is initializing", { load: 99 }, { checks: "initializing", launched: true }],
            ["ok before a launched one that is impaired", { load: 99 }, { checks: "impaired", launched: true }],
            ["one launched in this batch before others, however busy", { launched: true, load: 99 }, { load: 1 }],
            ["the less busy of two launched ones", { launched: true, load: 10 }, { launched: true, load: 50 }],
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

        rule("a member that was launched in an earlier batch like any other", async (world) => {
            addMembers(world, { [a]: { load: 1, lifecycleState: "Pending" }, [b]: { load: 99 } });
            await receive(world, eventOf(world, "launch-successful", b));
            world.region.setMember(a, { lifecycleState: "InService" });
            world.region.setState(b, "terminated");
            addMembers(world, { [c]: { load: 50 } });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
        });

        rule("members of a group that has just lost its leader, the fit ones that were launched too", async (world) => {
            addMembers(world, { [a]: { load: 99 }, [b]: { lifecycleState: "Standby" }, [c]: { state: "stopping" } });
            await receiveTogether(
                world,
                [b, c].map((id) => eventOf(world, "launch-successful", id)),
            );
            expect(leadersOf(world)).to.deep.equal([a]);
        });

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

        rule("by the average of the last 15 minutes", async (world) => {
            addMembers(world, { [a]: { load: 1 }, [b]: { load: 2 } });
            await sweep(world);
            const { input, start: askedAt } = firstOf(callsOf(world, "cloudwatch:GetMetricData"));
            expect(input.EndTime - input.StartTime).to.equal(15 * minute);
            expect(askedAt - input.EndTime).to.be.within(0, 1000);
            for (const { MetricStat } of input.MetricDataQueries) {
                expect(MetricStat).to.deep.nested.include({
                    "Metric.MetricName": "CPUUtilization",
                    Stat: "Average",
                });
            }
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

        it("by another chance for another tag key, so that the leaders of two stacks are spread", async () => {
            const ids = Array.from({ length: 30 }, (_, index) => `i-2${String(index).padStart(16, "0")}`);
            const leaderFor = (other: Program, key: string) =>
                inWorld(other, async (world) => {
                    addMembers(world, Object.fromEntries(ids.map((id) => [id, {}])));
                    await sweep(world);
                    return world.region.leaders(shop, key)[0];
                });
            const chosen = [];
            for (const key of ["app:isLeader", "app:isWriter", "cron"]) {
                const other = await programWith({ tagKey: key });
                const leader = await leaderFor(other, key);
                expect(await leaderFor(other, key)).to.equal(leader);
                chosen.push(leader);
            }
            expect(new Set(chosen).size, `chosen: ${chosen}`).to.be.greaterThan(1);
        });

        rule("without load, with a warning, if AWS refuses to answer", async (world) => {
            addMembers(world, { [a]: { load: 99 }, [b]: { checks: "impaired", load: 1 } });
            world.region.fault = failing("cloudwatch:GetMetricData", denied);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
            const warnings = loggedAt("warn", world);
            expect(JSON.stringify(warnings))
                .to.contain("cloudwatch:GetMetricData")
                .and.to.contain("UnauthorizedOperation");
        });

        rule("none if EC2's states can't be read: the group's election has failed", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
            world.region.fault = failing("ec2:DescribeInstanceStatus", denied);
            const report = only(await sweep(world));
            expect(report).to.include({ outcome: "failed", leader: a });
            expect(report.reason).to.contain("ec2:DescribeInstanceStatus").and.to.contain("UnauthorizedOperation");
            expect(writesIn(world.region.calls)).to.deep.equal([]);
            expect(leadersOf(world)).to.deep.equal([a]);
        });
    });

    describe("of a large group", () => {
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

        for (const place of [10, 250]) {
            rule(`finds the only member that runs: number ${place + 1} of 251`, async (world) => {
                const ids = Array.from({ length: 251 }, () => world.region.addInstance(shop, { state: "stopped" }));
                world.region.setState(found(ids[place]), "running");
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([ids[place]]);
            });
        }

        rule("ranks at most ten of each group in a sweep", async (world) => {
            const groups = Array.from({ length: 101 }, (_, index) => `awseb-${index}`);
            for (const group of groups) {
                for (let count = 0; count < 12; count++) {
                    world.region.addInstance(group);
                }
            }
            world.stack.fate = () => []; // no echo
            await sweep(world);
            expect(groups.map((group) => leadersOf(world, group).length)).to.deep.equal(groups.map(() => 1));
            for (const group of groups) {
                const members = world.fleet.members(group);
                expect(
                    ranked(world).filter((id) => members.includes(id)),
                    group,
                ).to.have.length(10);
            }
        });
    });
});
