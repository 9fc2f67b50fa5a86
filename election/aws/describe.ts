// How AWS is asked about groups and instances: one function for each call, with its limits and pages.
import type {
    AutoScalingGroup,
    AutoScalingInstanceDetails,
    DescribeAutoScalingGroupsCommandInput,
    Instance,
} from "@aws-sdk/client-auto-scaling";
import type { Instance as Ec2Instance, InstanceStatus } from "@aws-sdk/client-ec2";
import { warn } from "../log";
import { eligibleKey, groupKey, isOurs, isTrue, marksVeto, pausedKey, type Scope, sinceKey } from "../scope";
import { chunks, idsIn, isGone, requireList, requireString, withContext } from "./answers";
import type { Aws } from "./clients";
import { millisForLoad } from "./deadline";

/** An Auto Scaling group, as DescribeAutoScalingGroups lists it. */
export type ListedGroup = ReturnType<typeof listedGroup>;

/** An instance that a group lists. */
export type Member = ReturnType<typeof memberOf>;

/** An instance with one of the stack's tags, as DescribeInstances shows it; terminated ones are shown for a while. */
export type Tagged = ReturnType<typeof taggedInstance>;

/** What was read so far, by name or id. */
export interface View {
    groups: Map<string, ListedGroup>;
    tagged: Map<string, Tagged>;
    /** How Auto Scaling lists an instance that was asked for; undefined if it is in no group. */
    homes: Map<string, Member | undefined>;
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

/** All items of an answer's pages, or none: an error on any page is the error of the whole. Empty pages may precede full ones. */
const readAll = async <P, T>(
    aws: Aws,
    action: string,
    resources: string[],
    pages: AsyncIterable<P>,
    listIn: (page: P) => T[] | undefined,
): Promise<T[]> => {
    const collect = async () => {
        const all: P[] = [];
        for await (const page of pages) {
            all.push(page);
        }
        return all;
    };
    const answers = await withContext(action, resources, collect(), aws.deadline.signal);
    return answers.flatMap((page) => requireList(listIn(page), action));
};

/** The stack's groups of these names, 50 at most and one at least: none would mean all groups. Unknown ones are left out. */
export const readGroups = (aws: Aws, names: string[]): Promise<Pick<View, "groups">> =>
    readListing(aws, names, { AutoScalingGroupNames: names });

/** The stack's groups with these values of the electorates' tag. AWS refuses more than 5 values of a tag in one call. */
export const readElectorates = async (aws: Aws, values: string[]): Promise<Pick<View, "groups">> => {
    const answers = chunks(values, 5).map((Values) =>
        readListing(aws, Values, { Filters: [{ Name: `tag:${aws.scope.electorateTag}`, Values }] }),
    );
    return { groups: new Map((await Promise.all(answers)).flatMap(({ groups }) => [...groups])) };
};

// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
const readListing = async (aws: Aws, resources: string[], request: DescribeAutoScalingGroupsCommandInput) => {
    const client = { client: aws.autoScaling, pageSize: 100 };
    const pages = aws.pages.groups(client, request, { abortSignal: aws.deadline.signal });
    const groups = await readAll(aws, listing, resources, pages, (page) => page.AutoScalingGroups);
    return { groups: listedGroups(aws, groups) };
};

/**
 * All groups of the stack, a page at a time, each with the token of the next page.
 *
 * @param startingToken the token of the page to begin with
 */
export async function* readGroupPages(aws: Aws, startingToken?: string) {
    const { signal } = aws.deadline;
    const client = { client: aws.autoScaling, pageSize: 100, startingToken };
    const pages = aws.pages.groups(client, {}, { abortSignal: signal });
    while (true) {
        const { value: page, done } = await withContext(listing, [], pages.next(), signal);
        if (done) {
            return;
        }
        const groups = listedGroups(aws, requireList(page.AutoScalingGroups, listing));
        yield { groups, nextToken: page.NextToken };
    }
}

const listedGroups = ({ scope }: Aws, groups: AutoScalingGroup[]): View["groups"] => {
    const listed = groups.map((group) => listedGroup(scope, group));
    return new Map(listed.flatMap((group) => (isOurs(scope, group.name) ? [[group.name, group]] : [])));
};

const listedGroup = ({ electorateTag, tagKey }: Scope, group: AutoScalingGroup) => {
    const name = requireString(group.AutoScalingGroupName, listing);
    const tags = new Map(requireList(group.Tags, listing).map(({ Key, Value }) => [Key, Value]));
    const electorate = electorateTag && tags.get(electorateTag);
    return {
        name,
        /** Value of the electorate's tag, if it has one. */
        ...(electorate ? { electorate } : {}),
        /** How many instances the group wants. */
        desired: group.DesiredCapacity ?? 0,
        paused: isTrue(tags.get(pausedKey(tagKey))),
        /** Whether it protects all new instances from scaling in. */
        protectsNew: group.NewInstancesProtectedFromScaleIn === true,
        members: requireList(group.Instances, listing).map((instance) => memberOf(instance, name, listing)),
    };
};

const memberOf = (instance: Instance | AutoScalingInstanceDetails, group: string, action: string) => ({
    id: requireString(instance.InstanceId, action),
    lifecycleState: requireString(instance.LifecycleState, action),
    // In capitals in DescribeAutoScalingInstances.
    healthStatus: /^healthy$/i.test(requireString(instance.HealthStatus, action)) ? "Healthy" : "Unhealthy",
    /** Name of the group. */
    group,
    /** Whether it is protected from scaling in. */
    protected: instance.ProtectedFromScaleIn === true,
});

/**
 * Instances that carry one of the stack's tags.
 *
 * @param options.ids only these; without any there is no call
 * @param options.groups only those whose own tag names one of these groups, or begins with one of `options.prefixes`
 */
export const readTagged = async (
    aws: Aws,
    { ids, groups = [], prefixes = [] }: { ids?: string[]; groups?: string[]; prefixes?: string[] } = {},
): Promise<Pick<View, "tagged">> => {
    if (ids?.length === 0) {
        return { tagged: new Map() };
    }
    const action = "ec2:DescribeInstances";
    const { tagKey } = aws.scope;
    const filters = [
        { Name: "tag-key", Values: [tagKey, sinceKey(tagKey), eligibleKey(tagKey)] },
        { Name: "instance-id", Values: ids ?? [] },
        { Name: `tag:${groupKey}`, Values: [...groups.map(literally), ...prefixes.map((one) => `${literally(one)}*`)] },
    ].filter(({ Values }) => Values.length > 0);
    const resources = filters.slice(1).flatMap(({ Values }) => Values);
    const client = { client: aws.ec2, pageSize: 1000 };
    const pages = aws.pages.instances(client, { Filters: filters }, { abortSignal: aws.deadline.signal });
    const reservations = await readAll(aws, action, resources, pages, (page) => page.Reservations);
    const instances = reservations.flatMap((reservation) => requireList(reservation.Instances, action));
    const tagged = instances.map((instance) => taggedInstance(tagKey, instance, action));
    return { tagged: new Map(tagged.map((one) => [one.id, one])) };
};

const taggedInstance = (tagKey: string, { InstanceId, State, Tags }: Ec2Instance, action: string) => {
    const tags = new Map(requireList(Tags, action).map(({ Key, Value }) => [Key, Value]));
    return {
        id: requireString(InstanceId, action),
        state: requireString(State?.Name, action),
        leads: isTrue(tags.get(tagKey)),
        since: tags.get(sinceKey(tagKey)),
        vetoed: marksVeto(tags.get(eligibleKey(tagKey))),
        /** Name of the group in the instance's own tag. */
        group: tags.get(groupKey),
    };
};

// A filter takes * and ? for any characters. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
const literally = (name: string): string => name.replace(/[*?\\]/g, "\\$&");

/** How Auto Scaling lists instances, by their ids: undefined if in no group. Those in warm pools are listed, too. */
export const readHomes = async (aws: Aws, ids: string[]): Promise<Pick<View, "homes">> => {
    const action = "autoscaling:DescribeAutoScalingInstances";
    const options = { abortSignal: aws.deadline.signal };
    const answers = chunks(ids, 50).map((InstanceIds) => {
        const pages = aws.pages.members({ client: aws.autoScaling }, { InstanceIds }, options);
        return readAll(aws, action, InstanceIds, pages, (page) => page.AutoScalingInstances);
    });
    const listed = (await Promise.all(answers)).flat();
    const members = listed.map((one) => memberOf(one, requireString(one.AutoScalingGroupName, action), action));
    return { homes: new Map(ids.map((id) => [id, members.find((member) => member.id === id)])) };
};

/** What EC2 says of instances, by id; an error where it can't be read, so that it fails for its own groups alone. */
export const readStatuses = async (aws: Aws, ids: string[]): Promise<Map<string, Status | Error>> =>
    new Map((await Promise.all(chunks(ids, 100).map((part) => readStatusPart(aws, part)))).flat());

const readStatusPart = async (aws: Aws, ids: string[]): Promise<[string, Status | Error][]> => {
    const action = "ec2:DescribeInstanceStatus";
    try {
        const request = { InstanceIds: ids, IncludeAllInstances: true };
        const pages = aws.pages.statuses({ client: aws.ec2 }, request, { abortSignal: aws.deadline.signal });
        const statuses = await readAll(aws, action, ids, pages, (page) => page.InstanceStatuses);
        return statuses.map((status) => [
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
 */
export const readLoad = async (aws: Aws, ids: string[], now: number): Promise<Map<string, number>> => {
    const action = "cloudwatch:GetMetricData";
    const abortSignal = aws.deadline.within(millisForLoad);
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
            const averages = results.map(({ Id = "", Values = [] }): [string, number] => {
                const sum = Values.reduce((total, value) => total + value, 0);
                return [part[Number(Id.slice(1))] ?? "", sum / Values.length];
            });
            return averages.filter(([, load]) => Number.isFinite(load));
        } catch (error) {
            warn("load is left out", error);
            return [];
        }
    });
    return new Map((await Promise.all(loads)).flat());
};
