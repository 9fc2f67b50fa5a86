import { found } from "../lists";
import { sampleEvents } from "./sample-events";

/** An EventBridge event. */
export interface BusEvent {
    id: string;
    source: string;
    "detail-type": string;
    time: string;
    resources: string[];
    // biome-ignore lint/suspicious/noExplicitAny: each type has its own detail
    detail: any;
    [field: string]: unknown;
}

/** One event of every kind, by name. */
export const samples: Record<string, BusEvent> = sampleEvents;

let events = 0;

function like(sample: string, at: number, resources: string[], detail: object): BusEvent {
    const whole = found(samples[sample]);
    return {
        ...whole,
        id: `00000000-0000-0000-0000-${String(++events).padStart(12, "0")}`,
        time: `${new Date(at).toISOString().slice(0, 19)}Z`,
        resources,
        detail: { ...whole.detail, ...detail },
    };
}

const arnOf = (id: string) => `arn:aws:ec2:us-east-1:123456789012:instance/${id}`;

/** An event of Auto Scaling about an instance of a group, like one of the samples. */
export function scalingEvent(sample: string, at: number, group: string, id: string, more: object = {}): BusEvent {
    return like(sample, at, id ? [arnOf(id)] : [], { AutoScalingGroupName: group, EC2InstanceId: id, ...more });
}

export function stateEvent(at: number, id: string, state: string): BusEvent {
    return like("state-change-shutting-down", at, [arnOf(id)], { "instance-id": id, state });
}

export function spotEvent(at: number, id: string): BusEvent {
    return like("spot-interruption-warning", at, [arnOf(id)], { "instance-id": id });
}

export function tagEvent(at: number, id: string, changed: string[], tags: Record<string, string>): BusEvent {
    return like("tag-change", at, [arnOf(id)], { "changed-tag-keys": changed, tags });
}

export function sweepEvent(at: number): BusEvent {
    return like("scheduled", at, samples.scheduled?.resources ?? [], {});
}

/** The id of the instance that an event's resources name. */
export const instanceIn = (resources: string[]): string => resources[0]?.split("/")[1] ?? "";
