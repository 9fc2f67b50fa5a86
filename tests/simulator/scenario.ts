// Tests in a region of their own, ways to bring events to the function, and what a test then asks of the region.
import { expect } from "chai";
import type { Reports } from "./aws/endpoint";
import { type BusEvent, scalingEvent, stateEvent } from "./aws/events";
import { permitsOf } from "./aws/iam";
import { type Change, noteChanges } from "./changes";
import { isoTime } from "./clock";
import { found, only } from "./lists";
import { addLedGroup } from "./members";
import { shop, sinceKey, tagKey } from "./names";
import { accountId, type Program, runProgram } from "./stack/program";
import { inWorld, type World } from "./world";

type Settings = Record<string, string>;

/** What was made for settings, by their JSON. */
const programs: Record<string, Promise<Program>> = {};

/** The program with these settings beside its defaults. */
export function programWith(config: Settings = {}): Promise<Program> {
    const key = JSON.stringify(config);
    programs[key] ??= runProgram({ config: { asgPrefix: "awseb-", tagKey, ...config } });
    return programs[key];
}

/** Lets something happen in a region of its own; fails if the policy of the stack's function does not allow a call. */
export async function inOwnRegion<T>(act: (world: World) => Promise<T>, config: Settings = {}): Promise<T> {
    const program = await programWith(config);
    return inWorld(program, async (world) => {
        const permits = permitsOf(program, world.region, { partition: "aws", region: "us-east-1", accountId });
        const refused: string[] = [];
        world.region.permits = (call) => {
            const isAllowed = permits(call);
            refused.push(...(isAllowed ? [] : [call.action]));
            return isAllowed;
        };
        const result = await act(world);
        expect(refused, "calls that the policy does not allow").to.deep.equal([]);
        return result;
    });
}

/** A test in a region of its own, which has a stack with these settings and nothing else in it. */
export function rule(name: string, act: (world: World) => Promise<void>, config: Settings = {}): void {
    it(name, () => inOwnRegion(act, config));
}

/** A test in which no event reaches the function but those that the test brings to it: no echo of its own writes, too. */
export function quietRule(name: string, act: (world: World) => Promise<void>, config: Settings = {}): void {
    const quietly = (world: World) => {
        world.stack.fate = () => [];
        return act(world);
    };
    rule(name, quietly, config);
}

/** A test in which no group ever has two live leaders. */
export function watchedRule(name: string, act: (world: World) => Promise<void>, config: Settings = {}): void {
    const watch = async (world: World) => {
        const contests: string[] = [];
        world.region.onChange.push(() => {
            const contested = [...world.region.groups.keys()].filter((group) => leadersOf(world, group).length > 1);
            contests.push(...contested.map((group) => `${isoTime(world.timeline.now)} ${group}`));
        });
        await act(world);
        expect(contests, "moments with two leaders").to.deep.equal([]);
    };
    rule(name, watch, config);
}

/** A world with one group, which had been led by its oldest member since five when it was opened. */
export interface Shop extends World {
    leader: string;
    others: string[];
    /** Every change of a leader. */
    changes: Change[];
}

/** Puts such a group into a world, and lets its first events pass. */
export async function openShop(world: World, size: number): Promise<Shop> {
    const leader = addLedGroup(world, shop, size);
    await world.stack.settle();
    expect(leadersOf(world), "leaders before anything happens").to.deep.equal([leader]);
    const others = world.fleet.members(shop).slice(1);
    return { ...world, leader, others, changes: noteChanges(world, tagKey) };
}

/** A test of such a group. */
export function shopRule(
    name: string,
    size: number,
    act: (world: Shop) => Promise<void>,
    config: Settings = {},
    declare = rule,
): void {
    declare(name, async (world) => act(await openShop(world, size)), config);
}

/** An event of Auto Scaling, of now. */
export const eventOf = ({ timeline }: World, sample: string, id: string, group = shop): BusEvent =>
    scalingEvent(sample, timeline.now, group, id);

/** Has events sent, and lets all follow; the first batch's reports. */
async function reportsAfter({ stack }: World, send: () => void): Promise<Reports> {
    const before = stack.invocations.length;
    send();
    await stack.settle();
    return stack.invocations[before]?.reports ?? [];
}

/** Runs a sweep and all that follows from it; what the sweep reported. */
export const sweep = (world: World): Promise<Reports> => reportsAfter(world, () => world.stack.sweep());

/** Brings events to the function, whatever becomes of others, and lets all follow; the first batch's reports. */
export function receive(world: World, ...events: BusEvent[]): Promise<Reports> {
    const { stack } = world;
    return reportsAfter(world, () => {
        const { fate } = stack;
        stack.fate = () => [300];
        for (const event of events) {
            stack.send(event);
        }
        stack.fate = fate;
    });
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

/** Live instances in no group that carry the leader tag. */
export const orphansOf = ({ region }: World): string[] => region.leaders(undefined, tagKey);

/** The only leader of a group, one of those that may lead; no orphan is left beside it. */
export function expectOneLeader(world: World, mayLead?: string[], group = shop): string {
    const leader = only([...leadersOf(world, group), ...orphansOf(world)]);
    expect(mayLead ?? world.fleet.members(group), "instances that may lead").to.include(leader);
    return leader;
}

/** The `since` of an instance that has one. */
export const sinceOf = ({ region }: World, id: string): string => found(region.tags(id)[sinceKey]);
