import type { Group } from "./decide";
import type { Batch } from "./events";
import { tagType } from "./events";
import type { Written } from "./promote";

/** What a container remembers between its invocations. */
export interface Memory {
    /** Its last write to each instance: promoted if there is a `since`, else demoted. Times in milliseconds since 1970. */
    writes: Map<string, { at: number; since?: string }>;
    /** Times of the last promotions in each group since the last sweep, three at most. */
    promotions: Map<string, number[]>;
}

const rememberedMillis = 30 * 1000;
const brakePromotions = 3;
const brakeMillis = 60 * 1000;

export function emptyMemory(): Memory {
    return { writes: new Map(), promotions: new Map() };
}

/** Forgets what is too old, and what a tag event contradicts that is no older. */
export function forget(memory: Memory, batch: Batch, now: number): void {
    for (const [id, { at, since }] of memory.writes) {
        // An event's time is cut to the second.
        const contradicted = batch.tagged.some(
            (event) => event.id === id && event.leader !== (since !== undefined) && event.at + 1000 > at,
        );
        if (contradicted || now - at > rememberedMillis) {
            memory.writes.delete(id);
        }
    }
    if (batch.sweep) {
        memory.promotions.clear();
    }
}

/** The group with this container's own writes, which EC2's answers may not show yet. */
export function recall(memory: Memory, group: Group): Group {
    const leaders = group.leaders.filter(
        ({ id }) => !(memory.writes.has(id) && memory.writes.get(id)?.since === undefined),
    );
    for (const { id } of group.members) {
        const since = memory.writes.get(id)?.since;
        if (since && !leaders.some((leader) => leader.id === id)) {
            leaders.push({ id, state: "running", since });
        }
    }
    return { ...group, leaders };
}

export function remember(memory: Memory, written: Written, since: number, now: number): void {
    for (const id of written.demoted) {
        memory.writes.set(id, { at: now });
    }
    if (written.promoted) {
        memory.writes.set(written.promoted, { at: now, since: new Date(since).toISOString() });
        const times = memory.promotions.get(written.group) ?? [];
        memory.promotions.set(written.group, isBraking(times) ? times : [...times, now].slice(-brakePromotions));
    }
}

/** Whether only tag events named a group that has changed its leader too often: electors that disagree must not fight at event speed. */
export function brakes(memory: Memory, group: Group): boolean {
    return isBraking(memory.promotions.get(group.name) ?? []) && group.triggers.every((type) => type === tagType);
}

function isBraking(times: number[]): boolean {
    return times.length === brakePromotions && times[brakePromotions - 1] - times[0] <= brakeMillis;
}
