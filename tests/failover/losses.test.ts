// Each way of losing a leader: which instance leads afterwards, how soon, and that no write ever leaves two leaders.

import { expect } from "chai";
import { type BusEvent, scalingEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import {
    atFive,
    atFour,
    atHalfPastFive,
    expectOneLeader,
    leadersOf,
    minute,
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

const promptly = 1000; // from a loss that an event reports
const sweptMillis = 61_000; // where only the sweep finds it

/** Leaders of a group after a write that changed them. */
interface Reign {
    at: number;
    group: string;
    leaders: string[];
}

/** A shop in which every change of leader is noted. */
interface WatchedShop extends Shop {
    reigns: Reign[];
}

interface Loss {
    /** What becomes of the leader. */
    what: string;
    lose: (world: WatchedShop) => void;
    /** How soon another leads without an event; a sweep's period unless given. */
    sweepMillis?: number;
    /** The lost leader may be chosen again. */
    mayReturn?: boolean;
}

const losses: Loss[] = [
    { what: "is scaled in", lose: ({ fleet }) => void fleet.scale(shop, 2) },
    { what: "is scaled in through a lifecycle hook", lose: ({ fleet }) => void fleet.scale(shop, 2, { hook: true }) },
    { what: "crashes", lose: ({ fleet, leader }) => fleet.crash(leader) },
    { what: "is stopped", lose: ({ fleet, leader }) => fleet.stop(leader) },
    { what: "is detached", lose: ({ fleet, leader }) => fleet.detach(leader) },
    {
        what: "gets a Spot warning",
        lose: ({ fleet, leader }) => fleet.warn(leader),
        sweepMillis: 2 * minute + sweptMillis, // nothing shows it before the interruption
    },
    {
        what: "has its tags taken off",
        lose: ({ region, leader }) => region.setTags(leader, { [tagKey]: undefined, [sinceKey]: undefined }),
        mayReturn: true,
    },
    {
        what: "has its tag taken off, but not since",
        lose: ({ region, leader }) => region.setTags(leader, { [tagKey]: undefined }),
        mayReturn: true,
    },
    {
        what: "has its tag set to false",
        lose: ({ region, leader }) => region.setTags(leader, { [tagKey]: "false" }),
        mayReturn: true,
    },
];

// No event reports these.
const silentLosses: Loss[] = [
    { what: "becomes unhealthy", lose: ({ fleet, leader }) => fleet.becomeUnhealthy(leader) },
    { what: "goes to Standby", lose: ({ fleet, leader }) => fleet.enterStandby(leader) },
];

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

    function inShop(size: number, act: (world: WatchedShop) => Promise<void>): Promise<void> {
        return inWatchedWorld(async (world) => {
            await act(await openShop(world, size));
        });
    }

    describe("that an event reports", () => {
        for (const { what, lose, mayReturn } of losses) {
            it(`when it ${what}, a member that is fit leads within a second, and goes on leading`, () =>
                inShop(3, async (world) => {
                    const { timeline, stack, leader, others } = world;
                    stack.sweeping = true;
                    lose(world);
                    await timeline.pass(promptly);
                    const successor = expectOneLeader(world, mayReturn ? [leader, ...others] : others);

                    await timeline.pass(10 * minute);
                    expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([successor]);
                    expect(changes(world), "leaders after each change").to.deep.equal([[successor]]);
                }));
        }

        it("when it is the only member and terminated, its replacement leads as soon as it is in service", () =>
            inShop(1, async (world) => {
                const { timeline, region, fleet, leader } = world;
                fleet.crash(leader);
                await timeline.pass(10 * minute);
                const [replacement] = fleet.members(shop);
                expect(replacement).to.not.equal(leader);
                expect(region.memberOf(replacement)?.member.lifecycleState).to.equal("InService");
                expectOneLeader(world, [replacement]);
            }));
    });

    describe("that only the sweep finds", () => {
        const silenced = losses.map((loss) => ({ ...loss, what: `${loss.what}, and no event ever comes` }));
        for (const { what, lose, mayReturn, sweepMillis = sweptMillis } of [...silentLosses, ...silenced]) {
            it(`when it ${what}, a member that is fit leads after the next sweep`, () =>
                inShop(3, async (world) => {
                    const { timeline, stack, leader, others } = world;
                    stack.fate = () => [];
                    stack.sweeping = true;
                    lose(world);
                    await timeline.pass(sweepMillis);
                    const successor = expectOneLeader(world, mayReturn ? [leader, ...others] : others);

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

        it("an instance that becomes healthy again doesn't take the lead again", () =>
            inShop(3, async (world) => {
                const { timeline, fleet, stack, leader, others } = world;
                fleet.becomeUnhealthy(leader);
                stack.sweep();
                await timeline.pass(promptly);
                const successor = expectOneLeader(world, others);

                fleet.recover(leader);
                stack.sweeping = true;
                await timeline.pass(5 * minute);
                expect(fleet.members(shop)).to.include(leader);
                expectOneLeader(world, [successor]);
            }));

        it("a late event that it was stopping demotes none, if the instance runs again", () =>
            inShop(3, async (world) => {
                const { timeline, fleet, stack, leader } = world;
                stack.fate = ({ detail }) => (detail.state === "stopping" ? [90_000] : [300]);
                fleet.stop(leader);
                await timeline.pass(5000);
                fleet.start(leader);
                await timeline.pass(2 * minute);
                expectReceived(world, ({ detail }) => detail.state === "stopping");
                expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([leader]);
                expect(changes(world)).to.deep.equal([]);
            }));

        it("a doubled event that it was stopping demotes none, if the instance runs and leads again", () =>
            inShop(2, async (world) => {
                const { timeline, region, fleet, leader, others } = world;
                const stoppedAt = timeline.now;
                fleet.stop(leader);
                await timeline.pass(promptly);
                expectOneLeader(world, others);
                await timeline.pass(10_000); // from then on EC2's own answer counts more
                fleet.start(leader);
                tag(world, leader);
                await timeline.pass(promptly);
                expectOneLeader(world, [leader]);

                for (let copy = 0; copy < 5; copy++) {
                    region.emit(stateEvent(stoppedAt, leader, "stopping"));
                    await timeline.pass(20_000);
                }
                expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([leader]);
                expect(changes(world)).to.deep.equal([others, [leader]]);
            }));
    });

    describe("by Detach", () => {
        it("takes nothing off an instance that a group lists, though EC2 doesn't show its group", () =>
            inShop(3, async ({ region, stack, leader }) => {
                region.setTags(leader, { [groupKey]: undefined });
                stack.sweep();
                await stack.settle();
                expect(region.tags(leader)).to.deep.equal({ [tagKey]: "true", [sinceKey]: atFive });
            }));

        it("an instance that is attached again has no tags, and leads only if it is chosen", () =>
            inShop(2, async (world) => {
                const { timeline, fleet, stack, leader, others } = world;
                stack.sweeping = true;
                fleet.detach(leader);
                await timeline.pass(promptly);
                fleet.attach(leader, shop);
                await timeline.pass(5 * minute);
                expect(fleet.members(shop)).to.include(leader);
                expectOneLeader(world, others);
            }));
    });

    describe("to a copy of its tag", () => {
        const copies: [string, string | undefined, boolean][] = [
            ["with an earlier since", atFour, false],
            ["with the same since, but a higher id", atFive, false],
            ["without since", undefined, false],
            ["with a since that is none", "yesterday", false],
            ["with a since more than a day ahead", "2026-11-25T06:00:00.000Z", false],
            ["with a later since", atHalfPastFive, true],
        ];
        for (const [how, since, wins] of copies) {
            it(`a fit member that is tagged ${how} ${wins ? "takes" : "doesn't take"} the lead`, () =>
                inShop(3, async (world) => {
                    const { timeline, region, leader, others } = world;
                    region.setTags(others[0], { [tagKey]: "true", [sinceKey]: since });
                    await timeline.pass(promptly);
                    const [winner, loser] = wins ? [others[0], leader] : [leader, others[0]];
                    expectOneLeader(world, [winner]);
                    expect(region.tags(winner)[sinceKey]).to.equal(wins ? since : atFive);
                    expect(region.tags(loser)).to.not.have.property(tagKey);
                }));
        }

        it("if no event comes, the next sweep demotes those that must go", () =>
            inShop(3, async (world) => {
                const { timeline, region, stack, leader, others } = world;
                stack.fate = () => [];
                stack.sweeping = true;
                for (const id of others) {
                    region.setTags(id, { [tagKey]: "TRUE", [sinceKey]: atFour });
                }
                await timeline.pass(sweptMillis);
                expectOneLeader(world, [leader]);
            }));

        it("a member that isn't fit doesn't take the lead, whatever its since", () =>
            inShop(3, async (world) => {
                const { timeline, region, leader, others } = world;
                region.setMember(others[0], { healthStatus: "Unhealthy" });
                region.setTags(others[0], { [tagKey]: "true", [sinceKey]: atHalfPastFive });
                await timeline.pass(promptly);
                expectOneLeader(world, [leader]);
            }));
    });

    describe("by hand", () => {
        it("the lead goes to the fit member that is tagged with a later since, and stays there", () =>
            inShop(3, async (world) => {
                const { timeline, region, stack, leader, others } = world;
                stack.sweeping = true;
                tag(world, others[1]);
                const handed = region.tags(others[1])[sinceKey];
                await timeline.pass(promptly);
                expectOneLeader(world, [others[1]]);
                expect(region.tags(leader)).to.not.have.property(tagKey);

                await timeline.pass(5 * minute);
                expectOneLeader(world, [others[1]]);
                expect(region.tags(others[1])[sinceKey]).to.equal(handed);
            }));

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
        it("a group at zero has no leader, and gets one when it grows again", () =>
            inShop(2, async (world) => {
                const { timeline, region, fleet, stack } = world;
                stack.sweeping = true;
                fleet.scale(shop, 0);
                await timeline.pass(3 * minute);
                expect(fleet.members(shop)).to.deep.equal([]);
                expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([]);

                fleet.scale(shop, 2);
                await timeline.pass(sweptMillis);
                const leader = expectOneLeader(world, fleet.members(shop));
                await timeline.pass(5 * minute);
                expectOneLeader(world, [leader]);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
            }));

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

        it("an arriving instance leads while its group boots, and goes on if it is the first in service", () =>
            inWatchedWorld(async (world) => {
                const { timeline, region, fleet, stack, reigns } = world;
                fleet.addGroup(shop, 0);
                fleet.scale(shop, 1);
                stack.sweep();
                await timeline.pass(promptly);
                const leader = expectOneLeader(world, fleet.members(shop));
                expect(region.state(leader)).to.equal("pending");

                await timeline.pass(2 * minute);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expectOneLeader(world, [leader]);
                expect(reigns).to.have.length(1);
            }));

        it("an arriving instance leads as soon as its lifecycle hook reports it", () =>
            inWatchedWorld(async (world) => {
                const { timeline, region, fleet } = world;
                fleet.addGroup(shop, 0);
                fleet.scale(shop, 1, { hook: true });
                await timeline.pass(15_000 + promptly);
                const leader = expectOneLeader(world, fleet.members(shop));
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("Pending:Wait");
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

        it("a member in service is chosen before an arriving one", () =>
            inShop(2, async (world) => {
                const { timeline, fleet, leader, others } = world;
                for (let launched = 0; launched < 9; launched++) {
                    fleet.launch(shop);
                }
                fleet.crash(leader);
                await timeline.pass(promptly);
                expectOneLeader(world, others);
            }));
    });

    describe("with many events at once", () => {
        it("when the leader and all but one of the others end together, that one leads within a second", () =>
            inShop(5, async (world) => {
                const { timeline, fleet, leader, others } = world;
                for (const id of [leader, ...others.slice(0, 3)]) {
                    fleet.crash(id);
                }
                await timeline.pass(promptly);
                expectOneLeader(world, [others[3]]);
            }));

        for (const place of [0, 1, 2]) {
            it(`the member that the same batch reports as launched leads: number ${place + 1} of three`, () =>
                inShop(4, async (world) => {
                    const { timeline, region, fleet, leader, others } = world;
                    await inOneBatch(world, 2, () => {
                        fleet.crash(leader);
                        region.emit(scalingEvent("launch-successful", timeline.now, shop, others[place]));
                    });
                    expectOneLeader(world, [others[place]]);
                }));
        }

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

        it("when the leaders of twenty groups end at once, each group has another within a second", () =>
            inWatchedWorld(async ({ timeline, region, fleet, stack }) => {
                const names = Array.from({ length: 20 }, (_, number) => `awseb-${number}`);
                const lost = names.map((name) => fleet.addGroup(name, 3)[0]);
                for (const id of lost) {
                    region.setTags(id, { [tagKey]: "true", [sinceKey]: atFive });
                }
                await stack.settle();
                for (const id of lost) {
                    fleet.crash(id);
                }
                await timeline.pass(promptly);
                for (const [place, name] of names.entries()) {
                    const leaders = region.leaders(name, tagKey);
                    expect(leaders, name).to.have.length(1);
                    expect(fleet.members(name).filter((id) => id !== lost[place])).to.include(leaders[0]);
                }
            }));

        it("among departures of other instances, the leader's counts within a second", () =>
            inShop(2, async (world) => {
                const { timeline, region, fleet, leader, others } = world;
                const foreign = Array.from({ length: 30 }, () => region.addInstance(undefined));
                foreign.slice(0, 15).forEach(endQuietly);
                fleet.crash(leader);
                foreign.slice(15).forEach(endQuietly);
                await timeline.pass(promptly);
                expectOneLeader(world, others);

                function endQuietly(id: string): void {
                    region.setState(id, "shutting-down");
                    region.emit(stateEvent(timeline.now, id, "shutting-down"));
                }
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

        it("of two stopped leaders the one with the later since stays, and the other is demoted once", () =>
            inShop(2, async (world) => {
                const { region, stack, others } = world;
                stopSilently(world);
                stack.sweeping = true;
                region.setTags(others[0], { [tagKey]: "true", [sinceKey]: atHalfPastFive });
                await bombard(world);
                expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal(others);
                expect(changes(world)).to.deep.equal([others]);
            }));

        it("as soon as one of the others runs again, it leads", () =>
            inShop(3, async (world) => {
                const { timeline, region, stack, others } = world;
                stopSilently(world);
                stack.sweeping = true;
                await bombard(world);
                region.setState(others[1], "running");
                await timeline.pass(sweptMillis);
                expectOneLeader(world, [others[1]]);
            }));

        it("two stopped members without a leader stay without one", () =>
            inShop(2, async (world) => {
                const { timeline, region, stack, leader } = world;
                stopSilently(world);
                region.setTags(leader, { [tagKey]: undefined, [sinceKey]: undefined });
                stack.sweeping = true;
                await timeline.pass(3 * minute);
                expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([]);
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
    const all = [[leader], ...reigns.map(({ leaders }) => leaders).filter(({ length }) => length > 0)];
    return all.slice(1).filter((leaders, place) => String(leaders) !== String(all[place]));
}

function expectReceived({ stack }: World, isMeant: (event: BusEvent) => boolean): void {
    const received = stack.invocations.flatMap(({ events }) => events as BusEvent[]);
    expect(received.some(isMeant), "whether the event reached the function").to.equal(true);
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
