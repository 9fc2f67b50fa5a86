// What the trial makes: a launch template and a group of its own, with tags by which they can be found again.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Site, size } from "./site";

/** One run of the trial, and the names of what it makes. */
export interface Run {
    /** `trial-` and eight random digits; the value of the tag that everything of the run carries. */
    name: string;
    group: string;
    template: string;
    /** When it may be deleted; the group scales itself to zero then. */
    until: Date;
}

/** Key of the tag with the run's name. */
export const runKey = "leader-trial";

/** Key of the tag with the time from which on a run's things may be deleted, ISO 8601. */
export const untilKey = "leader-trial:until";

/** More than any moment needs: three members, one that was detached, and one that is still ending. */
export const mostInstances = 5;

export const groupOf = (prefix: string, run: string): string => prefix + run;
export const templateOf = (run: string): string => `leader-${run}`;

/** A run that has a name, and has made nothing yet. */
export function newRun(prefix: string, minutes: number): Run {
    const name = `trial-${randomBytes(4).toString("hex")}`;
    return {
        name,
        group: groupOf(prefix, name),
        template: templateOf(name),
        until: new Date(Date.now() + minutes * 60_000),
    };
}

/**
 * Makes the launch template and the group. Nothing here is aborted half-way: a call without an answer may have worked.
 *
 * @throws what AWS says; then some of it may be there
 */
export async function makeFleet({ ec2, autoScaling, subnets, type, architecture }: Site, run: Run, tagKey: string) {
    const tags = tagsOf(run);
    await ec2.createLaunchTemplate({
        LaunchTemplateName: run.template,
        TagSpecifications: [{ ResourceType: "launch-template", Tags: tags }],
        LaunchTemplateData: {
            // https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html
            ImageId: `resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${architecture}`,
            InstanceType: type,
            UserData: Buffer.from(userData(tagKey)).toString("base64"),
            MetadataOptions: { HttpTokens: "required", InstanceMetadataTags: "enabled" },
            // A public address costs as much as the instance, and metadata needs no network.
            NetworkInterfaces: [{ DeviceIndex: 0, AssociatePublicIpAddress: false, DeleteOnTermination: true }],
            // The group tags the instances.
            TagSpecifications: [
                { ResourceType: "volume", Tags: tags },
                { ResourceType: "network-interface", Tags: tags },
            ],
        },
    });
    await autoScaling.createAutoScalingGroup({
        AutoScalingGroupName: run.group,
        LaunchTemplate: { LaunchTemplateName: run.template, Version: "1" },
        VPCZoneIdentifier: subnets.join(","),
        MinSize: 0,
        MaxSize: mostInstances,
        DesiredCapacity: size,
        HealthCheckGracePeriod: 0,
        Tags: [...tags, { Key: "Name", Value: run.group }].map((tag) => ({ ...tag, PropagateAtLaunch: true })),
    });
    // Even if this process is killed and never started again, no member runs for long.
    await autoScaling.putScheduledUpdateGroupAction({
        AutoScalingGroupName: run.group,
        ScheduledActionName: "end-of-the-trial",
        StartTime: run.until,
        MinSize: 0,
        MaxSize: 0,
        DesiredCapacity: 0,
    });
}

const tagsOf = ({ name, until }: Run) => [
    { Key: runKey, Value: name },
    { Key: untilKey, Value: until.toISOString() },
];

/** The instances' first script. The key's characters mean nothing to a shell. */
export function userData(tagKey: string): string {
    return readFileSync(join(__dirname, "report-tag.sh"), "utf8").replace("TAG_KEY", tagKey);
}
