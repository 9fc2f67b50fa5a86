// How AWS is asked about groups and instances: one function for each call, with its limits and pages.
import type { AutoScalingGroup, DescribeAutoScalingGroupsCommandInput } from "@aws-sdk/client-auto-scaling";
import type { Filter } from "@aws-sdk/client-ec2";
import { type Aws, chunks, collectPages, idsIn, isGone, requireList, requireString, withContext } from "./aws";
import { warn } from "./log";
import { eligibleKey, groupKey, marksLeader, marksVeto, type Scope, sinceKey } from "./scope";

/** An Auto Scaling group, as DescribeAutoScalingGroups lists it. */
export interface ListedGroup {
    name: string;
    /** Value of the electorate's tag, if it has one. */
    electorate?: string;
    /** How many instances the group wants. */
    desired: number;
    /** Whether it protects all new instances from scaling in. */
    protectsNew: boolean;
    members: Member[];
}

/** An instance that a group lists. */
export interface Member {
    id: string;
    lifecycleState: string;
    healthStatus: string;
    /** Name of the group. */
    group: string;
    /** Whether it is protected from scaling in. */
    protected: boolean;
}

/** An instance with one of the stack's tags, as DescribeInstances shows it; terminated ones are shown for a while. */
export interface Tagged {
    id: string;
    state: string;
    leads: boolean;
    since?: string;
    vetoed: boolean;
    /** Name of the group in the instance's own tag. */
    group?: string;
}

/** What EC2 says of a candidate. */
export interface Status {
    /** EC2's state; missing if EC2 doesn't know the instance. */
    state?: string;
    /** 0: status checks ok, 1: not known yet, 2: impaired, or an event is scheduled. */
    checks: number;
}

const listing = "autoscaling:DescribeAutoScalingGroups";

/** The stack's groups of these names, or with these values of the electorates' tag; unknown ones are left out. */
export async function readGroups(
    aws: Aws,
    scope: Scope,
    wanted: { names: string[] } | { electorates: string[] },
): Promise<ListedGroup[]> {
    // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html takes 50 names,
    // and refuses more than 5 values of a tag. An empty list would mean all groups.
    const requests: DescribeAutoScalingGroupsCommandInput[] =
        "names" in wanted
            ? chunks(wanted.names, 50).map((AutoScalingGroupNames) => ({ AutoScalingGroupNames }))
            : chunks(wanted.electorates, 5).map((Values) => ({
                  Filters: [{ Name: `tag:${scope.electorateTag}`, Values }],
              }));
    const resources = "names" in wanted ? wanted.names : wanted.electorates;
    const answers = requests.map((request) => {
        const pages = aws.pages.groups({ client: aws.autoScaling, pageSize: 100 }, request, {
            abortSignal: aws.signal,
        });
        return withContext(listing, resources, collectPages(pages), aws.signal);
    });
    const groups = (await Promise.all(answers)).flat().flatMap((page) => requireList(page.AutoScalingGroups, listing));
    return groups.map((group) => listedGroup(group, scope)).filter(({ name }) => name.startsWith(scope.asgPrefix));
}

/**
 * All groups of the stack, a page at a time, each with the token of the next page.
 *
 * @param startingToken the token of the page to begin with
 */
export async function* readGroupPages(
    aws: Aws,
    scope: Scope,
    startingToken?: string,
): AsyncGenerator<{ groups: ListedGroup[]; nextToken?: string }> {
    const pages = aws.pages.groups(
        { client: aws.autoScaling, pageSize: 100, startingToken },
        {},
        { abortSignal: aws.signal },
    );
    while (true) {
        const { value: page, done } = await withContext(listing, [], pages.next(), aws.signal);
        if (done) {
            return;
        }
        const groups = requireList(page.AutoScalingGroups, listing).map((group) => listedGroup(group, scope));
        yield { groups: groups.filter(({ name }) => name.startsWith(scope.asgPrefix)), nextToken: page.NextToken };
    }
}

function listedGroup(group: AutoScalingGroup, { electorateTag }: Scope): ListedGroup {
    const name = requireString(group.AutoScalingGroupName, listing);
    const electorate =
        electorateTag && requireList(group.Tags, listing).find(({ Key }) => Key === electorateTag)?.Value;
    return {
        name,
        ...(electorate ? { electorate } : {}),
        desired: group.DesiredCapacity ?? 0,
        protectsNew: group.NewInstancesProtectedFromScaleIn === true,
        members: requireList(group.Instances, listing).map((instance) => ({
            id: requireString(instance.InstanceId, listing),
            lifecycleState: requireString(instance.LifecycleState, listing),
            healthStatus: requireString(instance.HealthStatus, listing),
            group: name,
            protected: instance.ProtectedFromScaleIn === true,
        })),
    };
}

/** Instances that carry one of the stack's tags and pass every filter; none if a filter lets nothing pass. */
export async function readTagged(aws: Aws, { tagKey }: Scope, ...filters: Filter[]): Promise<Tagged[]> {
    const parts = filters.reduce<Filter[][]>(
        // EC2 takes 200 values a filter.
        (all, { Name, Values }) =>
            all.flatMap((some) => chunks(Values ?? [], 200).map((part) => [...some, { Name, Values: part }])),
        [[{ Name: "tag-key", Values: [tagKey, sinceKey(tagKey), eligibleKey(tagKey)] }]],
    );
    const action = "ec2:DescribeInstances";
    const answers = parts.map((Filters) => {
        const pages = aws.pages.instances(
            { client: aws.ec2, pageSize: 1000 },
            { Filters },
            { abortSignal: aws.signal },
        );
        return withContext(
            action,
            Filters.slice(1).flatMap(({ Values = [] }) => Values),
            collectPages(pages),
            aws.signal,
        );
    });
    return (await Promise.all(answers))
        .flat()
        .flatMap((page) => requireList(page.Reservations, action))
        .flatMap((reservation) => requireList(reservation.Instances, action))
        .map((instance) => {
            const tags = new Map(requireList(instance.Tags, action).map(({ Key, Value }) => [Key, Value]));
            return {
                id: requireString(instance.InstanceId, action),
                state: requireString(instance.State?.Name, action),
                leads: marksLeader(tags.get(tagKey)),
                since: tags.get(sinceKey(tagKey)),
                vetoed: marksVeto(tags.get(eligibleKey(tagKey))),
                group: tags.get(groupKey),
            };
        });
}

export const inGroups = (names: string[]): Filter => ({ Name: `tag:${groupKey}`, Values: names });

export const withIds = (ids: string[]): Filter => ({ Name: "instance-id", Values: ids });

/** A value that a filter takes literally. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html */
export const literally = (name: string): string => name.replace(/[*?\\]/g, "\\$&");

/** How Auto Scaling lists instances, by their ids; one in no group is missing. Those in warm pools are listed, too. */
export async function readHomes(aws: Aws, ids: string[]): Promise<Map<string, Member>> {
    const action = "autoscaling:DescribeAutoScalingInstances";
    const answers = chunks(ids, 50).map((InstanceIds) => {
        const pages = aws.pages.members({ client: aws.autoScaling }, { InstanceIds }, { abortSignal: aws.signal });
        return withContext(action, InstanceIds, collectPages(pages), aws.signal);
    });
    const members = (await Promise.all(answers))
        .flat()
        .flatMap((page) => requireList(page.AutoScalingInstances, action));
    return new Map(
        members.map((member) => [
            requireString(member.InstanceId, action),
            {
                id: requireString(member.InstanceId, action),
                group: requireString(member.AutoScalingGroupName, action),
                lifecycleState: requireString(member.LifecycleState, action),
                // Here in capitals, other than in DescribeAutoScalingGroups.
                healthStatus: /^healthy$/i.test(requireString(member.HealthStatus, action)) ? "Healthy" : "Unhealthy",
                protected: member.ProtectedFromScaleIn === true,
            },
        ]),
    );
}

/** What EC2 says of instances, by id; an error where it can't be read, so that it fails for its own groups alone. */
export async function readStatuses(aws: Aws, ids: string[]): Promise<Map<string, Status | Error>> {
    const action = "ec2:DescribeInstanceStatus";
    const read = async (part: string[]): Promise<[string, Status | Error][]> => {
        try {
            const request = { InstanceIds: part, IncludeAllInstances: true };
            const pages = aws.pages.statuses({ client: aws.ec2 }, request, { abortSignal: aws.signal });
            const answers = await withContext(action, part, collectPages(pages), aws.signal);
            return answers
                .flatMap((answer) => requireList(answer.InstanceStatuses, action))
                .map((status) => {
                    const checks = [status.InstanceStatus?.Status, status.SystemStatus?.Status].map(grade);
                    // A past event is still listed for a while, marked in its description.
                    const scheduled = requireList(status.Events, action).some(
                        ({ Description }) => !/^\[(Completed|Canceled)\]/.test(Description ?? ""),
                    );
                    return [
                        requireString(status.InstanceId, action),
                        { state: status.InstanceState?.Name, checks: scheduled ? 2 : Math.max(...checks) },
                    ];
                });
        } catch (error) {
            // One unknown id fails the whole call.
            const named = idsIn((error as Error).cause as Error);
            const known = part.filter((id) => !named.includes(id));
            if (isGone(error as Error) && known.length < part.length) {
                return known.length > 0 ? read(known) : [];
            }
            return part.map((id) => [id, error as Error]);
        }
    };
    return new Map((await Promise.all(chunks(ids, 100).map(read))).flat());
}

function grade(status: unknown): number {
    return status === "ok" ? 0 : status === "impaired" ? 2 : 1;
}

/**
 * Average CPUUtilization of instances in percent, by id. What can't be read is missing, with a warning.
 *
 * @param now milliseconds since 1970
 * @param signal ends the reading sooner than the invocation's deadline
 */
export async function readLoad(
    aws: Aws,
    ids: string[],
    { now, minutes, signal }: { now: number; minutes: number; signal: AbortSignal },
): Promise<Map<string, number>> {
    const action = "cloudwatch:GetMetricData";
    const parts = chunks(ids, 500).map(async (part): Promise<[string, number][]> => {
        try {
            const pages = aws.pages.metrics(
                { client: aws.cloudWatch },
                {
                    StartTime: new Date(now - minutes * 60 * 1000),
                    EndTime: new Date(now),
                    MetricDataQueries: part.map((id, index) => ({ Id: `m${index}`, MetricStat: cpuUtilization(id) })),
                },
                { abortSignal: signal },
            );
            const answers = await withContext(action, part, collectPages(pages), signal);
            const values = new Map<string | undefined, number[]>();
            for (const result of answers.flatMap((answer) => requireList(answer.MetricDataResults, action))) {
                values.set(result.Id, [...(values.get(result.Id) ?? []), ...(result.Values ?? [])]);
            }
            return part.flatMap((id, index): [string, number][] => {
                const own = values.get(`m${index}`) ?? [];
                return own.length > 0 ? [[id, own.reduce((sum, value) => sum + value, 0) / own.length]] : [];
            });
        } catch (error) {
            warn("load is left out", error);
            return [];
        }
    });
    return new Map((await Promise.all(parts)).flat());
}

function cpuUtilization(id: string) {
    return {
        Metric: {
            Namespace: "AWS/EC2",
            MetricName: "CPUUtilization",
            Dimensions: [{ Name: "InstanceId", Value: id }],
        },
        Period: 300,
        Stat: "Average",
    };
}
