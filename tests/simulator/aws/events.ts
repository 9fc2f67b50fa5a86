// Events, in the form of the samples in AWS's documentation:
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-state-changes.html, .../spot-interruptions.html
// https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-tag.html
import { found } from "../lists";

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

const group = "awseb-e-abcdefghij-stack-AWSEBAutoScalingGroup-1A2B3C4D5E6F";
const instance = "i-0123456789abcdef0";
const activity = "87654321-4321-4321-4321-210987654321";
const arn = (service: string, resource: string) => `arn:aws:${service}:us-east-1:123456789012:${resource}`;
const arnOf = (id: string) => arn("ec2", `instance/${id}`);
const ofInstance = arnOf(instance);
const zeros = "00000000-0000-0000-0000-000000000000";
const ofGroup = arn("autoscaling", `autoScalingGroup:${zeros}:autoScalingGroupName/${group}`);

const event = (source: string, type: string, resources: string[], detail: object): BusEvent => ({
    version: "0",
    id: "12345678-1234-1234-1234-123456789012",
    "detail-type": type,
    source,
    account: "123456789012",
    time: "2026-11-23T06:00:00Z",
    region: "us-east-1",
    resources,
    detail,
});

/** What has become of an activity, such as a launch, of which the details say more. */
const scaling = (what: string, Origin: string, Destination: string, details: { EC2InstanceId?: string } & object) =>
    event("aws.autoscaling", `EC2 Instance ${what}`, details.EC2InstanceId === "" ? [ofGroup] : [ofGroup, ofInstance], {
        StatusCode: "InProgress",
        AutoScalingGroupName: group,
        ActivityId: activity,
        Details: { "Availability Zone": "us-east-1b", "Subnet ID": "subnet-0123456789abcdef0" },
        RequestId: activity,
        StatusMessage: "",
        EndTime: "2026-11-23T06:00:00.000Z",
        EC2InstanceId: instance,
        StartTime: "2026-11-23T05:59:00.000Z",
        Cause: "description-text",
        Origin,
        Destination,
        ...details,
    });
const does = (what: string) => ({ Description: `${what}: ${instance}` });
const failed = { StatusCode: "Failed" };

/** A lifecycle hook holds an instance. */
const hook = (when: string, LifecycleTransition: string, Origin: string, Destination: string) =>
    event("aws.autoscaling", `EC2 Instance-${when} Lifecycle Action`, [ofGroup], {
        LifecycleActionToken: activity,
        AutoScalingGroupName: group,
        LifecycleHookName: "my-hook",
        EC2InstanceId: instance,
        LifecycleTransition,
        NotificationMetadata: "additional-info",
        Origin,
        Destination,
    });

const departure = (what: string, more: object) =>
    event("aws.ec2", `EC2 ${what}`, [ofInstance], { "instance-id": instance, ...more });

const [launches, intoPool] = ["Launching a new EC2 instance", "Launching a new EC2 instance into warm pool"];
const [asg, ec2] = ["AutoScalingGroup", "EC2"];

/** One event of every kind, by name. */
export const samples: Record<string, BusEvent> = {
    "detach-successful": scaling("Detach Successful", asg, ec2, does("Detaching EC2 instance")),
    "launch-lifecycle-action": hook("launch", "autoscaling:EC2_INSTANCE_LAUNCHING", ec2, asg),
    "launch-successful-warm-pool": scaling("Launch Successful", ec2, "WarmPool", does(intoPool)),
    "launch-successful": scaling("Launch Successful", ec2, asg, does(launches)),
    "launch-unsuccessful-no-instance": scaling("Launch Unsuccessful", ec2, asg, { ...failed, EC2InstanceId: "" }),
    "launch-unsuccessful": scaling("Launch Unsuccessful", ec2, asg, failed),
    scheduled: event("aws.events", "Scheduled Event", [arn("events", "rule/sweep")], {}),
    "spot-interruption-warning": departure("Spot Instance Interruption Warning", { "instance-action": "terminate" }),
    "state-change-shutting-down": departure("Instance State-change Notification", { state: "shutting-down" }),
    "tag-change": event("aws.tag", "Tag Change on Resource", [ofInstance], {
        "changed-tag-keys": ["app:isLeader"],
        service: "ec2",
        "resource-type": "instance",
        version: 3,
        tags: { "app:isLeader": "true", "aws:autoscaling:groupName": group },
    }),
    "terminate-lifecycle-action": hook("terminate", "autoscaling:EC2_INSTANCE_TERMINATING", asg, ec2),
    "terminate-successful": scaling("Terminate Successful", asg, ec2, does("Terminating EC2 instance")),
    "terminate-unsuccessful": scaling("Terminate Unsuccessful", asg, ec2, failed),
};

let events = 0;

function like(sample: string, at: number, resources: string[], detail: object): BusEvent {
    const whole = found(samples[sample]);
    return {
        ...whole,
        id: zeros.slice(0, -12) + String(++events).padStart(12, "0"),
        time: `${new Date(at).toISOString().slice(0, 19)}Z`,
        resources,
        detail: { ...whole.detail, ...detail },
    };
}

/** An event of Auto Scaling about an instance of a group, like one of the samples. */
export const scalingEvent = (sample: string, at: number, group: string, id: string, more: object = {}): BusEvent =>
    like(sample, at, id ? [arnOf(id)] : [], { AutoScalingGroupName: group, EC2InstanceId: id, ...more });

export const stateEvent = (at: number, id: string, state: string): BusEvent =>
    like("state-change-shutting-down", at, [arnOf(id)], { "instance-id": id, state });

export const spotEvent = (at: number, id: string): BusEvent =>
    like("spot-interruption-warning", at, [arnOf(id)], { "instance-id": id });

export const tagEvent = (at: number, id: string, changed: string[], tags: Record<string, string>): BusEvent =>
    like("tag-change", at, [arnOf(id)], { "changed-tag-keys": changed, tags });

export const sweepEvent = (at: number): BusEvent => like("scheduled", at, samples.scheduled?.resources ?? [], {});

/** The id of the instance that an event's resources name. */
export const instanceIn = (resources: string[]): string => resources[0]?.split("/")[1] ?? "";
