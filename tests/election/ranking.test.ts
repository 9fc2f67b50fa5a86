// Choosing: which of the candidates an election promotes, and why.
import { expect } from "chai";
import { type Call, denied, failing } from "../simulator/aws/faults";
import { callsOf, loggedAt, writesIn } from "../simulator/changes";
import { atFive, hour, isoTime, minute, start } from "../simulator/clock";
import { found, only, times } from "../simulator/lists";
import { addGroups, addMembers, leading, type Options, standby } from "../simulator/members";
import { a, b, c, shop, tagKey } from "../simulator/names";
import {
    eventOf,
    expectOneLeader,
    inOwnRegion,
    leadersOf,
    quietRule,
    receive,
    receiveTogether,
    rule,
    sweep,
} from "../simulator/scenario";
import type { World } from "../simulator/world";

/** Ids that a call is about: its resources, its instances, the dimensions of its metrics. */
const idsIn = ({ input }: Call): string[] => [...new Set(JSON.stringify(input).match(/\bi-\w+/g))];

describe("An election", () => {
    describe("ranks", () => {
        /** A fit member; `launched` in the election's batch, or with an event that EC2 has scheduled. */
        type Fit = Options & { launched?: boolean; scheduled?: string };

        /** Which of two fit members leads in the end, in a region of their own. */
        const winner = (first: Fit, second: Fit): Promise<string> =>
            inOwnRegion(async (world) => {
                const events = [eventOf(world, "terminate-unsuccessful", a)];
                for (const [id, { launched, scheduled, ...options }] of Object.entries({ [a]: first, [b]: second })) {
                    addMembers(world, { [id]: options });
                    world.region.instance(id).scheduled = scheduled === undefined ? [] : [scheduled];
                    events.push(...(launched ? [eventOf(world, "launch-successful", id)] : []));
                }
                await receiveTogether(world, events);
                return only(leadersOf(world));
            });

        const retiring = "The instance is running on degraded hardware";
        const orders: [rule: string, first: Fit, second: Fit][] = [
            ["ok before initializing", { checks: "ok" }, { checks: "initializing" }],
            ["initializing before impaired", { checks: "initializing" }, { checks: "impaired" }],
            ["initializing before one with a scheduled event", { checks: "initializing" }, { scheduled: retiring }],
            [
                "one with a scheduled event that is over",
                { scheduled: `[Completed] ${retiring}` },
                { scheduled: retiring },
            ],
            ["one whose event was called off", { scheduled: `[Canceled] ${retiring}` }, { scheduled: retiring }],
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
                expect(await winner(first, second)).to.equal(a);
                expect(await winner(second, first)).to.equal(b);
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
            addMembers(world, { [a]: { load: 99 }, [b]: standby, [c]: { state: "stopping" } });
            await receiveTogether(
                world,
                [b, c].map((id) => eventOf(world, "launch-successful", id)),
            );
            expect(leadersOf(world)).to.deep.equal([a]);
        });

        for (const [name, one, other] of [
            ["by chance those that differ by less than a step", { load: 41 }, { load: 49 }],
            ["by chance those of which no load is known", {}, {}],
        ] as const) {
            it(name, async () => {
                const byChance = await winner({ load: 45 }, { load: 45 });
                expect(await winner(one, other)).to.equal(byChance);
                expect(await winner(other, one)).to.equal(byChance);
            });
        }

        rule("by the average of the last 15 minutes", async (world) => {
            addMembers(world, { [a]: { load: 1 }, [b]: { load: 2 } });
            await sweep(world);
            const { input, start: askedAt } = only(callsOf(world, "cloudwatch:GetMetricData"));
            expect(input.EndTime - input.StartTime).to.equal(15 * minute);
            expect(askedAt - input.EndTime).to.be.within(0, 1000);
            for (const { MetricStat } of input.MetricDataQueries) {
                expect(MetricStat).to.deep.nested.include({ "Metric.MetricName": "CPUUtilization", Stat: "Average" });
            }
        });

        const thirty = times(30, (index) => `i-2${String(index).padStart(16, "0")}`);

        /** Which of these members leads after a leader since some hours, by a leader tag's key. */
        const chosen = (ids: string[], hours: number, tagKey: string): Promise<string> =>
            inOwnRegion(
                async (world) => {
                    const since = { [`${tagKey}:since`]: isoTime(start - hours * hour) };
                    world.region.addInstance(shop, { state: "terminated", tags: { [tagKey]: "true", ...since } });
                    addMembers(world, Object.fromEntries(ids.map((id) => [id, {}])));
                    await sweep(world);
                    return only(world.region.leaders(shop, tagKey));
                },
                { tagKey },
            );

        const chances: Record<string, [hours: number, key: string][]> = {
            "by another chance after another leader": times(8, (index) => [index + 1, tagKey]),
            "by another chance for another tag key, so that the leaders of two stacks are spread": [
                [1, tagKey],
                [1, "app:isWriter"],
                [1, "cron"],
            ],
        };
        for (const [name, circumstances] of Object.entries(chances)) {
            it(`${name}, and the same for every elector, in whatever order it sees the members`, async () => {
                const leaders = [];
                for (const [hours, key] of circumstances) {
                    const leader = await chosen(thirty, hours, key);
                    expect(await chosen([...thirty].reverse(), hours, key)).to.equal(leader);
                    leaders.push(leader);
                }
                expect(new Set(leaders).size, `chosen: ${leaders}`).to.be.greaterThan(1);
            });
        }

        rule("without load, with a warning, if AWS refuses to answer", async (world) => {
            addMembers(world, { [a]: { load: 99 }, [b]: { checks: "impaired", load: 1 } });
            world.region.fault = failing("cloudwatch:GetMetricData", denied);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
            expect(JSON.stringify(loggedAt("warn", world)))
                .to.contain("cloudwatch:GetMetricData")
                .and.to.contain("UnauthorizedOperation");
        });

        rule("none if EC2's states can't be read: the group's election has failed", async (world) => {
            addMembers(world, { [a]: leading(atFive, standby), [b]: {} });
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
            world.fleet.addGroup(shop, 300);
            await sweep(world);
            expect(ranked(world)).to.have.length(10).and.to.include(expectOneLeader(world));
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

        quietRule("ranks at most ten of each group in a sweep", async (world) => {
            const groups = addGroups(world, 101, 12, "leaderless");
            await sweep(world);
            for (const group of groups) {
                const members = world.fleet.members(group);
                expectOneLeader(world, members, group);
                const its = ranked(world).filter((id) => members.includes(id));
                expect(its, group).to.have.length(10);
            }
            expect(loggedAt("warn", world), "CloudWatch takes 500 queries in a call").to.deep.equal([]);
        });
    });
});
