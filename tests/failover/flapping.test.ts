// Flapping: after three promotions in a group within a minute, tag events cause no promotion there until the next sweep.

import { expect } from "chai";
import { scalingEvent } from "../simulator/aws/events";
import {
    atFive,
    expectOneLeader,
    leadersOf,
    minute,
    type OthersOf,
    openShop,
    orphansOf,
    rule,
    type Shop,
    shop,
    sinceKey,
    tagKey,
    untag,
} from "../simulator/scenario";
import type { World } from "../simulator/world";

const promptly = 1000; // from an event to the election that it causes

describe("A group whose leader changes again and again", () => {
    function shopRule<N extends number>(name: string, size: N, act: (world: Shop<OthersOf<N>>) => Promise<void>): void {
        rule(name, async (world) => act(await openShop(world, size)));
    }

    shopRule("the next sweep promotes, and tag events count again", 3, async (world) => {
        const { timeline, stack } = world;
        await flap(world);
        strip(world);
        await timeline.pass(promptly);
        expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([]);

        stack.sweep();
        await timeline.pass(promptly);
        expectOneLeader(world);
        strip(world);
        await timeline.pass(promptly);
        expectOneLeader(world);
    });

    shopRule("while it flaps, another event causes a promotion, and tag events still none", 3, async (world) => {
        const { timeline, region, others } = world;
        await flap(world);
        strip(world);
        region.emit(scalingEvent("launch-successful", timeline.now, shop, others[0]));
        await timeline.pass(promptly);
        expectOneLeader(world);

        strip(world);
        await timeline.pass(minute);
        expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([]);
    });

    shopRule("while it flaps, a leader that ends has a successor within a second", 3, async (world) => {
        const { timeline, fleet, leader, others } = world;
        await flap(world);
        const lost = expectOneLeader(world);
        fleet.crash(lost);
        await timeline.pass(promptly);
        expectOneLeader(
            world,
            [leader, ...others].filter((id) => id !== lost),
        );
    });

    shopRule("while it flaps, a second leader is still demoted", 3, async (world) => {
        const { timeline, region, leader, others } = world;
        await flap(world);
        const leads = expectOneLeader(world);
        const copy = [leader, ...others].find((id) => id !== leads) as string;
        region.setTags(copy, { [tagKey]: "true", [sinceKey]: atFive });
        await timeline.pass(promptly);
        expectOneLeader(world, [leads]);
    });

    shopRule("flapping of one group leaves the others alone", 3, async (world) => {
        const { timeline, region, fleet } = world;
        const [neighbour] = fleet.addGroup("awseb-neighbour", 2);
        region.setTags(neighbour, { [tagKey]: "true", [sinceKey]: atFive });
        await flap(world);
        region.setTags(neighbour, { [tagKey]: undefined, [sinceKey]: undefined });
        await timeline.pass(promptly);
        expect(region.leaders("awseb-neighbour", tagKey)).to.have.length(1);
    });

    shopRule("three promotions in more than a minute are no flapping", 3, async (world) => {
        const { timeline } = world;
        for (let time = 0; time < 6; time++) {
            strip(world);
            await timeline.pass(promptly);
            expectOneLeader(world);
            await timeline.pass(35_000);
        }
    });
});

/** An operator takes the leader's tags off. */
function strip(world: World): void {
    for (const id of leadersOf(world)) {
        untag(world, id);
    }
}

/** The tags are taken off three times, and each time a leader is promoted. */
async function flap(world: Shop): Promise<void> {
    for (let promotion = 0; promotion < 3; promotion++) {
        strip(world);
        await world.timeline.pass(2000);
        expectOneLeader(world);
    }
}
