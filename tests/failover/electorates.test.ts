// Groups that carry the same value of a tag elect one leader together, and keep it while instances move between them.
import { expect } from "chai";
import { awsError } from "../simulator/aws/faults";
import { metricLinesIn, roundTripsIn, writesIn } from "../simulator/changes";
import { atFive, atFour } from "../simulator/clock";
import { firstOf, firstTwo, found, only } from "../simulator/lists";
import { leading, type Members, standby, unhealthy, untag } from "../simulator/members";
import { a, b, c, d } from "../simulator/names";
import { eventOf, leadersOf, quietRule, receive, rule, sweep } from "../simulator/scenario";
import type { World } from "../simulator/world";
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
    noteOverlaps,
} from "./environment";

const lone = "awseb-lone";

describe("Groups with the same value of the electorate's tag", () => {
    describe("have one leader, by the decision table over all members", () => {
        const cases: [what: string, members: Members, others: Members, leader: string][] = [
            ["a fit leader stays", { [a]: {} }, { [b]: leading(atFive), [c]: {} }, b],
            [
                "a fit member of the other group takes over from a leader that isn't fit",
                { [a]: leading(atFive, unhealthy), [b]: standby },
                { [c]: {} },
                c,
            ],
            [
                "a live leader stays if none is fit in any of them",
                { [a]: leading(atFive, { state: "stopped" }) },
                { [b]: { lifecycleState: "Pending", state: "pending" } },
                a,
            ],
        ];
        const ways: Record<string, (world: World) => Promise<unknown>> = {
            "a sweep": sweep,
            "an event of one group": (world) => receive(world, eventOf(world, "terminate-unsuccessful", a, blue)),
            "an event of the other group": (world) =>
                receive(world, eventOf(world, "terminate-unsuccessful", b, green)),
        };
        for (const [what, members, others, leader] of cases) {
            for (const [way, look] of Object.entries(ways)) {
                environmentRule(`${what} (${way})`, async (world) => {
                    addElectorate(world, members, others);
                    const overlaps = noteOverlaps(world);
                    await look(world);
                    expect(leadersOfAll(world)).to.deep.equal([leader]);
                    expect(overlaps).to.deep.equal([]);
                });
            }
        }

        environmentRule(
            "two groups that each had a leader before they got the tag keep the one with the latest since",
            async (world) => {
                addGroup(world, blue, {}, { [a]: leading(atFive) });
                addGroup(world, green, {}, { [b]: leading(atFour) });
                await sweep(world);
                expect(leadersOfAll(world)).to.deep.equal([a, b]);
                for (const name of [blue, green]) {
                    found(world.region.groups.get(name)).tags = environment();
                }
                await sweep(world);
                expect(leadersOfAll(world)).to.deep.equal([a]);
            },
        );

        environmentRule("a group that loses the tag gets a leader of its own", async (world) => {
            addElectorate(world, { [a]: leading(atFive) }, { [b]: {} });
            found(world.region.groups.get(green)).tags = {};
            await sweep(world);
            expect(leadersOf(world, blue)).to.deep.equal([a]);
            expect(leadersOf(world, green)).to.deep.equal([b]);
        });
    });

    describe("are distinguished from groups", () => {
        const cases: [what: string, tags: Record<string, string>, name?: string][] = [
            ["without the tag", {}],
            ["with an empty value", environment("")],
            ["with another value", environment("blog")],
            ["with the value in another case", environment("Shop")],
            ["with a value that begins like theirs", environment("shop-2")],
            ["with the value under another key", { "elasticbeanstalk:environment-id": "shop" }],
            ["that are called like the value", {}, "awseb-shop"],
        ];
        for (const [what, tags, name = lone] of cases) {
            environmentRule(`${what}: these have a leader of their own`, async (world) => {
                for (const [group, groupTags] of [
                    [blue, environment()],
                    [green, environment()],
                    [name, tags],
                ] as const) {
                    world.fleet.addGroup(group, 2, groupTags);
                }
                await sweep(world);
                expectLeaderOfShop(world);
                const own = only(leadersOf(world, name));

                untag(world, expectLeaderOfShop(world));
                await world.stack.settle();
                expectLeaderOfShop(world);
                expect(leadersOf(world, name)).to.deep.equal([own]);
            });
        }

        environmentRule("of another prefix: the same value changes nothing in them, nor here", async (world) => {
            addElectorate(world, { [a]: {} }, { [b]: {} });
            addGroup(world, "other-group", environment(), { [c]: leading(atFive), [d]: {} });
            await sweep(world);
            await receive(world, eventOf(world, "launch-successful", a, blue));
            expect([a, b]).to.include(only(leadersOfAll(world)));
            expect(leadersOf(world, "other-group")).to.deep.equal([c]);
        });

        rule(
            "that are called like what their reports are named by",
            async (world) => {
                const { fleet } = world;
                const namesake = "awseb-env=shop";
                fleet.addGroup(blue, 2, { "awseb-env": "shop" });
                fleet.addGroup(green, 2, { "awseb-env": "shop" });
                fleet.addGroup(namesake, 2);
                const together = () => only([blue, green].flatMap((name) => leadersOf(world, name)));
                await sweep(world);
                const before = [only(leadersOf(world, namesake)), together()];
                before.forEach((id) => void fleet.crash(id));
                await world.stack.settle();
                expect([only(leadersOf(world, namesake)), together()]).to.not.include.oneOf(before);
            },
            { electorateTag: "awseb-env" },
        );
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
            rule(
                `in metrics whose dimensions are ASCII and begin with no colon: ${key}=${value}`,
                async (world) => {
                    for (const group of [blue, green]) {
                        world.fleet.addGroup(group, 1, { [key]: value });
                    }
                    const report = only(await sweep(world));
                    expect(report.group).to.equal(`${key}=${value}`);
                    const metrics = metricLinesIn(world);
                    expect(metrics.flatMap(({ Group }) => Group ?? [])).to.deep.equal([dimension]);
                    expect(
                        metrics.flatMap(({ Groups }) => Groups ?? []),
                        "groups that elect",
                    ).to.deep.equal([1]);
                    expect(leadersOfAll(world)).to.deep.equal([report.leader]);
                },
                { electorateTag: key },
            );
        }
    });

    describe("cost", () => {
        const costs: [what: string, tags: Record<string, string>, groups: number, calls: number, roundTrips: number][] =
            [
                ["a group without the tag", {}, 1, 2, 1],
                ["one group with it", environment(), 1, 3, 2],
                ["two groups with it", environment(), 2, 4, 3],
                ["ten groups with it", environment(), 10, 4, 3],
            ];
        for (const [what, tags, groups, calls, roundTrips] of costs) {
            quietRule(
                `${what}: at most ${calls} calls in ${roundTrips} round trips while the leader stays`,
                async (world) => {
                    addGroup(world, blue, tags, { [a]: leading(atFive) });
                    for (let number = 1; number < groups; number++) {
                        addGroup(world, `awseb-more-${number}`, tags, { [`i-2${number}`]: {} });
                    }
                    await receive(world, eventOf(world, "terminate-unsuccessful", a, blue));
                    expect(leadersOfAll(world)).to.deep.equal([a]);
                    expect(writesIn(world.region.calls)).to.deep.equal([]);
                    expect(world.region.calls).to.have.length.within(2, calls);
                    expect(roundTripsIn(world.region.calls)).to.be.at.most(roundTrips);
                },
                { electorateTag },
            );
        }

        rule("nothing more if the setting is off: two calls, whatever tags the group has", async (world) => {
            addElectorate(world, { [a]: leading(atFive) }, { [b]: leading(atFive) });
            await receive(world, eventOf(world, "launch-successful", a, blue));
            expect(world.region.calls).to.have.length(2);
            expect(leadersOfAll(world)).to.deep.equal([a, b]);
        });
    });

    environmentRule("elect none if their other groups can't be read", async (world) => {
        const { region } = world;
        addElectorate(world, { [a]: {} }, { [b]: leading(atFive) });
        const error = awsError("InternalFailure", "try again", 500);
        region.fault = ({ action, input }) =>
            action === "autoscaling:DescribeAutoScalingGroups" && input.Filters ? { error } : undefined;
        const report = only(await receive(world, eventOf(world, "launch-successful", a, blue)));
        expect(report).to.include({ group: blue, outcome: "failed" });
        expect(report.reason).to.contain("autoscaling:DescribeAutoScalingGroups");
        region.fault = () => undefined;
        await receive(world, eventOf(world, "launch-successful", a, blue));
        expect(leadersOfAll(world)).to.deep.equal([b]);
        expect(writesIn(region.calls)).to.deep.equal([]);
    });
});
