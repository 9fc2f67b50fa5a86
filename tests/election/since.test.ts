// The since that an election writes beside the tag: a fencing token that only grows, and that each fit leader gets.
import { expect } from "chai";
import { denied, failing } from "../simulator/aws/faults";
import { groupKey } from "../simulator/aws/region";
import { callsOf, writesIn } from "../simulator/changes";
import { atFive, hour, isoTime, minute, second, start } from "../simulator/clock";
import { only } from "../simulator/lists";
import { addMembers, formerly, leading, type Options, standby } from "../simulator/members";
import { a, b, c, shop, sinceKey, tagKey } from "../simulator/names";
import { eventOf, leadersOf, receive, rule, sinceOf, sweep } from "../simulator/scenario";
import type { World } from "../simulator/world";

describe("An election that promotes says since when", () => {
    const ahead = isoTime(start + 3 * hour);
    const isLater = (world: World) => Date.parse(sinceOf(world, b)) > Date.parse(ahead);

    rule("in the same call as the tag, in ISO 8601 with milliseconds, UTC", async (world) => {
        addMembers(world, { [a]: {} });
        const { since } = only(await sweep(world));
        const written = sinceOf(world, a);
        expect(world.region.tags(a)[tagKey]).to.equal("true");
        expect(written)
            .to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
            .and.to.equal(since);
        expect(Date.parse(written)).to.be.within(start, start + second);
        const { input } = only(callsOf(world, "ec2:CreateTags"));
        expect(input).to.deep.equal({
            Resources: [a],
            Tags: [
                { Key: tagKey, Value: "true" },
                { Key: sinceKey, Value: written },
            ],
        });
    });

    const seen: Record<string, Options> = {
        "a live leader that it replaces": leading(ahead, standby),
        "a leader that is shutting down": leading(ahead, { state: "shutting-down" }),
        "a terminated leader": leading(ahead, { state: "terminated" }),
        "a former leader that is a member": { ...formerly(ahead), ...standby },
        "a former leader that is terminated": { ...formerly(ahead), state: "terminated" },
    };
    for (const [what, options] of Object.entries(seen)) {
        rule(`later than ${what} does, even if that is in the future`, async (world) => {
            addMembers(world, { [a]: options, [b]: {} });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(isLater(world)).to.equal(true);
        });
    }
});

describe("A fit leader without a proper since", () => {
    const improper: Record<string, string | undefined> = {
        none: undefined,
        "one more than a day ahead": isoTime(start + 24 * hour + minute),
    };
    for (const [what, since] of Object.entries(improper)) {
        rule(`that has ${what} gets a later one from the sweep, and nothing else changes`, async (world) => {
            addMembers(world, { [a]: leading(since, {}, "TRUE"), [b]: formerly(isoTime(start + hour)) });
            expect(only(await sweep(world))).to.include({ outcome: "kept", leader: a });
            const { [sinceKey]: adopted = "", ...rest } = world.region.tags(a);
            expect(rest).to.deep.equal({ [groupKey]: shop, [tagKey]: "TRUE" });
            expect(adopted).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
            expect(Date.parse(adopted)).to.be.within(start + hour + 1, start + 2 * hour);
            await sweep(world);
            expect(writesIn(world.region.calls), "writes after another sweep").to.have.length(1);
        });
    }

    rule("gets none from an event, so that these stay cheap", async (world) => {
        addMembers(world, { [a]: leading(), [b]: {} });
        await receive(world, eventOf(world, "launch-successful", b));
        expect(world.region.tags(a)).to.deep.equal({ [groupKey]: shop, [tagKey]: "true" });
    });

    rule("gets none while it is not fit, or when another leads", async (world) => {
        addMembers(world, { [a]: leading(undefined, standby) });
        addMembers(world, { [b]: leading(), [c]: leading(atFive) }, "awseb-blog");
        await sweep(world);
        expect(world.region.tags(a)).to.deep.equal({ [groupKey]: shop, [tagKey]: "true" });
        expect(leadersOf(world, "awseb-blog")).to.deep.equal([c]);
        expect(world.region.tags(b)).to.deep.equal({ [groupKey]: "awseb-blog" });
    });

    rule("goes on leading if AWS refuses, and gets one later", async (world) => {
        addMembers(world, { [a]: leading(), [b]: {} });
        world.region.fault = failing("ec2:CreateTags", denied);
        expect(only(await sweep(world))).to.include({ outcome: "kept", leader: a });
        expect(leadersOf(world)).to.deep.equal([a]);
        world.region.fault = () => undefined;
        await sweep(world);
        expect(world.region.tags(a)).to.include.keys(sinceKey);
    });
});
