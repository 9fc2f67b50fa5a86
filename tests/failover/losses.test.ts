// Each way of losing a leader: who leads afterwards, how soon, and that no write ever leaves two leaders.
import { expect } from "chai";
import { type BusEvent, scalingEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import { type Program, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const tagKey = "app:isLeader";
const sinceKey = "app:isLeader:since";
const group = "awseb-shop";

// The timeline starts at 06:00.
const atFive = "2026-11-23T05:00:00.000Z";
const atFour = "2026-11-23T04:00:00.000Z";
const atHalfPastFive = "2026-11-23T05:30:00.000Z";

const toldMillis = 1000; // from the loss, where an event tells of it
const sweptMillis = 61_000; // where only the sweep finds it
const minute = 60_000;

/** Leaders of a group after a write that changed who leads. */
interface Reign {
    at: number;
    group: string;
    leaders: string[];
}

/** A world with one group, led by its oldest member since five o'clock. */
interface Shop extends World {
    leader: string;
    others: string[];
    /** Every change of leader since then. */
    reigns: Reign[];
}

interface Loss {
    /** What becomes of the leader. */
    what: string;
    lose: (shop: Shop) => void;
    /** How soon somebody leads, if no event tells; a sweep's period unless given. */
    unheardMillis?: number;
    /** Who was lost may be chosen again. */
    mayReturn?: boolean;
}

const losses: Loss[] = [
    { what: "is scaled in", lose: ({ fleet }) => void fleet.scale(group, 2) },
    { what: "is scaled in through a lifecycle hook", lose: ({ fleet }) => void fleet.scale(group, 2, { hook: true }) },
    { what: "crashes", lose: ({ fleet, leader }) => fleet.crash(leader) },
    { what: "is stopped", lose: ({ fleet, leader }) => fleet.stop(leader) },
    { what: "is detached", lose: ({ fleet, leader }) => fleet.detach(leader) },
    {
        what: "gets a Spot warning",
        lose: ({ fleet, leader }) => fleet.warn(leader),
        unheardMillis: 2 * minute + sweptMillis, // nobody knows before the interruption
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

// No event tells of these.
const silentLosses: Loss[] = [
    { what: "becomes unhealthy", lose: ({ fleet, leader }) => fleet.becomeUnhealthy(leader) },
    { what: "goes to Standby", lose: ({ fleet, leader }) => fleet.enterStandby(leader) },
];

describe("Losing a leader", () => {
    let program: Program;
    before(async function () {
        this.timeout(30_000);
        program = await runProgram({ config: { asgPrefix: "awseb-", tagKey, sweepMinutes: "1" } });
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

    function inShop(size: number, act: (shop: Shop) => Promise<void>): Promise<void> {
        return inWatchedWorld(async (world) => {
            const [leader, ...others] = world.fleet.addGroup(group, size);
            world.region.setTags(leader, { [tagKey]: "true", [sinceKey]: atFive });
            await world.stack.settle();
            expect(leadersOfShop(world), "who leads before the loss").to.deep.equal([leader]);
            await act({ ...world, leader, others });
        });
    }

    describe("that an event tells of", () => {
        for (const { what, lose, mayReturn } of losses) {
            it(`when it ${what}, a member that is fit leads within a second, and goes on leading`, () =>
                inShop(3, async (shop) => {
                    const { timeline, stack, leader, others } = shop;
                    stack.sweeping = true;
                    lose(shop);
                    await timeline.pass(toldMillis);
                    const [successor] = expectOneLeader(shop, mayReturn ? [leader, ...others] : others);

                    await timeline.pass(10 * minute);
                    expect(leadersOfShop(shop)).to.deep.equal([successor]);
                    expect(changes(shop), "leaders after each change").to.deep.equal([[successor]]);
                }));
        }

        it("when it is the only member and terminated, its replacement leads as soon as it is in service", () =>
            inShop(1, async (shop) => {
                const { timeline, region, fleet, leader } = shop;
                fleet.crash(leader);
                await timeline.pass(10 * minute);
                const [replacement] = fleet.members(group);
                expect(replacement).to.not.equal(leader);
                expect(region.memberOf(replacement)?.member.lifecycleState).to.equal("InService");
                expectOneLeader(shop, [replacement]);
            }));
    });

    describe("that only the sweep finds", () => {
        const unheard = losses.map((loss) => ({ ...loss, what: `${loss.what}, and no event ever comes` }));
        for (const { what, lose, mayReturn, unheardMillis = sweptMillis } of [...silentLosses, ...unheard]) {
            it(`when it ${what}, a member that is fit leads after the next sweep`, () =>
                inShop(3, async (shop) => {
                    const { timeline, stack, leader, others } = shop;
                    stack.fate = () => [];
                    stack.sweeping = true;
                    lose(shop);
                    await timeline.pass(unheardMillis);
                    const [successor] = expectOneLeader(shop, mayReturn ? [leader, ...others] : others);

                    await timeline.pass(10 * minute);
                    expect(leadersOfShop(shop)).to.deep.equal([successor]);
                    expect(changes(shop).at(-1), "leaders after the last change").to.deep.equal([successor]);
                }));
        }

        it("a Spot warning that never comes: the interruption tells", () =>
            inShop(2, async (shop) => {
                const { timeline, fleet, stack, leader, others } = shop;
                stack.fate = (event) => (event["detail-type"].includes("Spot") ? [] : [300]);
                fleet.warn(leader);
                await timeline.pass(2 * minute - 1);
                expectOneLeader(shop, [leader]);
                await timeline.pass(toldMillis);
                expectOneLeader(shop, others);
            }));
    });

    describe("that comes back", () => {
        it("an instance that comes back from Standby doesn't take the lead again", () =>
            inShop(3, async (shop) => {
                const { timeline, region, fleet, stack, leader, others } = shop;
                stack.sweeping = true;
                fleet.enterStandby(leader);
                await timeline.pass(sweptMillis);
                const [successor] = expectOneLeader(shop, others);

                fleet.exitStandby(leader);
                await timeline.pass(5 * minute);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expect(region.tags(leader)).to.not.have.any.keys(tagKey, sinceKey);
                expectOneLeader(shop, [successor]);
            }));

        it("an instance that becomes healthy again doesn't take the lead again", () =>
            inShop(3, async (shop) => {
                const { timeline, fleet, stack, leader, others } = shop;
                fleet.becomeUnhealthy(leader);
                stack.sweep();
                await timeline.pass(toldMillis);
                const [successor] = expectOneLeader(shop, others);

                fleet.recover(leader);
                stack.sweeping = true;
                await timeline.pass(5 * minute);
                expect(fleet.members(group)).to.include(leader);
                expectOneLeader(shop, [successor]);
            }));

        it("a late event that it was stopping demotes nobody, if the instance runs again", () =>
            inShop(3, async (shop) => {
                const { timeline, fleet, stack, leader } = shop;
                stack.fate = ({ detail }) => (detail.state === "stopping" ? [90_000] : [300]);
                fleet.stop(leader);
                await timeline.pass(5000);
                fleet.start(leader);
                await timeline.pass(2 * minute);
                expectHeard(shop, ({ detail }) => detail.state === "stopping");
                expect(leadersOfShop(shop)).to.deep.equal([leader]);
                expect(changes(shop)).to.deep.equal([]);
            }));

        it("a doubled event that it was stopping demotes nobody, if the instance runs and leads again", () =>
            inShop(2, async (shop) => {
                const { timeline, region, fleet, leader, others } = shop;
                const stoppedAt = timeline.now;
                fleet.stop(leader);
                await timeline.pass(toldMillis);
                expectOneLeader(shop, others);
                fleet.start(leader);
                handOver(shop, leader);
                await timeline.pass(toldMillis);
                expectOneLeader(shop, [leader]);

                for (let copy = 0; copy < 5; copy++) {
                    region.emit(stateEvent(stoppedAt, leader, "stopping"));
                    await timeline.pass(20_000);
                }
                expect(leadersOfShop(shop)).to.deep.equal([leader]);
                expect(changes(shop)).to.deep.equal([others, [leader]]);
            }));
    });

    describe("by Detach", () => {
        it("takes both tags off the instance within a second, and leaves its other tags", () =>
            inShop(3, async ({ timeline, region, fleet, leader }) => {
                region.setTags(leader, { Name: "first" });
                fleet.detach(leader);
                await timeline.pass(toldMillis);
                expect(region.tags(leader)).to.deep.equal({ Name: "first" });
            }));

        it("takes both tags off at the next sweep, if no event comes", () =>
            inShop(3, async ({ timeline, region, fleet, stack, leader }) => {
                stack.fate = () => [];
                stack.sweeping = true;
                fleet.detach(leader);
                await timeline.pass(sweptMillis);
                expect(region.tags(leader)).to.deep.equal({});
            }));

        it("leaves an instance alone that no group lists and that has the tag without since", () =>
            inShop(3, async ({ timeline, region, fleet, stack, leader }) => {
                region.setTags(leader, { [sinceKey]: undefined });
                await stack.settle();
                stack.sweeping = true;
                fleet.detach(leader);
                await timeline.pass(2 * minute);
                expect(region.tags(leader)).to.deep.equal({ [tagKey]: "true" });
            }));

        it("an old event of it takes nothing off an instance that its group lists", () =>
            inShop(3, async (shop) => {
                const { timeline, region, stack, leader } = shop;
                region.emit(scalingEvent("detach-successful", timeline.now - minute, group, leader));
                await stack.settle();
                expect(region.tags(leader)).to.deep.equal({
                    [groupKey]: group,
                    [tagKey]: "true",
                    [sinceKey]: atFive,
                });
                expect(changes(shop)).to.deep.equal([]);
            }));

        it("takes nothing off an instance that a group lists, though EC2 doesn't show its group", () =>
            inShop(3, async ({ region, stack, leader }) => {
                region.setTags(leader, { [groupKey]: undefined });
                stack.sweep();
                await stack.settle();
                expect(region.tags(leader)).to.deep.equal({ [tagKey]: "true", [sinceKey]: atFive });
            }));

        it("demotes an instance that its group lists no more, though EC2 still shows its group", () =>
            inShop(3, async (shop) => {
                const { timeline, region, stack, leader, others } = shop;
                region.unlist(leader);
                stack.sweep();
                await timeline.pass(toldMillis);
                expectOneLeader(shop, others);
                expect(region.tags(leader)).to.deep.equal({ [groupKey]: group });
            }));

        it("an instance that is attached again has no tags, and leads only if it is chosen", () =>
            inShop(2, async (shop) => {
                const { timeline, fleet, stack, leader, others } = shop;
                stack.sweeping = true;
                fleet.detach(leader);
                await timeline.pass(toldMillis);
                fleet.attach(leader, group);
                await timeline.pass(5 * minute);
                expect(fleet.members(group)).to.include(leader);
                expectOneLeader(shop, others);
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
                inShop(3, async (shop) => {
                    const { timeline, region, leader, others } = shop;
                    region.setTags(others[0], { [tagKey]: "true", [sinceKey]: since });
                    await timeline.pass(toldMillis);
                    const [winner, loser] = wins ? [others[0], leader] : [leader, others[0]];
                    expectOneLeader(shop, [winner]);
                    expect(region.tags(winner)[sinceKey]).to.equal(wins ? since : atFive);
                    expect(region.tags(loser)).to.deep.equal({ [groupKey]: group });
                }));
        }

        it("if no event comes, the next sweep demotes whoever must go", () =>
            inShop(3, async (shop) => {
                const { timeline, region, stack, leader, others } = shop;
                stack.fate = () => [];
                stack.sweeping = true;
                for (const id of others) {
                    region.setTags(id, { [tagKey]: "TRUE", [sinceKey]: atFour });
                }
                await timeline.pass(sweptMillis);
                expectOneLeader(shop, [leader]);
            }));

        it("a member that isn't fit doesn't take the lead, whatever its since", () =>
            inShop(3, async (shop) => {
                const { timeline, region, leader, others } = shop;
                region.setMember(others[0], { healthStatus: "Unhealthy" });
                region.setTags(others[0], { [tagKey]: "true", [sinceKey]: atHalfPastFive });
                await timeline.pass(toldMillis);
                expectOneLeader(shop, [leader]);
            }));
    });

    describe("by hand", () => {
        it("the lead goes to the fit member that is tagged with a later since, and stays there", () =>
            inShop(3, async (shop) => {
                const { timeline, region, stack, leader, others } = shop;
                stack.sweeping = true;
                handOver(shop, others[1]);
                const handed = region.tags(others[1])[sinceKey];
                await timeline.pass(toldMillis);
                expectOneLeader(shop, [others[1]]);
                expect(region.tags(leader)).to.not.have.any.keys(tagKey, sinceKey);

                await timeline.pass(5 * minute);
                expectOneLeader(shop, [others[1]]);
                expect(region.tags(others[1])[sinceKey]).to.equal(handed);
            }));

        it("the lead can be handed on and back", () =>
            inShop(2, async (shop) => {
                const { timeline, leader, others } = shop;
                for (const heir of [others[0], leader, others[0]]) {
                    handOver(shop, heir);
                    await timeline.pass(toldMillis);
                    expectOneLeader(shop, [heir]);
                }
            }));
    });

    describe("when the group grows, shrinks or begins", () => {
        it("a group at zero has no leader, and gets one when it grows again", () =>
            inShop(2, async (shop) => {
                const { timeline, region, fleet, stack } = shop;
                stack.sweeping = true;
                fleet.scale(group, 0);
                await timeline.pass(3 * minute);
                expect(fleet.members(group)).to.deep.equal([]);
                expect(leadersOfShop(shop)).to.deep.equal([]);

                fleet.scale(group, 2);
                await timeline.pass(sweptMillis);
                const [leader] = expectOneLeader(shop, fleet.members(group));
                await timeline.pass(5 * minute);
                expectOneLeader(shop, [leader]);
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
                fleet.addGroup(group, 0);
                fleet.scale(group, 1);
                stack.sweep();
                await timeline.pass(toldMillis);
                const [leader] = expectOneLeader(world, fleet.members(group));
                expect(region.state(leader)).to.equal("pending");

                await timeline.pass(2 * minute);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expectOneLeader(world, [leader]);
                expect(reigns).to.have.length(1);
            }));

        it("an arriving instance leads as soon as its lifecycle hook tells of it", () =>
            inWatchedWorld(async (world) => {
                const { timeline, region, fleet } = world;
                fleet.addGroup(group, 0);
                fleet.scale(group, 1, { hook: true });
                await timeline.pass(15_000 + toldMillis);
                const [leader] = expectOneLeader(world, fleet.members(group));
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("Pending:Wait");
            }));

        it("an arriving leader gives way within a second to the first member in service, and stays out", () =>
            inWatchedWorld(async (world) => {
                const { timeline, region, fleet, stack, reigns } = world;
                fleet.addGroup(group, 0);
                const slow = fleet.launch(group, { hook: true });
                stack.sweep();
                await timeline.pass(toldMillis);
                expectOneLeader(world, [slow]);

                const quick = fleet.launch(group);
                await timeline.pass(35_000 - 1);
                expectOneLeader(world, [slow]);
                await timeline.pass(toldMillis);
                expectOneLeader(world, [quick]);

                stack.sweeping = true;
                await timeline.pass(5 * minute);
                expect(region.memberOf(slow)?.member.lifecycleState).to.equal("InService");
                expectOneLeader(world, [quick]);
                expect(reigns.filter(({ leaders }) => leaders.length > 0)).to.have.length(2);
            }));

        it("a member in service is chosen before an arriving one", () =>
            inShop(2, async (shop) => {
                const { timeline, fleet, leader, others } = shop;
                for (let launched = 0; launched < 9; launched++) {
                    fleet.launch(group);
                }
                fleet.crash(leader);
                await timeline.pass(toldMillis);
                expectOneLeader(shop, others);
            }));
    });

    describe("with many events at once", () => {
        it("when the leader and all but one of the others end together, that one leads within a second", () =>
            inShop(5, async (shop) => {
                const { timeline, fleet, leader, others } = shop;
                for (const id of [leader, ...others.slice(0, 3)]) {
                    fleet.crash(id);
                }
                await timeline.pass(toldMillis);
                expectOneLeader(shop, [others[3]]);
            }));

        for (const place of [0, 1, 2]) {
            it(`the member that the same batch reports as launched leads: number ${place + 1} of three`, () =>
                inShop(4, async (shop) => {
                    const { timeline, region, fleet, leader, others } = shop;
                    await inOneBatch(shop, 2, () => {
                        fleet.crash(leader);
                        region.emit(scalingEvent("launch-successful", timeline.now, group, others[place]));
                    });
                    expectOneLeader(shop, [others[place]]);
                }));
        }

        it("a batch of old, doubled and contradicting events changes nothing while the leader is fit", () =>
            inShop(3, async (shop) => {
                const { timeline, region, leader, others } = shop;
                const old = timeline.now - minute;
                await inOneBatch(shop, 8, () => {
                    region.emit(scalingEvent("terminate-successful", old, group, leader));
                    region.emit(scalingEvent("launch-successful", old, group, others[0]));
                    region.emit(scalingEvent("launch-successful", old, group, others[0]));
                    region.emit(scalingEvent("detach-successful", old, group, leader));
                    region.emit(stateEvent(old, leader, "shutting-down"));
                    region.emit(stateEvent(old, leader, "stopping"));
                    region.emit(tagEvent(old, leader, [tagKey], { [groupKey]: group }));
                    region.emit(tagEvent(old, others[1], [tagKey], { [groupKey]: group, [tagKey]: "true" }));
                });
                expectOneLeader(shop, [leader]);
                expect(changes(shop)).to.deep.equal([]);
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
                await timeline.pass(toldMillis);
                for (const [place, name] of names.entries()) {
                    const leaders = region.leaders(name, tagKey);
                    expect(leaders, name).to.have.length(1);
                    expect(fleet.members(name).filter((id) => id !== lost[place])).to.include(leaders[0]);
                }
            }));

        it("among departures of instances that are none of ours, the leader's is heard within a second", () =>
            inShop(2, async (shop) => {
                const { timeline, region, fleet, leader, others } = shop;
                const foreign = Array.from({ length: 30 }, () => region.addInstance(undefined));
                foreign.slice(0, 15).forEach(endQuietly);
                fleet.crash(leader);
                foreign.slice(15).forEach(endQuietly);
                await timeline.pass(toldMillis);
                expectOneLeader(shop, others);

                function endQuietly(id: string): void {
                    region.setState(id, "shutting-down");
                    region.emit(stateEvent(timeline.now, id, "shutting-down"));
                }
            }));
    });

    describe("of whom nobody is fit to take over", () => {
        it("a stopped leader stays while all others are stopped too, whatever tag events come", () =>
            inShop(2, async (shop) => {
                const { region, stack, leader, others } = shop;
                stopBehindTheirBacks(shop);
                stack.sweeping = true;
                await bombard(shop);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expect(leadersOfShop(shop)).to.deep.equal([leader]);
                expect(region.tags(others[0])).to.not.have.any.keys(tagKey, sinceKey);
                expect(changes(shop)).to.deep.equal([]);
            }));

        it("of two stopped leaders the one with the later since stays, and the other is demoted once", () =>
            inShop(2, async (shop) => {
                const { region, stack, others } = shop;
                stopBehindTheirBacks(shop);
                stack.sweeping = true;
                region.setTags(others[0], { [tagKey]: "true", [sinceKey]: atHalfPastFive });
                await bombard(shop);
                expect(leadersOfShop(shop)).to.deep.equal(others);
                expect(changes(shop)).to.deep.equal([others]);
            }));

        it("as soon as one of the others runs again, it leads", () =>
            inShop(3, async (shop) => {
                const { timeline, region, stack, others } = shop;
                stopBehindTheirBacks(shop);
                stack.sweeping = true;
                await bombard(shop);
                region.setState(others[1], "running");
                await timeline.pass(sweptMillis);
                expectOneLeader(shop, [others[1]]);
            }));

        it("two stopped members without a leader stay without one", () =>
            inShop(2, async (shop) => {
                const { timeline, region, stack, leader } = shop;
                stopBehindTheirBacks(shop);
                region.setTags(leader, { [tagKey]: undefined, [sinceKey]: undefined });
                stack.sweeping = true;
                await timeline.pass(3 * minute);
                expect(leadersOfShop(shop)).to.deep.equal([]);
            }));
    });

    describe("again and again", () => {
        it("after three promotions within a minute tag events cause no promotion until the next sweep", () =>
            inShop(3, async (shop) => {
                await brake(shop);
                strip(shop);
                await shop.timeline.pass(10 * minute);
                expect(leadersOfShop(shop)).to.deep.equal([]);
            }));

        it("the next sweep promotes and lets go of the brake", () =>
            inShop(3, async (shop) => {
                const { timeline, stack } = shop;
                await brake(shop);
                strip(shop);
                await timeline.pass(toldMillis);
                expect(leadersOfShop(shop)).to.deep.equal([]);

                stack.sweep();
                await timeline.pass(toldMillis);
                expectOneLeader(shop);
                strip(shop);
                await timeline.pass(toldMillis);
                expectOneLeader(shop);
            }));

        it("with the brake on, another event causes a promotion, and tag events still none", () =>
            inShop(3, async (shop) => {
                const { timeline, region, others } = shop;
                await brake(shop);
                strip(shop);
                region.emit(scalingEvent("launch-successful", timeline.now, group, others[0]));
                await timeline.pass(toldMillis);
                expectOneLeader(shop);

                strip(shop);
                await timeline.pass(minute);
                expect(leadersOfShop(shop)).to.deep.equal([]);
            }));

        it("with the brake on, a leader that ends has a successor within a second", () =>
            inShop(3, async (shop) => {
                const { timeline, fleet, leader, others } = shop;
                await brake(shop);
                const [lost] = expectOneLeader(shop);
                fleet.crash(lost);
                await timeline.pass(toldMillis);
                expectOneLeader(
                    shop,
                    [leader, ...others].filter((id) => id !== lost),
                );
            }));

        it("with the brake on, a second leader is still demoted", () =>
            inShop(3, async (shop) => {
                const { timeline, region, leader, others } = shop;
                await brake(shop);
                const [leads] = expectOneLeader(shop);
                const copy = [leader, ...others].find((id) => id !== leads) as string;
                region.setTags(copy, { [tagKey]: "true", [sinceKey]: atFive });
                await timeline.pass(toldMillis);
                expectOneLeader(shop, [leads]);
            }));

        it("the brake of one group leaves the others alone", () =>
            inShop(3, async (shop) => {
                const { timeline, region, fleet } = shop;
                const [neighbour] = fleet.addGroup("awseb-neighbour", 2);
                region.setTags(neighbour, { [tagKey]: "true", [sinceKey]: atFive });
                await brake(shop);
                region.setTags(neighbour, { [tagKey]: undefined, [sinceKey]: undefined });
                await timeline.pass(toldMillis);
                expect(region.leaders("awseb-neighbour", tagKey)).to.have.length(1);
            }));

        it("promotions that take longer than a minute bring no brake", () =>
            inShop(3, async (shop) => {
                const { timeline } = shop;
                for (let time = 0; time < 6; time++) {
                    strip(shop);
                    await timeline.pass(toldMillis);
                    expectOneLeader(shop);
                    await timeline.pass(35_000);
                }
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

/** Who led the shop after each change, without the moments between a demotion and a promotion. */
function changes({ reigns, leader }: Shop): string[][] {
    const all = [[leader], ...reigns.map(({ leaders }) => leaders).filter(({ length }) => length > 0)];
    return all.slice(1).filter((leaders, place) => String(leaders) !== String(all[place]));
}

/** Every live instance that is tagged as a leader, in the shop or in no group at all. */
function leadersOfShop({ region }: World): string[] {
    const strays = [...region.instances.keys()].filter(
        (id) =>
            region.tags(id)[groupKey] === undefined &&
            !["shutting-down", "terminated"].includes(region.state(id)) &&
            region.tags(id)[tagKey]?.toLowerCase() === "true",
    );
    return [...region.leaders(group, tagKey), ...strays];
}

/** The only leader of the shop, one of those who may lead, with a `since` beside its tag. */
function expectOneLeader(world: World, mayLead = world.fleet.members(group)): string[] {
    const leaders = leadersOfShop(world);
    expect(leaders, "live leaders").to.have.length(1);
    expect(mayLead, "who may lead").to.include(leaders[0]);
    expect(world.region.leaders(group, tagKey)).to.deep.equal(leaders);
    expect(world.region.tags(leaders[0])[sinceKey]).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    return leaders;
}

function expectHeard({ stack }: World, isMeant: (event: BusEvent) => boolean): void {
    const heard = stack.invocations.flatMap(({ events }) => events as BusEvent[]);
    expect(heard.some(isMeant), "whether the event reached the function").to.equal(true);
}

/** An operator tags a member with a later `since`. */
function handOver({ region, timeline }: World, heir: string): void {
    region.setTags(heir, { [tagKey]: "true", [sinceKey]: new Date(timeline.now).toISOString() });
}

/** Somebody takes the tag off whoever leads. */
function strip(world: World): void {
    for (const id of leadersOfShop(world)) {
        world.region.setTags(id, { [tagKey]: undefined, [sinceKey]: undefined });
    }
}

/** Somebody takes the tag off three times, and each time a leader is promoted. */
async function brake(shop: Shop): Promise<void> {
    for (let promotion = 0; promotion < 3; promotion++) {
        strip(shop);
        await shop.timeline.pass(2000);
        expectOneLeader(shop);
    }
}

/** All members stop, and neither an event nor their group says so. */
function stopBehindTheirBacks({ region, fleet }: World): void {
    for (const id of fleet.members(group)) {
        region.setState(id, "stopped");
    }
}

/** Tag events about all members, one by one and in bursts, whatever their tags are. */
async function bombard({ region, fleet, timeline }: World): Promise<void> {
    for (let round = 0; round < 30; round++) {
        for (const id of fleet.members(group)) {
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
    await timeline.pass(toldMillis);
    expect(stack.invocations.map(({ events }) => events.length)).to.include(size);
}
