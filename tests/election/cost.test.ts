// What elections cost: calls, and round trips, which are calls that overlap in time. And what a refused write costs the others.

import { expect } from "chai";
import { type BusEvent, scalingEvent, spotEvent, stateEvent } from "../simulator/aws/events";
import { awsError, type Call } from "../simulator/aws/faults";
import type { Member } from "../simulator/aws/region";
import { roundTripsIn, writesIn } from "../simulator/changes";
import { firstOf, firstTwo, found } from "../simulator/lists";
import { atFive, programWith, receive, shop, sinceKey, tagKey } from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

/** What one invocation cost. */
interface Cost {
    calls: number;
    roundTrips: number;
}

/** A group in need of an election: its members, and the ids of some of them that have a role in it. */
interface Case {
    what: string;
    roundTrips: number;
    /** Makes a group of some members and gives the event that asks for its election. */
    arrange: (world: World, size: number) => BusEvent;
}

/** A case whose group has a leader, to which something happens that an event reports. */
const led = (what: string, roundTrips: number, happens: (world: World, leader: string) => BusEvent): Case => ({
    what,
    roundTrips,
    arrange: (world, size) => happens(world, addGroup(world, shop, size, 0)),
});

const departed = (what: string, roundTrips: number, state: "shutting-down" | "stopping"): Case =>
    led(what, roundTrips, ({ region, timeline }, leader) => {
        region.setState(leader, state);
        return stateEvent(timeline.now, leader, state);
    });

const kept = led("a leader that is fit", 1, grouped);
const dead = led("a leader that has ended", 3, (world, leader) => {
    world.region.setState(leader, "terminated");
    return grouped(world, leader);
});
const none: Case = {
    what: "no leader",
    roundTrips: 3,
    arrange: (world, size) => grouped(world, addGroup(world, shop, size)),
};
const handOver = led("a leader that lives but isn't fit", 4, (world, leader) => {
    world.region.setMember(leader, { healthStatus: "Unhealthy" });
    return grouped(world, leader);
});
/** Only a departure names the leader: one round trip more. */
const byDeparture = [
    departed("a leader that only a state change names", 4, "shutting-down"),
    departed("a leader that is stopping, and only a state change names", 5, "stopping"),
    led("a leader that only a Spot warning names", 5, ({ timeline }, leader) => spotEvent(timeline.now, leader)),
    led("a leader that is fit, and only a late state change names", 2, ({ timeline }, leader) =>
        stateEvent(timeline.now - 60_000, leader, "stopping"),
    ),
];

/** How EC2 refuses to tag an instance. */
interface Refusal {
    code: string;
    message: (ids: string[]) => string;
    /** Another member may be tagged instead; of an instance that only can't be tagged now, that is left open. */
    passesOn: "always" | "never" | "maybe";
}

const refusals: Refusal[] = [
    {
        code: "InvalidInstanceID.NotFound",
        message: (ids) =>
            `The instance ID${ids.length > 1 ? "s" : ""} '${ids.join(", ")}' do${ids.length > 1 ? "" : "es"} not exist`,
        passesOn: "always",
    },
    {
        code: "TagLimitExceeded",
        message: () => "The maximum number of Tags for a resource has been reached.",
        passesOn: "always",
    },
    {
        code: "UnauthorizedOperation",
        message: ([id]) =>
            "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/election/fn is not " +
            `authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:instance/${id} ` +
            "because no identity-based policy allows the ec2:CreateTags action",
        passesOn: "always",
    },
    {
        code: "ConcurrentTagAccess",
        message: () => "You can't run simultaneous commands to modify a tag for a specific resource.",
        passesOn: "maybe",
    },
];

describe("What elections cost", () => {
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    /** A world in which only the events that a test asks for reach the function: no echo of its own writes. */
    function inQuietWorld<T>(act: (world: World) => Promise<T>): Promise<T> {
        return inWorld(program, async (world) => {
            world.stack.fate = () => [];
            return act(world);
        });
    }

    const quietRule = (name: string, act: (world: World) => Promise<void>) => it(name, () => inQuietWorld(act));

    /** The cost of one election, and the calls that it made. */
    function costOf({ arrange }: Case, size: number): Promise<Cost & { actions: string[]; leaders: string[] }> {
        return inQuietWorld(async (world) => {
            const event = arrange(world, size);
            const calls = await callsDuring(world, () => receive(world, event));
            const leaders = world.region.leaders(shop, tagKey);
            return { ...sum(calls), actions: calls.map(({ action }) => action), leaders };
        });
    }

    describe("in round trips", () => {
        for (const each of [kept, dead, none, handOver, ...byDeparture]) {
            it(`${each.what}: ${each.roundTrips}`, async () => {
                const { roundTrips, leaders } = await costOf(each, 3);
                expect(leaders).to.have.length(1);
                expect(roundTrips).to.equal(each.roundTrips);
            });
        }

        it("a leader that is fit: two calls, and they are reads", async () => {
            const { actions } = await costOf(kept, 3);
            expect(actions).to.have.members(["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]);
        });

        for (const each of [kept, dead, none, handOver]) {
            it(`${each.what}: a group of 1,000 costs as many calls as one of 3`, async () => {
                const [few, many] = [await costOf(each, 3), await costOf(each, 1000)];
                expect(many.leaders).to.have.length(1);
                expect([many.calls, many.roundTrips]).to.deep.equal([few.calls, few.roundTrips]);
            });
        }
    });

    quietRule("a hand-over and vacancies in one sweep: all are promoted in one call", async (world) => {
        const { region, stack } = world;
        const names = ["awseb-1", "awseb-2", "awseb-3"] as const;
        region.setMember(addGroup(world, names[0], 2, 0), { healthStatus: "Unhealthy" });
        region.setState(addGroup(world, names[1], 2, 0), "terminated");
        addGroup(world, names[2], 2);
        const calls = await callsDuring(world, () => {
            stack.sweep();
            return stack.settle();
        });
        expect(writesIn(calls).map(({ action }) => action)).to.deep.equal(["ec2:DeleteTags", "ec2:CreateTags"]);
        expect(names.map((name) => region.leaders(name, tagKey).length)).to.deep.equal([1, 1, 1]);
    });

    describe("for events of others", () => {
        const others: Record<string, (world: World) => string[]> = {
            "of foreign instances": ({ region }) =>
                Array.from({ length: 11 }, () => region.addInstance(undefined, { state: "stopping" })),
            "of members that don't lead": ({ fleet }) => fleet.members(shop).slice(1),
        };
        for (const [which, departing] of Object.entries(others)) {
            quietRule(`ten departures ${which} in one batch: one call`, async (world) => {
                const { region, stack, timeline } = world;
                const leader = addGroup(world, shop, 12, 0);
                // The first one is taken at once; while it is being looked at, the others gather.
                const events = departing(world).map((id) => stateEvent(timeline.now, id, "stopping"));
                await callsDuring(world, () => receive(world, ...events));
                const [, batch] = firstTwo(stack.invocations);
                expect(batch.events).to.have.length(10);
                expect(callsIn(world, batch).map(({ action }) => action)).to.deep.equal(["ec2:DescribeInstances"]);
                expect(region.leaders(shop, tagKey)).to.deep.equal([leader]);
            });
        }
    });

    it("our own tag events settle without a write, in one round trip each", () =>
        inWorld(program, async (world) => {
            const { region, fleet, stack } = world;
            const leader = addGroup(world, shop, 3, 0);
            await stack.settle();
            const before = stack.invocations.length;
            fleet.stop(leader);
            await stack.settle();
            const [handedOver, ...echoes] = stack.invocations.slice(before);
            expect(writesIn(callsIn(world, found(handedOver))).map(({ action }) => action)).to.deep.equal([
                "ec2:DeleteTags",
                "ec2:CreateTags",
            ]);
            expect(echoes).to.not.have.length(0);
            for (const echo of echoes) {
                expect(writesIn(callsIn(world, echo))).to.deep.equal([]);
                expect(sum(callsIn(world, echo))).to.deep.equal({ calls: 2, roundTrips: 1 });
            }
            expect(region.leaders(shop, tagKey)).to.have.length(1);
            expect(region.leaders(shop, tagKey)).to.not.include(leader);
        }));

    describe("in a sweep over 500 groups of two", () => {
        const sweeps: [what: string, led: boolean, happens: Partial<Member>, most: number, writes: number][] = [
            ["all have a leader: at most 10 calls, and no write", true, {}, 10, 0],
            ["none has a leader: at most 40 calls, of which one for each page of groups writes", false, {}, 40, 5],
            [
                "all leaders live but aren't fit: at most 40 calls, of which two for each page of groups write",
                true,
                { lifecycleState: "Standby" },
                40,
                10,
            ],
        ];
        for (const [what, isLed, happens, most, writes] of sweeps) {
            quietRule(`of which ${what}`, async (world) => {
                const { region, fleet } = world;
                const names = addGroups(world, 500, isLed ? 0 : undefined);
                for (const name of names) {
                    region.setMember(firstOf(fleet.members(name)), happens);
                }
                const calls = await callsDuring(world, () => world.stack.sweep());
                expect(calls).to.have.length.within(2, most);
                expect(writesIn(calls)).to.have.length(writes);
                expect(leaderless(world, names)).to.deep.equal([]);
                const former = new Set(isLed ? names.map((name) => fleet.members(name)[0]) : []);
                const stay = names.filter((name) => former.has(region.leaders(name, tagKey)[0]));
                expect(stay).to.have.length(writes === 0 ? names.length : 0);
            });
        }

        for (const refusal of refusals) {
            for (const count of [1, 30]) {
                quietRule(`${refusal.code} of ${count}: all other groups get their leader`, async (world) => {
                    const { region, stack } = world;
                    const names = addGroups(world, 500);
                    const bad = refuse(world, "ec2:CreateTags", refusal, count);
                    const calls = await callsDuring(world, () => stack.sweep());

                    expect(bad.size).to.equal(count);
                    const failed = refusal.passesOn === "always" ? [] : groupsOf(world, bad);
                    const vacant = leaderless(world, names);
                    if (refusal.passesOn === "maybe") {
                        expect(failed).to.include.members(vacant);
                    } else {
                        expect(vacant).to.have.members(failed);
                    }
                    for (const id of bad) {
                        expect(region.tags(id)).to.not.have.any.keys(tagKey, sinceKey);
                    }
                    expect(stack.invocations.map(({ error }) => error)).to.deep.equal([undefined]);
                    expect(sum(calls).roundTrips, "round trips").to.be.at.most(40);

                    region.fault = () => undefined;
                    stack.sweep();
                    await stack.settle();
                    expect(leaderless(world, names), "without a leader after the next sweep").to.deep.equal([]);
                });
            }
        }

        for (const refusal of refusals) {
            quietRule(`${refusal.code} of one that is to be demoted: all other groups hand over`, async (world) => {
                const { region, fleet, stack } = world;
                const names = addGroups(world, 500, 0);
                for (const name of names) {
                    region.setMember(firstOf(fleet.members(name)), { healthStatus: "Unhealthy" });
                }
                const bad = refuse(world, "ec2:DeleteTags", refusal, 1);
                await callsDuring(world, () => stack.sweep());

                expect(bad.size).to.equal(1);
                const spoilt = firstOf(groupsOf(world, bad));
                for (const name of names.filter((one) => one !== spoilt)) {
                    expect(region.leaders(name, tagKey), name).to.deep.equal([fleet.members(name)[1]]);
                }
                // An instance that can't be demoted leads on, unless EC2 doesn't know it any more.
                if (refusal.code !== "InvalidInstanceID.NotFound") {
                    expect(region.leaders(spoilt, tagKey)).to.deep.equal([...bad]);
                }
            });
        }
    });

    describe("in a group of 1,000 that lists all as in service, while EC2 has stopped them", () => {
        const mostRoundTrips = 8;

        for (const isLed of [true, false]) {
            quietRule(
                `${isLed ? "its leader stays" : "none leads if none did"}, and the other groups of the sweep get theirs`,
                async (world) => {
                    const leader = addGroup(world, shop, 1000, isLed ? 0 : undefined);
                    for (const member of world.fleet.members(shop)) {
                        world.region.setState(member, "stopped");
                    }
                    const names = addGroups(world, 20);
                    const calls = await callsDuring(world, () => world.stack.sweep());
                    expect(world.region.leaders(shop, tagKey)).to.deep.equal(isLed ? [leader] : []);
                    expect(world.region.tags(leader)[sinceKey]).to.equal(isLed ? atFive : undefined);
                    expect(leaderless(world, names)).to.deep.equal([]);
                    expect(sum(calls).roundTrips).to.be.at.most(mostRoundTrips);
                },
            );
        }
    });
});

/** A group whose member at a place leads, if a place is given; that member's id, or the first one's. */
function addGroup({ region, fleet }: World, name: string, size: number, leader?: number): string {
    const members = fleet.addGroup(name, size);
    const id = found(members[leader ?? 0]);
    if (leader !== undefined) {
        region.setTags(id, { [tagKey]: "true", [sinceKey]: atFive });
    }
    return id;
}

/** Groups of two; their names. */
function addGroups(world: World, count: number, leader?: number): string[] {
    const names = Array.from({ length: count }, (_, number) => `awseb-${number}`);
    for (const name of names) {
        addGroup(world, name, 2, leader);
    }
    return names;
}

/** An event that names the group. */
function grouped({ timeline }: World, id: string): BusEvent {
    return scalingEvent("terminate-unsuccessful", timeline.now, shop, id);
}

/** The calls that an act leads to, in the first invocation and all that follow. */
async function callsDuring({ region, stack }: World, act: () => unknown): Promise<Call[]> {
    const before = region.calls.length;
    await act();
    await stack.settle();
    return region.calls.slice(before);
}

/** The calls of one invocation: there is never a second one under way. */
function callsIn({ region }: World, { start, end }: { start: number; end: number }): Call[] {
    return region.calls.filter((call) => call.start >= start && call.end <= end);
}

function sum(calls: Call[]): Cost {
    return { calls: calls.length, roundTrips: roundTripsIn(calls) };
}

function leaderless({ region }: World, names: string[]): string[] {
    return names.filter((name) => region.leaders(name, tagKey).length !== 1);
}

function groupsOf({ region }: World, ids: Set<string>): string[] {
    return [...ids].map((id) => region.memberOf(id)?.group.name as string);
}

/** EC2 refuses every write of a kind that has one of some instances in it: of those of the first one, spread evenly. */
function refuse({ region }: World, action: string, { code, message }: Refusal, count: number): Set<string> {
    const bad = new Set<string>();
    region.fault = (call) => {
        if (call.action !== action) {
            return undefined;
        }
        const ids: string[] = call.input.Resources;
        for (let place = 0; bad.size < count; place++) {
            bad.add(found(ids[Math.floor((place * ids.length) / count)]));
        }
        const refused = ids.filter((id) => bad.has(id));
        return refused.length > 0 ? { error: awsError(code, message(refused)) } : undefined;
    };
    return bad;
}
