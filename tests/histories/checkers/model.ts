// The model: the decision table as it is read off the region, for a group or an electorate. Every checker asks it.
import { groupKey, isTrue, type Region } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import { Electorates, type Franchise } from "../../simulator/electorates";

/** What a read shows of an instance at a time. */
export interface Sight {
    state: string;
    tags: Record<string, string>;
    /** The group that lists it. */
    group?: string;
    /** The electorate of that group, or the group if it elects on its own. */
    electorate?: string;
    /** Where the instance leads if it has the tag: the same, or what its tags name if no group lists it. */
    home?: string;
    lifecycleState?: string;
    healthStatus?: string;
    checks: string;
    load?: number;
}

/** All instances of the region at a time, by id. */
export type View = Map<string, Sight>;

/** What the decision table says of a group: no instance leads, or exactly one of these does. */
export interface Verdict {
    row: "a fit leader" | "fit members" | "a leader alive" | "arriving members" | "no candidate";
    oneOf: string[];
}

/** What the table depends on beside the region. */
export interface Known extends Franchise {
    /** Instances whose tags EC2 refuses to write, each with the error's name. */
    refused: Map<string, string>;
}

const dayMillis = 24 * 60 * 60 * 1000;
const arrivingStates = ["Pending", "Pending:Wait", "Pending:Proceed"];

/** The decision table's verdict on a group or an electorate as the region is, with no event in mind. */
export function verdict(region: Region, home: string, known: Known): Verdict {
    return verdictOn(viewOf(region, new Electorates(region, known)), home, region.timeline.now, known, []);
}

/** The decision table's verdict on a view; `events` are those of the batch that asks. */
export function verdictOn(view: View, home: string, now: number, known: Known, events: Batch["events"]): Verdict {
    const { tagKey, refused } = known;
    const [warned, launched] = [warnedIn(events), launchedIn(events)];
    const members = [...view].filter(([, sight]) => sight.electorate === home);
    const leaders = [...view]
        .filter(([, sight]) => leadsIn(home, tagKey)(sight) && isAlive(sight))
        .sort(
            ([a, one], [b, other]) =>
                sinceIn(other.tags, tagKey, now) - sinceIn(one.tags, tagKey, now) || (a < b ? -1 : 1),
        )
        .map(([id]) => id);
    const fit = members.filter(([id, sight]) => isFitSight(sight) && !warned.has(id)).map(([id]) => id);
    const fitLeaders = leaders.filter((id) => fit.includes(id));
    if (fitLeaders.length > 0) {
        return { row: "a fit leader", oneOf: fitLeaders.slice(0, 1) };
    }
    const electable = members.filter(([id]) => !refused.has(id));
    if (fit.length > 0) {
        const able = electable.filter(([id]) => fit.includes(id));
        return { row: "fit members", oneOf: best(able, (id) => (launched.has(id) ? 0 : 1)) };
    }
    if (leaders.length > 0) {
        return { row: "a leader alive", oneOf: leaders.slice(0, 1) };
    }
    const arriving = electable.filter(([, sight]) => isArriving(sight));
    return { row: arriving.length > 0 ? "arriving members" : "no candidate", oneOf: best(arriving) };
}

/** Whether these leaders are what a verdict says. */
export const agrees = ({ oneOf }: Verdict, leaders: string[]): boolean =>
    leaders.length === Math.min(1, oneOf.length) && leaders.every((id) => oneOf.includes(id));

/** A verdict, and what was found instead. */
export const inWords = ({ row, oneOf }: Verdict, leaders: string[]): string =>
    `${row}: one of ${oneOf.join(", ") || "none"}; found ${leaders.join(", ") || "none"}`;

/** A `since` in milliseconds since 1970, as far as it counts. */
export function sinceIn(tags: Record<string, string>, tagKey: string, now: number): number {
    const value = tags[`${tagKey}:since`] ?? "";
    const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) ? Date.parse(value) : 0;
    return Number.isNaN(at) || at > now + dayMillis ? 0 : at;
}

/** The region as it is. */
export function viewOf(region: Region, electorates: Electorates): View {
    const view: View = new Map();
    for (const { id, checks, load } of region.instances.values()) {
        const tags = region.tags(id);
        const home = tags[groupKey] && electorates.nameOf(tags[groupKey]);
        view.set(id, { state: region.state(id), tags, home, checks, load });
    }
    for (const { name: group, members } of region.groups.values()) {
        const electorate = electorates.nameOf(group);
        for (const { id, lifecycleState, healthStatus } of members) {
            const listed = { group, electorate, home: electorate, lifecycleState, healthStatus };
            Object.assign(view.get(id) as Sight, listed);
        }
    }
    return view;
}

/** The members that rank first: by launch, checks, and load in steps of ten points; chance decides among them. */
function best(members: [string, Sight][], tier: (id: string) => number = () => 0): string[] {
    const rankOf = ([id, sight]: [string, Sight]) => tier(id) * 10_000 + rankOfSight(sight);
    const first = Math.min(...members.map(rankOf));
    return members.filter((member) => rankOf(member) === first).map(([id]) => id);
}

/** Lower is better: by checks, then by load in steps of ten points. */
export function rankOfSight({ state, checks, load }: Sight): number {
    const grade = { ok: 0, impaired: 2 } as Record<string, number>;
    const check = state === "running" ? (grade[checks] ?? 1) : 1;
    return check * 1000 + (load === undefined ? 999 : Math.floor(load / 10));
}

/** Whether a group lists an instance as InService and Healthy, and EC2 says that it runs. */
export function isFit(region: Region, id: string): boolean {
    const member = region.memberOf(id)?.member;
    return (
        member?.lifecycleState === "InService" && member.healthStatus === "Healthy" && region.state(id) === "running"
    );
}

export const isReady = ({ lifecycleState, healthStatus }: Sight): boolean =>
    lifecycleState === "InService" && healthStatus === "Healthy";

export const isFitSight = (sight: Sight): boolean => isReady(sight) && sight.state === "running";

export const isListedArriving = ({ lifecycleState, healthStatus }: Sight): boolean =>
    arrivingStates.includes(lifecycleState as string) && healthStatus === "Healthy";

export const isArriving = (sight: Sight): boolean =>
    isListedArriving(sight) && ["pending", "running"].includes(sight.state);

export const isAlive = ({ state }: Pick<Sight, "state">): boolean =>
    state !== "shutting-down" && state !== "terminated";

export const leadsIn =
    (home: string | undefined, tagKey: string) =>
    (sight: Sight): boolean =>
        isTrue(sight.tags[tagKey]) && sight.home === home;

export function warnedIn(events: Batch["events"]): Set<string> {
    const warnings = events.filter((event) => event["detail-type"] === "EC2 Spot Instance Interruption Warning");
    return new Set(warnings.map(({ detail }) => detail["instance-id"]));
}

function launchedIn(events: Batch["events"]): Set<string> {
    const launches = events.filter((event) => event["detail-type"] === "EC2 Instance Launch Successful");
    return new Set(launches.map(({ detail }) => detail.EC2InstanceId));
}
