// What elections cost: calls, and round trips, which are calls that overlap in time. And what a refused write costs the others.
import { expect } from "chai";
import { type BusEvent, spotEvent, stateEvent } from "../simulator/aws/events";
import { awsError, type Call } from "../simulator/aws/faults";
import { roundTripsIn, writesIn } from "../simulator/changes";
import { atFive, minute } from "../simulator/clock";
import { firstOf, firstTwo, found } from "../simulator/lists";
import { addGroups, addLedGroup, type Options, standby, unhealthy, untag } from "../simulator/members";
import { shop, sinceKey, tagKey } from "../simulator/names";
import { eventOf, inOwnRegion, leadersOf, quietRule, receive, rule, sweep } from "../simulator/scenario";
import type { World } from "../simulator/world";

/** Makes a group of some members that needs an election, and gives the event that asks for it. */
type Arrange = (world: World, size: number) => BusEvent;

/** Arranges a group with a leader, to which something happens. */
const led =
    (happens: (world: World, leader: string) => unknown, report: typeof grouped = grouped): Arrange =>
    (world, size) => {
        const leader = addLedGroup(world, shop, size);
        happens(world, leader);
        return report(world, leader);
    };

const grouped = (world: World, id: string): BusEvent => eventOf(world, "terminate-unsuccessful", id);

const departed = (state: string): Arrange =>
    led(
        ({ region }, leader) => region.setState(leader, state),
        ({ timeline }, leader) => stateEvent(timeline.now, leader, state),
    );

const nothing = () => {};

type Case = [what: string, roundTrips: number, arrange: Arrange];

/** An event names the group. */
const byGroup: Case[] = [
    ["a leader that is fit", 1, led(nothing)],
    ["a leader that has ended", 3, led(({ region }, leader) => region.setState(leader, "terminated"))],
    ["no leader", 3, (world, size) => grouped(world, firstOf(world.fleet.addGroup(shop, size)))],
    ["a leader that lives but isn't fit", 4, led(({ region }, leader) => region.setMember(leader, unhealthy))],
];
/** Only a departure names the leader: one round trip more. */
const byDeparture: Case[] = [
    ["a leader that only a state change names", 4, departed("shutting-down")],
    ["a leader that is stopping, and only a state change names", 5, departed("stopping")],
    [
        "a leader that only a Spot warning names",
        5,
        led(nothing, ({ timeline }, leader) => spotEvent(timeline.now, leader)),
    ],
    [
        "a leader that is fit, and only a late state change names",
        2,
        led(nothing, ({ timeline }, leader) => stateEvent(timeline.now - minute, leader, "stopping")),
    ],
];

/** How EC2 refuses to write to instances; it names all of them, one, or none. */
const refusals: Record<string, (ids: string[]) => string> = {
    "InvalidInstanceID.NotFound": (ids) => `The instance IDs '${ids.join(", ")}' do not exist`,
    TagLimitExceeded: () => "The maximum number of Tags for a resource has been reached.",
    UnauthorizedOperation: ([id]) =>
        "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/election/fn is not " +
        `authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:instance/${id} ` +
        "because no identity-based policy allows the ec2:CreateTags action",
    // This instance can be tagged soon: whether another one is promoted instead is left open.
    ConcurrentTagAccess: () => "You can't run simultaneous commands to modify a tag for a specific resource.",
};

describe("What elections cost", () => {
    /** The calls of one election, without those of its echo. */
    const electionCalls = (arrange: Arrange, size: number): Promise<Call[]> =>
        inOwnRegion(async (world) => {
            world.stack.fate = () => [];
            const event = arrange(world, size);
            const calls = await callsDuring(world, () => receive(world, event));
            expect(leadersOf(world)).to.have.length(1);
            return calls;
        });

    describe("in round trips", () => {
        for (const [what, roundTrips, arrange] of [...byGroup, ...byDeparture]) {
            it(`${what}: ${roundTrips}`, async () => {
                expect(roundTripsIn(await electionCalls(arrange, 3))).to.equal(roundTrips);
            });
        }

        it("a leader that is fit: two calls, and they are reads", async () => {
            const actions = (await electionCalls(led(nothing), 3)).map(({ action }) => action);
            expect(actions).to.have.members(["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]);
        });

        for (const [what, , arrange] of byGroup) {
            it(`${what}: a group of 1,000 costs as many calls as one of 3`, async () => {
                const [few, many] = [await electionCalls(arrange, 3), await electionCalls(arrange, 1000)];
                expect(costOf(many)).to.deep.equal(costOf(few));
            });
        }
    });

    quietRule("a hand-over and vacancies in one sweep: all are promoted in one call", async (world) => {
        const { region, fleet } = world;
        const names = ["awseb-1", "awseb-2", "awseb-3"] as const;
        region.setMember(addLedGroup(world, names[0], 2), unhealthy);
        region.setState(addLedGroup(world, names[1], 2), "terminated");
        fleet.addGroup(names[2], 2);
        const calls = await callsDuring(world, () => sweep(world));
        expect(writesIn(calls).map(({ action }) => action)).to.deep.equal(["ec2:DeleteTags", "ec2:CreateTags"]);
        expect(leaderless(world, names)).to.deep.equal([]);
    });

    describe("for events of others", () => {
        const others: Record<string, (world: World) => string[]> = {
            "of foreign instances": ({ region }) =>
                Array.from({ length: 11 }, () => region.addInstance(undefined, { state: "stopping" })),
            "of members that don't lead": ({ fleet }) => fleet.members(shop).slice(1),
        };
        for (const [which, departing] of Object.entries(others)) {
            quietRule(`ten departures ${which} in one batch: one call`, async (world) => {
                const { stack, timeline } = world;
                const leader = addLedGroup(world, shop, 12);
                // The first one is taken at once; while it is being looked at, the others gather.
                await receive(world, ...departing(world).map((id) => stateEvent(timeline.now, id, "stopping")));
                const [, batch] = firstTwo(stack.invocations);
                expect(batch.events).to.have.length(10);
                expect(callsIn(world, batch).map(({ action }) => action)).to.deep.equal(["ec2:DescribeInstances"]);
                expect(leadersOf(world)).to.deep.equal([leader]);
            });
        }
    });

    rule("our own tag events settle without a write, in one round trip each", async (world) => {
        const { fleet, stack } = world;
        const leader = addLedGroup(world, shop, 3);
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
            expect(costOf(callsIn(world, echo))).to.deep.equal({ calls: 2, roundTrips: 1 });
        }
        expect(leadersOf(world)).to.have.length(1).and.to.not.include(leader);
    });

    describe("in a sweep over 500 groups of two", () => {
        const sweeps: [what: string, led: "led" | "leaderless", happens: Options, most: number, writes: number][] = [
            ["all have a leader: at most 10 calls, and no write", "led", {}, 10, 0],
            [
                "none has a leader: at most 40 calls, of which one for each page of groups writes",
                "leaderless",
                {},
                40,
                5,
            ],
            [
                "all leaders live but aren't fit: at most 40 calls, of which two for each page of groups write",
                "led",
                standby,
                40,
                10,
            ],
        ];
        for (const [what, led, happens, most, writes] of sweeps) {
            quietRule(`of which ${what}`, async (world) => {
                const names = addGroups(world, 500, 2, led);
                const oldest = oldestOf(world, names);
                for (const id of oldest) {
                    world.region.setMember(id, happens);
                }
                const calls = await callsDuring(world, () => sweep(world));
                expect(calls).to.have.length.within(2, most);
                expect(writesIn(calls)).to.have.length(writes);
                expect(leaderless(world, names)).to.deep.equal([]);
                const leaders = names.flatMap((name) => leadersOf(world, name));
                if (led === "led") {
                    const stay = leaders.filter((id) => oldest.includes(id));
                    expect(stay).to.have.length(writes === 0 ? names.length : 0);
                }
            });
        }

        for (const [code, message] of Object.entries(refusals)) {
            for (const count of [1, 30]) {
                quietRule(`${code} of ${count}: all other groups get their leader`, async (world) => {
                    const { region, stack } = world;
                    const names = addGroups(world, 500, 2, "leaderless");
                    const bad = refuse(world, "ec2:CreateTags", code, message, count);
                    const calls = await callsDuring(world, () => sweep(world));
                    expect(bad).to.have.length(count);
                    const mayLack = code === "ConcurrentTagAccess" ? bad.map((id) => groupOf(world, id)) : [];
                    expect(mayLack).to.include.members(leaderless(world, names));
                    for (const id of bad) {
                        expect(region.tags(id)).to.not.have.any.keys(tagKey, sinceKey);
                    }
                    expect(stack.invocations.map(({ error }) => error)).to.deep.equal([undefined]);
                    expect(roundTripsIn(calls), "round trips").to.be.at.most(40);

                    region.fault = () => undefined;
                    await sweep(world);
                    expect(leaderless(world, names), "without a leader after the next sweep").to.deep.equal([]);
                });
            }
        }
    });

    describe("in a group of 1,000 that lists all as in service, while EC2 has stopped them", () => {
        for (const led of ["led", "leaderless"] as const) {
            const itself = led === "led" ? "its leader stays" : "none leads if none did";
            quietRule(`${itself}, and the other groups of the sweep get theirs`, async (world) => {
                const leader = addLedGroup(world, shop, 1000);
                if (led === "leaderless") {
                    untag(world, leader);
                }
                for (const member of world.fleet.members(shop)) {
                    world.region.setState(member, "stopped");
                }
                const names = addGroups(world, 20, 2, "leaderless");
                const calls = await callsDuring(world, () => sweep(world));
                expect(leadersOf(world)).to.deep.equal(led === "led" ? [leader] : []);
                expect(world.region.tags(leader)[sinceKey]).to.equal(led === "led" ? atFive : undefined);
                expect(leaderless(world, names)).to.deep.equal([]);
                expect(roundTripsIn(calls)).to.be.at.most(8);
            });
        }
    });
});

/** The calls that an act leads to, in the first invocation and all that follow. */
async function callsDuring({ region }: World, act: () => Promise<unknown>): Promise<Call[]> {
    const before = region.calls.length;
    await act();
    return region.calls.slice(before);
}

/** The calls of one invocation: there is never a second one under way. */
function callsIn({ region }: World, { start, end }: { start: number; end: number }): Call[] {
    return region.calls.filter((call) => call.start >= start && call.end <= end);
}

const costOf = (calls: Call[]) => ({ calls: calls.length, roundTrips: roundTripsIn(calls) });

const leaderless = (world: World, names: readonly string[]): string[] =>
    names.filter((name) => leadersOf(world, name).length !== 1);

const oldestOf = ({ fleet }: World, names: string[]): string[] => names.map((name) => firstOf(fleet.members(name)));

const groupOf = ({ region }: World, id: string): string => found(region.memberOf(id)).group.name;

/** EC2 refuses every write of a kind that has one of some instances in it: of those of the first one, spread evenly. */
function refuse(
    { region }: World,
    action: string,
    code: string,
    message: (ids: string[]) => string,
    count: number,
): string[] {
    const bad: string[] = [];
    region.fault = (call) => {
        if (call.action !== action) {
            return undefined;
        }
        const ids: string[] = call.input.Resources;
        while (bad.length < count) {
            bad.push(found(ids[Math.floor((bad.length * ids.length) / count)]));
        }
        const refused = ids.filter((id) => bad.includes(id));
        return refused.length > 0 ? { error: awsError(code, message(refused)) } : undefined;
    };
    return bad;
}
