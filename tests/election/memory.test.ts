// Memory: what a container wrote itself counts before what EC2 answers, and gives way to what is newer.

import { expect } from "chai";
import { tagEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import { writesIn } from "../simulator/changes";
import {
    a,
    addMembers,
    atFive,
    b,
    eventOf,
    isoTime,
    leadersOf,
    leading,
    minute,
    programWith,
    receive,
    shop,
    sinceKey,
    start,
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

    describe("while EC2's reads lag (rule 8)", () => {
        const lagging = 20_000;

        rule("counts its own promotion as read", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            world.region.lag = () => lagging;
            const [{ leader }] = await sweep(world);
            await receive(world, eventOf(world, "launch-successful", a));
            await receive(world, eventOf(world, "launch-successful", b));
            expect(leadersOf(world)).to.deep.equal([leader]);
            expect(writesIn(world.region.calls)).to.have.length(1);
        });

        rule("counts its own demotion as read", async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
            world.region.lag = () => lagging;
            await sweep(world);
            world.region.setMember(a, { lifecycleState: "InService" });
            await receive(world, eventOf(world, "launch-successful", a));
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(writesIn(world.region.calls)).to.have.length(2);
        });

        rule("replaces the leader that it has promoted if the group no longer lists it", async (world) => {
            addMembers(world, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            world.region.detach(a);
            await receive(world, eventOf(world, "detach-successful", a));
            expect(leadersOf(world)).to.deep.equal([b]);
            await world.timeline.pass(minute);
            await sweep(world);
            expect(world.region.tags(a)).to.deep.equal({});
            expect(leadersOf(world)).to.deep.equal([b]);
        });

        rule("elects again at once if a tag event says that its leader has lost the tag", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            const [{ leader }] = await sweep(world);
            await world.timeline.pass(5000);
            world.region.setTags(leader as string, { [tagKey]: undefined, [sinceKey]: undefined });
            expect(leadersOf(world)).to.deep.equal([]);
            await world.stack.settle();
            expect(leadersOf(world)).to.have.length(1);
        });

        rule("elects again after 30 seconds if no event reports that its leader has lost the tag", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            const [{ leader }] = await sweep(world);
            world.stack.fate = () => [];
            world.region.setTags(leader as string, { [tagKey]: undefined, [sinceKey]: undefined });
            await world.timeline.pass(20_000);
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "kept", leader });
            expect(leadersOf(world)).to.deep.equal([]);
            await world.timeline.pass(11_000);
            await sweep(world);
            expect(leadersOf(world)).to.have.length(1);
        });

        rule("is not misled by a tag event from before its promotion", async (world) => {
            addMembers(world, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            world.stack.hear(tagEvent(start - 5000, a, [tagKey], { [groupKey]: shop }));
            await world.stack.settle();
            expect(leadersOf(world)).to.deep.equal([a]);
            expect(writesIn(world.region.calls)).to.have.length(1);
        });

        rule("ends up with one leader after another elector's write that it could not see", async (world) => {
            addMembers(world, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            world.region.setTags(b, { [tagKey]: "true", [sinceKey]: isoTime(world.timeline.now) });
            await world.stack.settle();
            await world.timeline.pass(minute);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
        });
    });
});
