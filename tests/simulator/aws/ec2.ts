// EC2's part of the region: what it answers about instances and their tags, and what it refuses.
import { firstOf, found } from "../lists";
import { type Actions, limit, refuseIf } from "./faults";
import { wildcard } from "./patterns";
import type { Region, Version } from "./region";

type Filter = { Name: string; Values: string[] };
type Shown = Version & { id: string };
type Tag = { Key: string; Value: string };

/** Tags as AWS lists them. */
export const tagsIn = (tags: Record<string, string>): Tag[] =>
    Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** @see https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Operations.html */
export function ec2Actions(region: Region): Actions {
    const requireKnown = (ids: string[], what: string, most: number) => {
        limit(what, ids.length, most);
        const unknown = ids.filter((id) => !region.instances.has(id));
        const message = `The instance IDs '${unknown.join(", ")}' do not exist`;
        refuseIf(unknown.length > 0, "InvalidInstanceID.NotFound", message);
    };
    return {
        "ec2:DescribeInstances": ({ InstanceIds, Filters = [], MaxResults = 1000, NextToken }) => {
            refuseIf(InstanceIds, "InvalidParameterCombination", "instances are asked for by filters here");
            limit("MaxResults", MaxResults, 1000);
            const reservations = find(region, Filters).map(({ id, state, tags }) => ({
                Instances: [{ InstanceId: id, State: { Name: state }, Tags: tagsIn(tags) }],
            }));
            return region.page("Reservations", reservations, MaxResults, NextToken);
        },
        "ec2:DescribeInstanceStatus": ({ InstanceIds: ids, IncludeAllInstances }) => {
            refuseIf(ids.length === 0, "InvalidParameterCombination", "instances are asked for by id here");
            requireKnown(ids, "InstanceIds", 100);
            const shown = find(region, [{ Name: "instance-id", Values: ids }]).filter(
                ({ state }) => IncludeAllInstances || state === "running",
            );
            return {
                InstanceStatuses: shown.map(({ id, state }) => {
                    const runs = state === "running";
                    const { checks, scheduled = [] } = region.instance(id);
                    return {
                        InstanceId: id,
                        InstanceState: { Name: state },
                        InstanceStatus: { Status: runs ? checks : "not-applicable" },
                        SystemStatus: { Status: runs ? "ok" : "not-applicable" },
                        Events: scheduled.map((Description) => ({ Code: "instance-retirement", Description })),
                    };
                }),
            };
        },
        "ec2:CreateTags": ({ Resources, Tags }) => {
            requireKnown(Resources, "Resources", 1000);
            requireRoom(region, Resources, Tags);
            for (const id of Resources) {
                region.setTags(id, Object.fromEntries(Tags.map(({ Key, Value }: Tag) => [Key, Value])));
            }
            return {};
        },
        "ec2:DeleteTags": ({ Resources, Tags }) => {
            requireKnown(Resources, "Resources", 1000);
            for (const id of Resources) {
                // Without keys, all of the user's tags go.
                const keys: string[] = Tags?.map(({ Key }: Tag) => Key) ?? Object.keys(region.tags(id));
                const removable = keys.filter((key) => !key.startsWith("aws:"));
                region.setTags(id, Object.fromEntries(removable.map((key) => [key, undefined])));
            }
            return {};
        },
    };
}

/** An instance has 50 tags at most; AWS's own don't count. */
function requireRoom(region: Region, ids: string[], tags: Tag[]): void {
    for (const id of ids) {
        const keys = new Set([...Object.keys(region.tags(id)), ...tags.map(({ Key }) => Key)]);
        const count = [...keys].filter((key) => !key.startsWith("aws:")).length;
        refuseIf(count > 50, "TagLimitExceeded", "The maximum number of Tags has been reached.");
    }
}

/** What filters other than those for one tag compare. */
const fields: Record<string, (instance: Shown) => string[]> = {
    "instance-id": ({ id }) => [id],
    "instance-state-name": ({ state }) => [state],
    "tag-key": ({ tags }) => Object.keys(tags),
};

/** What EC2 shows, with its lag, of the instances that pass every filter. */
function find(region: Region, filters: Filter[]): Shown[] {
    const at = region.timeline.now - region.lag();
    const seen = [...region.instances.values()].map(({ id, versions }) => ({
        ...(versions.findLast((version) => version.at <= at) ?? firstOf(versions)),
        id,
    }));
    const wanted = filters.map(({ Name, Values }) => {
        limit(`values of ${Name}`, Values.length, 200);
        const read = Name.startsWith("tag:") ? ({ tags }: Version) => [tags[Name.slice(4)] ?? []].flat() : fields[Name];
        refuseIf(!read, "InvalidParameterValue", `The filter '${Name}' is invalid`);
        return { valuesOf: found(read), fits: oneOf(Values) };
    });
    return seen.filter((instance) => wanted.every(({ valuesOf, fits }) => valuesOf(instance).some(fits)));
}

/** Whether a value fits one of a filter's values. */
function oneOf(values: string[]): (value: string) => boolean {
    const literals = new Set(values.filter((pattern) => !/[*?\\]/.test(pattern)));
    const patterns = values.filter((pattern) => !literals.has(pattern)).map(wildcard);
    return (value) => literals.has(value) || patterns.some((pattern) => pattern.test(value));
}
