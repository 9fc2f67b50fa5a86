// What a container knows better than EC2's reads: its own recent writes, states that events reported, Spot warnings.
import { type Group, type Instance, sinceOf } from "./decide";
import { addTrigger, type Batch, tagType, warningMillis } from "./events";
import type { Round } from "./observe";
import type { Result, Written } from "./promote";
import type { Scope } from "./scope";

/** What a container remembers between its invocations. Times are in milliseconds since 1970. */
export interface Memory {
    /** Its last write to each instance, by id. */
    writes: Map<string, Write>;
    /** States that can't be taken back, or not yet: until when they count, by the instance's id. */
    states: Map<string, { state: string; until: number }>;
    /** Until when a Spot interruption warning counts, by the instance's id. */
    warnings: Map<string, number>;
    /** Until when a refusal to tag an instance counts, by its id. */
    refusals: Map<string, number>;
    /** Times of the last promotions in each group, three at most, by the group's name. */
    promotions: Map<string, number[]>;
    /** Instances that lost the tag alive, or may have, with no successor since then, by the group's name. */
    pendingHandovers: Map<string, { ids: string[]; at: number }>;
    /** Ids of leaders that were protected from scaling in before they led. */
    protectedBefore: Set<string>;
    /** The page where the next sweep begins, if the last one ran out of time. */
    sweepFrom?: string;
}

interface Write {
    /** When it was sent. */
    at: number;
    /** It counts until then. */
    until: number;
    /** Name of the group, or electorate, that the election was for. */
    election: string;
    /** Name of the group that listed the instance. */
    group?: string;
    leads: boolean;
    /** The `since` that it wrote, or left. */
    since?: string;
}

const writeMillis = 30 * 1000;
const refusalMillis = 3 * 60 * 1000;
const endingMillis = 60 * 60 * 1000; // as long as EC2 shows a terminated instance
const stoppingMillis = 10 * 1000;
const flappingPromotions = 3;
const flappingMillis = 60 * 1000;

export function emptyMemory(): Memory {
    return {
        writes: new Map(),
        states: new Map(),
        warnings: new Map(),
        refusals: new Map(),
        promotions: new Map(),
        pendingHandovers: new Map(),
        protectedBefore: new Set(),
    };
}

/** Takes in what a batch says, forgets what is too old or contradicted, and adds to the batch what it doesn't know. */
export function learn(memory: Memory, batch: Batch, scope: Scope, now: number): void {
    for (const [id, write] of memory.writes) {
        const isContradicted = batch.tagged.some((event) => event.id === id && contradicts(event, write, now));
        if (isContradicted || now > write.until) {
            memory.writes.delete(id);
        }
    }
    for (const { id, state, at } of batch.states) {
        learnState(memory, id, state, state === "stopping" ? at + stoppingMillis : now + endingMillis, now);
    }
    for (const [id, at] of batch.warned) {
        memory.warnings.set(id, Math.max(at + warningMillis, memory.warnings.get(id) ?? 0));
    }
    for (const times of [memory.warnings, memory.refusals]) {
        for (const [id, until] of times) {
            if (now > until) {
                times.delete(id);
            }
        }
    }
    for (const [id, { until }] of memory.states) {
        if (now > until) {
            memory.states.delete(id);
        }
    }
    if (batch.sweep) {
        endFlapping(memory, now);
    }
    // EC2's tags may not show yet that an instance leads.
    for (const [id, trigger] of batch.departing) {
        const write = memory.writes.get(id);
        if (write?.leads) {
            addTrigger(batch.triggers, scope, write.group, trigger);
        }
    }
}

function learnState({ states }: Memory, id: string, state: string, until: number, now: number): void {
    if (until > now && states.get(id)?.state !== "shutting-down") {
        states.set(id, { state, until });
    }
}

/** Whether a tag event is no older than a write, and says otherwise. */
function contradicts(event: Batch["tagged"][number], { at, leads, since }: Write, now: number): boolean {
    const differs = event.leads !== leads || (leads && event.since !== since);
    // An event's time is cut to the second; an earlier promotion's comes with an earlier `since`.
    const isEarlier = event.leads && leads && sinceOf(event, now) < sinceOf({ since }, now);
    return differs && event.at + (isEarlier ? 0 : 1000) > at;
}

/** Corrects an observation by what this container knows better than EC2's reads. `now` is in milliseconds since 1970. */
export function recall(memory: Memory, round: Round, { handoverSeconds }: Scope, now: number): Round {
    const pauseMillis = handoverSeconds * 1000;
    const isKnown = (orphan: Instance) => {
        const write = memory.writes.get(orphan.id);
        return write?.leads === false && sinceOf(orphan, now) <= sinceOf(write, now);
    };
    const groups = round.groups.map((group): Group => {
        const own = [...memory.writes.values()].filter(({ election }) => election === group.name);
        const corrected = {
            ...group,
            instances: group.instances.map((instance) => recallInstance(memory, instance, group, now)),
            orphans: group.orphans.filter((orphan) => !isKnown(orphan)),
            latestWritten: Math.max(0, ...own.map((write) => sinceOf(write, now))),
            flapping:
                isFlapping(memory.promotions.get(group.name)) && group.triggers.every(({ type }) => type === tagType),
        };
        return { ...corrected, handingOver: pauseMillis > 0 && isHandingOver(memory, corrected, now - pauseMillis) };
    });
    return { ...round, groups, orphans: round.orphans.filter((orphan) => !isKnown(orphan)) };
}

function recallInstance(memory: Memory, instance: Instance, group: Group, now: number): Instance {
    const { id, listed } = instance;
    const corrected = {
        ...instance,
        ...recallState(memory, instance, now),
        warned: memory.warnings.has(id),
        refused: memory.refusals.has(id),
    };
    const write = memory.writes.get(id);
    // A later `since` in a read is newer than what was written.
    if (!write || !listed || write.election !== group.name || sinceOf(instance, now) > sinceOf(write, now)) {
        return corrected;
    }
    if (write.leads === instance.leads) {
        return { ...corrected, since: write.since ?? instance.since };
    }
    const arriving = /^Pending/.test(listed.lifecycleState);
    return {
        ...corrected,
        state: corrected.state ?? (arriving ? "pending" : "running"),
        leads: write.leads,
        since: write.since ?? instance.since,
        read: { leads: instance.leads },
    };
}

/** The state that an event or an earlier read has given, where it is truer than a read. Learns what can't be taken back. */
function recallState(memory: Memory, { id, state }: Instance, now: number): { state?: string } {
    if (state === "shutting-down") {
        learnState(memory, id, state, now + endingMillis, now);
    }
    const known = memory.states.get(id)?.state;
    const isTruer = known !== undefined && state !== "terminated" && !(known === "stopping" && state === "stopped");
    return isTruer ? { state: known } : { state };
}

/** Remembers what was written in a round, and where the sweep goes on. Times are when the writing began and ended. */
export function remember(
    memory: Memory,
    { dryRun }: Scope,
    { written, stripped, orphans, unread, rest }: Round & { written: Written[]; stripped: Result },
    { began, ended }: { began: number; ended: number },
): void {
    if (rest) {
        // After another failure than a lack of time a sweep does better to begin anew.
        memory.sweepFrom = unread.every(({ error }) => error.name === "AbortError") ? rest.nextToken : undefined;
    }
    if (dryRun) {
        return;
    }
    const until = ended + writeMillis;
    forgetUncertain(memory, stripped, ended);
    for (const { id, since } of orphans.filter((orphan) => stripped.demoted.includes(orphan.id))) {
        memory.writes.set(id, { at: began, until, election: "", leads: false, since });
    }
    for (const { group, plan, result } of written) {
        const election = group.name;
        const instance = (id: string) => group.instances.find((one) => one.id === id);
        forgetUncertain(memory, result, ended);
        for (const id of result.demoted) {
            memory.writes.set(id, { at: began, until, election, leads: false, since: instance(id)?.since });
        }
        for (const { id, since, at } of [result.promoted ?? [], result.adopted ?? []].flat()) {
            memory.writes.set(id, { at, until, election, group: instance(id)?.listed?.group, leads: true, since });
        }
        if (result.promoted) {
            const earlier = memory.promotions.get(election) ?? [];
            const times = isFlapping(earlier) ? earlier : [...earlier, ended].slice(-flappingPromotions);
            memory.promotions.set(election, times);
            memory.pendingHandovers.delete(election);
        } else if (result.demotedAt !== undefined) {
            const ids = [...plan.demote, ...plan.retire, ...group.orphans.map(({ id }) => id)];
            if (ids.length > 0) {
                memory.pendingHandovers.set(election, { ids, at: result.demotedAt });
            }
        }
    }
}

function forgetUncertain({ writes, refusals }: Memory, { uncertain, refused }: Result, now: number): void {
    for (const id of uncertain) {
        writes.delete(id);
    }
    for (const id of refused) {
        refusals.set(id, now + refusalMillis);
    }
}

function endFlapping({ promotions }: Memory, now: number): void {
    for (const [group, times] of promotions) {
        if (isFlapping(times) || now - times[times.length - 1] > flappingMillis) {
            promotions.delete(group);
        }
    }
}

function isFlapping(times: number[] = []): boolean {
    return times.length === flappingPromotions && times[flappingPromotions - 1] - times[0] <= flappingMillis;
}

/** Whether an instance lost the tag since a time, with no successor, and may still be at work. */
function isHandingOver({ pendingHandovers }: Memory, { name, instances, orphans }: Group, since: number): boolean {
    const { ids, at } = pendingHandovers.get(name) ?? { ids: [], at: 0 };
    // An instance that still carries the tag is dead, or loses it only now.
    const carriesTag = (id: string) => instances.some((instance) => instance.id === id && instance.leads);
    return orphans.length > 0 || (at > since && ids.some((id) => !carriesTag(id)));
}
