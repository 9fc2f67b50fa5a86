// Groups that carry the same value of a tag elect one leader together, and keep it while instances move between them.

import { expect } from "chai";
import type { BusEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { metricLinesIn, roundTripsIn, writesIn } from "../simulator/changes";
import { firstOf, firstTwo, only } from "../simulator/lists";
import {
    a,
    atFive,
    atFour,
    b,
    c,
    d,
    eventOf,
    leading,
    type Options,
    programWith,
    receive,
    sinceKey,
    sweep,
    tagKey,
} from "../simulator/scenario";
import { inWorld, type World } from "../simulator/world";
import {
    addElectorate,
    addGroup,
    blue,
    electorateTag,
    environment,
    environmentRule,
    expectLeaderOfShop,
    green,
    leadersOfAll,
    watch,
} from "./environment";

const lone = "awseb-lone";

describe("Groups with the same value of the electorate's tag", () => {
    describe("have one leader, by the decision table over all members", () => {
        interface Case {
            what: string;
            members: Record<string, Options>;
            others: Record<string, Options>;
            leads: string[];
        }
        const cases: Case[] = [
            { what: "a fit leader stays", members: { [a]: {} }, others: { [b]: leading(atFive), [c]: {} }, leads: [b] },
            {
                what: "a fit member of the other group takes over from a leader that isn't fit",
                members: { [a]: { ...leading(atFive), healthStatus: "Unhealthy" }, [b]: { lifecycleState: "Standby" } },
                others: { [c]: {} },
                leads: [c],
            },
            {
                what: "a live leader stays if none is fit in any of them",
                members: { [a]: { ...leading(atFive), state: "stopped" } },
                others: { [b]: { lifecycleState: "Pending", state: "pending" } },
                leads: [a],
            },
        ];
        const ways: Record<string, (world: World) => void> = {
            "a sweep": ({ stack }) => stack.sweep(),
            "an event of one group": (world) => send(world, eventOf(world, "terminate-unsuccessful", a, blue)),
            "an event of the other group": (world) => send(world, eventOf(world, "terminate-unsuccessful", b, green)),
        };
        for (const { what, members, others, leads } of cases) {
            for (const [way, look] of Object.entries(ways)) {
                environmentRule(`${what} (${way})`, async (world) => {
                    const { stack } = world;
                    addElectorate(world, members, others);
                    const breaches = watch(world);
                    look(world);
                    await stack.settle();
                    expect(leadersOfAll(world)).to.deep.equal(leads);
                    expect(breaches).to.deep.equal([]);
                });
            }
        }

        environmentRule(
            "two groups that each had a leader before they got the tag keep the one with the latest since",
            async (world) => {
                const { region } = world;
                addGroup(world, blue, {}, { [a]: leading(atFive) });
                addGroup(world, green, {}, { [b]: leading(atFour) });
                await sweep(world);
                expect(leadersOfAll(world)).to.deep.equal([a, b]);
                for (const name of [blue, green]) {
                    Object.assign(region.groups.get(name)?.tags as object, environment());
                }
                await sweep(world);
                expect(leadersOfAll(world)).to.deep.equal([a]);
            },
        );

        environmentRule("a group that loses the tag gets a leader of its own", async (world) => {
            const { region } = world;
            addElectorate(world, { [a]: leading(atFive) }, { [b]: {} });
            delete region.groups.get(green)?.tags[electorateTag];
            await sweep(world);
            expect(region.leaders(blue, tagKey)).to.deep.equal([a]);
            expect(region.leaders(green, tagKey)).to.deep.equal([b]);
        });
    });

    describe("are distinguished from groups", () => {
        const cases: Record<string, { name: string; tags: Record<string, string> }> = {
            "without the tag": { name: lone, tags: {} },
            "with an empty value": { name: lone, tags: environment("") },
            "with another value": { name: lone, tags: environment("blog") },
            "with the value in another case": { name: lone, tags: environment("Shop") },
            "with a value that begins like theirs": { name: lone, tags: environment("shop-2") },
            "with the value under another key": { name: lone, tags: { "elasticbeanstalk:environment-id": "shop" } },
            "that are called like the value": { name: "awseb-shop", tags: {} },
        };
        for (const [what, { name, tags }] of Object.entries(cases)) {
            environmentRule(`${what}: these have a leader of their own`, async (world) => {
                const { region, fleet, stack } = world;
                fleet.addGroup(blue, 2, environment());
                fleet.addGroup(green, 2, environment());
                fleet.addGroup(name, 2, tags);
                await sweep(world);
                expectLeaderOfShop(world);
                expect(region.leaders(name, tagKey)).to.have.length(1);

                region.setTags(firstOf(leadersOfAll(world)), { [tagKey]: undefined, [sinceKey]: undefined });
                send(world, eventOf(world, "terminate-unsuccessful", firstOf(fleet.members(blue)), blue));
                await stack.settle();
                expectLeaderOfShop(world);
                expect(region.leaders(name, tagKey)).to.have.length(1);
            });
        }

        environmentRule("of another prefix: the same value changes nothing in them, nor here", async (world) => {
            addElectorate(world, { [a]: {} }, { [b]: {} });
            addGroup(world, "other-group", environment(), { [c]: leading(atFive), [d]: {} });
            await sweep(world);
            await receive(world, eventOf(world, "launch-successful", a, blue));
            expect([a, b]).to.include(only(leadersOfAll(world)));
            expect(world.region.leaders("other-group", tagKey)).to.deep.equal([c]);
        });

        it("that are called like what their reports are named by", async () => {
            const odd = await programWith({ electorateTag: "awseb-env" });
            await inWorld(odd, async ({ region, fleet, stack, timeline }) => {
                fleet.addGroup(blue, 2, { "awseb-env": "shop" });
                fleet.addGroup(green, 2, { "awseb-env": "shop" });
                fleet.addGroup("awseb-env=shop", 2);
                stack.sweep();
                await stack.settle();
                const together = () => [blue, green].flatMap((name) => region.leaders(name, tagKey));
                expect(together()).to.have.length(1);
                expect(region.leaders("awseb-env=shop", tagKey)).to.have.length(1);

                fleet.crash(firstOf(region.leaders("awseb-env=shop", tagKey)));
                fleet.crash(firstOf(together()));
                await timeline.pass(1000);
                expect(together()).to.have.length(1);
                expect(region.leaders("awseb-env=shop", tagKey)).to.have.length(1);
            });
        });
    });

    describe("are reported", () => {
        environmentRule("as one, by key and value of the tag, with their names in order", async (world) => {
            addElectorate(world, { [b]: {} }, { [a]: leading(atFive) }, [green, blue]);
            addGroup(world, lone, {}, { [c]: leading(atFive) });
            await sweep(world);
            const reports = firstOf(world.stack.invocations).reports;
            expect(reports).to.have.length(2);
            const [alone, together] = firstTwo(reports.toSorted((one) => (one.group === lone ? -1 : 1)));
            expect(together).to.deep.include({
                group: `${electorateTag}=shop`,
                groups: [blue, green],
                outcome: "kept",
                leader: a,
                since: atFive,
            });
            expect(together.candidates).to.have.members([a, b]);
            expect(alone).to.include({ group: lone, outcome: "kept", leader: c });
            expect(alone).to.not.have.property("groups");
        });

        for (const [key, value, dimension] of [
            [electorateTag, "shop", `${electorateTag}=shop`],
            [electorateTag, "umwelt-ü 店", `${electorateTag}=umwelt-? ?`],
            [":env", "a b=c/d", "?env=a b=c/d"],
        ] as const) {
            it(`in metrics whose dimensions are ASCII and begin with no colon: ${key}=${value}`, async () =>
                inWorld(await programWith({ electorateTag: key }), async (world) => {
                    for (const group of [blue, green]) {
                        world.fleet.addGroup(group, 1, { [key]: value });
                    }
                    await sweep(world);
                    const metrics = metricLinesIn(world);
                    expect(metrics.flatMap(({ Group }) => Group ?? [])).to.deep.equal([dimension]);
                    expect(metrics.flatMap(({ Groups }) => Groups ?? [])[0], "groups that elect").to.equal(1);
                    expect(firstOf(firstOf(world.stack.invocations).reports).group).to.equal(`${key}=${value}`);
                    expect(leadersOfAll(world)).to.have.length(1);
                }));
        }
    });

    describe("cost", () => {
        interface Cost {
            what: string;
            tags: Record<string, string>;
            /** Of the group that is asked for, and its electorate's others. */
            groups: number;
            calls: number;
            roundTrips: number;
        }
        const costs: Cost[] = [
            { what: "a group without the tag", tags: {}, groups: 1, calls: 2, roundTrips: 1 },
            { what: "one group with it", tags: environment(), groups: 1, calls: 3, roundTrips: 2 },
            { what: "two groups with it", tags: environment(), groups: 2, calls: 4, roundTrips: 3 },
            { what: "ten groups with it", tags: environment(), groups: 10, calls: 4, roundTrips: 3 },
        ];
        for (const { what, tags, groups, calls, roundTrips } of costs) {
            environmentRule(
                `${what}: at most ${calls} calls in ${roundTrips} round trips while the leader stays`,
                async (world) => {
                    const { region, stack } = world;
                    stack.fate = () => [];
                    addGroup(world, blue, tags, { [a]: leading(atFive) });
                    for (let number = 1; number < groups; number++) {
                        addGroup(world, `awseb-more-${number}`, tags, { [`i-2${number}`]: {} });
                    }
                    await receive(world, eventOf(world, "terminate-unsuccessful", a, blue));
                    expect(leadersOfAll(world)).to.deep.equal([a]);
                    expect(writesIn(region.calls)).to.deep.equal([]);
                    expect(region.calls).to.have.length.within(2, calls);
                    expect(roundTripsIn(region.calls)).to.be.at.most(roundTrips);
                },
            );
        }

        it("nothing more if the setting is off: two calls, whatever tags the group has", async () => {
            const off = await programWith();
            await inWorld(off, async (world) => {
                world.stack.fate = () => [];
                addElectorate(world, { [a]: leading(atFive) }, { [b]: leading(atFive) });
                await receive(world, eventOf(world, "launch-successful", a, blue));
                expect(world.region.calls.map(({ action }) => action)).to.have.members([
                    "autoscaling:DescribeAutoScalingGroups",
                    "ec2:DescribeInstances",
                ]);
                expect(leadersOfAll(world)).to.deep.equal([a, b]);
            });
        });
    });

    environmentRule("elect none if their other groups can't be read", async (world) => {
        const { region } = world;
        addElectorate(world, { [a]: {} }, { [b]: leading(atFive) });
        const denied = awsError("InternalFailure", "try again", 500);
        region.fault = ({ action, input }) =>
            action === "autoscaling:DescribeAutoScalingGroups" && input.Filters ? { error: denied } : undefined;
        const report = only(await receive(world, eventOf(world, "launch-successful", a, blue)));
        expect(report).to.include({ group: blue, outcome: "failed" });
        expect(report.reason).to.contain("autoscaling:DescribeAutoScalingGroups");
        expect(leadersOfAll(world)).to.deep.equal([b]);

        region.fault = () => undefined;
        await receive(world, eventOf(world, "launch-successful", a, blue));
        expect(leadersOfAll(world)).to.deep.equal([b]);
        expect(writesIn(region.calls)).to.deep.equal([]);
    });
});

/** Sends an event to the function, whatever becomes of others. */
function send({ stack }: World, event: BusEvent): void {
    const { fate } = stack;
    stack.fate = () => [300];
    stack.send(event);
    stack.fate = fate;
}
