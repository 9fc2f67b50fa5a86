/** The part of the stack's settings that an election depends on. */
export interface Scope {
    /** Groups whose names start with this are ours. */
    asgPrefix: string;
    /** Key of the tag that marks a leader. */
    tagKey: string;
    /** Name of the stack, unique in its account: its metrics carry it. */
    stack: string;
    /** Key of a tag of groups: those that carry the same value elect one leader together. Empty: each group has its own. */
    electorateTag: string;
    /** Seconds between demoting a live leader and promoting its successor. */
    handoverSeconds: number;
    /** Whether leaders are protected from scaling in. */
    protectLeader: boolean;
}

/** What a batch of events says. Events are hints to look: nothing here is trusted to still be so. */
export interface Batch {
    /** Whether every group is to be looked at. */
    sweep: boolean;
    /** Groups of ours that events name, each with the detail types that named it. */
    triggers: Map<string, Set<string>>;
    /** Ids of instances that a launch event names. */
    launched: Set<string>;
    /** Ids of instances that are going away, each with the detail type that said so; their groups are not known. */
    departing: Map<string, string>;
    /** Those of them that a Spot warning names: EC2 still calls them running. */
    warned: Set<string>;
    /** Ids of instances that may be strays, each with the groups that it has left, as events say. */
    detached: Map<string, string[]>;
    /** What tag events say of instances, in the order in which they came. */
    tagged: { id: string; at: number; leader: boolean }[];
    /** Sentences about what is odd in the batch. */
    odd: string[];
}

export const sweepType = "Scheduled Event";
export const tagType = "Tag Change on Resource";
const launchType = "EC2 Instance Launch Successful";
const detachType = "EC2 Instance Detach Successful";
const stateType = "EC2 Instance State-change Notification";
const spotType = "EC2 Spot Instance Interruption Warning";
const scalingTypes = [
    launchType,
    "EC2 Instance Launch Unsuccessful",
    "EC2 Instance Terminate Successful",
    "EC2 Instance Terminate Unsuccessful",
    "EC2 Instance-launch Lifecycle Action",
    "EC2 Instance-terminate Lifecycle Action",
    detachType,
];
const departingStates = ["stopping", "shutting-down"];

/** What each rule listens to, as EventBridge patterns. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html */
export function eventPatterns({ asgPrefix, tagKey }: Scope) {
    return {
        scaling: {
            source: ["aws.autoscaling"],
            "detail-type": scalingTypes,
            detail: { AutoScalingGroupName: [{ prefix: asgPrefix }] },
        },
        departures: {
            source: ["aws.ec2"],
            "detail-type": [stateType, spotType],
            // A Spot warning has no state.
            detail: { state: [...departingStates, { exists: false }] },
        },
        tags: {
            source: ["aws.tag"],
            "detail-type": [tagType],
            detail: { "changed-tag-keys": [tagKey], service: ["ec2"], "resource-type": ["instance"] },
        },
    };
}

/** Key of the tag by which AWS says in which group an instance is. */
export const groupKey = "aws:autoscaling:groupName";

/** Key of the tag that says since when an instance leads. */
export const sinceKey = (tagKey: string): string => `${tagKey}:since`;

/** Whether a tag's value marks a leader: "true" in any case. */
export const marksLeader = (value: unknown): boolean => typeof value === "string" && /^true$/i.test(value);

/**
 * Says what a batch of events means, whatever is in it.
 *
 * @param bodies the bodies of the queue's messages, each an EventBridge event in JSON
 */
export function readBatch(bodies: unknown[], scope: Scope): Batch {
    const batch: Batch = {
        sweep: false,
        triggers: new Map(),
        launched: new Set(),
        departing: new Map(),
        warned: new Set(),
        detached: new Map(),
        tagged: [],
        odd: [],
    };
    for (const body of bodies) {
        const event = parse(body);
        if (event) {
            readEvent(event, scope, batch);
        } else {
            batch.odd.push(`not an event: ${shown(body)}`);
        }
    }
    return batch;
}

type Fields = Record<string, unknown>;

function parse(body: unknown): Fields | undefined {
    try {
        return fields(JSON.parse(body as string));
    } catch {
        return undefined;
    }
}

function readEvent(event: Fields, scope: Scope, batch: Batch): void {
    const detail = fields(event.detail);
    const type = typeof event["detail-type"] === "string" ? event["detail-type"] : "unknown";
    look(detail?.AutoScalingGroupName, type, scope, batch);
    look(fields(detail?.tags)?.[groupKey], type, scope, batch);
    const kind = detail && typeof event.source === "string" ? `${event.source}: ${type}` : "";
    if (kind === `aws.events: ${sweepType}`) {
        batch.sweep = true;
    } else if (kind === `aws.ec2: ${stateType}` || kind === `aws.ec2: ${spotType}`) {
        readDeparture(detail as Fields, type, batch);
    } else if (kind === `aws.tag: ${tagType}`) {
        readTags(event, detail as Fields, scope, batch);
    } else if (scalingTypes.some((scalingType) => kind === `aws.autoscaling: ${scalingType}`)) {
        readScaling(detail as Fields, type, batch);
    } else {
        batch.odd.push(`unknown event: ${shown(event)}`);
    }
}

function readScaling(detail: Fields, type: string, batch: Batch): void {
    if (typeof detail.AutoScalingGroupName !== "string" || detail.AutoScalingGroupName === "") {
        batch.odd.push(`${type} without a group name: ${shown(detail)}`);
        return;
    }
    if (![launchType, detachType].includes(type) || detail.Destination === "WarmPool") {
        return;
    }
    if (!isInstanceId(detail.EC2InstanceId)) {
        batch.odd.push(`${type} without an instance id: ${shown(detail)}`);
    } else if (type === launchType) {
        batch.launched.add(detail.EC2InstanceId);
    } else {
        const left = batch.detached.get(detail.EC2InstanceId) ?? [];
        batch.detached.set(detail.EC2InstanceId, [...left, detail.AutoScalingGroupName]);
    }
}

function readDeparture(detail: Fields, type: string, batch: Batch): void {
    const id = detail["instance-id"];
    const warning = type === spotType;
    if (!isInstanceId(id) || !(warning || departingStates.includes(detail.state as string))) {
        batch.odd.push(`departure without an instance id or with another state: ${shown(detail)}`);
        return;
    }
    batch.departing.set(id, type);
    if (warning) {
        batch.warned.add(id);
    }
}

function readTags(event: Fields, detail: Fields, scope: Scope, batch: Batch): void {
    const tags = fields(detail.tags);
    const arn = Array.isArray(event.resources) ? event.resources[0] : undefined;
    const id = typeof arn === "string" ? arn.split(":instance/")[1] : undefined;
    if (!tags || !isInstanceId(id)) {
        batch.odd.push(`${tagType} without tags or an instance's ARN: ${shown(event)}`);
        return;
    }
    const leader = marksLeader(tags[scope.tagKey]);
    batch.tagged.push({ id, at: Date.parse(event.time as string), leader });
    if (leader && tags[groupKey] === undefined && tags[sinceKey(scope.tagKey)] !== undefined) {
        batch.detached.set(id, batch.detached.get(id) ?? []);
    }
}

function look(group: unknown, type: string, { asgPrefix }: Scope, { triggers }: Batch): void {
    if (typeof group === "string" && group.startsWith(asgPrefix)) {
        triggers.set(group, (triggers.get(group) ?? new Set()).add(type));
    }
}

function fields(value: unknown): Fields | undefined {
    return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Fields) : undefined;
}

function isInstanceId(value: unknown): value is string {
    return typeof value === "string" && /^i-\w{1,32}$/.test(value);
}

function shown(value: unknown): string {
    const json = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
    return json.length > 500 ? `${json.slice(0, 500)}…` : json;
}
