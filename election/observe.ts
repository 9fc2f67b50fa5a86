import type { Filter } from "@aws-sdk/client-ec2";
import { type Aws, asking, describeInstances, everyPage, inParts, listed, text } from "./aws";
import type { Group, Leader, Member } from "./decide";
import { type Batch, marksLeader, type Scope, sinceKey, sweepType } from "./events";

/** What a batch led us to look at. */
export interface Observation {
    groups: Group[];
    /** Ids of instances that lead no group any more but still carry both of our tags. */
    strays: string[];
}

/** A group's members, by its name. */
type Listing = Map<string, Member[]>;

/** An instance with the leader tag, and the group that its own tags name. */
type Tagged = Leader & { group?: string };

/**
 * Reads the groups that a batch is about, in a sweep all of them, with their members and leaders.
 *
 * @throws if anything can't be read whole: nothing may be decided from half an answer
 */
export async function observe(aws: Aws, scope: Scope, batch: Batch): Promise<Observation> {
    const triggers = new Map([...batch.triggers].map(([group, types]) => [group, new Set(types)]));
    const add = (group: string, type: string) => triggers.set(group, (triggers.get(group) ?? new Set()).add(type));

    if (batch.sweep) {
        const [listing, tagged] = await Promise.all([readGroups(aws), readTagged(aws, scope)]);
        for (const name of listing.keys()) {
            if (name.startsWith(scope.asgPrefix)) {
                add(name, sweepType);
            }
        }
        return { groups: assemble(triggers, listing, tagged), strays: await findStrays(aws, tagged) };
    }

    const [listing, tagged, departed, detached] = await Promise.all([
        readGroups(aws, [...triggers.keys()]),
        readTagged(aws, scope, inGroups([...triggers.keys()].map(literally))),
        // Most departures of a region are none of ours; this one read tells.
        readTagged(aws, scope, withIds([...batch.departing.keys()]), inGroups([`${scope.asgPrefix}*`])),
        readTagged(aws, scope, withIds([...batch.detached])),
    ]);
    for (const { id, group } of departed) {
        add(group as string, batch.departing.get(id) as string);
    }
    const further = [...triggers.keys()].filter((name) => !batch.triggers.has(name));
    const [furtherListing, furtherTagged, strays] = await Promise.all([
        readGroups(aws, further),
        readTagged(aws, scope, inGroups(further.map(literally))),
        findStrays(aws, detached),
    ]);
    return {
        groups: assemble(triggers, new Map([...listing, ...furtherListing]), [...tagged, ...furtherTagged]),
        strays,
    };
}

function assemble(triggers: Map<string, Set<string>>, listing: Listing, tagged: Tagged[]): Group[] {
    return [...triggers].map(([name, types]) => ({
        name,
        exists: listing.has(name),
        members: listing.get(name) ?? [],
        leaders: tagged.filter(({ group }) => group === name),
        triggers: [...types],
    }));
}

/** The groups of these names, or all; unknown names are left out. */
async function readGroups(aws: Aws, names?: string[]): Promise<Listing> {
    if (names?.length === 0) {
        return new Map(); // an empty list of names would mean all
    }
    const pages = aws.pages.groups({ client: aws.autoScaling, pageSize: 100 }, { AutoScalingGroupNames: names });
    const action = "autoscaling:DescribeAutoScalingGroups";
    const answers = await asking(action, names ?? [], everyPage(pages));
    const groups = answers.flatMap((answer) => listed(answer.AutoScalingGroups, action));
    return new Map(
        groups.map((group) => [
            text(group.AutoScalingGroupName, action),
            listed(group.Instances, action).map((instance) => ({
                id: text(instance.InstanceId, action),
                lifecycleState: text(instance.LifecycleState, action),
                healthStatus: text(instance.HealthStatus, action),
            })),
        ]),
    );
}

/** The instances that carry the leader tag and pass every filter; none if a filter lets nothing pass. */
async function readTagged(aws: Aws, scope: Scope, ...filters: Filter[]): Promise<Tagged[]> {
    if (filters.some(({ Values }) => Values?.length === 0)) {
        return [];
    }
    // A filter's values are case-sensitive: four characters of any kind, looked at more closely below.
    const tagged = { Name: `tag:${scope.tagKey}`, Values: ["????"] };
    const instances = await describeInstances(aws, [tagged, ...filters], []);
    const place = "ec2:DescribeInstances";
    return instances
        .map((instance) => {
            const tags = new Map(listed(instance.Tags, place).map(({ Key, Value }) => [Key, Value]));
            return {
                id: text(instance.InstanceId, place),
                state: text(instance.State?.Name, place),
                value: tags.get(scope.tagKey),
                since: tags.get(sinceKey(scope.tagKey)),
                group: tags.get("aws:autoscaling:groupName"),
            };
        })
        .filter(({ value }) => marksLeader(value));
}

/** Of the tagged instances, those that carry `since` and that no group lists: their own tags may lag behind. */
async function findStrays(aws: Aws, tagged: Tagged[]): Promise<string[]> {
    const suspects = tagged
        .filter(({ group, since }) => group === undefined && since !== undefined)
        .map(({ id }) => id);
    const action = "autoscaling:DescribeAutoScalingInstances";
    const answers = await Promise.all(
        inParts(suspects, 50).map((InstanceIds) =>
            asking(action, InstanceIds, aws.autoScaling.describeAutoScalingInstances({ InstanceIds })),
        ),
    );
    const members = answers.flatMap((answer) => listed(answer.AutoScalingInstances, action));
    return suspects.filter((id) => !members.some(({ InstanceId }) => InstanceId === id));
}

const inGroups = (Values: string[]): Filter => ({ Name: "tag:aws:autoscaling:groupName", Values });

const withIds = (Values: string[]): Filter => ({ Name: "instance-id", Values });

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html#Filtering_Resources_CLI
const literally = (name: string): string => name.replace(/[*?\\]/g, "\\$&");
