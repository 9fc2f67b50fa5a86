// Each way of losing a leader: which instance leads afterwards, how soon, and that no write ever leaves two leaders.

import { expect } from "chai";
import { scalingEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import { only } from "../simulator/lists";
import {
    expectOneLeader,
    leadersOf,
    minute,
    type OthersOf,
    openShop,
    orphansOf,
    programWith,
    type Shop,
    shop,
    sinceKey,
    tag,
    tagKey,
} from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";
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
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    /** Makes a region in which no write may leave a group with two leaders. */
    function inWatchedWorld(act: (world: World & { reigns: Reign[] }) => Promise<void>): Promise<void> {
        return inWorld(program, async (world) => {
            const reigns = watch(world);
            await act({ ...world, reigns });
            const shared = reigns.filter(({ leaders }) => leaders.length > 1);
            expect(shared, "writes that left more than one leader").to.deep.equal([]);
        });
    }

    function inShop<N extends number>(size: N, act: (world: WatchedShop<OthersOf<N>>) => Promise<void>): Promise<void> {
        return inWatchedWorld(async (world) => {
            await act(await openShop(world, size));
        });
    }

    describe("that an event reports", () => {
        it("when it is the only member and terminated, its replacement leads as soon as it is in service", () =>
            inShop(1, async (world) => {
                const { timeline, region, fleet, leader } = world;
                fleet.crash(leader);
                await timeline.pass(10 * minute);
                const replacement = only(fleet.members(shop));
                expect(replacement).to.not.equal(leader);
                expect(region.memberOf(replacement)?.member.lifecycleState).to.equal("InService");
                expectOneLeader(world, [replacement]);
            }));
    });

    describe("that only the sweep finds", () => {
        const others = ["has its tag copied to another instance", "was the only member"];
        for (const [what, lose] of Object.entries(waysToLose).filter(([way]) => !others.includes(way))) {
            it(`when it ${what}, and no event ever comes, a member that is fit leads after the next sweep`, () =>
                inShop(3, async (world) => {
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
                }));
        }

        it("a Spot warning that never comes: the interruption counts", () =>
            inShop(2, async (world) => {
                const { timeline, fleet, stack, leader, others } = world;
                stack.fate = (event) => (event["detail-type"].includes("Spot") ? [] : [300]);
                fleet.warn(leader);
                await timeline.pass(2 * minute - 1);
                expectOneLeader(world, [leader]);
                await timeline.pass(promptly);
                expectOneLeader(world, others);
            }));
    });

    describe("that comes back", () => {
        it("an instance that comes back from Standby doesn't take the lead again", () =>
            inShop(3, async (world) => {
                const { timeline, region, fleet, stack, leader, others } = world;
                stack.sweeping = true;
                fleet.enterStandby(leader);
                await timeline.pass(sweptMillis);
                const successor = expectOneLeader(world, others);

                fleet.exitStandby(leader);
                await timeline.pass(5 * minute);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expect(region.tags(leader)).to.not.have.property(tagKey);
                expectOneLeader(world, [successor]);
            }));
    });

    describe("by hand", () => {
        it("the lead can be handed on and back", () =>
            inShop(2, async (world) => {
                const { timeline, leader, others } = world;
                for (const heir of [others[0], leader, others[0]]) {
                    tag(world, heir);
                    await timeline.pass(promptly);
                    expectOneLeader(world, [heir]);
                }
            }));
    });

    describe("when the group grows, shrinks or begins", () => {
        it("a new stack gives every group of its prefix a leader at its first sweep, and no other group", () =>
            inWatchedWorld(async ({ timeline, region, fleet, stack }) => {
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
            }));

        it("an arriving leader gives way within a second to the first member in service, and stays out", () =>
            inWatchedWorld(async (world) => {
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
            }));
    });

    describe("with many events at once", () => {
        it("a batch of old, doubled and contradicting events changes nothing while the leader is fit", () =>
            inShop(3, async (world) => {
                const { timeline, region, leader, others } = world;
                const old = timeline.now - minute;
                await inOneBatch(world, 7, () => {
                    region.emit(scalingEvent("terminate-successful", old, shop, leader));
                    region.emit(scalingEvent("launch-successful", old, shop, others[0]));
                    region.emit(scalingEvent("launch-successful", old, shop, others[0]));
                    region.emit(scalingEvent("detach-successful", old, shop, leader));
                    region.emit(stateEvent(old, leader, "stopping"));
                    region.emit(tagEvent(old, leader, [tagKey], { [groupKey]: shop }));
                    region.emit(tagEvent(old, others[1], [tagKey], { [groupKey]: shop, [tagKey]: "true" }));
                });
                expectOneLeader(world, [leader]);
                expect(changes(world)).to.deep.equal([]);
            }));
    });

    describe("while no member is fit to take over", () => {
        it("a stopped leader stays while all others are stopped too, whatever tag events come", () =>
            inShop(2, async (world) => {
                const { region, stack, leader, others } = world;
                stopSilently(world);
                stack.sweeping = true;
                await bombard(world);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([leader]);
                expect(region.tags(others[0])).to.not.have.any.keys(tagKey, sinceKey);
                expect(changes(world)).to.deep.equal([]);
            }));
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

/** All members stop, and neither an event nor their group says so. */
function stopSilently({ region, fleet }: World): void {
    for (const id of fleet.members(shop)) {
        region.setState(id, "stopped");
    }
}

/** Tag events about all members, one by one and in bursts, whatever their tags are. */
async function bombard({ region, fleet, timeline }: World): Promise<void> {
    for (let round = 0; round < 30; round++) {
        for (const id of fleet.members(shop)) {
            region.emit(tagEvent(timeline.now, id, [tagKey], region.tags(id)));
            await timeline.pass(round % 3 === 0 ? 400 : 0);
        }
        await timeline.pass(round % 5 === 0 ? 5000 : 0);
    }
    await timeline.pass(minute);
}

/** Has the events of an act reach the function in one batch: an event before them keeps it busy. */
async function inOneBatch({ stack, region, timeline }: World, size: number, act: () => void): Promise<void> {
    region.emit(stateEvent(timeline.now, "i-0ffffffffffffffff", "stopping"));
    stack.fate = () => [310];
    act();
    await timeline.pass(promptly);
    expect(stack.invocations.map(({ events }) => events.length)).to.include(size);
}
