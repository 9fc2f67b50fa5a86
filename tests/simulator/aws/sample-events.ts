// One event of every kind, by name, in the form of the samples in AWS's documentation.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-state-changes.html, .../spot-interruptions.html
// https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-tag.html

const group = "awseb-e-abcdefghij-stack-AWSEBAutoScalingGroup-1A2B3C4D5E6F";
const instance = "i-0123456789abcdef0";
const activity = "87654321-4321-4321-4321-210987654321";
const arn = (service: string, resource: string) => `arn:aws:${service}:us-east-1:123456789012:${resource}`;
const ofInstance = arn("ec2", `instance/${instance}`);
const ofGroup = arn(
    "autoscaling",
    `autoScalingGroup:00000000-0000-0000-0000-000000000000:autoScalingGroupName/${group}`,
);

const event = (source: string, type: string, resources: string[], detail: object) => ({
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

const [launches, intoPool] = ["Launching a new EC2 instance", "Launching a new EC2 instance into warm pool"];
const [asg, ec2] = ["AutoScalingGroup", "EC2"];

export const sampleEvents = {
    "detach-successful": scaling("Detach Successful", asg, ec2, does("Detaching EC2 instance")),
    "launch-lifecycle-action": hook("launch", "autoscaling:EC2_INSTANCE_LAUNCHING", ec2, asg),
    "launch-successful-warm-pool": scaling("Launch Successful", ec2, "WarmPool", does(intoPool)),
    "launch-successful": scaling("Launch Successful", ec2, asg, does(launches)),
    "launch-unsuccessful-no-instance": scaling("Launch Unsuccessful", ec2, asg, { ...failed, EC2InstanceId: "" }),
    "launch-unsuccessful": scaling("Launch Unsuccessful", ec2, asg, failed),
    scheduled: event("aws.events", "Scheduled Event", [arn("events", "rule/sweep")], {}),
    "spot-interruption-warning": event("aws.ec2", "EC2 Spot Instance Interruption Warning", [ofInstance], {
        "instance-id": instance,
        "instance-action": "terminate",
    }),
    "state-change-shutting-down": event("aws.ec2", "EC2 Instance State-change Notification", [ofInstance], {
        "instance-id": instance,
        state: "shutting-down",
    }),
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
