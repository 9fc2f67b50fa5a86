// What a container knows better than EC2's reads: its own recent writes, states that events reported, Spot warnings.
import { addTrigger, type Batch, tagType, warningMillis } from "./events";
import { type Group, type Instance, type ObservedInstance, sinceOf } from "./group";
import type { Round } from "./observe";
import type { Result, WrittenRound } from "./promote";
import type { Scope } from "./scope";

/** What a container remembers between its invocations. Times are in milliseconds since 1970. */
export type Memory = ReturnType<typeof emptyMemory>;

export const emptyMemory = () => ({
    /** Its last write to each instance, by id. */
    writes: new Map<string, Write>(),
    /** States that can't be taken back, or not yet: until when they count, by the instance's id. */
    states: new Map<string, { state: string; until: number }>(),
    /** Until when a Spot interruption warning counts, by the instance's id. */
    warnings: new Map<string, { until: number }>(),
    /** Until when a refusal to tag an instance counts, by its id. */
    refusals: new Map<string, { until: number }>(),
    /** Times of the last promotions in each group, three at most, by the group's name. */
    promotions: new Map<string, number[]>(),
    /** Instances that lost the tag alive, or may have, in the last election without a successor, by the group's name. */
    pendingHandovers: new Map<string, { ids: string[]; at: number }>(),
    /** Whether a leader was protected from scaling in before it led, by its id. */
    protectedBefore: new Map<string, boolean>(),
    /** The page where the next sweep begins, if the last one ran out of time. */
    sweepFrom: undefined as string | undefined,
});

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

/**
 * Takes in what a batch says, and forgets what is too old or contradicted.
 *
 * @param now milliseconds since 1970
 * @returns the batch, which also asks for elections where a departing instance leads and EC2's tags may not show it yet
 */
export const learn = (memory: Memory, batch: Batch, now: number): Batch => {
    forget(memory, batch, now);
    for (const { id, state, at } of batch.states) {
        learnState(memory, id, state, state === "stopping" ? at + stoppingMillis : now + endingMillis, now);
    }
    for (const [id, at] of batch.warned) {
        memory.warnings.set(id, { until: Math.max(at + warningMillis, memory.warnings.get(id)?.until ?? 0) });
    }
    for (const [group, times] of batch.sweep ? memory.promotions : []) {
        if (changedTooOften(times) || now - (times.at(-1) ?? 0) > flappingMillis) {
            memory.promotions.delete(group);
        }
    }
    const triggers = new Map(batch.triggers);
    for (const [id, trigger] of batch.departing) {
        const write = memory.writes.get(id);
        if (write?.leads && write.group !== undefined) {
            addTrigger(triggers, write.group, trigger);
        }
    }
    return { ...batch, triggers };
};

const forget = ({ writes, states, warnings, refusals }: Memory, { tagged }: Batch, now: number): void => {
    for (const [id, write] of writes) {
        if (tagged.some((event) => event.id === id && contradicts(event, write, now))) {
            writes.delete(id);
        }
    }
    for (const known of [writes, states, warnings, refusals]) {
        for (const [id, { until }] of known) {
            if (now > until) {
                known.delete(id);
            }
        }
    }
};

/** Whether a tag event is no older than a write, and says otherwise. */
const contradicts = (event: Batch["tagged"][number], { at, leads, since }: Write, now: number): boolean => {
    const differs = event.leads !== leads || (leads && event.since !== since);
    // An event's time is cut to the second; an earlier promotion's comes with an earlier `since`.
    const isEarlier = event.leads && leads && sinceOf(event, now) < sinceOf({ since }, now);
    return differs && event.at + (isEarlier ? 0 : 1000) > at;
};

const learnState = ({ states }: Memory, id: string, state: string, until: number, now: number): void => {
    if (until > now && states.get(id)?.state !== "shutting-down") {
        states.set(id, { state, until });
    }
};

/**
 * Corrects an observation by what this container knows better than EC2's reads. Changes nothing.
 *
 * @param now milliseconds since 1970
 */
export const recall = (scope: Scope, memory: Memory, round: Round, now: number): Round & { groups: Group[] } => {
    const pauseMillis = scope.handoverSeconds * 1000;
    const isStripped = (orphan: ObservedInstance) => {
        const write = memory.writes.get(orphan.id);
        return write?.leads === false && sinceOf(orphan, now) <= sinceOf(write, now);
    };
    const groups = round.groups.map((group): Group => {
        const ofGroup = [...memory.writes.values()].filter(({ election }) => election === group.name);
        const corrected = {
            ...group,
            instances: group.instances.map((instance) => recallInstance(memory, instance, now)),
            orphans: group.orphans.filter((orphan) => !isStripped(orphan)),
            latestWritten: Math.max(0, ...ofGroup.map((write) => sinceOf(write, now))),
            flapping:
                changedTooOften(memory.promotions.get(group.name)) &&
                group.triggers.every(({ type }) => type === tagType),
        };
        return { ...corrected, handingOver: pauseMillis > 0 && isHandingOver(memory, corrected, now - pauseMillis) };
    });
    return { ...round, groups, orphans: round.orphans.filter((orphan) => !isStripped(orphan)) };
};

const recallInstance = (memory: Memory, instance: ObservedInstance, now: number): Instance => {
    const { id, listed, state: readState, leads } = instance;
    // What can't be taken back is truer than a read, unless that shows what follows it.
    const known = memory.states.get(id)?.state;
    const order = (one = "") => ["stopping", "stopped", "shutting-down", "terminated"].indexOf(one);
    const state = order(known) > order(readState) ? known : readState;
    const read = { state: readState, leads };
    const corrected = {
        ...instance,
        ...(state === readState ? {} : { state, read }),
        warned: memory.warnings.has(id),
        refused: memory.refusals.has(id),
    };
    const write = memory.writes.get(id);
    // A later `since` in a read is newer than what was written.
    if (!write || !listed || sinceOf(instance, now) > sinceOf(write, now)) {
        return corrected;
    }
    const since = write.since ?? instance.since;
    if (write.leads === leads) {
        return { ...corrected, since };
    }
    const arriving = /^Pending/.test(listed.lifecycleState);
    return { ...corrected, state: state ?? (arriving ? "pending" : "running"), leads: write.leads, since, read };
};

/**
 * Remembers what a round has read and written, and where the sweep goes on.
 *
 * @param times when the writing began and ended, in milliseconds since 1970
 */
export const remember = (memory: Memory, round: WrittenRound, times: { began: number; ended: number }): void => {
    const { written, stripped, orphans, unread, rest } = round;
    if (rest) {
        // After another failure than a lack of time a sweep does better to begin anew.
        memory.sweepFrom = unread.every(({ error }) => error.name === "AbortError") ? rest.nextToken : undefined;
    }
    rememberWrites(memory, { name: "", instances: orphans }, stripped, times);
    for (const { group, plan, result } of written) {
        for (const { id, state, read } of group.instances) {
            if ((read ?? { state }).state === "shutting-down") {
                learnState(memory, id, "shutting-down", times.began + endingMillis, times.began);
            }
        }
        rememberWrites(memory, group, result, times);
        if (result.promoted) {
            rememberPromotion(memory, group, result.promoted.id, result.isGivenBack === true, times.ended);
        } else {
            // Its orphans may have lost their tags even if it was too late to demote.
            const demoted = result.demotedAt === undefined ? [] : [...plan.demote, ...plan.retire];
            const ids = [...demoted, ...group.orphans.map(({ id }) => id)];
            if (ids.length > 0) {
                memory.pendingHandovers.set(group.name, { ids, at: result.demotedAt ?? times.ended });
            }
        }
    }
};

const rememberWrites = (
    { writes, refusals }: Memory,
    { name, instances }: Pick<Group, "name" | "instances">,
    { demoted, promoted, adopted, uncertain, refused }: Result,
    { began, ended }: { began: number; ended: number },
): void => {
    const found = new Map(instances.map((instance) => [instance.id, instance]));
    const write = { until: ended + writeMillis, election: name };
    for (const id of uncertain) {
        writes.delete(id);
    }
    for (const id of refused) {
        refusals.set(id, { until: ended + refusalMillis });
    }
    for (const id of demoted) {
        writes.set(id, { ...write, at: began, leads: false, since: found.get(id)?.since });
    }
    for (const { id, since, at } of [promoted ?? [], adopted ?? []].flat()) {
        writes.set(id, { ...write, at, group: found.get(id)?.listed?.group, leads: true, since });
    }
};

const rememberPromotion = (memory: Memory, group: Group, id: string, isGivenBack: boolean, now: number): void => {
    const earlier = memory.promotions.get(group.name) ?? [];
    const times = changedTooOften(earlier) ? earlier : [...earlier, now].slice(-flappingPromotions);
    memory.promotions.set(group.name, times);
    if (!isGivenBack) {
        const wasProtected = group.instances.some((one) => one.id === id && one.listed?.protected);
        memory.protectedBefore.set(id, wasProtected);
    }
};

const changedTooOften = (times: number[] = []): boolean =>
    times.length === flappingPromotions && (times.at(-1) ?? 0) - (times[0] ?? 0) <= flappingMillis;

/** Whether an instance lost the tag since a time, with no successor, and may still be at work. */
const isHandingOver = ({ pendingHandovers }: Memory, { name, instances, orphans }: Group, since: number): boolean => {
    const { ids, at } = pendingHandovers.get(name) ?? { ids: [], at: 0 };
    // An instance that still carries the tag is dead, or loses it only now.
    const carriesTag = (id: string) => instances.some((instance) => instance.id === id && instance.leads);
    return orphans.length > 0 || (at > since && ids.some((id) => !carriesTag(id)));
};
