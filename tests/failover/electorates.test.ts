// Groups that carry the same value of a tag elect one leader together, and keep it while instances move between them.
import { expect } from "chai";
import type { Reports } from "../simulator/aws/endpoint";
import { type BusEvent, scalingEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { permitsOf } from "../simulator/aws/iam";
import { groupKey, type Region } from "../simulator/aws/region";
import { metricLinesIn, roundTripsIn, writesIn } from "../simulator/changes";
import { accountId, type Program, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const tagKey = "app:isLeader";
const sinceKey = `${tagKey}:since`;
const electorateTag = "elasticbeanstalk:environment-name";
const first = "awseb-e-abc-stack-AWSEBAutoScalingGroup-1";
const second = "awseb-e-abc-stack-AWSEBAutoScalingGroup-2";
const lone = "awseb-lone";
const [a, b, c, d] = ["a", "b", "c", "d"].map((end) => `i-1${end.padStart(16, "0")}`);

// The timeline starts at 06:00.
const atFour = "2026-11-23T04:00:00.000Z";
const atFive = "2026-11-23T05:00:00.000Z";
const minute = 60_000;

type Options = NonNullable<Parameters<Region["addInstance"]>[1]>;

const environment = (value = "shop") => ({ [electorateTag]: value });
const leading = (since = atFive): Options => ({ tags: { [tagKey]: "true", [sinceKey]: since } });

describe("Groups with the same value of the electorate's tag", function () {
    this.timeout(30_000);

    let program: Program;
    before(async () => {
        program = await runProgram({ config: { asgPrefix: "awseb-", tagKey, electorateTag } });
    });

    /** A world in which every call is one that the program's policy allows. */
    function inAllowedWorld(act: (world: World) => Promise<void>): Promise<void> {
        return inWorld(program, async (world) => {
            world.region.permits = permitsOf(program, world.region, {
                partition: "aws",
                region: "us-east-1",
                accountId,
            });
            await act(world);
            const refused = world.lines.filter(({ entry }) => /not authorized/.test(JSON.stringify(entry)));
            expect(refused, "lines that tell of calls that were not allowed").to.deep.equal([]);
        });
    }

    describe("have one leader, by the decision table over all members", () => {
        interface Case {
            what: string;
            members: Record<string, Options>;
            others: Record<string, Options>;
            leads: string[];
        }
        const cases: Case[] = [
            { what: "a fit leader stays", members: { [a]: {} }, others: { [b]: leading(), [c]: {} }, leads: [b] },
            {
                what: "of two fit leaders the one with the latest since stays",
                members: { [a]: leading(atFour), [b]: {} },
                others: { [c]: leading(atFive), [d]: {} },
                leads: [c],
            },
            {
                what: "a fit member of the other group takes over from a leader that isn't fit",
                members: { [a]: { ...leading(), healthStatus: "Unhealthy" }, [b]: { lifecycleState: "Standby" } },
                others: { [c]: {} },
                leads: [c],
            },
            {
                what: "a fit leader stays, and one that isn't fit is demoted in spite of its later since",
                members: { [a]: { ...leading(atFive), lifecycleState: "Standby" } },
                others: { [b]: leading(atFour) },
                leads: [b],
            },
            {
                what: "a live leader stays if nobody is fit in any of them",
                members: { [a]: { ...leading(), state: "stopped" } },
                others: { [b]: { lifecycleState: "Pending", state: "pending" } },
                leads: [a],
            },
            {
                what: "an arriving member leads if nobody else can",
                members: { [a]: { healthStatus: "Unhealthy" } },
                others: { [b]: { lifecycleState: "Pending", state: "pending" } },
                leads: [b],
            },
            {
                what: "an arriving leader gives way to a fit member of the other group",
                members: { [a]: {} },
                others: { [b]: { ...leading(), lifecycleState: "Pending", state: "pending" } },
                leads: [a],
            },
            {
                what: "a fit member of the other group leads when the leader has ended",
                members: { [a]: { ...leading(), state: "terminated" } },
                others: { [b]: {} },
                leads: [b],
            },
            {
                what: "the member with less load leads, whichever group it is in",
                members: { [a]: { load: 80 }, [b]: { load: 70 } },
                others: { [c]: { load: 20 }, [d]: { load: 90 } },
                leads: [c],
            },
            {
                what: "nobody leads if nobody can",
                members: { [a]: { healthStatus: "Unhealthy" } },
                others: { [b]: { lifecycleState: "Standby" } },
                leads: [],
            },
        ];
        const ways: Record<string, (world: World) => void> = {
            "a sweep": ({ stack }) => stack.sweep(),
            "an event of one group": (world) => tell(world, "terminate-unsuccessful", first, a),
            "an event of the other group": (world) => tell(world, "terminate-unsuccessful", second, b),
        };
        for (const { what, members, others, leads } of cases) {
            for (const [way, look] of Object.entries(ways)) {
                it(`${what} (${way})`, () =>
                    inAllowedWorld(async (world) => {
                        const { stack } = world;
                        addElectorate(world, members, others);
                        const breaches = watch(world);
                        look(world);
                        await stack.settle();
                        expect(leadersOf(world)).to.deep.equal(leads);
                        expect(breaches).to.deep.equal([]);
                    }));
            }
        }

        it("a member that the batch reports as launched is preferred, whichever group it is in", () =>
            inAllowedWorld(async (world) => {
                addElectorate(world, { [a]: { load: 1 }, [b]: { load: 1 } }, { [c]: { load: 1 }, [d]: { load: 90 } });
                tell(world, "launch-successful", second, d);
                await world.stack.settle();
                expect(leadersOf(world)).to.deep.equal([d]);
            }));

        it("a leader that ends has a successor in the other group within a second", () =>
            inAllowedWorld(async (world) => {
                const { region, fleet, timeline } = world;
                addElectorate(world, { [a]: leading() }, { [b]: {} });
                fleet.crash(a);
                await timeline.pass(1000);
                expect(leadersOf(world)).to.deep.equal([b]);
                expect(region.leaders(second, tagKey)).to.deep.equal([b]);
            }));

        it("three groups have one, in a sweep and when events name two of them at once", () =>
            inAllowedWorld(async (world) => {
                const { region, fleet, stack } = world;
                const names = [first, second, "awseb-third"];
                for (const name of names) {
                    fleet.addGroup(name, 2, environment());
                }
                stack.sweep();
                await stack.settle();
                const [leader] = expectOneLeader(world);
                region.setState(leader, "terminated");
                await hearTogether(
                    world,
                    names.slice(1).map((name) => eventOf(world, "launch-successful", name, fleet.members(name)[0])),
                );
                expectOneLeader(world);
            }));

        it("two groups that each had a leader before they got the tag keep the one with the latest since", () =>
            inAllowedWorld(async (world) => {
                const { region, stack } = world;
                addGroup(world, first, {}, { [a]: leading(atFive) });
                addGroup(world, second, {}, { [b]: leading(atFour) });
                stack.sweep();
                await stack.settle();
                expect(leadersOf(world)).to.deep.equal([a, b]);
                for (const name of [first, second]) {
                    Object.assign(region.groups.get(name)?.tags as object, environment());
                }
                stack.sweep();
                await stack.settle();
                expect(leadersOf(world)).to.deep.equal([a]);
            }));

        it("a group that loses the tag gets a leader of its own", () =>
            inAllowedWorld(async (world) => {
                const { region, stack } = world;
                addElectorate(world, { [a]: leading() }, { [b]: {} });
                delete region.groups.get(second)?.tags[electorateTag];
                stack.sweep();
                await stack.settle();
                expect(region.leaders(first, tagKey)).to.deep.equal([a]);
                expect(region.leaders(second, tagKey)).to.deep.equal([b]);
            }));

        it("what this container wrote counts as read in every group of theirs, while EC2's reads lag", () =>
            inAllowedWorld(async (world) => {
                const { region, fleet, stack, timeline } = world;
                addElectorate(world, { [a]: {}, [b]: {} }, { [c]: {}, [d]: {} });
                region.lag = () => 5000;
                stack.sweep();
                await stack.settle();
                const [leader] = expectOneLeader(world);
                const since = region.tags(leader)[sinceKey];
                for (const name of [first, second]) {
                    tell(world, "terminate-unsuccessful", name, fleet.members(name)[0]);
                    await timeline.pass(400);
                }
                expect(leadersOf(world)).to.deep.equal([leader]);
                expect(region.tags(leader)[sinceKey]).to.equal(since);
            }));
    });

    describe("are told from groups", () => {
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
            for (const empty of [false, true]) {
                it(`${what}: these have a leader of their own${empty ? ", or none" : ""}`, () =>
                    inAllowedWorld(async (world) => {
                        const { region, fleet, stack } = world;
                        fleet.addGroup(first, 2, environment());
                        fleet.addGroup(second, 2, environment());
                        const others = fleet.addGroup(name, empty ? 0 : 2, tags);
                        stack.sweep();
                        await stack.settle();
                        expectOneLeader(world);
                        expect(region.leaders(name, tagKey)).to.have.length(empty ? 0 : 1);

                        region.setTags(leadersOf(world)[0], { [tagKey]: undefined, [sinceKey]: undefined });
                        tell(world, "terminate-unsuccessful", first, fleet.members(first)[0]);
                        await stack.settle();
                        expectOneLeader(world);
                        expect(region.leaders(name, tagKey)).to.have.length(others.length > 0 ? 1 : 0);
                    }));
            }
        }

        it("two groups with an empty value, or without the tag, elect two leaders", () =>
            inAllowedWorld(async ({ region, fleet, stack }) => {
                const names = ["awseb-1", "awseb-2", "awseb-3", "awseb-4"];
                names.forEach((name, place) => {
                    fleet.addGroup(name, 2, place < 2 ? environment("") : {});
                });
                stack.sweep();
                await stack.settle();
                expect(names.map((name) => region.leaders(name, tagKey).length)).to.deep.equal([1, 1, 1, 1]);
            }));

        for (const way of ["a sweep", "an event"]) {
            it(`of another prefix: the same value changes nothing in them, nor here (${way})`, () =>
                inAllowedWorld(async (world) => {
                    const { region, stack } = world;
                    addElectorate(world, { [a]: {} }, { [b]: {} });
                    addGroup(world, "other-group", environment(), { [c]: leading(), [d]: {} });
                    if (way === "a sweep") {
                        stack.sweep();
                    } else {
                        tell(world, "launch-successful", first, a);
                    }
                    await stack.settle();
                    expect(leadersOf(world)).to.have.length(1);
                    expect([a, b]).to.include(leadersOf(world)[0]);
                    expect(region.leaders("other-group", tagKey)).to.deep.equal([c]);
                }));
        }

        it("that are called like what their reports are named by", async () => {
            const odd = await runProgram({ config: { asgPrefix: "awseb-", tagKey, electorateTag: "awseb-env" } });
            await inWorld(odd, async ({ region, fleet, stack, timeline }) => {
                fleet.addGroup(first, 2, { "awseb-env": "shop" });
                fleet.addGroup(second, 2, { "awseb-env": "shop" });
                fleet.addGroup("awseb-env=shop", 2);
                stack.sweep();
                await stack.settle();
                const together = () => [first, second].flatMap((name) => region.leaders(name, tagKey));
                expect(together()).to.have.length(1);
                expect(region.leaders("awseb-env=shop", tagKey)).to.have.length(1);

                fleet.crash(region.leaders("awseb-env=shop", tagKey)[0]);
                fleet.crash(together()[0]);
                await timeline.pass(1000);
                expect(together()).to.have.length(1);
                expect(region.leaders("awseb-env=shop", tagKey)).to.have.length(1);
            });
        });

        it("if the setting is off, all groups", async () => {
            const off = await runProgram({ config: { asgPrefix: "awseb-", tagKey } });
            await inWorld(off, async (world) => {
                world.fleet.addGroup(first, 2, environment());
                world.fleet.addGroup(second, 2, environment());
                world.stack.sweep();
                await world.stack.settle();
                expect(world.region.leaders(first, tagKey)).to.have.length(1);
                expect(world.region.leaders(second, tagKey)).to.have.length(1);
            });
        });
    });

    describe("keep one leader throughout an immutable update", () => {
        /** What becomes of an event on its way, in milliseconds. */
        const fates: Record<string, (event: BusEvent) => number[]> = {
            "events come as they are sent": () => [300],
            "every event comes twice": () => [300, 2500],
            "what is attached is told before what is detached": (event) => [/Detach/.test(typeOf(event)) ? 4000 : 300],
            "what is detached is told late": (event) => [/Detach/.test(typeOf(event)) ? 3 * minute : 300],
            "what is attached is told late": (event) => [/Launch/.test(typeOf(event)) ? 3 * minute : 300],
            "nobody tells what is detached": (event) => (/Detach/.test(typeOf(event)) ? [] : [300]),
            "nobody tells what is attached": (event) => (/Launch/.test(typeOf(event)) ? [] : [300]),
            "no event comes at all": () => [],
        };
        for (const [what, fate] of Object.entries(fates)) {
            for (const lag of [0, 3000]) {
                it(`${what}${lag > 0 ? ", and EC2's reads lag" : ""}`, () =>
                    inAllowedWorld(async (world) => {
                        const { region, fleet, stack, timeline } = world;
                        stack.fate = fate;
                        stack.sweeping = true;
                        const old = fleet.addGroup(first, 3, environment());
                        await timeline.pass(2 * minute);
                        const [leader] = expectOneLeader(world);
                        const since = region.tags(leader)[sinceKey];
                        const breaches = watch(world);

                        region.lag = () => lag;
                        const added = await bringUp(world, 3);
                        await moveAll(world, added);
                        region.groups.delete(second);
                        await timeline.pass(2 * minute);
                        expect(leadersOf(world), "who leads before the old members end").to.deep.equal([leader]);
                        expect(region.tags(leader)[sinceKey]).to.equal(since);

                        expect(fleet.scale(first, 3)).to.deep.equal(old);
                        await timeline.pass(10 * minute);
                        expect(fleet.members(first)).to.deep.equal(added);
                        expectOneLeader(world, added);
                        expect(breaches).to.deep.equal([]);
                    }));
            }
        }

        it("when the leader ends on the way: its successor may have to move, and one leads in the end", () =>
            inAllowedWorld(async (world) => {
                const { region, fleet, stack, timeline } = world;
                stack.sweeping = true;
                const old = fleet.addGroup(first, 2, environment());
                await timeline.pass(2 * minute);
                const breaches = watch(world);
                const added = await bringUp(world, 2);
                for (const id of old) {
                    fleet.crash(id);
                }
                await timeline.pass(1000);
                expectOneLeader(world, added);
                await moveAll(world, added);
                region.groups.delete(second);
                await timeline.pass(10 * minute);
                expectOneLeader(world);
                expect(breaches).to.deep.equal([]);
            }));
    });

    describe("and a leader that moves from one to the other", () => {
        type Look = (world: World) => Promise<unknown>;
        const detached = (world: World) => eventOf(world, "detach-successful", second, c);
        const attached = (world: World) => eventOf(world, "launch-successful", first, c);
        const looks: Record<string, Look> = {
            "its Detach event, then its Launch event": async (world) => {
                await hear(world, detached(world));
                await hear(world, attached(world));
            },
            "its Launch event, then its Detach event": async (world) => {
                await hear(world, attached(world));
                await hear(world, detached(world));
            },
            "both events in one batch": (world) => hearTogether(world, [detached(world), attached(world)]),
            "both events in one batch, the later one first": (world) =>
                hearTogether(world, [attached(world), detached(world)]),
            "its Launch event only": (world) => hear(world, attached(world)),
            "its Detach event only": (world) => hear(world, detached(world)),
            "another member's event of the group that it joined": (world) =>
                hear(world, eventOf(world, "launch-successful", first, a)),
            "another member's event of the group that it left": (world) =>
                hear(world, eventOf(world, "detach-successful", second, d)),
            "a departure of another leader's": (world) => hear(world, stateEvent(world.timeline.now, b, "stopping")),
            "its own tag event": (world) =>
                hear(world, tagEvent(world.timeline.now, c, [tagKey], world.region.tags(c))),
            "a sweep": ({ stack }) => {
                stack.sweep();
                return stack.settle();
            },
        };
        // It leaves at 1 s, joins at 2 s, is in service at 3 s, and is looked at from 4 s on.
        const seenAt: Record<string, number | undefined> = {
            "": undefined,
            ", and its tags still name the group that it left": 500,
            ", and its tags still name no group": 1500,
        };
        for (const [told, look] of Object.entries(looks)) {
            for (const [lagging, at] of Object.entries(seenAt)) {
                it(`stays, whatever tells: ${told}${lagging}`, () =>
                    inAllowedWorld(async (world) => {
                        const { region, stack, timeline } = world;
                        stack.fate = () => [];
                        const start = timeline.now;
                        addElectorate(world, { [a]: {}, [b]: {} }, { [c]: leading(), [d]: {} });
                        const breaches = watch(world);
                        await move(world, c);
                        if (at !== undefined) {
                            region.lag = () => timeline.now - (start + at);
                        }
                        await look(world);
                        expect(leadersOf(world)).to.deep.equal([c]);
                        expect(region.tags(c)).to.include({ [sinceKey]: atFive, [groupKey]: first });
                        expect(breaches).to.deep.equal([]);
                        expect(writesIn(region.calls)).to.deep.equal([]);
                    }));
            }
        }

        it("stays when the group that it left is deleted, and only a late Detach event tells", () =>
            inAllowedWorld(async (world) => {
                const { region, stack } = world;
                stack.fate = () => [];
                addElectorate(world, { [a]: {} }, { [c]: leading() });
                await move(world, c);
                region.groups.delete(second);
                await hear(world, detached(world));
                expect(leadersOf(world)).to.deep.equal([c]);
                expect(writesIn(region.calls)).to.deep.equal([]);
            }));

        it("gives way if it is looked at while it is not in service yet, and nobody leads beside it", () =>
            inAllowedWorld(async (world) => {
                const { fleet, timeline } = world;
                addElectorate(world, { [a]: {} }, { [c]: leading() });
                const breaches = watch(world);
                fleet.detach(c);
                fleet.attach(c, first);
                await timeline.pass(10_000);
                expect(leadersOf(world)).to.deep.equal([a]);
                expect(breaches).to.deep.equal([]);
            }));

        it("stays if it is not in service yet, but nobody else is fit", () =>
            inAllowedWorld(async (world) => {
                const { fleet, timeline, region } = world;
                addElectorate(world, { [a]: { healthStatus: "Unhealthy" } }, { [c]: leading() });
                fleet.detach(c);
                fleet.attach(c, first);
                await timeline.pass(10_000);
                expect(leadersOf(world)).to.deep.equal([c]);
                expect(region.tags(c)[sinceKey]).to.equal(atFive);
            }));

        for (const heard of ["its event", "the sweep"]) {
            it(`loses both tags if it joins none, and a member of either group leads (${heard})`, () =>
                inAllowedWorld(async (world) => {
                    const { region, fleet, stack, timeline } = world;
                    addElectorate(world, { [a]: {} }, { [c]: leading(), [d]: {} });
                    const breaches = watch(world);
                    stack.fate = heard === "its event" ? () => [300] : () => [];
                    stack.sweeping = true;
                    fleet.detach(c);
                    await timeline.pass(heard === "its event" ? 1000 : minute + 1000);
                    expectOneLeader(world, [a, d]);
                    expect(region.tags(c)).to.not.have.any.keys(tagKey, sinceKey);
                    expect(breaches).to.deep.equal([]);
                }));
        }

        for (const millis of [0, 100, 250, 400, 700, 1500, 20_000]) {
            it(`when ${millis} ms pass in between: one leads in the end, and goes on`, () =>
                inAllowedWorld(async (world) => {
                    const { region, fleet, stack, timeline } = world;
                    addElectorate(world, { [a]: {}, [b]: {} }, { [c]: leading(), [d]: {} });
                    const breaches = watch(world);
                    stack.sweeping = true;
                    fleet.detach(c);
                    await timeline.pass(millis);
                    fleet.attach(c, first);
                    await timeline.pass(5000);
                    const [leader] = expectOneLeader(world);
                    const since = region.tags(leader)[sinceKey];
                    await timeline.pass(5 * minute);
                    expect(leadersOf(world)).to.deep.equal([leader]);
                    expect(region.tags(leader)[sinceKey]).to.equal(since);
                    expect(breaches).to.deep.equal([]);
                }));
        }

        it("when it joins between an election's reads: nobody leads beside it", () =>
            inAllowedWorld(async (world) => {
                const { region, fleet, stack, timeline } = world;
                addElectorate(world, { [a]: {}, [b]: {} }, { [c]: leading(), [d]: {} });
                const breaches = watch(world);
                fleet.detach(c);
                // Its group is asked for once its electorate has been read.
                let joined = false;
                region.beforeCall.push(({ action }) => {
                    if (action === "autoscaling:DescribeAutoScalingInstances" && !joined) {
                        joined = true;
                        fleet.attach(c, first);
                    }
                });
                await timeline.pass(10_000);
                await stack.settle();
                expect(joined, "whether it was asked for").to.equal(true);
                expectOneLeader(world);
                expect(breaches).to.deep.equal([]);
            }));
    });

    describe("are reported", () => {
        it("as one, by key and value of the tag, with their names in order", () =>
            inAllowedWorld(async (world) => {
                addElectorate(world, { [b]: {} }, { [a]: leading() }, [second, first]);
                addGroup(world, lone, {}, { [c]: leading() });
                world.stack.sweep();
                await world.stack.settle();
                const reports = world.stack.invocations[0].reports;
                expect(reports).to.have.length(2);
                const [alone, together] = [...reports].sort((one) => (one.group === lone ? -1 : 1));
                expect(together).to.deep.include({
                    group: `${electorateTag}=shop`,
                    groups: [first, second],
                    outcome: "kept",
                    leader: a,
                    since: atFive,
                });
                expect(together.candidates).to.have.members([a, b]);
                expect(alone).to.include({ group: lone, outcome: "kept", leader: c });
                expect(alone).to.not.have.property("groups");
            }));

        it("in the log, when their leader changes", () =>
            inAllowedWorld(async (world) => {
                addElectorate(world, { [a]: { ...leading(), lifecycleState: "Standby" } }, { [b]: {} });
                tell(world, "launch-successful", first, b);
                await world.stack.settle();
                const entries = world.lines.filter(({ level }) => level === "info").map(({ entry }) => entry);
                expect(entries[0]).to.deep.include({
                    group: `${electorateTag}=shop`,
                    groups: [first, second],
                    outcome: "elected",
                    leader: b,
                    demoted: [a],
                    triggers: ["EC2 Instance Launch Successful"],
                });
                expect(leadersOf(world)).to.deep.equal([b]);
            }));

        it("with what asked for the election in any of them", () =>
            inAllowedWorld(async (world) => {
                addElectorate(world, { [a]: leading() }, { [b]: {} });
                const reports = await hearTogether(world, [
                    eventOf(world, "launch-successful", first, a),
                    eventOf(world, "terminate-unsuccessful", second, b),
                ]);
                expect(reports).to.have.length(1);
                expect(reports[0].triggers).to.have.members([
                    "EC2 Instance Launch Successful",
                    "EC2 Instance Terminate Unsuccessful",
                ]);
                expect(leadersOf(world)).to.deep.equal([a]);
            }));

        for (const [value, dimension] of [
            ["shop", "shop"],
            ["umwelt-ü", "umwelt-?"],
            ["店", "?"],
            ["a b=c/d", "a b=c/d"],
        ]) {
            it(`in metrics whose dimensions are ASCII: ${value}`, () =>
                inAllowedWorld(async (world) => {
                    world.fleet.addGroup(first, 1, environment(value));
                    world.fleet.addGroup(second, 1, environment(value));
                    world.stack.sweep();
                    await world.stack.settle();
                    const metrics = metricLinesIn(world);
                    expect(metrics.flatMap(({ Group }) => Group ?? [])).to.deep.equal([
                        `${electorateTag}=${dimension}`,
                    ]);
                    expect(metrics.flatMap(({ Groups }) => Groups ?? [])[0], "groups that elect").to.equal(1);
                    expect(world.stack.invocations[0].reports[0].group).to.equal(`${electorateTag}=${value}`);
                    expect(leadersOf(world)).to.have.length(1);
                }));
        }
    });

    it("are reported in a metric whose dimension doesn't begin with a colon, whatever the tag is called", async () => {
        const odd = await runProgram({ config: { asgPrefix: "awseb-", tagKey, electorateTag: ":env" } });
        await inWorld(odd, async (world) => {
            world.fleet.addGroup(first, 1, { ":env": "shop" });
            world.fleet.addGroup(second, 1, { ":env": "shop" });
            world.stack.sweep();
            await world.stack.settle();
            expect(metricLinesIn(world).flatMap(({ Group }) => Group ?? [])).to.deep.equal(["?env=shop"]);
            expect(leadersOf(world)).to.have.length(1);
        });
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
            it(`${what}: at most ${calls} calls in ${roundTrips} round trips while the leader stays`, () =>
                inAllowedWorld(async (world) => {
                    const { region, stack } = world;
                    stack.fate = () => [];
                    addGroup(world, first, tags, { [a]: leading() });
                    for (let number = 1; number < groups; number++) {
                        addGroup(world, `awseb-more-${number}`, tags, { [`i-2${number}`]: {} });
                    }
                    await hear(world, eventOf(world, "terminate-unsuccessful", first, a));
                    expect(leadersOf(world)).to.deep.equal([a]);
                    expect(writesIn(region.calls)).to.deep.equal([]);
                    expect(region.calls).to.have.length.within(2, calls);
                    expect(roundTripsIn(region.calls)).to.be.at.most(roundTrips);
                }));
        }

        it("nothing more in a sweep: two calls while the leaders stay", () =>
            inAllowedWorld(async (world) => {
                const { region, stack } = world;
                stack.fate = () => [];
                addElectorate(world, { [a]: leading() }, { [b]: {} });
                addGroup(world, lone, {}, { [c]: leading() });
                stack.sweep();
                await stack.settle();
                expect(region.calls.map(({ action }) => action)).to.have.members([
                    "autoscaling:DescribeAutoScalingGroups",
                    "ec2:DescribeInstances",
                ]);
                expect(leadersOf(world)).to.deep.equal([a, c]);
            }));

        it("nothing more if the setting is off: two calls, whatever tags the group has", async () => {
            const off = await runProgram({ config: { asgPrefix: "awseb-", tagKey } });
            await inWorld(off, async (world) => {
                world.stack.fate = () => [];
                addElectorate(world, { [a]: leading() }, { [b]: leading() });
                await hear(world, eventOf(world, "launch-successful", first, a));
                expect(world.region.calls.map(({ action }) => action)).to.have.members([
                    "autoscaling:DescribeAutoScalingGroups",
                    "ec2:DescribeInstances",
                ]);
                expect(leadersOf(world)).to.deep.equal([a, b]);
            });
        });
    });

    it("elect nobody if their other groups can't be read", () =>
        inAllowedWorld(async (world) => {
            const { region, stack } = world;
            addElectorate(world, { [a]: {} }, { [b]: leading() });
            const denied = awsError("InternalFailure", "try again", 500);
            region.fault = ({ action, input }) =>
                action === "autoscaling:DescribeAutoScalingGroups" && input.Filters ? { error: denied } : undefined;
            stack.hear(eventOf(world, "launch-successful", first, a));
            await world.timeline.pass(5000);
            expect(stack.invocations.map(({ error }) => error !== undefined)).to.deep.equal([true]);
            expect(leadersOf(world)).to.deep.equal([b]);

            region.fault = () => undefined;
            await stack.settle();
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(writesIn(region.calls)).to.deep.equal([]);
        }));
});

/** A group with members of given ids. */
function addGroup(
    { region }: World,
    name: string,
    tags: Record<string, string>,
    members: Record<string, Options>,
): void {
    region.addGroup(name, tags);
    for (const [id, options] of Object.entries(members)) {
        region.addInstance(name, { id, ...options });
    }
}

/** Two groups with the same value of the tag. */
function addElectorate(
    world: World,
    members: Record<string, Options>,
    others: Record<string, Options>,
    names = [first, second],
): void {
    addGroup(world, names[0], environment(), members);
    addGroup(world, names[1], environment(), others);
}

/** A second group appears, launches members, and has them in service; their ids. */
async function bringUp({ region, fleet, timeline }: World, size: number): Promise<string[]> {
    fleet.addGroup(second, 0, environment());
    fleet.scale(second, size);
    await timeline.pass(2 * minute);
    const added = fleet.members(second);
    expect(added.map((id) => region.memberOf(id)?.member.lifecycleState)).to.deep.equal(added.map(() => "InService"));
    return added;
}

/** Instances leave the second group one after the other, and join the first. */
async function moveAll({ fleet, timeline }: World, ids: string[]): Promise<void> {
    for (const id of ids) {
        fleet.detach(id);
        await timeline.pass(1500);
        fleet.attach(id, first);
        await timeline.pass(500);
    }
    await timeline.pass(2 * minute);
    expect(fleet.members(second)).to.deep.equal([]);
    expect(fleet.members(first)).to.include.members(ids);
}

/** An instance leaves the second group at 1 s, joins the first at 2 s, and is in service at 3 s. */
async function move({ fleet, timeline, region }: World, id: string): Promise<void> {
    await timeline.pass(1000);
    fleet.detach(id);
    await timeline.pass(1000);
    fleet.attach(id, first);
    await timeline.pass(2000);
    expect(region.memberOf(id)).to.deep.include({
        member: { id, lifecycleState: "InService", healthStatus: "Healthy", protected: false },
    });
}

/** Live leaders of all groups of the prefix. */
function leadersOf({ region }: World): string[] {
    const ours = [...region.groups.keys()].filter((name) => name.startsWith("awseb-"));
    return ours.flatMap((name) => region.leaders(name, tagKey)).sort();
}

const isTagged = ({ tags }: { tags: Record<string, string> }): boolean => tags[electorateTag] === "shop";

/** The only live leader of the groups with the tag, one of those who may lead. */
function expectOneLeader({ region, fleet }: World, mayLead?: string[]): string[] {
    const tagged = [...region.groups.values()].filter(isTagged).map(({ name }) => name);
    const leaders = tagged.flatMap((name) => region.leaders(name, tagKey));
    expect(leaders, "live leaders").to.have.length(1);
    expect(mayLead ?? tagged.flatMap((name) => fleet.members(name)), "who may lead").to.include(leaders[0]);
    return leaders;
}

/** Notes writes that leave two live leaders in these groups, or none though the last one is still a fit member. */
function watch(world: World): string[] {
    const { region } = world;
    const breaches: string[] = [];
    const current = () => {
        const listed = [...region.groups.values()]
            .filter(isTagged)
            .flatMap(({ members }) => members.map(({ id }) => id));
        const lives = (id: string) => !["shutting-down", "terminated"].includes(region.state(id));
        return listed.filter((id) => lives(id) && region.tags(id)[tagKey] === "true");
    };
    const isFit = (id: string) => {
        const { lifecycleState, healthStatus } = region.memberOf(id)?.member ?? {};
        return lifecycleState === "InService" && healthStatus === "Healthy" && region.state(id) === "running";
    };
    let before = current();
    region.afterWrite.push(({ action }) => {
        const leaders = current();
        if (leaders.length > 1 && leaders.length > before.length) {
            breaches.push(`${action} left ${leaders.join(" and ")} as leaders`);
        }
        if (leaders.length === 0 && before.some(isFit)) {
            breaches.push(`${action} left nobody, though ${before.filter(isFit).join()} was fit`);
        }
        before = leaders;
    });
    return breaches;
}

function eventOf({ timeline }: World, sample: string, group: string, id: string): BusEvent {
    return scalingEvent(sample, timeline.now, group, id);
}

const typeOf = (event: BusEvent): string => event["detail-type"];

/** An event about an instance of a group is on its way, whatever becomes of others. */
function tell(world: World, sample: string, group: string, id: string): void {
    const { fate } = world.stack;
    world.stack.fate = () => [300];
    world.stack.hear(eventOf(world, sample, group, id));
    world.stack.fate = fate;
}

/** Lets events reach the function, whatever becomes of others, and all that follows; what was reported. */
async function hear({ stack }: World, ...events: BusEvent[]): Promise<Reports> {
    const before = stack.invocations.length;
    const { fate } = stack;
    stack.fate = () => [300];
    for (const event of events) {
        stack.hear(event);
    }
    stack.fate = fate;
    await stack.settle();
    return stack.invocations.slice(before).flatMap(({ reports }) => reports);
}

/** Lets events reach the function in one batch: a departure that is none of ours keeps it busy before. */
async function hearTogether(world: World, events: BusEvent[]): Promise<Reports> {
    const { stack, timeline } = world;
    const before = stack.invocations.length;
    await hear(world, stateEvent(timeline.now, "i-0ffffffffffffffff", "stopping"), ...events);
    expect(stack.invocations[before + 1].events).to.deep.equal(events);
    return stack.invocations[before + 1].reports;
}
