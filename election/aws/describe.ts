// How AWS is asked about groups and instances: one function for each call, with its limits and pages.
import type {
    AutoScalingGroup,
    AutoScalingInstanceDetails,
    DescribeAutoScalingGroupsCommandInput,
    DescribeAutoScalingGroupsCommandOutput,
    Instance,
} from "@aws-sdk/client-auto-scaling";
import type { Filter, InstanceStatus } from "@aws-sdk/client-ec2";
import { warn } from "../log";
import { eligibleKey, groupKey, isOurs, isTrue, marksVeto, pausedKey, type Scope, sinceKey } from "../scope";
import { chunks, idsIn, isGone, requireList, requireString, withContext } from "./answers";
import type { Aws } from "./clients";

/** An Auto Scaling group, as DescribeAutoScalingGroups lists it. */
export interface ListedGroup {
    name: string;
    /** Value of the electorate's tag, if it has one. */
    electorate?: string;
    /** How many instances the group wants. */
    desired: number;
    /** Whether its tag <tagKey>:paused says true. */
    paused: boolean;
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
    checks: Checks;
}

/** What EC2's status checks come to; impaired, too, if an event is scheduled for the instance. */
export type Checks = "ok" | "unknown" | "impaired";

const listing = "autoscaling:DescribeAutoScalingGroups";

/** All pages of an answer, or none: an error on any page is the error of the whole. Empty pages may precede full ones. */
const readAll = async <T>(
    { deadline: { signal } }: Aws,
    action: string,
    resources: string[],
    ask: (options: { abortSignal: AbortSignal }) => AsyncIterable<T>,
): Promise<T[]> => {
    const collect = async () => {
        const all: T[] = [];
        for await (const page of ask({ abortSignal: signal })) {
            all.push(page);
        }
        return all;
    };
    return withContext(action, resources, collect(), signal);
};

/** The stack's groups of these names, 50 at most and one at least: none would mean all groups. Unknown ones are left out. */
export const readGroups = (aws: Aws, names: string[]): Promise<ListedGroup[]> =>
    readListing(aws, names, { AutoScalingGroupNames: names });

/** The stack's groups with these values of the electorates' tag. AWS refuses more than 5 values of a tag in one call. */
export const readElectorates = async (aws: Aws, values: string[]): Promise<ListedGroup[]> => {
    const answers = chunks(values, 5).map((Values) =>
        readListing(aws, Values, { Filters: [{ Name: `tag:${aws.scope.electorateTag}`, Values }] }),
    );
    return (await Promise.all(answers)).flat();
};

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
const readListing = async (
    aws: Aws,
    resources: string[],
    request: DescribeAutoScalingGroupsCommandInput,
): Promise<ListedGroup[]> => {
    const client = { client: aws.autoScaling, pageSize: 100 };
    const answers = await readAll(aws, listing, resources, (options) => aws.pages.groups(client, request, options));
    return answers.flatMap((page) => listedGroups(aws, page));
};

/**
 * All groups of the stack, a page at a time, each with the token of the next page.
 *
 * @param startingToken the token of the page to begin with
 */
export async function* readGroupPages(
    aws: Aws,
    startingToken?: string,
): AsyncGenerator<{ groups: ListedGroup[]; nextToken?: string }> {
    const { signal } = aws.deadline;
    const client = { client: aws.autoScaling, pageSize: 100, startingToken };
    const pages = aws.pages.groups(client, {}, { abortSignal: signal });
    while (true) {
        const { value: page, done } = await withContext(listing, [], pages.next(), signal);
        if (done) {
            return;
        }
        yield { groups: listedGroups(aws, page), nextToken: page.NextToken };
    }
}

const listedGroups = ({ scope }: Aws, page: DescribeAutoScalingGroupsCommandOutput): ListedGroup[] =>
    requireList(page.AutoScalingGroups, listing)
        .map((group) => listedGroup(scope, group))
        .filter(({ name }) => isOurs(scope, name));

const listedGroup = ({ electorateTag, tagKey }: Scope, group: AutoScalingGroup): ListedGroup => {
    const name = requireString(group.AutoScalingGroupName, listing);
    const tags = new Map(requireList(group.Tags, listing).map(({ Key, Value }) => [Key, Value]));
    const electorate = electorateTag && tags.get(electorateTag);
    return {
        name,
        ...(electorate ? { electorate } : {}),
        desired: group.DesiredCapacity ?? 0,
        paused: isTrue(tags.get(pausedKey(tagKey))),
        protectsNew: group.NewInstancesProtectedFromScaleIn === true,
        members: requireList(group.Instances, listing).map((instance) => memberOf(instance, name)),
    };
};

const memberOf = (instance: Instance | AutoScalingInstanceDetails, group: string): Member => ({
    id: requireString(instance.InstanceId, listing),
    lifecycleState: requireString(instance.LifecycleState, listing),
    // In capitals in DescribeAutoScalingInstances.
    healthStatus: /^healthy$/i.test(requireString(instance.HealthStatus, listing)) ? "Healthy" : "Unhealthy",
    group,
    protected: instance.ProtectedFromScaleIn === true,
});

/** Instances that carry one of the stack's tags and pass every filter. */
export const readTagged = async (aws: Aws, ...filters: Filter[]): Promise<Tagged[]> => {
    const action = "ec2:DescribeInstances";
    const { tagKey } = aws.scope;
    const carrying = { Name: "tag-key", Values: [tagKey, sinceKey(tagKey), eligibleKey(tagKey)] };
    const request = { Filters: [carrying, ...filters] };
    const resources = filters.flatMap(({ Values = [] }) => Values);
    const client = { client: aws.ec2, pageSize: 1000 };
    const answers = await readAll(aws, action, resources, (options) => aws.pages.instances(client, request, options));
    return answers
        .flatMap((page) => requireList(page.Reservations, action))
        .flatMap((reservation) => requireList(reservation.Instances, action))
        .map((instance) => {
            const tags = new Map(requireList(instance.Tags, action).map(({ Key, Value }) => [Key, Value]));
            return {
                id: requireString(instance.InstanceId, action),
                state: requireString(instance.State?.Name, action),
                leads: isTrue(tags.get(tagKey)),
                since: tags.get(sinceKey(tagKey)),
                vetoed: marksVeto(tags.get(eligibleKey(tagKey))),
                group: tags.get(groupKey),
            };
        });
};

/** Instances whose own tag names one of these groups. */
export const inGroups = (names: string[]): Filter => ({ Name: `tag:${groupKey}`, Values: names.map(literally) });

/** Instances whose own tag names a group of the stack. */
export const inOurGroups = ({ scope }: Aws): Filter => ({
    Name: `tag:${groupKey}`,
    Values: scope.asgPrefixes.map((prefix) => `${literally(prefix)}*`),
});

export const withIds = (ids: string[]): Filter => ({ Name: "instance-id", Values: ids });

// A filter takes * and ? for any characters. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
const literally = (name: string): string => name.replace(/[*?\\]/g, "\\$&");

/** How Auto Scaling lists instances, by their ids: undefined if in no group. Those in warm pools are listed, too. */
export const readHomes = async (aws: Aws, ids: string[]): Promise<{ homes: Map<string, Member | undefined> }> => {
    const action = "autoscaling:DescribeAutoScalingInstances";
    const client = { client: aws.autoScaling };
    const answers = chunks(ids, 50).map((InstanceIds) =>
        readAll(aws, action, InstanceIds, (options) => aws.pages.members(client, { InstanceIds }, options)),
    );
    const listed = (await Promise.all(answers))
        .flat()
        .flatMap((page) => requireList(page.AutoScalingInstances, action));
    const members = listed.map((one) => memberOf(one, requireString(one.AutoScalingGroupName, action)));
    return { homes: new Map(ids.map((id) => [id, members.find((member) => member.id === id)])) };
};

/** What EC2 says of instances, by id; an error where it can't be read, so that it fails for its own groups alone. */
export const readStatuses = async (aws: Aws, ids: string[]): Promise<Map<string, Status | Error>> =>
    new Map((await Promise.all(chunks(ids, 100).map((part) => readStatusPart(aws, part)))).flat());

const readStatusPart = async (aws: Aws, ids: string[]): Promise<[string, Status | Error][]> => {
    const action = "ec2:DescribeInstanceStatus";
    try {
        const client = { client: aws.ec2 };
        const request = { InstanceIds: ids, IncludeAllInstances: true };
        const answers = await readAll(aws, action, ids, (options) => aws.pages.statuses(client, request, options));
        return answers
            .flatMap((answer) => requireList(answer.InstanceStatuses, action))
            .map((status) => [
                requireString(status.InstanceId, action),
                { state: status.InstanceState?.Name, checks: checksOf(status, action) },
            ]);
    } catch (error) {
        // One unknown id fails the whole call.
        const named = idsIn((error as Error).cause as Error);
        const known = ids.filter((id) => !named.includes(id));
        if (isGone(error as Error) && known.length < ids.length) {
            return known.length > 0 ? readStatusPart(aws, known) : [];
        }
        return ids.map((id) => [id, error as Error]);
    }
};

const checksOf = ({ InstanceStatus, SystemStatus, Events }: InstanceStatus, action: string): Checks => {
    // A past event is still listed for a while, marked in its description.
    const isScheduled = requireList(Events, action).some(
        ({ Description }) => !/^\[(Completed|Canceled)\]/.test(Description ?? ""),
    );
    const results = [InstanceStatus?.Status, SystemStatus?.Status];
    if (isScheduled || results.includes("impaired")) {
        return "impaired";
    }
    return results.every((result) => result === "ok") ? "ok" : "unknown";
};

/**
 * Average CPUUtilization of instances in the last 15 minutes, in percent, by id. What can't be read is missing, with a warning.
 *
 * @param now milliseconds since 1970
 * @param millis how long the reading may take
 */
export const readLoad = async (aws: Aws, ids: string[], now: number, millis: number): Promise<Map<string, number>> => {
    const action = "cloudwatch:GetMetricData";
    const abortSignal = aws.deadline.within(millis);
    const period = { StartTime: new Date(now - 15 * 60 * 1000), EndTime: new Date(now) };
    const metric = { Namespace: "AWS/EC2", MetricName: "CPUUtilization" };
    // A call takes 500 queries, and gives some hundred times as many values in one page.
    const loads = chunks(ids, 500).map(async (part) => {
        try {
            const MetricDataQueries = part.map((Value, index) => {
                const Metric = { ...metric, Dimensions: [{ Name: "InstanceId", Value }] };
                return { Id: `m${index}`, MetricStat: { Metric, Period: 300, Stat: "Average" } };
            });
            const reading = aws.cloudWatch.getMetricData({ ...period, MetricDataQueries }, { abortSignal });
            const answer = await withContext(action, part, reading, abortSignal);
            const results = requireList(answer.MetricDataResults, action);
            const valuesById = new Map(results.map(({ Id, Values = [] }) => [Id, Values]));
            return part.flatMap((id, index): [string, number][] => {
                const values = valuesById.get(`m${index}`) ?? [];
                return values.length > 0 ? [[id, values.reduce((sum, value) => sum + value, 0) / values.length]] : [];
            });
        } catch (error) {
            warn("load is left out", error);
            return [];
        }
    });
    return new Map((await Promise.all(loads)).flat());
};
