// The evidence that checkers judge by: what there was to be seen, what was written, what else happened, and what that excuses.
import { type BusEvent, instanceIn } from "../../simulator/aws/events";
import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch, Container } from "../../simulator/clock";
import { Electorates } from "../../simulator/electorates";
import type { Invocation } from "../../simulator/stack/deployment";
import type { World } from "../../simulator/world";
import { isFull, type Knowledge, type Known, type Sight, sinceIn, type View, viewOf } from "./model";

/** Each excuse of an election, what AWS does that makes it necessary, and a history that breaks a rule without it. */
export const excuses = {
    /** AWS refuses, loses or delays calls: the next election does what this one could not. */
    trouble: "the answer to a promotion stalls",
    /** Lambda ends a container at any time: its invocation ends without reports. */
    death: "the container ends between a demotion and the promotion, and the since lay ahead",
    /** Instances change while an election runs: it decides by what it has read. */
    change: "a group joins an electorate between two reads of one election",
    /** EC2's reads lag behind its writes: an election can't see what is. */
    lag: "EC2 shows six minutes after a leader began to end that it runs",
    /** SQS hands out a batch again while it is under way: neither election knows what the other writes. */
    company: "a batch comes back while its election is under way",
    /** EventBridge loses or delays an event about tags: a container takes what it wrote for true. */
    silence: "a leader loses its tags, and no event says so",
    /** Events have whole seconds: a container can't know whether one of the same second is older than its write. */
    seconds: "a member is vetoed in the second in which it is promoted",
    /** Something takes the tag again and again: a group that flaps waits for the next sweep. */
    unrest: "a rival takes the tag off each leader, and then an event comes",
    /** EC2 refuses to write an instance's tags: a policy says so, or it has fifty. */
    refusal: "no instance of a group can be tagged when another has no leader",
    /** EC2 has just refused to tag an instance: for three minutes a leader that may stay is better. */
    avoidance: "the only successor can't be tagged once, and the leader is looked at again",
};

export type Excuse = keyof typeof excuses;

/** What is expected of an election depends on the stack's settings, and on how the world is disturbed. */
export interface Expectations extends Known {
    /** Between demoting a live leader and promoting its successor. */
    handoverMillis: number;
    /** Leaders are protected from scaling in. */
    protectLeader: boolean;
    /** One elector is at work. */
    alone: boolean;
    /** And reads show every write at once: each write can be judged by what there was to be seen. */
    exact: boolean;
    /** An excuse that doesn't count. */
    withdrawn?: Excuse;
}

/** By how much reads lag at most. */
const mostLagMillis = 5000;

/** How long what a container wrote counts as read. */
const rememberedMillis = 30_000;

/** How long a Spot warning counts, from its event's time, and a refusal to tag an instance. */
const warningMillis = 3 * 60 * 1000;
const refusalMillis = 3 * 60 * 1000;
const flappingMillis = 61_000; // from the end of one writing to the end of another

/** Each item with the one but one before it. */
export const thirds = <T>(items: T[]): { first: T; third: T }[] =>
    items.slice(2).map((third, index) => ({ first: items[index] as T, third }));

/** A tag that the function wrote on an instance. */
interface Write {
    at: number;
    /** The earliest time that its election's reads may have shown. */
    readFrom: number;
    id: string;
    /** The electorate, or the group if it elects on its own, as it was read. */
    home: string | undefined;
    by: unknown;
    /** Whether the instance leads from then on; an adoption only dates a leader. */
    leads: boolean;
    isAdoption: boolean;
    /** The `since` that it wrote, in milliseconds since 1970. */
    since?: number;
    /** The `since` that the instance has after it, or had: a container remembers a strip with that. */
    left: number;
    /** Whether its container may not have got the answer. */
    unsure: boolean;
}

const never = Number.NEGATIVE_INFINITY;

export class Evidence {
    readonly electorates: Electorates;
    /** Tags that the function wrote, oldest first. */
    readonly writes: Write[] = [];
    /** When sweeps began, each with its container. */
    private readonly sweeps: { at: number; by: unknown }[] = [];
    private readonly views = new WeakMap<object, View[]>();
    private lastView?: View;
    /** Batches in which a call has gone wrong: what came of them is judged less closely. */
    private readonly disturbed = new WeakSet<object>();
    /** Batches whose groups or leaders couldn't be read. */
    private readonly unread = new WeakSet<object>();
    /** Batches whose container was ended by a fault. */
    private readonly killed = new WeakSet<object>();
    /** Instances that a container tried to tag in vain, each with the time of the last try. */
    private readonly refusals = new WeakMap<object, Map<string, number>>();
    /** When others last changed an instance's leader tag or `since`, and the event's id. */
    private readonly edited = new Map<string, { at: number; event: string }>();
    /** Events that a container received; copies have longer ids. */
    private readonly received = new WeakMap<object, { at: number; event: BusEvent }[]>();
    private isWriting = false;
    private lastChangeByOthers = never;

    constructor(
        readonly world: World,
        readonly expect: Expectations,
    ) {
        const { region } = world;
        this.electorates = new Electorates(region, expect);
        region.beforeCall.push((call) => call.by?.batch && this.noteCall(call, call.by, call.by.batch));
        region.afterWrite.push((call) => /Tags$/.test(call.action) && this.noteWrites(call));
        region.onEvent.push((event) => event.source === "aws.tag" && this.noteTags(event));
        region.onChange.push(() => this.noteChange());
    }

    /** Notes that a call will go wrong; `fails`: it gets no answer. */
    disturb({ by, action, input, start }: Call, fails: boolean): void {
        if (by?.batch === undefined) {
            return;
        }
        const { events } = by.batch;
        this.noteBatch(by, by.batch);
        this.disturbed.add(events);
        if (fails && /Tags$/.test(action)) {
            this.noteRefusals(by, start, input.Resources);
        }
        const isAboutTags = input.Filters?.some(({ Name }: { Name: string }) => Name.startsWith("tag"));
        if (fails && (/Groups$/.test(action) || (action === "ec2:DescribeInstances" && isAboutTags))) {
            this.unread.add(events);
        }
    }

    /** Others change something, perhaps without an event: load, checks, protection, the tags of a group. */
    noteChange(): void {
        this.lastView = undefined;
        if (!this.isWriting) {
            this.lastChangeByOthers = this.world.region.timeline.now;
        }
    }

    /** What the reads of a batch showed, oldest first. */
    viewsOf({ events }: Pick<Batch, "events">): View[] {
        return this.views.get(events) ?? [];
    }

    /** What they showed of an instance. */
    sightsOf(batch: Pick<Batch, "events">, id: string): Sight[] {
        return this.viewsOf(batch).flatMap((view) => view.get(id) ?? []);
    }

    /** Whether an excuse is granted. */
    private grants(excuse: Excuse): boolean {
        return this.expect.withdrawn !== excuse;
    }

    isDisturbed({ events }: Pick<Batch, "events">): boolean {
        return this.grants("trouble") && this.disturbed.has(events);
    }

    isUnread({ events }: Pick<Batch, "events">): boolean {
        return this.unread.has(events);
    }

    /** Notes that a container's batch will get no answer any more. */
    kill({ batch }: Container): void {
        if (batch) {
            this.killed.add(batch.events);
        }
    }

    wasKilled({ events }: Pick<Batch, "events">): boolean {
        return this.grants("death") && this.killed.has(events);
    }

    /** Whether EC2 refuses to write the leader's tags of an instance, or to delete them. */
    refuses(id: string, what: "write" | "delete" = "write"): boolean {
        const { region } = this.world;
        const { refused, tagKey } = this.expect;
        const isFullNow = region.instances.has(id) && isFull({ tags: region.tags(id) }, tagKey);
        const isRefused = what === "write" ? refused.has(id) || isFullNow : refused.get(id) === "create and delete";
        return this.grants("refusal") && isRefused;
    }

    /** What a container knows from events at a time; `avoids`: whether it may remember refusals. */
    knowledge(by: Container, { events, start }: Pick<Batch, "events" | "start">, avoids: boolean): Knowledge {
        const received = [...(this.received.get(by) ?? []).map(({ event }) => event), ...events];
        const warnings = received.filter(
            (event) =>
                event["detail-type"] === "EC2 Spot Instance Interruption Warning" &&
                Date.parse(event.time) + warningMillis > start,
        );
        const launches = events.filter((event) => event["detail-type"] === "EC2 Instance Launch Successful");
        const refusals = avoids && this.grants("avoidance") ? [...(this.refusals.get(by) ?? [])] : [];
        return {
            warned: new Set(warnings.map(({ detail }) => detail["instance-id"])),
            launched: new Set(launches.map(({ detail }) => detail.EC2InstanceId)),
            avoided: new Set(refusals.flatMap(([id, at]) => (start - at <= refusalMillis ? id : []))),
        };
    }

    /** What an invocation saw first, if nothing went wrong and nothing else changed while it ran. */
    undisturbed(invocation: Invocation): View | undefined {
        const [view] = this.viewsOf(invocation);
        return this.isSteady(invocation) && !this.wasKilled(invocation) ? view : undefined;
    }

    /** Whether reads show what is, and nothing went wrong or changed in a batch. */
    private isSteady(batch: Pick<Batch, "events" | "start">): boolean {
        return this.expect.exact && !this.isDisturbed(batch) && !this.isChangedSince(batch.start);
    }

    /** Whether others have changed something since a time. */
    isChangedSince(at: number): boolean {
        return this.grants("change") && this.lastChangeByOthers >= at;
    }

    /** Whether others changed the tags that a container remembers, and no event and no later `since` says so. */
    isUnaware(id: string, by: Container, start: number): boolean {
        const edit = this.edited.get(id);
        const last = this.remembered(by, start).findLast((write) => write.id === id);
        if (!this.grants("silence") || edit === undefined || last === undefined || edit.at < last.at) {
            return false;
        }
        const { region } = this.world;
        // EC2 shows an ended instance for an hour only.
        const now = region.instances.has(id) ? sinceIn(region.tags(id), this.expect.tagKey, start) : never;
        const knows = this.received.get(by)?.some(({ event }) => event.id.slice(0, 36) === edit.event);
        return !knows && now <= last.left;
    }

    /** Whether what a container did can be judged by what its reads showed, because it knows of every edit, too. */
    isClear(by: Container, batch: Pick<Batch, "events" | "start">): boolean {
        return this.isSteady(batch) && ![...this.edited.keys()].some((id) => this.isUnaware(id, by, batch.start));
    }

    /** Whether a container received the event that an instance goes into a state. */
    knowsState(id: string, by: Container, state: string): boolean {
        return (this.received.get(by) ?? []).some(
            ({ event: { detail } }) => detail["instance-id"] === id && detail.state === state,
        );
    }

    /** What a container wrote of late, and may remember still. */
    remembered(by: unknown, start: number): Write[] {
        const longest = rememberedMillis + this.expect.handoverMillis; // it counts from the end of the writing
        return this.writes.filter((write) => write.by === by && write.at >= start - longest);
    }

    /** Whether the caller's container must remember a write, because it had the answer, and others wrote nothing since its reads. */
    isKnown({ id, at, by, leads, readFrom, unsure }: Write, call: Call, batch: Batch): boolean {
        const isOwn = by === call.by && at < batch.start && at >= batch.start - rememberedMillis;
        const isContradicted = this.received
            .get(call.by as object)
            ?.some(
                ({ at: receivedAt, event: { source, resources, detail } }) =>
                    receivedAt >= at &&
                    source === "aws.tag" &&
                    instanceIn(resources) === id &&
                    isTrue(detail.tags[this.expect.tagKey]) !== leads,
            );
        const isEdited = (this.edited.get(id)?.at ?? never) > readFrom;
        return isOwn && !unsure && !isEdited && !(this.grants("seconds") && isContradicted);
    }

    /** The electorate that tags name. */
    homeNamedBy(tags: Record<string, string>): string | undefined {
        const group = tags[groupKey];
        return group === undefined ? undefined : this.electorates.nameOf(group);
    }

    /** Writes since a time, by any container. */
    writeCallsSince(at: number): Call[] {
        return this.world.region.calls.filter((call) => !isRead(call) && call.start >= at);
    }

    private noteTags({ id: event, resources, detail }: BusEvent): void {
        const keys: string[] = detail["changed-tag-keys"];
        const { tagKey } = this.expect;
        if (!this.isWriting && keys.some((key) => key === tagKey || key === `${tagKey}:since`)) {
            this.edited.set(instanceIn(resources), { at: this.world.region.timeline.now, event });
        }
    }

    private noteRefusals(by: Container, at: number, ids: string[]): void {
        this.refusals.set(by, new Map([...(this.refusals.get(by) ?? []), ...ids.map((id) => [id, at] as const)]));
    }

    private noteCall(call: Call, by: Container, batch: Batch): void {
        this.noteBatch(by, batch);
        if (call.action === "ec2:CreateTags") {
            const { Resources: ids } = call.input as { Resources: string[] };
            this.noteRefusals(
                by,
                call.start,
                ids.filter((id) => this.refuses(id) || !this.world.region.permits(call)),
            );
        }
        if (isRead(call)) {
            this.views.get(batch.events)?.push(this.viewFor(batch));
        } else {
            this.isWriting = true;
            queueMicrotask(() => {
                this.isWriting = false;
            });
        }
    }

    /** What there is to be seen; the same view as before if nothing has changed since. */
    private viewFor({ events }: Batch): View {
        const { region } = this.world;
        const named = namedAlone(events);
        if (named.length > 0) {
            return viewOf(region, this.electorates, named);
        }
        this.lastView ??= viewOf(region, this.electorates);
        return this.lastView;
    }

    /** A container has a batch as soon as it makes a call, whatever comes of that. */
    private noteBatch(by: Container, { events, start }: Batch): void {
        if (this.views.has(events)) {
            return;
        }
        this.views.set(events, []);
        const received = events.map((event) => ({ at: start, event }));
        this.received.set(by, [...(this.received.get(by) ?? []), ...received]);
        if (events.some((event) => event["detail-type"] === "Scheduled Event")) {
            this.sweeps.push({ at: this.world.region.timeline.now, by });
        }
    }

    private noteWrites({ action, input: { Resources, Tags }, by }: Call): void {
        const { region } = this.world;
        const { now } = region.timeline;
        const { tagKey } = this.expect;
        const sinceKey = `${tagKey}:since`;
        const written = Object.fromEntries(
            (Tags ?? []).map(({ Key, Value }: { Key: string; Value?: string }) => [Key, Value]),
        );
        const creates = action === "ec2:CreateTags";
        const batch = by?.batch;
        for (const id of Resources) {
            const tags = region.tags(id);
            if (Object.entries(written).every(([key, value]) => tags[key] === (creates ? value : undefined))) {
                const sights = batch ? this.sightsOf(batch, id) : [];
                this.writes.push({
                    at: now,
                    readFrom: (batch?.start ?? now) - (this.expect.exact ? 0 : mostLagMillis),
                    id,
                    home: sights[0]?.electorate,
                    by,
                    leads: creates,
                    isAdoption: !(tagKey in written),
                    since: creates ? Date.parse(written[sinceKey] ?? "") || undefined : undefined,
                    left: Math.max(...[{ tags }, ...sights].map((one) => sinceIn(one.tags, tagKey, now))),
                    unsure: batch !== undefined && this.isDisturbed(batch),
                });
            }
        }
    }

    /** Whether a group changed its leader so often that its container may wait for the next sweep. */
    isFlapping(home: string | undefined, by: unknown): boolean {
        const since = this.promotionsSinceSweep(home, by);
        const isTooOften = thirds(this.promotions(home, by)).some(
            ({ first, third }) => since.includes(third) && third.at - first.at <= flappingMillis,
        );
        return this.grants("unrest") && isTooOften;
    }

    /** A container's promotions in a group since it last began a sweep. */
    promotionsSinceSweep(home: string | undefined, by: unknown): Write[] {
        const lastSweep = this.sweeps.findLast((sweep) => sweep.by === by)?.at ?? never;
        return this.promotions(home, by).filter(({ at }) => at > lastSweep);
    }

    private promotions(home: string | undefined, by: unknown): Write[] {
        return this.writes.filter((one) => one.home === home && one.by === by && one.leads && !one.isAdoption);
    }
}

export const isRead = ({ action }: Call): boolean => /:(Describe|Get)/.test(action);

/** Instances that events name without the group that they are in. */
const namedAlone = (events: Batch["events"]): string[] => {
    const tagged = events.filter(({ source, detail }) => source === "aws.tag" && detail.tags[groupKey] === undefined);
    return [...tagged.map(({ resources }) => instanceIn(resources)), ...detachesIn(events).map(({ id }) => id)];
};

/** Which instances groups have let go, as events say. */
export function detachesIn(events: Batch["events"]): { id: string; group: string }[] {
    return events
        .filter((event) => event["detail-type"] === "EC2 Instance Detach Successful")
        .map(({ detail }) => ({ id: detail.EC2InstanceId, group: detail.AutoScalingGroupName }));
}
