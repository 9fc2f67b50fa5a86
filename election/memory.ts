import { type Group, type Leader, sinceOf } from "./decide";
import { type Batch, tagType } from "./events";
import type { Written } from "./promote";

/** What a container remembers between its invocations. */
export interface Memory {
    /** Its last write to each instance, by id. Times in milliseconds since 1970. */
    writes: Map<string, Write>;
    /** Times of the last promotions in each group, three at most, by the group's name. */
    promotions: Map<string, number[]>;
    /** Who lost the tag alive, or may have, while nobody got it, and when: the last of each group, by its name. */
    departures: Map<string, { ids: string[]; at: number }>;
}

interface Write {
    at: number;
    /** It counts as read until then. */
    until: number;
    /** Name of the group that the election was for, and of the one that listed the instance. */
    election: string;
    group?: string;
    promoted: boolean;
    /** The `since` that it wrote, or took off. */
    since?: string;
}

const rememberedMillis = 30 * 1000;
const brakePromotions = 3;
const brakeMillis = 60 * 1000;

export function emptyMemory(): Memory {
    return { writes: new Map(), promotions: new Map(), departures: new Map() };
}

/** Forgets what is too old, and what a tag event contradicts that is no older. */
export function forget({ writes }: Memory, { tagged }: Batch, now: number): void {
    for (const [id, { at, until, promoted }] of writes) {
        // An event's time is cut to the second.
        const contradicted = tagged.some(
            (event) => event.id === id && event.leader !== promoted && event.at + 1000 > at,
        );
        if (contradicted || now > until) {
            writes.delete(id);
        }
    }
}

/** The group of each departing instance that this container has made the leader, whether EC2's answers show it yet or not. */
export function departingLeaders({ writes }: Memory, { departing }: Batch): Map<string, string> {
    const leaders = [...writes].filter(([id, { promoted }]) => promoted && departing.has(id));
    return new Map(leaders.map(([id, { group, election }]) => [id, group ?? election]));
}

/** The group with this container's own writes, which EC2's answers may not show yet; `states` are those that EC2 was asked for. */
export function recall(memory: Memory, group: Group, states: Map<string, string>): Group {
    const { writes } = memory;
    const leaders = group.leaders.filter((leader) => !isDemoted(memory, leader));
    for (const { id } of group.members) {
        const write = writes.get(id);
        if (write?.promoted && write.election === group.name && !leaders.some((leader) => leader.id === id)) {
            leaders.push({ id, state: states.get(id) ?? "running", since: write.since });
        }
    }
    return { ...group, leaders, strays: group.strays.filter((stray) => !isDemoted(memory, stray)) };
}

/** Whether this container has taken an instance's tags off, though EC2's answers may not show it yet. */
export function isDemoted({ writes }: Memory, { id, since }: Leader): boolean {
    const write = writes.get(id);
    return write?.promoted === false && write.since === since; // promoted again, it would have another one
}

/** The latest `since` among this container's own writes to a group, in milliseconds since 1970, or 0. */
export function latestWritten({ writes }: Memory, group: string, now: number): number {
    const own = [...writes.values()].filter(({ election }) => election === group);
    return Math.max(0, ...own.map((write) => sinceOf(write, now)));
}

/**
 * Remembers what was written for a group, or for strays.
 *
 * @param demote ids that were to lose the tag, whether that is known to be done or not
 * @param times when the writing began, and when it ended
 */
export function remember(
    memory: Memory,
    { group: election, demoted, promoted, demotedAt }: Written,
    { leaders, members, strays }: Pick<Group, "leaders" | "members" | "strays">,
    demote: string[],
    times: { began: number; ended: number },
): void {
    const write = { at: times.began, until: times.ended + rememberedMillis, election };
    for (const id of demoted) {
        const before = leaders.find((leader) => leader.id === id)?.since;
        memory.writes.set(id, { ...write, promoted: false, since: before });
    }
    if (promoted) {
        const { id, since, at } = promoted;
        const group = members.find((member) => member.id === id)?.group;
        memory.writes.set(id, { ...write, at, group, promoted: true, since });
        const earlier = memory.promotions.get(election) ?? [];
        const all = isBraking(earlier) ? earlier : [...earlier, times.ended].slice(-brakePromotions);
        memory.promotions.set(election, all);
        memory.departures.delete(election);
    } else if (demotedAt !== undefined && demote.length + strays.length > 0) {
        memory.departures.set(election, { ids: [...demote, ...strays.map(({ id }) => id)], at: demotedAt });
    }
}

/** Whether somebody has lost the group's tag since a time without a successor, and may still be at work. */
export function hasLost({ departures }: Memory, { name, leaders }: Group, since: number): boolean {
    const { ids, at } = departures.get(name) ?? { ids: [], at: 0 };
    // Who still carries the tag is dead, or loses it only now.
    return at > since && ids.some((id) => !leaders.some((leader) => leader.id === id));
}

/** Whether only tag events named a group that has changed its leader too often: electors that disagree must not fight at event speed. */
export function brakes({ promotions }: Memory, { name, triggers }: Group): boolean {
    return isBraking(promotions.get(name) ?? []) && triggers.every((type) => type === tagType);
}

/** A sweep has looked at every group: it lets go of the brakes, and of what can put none on any more. */
export function release({ promotions }: Memory, now: number): void {
    for (const [group, times] of promotions) {
        if (isBraking(times) || now - times[times.length - 1] > brakeMillis) {
            promotions.delete(group);
        }
    }
}

function isBraking(times: number[]): boolean {
    return times.length === brakePromotions && times[brakePromotions - 1] - times[0] <= brakeMillis;
}
