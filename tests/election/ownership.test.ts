// What is not ours stays as it is, and what is ours is taken off an instance that left its group.

import { expect } from "chai";
import { scalingEvent, spotEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import {
    a,
    addMembers,
    atFive,
    b,
    eventOf,
    leadersOf,
    leading,
    programWith,
    receive,
    shop,
    sweep,
    tagKey,
} from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

describe("An election", () => {
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    /** A test in a region of its own, which has this stack and nothing else in it. */
    function rule(name: string, act: (world: World) => Promise<void>): void {
        it(name, () => inWorld(program, act));
    }

    describe("of what is not ours (rule 9)", () => {
        /** Whatever the stack does, nothing is written for the groups of these names. */
        async function leavesAlone(world: World, groups: string[]): Promise<void> {
            const ids = groups.flatMap((group) => [
                world.region.addInstance(group),
                world.region.addInstance(group, { ...leading(atFive), lifecycleState: "Standby" }),
                world.region.addInstance(group, { ...leading(atFive), state: "terminated" }),
            ]);
            const before = ids.map((id) => world.region.tags(id));
            await sweep(world);
            for (const [place, id] of ids.entries()) {
                const group = groups[Math.floor(place / 3)];
                world.stack.hear(scalingEvent("launch-successful", world.timeline.now, group, id));
                world.stack.hear(stateEvent(world.timeline.now, id, "stopping"));
                world.stack.hear(spotEvent(world.timeline.now, id));
                world.stack.hear(tagEvent(world.timeline.now, id, [tagKey], world.region.tags(id)));
            }
            await world.stack.settle();
            await sweep(world);
            expect(world.stack.invocations.length).to.be.greaterThan(2);
            expect(ids.map((id) => world.region.tags(id))).to.deep.equal(before);
        }

        rule("leaves groups alone that have another prefix", async (world) => {
            await leavesAlone(world, ["shop", "my-awseb-shop", "Awseb-shop", "awseb", " awseb-shop"]);
            addMembers(world, { [a]: {} });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
        });

        rule("leaves other tags alone, with whatever key", async (world) => {
            const others = {
                Name: "shop",
                isLeader: "true",
                "app:isleader": "true",
                [`${tagKey}:sinc`]: "x",
                since: "x",
            };
            addMembers(world, {
                [a]: { lifecycleState: "Standby", tags: { ...leading(atFive).tags, ...others } },
                [b]: { tags: others },
            });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(world.region.tags(a)).to.deep.equal({ ...others, [groupKey]: shop });
            expect(world.region.tags(b)).to.include(others);
        });

        for (const value of ["false", "yes", "", "1", "true ", "truth", "untrue", "tru?", "TRUE\n"]) {
            rule(
                `takes none for a leader whose tag says ${JSON.stringify(value)}, and leaves that tag`,
                async (world) => {
                    addMembers(world, {
                        [a]: { ...leading(atFive, value), healthStatus: "Unhealthy" },
                        [b]: {},
                    });
                    const before = world.region.tags(a);
                    await sweep(world);
                    expect(leadersOf(world)).to.deep.equal([b]);
                    expect(world.region.tags(a)).to.deep.equal(before);
                },
            );
        }

        rule("does not take one group's leader for another's whose name looks like a pattern", async (world) => {
            const names = ["awseb-*", "awseb-?", "awseb-\\*", "awseb-b", "awseb-", "awseb-*b"];
            const ids = names.map((name) => world.region.addInstance(name));
            const old = names.map((name) => world.region.addInstance(name, leading(atFive)));
            world.region.setMember(old[0], { healthStatus: "Unhealthy" });
            await receive(world, eventOf(world, "launch-successful", ids[0], names[0]));
            expect(leadersOf(world, names[0])).to.deep.equal([ids[0]]);
            for (const name of names) {
                await receive(world, eventOf(world, "launch-successful", ids[0], name));
            }
            expect(names.slice(1).flatMap((name) => leadersOf(world, name))).to.deep.equal(old.slice(1));
        });
    });

    describe("of a stray (rule 9)", () => {
        const others = { Name: "stray" };

        rule("takes both tags off it, and no other, when a Detach event names it", async (world) => {
            addMembers(world, { [a]: { tags: { ...leading(atFive).tags, ...others } }, [b]: {} });
            world.region.detach(a);
            await receive(world, eventOf(world, "detach-successful", a));
            expect(world.region.tags(a)).to.deep.equal(others);
            expect(leadersOf(world)).to.deep.equal([b]);
        });

        rule("takes both tags off it when a tag event names it", async (world) => {
            const id = world.region.addInstance(undefined);
            world.region.setTags(id, { ...leading(atFive).tags, ...others });
            await world.stack.settle();
            expect(world.region.tags(id)).to.deep.equal(others);
        });

        rule("takes both tags off it when the sweep finds it, off many at once", async (world) => {
            const ids = Array.from({ length: 120 }, () =>
                world.region.addInstance(undefined, { tags: { ...leading(atFive).tags, ...others } }),
            );
            await sweep(world);
            expect(ids.map((id) => world.region.tags(id))).to.deep.equal(ids.map(() => others));
        });

        rule("leaves one alone that has no since: another tool may have tagged it", async (world) => {
            const id = world.region.addInstance(undefined, leading());
            await receive(world, eventOf(world, "detach-successful", id));
            world.stack.hear(tagEvent(world.timeline.now, id, [tagKey], world.region.tags(id)));
            await sweep(world);
            expect(world.region.tags(id)).to.deep.equal(leading().tags);
        });

        rule("leaves one alone whose tag has another value", async (world) => {
            const id = world.region.addInstance(undefined, leading(atFive, "false"));
            await receive(world, eventOf(world, "detach-successful", id));
            await sweep(world);
            expect(world.region.tags(id)).to.deep.equal(leading(atFive, "false").tags);
        });

        rule("never strips a member because of an old Detach event", async (world) => {
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            const before = world.region.tags(a);
            await receive(world, eventOf(world, "detach-successful", a));
            expect(world.region.tags(a)).to.deep.equal(before);
        });

        rule("never strips a member whose tags don't name its group yet", async (world) => {
            const id = world.region.addInstance(undefined, leading(atFive));
            const before = world.region.tags(id);
            world.region.addGroup(shop).members.push({
                id,
                lifecycleState: "InService",
                healthStatus: "Healthy",
                protected: false,
            });
            await receive(world, eventOf(world, "detach-successful", id, "awseb-blog"));
            expect(world.region.tags(id)).to.include(before);
        });

        rule("never strips the member of a group with another prefix", async (world) => {
            const id = world.region.addInstance("my-shop", leading(atFive));
            const before = world.region.tags(id);
            await receive(world, eventOf(world, "detach-successful", id));
            await sweep(world);
            expect(world.region.tags(id)).to.deep.equal(before);
        });
    });
});
