// The evidence that checkers judge by: what there was to be seen, what was written, and what else happened.
import { type BusEvent, instanceIn } from "../../simulator/aws/events";
import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch, Container } from "../../simulator/clock";
import { Electorates } from "../../simulator/electorates";
import type { Invocation } from "../../simulator/stack/deployment";
import type { World } from "../../simulator/world";
import { isFull, type Knowledge, type Known, type Sight, sinceIn, type View, viewOf } from "./model";

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
}

/** By how much EC2's reads may lag. */
export const mostLagMillis = 5000;

/** How long what a container wrote counts as read. */
export const rememberedMillis = 30_000;

/** How long a Spot warning counts, from its event's time, and a refusal to tag an instance. */
export const warningMillis = 3 * 60 * 1000;
const refusalMillis = 3 * 60 * 1000;
const stoppingMillis = 10_000;
const flappingMillis = 61_000; // from the end of one writing to the end of another

/** Each item with the one but one before it. */
export const thirds = <T>(items: T[]): { first: T; third: T }[] =>
    items.slice(2).map((third, index) => ({ first: items[index] as T, third }));

/** A tag that the function wrote on an instance. */
export interface Write {
    at: number;
    id: string;
    /** The electorate, or the group if it elects on its own. */
    home: string | undefined;
    by: unknown;
    /** Whether the instance leads from then on. */
    leads: boolean;
    /** The `since` that it wrote, in milliseconds since 1970. */
    since?: number;
    /** The `since` that the instance has after it. */
    left: number;
    /** Whether its container may not have got the answer. */
    unsure: boolean;
}

const never = Number.NEGATIVE_INFINITY;
const keptMillis = 10 * 60 * 1000; // longer than any memory

export class Evidence {
    readonly electorates: Electorates;
    /** Tags that the function wrote, oldest first. */
    readonly writes: Write[] = [];
    /** When sweeps began, each with its container. */
    readonly sweeps: { at: number; by: unknown }[] = [];
    /** When groups last came to belong together in another way. */
    electoratesChangedAt = never;

    private readonly views = new WeakMap<object, View[]>();
    private lastView?: View;
    /** Batches in which a call has gone wrong: what came of them is judged less closely. */
    private readonly disturbed = new WeakSet<object>();
    /** Batches whose groups or leaders couldn't be read. */
    private readonly unread = new WeakSet<object>();
    /** Instances that a container tried to tag in vain, each with the time of the last try. */
    private readonly refusals = new WeakMap<object, Map<string, number>>();
    /** Batches whose container was ended by a fault. */
    private readonly killed = new WeakSet<object>();
    /** Batches in which protection couldn't be set. */
    private readonly unprotected = new WeakSet<object>();
    /** When instances last joined a group or left one. */
    private readonly moved = new Map<string, number>();
    /** When others last changed an instance's tags, beside its group's. */
    private readonly edited = new Map<string, number>();
    /** When, and by which container, leaders last got a `since` alone. */
    private readonly adopted = new Map<string, { at: number; by: unknown }>();
    /** The last event about an instance's tags since the function last wrote them. */
    private readonly touched = new Map<string, string>();
    /** Events that a container received; copies have longer ids. */
    private readonly received = new WeakMap<object, { at: number; event: BusEvent; events: object }[]>();
    private isWriting = false;
    private lastChangeByOthers = never;

    constructor(
        readonly world: World,
        readonly expect: Expectations,
    ) {
        const { region } = world;
        this.electorates = new Electorates(region, expect);
        region.beforeCall.push((call) => call.by?.batch && this.noteCall(call, call.by.batch));
        region.afterWrite.push((call) => /Tags$/.test(call.action) && this.noteWrites(call));
        region.onEvent.push((event) => event.source === "aws.tag" && this.noteTags(event));
        region.onChange.push(() => {
            this.lastView = undefined;
            if (!this.isWriting) {
                this.lastChangeByOthers = region.timeline.now;
            }
        });
    }

    /** Notes that a call will go wrong; `fails`: it gets no answer. */
    disturb(call: Call, fails: boolean): void {
        const batch = call.by?.batch;
        if (batch === undefined) {
            return;
        }
        const { events } = batch;
        this.noteReceived(call.by as object, batch);
        if (/Protection$/.test(call.action)) {
            this.unprotected.add(events);
            return; // no election depends on it
        }
        this.disturbed.add(events);
        if (fails && /Tags$/.test(call.action)) {
            this.noteRefusals(call, call.input.Resources);
        }
        if (fails && (/Groups$/.test(call.action) || isAboutTags(call))) {
            this.unread.add(events);
        }
    }

    /** Something changes without an event: load, checks, protection, the tags of a group. */
    changeUnseen(): void {
        this.lastView = undefined;
        this.lastChangeByOthers = this.world.region.timeline.now;
    }

    /** Groups come to belong together in another way. */
    changeElectorates(): void {
        this.changeUnseen();
        this.electoratesChangedAt = this.world.region.timeline.now;
    }

    /** What the reads of a batch showed, oldest first. */
    viewsOf({ events }: Pick<Batch, "events">): View[] {
        return this.views.get(events) ?? [];
    }

    /** What they showed of an instance. */
    sightsOf(batch: Pick<Batch, "events">, id: string): Sight[] {
        return this.viewsOf(batch).flatMap((view) => view.get(id) ?? []);
    }

    isDisturbed({ events }: Pick<Batch, "events">): boolean {
        return this.disturbed.has(events);
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
        return this.killed.has(events);
    }

    /** What a container knows from events at a time; `avoids`: whether it may remember refusals. */
    knowledge(by: Container, { events, start }: Pick<Batch, "events" | "start">, avoids: boolean): Knowledge {
        const received = [...new Set([...(this.received.get(by) ?? []).map(({ event }) => event), ...events])];
        const ofType = (type: string) => received.filter((event) => event["detail-type"] === type);
        const warnings = ofType("EC2 Spot Instance Interruption Warning").filter(
            ({ time }) => Date.parse(time) + warningMillis > start,
        );
        const changes = ofType("EC2 Instance State-change Notification");
        const isOf = (state: string) => changes.filter(({ detail }) => detail.state === state);
        const launches = events.filter((event) => event["detail-type"] === "EC2 Instance Launch Successful");
        const stopping = isOf("stopping").filter(({ time }) => Date.parse(time) + stoppingMillis > start);
        const running = stopping.filter(({ detail }) => this.isRunning(detail["instance-id"]));
        return {
            warned: new Set(warnings.map(({ detail }) => detail["instance-id"])),
            launched: new Set(launches.map(({ detail }) => detail.EC2InstanceId)),
            states: new Map(running.map(({ detail }) => [detail["instance-id"], "stopping"])),
            avoided: avoids ? this.refusedLately(by, start) : new Set(),
        };
    }

    /** Instances that a container tried to tag in vain in the last minutes. */
    refusedLately(by: object, now: number): Set<string> {
        const times = [...(this.refusals.get(by) ?? [])].filter(([, at]) => now - at <= refusalMillis + 1000);
        return new Set(times.map(([id]) => id));
    }

    private noteRefusals({ by, start }: Call, ids: string[]): void {
        const refusals = this.refusals.get(by as object) ?? new Map();
        this.refusals.set(by as object, refusals);
        for (const id of ids) {
            refusals.set(id, start);
        }
    }

    private isRunning(id: string): boolean {
        return this.world.region.instances.has(id) && this.world.region.state(id) === "running";
    }

    isUnprotected({ events }: Pick<Batch, "events">): boolean {
        return this.unprotected.has(events);
    }

    /** What an invocation saw first, if nothing went wrong and nothing else changed while it ran. */
    undisturbed(invocation: Invocation, by: Container): View | undefined {
        const [view] = this.viewsOf(invocation);
        const { exact } = this.expect;
        const isSound = exact && !by.dead && !this.isDisturbed(invocation);
        return isSound && !this.isChangedSince(invocation.start) ? view : undefined;
    }

    /** Whether others have changed something since a time. */
    isChangedSince(at: number): boolean {
        return this.lastChangeByOthers >= at;
    }

    movedAt(id: string): number {
        return this.moved.get(id) ?? never;
    }

    /** Whether others changed the tags that a container remembers, and no event and no later `since` says so. */
    isUnaware(id: string, by: Container, start: number): boolean {
        const touch = this.touched.get(id);
        const knows = this.received.get(by)?.some(({ event }) => event.id.slice(0, 36) === touch);
        const last = this.remembered(by, start - 1000).findLast((write) => write.id === id);
        const { region } = this.world;
        // EC2 shows an ended instance for an hour only.
        const now = region.instances.has(id) ? sinceIn(region.tags(id), this.expect.tagKey, start) : never;
        const adoption = this.adopted.get(id);
        const isAdopted = adoption?.by === by && adoption.at >= start - 1000 - rememberedMillis;
        return touch !== undefined && !knows && (isAdopted || (last !== undefined && now <= last.left));
    }

    /** Whether an instance had a state a moment ago, as an event or memory may say. */
    hadState(id: string, state: string, start: number): boolean {
        const versions = this.world.region.instances.get(id)?.versions ?? [];
        return versions.some(({ state: one, at }, index) => {
            const until = versions[index + 1]?.at ?? Number.POSITIVE_INFINITY;
            return one === state && at <= start && until >= start - rememberedMillis;
        });
    }

    /** Whether a container received the event that EC2 is ending an instance. */
    knowsThatEnds(id: string, by: Container): boolean {
        return (this.received.get(by) ?? []).some(
            ({ event: { detail } }) => detail["instance-id"] === id && detail.state === "shutting-down",
        );
    }

    /** What a container wrote of late, and may remember still. */
    remembered(by: unknown, start: number): Write[] {
        const longest = rememberedMillis + this.expect.handoverMillis; // it counts from the end of the writing
        return this.writes.filter((write) => write.by === by && write.at >= start - longest);
    }

    /** Whether the caller's container must remember a write, because nothing contradicts it. */
    isKnown({ id, at, by, leads, unsure }: Write, call: Call, batch: Batch): boolean {
        const isOwn = by === call.by && at < batch.start && at >= batch.start - rememberedMillis + 1000;
        // Others may have written since, or an event of the same second may report what was before.
        const contradicted = (this.received.get(call.by as object) ?? []).some(
            ({ at: receivedAt, event: { source, resources, detail } }) =>
                receivedAt >= at &&
                source === "aws.tag" &&
                instanceIn(resources) === id &&
                isTrue(detail.tags[this.expect.tagKey]) !== leads,
        );
        // What was written may not be what was seen, if others wrote while reads lagged.
        const edited = (this.edited.get(id) ?? never) > at - mostLagMillis;
        return isOwn && !unsure && !contradicted && !edited;
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
        const { now } = this.world.region.timeline;
        const id = instanceIn(resources);
        const keys: string[] = detail["changed-tag-keys"];
        const { tagKey } = this.expect;
        if (keys.some((key) => [groupKey, tagKey, `${tagKey}:since`].includes(key))) {
            this.touched.set(id, event);
        }
        if (!this.isWriting && keys.some((key) => key === tagKey || key === `${tagKey}:since`)) {
            this.edited.set(id, now);
        }
        if (keys.includes(groupKey)) {
            this.moved.set(id, now);
        }
    }

    private noteCall(call: Call, batch: Batch): void {
        const { region } = this.world;
        const views = this.views.get(batch.events) ?? [];
        this.views.set(batch.events, views);
        this.noteReceived(call.by as object, batch);
        for (const id of call.action === "ec2:CreateTags" ? (call.input.Resources as string[]) : []) {
            const isRefused = this.expect.refused.has(id) || isFull({ tags: region.tags(id) }, this.expect.tagKey);
            if (isRefused || !region.permits(call)) {
                this.noteRefusals(call, [id]);
            }
        }
        if (isRead(call)) {
            this.lastView ??= viewOf(region, this.electorates);
            views.push(this.lastView);
        } else {
            this.isWriting = true;
            queueMicrotask(() => {
                this.isWriting = false;
            });
        }
    }

    /** A container has a batch as soon as it makes a call, whatever comes of that. */
    private noteReceived(by: object, { events, start }: Batch): void {
        const before = this.received.get(by) ?? [];
        if (before.some((one) => one.events === events)) {
            return;
        }
        const received = before.filter(({ at }) => at > start - keptMillis);
        received.push(...events.map((event) => ({ at: start, event, events })));
        this.received.set(by, received);
        if (events.some((event) => event["detail-type"] === "Scheduled Event")) {
            this.sweeps.push({ at: this.world.region.timeline.now, by });
        }
    }

    private noteWrites(call: Call): void {
        const { region } = this.world;
        const { tagKey } = this.expect;
        const { Resources, Tags } = call.input;
        const written = Object.fromEntries(
            (Tags ?? []).map(({ Key, Value }: { Key: string; Value?: string }) => [Key, Value]),
        );
        const sinceKey = `${tagKey}:since`;
        const creates = call.action === "ec2:CreateTags";
        // What was an orphan when it was read may have joined a group, and memory has it in none.
        const isOrphan = !creates && sinceKey in written;
        for (const id of Resources) {
            const tags = region.tags(id);
            const isDone = Object.entries(written).every(([key, value]) => tags[key] === (creates ? value : undefined));
            if (isDone && creates && !(tagKey in written)) {
                this.adopted.set(id, { at: region.timeline.now, by: call.by });
            }
            if (!isDone || !(tagKey in written)) {
                continue;
            }
            this.touched.delete(id);
            this.writes.push({
                at: region.timeline.now,
                id,
                home: isOrphan ? undefined : this.homeNamedBy(tags),
                by: call.by,
                leads: creates,
                since: creates ? Date.parse(written[sinceKey] ?? "") || undefined : undefined,
                left: sinceIn(tags, tagKey, region.timeline.now),
                unsure: call.by?.batch !== undefined && this.isDisturbed(call.by.batch),
            });
        }
    }

    /** Whether a group changed its leader so often that its container may wait for the next sweep. */
    isFlapping(home: string | undefined, by: unknown): boolean {
        const own = this.writes.filter((write) => write.home === home && write.by === by && write.leads);
        const since = this.promotionsSinceSweep(home, by);
        return thirds(own).some(({ first, third }) => since.includes(third) && third.at - first.at <= flappingMillis);
    }

    /** A container's promotions in a group since it last began a sweep. */
    promotionsSinceSweep(home: string | undefined, by: unknown): Write[] {
        const lastSweep = this.sweeps.filter((sweep) => sweep.by === by).at(-1)?.at ?? never;
        return this.writes.filter(
            (write) => write.home === home && write.by === by && write.leads && write.at > lastSweep,
        );
    }
}

export const isRead = ({ action }: Call): boolean => /:(Describe|Get)/.test(action);

function isAboutTags({ action, input }: Call): boolean {
    const filters: { Name: string }[] = input.Filters ?? [];
    return action === "ec2:DescribeInstances" && filters.some(({ Name }) => Name.startsWith("tag"));
}

/** Which instances groups have let go, as events say. */
export function detachesIn(events: Batch["events"]): { id: string; group: string }[] {
    return events
        .filter((event) => event["detail-type"] === "EC2 Instance Detach Successful")
        .map(({ detail }) => ({ id: detail.EC2InstanceId, group: detail.AutoScalingGroupName }));
}
