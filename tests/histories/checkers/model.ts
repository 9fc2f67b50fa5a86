// The model: the decision table as it is read off the region, for a group or an electorate. Every checker asks it.
import { groupKey, isTrue, type Region } from "../../simulator/aws/region";
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
    /** Whether EC2 has scheduled an event for it. */
    scheduled: boolean;
    load?: number;
    /** Whether elections are paused where it leads. */
    paused: boolean;
}

/** All instances of the region at a time, by id. */
export type View = Map<string, Sight>;

/** What the decision table says of a group: which instances lead afterwards. */
export interface Verdict {
    row:
        | "a paused group"
        | "a fit leader"
        | "fit members"
        | "a leader that may stay"
        | "arriving members"
        | "no candidate";
    /** Exactly one of these leads; if there is none, no instance is chosen. */
    oneOf: string[];
    /** Leaders beside it, because EC2 refuses to take their tag, or the group is paused. */
    stuck: string[];
    /** Whether the one may have lost its tag, and EC2 refuses to give it back. */
    mayBeLost?: boolean;
}

/** Which of an instance's tags EC2 refuses to write: to set them, or to remove them, too. */
export type Refusal = "create" | "create and delete";

/** What the table depends on beside the region. */
export interface Known extends Franchise {
    /** Instances whose tags EC2 refuses to write. */
    refused: Map<string, Refusal>;
    /** Nothing is written, so that EC2 refuses nothing. */
    dryRun?: boolean;
}

/** What a container has learned from events, and from AWS's refusals. */
export interface Knowledge {
    /** Instances with a Spot interruption warning. */
    warned: Set<string>;
    /** Instances whose launch the batch reports. */
    launched: Set<string>;
    /** Instances that AWS refused to tag lately: they are chosen only where no leader may stay, and last. */
    avoided: Set<string>;
}

const nothingKnown: Knowledge = {
    warned: new Set(),
    launched: new Set(),
    avoided: new Set(),
};

const dayMillis = 24 * 60 * 60 * 1000;
const arrivingStates = ["Pending", "Pending:Wait", "Pending:Proceed"];
const mostTags = 50;

/** The decision table's verdict on a group or an electorate as the region is, with no event in mind. */
export function verdict(region: Region, home: string, known: Known): Verdict {
    return verdictOn(viewOf(region, new Electorates(region, known)), home, region.timeline.now, known);
}

/** The decision table's verdict on a view; `now` in milliseconds since 1970. */
export function verdictOn(view: View, home: string, now: number, known: Known, knowledge = nothingKnown): Verdict {
    const { tagKey, dryRun } = known;
    const refused: Known["refused"] = dryRun ? new Map() : known.refused;
    const { warned, avoided } = knowledge;
    const seen = [...view];
    const leaders = leadersIn(view, home, tagKey).sort(
        ([a, one], [b, other]) => sinceIn(other.tags, tagKey, now) - sinceIn(one.tags, tagKey, now) || (a < b ? -1 : 1),
    );
    const ids = (some: [string, Sight][]) => some.map(([id]) => id);
    if (seen.some(([, sight]) => sight.home === home && sight.paused)) {
        return { row: "a paused group", oneOf: [], stuck: ids(leaders) };
    }
    const isFit = ([id, sight]: [string, Sight]) => isFitSight(sight, tagKey) && !warned.has(id);
    const isStuck = ([id, { state }]: [string, Sight]) =>
        refused.get(id) === "create and delete" && state !== "terminated";
    const stuckBeside = (leader?: string) => ids(leaders.filter(isStuck)).filter((id) => id !== leader);
    const [fitLeader] = ids(leaders.filter(isFit));
    if (fitLeader) {
        return { row: "a fit leader", oneOf: [fitLeader], stuck: stuckBeside(fitLeader) };
    }
    const [staying] = leaders.filter(([, sight]) => !isBarred(sight, tagKey));
    const electable = seen.filter(
        ([id, sight]) =>
            sight.electorate === home &&
            !isTrue(sight.tags[tagKey]) &&
            !isVetoed(sight, tagKey) &&
            !refused.has(id) &&
            (dryRun || !isFull(sight, tagKey)) &&
            (staying === undefined || !avoided.has(id)),
    );
    // No instance is promoted beside a leader that can't be demoted, unless EC2 is ending that one.
    const isBlocked = leaders.some((leader) => isStuck(leader) && leader[1].state !== "shutting-down");
    const fit = electable.filter(isFit);
    if (fit.length > 0) {
        const oneOf = isBlocked ? [] : best(fit, knowledge);
        return { row: "fit members", oneOf, stuck: stuckBeside() };
    }
    if (staying) {
        const [id] = staying;
        const mayBeLost = refused.get(id) === "create";
        return { row: "a leader that may stay", oneOf: [id], stuck: stuckBeside(id), mayBeLost };
    }
    const arriving = electable.filter(([, sight]) => isArriving(sight, tagKey));
    return arriving.length > 0
        ? { row: "arriving members", oneOf: isBlocked ? [] : best(arriving, knowledge), stuck: stuckBeside() }
        : { row: "no candidate", oneOf: [], stuck: stuckBeside() };
}

/** Whether these leaders are what a verdict says. */
export function agrees({ oneOf, stuck, mayBeLost }: Verdict, leaders: string[]): boolean {
    const others = leaders.filter((id) => !stuck.includes(id));
    return (
        stuck.every((id) => leaders.includes(id)) &&
        (others.length === Math.min(1, oneOf.length) || (mayBeLost && others.length === 0)) === true &&
        others.every((id) => oneOf.includes(id))
    );
}

/** A verdict, and what was found instead. */
export function inWords({ row, oneOf, stuck }: Verdict, leaders: string[]): string {
    const beside = stuck.length > 0 ? ` beside ${stuck.join(", ")}` : "";
    return `${row}: one of ${oneOf.join(", ") || "none"}${beside}; found ${leaders.join(", ") || "none"}`;
}

/** The leaders of a group or an electorate, those that EC2 is ending among them. */
export function leadersIn(view: View, home: string, tagKey: string): [string, Sight][] {
    return [...view].filter(([, sight]) => leadsIn(home, tagKey)(sight) && sight.state !== "terminated");
}

/** A `since` in milliseconds since 1970, as far as it counts. */
export function sinceIn(tags: Record<string, string>, tagKey: string, now: number): number {
    const value = tags[`${tagKey}:since`] ?? "";
    const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) ? Date.parse(value) : 0;
    return Number.isNaN(at) || at > now + dayMillis ? 0 : at;
}

/**
 * The region as it is. A leader, or an instance that an event names without its group, is a member if one of Auto Scaling's
 * two lists shows it, any other instance by its group's.
 */
export function viewOf(region: Region, electorates: Electorates, named: string[] = []): View {
    const { tagKey } = electorates.franchise;
    const { leftOut } = region;
    const paused = electorates.paused();
    const isPaused = (home?: string) => home !== undefined && paused.has(home);
    const view: View = new Map();
    for (const { id, checks, load, scheduled = [] } of region.instances.values()) {
        const tags = region.tags(id);
        const home = tags[groupKey] && electorates.nameOf(tags[groupKey]);
        const [state, isScheduled] = [region.state(id), scheduled.length > 0];
        view.set(id, { state, tags, home, checks, load, scheduled: isScheduled, paused: isPaused(home) });
    }
    for (const { name: group, members } of region.groups.values()) {
        const electorate = electorates.nameOf(group);
        for (const { id, lifecycleState, healthStatus } of members) {
            const sight = view.get(id);
            const isAskedFor = sight && (isTrue(sight.tags[tagKey]) || named.includes(id));
            if (sight && ((isAskedFor && !leftOut.instances.has(id)) || !leftOut.groups.has(id))) {
                const listed = { group, electorate, home: electorate, lifecycleState, healthStatus };
                Object.assign(sight, listed, { paused: isPaused(electorate) });
            }
        }
    }
    return view;
}

/** The members that rank first; chance decides among them. */
function best(members: [string, Sight][], { launched, avoided }: Knowledge): string[] {
    const rankOf = ([id, sight]: [string, Sight]) =>
        Number(avoided.has(id)) * 100_000 + rankOfSight(sight, launched.has(id));
    const first = Math.min(...members.map(rankOf));
    return members.filter((member) => rankOf(member) === first).map(([id]) => id);
}

/** Lower is better: by status checks and scheduled events, by launch, then by load in steps of ten points. */
export function rankOfSight({ state, checks, scheduled, load }: Sight, launched: boolean): number {
    const grade = { ok: 0, impaired: 2 } as Record<string, number>;
    const check = scheduled ? 2 : state === "running" ? (grade[checks] ?? 1) : 1;
    return check * 10_000 + Number(!launched) * 1000 + (load === undefined ? 999 : Math.floor(load / 10));
}

export const isVetoed = ({ tags }: Sight, tagKey: string): boolean => /^false$/i.test(tags[`${tagKey}:eligible`] ?? "");

/** Whether a leader may not stay even if no other instance can lead. */
export const isBarred = (sight: Sight, tagKey: string): boolean =>
    sight.group === undefined || isVetoed(sight, tagKey) || !isAlive(sight);

export const isReady = ({ lifecycleState, healthStatus }: Sight): boolean =>
    lifecycleState === "InService" && healthStatus === "Healthy";

export const isFitSight = (sight: Sight, tagKey: string): boolean =>
    isReady(sight) && sight.state === "running" && !isVetoed(sight, tagKey);

export const isListedArriving = ({ lifecycleState, healthStatus }: Sight): boolean =>
    arrivingStates.includes(lifecycleState as string) && healthStatus === "Healthy";

const isArriving = (sight: Sight, tagKey: string): boolean =>
    isListedArriving(sight) && ["pending", "running"].includes(sight.state) && !isVetoed(sight, tagKey);

/** Whether EC2 has not begun to end an instance. */
export const isAlive = ({ state }: Pick<Sight, "state">): boolean =>
    state !== "shutting-down" && state !== "terminated";

export const leadsIn =
    (home: string | undefined, tagKey: string) =>
    (sight: Sight): boolean =>
        isTrue(sight.tags[tagKey]) && sight.home === home;

/** Whether an instance has no room for the leader's tags. */
export function isFull({ tags }: Pick<Sight, "tags">, tagKey: string): boolean {
    const keys = new Set([...Object.keys(tags), tagKey, `${tagKey}:since`]);
    return [...keys].filter((key) => !key.startsWith("aws:")).length > mostTags;
}
