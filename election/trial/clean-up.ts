// Finds what runs of the trial have left, deletes what is a run's own, and looks whether nothing is left.
import { setTimeout as sleep } from "node:timers/promises";
import { paginateDescribeAutoScalingGroups, waitUntilGroupNotExists } from "@aws-sdk/client-auto-scaling";
import {
    paginateDescribeInstances,
    paginateDescribeLaunchTemplates,
    paginateDescribeVolumes,
    waitUntilInstanceTerminated,
} from "@aws-sdk/client-ec2";
import { groupKey } from "../scope";
import { runKey, templateOf, untilKey } from "./fleet";
import type { Aws } from "./site";

/** What is there of one run: only what carries its tag, and a name or a group of that run. */
export interface Left {
    /** Name of the run. */
    run: string;
    /** From when on it may be deleted, ISO 8601; empty if no tag says so. */
    until: string;
    groups: string[];
    /** Ids of instances that EC2 has not terminated, and whether their group is still there. */
    instances: { id: string; inGroup: boolean }[];
    templates: string[];
    /** Ids. They go with their instances. */
    volumes: string[];
}

type Tags = { Key?: string; Value?: string }[] | undefined;

/**
 * Looks for what is left of a run, or of all runs.
 *
 * @throws what AWS says
 */
export async function leftOf({ ec2, autoScaling }: Aws, run?: string): Promise<Left[]> {
    const runs = new Map<string, Left>();
    const filter = run === undefined ? { Name: "tag-key", Values: [runKey] } : { Name: `tag:${runKey}`, Values: [run] };
    const input = { Filters: [filter] };
    const add = (tags: Tags, isOwn: (run: string) => boolean, put: (left: Left) => void) => {
        const name = tagOf(tags, runKey);
        if (/^trial-[0-9a-f]{8}$/.test(name) && isOwn(name)) {
            const nothing = { run: name, until: "", groups: [], instances: [], templates: [], volumes: [] };
            const left = runs.get(name) ?? nothing;
            put(left);
            left.until ||= tagOf(tags, untilKey);
            runs.set(name, left);
        }
    };
    for await (const page of paginateDescribeAutoScalingGroups({ client: autoScaling }, input)) {
        for (const { AutoScalingGroupName = "", Tags } of page.AutoScalingGroups ?? []) {
            add(
                Tags,
                (name) => AutoScalingGroupName.endsWith(name),
                ({ groups }) => groups.push(AutoScalingGroupName),
            );
        }
    }
    for await (const page of paginateDescribeInstances({ client: ec2 }, input)) {
        for (const { InstanceId = "", State, Tags } of page.Reservations?.flatMap((one) => one.Instances ?? []) ?? []) {
            const group = tagOf(Tags, groupKey);
            add(
                State?.Name === "terminated" ? [] : Tags,
                (name) => group === "" || group.endsWith(name),
                ({ instances, groups }) => instances.push({ id: InstanceId, inGroup: groups.includes(group) }),
            );
        }
    }
    for await (const page of paginateDescribeLaunchTemplates({ client: ec2 }, input)) {
        for (const { LaunchTemplateName = "", Tags } of page.LaunchTemplates ?? []) {
            add(
                Tags,
                (name) => LaunchTemplateName === templateOf(name),
                ({ templates }) => templates.push(LaunchTemplateName),
            );
        }
    }
    for await (const page of paginateDescribeVolumes({ client: ec2 }, input)) {
        for (const { VolumeId = "", Tags } of page.Volumes ?? []) {
            add(
                Tags,
                () => true,
                ({ volumes }) => volumes.push(VolumeId),
            );
        }
    }
    return [...runs.values()];
}

const tagOf = (tags: Tags, key: string): string => tags?.find(({ Key }) => Key === key)?.Value ?? "";

/** How often it tries, and how long it waits. */
export interface RemovalPace {
    attempts: number;
    /** Milliseconds between two attempts. */
    pause: number;
    /** Seconds that the group or the instances may take to go, and between two looks at them. */
    most: number;
    every: number;
}

export const usualRemoval: RemovalPace = { attempts: 5, pause: 5000, most: 600, every: 5 };

/** What came of a removal: nothing is left, something is, or that could not be read. And what AWS refused at last. */
export interface Removal {
    outcome: "gone" | "left" | "unknown";
    left?: Left;
    errors: string[];
}

/**
 * Deletes everything of a run, and looks. What AWS refuses is tried again: a group that is changing refuses its deletion.
 * Only two looks in a row count as nothing left, because a read may lag.
 */
export async function remove(aws: Aws, run: string, pace: RemovalPace): Promise<Removal> {
    let before: Removal["outcome"] = "unknown";
    for (let attempt = 1; ; attempt++) {
        const removal = await removeOnce(aws, run, pace);
        if ((removal.outcome === "gone" && before === "gone") || attempt >= pace.attempts) {
            return removal;
        }
        before = removal.outcome;
        await sleep(pace.pause);
    }
}

async function removeOnce(aws: Aws, run: string, pace: RemovalPace): Promise<Removal> {
    const errors: string[] = [];
    const tried = async (call: () => Promise<unknown>) => {
        await call().catch(({ name, message }: Error) => errors.push(`${name}: ${message}`));
    };
    try {
        for (const step of steps) {
            const [left] = await leftOf(aws, run);
            if (left) {
                await step(aws, left, pace, tried);
            }
        }
        const [left] = await leftOf(aws, run);
        return left ? { outcome: "left", left, errors } : { outcome: "gone", errors };
    } catch (error) {
        return { outcome: "unknown", errors: [...errors, `${(error as Error).name}: ${(error as Error).message}`] };
    }
}

type Step = (
    aws: Aws,
    left: Left,
    pace: RemovalPace,
    tried: (call: () => Promise<unknown>) => Promise<void>,
) => Promise<void>;

/** The group first: it would replace its instances. Then what it did not end, then what it launched from. */
const steps: Step[] = [
    async ({ autoScaling }, { groups }, pace, tried) => {
        for (const AutoScalingGroupName of groups) {
            await tried(async () => {
                await autoScaling.deleteAutoScalingGroup({ AutoScalingGroupName, ForceDelete: true });
                await waitUntilGroupNotExists(waiting(autoScaling, pace), {
                    AutoScalingGroupNames: [AutoScalingGroupName],
                });
            });
        }
    },
    async ({ ec2 }, { instances }, pace, tried) => {
        const InstanceIds = instances.filter(({ inGroup }) => !inGroup).map(({ id }) => id);
        if (InstanceIds.length > 0) {
            await tried(async () => {
                await ec2.terminateInstances({ InstanceIds });
                await waitUntilInstanceTerminated(waiting(ec2, pace), { InstanceIds });
            });
        }
    },
    async ({ ec2 }, { templates }, _, tried) => {
        for (const LaunchTemplateName of templates) {
            await tried(() => ec2.deleteLaunchTemplate({ LaunchTemplateName }));
        }
    },
];

const waiting = <T>(client: T, { most, every }: RemovalPace) => ({
    client,
    maxWaitTime: most,
    minDelay: every,
    maxDelay: every,
});

/** The AWS CLI's commands that delete what is left, in this order. */
export function commandsFor({ groups, instances, templates, volumes }: Left, region: string): string[] {
    const aws = (command: string) => `aws --region ${region} ${command}`;
    const quoted = (name: string) => `'${name.replaceAll("'", "'\\''")}'`;
    const ids = instances.map(({ id }) => id).join(" ");
    return [
        ...groups.map((name) =>
            aws(`autoscaling delete-auto-scaling-group --force-delete --auto-scaling-group-name ${quoted(name)}`),
        ),
        ...(ids ? [aws(`ec2 terminate-instances --instance-ids ${ids}`)] : []),
        ...templates.map((name) => aws(`ec2 delete-launch-template --launch-template-name ${name}`)),
        ...volumes.map((id) => aws(`ec2 delete-volume --volume-id ${id}`)),
    ];
}
