import type { DescribeAutoScalingGroupsCommandInput } from "@aws-sdk/client-auto-scaling";
import type { Filter } from "@aws-sdk/client-ec2";
import { type Aws, asking, describeInstances, everyPage, inParts, listed, text } from "./aws";
import { type Group, isLive, type Leader, type Member } from "./decide";
import { type Batch, groupKey, marksLeader, type Scope, sinceKey, sweepType } from "./events";
import { warn } from "./report";

/** What a batch led us to look at. */
export interface Observation {
    groups: Group[];
    /** Instances that lead no group any more but still carry both of our tags. */
    strays: Leader[];
    /** EC2's states of the departing leaders that were given. */
    states: Map<string, string>;
}

/** What Auto Scaling says of groups, by name. */
type Listing = Map<string, { members: Member[]; electorate?: string }>;

/** An instance with the leader tag, and the group that its own tags name. */
type Tagged = Leader & { group?: string };

/**
 * Reads the groups that a batch is about, in a sweep all of them, with their members and leaders.
 *
 * @param departing groups of instances that depart and are known to lead, by id: EC2's tags may not show them yet
 * @throws if anything can't be read whole: nothing may be decided from half an answer
 */
export async function observe(
    aws: Aws,
    scope: Scope,
    batch: Batch,
    departing: Map<string, string>,
): Promise<Observation> {
    const triggers = new Map([...batch.triggers].map(([group, types]) => [group, new Set(types)]));
    const add = (group: string, type = "") => triggers.set(group, (triggers.get(group) ?? new Set()).add(type));
    for (const [id, group] of departing) {
        add(group, batch.departing.get(id));
    }
    const reading = readStates(aws, [...departing.keys()]);

    if (batch.sweep) {
        const [listing, tagged, states] = await Promise.all([
            readGroups(aws, scope, {}),
            readTagged(aws, scope),
            reading,
        ]);
        for (const name of listing.keys()) {
            add(name, sweepType);
        }
        for (const { id, group } of tagged) {
            if (group !== undefined && listing.has(group) && batch.departing.has(id)) {
                add(group, batch.departing.get(id));
            }
        }
        const { strays, moved } = await findStrays(aws, tagged);
        return { groups: assemble(scope, batch, triggers, listing, [...tagged, ...moved], strays), strays, states };
    }

    const named = [...triggers.keys()];
    const [first, departed, mentioned, states] = await Promise.all([
        readNamed(aws, scope, named),
        // Most departures of a region are none of ours; this one read tells.
        readTagged(aws, scope, withIds([...batch.departing.keys()]), inGroups([`${scope.asgPrefix}*`])),
        readTagged(aws, scope, withIds([...batch.detached.keys()])),
        reading,
    ]);
    for (const { id, group } of departed) {
        add(group as string, batch.departing.get(id));
    }
    const [second, { strays, moved }] = await Promise.all([
        readNamed(
            aws,
            scope,
            [...triggers.keys()].filter((name) => !named.includes(name)),
        ),
        findStrays(aws, mentioned),
    ]);
    const listing = new Map([...first.listing, ...second.listing]);
    const tagged = [...first.tagged, ...second.tagged, ...moved];
    return { groups: assemble(scope, batch, triggers, listing, tagged, strays), strays, states };
}

/** Reads groups by name, with their electorates' other groups, and all their leaders. */
async function readNamed(aws: Aws, scope: Scope, names: string[]): Promise<{ listing: Listing; tagged: Tagged[] }> {
    if (names.length === 0) {
        return { listing: new Map(), tagged: [] }; // an empty list of names would mean all
    }
    const [listing, tagged] = await Promise.all([
        readGroups(aws, scope, { AutoScalingGroupNames: names }),
        // An electorate's leader may be in any of its groups, and the tags of one that has just moved may lag behind.
        readTagged(aws, scope, ...(scope.electorateTag ? [] : [inGroups(names.map(literally))])),
    ]);
    const electorates = new Set([...listing.values()].flatMap(({ electorate }) => electorate ?? []));
    if (electorates.size === 0) {
        return { listing, tagged };
    }
    const Filters = [{ Name: `tag:${scope.electorateTag}`, Values: [...electorates] }];
    return { listing: new Map([...listing, ...(await readGroups(aws, scope, { Filters }))]), tagged };
}

/** Puts together what belongs together: a group with its leaders, or all groups of an electorate with theirs. */
function assemble(
    scope: Scope,
    { detached }: Batch,
    triggers: Map<string, Set<string>>,
    listing: Listing,
    tagged: Tagged[],
    strays: Leader[],
): Group[] {
    const nameOf = (group: string) => {
        const electorate = listing.get(group)?.electorate;
        // No group's name has a colon.
        return electorate === undefined ? group : `:${scope.electorateTag}=${electorate}`;
    };
    const listedIn = new Map([...listing].flatMap(([group, { members }]) => members.map(({ id }) => [id, group])));
    // An instance that has just moved is where it is listed: its own tags may lag behind.
    const homeOf = ({ id, group = "" }: Tagged) => nameOf(listedIn.get(id) ?? group);
    const leaders = grouped([...new Map(tagged.map((leader) => [leader.id, leader])).values()], homeOf);
    const electorates = grouped([...listing.keys()].sort(), nameOf);

    const groups = new Map<string, Group>();
    for (const [group, types] of triggers) {
        const name = nameOf(group);
        const names = electorates.get(name) ?? [];
        groups.set(name, {
            name,
            ...(name === group ? {} : { groups: names }),
            exists: names.length > 0,
            members: names.flatMap((each) => listing.get(each)?.members ?? []),
            leaders: leaders.get(name) ?? [],
            strays: strays.filter(({ id }) => detached.get(id)?.some((left) => names.includes(left))),
            triggers: [...new Set([...(groups.get(name)?.triggers ?? []), ...types])],
        });
    }
    return [...groups.values()];
}

function grouped<T>(list: T[], nameOf: (item: T) => string): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of list) {
        const name = nameOf(item);
        groups
            .set(name, groups.get(name) ?? [])
            .get(name)
            ?.push(item);
    }
    return groups;
}

/** The scope's groups that a request asks for; unknown names are left out. */
async function readGroups(
    aws: Aws,
    { asgPrefix, electorateTag }: Scope,
    request: DescribeAutoScalingGroupsCommandInput,
): Promise<Listing> {
    const pages = aws.pages.groups({ client: aws.autoScaling, pageSize: 100 }, request);
    const action = "autoscaling:DescribeAutoScalingGroups";
    const answers = await asking(action, request.AutoScalingGroupNames ?? [], everyPage(pages));
    const groups = answers.flatMap((answer) => listed(answer.AutoScalingGroups, action));
    const ours = groups.filter((group) => text(group.AutoScalingGroupName, action).startsWith(asgPrefix));
    return new Map(
        ours.map((group) => {
            const name = text(group.AutoScalingGroupName, action);
            const members = listed(group.Instances, action).map((instance) => ({
                id: text(instance.InstanceId, action),
                lifecycleState: text(instance.LifecycleState, action),
                healthStatus: text(instance.HealthStatus, action),
                group: name,
                protected: instance.ProtectedFromScaleIn === true,
            }));
            const electorate =
                electorateTag && listed(group.Tags, action).find(({ Key }) => Key === electorateTag)?.Value;
            return [name, { members, electorate: electorate || undefined }];
        }),
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
                group: tags.get(groupKey),
            };
        })
        .filter(({ value }) => marksLeader(value));
}

/** Of the tagged instances with `since` that name no group, those that none lists, and those that have just moved into one. */
async function findStrays(aws: Aws, tagged: Tagged[]): Promise<{ strays: Leader[]; moved: Tagged[] }> {
    const suspects = tagged.filter((one) => one.group === undefined && one.since !== undefined && isLive(one));
    const action = "autoscaling:DescribeAutoScalingInstances";
    const parts = inParts(suspects, 50).map(async (part) => {
        const InstanceIds = part.map(({ id }) => id);
        try {
            const answer = await asking(
                action,
                InstanceIds,
                aws.autoScaling.describeAutoScalingInstances({ InstanceIds }),
            );
            const members = listed(answer.AutoScalingInstances, action);
            return part.map((one) => ({
                ...one,
                group: members.find(({ InstanceId }) => InstanceId === one.id)?.AutoScalingGroupName,
            }));
        } catch (error) {
            warn("strays keep their tags", error); // no group needs to wait for that
            return [];
        }
    });
    const found = (await Promise.all(parts)).flat();
    return {
        strays: found.filter(({ group }) => group === undefined),
        moved: found.filter(({ group }) => group !== undefined),
    };
}

/** EC2's states of instances, 200 at most, by id; those that it doesn't know are left out. */
export async function readStates(aws: Aws, ids: string[]): Promise<Map<string, string>> {
    // As a filter, not as InstanceIds: one id that EC2 doesn't know would fail the call. An empty one would let all pass.
    const instances = ids.length > 0 ? await describeInstances(aws, [withIds(ids)], ids) : [];
    return new Map(instances.map(({ InstanceId, State }) => [String(InstanceId), String(State?.Name)]));
}

const inGroups = (Values: string[]): Filter => ({ Name: `tag:${groupKey}`, Values });

const withIds = (Values: string[]): Filter => ({ Name: "instance-id", Values });

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html#Filtering_Resources_CLI
const literally = (name: string): string => name.replace(/[*?\\]/g, "\\$&");
