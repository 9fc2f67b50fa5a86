// Which events the stack listens to, and what a batch of them says: one list of event kinds gives both.
import { eligibleKey, groupKey, isOurs, isTrue, type Scope, sinceKey } from "./scope";

/** An event that names a group, or an instance of it. */
export interface Trigger {
    /** The event's detail type. */
    type: string;
    /** The event's id and time (milliseconds since 1970), if the event has them. */
    id?: string;
    at?: number;
}

/** What a batch of events says. Events are hints to look: what they name is read before anything is decided. */
export type Batch = ReturnType<typeof emptyBatch>;

const emptyBatch = () => ({
    /** The scheduled event, if every group is to be looked at. */
    sweep: undefined as Trigger | undefined,
    /** Groups of the stack that events name. */
    triggers: new Map<string, Trigger[]>(),
    /** Ids of instances that a launch event names. */
    launched: new Set<string>(),
    /** Ids of instances that stop, end or get a Spot warning; their groups are not known. */
    departing: new Map<string, Trigger>(),
    /** States of instances, in the order in which events report them. */
    states: [] as { id: string; state: string; at: number }[],
    /** Spot interruption warnings: when each instance got its last one. */
    warned: new Map<string, number>(),
    /** Ids of instances that were detached, each with the groups of the stack that it left. */
    detached: new Map<string, string[]>(),
    /** Ids of instances whose tags changed, and whose group the event does not name. */
    unplaced: new Map<string, Trigger>(),
    /** What tag events say of instances, in the order in which they came. */
    tagged: [] as { id: string; at: number; leads: boolean; since?: string }[],
    /** A sentence for each event, or part of one, that is ignored. */
    ignored: [] as string[],
});

export const sweepType = "Scheduled Event";
/** What the schedule sends, as far as it is read. */
export const sweepEvent = { source: "aws.events", "detail-type": sweepType, detail: {} };
export const tagType = "Tag Change on Resource";
export const detachType = "EC2 Instance Detach Successful";

/** A Spot instance ends two minutes after its warning; an older warning is no hint. */
export const warningMillis = 3 * 60 * 1000;

/** What can be read of an event of a kind. */
interface EventReading {
    event: Fields;
    detail: Fields;
    /** The group and the instance that it names. */
    group?: string;
    id?: string;
    trigger: Trigger;
    scope: Scope;
    batch: Batch;
    now: number;
}

const departingStates = ["stopping", "shutting-down"];

/** The EventBridge pattern of each rule. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html */
export const eventPatterns = ({ asgPrefixes, tagKey }: Scope) => {
    const pattern = (source: string, detail: object) => {
        const ofSource = Object.keys(kinds).filter((kind) => kind.startsWith(`${source} `));
        return { source: [source], "detail-type": ofSource.map((kind) => kind.slice(source.length + 1)), detail };
    };
    const ofInstances = { service: ["ec2"], "resource-type": ["instance"] };
    return {
        scaling: pattern("aws.autoscaling", { AutoScalingGroupName: asgPrefixes.map((prefix) => ({ prefix })) }),
        // A Spot warning has no state.
        departures: pattern("aws.ec2", { state: [...departingStates, { exists: false }] }),
        tags: pattern("aws.tag", { "changed-tag-keys": [tagKey, eligibleKey(tagKey)], ...ofInstances }),
    };
};

/**
 * Reads a batch of events, whatever is in it.
 *
 * @param bodies the bodies of the queue's messages, each an EventBridge event in JSON
 * @param now milliseconds since 1970
 */
export const readBatch = (scope: Scope, bodies: unknown[], now: number): Batch => {
    const batch = emptyBatch();
    for (const body of bodies) {
        const event = parse(body);
        const problem = event ? readEvent(scope, batch, event, now) : "not an event";
        if (problem) {
            batch.ignored.push(`${problem}: ${shown(event ?? body)}`);
        }
    }
    return batch;
};

/** Adds an event to those that ask for an election in a group. */
export const addTrigger = (triggers: Batch["triggers"], group: string, trigger: Trigger): void => {
    triggers.set(group, [...(triggers.get(group) ?? []), trigger]);
};

/** Adds it if it is known, and what it names is a group of the stack. */
export const addOurs = (scope: Scope, triggers: Batch["triggers"], named: unknown, trigger?: Trigger): void => {
    if (trigger && isOurs(scope, named)) {
        addTrigger(triggers, named, trigger);
    }
};

/** Returns what is wrong with the event, if anything is. */
const readEvent = (scope: Scope, batch: Batch, event: Fields, now: number): string | undefined => {
    const type = textOf(event["detail-type"]) ?? "unknown";
    const detail = fields(event.detail);
    const read = kinds[`${textOf(event.source)} ${type}`];
    const at = Date.parse(textOf(event.time) ?? "");
    const trigger = { type, id: textOf(event.id), at: Number.isNaN(at) ? undefined : at };
    const group = textOf(detail?.AutoScalingGroupName);
    for (const named of [group, fields(detail?.tags)?.[groupKey]]) {
        addOurs(scope, batch.triggers, named, trigger);
    }
    if (!detail || !read) {
        return `${type} of an unknown kind`;
    }
    const id = [detail.EC2InstanceId, detail["instance-id"]].find(isInstanceId);
    const problem = read({ event, detail, group, id, trigger, scope, batch, now });
    return problem && `${type} ${problem}`;
};

const readScaling = ({ group }: EventReading): string | undefined => (group ? undefined : "without a group name");

const readMember = (reading: EventReading): string | undefined =>
    readScaling(reading) ?? (reading.id ? undefined : "without an instance id");

const readLaunch = (reading: EventReading): string | undefined => {
    const { detail, group, id, batch } = reading;
    if (detail.Destination === "WarmPool") {
        return readScaling(reading);
    }
    if (group && id) {
        batch.launched.add(id);
    }
    return readMember(reading);
};

const readDetach = (reading: EventReading): string | undefined => {
    const { group, id, batch, scope } = reading;
    if (id && isOurs(scope, group)) {
        batch.detached.set(id, [...(batch.detached.get(id) ?? []), group]);
    }
    return readMember(reading);
};

const readState = ({ detail, id, trigger, batch }: EventReading): string | undefined => {
    const state = detail.state as string;
    if (!id || !departingStates.includes(state)) {
        return "without an instance id, or with another state";
    }
    batch.departing.set(id, trigger);
    batch.states.push({ id, state, at: trigger.at ?? Number.NaN });
};

const readWarning = ({ id, trigger, batch, now }: EventReading): string | undefined => {
    const at = trigger.at ?? now;
    if (!id) {
        return "without an instance id";
    }
    if (now - at > warningMillis) {
        return "older than three minutes";
    }
    batch.departing.set(id, trigger);
    batch.warned.set(id, Math.max(at, batch.warned.get(id) ?? 0));
};

const readTags = ({ event, detail, trigger, scope, batch }: EventReading): string | undefined => {
    const tags = fields(detail.tags);
    const arn = Array.isArray(event.resources) ? event.resources[0] : undefined;
    const id = textOf(arn)?.split(":instance/")[1];
    if (!tags || !isInstanceId(id)) {
        return "without tags or an instance's ARN";
    }
    const [leads, since] = [isTrue(tags[scope.tagKey]), textOf(tags[sinceKey(scope.tagKey)])];
    batch.tagged.push({ id, at: trigger.at ?? Number.NaN, leads, since });
    if (!textOf(tags[groupKey])) {
        batch.unplaced.set(id, trigger);
    }
};

// Sample events: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
// and https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html
// Each kind by its source and type. Its reader adds to the batch what an event says, and returns what is missing in it.
const kinds: Record<string, (reading: EventReading) => string | undefined> = {
    "aws.autoscaling EC2 Instance Launch Successful": readLaunch,
    "aws.autoscaling EC2 Instance Launch Unsuccessful": readScaling,
    "aws.autoscaling EC2 Instance Terminate Successful": readScaling,
    "aws.autoscaling EC2 Instance Terminate Unsuccessful": readScaling,
    "aws.autoscaling EC2 Instance-launch Lifecycle Action": readScaling,
    "aws.autoscaling EC2 Instance-terminate Lifecycle Action": readScaling,
    [`aws.autoscaling ${detachType}`]: readDetach,
    "aws.ec2 EC2 Instance State-change Notification": readState,
    "aws.ec2 EC2 Spot Instance Interruption Warning": readWarning,
    [`aws.tag ${tagType}`]: readTags,
    [`aws.events ${sweepType}`]: ({ batch, trigger }) => {
        batch.sweep = trigger;
    },
};

type Fields = Record<string, unknown>;

const parse = (body: unknown): Fields | undefined => {
    try {
        return fields(JSON.parse(body as string));
    } catch {
        return undefined;
    }
};

const fields = (value: unknown): Fields | undefined =>
    value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Fields) : undefined;

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

const isInstanceId = (value: unknown): value is string => typeof value === "string" && /^i-\w{1,32}$/.test(value);

const shown = (value: unknown): string => {
    const json = textOf(value) ?? JSON.stringify(value) ?? String(value);
    return json.length > 500 ? `${json.slice(0, 500)}…` : json;
};
