// What is not ours stays as it is, and what is ours is taken off an instance that left its group.
import { expect } from "chai";
import { scalingEvent, spotEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { allows, requestsOf, rolePolicyOf } from "../simulator/aws/iam";
import { groupKey } from "../simulator/aws/region";
import { callsOf } from "../simulator/changes";
import { atFive, atFour, second } from "../simulator/clock";
import { addLedGroup, addMembers, leading, standby, unhealthy, untag, vetoed } from "../simulator/members";
import { a, b, c, d, eligibleKey, shop, sinceKey, tagKey } from "../simulator/names";
import { eventOf, leadersOf, programWith, receive, rule, sweep } from "../simulator/scenario";
import { accountId } from "../simulator/stack/program";
import type { World } from "../simulator/world";

const blog = "awseb-blog";
/** Tags that an operator has set. */
const others = { Name: "shop", isLeader: "true", "app:isleader": "true", [`${tagKey}:sinc`]: "x", since: "x" };

describe("An election", () => {
    describe("of what is not ours", () => {
        rule("leaves groups alone that have another prefix, whatever is reported of them", async (world) => {
            const groups = ["shop", "my-awseb-shop", "Awseb-shop", "awseb", " awseb-shop"];
            const members = groups.flatMap((group) =>
                [{}, leading(atFive, standby), leading(atFive, { state: "terminated" })].map((options) => {
                    const id = world.region.addInstance(group, options);
                    return { group, id, tags: world.region.tags(id) };
                }),
            );
            await sweep(world);
            for (const { group, id, tags } of members) {
                world.stack.send(scalingEvent("launch-successful", world.timeline.now, group, id));
                world.stack.send(stateEvent(world.timeline.now, id, "stopping"));
                world.stack.send(spotEvent(world.timeline.now, id));
                world.stack.send(tagEvent(world.timeline.now, id, [tagKey], tags));
            }
            await world.stack.settle();
            addMembers(world, { [a]: {} });
            await sweep(world);
            expect(world.stack.invocations.length).to.be.greaterThan(2);
            expect(members.map(({ id }) => world.region.tags(id))).to.deep.equal(members.map(({ tags }) => tags));
            expect(leadersOf(world)).to.deep.equal([a]);
        });

        rule("leaves other tags alone, with whatever key", async (world) => {
            addMembers(world, { [a]: leading(atFive, { ...standby, tags: others }), [b]: { tags: others } });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(world.region.tags(a)).to.deep.equal({ ...others, [sinceKey]: atFive, [groupKey]: shop });
            expect(world.region.tags(b)).to.include(others);
        });

        for (const value of ["false", "yes", "", "1", "true ", "truth", "untrue", "tru?", "TRUE\n"]) {
            rule(
                `takes none for a leader whose tag says ${JSON.stringify(value)}, and leaves that tag`,
                async (world) => {
                    addMembers(world, { [a]: leading(atFive, unhealthy, value), [b]: {} });
                    const before = world.region.tags(a);
                    await sweep(world);
                    expect(leadersOf(world)).to.deep.equal([b]);
                    expect(world.region.tags(a)).to.deep.equal(before);
                },
            );
        }

        rule("does not take one group's leader for another's whose name looks like a pattern", async (world) => {
            const patterns = ["awseb-?", "awseb-\\*", "awseb-b", "awseb-", "awseb-*b"];
            const leaders = patterns.map((name) => world.region.addInstance(name, leading(atFive)));
            addMembers(world, { [a]: {}, [b]: leading(atFive, unhealthy) }, "awseb-*");
            for (const name of ["awseb-*", ...patterns]) {
                await receive(world, eventOf(world, "launch-successful", a, name));
            }
            expect(leadersOf(world, "awseb-*")).to.deep.equal([a]);
            expect(patterns.flatMap((name) => leadersOf(world, name))).to.deep.equal(leaders);
        });
    });

    describe("with several prefixes", () => {
        const asgPrefix = "shop- CodeDeploy_";
        const [shops, copy, foreign] = ["shop-eu", "CodeDeploy_shop_d-1", "blog-eu"] as const;
        const three = [
            { group: shops, id: a },
            { group: copy, id: b },
            { group: foreign, id: c },
        ];

        /** A test whose stack has two prefixes. */
        function wideRule(name: string, act: (world: World) => Promise<void>, config: Record<string, string> = {}) {
            rule(name, act, { asgPrefix, ...config });
        }

        wideRule(
            "elects in the groups of each, and protects, and in no group of a third",
            async (world) => {
                for (const { group, id } of three) {
                    addMembers(world, { [id]: {} }, group);
                }
                await sweep(world);
                const found = three.map(({ group, id }) => ({
                    led: leadersOf(world, group).includes(id),
                    isProtected: world.region.memberOf(id)?.member.protected,
                }));
                const ours = { led: true, isProtected: true };
                expect(found).to.deep.equal([ours, ours, { led: false, isProtected: false }]);
            },
            { protectLeader: "true" },
        );

        it("may tag instances of each, and none of a third", async () => {
            const permits = rolePolicyOf(await programWith({ asgPrefix }));
            const place = { partition: "aws", region: "us-east-1", accountId };
            for (const action of ["ec2:CreateTags", "ec2:DeleteTags"] as const) {
                const mayTag = (group: string) =>
                    requestsOf(action, [a], [tagKey], () => group, place).every((request) => allows(permits, request));
                expect([shops, copy, foreign].map(mayTag), action).to.deep.equal([true, true, false]);
            }
        });

        const losses: Record<string, (world: World, id: string) => void> = {
            "Auto Scaling reports": ({ fleet }, id) => fleet.terminate(id, { hook: true }),
            "EC2 alone reports": ({ fleet }, id) => fleet.stop(id),
            "a Spot warning reports": ({ fleet }, id) => fleet.warn(id),
            "a tag event reports": ({ region }, id) => region.setTags(id, { [tagKey]: undefined }),
            "a veto reports": ({ region }, id) => region.setTags(id, { [eligibleKey]: "false" }),
        };
        for (const [what, lose] of Object.entries(losses)) {
            wideRule(`replaces the leader of a group of each as soon as ${what} that it is lost`, async (world) => {
                for (const [place, group] of [shops, copy].entries()) {
                    const leader = addLedGroup(world, group, 3);
                    await world.stack.settle();
                    lose(world, leader);
                    await world.timeline.pass(second);
                    expect(callsOf(world, "ec2:CreateTags")).to.have.length(place + 1);
                    expect(leadersOf(world, group)).to.have.length(1);
                }
            });
        }

        wideRule("reads no group and writes nothing when a leader of a third departs", async (world) => {
            const leader = addLedGroup(world, foreign, 2);
            const before = world.region.tags(leader);
            world.fleet.stop(leader);
            await world.stack.settle();
            expect(world.region.calls.map(({ action }) => action)).to.deep.equal(["ec2:DescribeInstances"]);
            expect(world.region.tags(leader)).to.deep.equal(before);
        });

        wideRule("strips an orphan of each, and none that a third's group has lost", async (world) => {
            for (const { group, id } of three) {
                addMembers(world, { [id]: leading() }, group);
                world.fleet.detach(id);
            }
            await world.stack.settle();
            const tagged = three.filter(({ id }) => world.region.tags(id)[tagKey] !== undefined);
            expect(tagged.map(({ group }) => group)).to.deep.equal([foreign]);
        });

        wideRule(
            "has one leader for an electorate of groups of both",
            async (world) => {
                for (const { group, id } of three.slice(0, 2)) {
                    world.region.addGroup(group, { service: "shop" });
                    addMembers(world, { [id]: {} }, group);
                }
                await sweep(world);
                expect([...leadersOf(world, shops), ...leadersOf(world, copy)]).to.have.length(1);
            },
            { electorateTag: "service" },
        );
    });

    describe("of an orphan", () => {
        rule("takes both tags off it, and no other, when a Detach event names it", async (world) => {
            addMembers(world, { [a]: leading(atFive, { tags: others }), [b]: {} });
            world.region.detach(a);
            await receive(world, eventOf(world, "detach-successful", a));
            expect(world.region.tags(a)).to.deep.equal(others);
            expect(leadersOf(world)).to.deep.equal([b]);
        });

        rule("takes both tags off it when a tag event names it", async (world) => {
            const id = world.region.addInstance(undefined);
            world.region.setTags(id, leading(atFive, { tags: others }).tags ?? {});
            await world.stack.settle();
            expect(world.region.tags(id)).to.deep.equal(others);
        });

        rule("takes both tags off it when the sweep finds it, off many at once", async (world) => {
            const orphan = leading(atFive, { tags: others });
            const ids = Array.from({ length: 120 }, () => world.region.addInstance(undefined, orphan));
            await sweep(world);
            expect(ids.map((id) => world.region.tags(id))).to.deep.equal(ids.map(() => others));
        });

        rule(
            "takes the tags off one without a proper since, if a Detach event says that it was ours",
            async (world) => {
                for (const since of [undefined, "2099-01-01T00:00:00.000Z"]) {
                    const id = world.region.addInstance(undefined, leading(since));
                    await receive(world, eventOf(world, "detach-successful", id));
                    expect(world.region.tags(id)).to.deep.equal({});
                }
            },
        );

        rule("leaves one without since alone otherwise: another tool may have tagged it", async (world) => {
            const id = world.region.addInstance(undefined, leading());
            await receive(world, eventOf(world, "detach-successful", id, "my-shop"));
            await receive(world, tagEvent(world.timeline.now, id, [tagKey], world.region.tags(id)));
            await sweep(world);
            expect(world.region.tags(id)).to.deep.equal(leading().tags);
        });

        rule("leaves one alone whose tag has another value", async (world) => {
            const other = leading(atFive, {}, "false");
            const id = world.region.addInstance(undefined, other);
            await receive(world, eventOf(world, "detach-successful", id));
            await sweep(world);
            expect(world.region.tags(id)).to.deep.equal(other.tags);
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
            world.region.enlist(id, shop, "InService");
            world.region.setTags(id, { [groupKey]: undefined });
            await receive(world, eventOf(world, "detach-successful", id, blog));
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

    describe("of a leader that its group does not list", () => {
        rule("demotes one that moved into another group of ours, which has one leader at once", async (world) => {
            const { region, fleet, stack } = world;
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            addMembers(world, { [c]: leading(atFour), [d]: {} }, blog);
            fleet.detach(a);
            fleet.attach(a, blog);
            await stack.settle();
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(leadersOf(world, blog)).to.deep.equal([c]);
            expect(region.tags(a)[tagKey]).to.equal(undefined);
        });

        rule("finds one in another group of ours, though its own tag still names the old group", async (world) => {
            const { region } = world;
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            addMembers(world, { [c]: leading(atFour), [d]: {} }, blog);
            region.unlist(a);
            region.enlist(a, blog, "InService");
            region.setTags(a, { [groupKey]: shop });
            await receive(world, eventOf(world, "terminate-unsuccessful", b));
            const leaders = [a, b, c, d].filter((id) => region.tags(id)[tagKey] === "true");
            // It is fit where it is listed, and has the later since.
            expect(leaders).to.deep.equal([a, b]);
        });

        rule("leaves one alone that moved into a foreign group", async (world) => {
            const { region } = world;
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            region.detach(a);
            region.enlist(a, "my-shop", "InService");
            const before = region.tags(a);
            await receive(world, eventOf(world, "detach-successful", a));
            await sweep(world);
            expect(region.tags(a)).to.deep.equal(before);
            expect(leadersOf(world)).to.deep.equal([b]);
        });
    });

    describe("of an instance whose tag event does not name its group", () => {
        /** Reports a change of an instance's tag, without AWS's own tags. */
        async function reportBare(world: World, key: string): Promise<void> {
            const tags = Object.entries(world.region.tags(a)).filter(([key]) => !key.startsWith("aws:"));
            await receive(world, tagEvent(world.timeline.now, a, [key], Object.fromEntries(tags)));
        }

        rule("elects anew when its tag was taken", async (world) => {
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            world.stack.fate = () => [];
            untag(world, a);
            await reportBare(world, tagKey);
            expect(leadersOf(world)).to.have.length(1);
        });

        rule("replaces a leader that is vetoed, and may choose it again once the veto is lifted", async (world) => {
            const { region, stack } = world;
            addMembers(world, { [a]: leading(atFive, vetoed), [b]: {} });
            stack.fate = () => [];
            await reportBare(world, eligibleKey);
            expect(leadersOf(world)).to.deep.equal([b]);
            region.setTags(a, { [eligibleKey]: undefined });
            region.setMember(b, standby);
            await reportBare(world, eligibleKey);
            expect(leadersOf(world)).to.deep.equal([a]);
        });
    });
});
