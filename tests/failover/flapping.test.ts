// Flapping: after three promotions in a group within a minute, tag events cause no promotion there until the next sweep.
import { expect } from "chai";
import { denied, failOnce } from "../simulator/aws/faults";
import { atFive, minute, second } from "../simulator/clock";
import { addLedGroup, leading, unhealthy, untag } from "../simulator/members";
import {
    eventOf,
    expectOneLeader,
    leadersOf,
    orphansOf,
    receive,
    type Shop,
    shopRule,
    sweep,
} from "../simulator/scenario";

const promptly = second; // from an event to the election that it causes

/** An operator takes the leader's tags off. */
async function strip(world: Shop, millis = promptly): Promise<void> {
    untag(world, ...leadersOf(world));
    await world.timeline.pass(millis);
}

/** The tags are taken off some times, and each time a leader is promoted; the last one. */
async function flap(world: Shop, promotions = 3): Promise<string> {
    for (let promotion = 0; promotion < promotions; promotion++) {
        await strip(world, 20 * second);
        expectOneLeader(world);
    }
    return expectOneLeader(world);
}

const expectNone = (world: Shop) => expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([]);

describe("A group whose leader changes again and again", () => {
    shopRule("the next sweep promotes, and tag events count again", 3, async (world) => {
        await flap(world);
        await strip(world);
        expectNone(world);
        await sweep(world);
        expectOneLeader(world);
        await strip(world);
        expectOneLeader(world);
    });

    shopRule("while it flaps, another event causes a promotion, and tag events still none", 3, async (world) => {
        await flap(world);
        await strip(world);
        await receive(world, eventOf(world, "launch-successful", world.leader));
        expectOneLeader(world);
        await strip(world, minute);
        expectNone(world);
    });

    shopRule("while it flaps, a leader that ends has a successor within a second", 3, async (world) => {
        const lost = await flap(world);
        world.fleet.crash(lost);
        await world.timeline.pass(promptly);
        expect(expectOneLeader(world)).to.not.equal(lost);
    });

    shopRule("while it flaps, a second leader is still demoted", 3, async (world) => {
        const leads = await flap(world);
        const copy = [world.leader, ...world.others].find((id) => id !== leads) ?? "";
        world.region.setTags(copy, leading(atFive).tags ?? {});
        await world.timeline.pass(promptly);
        expectOneLeader(world, [leads]);
    });

    shopRule("a tag that a leader gets back counts as a promotion", 2, async (world) => {
        const leads = await flap(world, 2);
        world.region.setMember(leads, unhealthy);
        world.region.fault = failOnce("ec2:CreateTags", { error: denied });
        await sweep(world);
        expectOneLeader(world, [leads]);
        await strip(world);
        expectNone(world);
    });

    shopRule("flapping of one group leaves the others alone", 3, async (world) => {
        const neighbour = addLedGroup(world, "awseb-neighbour", 2);
        await flap(world);
        untag(world, neighbour);
        await world.timeline.pass(promptly);
        expect(leadersOf(world, "awseb-neighbour")).to.have.length(1);
    });

    shopRule("three promotions in more than a minute are no flapping", 3, async (world) => {
        for (let time = 0; time < 6; time++) {
            await strip(world);
            expectOneLeader(world);
            await world.timeline.pass(35 * second);
        }
    });
});
