// Each way of losing a leader: which instance leads afterwards, how soon, and that no write ever leaves two leaders.

import { expect } from "chai";
import { groupKey } from "../simulator/aws/region";
import {
    expectOneLeader,
    leadersOf,
    minute,
    type OthersOf,
    openShop,
    orphansOf,
    rule,
    type Shop,
    shop,
    tagKey,
} from "../simulator/scenario";
import type { World } from "../simulator/world";
import { waysToLose } from "./ways";

const promptly = 1000; // from a loss that an event reports
const sweptMillis = 61_000; // where only the sweep finds it

/** Leaders of a group after a write that changed them. */
interface Reign {
    at: number;
    group: string;
    leaders: string[];
}

/** A shop in which every change of leader is noted. */
interface WatchedShop<Others = string[]> extends Shop<Others> {
    reigns: Reign[];
}

describe("Losing a leader", () => {
    /** A test in a region of its own, in which no write may leave a group with two leaders. */
    function watchedRule(name: string, act: (world: World & { reigns: Reign[] }) => Promise<void>): void {
        rule(name, async (world) => {
            const reigns = watch(world);
            await act({ ...world, reigns });
            const shared = reigns.filter(({ leaders }) => leaders.length > 1);
            expect(shared, "writes that left more than one leader").to.deep.equal([]);
        });
    }

    function shopRule<N extends number>(
        name: string,
        size: N,
        act: (world: WatchedShop<OthersOf<N>>) => Promise<void>,
    ): void {
        watchedRule(name, async (world) => act(await openShop(world, size)));
    }

    describe("that only the sweep finds", () => {
        const others = ["has its tag copied to another instance", "was the only member"];
        for (const [what, lose] of Object.entries(waysToLose).filter(([way]) => !others.includes(way))) {
            shopRule(
                `when it ${what}, and no event ever comes, a member that is fit leads after the next sweep`,
                3,
                async (world) => {
                    const { timeline, stack, leader, others } = world;
                    stack.fate = () => [];
                    stack.sweeping = true;
                    lose(world, leader, others);
                    // Nothing shows a Spot warning before the interruption.
                    await timeline.pass(what.includes("Spot") ? 2 * minute + sweptMillis : sweptMillis);
                    const successor = expectOneLeader(world, what.includes("tag") ? [leader, ...others] : others);

                    await timeline.pass(10 * minute);
                    expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([successor]);
                    expect(changes(world).at(-1), "leaders after the last change").to.deep.equal([successor]);
                },
            );
        }

        shopRule("a Spot warning that never comes: the interruption counts", 2, async (world) => {
            const { timeline, fleet, stack, leader, others } = world;
            stack.fate = (event) => (event["detail-type"].includes("Spot") ? [] : [300]);
            fleet.warn(leader);
            await timeline.pass(2 * minute - 1);
            expectOneLeader(world, [leader]);
            await timeline.pass(promptly);
            expectOneLeader(world, others);
        });
    });

    describe("when the group grows, shrinks or begins", () => {
        watchedRule(
            "a new stack gives every group of its prefix a leader at its first sweep, and no other group",
            async ({ timeline, region, fleet, stack }) => {
                const sizes = { "awseb-one": 1, "awseb-few": 3, "awseb-many": 12, "awseb-none": 0 };
                for (const [name, size] of Object.entries(sizes)) {
                    fleet.addGroup(name, size);
                }
                const foreign = fleet.addGroup("web", 2);
                stack.sweeping = true;
                await timeline.pass(sweptMillis);
                const counts = Object.keys(sizes).map((name) => region.leaders(name, tagKey).length);
                expect(counts).to.deep.equal([1, 1, 1, 0]);
                for (const id of foreign) {
                    expect(region.tags(id)).to.deep.equal({ [groupKey]: "web" });
                }
            },
        );

        watchedRule(
            "an arriving leader gives way within a second to the first member in service, and stays out",
            async (world) => {
                const { timeline, region, fleet, stack, reigns } = world;
                fleet.addGroup(shop, 0);
                const slow = fleet.launch(shop, { hook: true });
                stack.sweep();
                await timeline.pass(promptly);
                expectOneLeader(world, [slow]);

                const quick = fleet.launch(shop);
                await timeline.pass(35_000 - 1);
                expectOneLeader(world, [slow]);
                await timeline.pass(promptly);
                expectOneLeader(world, [quick]);

                stack.sweeping = true;
                await timeline.pass(5 * minute);
                expect(region.memberOf(slow)?.member.lifecycleState).to.equal("InService");
                expectOneLeader(world, [quick]);
                expect(reigns.filter(({ leaders }) => leaders.length > 0)).to.have.length(2);
            },
        );
    });
});

function watch({ region, timeline }: World): Reign[] {
    const reigns: Reign[] = [];
    region.afterWrite.push(() => {
        for (const name of region.groups.keys()) {
            const leaders = region.leaders(name, tagKey);
            const before = reigns.findLast((reign) => reign.group === name)?.leaders ?? [];
            if (String(leaders) !== String(before)) {
                reigns.push({ at: timeline.now, group: name, leaders });
            }
        }
    });
    return reigns;
}

/** The leaders of the shop after each change, without the moments between a demotion and a promotion. */
function changes({ reigns, leader }: WatchedShop): string[][] {
    const all = [
        [leader],
        ...reigns.flatMap(({ group, leaders }) => (group === shop && leaders.length > 0 ? [leaders] : [])),
    ];
    return all.slice(1).filter((leaders, place) => String(leaders) !== String(all[place]));
}
