// Scenes that many tests start from, ways to bring events to the function, and what a test then asks of the region.
import { expect } from "chai";
import type { Reports } from "./aws/endpoint";
import { type BusEvent, scalingEvent, stateEvent } from "./aws/events";
import { awsError, type Call, type Fault } from "./aws/faults";
import { permitsOf } from "./aws/iam";
import { groupKey, isTrue, type Region } from "./aws/region";
import { found, only, type Rest, type Tuple } from "./lists";
import { accountId, type Program, runProgram } from "./stack/program";
import { inWorld, type World } from "./world";

export const tagKey = "app:isLeader";
export const sinceKey = `${tagKey}:since`;
export const eligibleKey = `${tagKey}:eligible`;
export const pausedKey = `${tagKey}:paused`;
export const shop = "awseb-shop";
const idEnding = (end: string) => `i-1${end.padStart(16, "0")}`;
export const [a, b, c, d] = [idEnding("a"), idEnding("b"), idEnding("c"), idEnding("d")];

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
/** Where every timeline starts. */
export const start = Date.parse("2026-11-23T06:00:00.000Z");
export const isoTime = (at: number): string => new Date(at).toISOString();
export const atFour = isoTime(start - 2 * hour);
export const atFive = isoTime(start - hour);
export const atHalfPastFive = isoTime(start - hour / 2);

export const launched = "EC2 Instance Launch Successful";
export const denied = awsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403);
export const timedOut = awsError("TimeoutError", "socket hang up", 0);

/** How an instance begins. */
export type Options = NonNullable<Parameters<Region["addInstance"]>[1]>;

/** The program with these settings beside its defaults. */
export function programWith(config: Record<string, string> = {}): Promise<Program> {
    const key = JSON.stringify(config);
    const program = programs.get(key) ?? runProgram({ config: { asgPrefix: "awseb-", tagKey, ...config } });
    programs.set(key, program);
    return program;
}

/** Made once for the same settings, by their JSON. */
const programs = new Map<string, Promise<Program>>();

/** A test in a region of its own, which has a stack with these settings and nothing else in it. */
export function rule(name: string, act: (world: World) => Promise<void>, config: Record<string, string> = {}): void {
    it(name, async () => inWorld(await programWith(config), act));
}

/** A world in which the program's policy allows every call; the test fails if one is refused. */
export function inPermittedWorld(program: Program, act: (world: World) => Promise<void>): Promise<void> {
    return inWorld(program, async (world) => {
        const permits = permitsOf(program, world.region, { partition: "aws", region: "us-east-1", accountId });
        const refused: string[] = [];
        world.region.permits = (call) => {
            const isAllowed = permits(call);
            if (!isAllowed) {
                refused.push(call.action);
            }
            return isAllowed;
        };
        await act(world);
        expect(refused, "calls that the policy does not allow").to.deep.equal([]);
    });
}

/** Options of an instance that leads: since a time, or tagged by hand. */
export const leading = (since?: string, value = "true"): Options => ({
    tags: { [tagKey]: value, ...(since === undefined ? {} : { [sinceKey]: since }) },
});

/** Options of an instance that led once, and lost the tag alone. */
export const formerly = (since: string): Options => ({ tags: { [sinceKey]: since } });

/** Adds members to a group, by their ids; all of them are fit unless the options say otherwise. */
export function addMembers({ region }: World, members: Record<string, Options>, group = shop): void {
    for (const [id, options] of Object.entries(members)) {
        region.addInstance(group, { id, ...options });
    }
}

/** Adds a group whose oldest member leads since five; that member's id. */
export function addLedGroup({ region, fleet }: World, group: string, size: number): string {
    const leader = found(fleet.addGroup(group, size)[0]);
    region.setTags(leader, { [tagKey]: "true", [sinceKey]: atFive });
    return leader;
}

/** A group of ours with a leader, another that needs one, an orphan, and a foreign group with the tag; the ids that are ours. */
export function populate({ fleet, region }: World): { ours: string[]; leader: string; orphan: string } {
    const leader = region.addInstance("awseb-led", leading(isoTime(start - 5 * hour)));
    const led = [leader, region.addInstance("awseb-led")];
    const vacant = fleet.addGroup("awseb-vacant", 2);
    const orphan = region.addInstance(undefined, leading(isoTime(start - 4 * hour)));
    region.addInstance("foreign", leading(isoTime(start - 3 * hour)));
    return { ours: [...led, ...vacant, orphan], leader, orphan };
}

/** A world with one group, led by its oldest member since five. */
export interface Shop<Others = string[]> extends World {
    leader: string;
    others: Others;
}

/** The members of a group of a size but one. */
export type OthersOf<N extends number> = Rest<Tuple<string, N>>;

/** Puts a group into a world that is led by its oldest member, and lets its first events pass. */
export async function openShop<W extends World, N extends number>(world: W, size: N): Promise<W & Shop<OthersOf<N>>> {
    const leader = addLedGroup(world, shop, size);
    await world.stack.settle();
    expect(leadersOf(world), "leaders before anything happens").to.deep.equal([leader]);
    return { ...world, leader, others: world.fleet.members(shop).slice(1) as OthersOf<N> };
}

/** Takes the leader's tags off an instance, as an operator may. */
export function untag({ region }: World, id: string): void {
    region.setTags(id, { [tagKey]: undefined, [sinceKey]: undefined });
}

/** An operator hands over: tags an instance, with a `since` of now. */
export function tag({ region, timeline }: World, id: string): void {
    region.setTags(id, { [tagKey]: "true", [sinceKey]: isoTime(timeline.now) });
}

/** An event of Auto Scaling, of now. */
export function eventOf({ timeline }: World, sample: string, id: string, group = shop): BusEvent {
    return scalingEvent(sample, timeline.now, group, id);
}

/** Runs a sweep and all that follows from it; what the sweep reported. */
export async function sweep({ stack }: World): Promise<Reports> {
    const before = stack.invocations.length;
    stack.sweep();
    await stack.settle();
    return stack.invocations[before]?.reports ?? [];
}

/** Brings events to the function, whatever becomes of others, and lets all follow; the first batch's reports. */
export async function receive({ stack }: World, ...events: BusEvent[]): Promise<Reports> {
    const before = stack.invocations.length;
    const { fate } = stack;
    stack.fate = () => [300];
    for (const event of events) {
        stack.send(event);
    }
    stack.fate = fate;
    await stack.settle();
    return stack.invocations[before]?.reports ?? [];
}

/** Brings events to the function in one batch, and lets all follow; the batch's reports. */
export async function receiveTogether(world: World, events: BusEvent[]): Promise<Reports> {
    const { invocations } = world.stack;
    const before = invocations.length;
    // A departure that concerns no group keeps the function busy while the others arrive.
    await receive(world, stateEvent(world.timeline.now, "i-fffffffffffffffff", "stopping"), ...events);
    const { events: received, reports } = found(invocations[before + 1]);
    expect(received).to.deep.equal(events);
    return reports;
}

/** Live leaders of a group. */
export const leadersOf = ({ region }: World, group = shop): string[] => region.leaders(group, tagKey);

/** The `since` of an instance that has one. */
export const sinceOf = ({ region }: World, id: string): string => found(region.tags(id)[sinceKey]);

/** Live instances in no group that carry the leader tag. */
export function orphansOf({ region }: World): string[] {
    return [...region.instances.keys()].filter((id) => {
        const tags = region.tags(id);
        const isLive = !["shutting-down", "terminated"].includes(region.state(id));
        return isLive && tags[groupKey] === undefined && isTrue(tags[tagKey]);
    });
}

/** The only leader of a group, one of those that may lead; no orphan is left beside it. */
export function expectOneLeader(world: World, mayLead?: string[], group = shop): string {
    const leaders = leadersOf(world, group);
    expect([...leaders, ...orphansOf(world)], "live leaders").to.have.length(1);
    expect(mayLead ?? world.fleet.members(group), "instances that may lead").to.include(leaders[0]);
    return only(leaders);
}

/** Notes after each write how many live leaders the group has. */
export function countLeaders(world: World, group = shop): number[] {
    const counts: number[] = [];
    world.region.afterWrite.push(() => counts.push(leadersOf(world, group).length));
    return counts;
}

/** Notes every moment in which a group has two live leaders. */
export function noteContests({ region, timeline }: World): string[] {
    const contests: string[] = [];
    region.onChange.push(() => {
        for (const group of region.groups.keys()) {
            const leaders = region.leaders(group, tagKey);
            if (leaders.length > 1) {
                contests.push(`${isoTime(timeline.now)} ${group}: ${leaders.join(" and ")}`);
            }
        }
    });
    return contests;
}

export const callsOf = ({ region }: World, action: string): Call[] =>
    region.calls.filter((call) => call.action === action);

/** A fault of every call of an action, or of those that name one of some instances. */
export function failing(action: string, error: Error, ids?: string[]): (call: Call) => Fault | undefined {
    return (call) =>
        call.action === action && (!ids || ids.some((id) => call.input.Resources?.includes(id)))
            ? { error }
            : undefined;
}

/** A fault of the first call of an action, and of no later one. */
export function failOnce(action: string, fault: Fault): (call: Call) => Fault | undefined {
    let happened = false;
    return (call) => {
        if (call.action !== action || happened) {
            return undefined;
        }
        happened = true;
        return fault;
    };
}
