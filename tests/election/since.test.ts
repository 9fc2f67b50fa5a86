// The since that an election writes beside the tag: a fencing token that only grows, and that each fit leader gets.

import { expect } from "chai";
import { groupKey } from "../simulator/aws/region";
import { writesIn } from "../simulator/changes";
import { firstOf } from "../simulator/lists";
import {
    a,
    addMembers,
    atFive,
    b,
    c,
    callsOf,
    denied,
    eventOf,
    failing,
    failOnce,
    formerly,
    hour,
    isoTime,
    leadersOf,
    leading,
    minute,
    type Options,
    receive,
    rule,
    second,
    shop,
    sinceKey,
    sinceOf,
    start,
    sweep,
    tagKey,
    timedOut,
} from "../simulator/scenario";

describe("An election that promotes says since when", () => {
    rule("in the same call as the tag, in ISO 8601 with milliseconds, UTC", async (world) => {
        addMembers(world, { [a]: {} });
        const { since } = firstOf(await sweep(world));
        const written = sinceOf(world, a);
        expect(world.region.tags(a)[tagKey]).to.equal("true");
        expect(written)
            .to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
            .and.to.equal(since);
        expect(Date.parse(written)).to.be.within(start, start + 1000);
        const tagging = callsOf(world, "ec2:CreateTags").map(({ input }) => input);
        expect(tagging).to.deep.equal([
            {
                Resources: [a],
                Tags: [
                    { Key: tagKey, Value: "true" },
                    { Key: sinceKey, Value: written },
                ],
            },
        ]);
    });

    const seen: [what: string, options: Options][] = [
        ["a live leader that it replaces", { lifecycleState: "Standby" }],
        ["a leader that is shutting down", { state: "shutting-down" }],
        ["a terminated leader", { state: "terminated" }],
    ];
    for (const [what, options] of seen) {
        rule(`later than ${what} does, even if that is in the future`, async (world) => {
            const ahead = isoTime(start + 3 * hour);
            addMembers(world, { [a]: { ...leading(ahead), ...options }, [b]: {} });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(Date.parse(sinceOf(world, b))).to.be.greaterThan(Date.parse(ahead));
        });
    }

    for (const since of [isoTime(start + 25 * hour), "yesterday", "9999", ""]) {
        rule(`as it is, in spite of a leader since ${JSON.stringify(since)}`, async (world) => {
            addMembers(world, { [a]: { ...leading(since), lifecycleState: "Standby" }, [b]: {} });
            await sweep(world);
            expect(Date.parse(sinceOf(world, b))).to.be.within(start, start + 1000);
        });
    }

    describe("later than a former leader did", () => {
        const ahead = isoTime(start + 3 * hour);

        for (const [what, options] of Object.entries<Options>({
            "that is a member": { lifecycleState: "Standby" },
            "that is terminated": { state: "terminated" },
        })) {
            rule(what, async (world) => {
                addMembers(world, { [a]: { ...formerly(ahead), ...options }, [b]: {} });
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([b]);
                expect(Date.parse(sinceOf(world, b))).to.be.greaterThan(Date.parse(ahead));
            });
        }

        rule("even if the election died between demotion and promotion", async (world) => {
            addMembers(world, { [a]: { ...leading(ahead), lifecycleState: "Standby" }, [b]: {} });
            world.stack.fate = () => [];
            world.region.fault = failOnce("ec2:CreateTags", { dies: true });
            world.stack.sweep();
            await world.timeline.pass(5 * second);
            expect(leadersOf(world)).to.deep.equal([]);
            await world.stack.settle();
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(Date.parse(sinceOf(world, b))).to.be.greaterThan(Date.parse(ahead));
        });

        rule("even if the demotion was never answered", async (world) => {
            addMembers(world, { [a]: { ...leading(ahead), lifecycleState: "Standby" }, [b]: {} });
            world.region.fault = failOnce("ec2:DeleteTags", { error: timedOut, afterEffect: true });
            await sweep(world);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(Date.parse(sinceOf(world, b))).to.be.greaterThan(Date.parse(ahead));
        });
    });
});

describe("A fit leader without a proper since", () => {
    const improper: [what: string, since: string | undefined][] = [
        ["none", undefined],
        ["a malformed one", "yesterday"],
        ["an empty one", ""],
        ["one of 2099", "2099-01-01T00:00:00.000Z"],
        ["one more than a day ahead", isoTime(start + 24 * hour + minute)],
    ];
    for (const [what, since] of improper) {
        rule(
            `that has ${what} gets one from the sweep, later than any other, and nothing else changes`,
            async (world) => {
                addMembers(world, { [a]: { ...leading(since, "TRUE") }, [b]: formerly(isoTime(start + hour)) });
                const [report] = await sweep(world);
                expect(report).to.include({ outcome: "kept", leader: a });
                const { [sinceKey]: _, ...rest } = world.region.tags(a);
                const adopted = sinceOf(world, a);
                expect(rest).to.deep.equal({ [groupKey]: shop, [tagKey]: "TRUE" });
                expect(adopted).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
                expect(Date.parse(adopted))
                    .to.be.greaterThan(start + hour)
                    .and.to.be.lessThan(start + 2 * hour);
                expect(writesIn(world.region.calls)).to.have.length(1);

                await sweep(world);
                expect(writesIn(world.region.calls), "writes after another sweep").to.have.length(1);
            },
        );
    }

    rule("gets none from an event, so that these stay cheap", async (world) => {
        addMembers(world, { [a]: leading(), [b]: {} });
        await receive(world, eventOf(world, "launch-successful", b));
        expect(world.region.tags(a)).to.deep.equal({ [groupKey]: shop, [tagKey]: "true" });
    });

    rule("gets none while it is not fit, or when another leads", async (world) => {
        addMembers(world, { [a]: { ...leading(), lifecycleState: "Standby" } });
        addMembers(world, { [b]: leading(), [c]: leading(atFive) }, "awseb-blog");
        await sweep(world);
        expect(world.region.tags(a)).to.deep.equal({ [groupKey]: shop, [tagKey]: "true" });
        expect(leadersOf(world, "awseb-blog")).to.deep.equal([c]);
        expect(world.region.tags(b)).to.deep.equal({ [groupKey]: "awseb-blog" });
    });

    rule("goes on leading if AWS refuses, and gets one later", async (world) => {
        addMembers(world, { [a]: leading(), [b]: {} });
        world.region.fault = failing("ec2:CreateTags", denied);
        const [report] = await sweep(world);
        expect(report).to.include({ outcome: "kept", leader: a });
        expect(leadersOf(world)).to.deep.equal([a]);
        world.region.fault = () => undefined;
        await sweep(world);
        expect(Object.keys(world.region.tags(a))).to.include(sinceKey);
    });
});
