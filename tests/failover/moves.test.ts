// A leader keeps its tag while it moves between groups that elect together, as in an immutable update of Elastic Beanstalk.
import { expect } from "chai";
import { type BusEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import { writesIn } from "../simulator/changes";
import { atFive, minute } from "../simulator/clock";
import { leading } from "../simulator/members";
import { a, b, c, d, sinceKey, tagKey } from "../simulator/names";
import { eventOf, receive, receiveTogether, sweep } from "../simulator/scenario";
import type { World } from "../simulator/world";
import {
    addElectorate,
    blue,
    environment,
    environmentRule,
    expectLeaderOfShop,
    green,
    leadersOfAll,
    noteOverlaps,
} from "./environment";

describe("Groups that elect together", () => {
    describe("keep one leader throughout an immutable update", () => {
        /** What becomes of an event on its way, in milliseconds. */
        const fates: Record<string, (event: BusEvent) => number[]> = {
            "events come as they are sent": () => [300],
            "every event comes twice": () => [300, 2500],
            "attaching is reported before detaching": (event) => [/Detach/.test(typeOf(event)) ? 4000 : 300],
            "detaching is reported late": (event) => [/Detach/.test(typeOf(event)) ? 3 * minute : 300],
            "attaching is reported late": (event) => [/Launch/.test(typeOf(event)) ? 3 * minute : 300],
            "detaching is never reported": (event) => (/Detach/.test(typeOf(event)) ? [] : [300]),
            "attaching is never reported": (event) => (/Launch/.test(typeOf(event)) ? [] : [300]),
            "no event comes at all": () => [],
        };
        for (const [what, fate] of Object.entries(fates)) {
            for (const lag of [0, 3000]) {
                environmentRule(`${what}${lag > 0 ? ", and EC2's reads lag" : ""}`, async (world) => {
                    const { region, fleet, stack, timeline } = world;
                    stack.fate = fate;
                    stack.sweeping = true;
                    const old = fleet.addGroup(blue, 3, environment());
                    await timeline.pass(2 * minute);
                    const leader = expectLeaderOfShop(world);
                    const since = region.tags(leader)[sinceKey];
                    const overlaps = noteOverlaps(world);

                    region.lag = () => lag;
                    const added = await bringUp(world, 3);
                    await moveAll(world, added);
                    region.groups.delete(green);
                    await timeline.pass(2 * minute);
                    expect(leadersOfAll(world), "leaders before the old members end").to.deep.equal([leader]);
                    expect(region.tags(leader)[sinceKey]).to.equal(since);

                    expect(fleet.scale(blue, 3)).to.deep.equal(old);
                    await timeline.pass(10 * minute);
                    expect(fleet.members(blue)).to.deep.equal(added);
                    expectLeaderOfShop(world, added);
                    expect(overlaps).to.deep.equal([]);
                });
            }
        }
    });

    describe("and a leader that moves from one to the other", () => {
        const detached = (world: World) => eventOf(world, "detach-successful", c, green);
        const attached = (world: World) => eventOf(world, "launch-successful", c, blue);
        const looks: Record<string, (world: World) => Promise<unknown>> = {
            "its Detach event, then its Launch event": async (world) => {
                await receive(world, detached(world));
                await receive(world, attached(world));
            },
            "its Launch event, then its Detach event": async (world) => {
                await receive(world, attached(world));
                await receive(world, detached(world));
            },
            "both events in one batch": (world) => receiveTogether(world, [detached(world), attached(world)]),
            "both events in one batch, the later one first": (world) =>
                receiveTogether(world, [attached(world), detached(world)]),
            "another member's event of the group that it joined": (world) =>
                receive(world, eventOf(world, "launch-successful", a, blue)),
            "another member's event of the group that it left": (world) =>
                receive(world, eventOf(world, "detach-successful", d, green)),
            "a departure of another leader's": (world) => receive(world, stateEvent(world.timeline.now, b, "stopping")),
            "its own tag event": (world) =>
                receive(world, tagEvent(world.timeline.now, c, [tagKey], world.region.tags(c))),
            "a sweep": sweep,
        };
        // It leaves at 1 s, joins at 2 s, is in service at 3 s, and is looked at from 4 s on.
        const seenAt: Record<string, number | undefined> = {
            "": undefined,
            ", and its tags still name the group that it left": 500,
            ", and its tags still name no group": 1500,
        };
        for (const [report, look] of Object.entries(looks)) {
            for (const [lagging, at] of Object.entries(seenAt)) {
                environmentRule(`stays, whatever reports it: ${report}${lagging}`, async (world) => {
                    const { region, stack, timeline } = world;
                    stack.fate = () => [];
                    const start = timeline.now;
                    addElectorate(world, { [a]: {}, [b]: {} }, { [c]: leading(atFive), [d]: {} });
                    await move(world, c);
                    if (at !== undefined) {
                        region.lag = () => timeline.now - (start + at);
                    }
                    await look(world);
                    expect(leadersOfAll(world)).to.deep.equal([c]);
                    expect(region.tags(c)).to.include({ [sinceKey]: atFive, [groupKey]: blue });
                    expect(writesIn(region.calls)).to.deep.equal([]);
                });
            }
        }

        environmentRule(
            "stays when the group that it left is deleted, and only a late Detach event reports it",
            async (world) => {
                world.stack.fate = () => [];
                addElectorate(world, { [a]: {} }, { [c]: leading(atFive) });
                await move(world, c);
                world.region.groups.delete(green);
                await receive(world, detached(world));
                expect(leadersOfAll(world)).to.deep.equal([c]);
                expect(writesIn(world.region.calls)).to.deep.equal([]);
            },
        );

        environmentRule("loses both tags if it joins none, and a member of either group leads", async (world) => {
            addElectorate(world, { [a]: {} }, { [c]: leading(atFive), [d]: {} });
            world.fleet.detach(c);
            await world.stack.settle();
            expectLeaderOfShop(world, [a, d]);
            expect(world.region.tags(c)).to.not.have.any.keys(tagKey, sinceKey);
        });

        environmentRule("when it joins between an election's reads: none leads beside it", async (world) => {
            const { region, fleet, stack, timeline } = world;
            addElectorate(world, { [a]: {}, [b]: {} }, { [c]: leading(atFive), [d]: {} });
            const overlaps = noteOverlaps(world);
            fleet.detach(c);
            // Its group is asked for once its electorate has been read.
            let joined = false;
            region.beforeCall.push(({ action }) => {
                if (action === "autoscaling:DescribeAutoScalingInstances" && !joined) {
                    joined = true;
                    fleet.attach(c, blue);
                }
            });
            await timeline.pass(10_000);
            await stack.settle();
            expect(joined, "whether it was asked for").to.equal(true);
            expectLeaderOfShop(world);
            expect(overlaps).to.deep.equal([]);
        });
    });
});

/** A second group appears, launches members, and has them in service; their ids. */
async function bringUp({ region, fleet, timeline }: World, size: number): Promise<string[]> {
    fleet.addGroup(green, 0, environment());
    fleet.scale(green, size);
    await timeline.pass(2 * minute);
    const added = fleet.members(green);
    expect(added.map((id) => region.memberOf(id)?.member.lifecycleState)).to.deep.equal(added.map(() => "InService"));
    return added;
}

/** Instances leave the second group one after the other, and join the first. */
async function moveAll({ fleet, timeline }: World, ids: string[]): Promise<void> {
    for (const id of ids) {
        fleet.detach(id);
        await timeline.pass(1500);
        fleet.attach(id, blue);
        await timeline.pass(500);
    }
    await timeline.pass(2 * minute);
    expect(fleet.members(green)).to.deep.equal([]);
    expect(fleet.members(blue)).to.include.members(ids);
}

/** An instance leaves the second group at 1 s, joins the first at 2 s, and is in service at 3 s. */
async function move({ fleet, timeline, region }: World, id: string): Promise<void> {
    await timeline.pass(1000);
    fleet.detach(id);
    await timeline.pass(1000);
    fleet.attach(id, blue);
    await timeline.pass(2000);
    expect(region.memberOf(id)).to.deep.include({
        member: { id, lifecycleState: "InService", healthStatus: "Healthy", protected: false },
    });
}

const typeOf = (event: BusEvent): string => event["detail-type"];
