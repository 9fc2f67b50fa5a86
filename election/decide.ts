// Which instance leads a group, by the table below. Plain data in, plain data out.
import type { Member } from "./describe";
import type { Trigger } from "./events";

/** An instance of a group: a member, or one that only its tags tie to the group. */
export interface Instance {
    id: string;
    /** How its group lists it; missing if the group doesn't. */
    listed?: Member;
    /** EC2's state, where it is known before candidates are ranked. */
    state?: string;
    /** Whether it carries the leader tag. */
    leads: boolean;
    /** Since when it leads, or led, as its tag says. */
    since?: string;
    /** Whether its tag <tagKey>:eligible says false. */
    vetoed: boolean;
    /** Whether the batch reports its launch. */
    launched: boolean;
    /** Whether it got a Spot interruption warning lately. */
    warned: boolean;
    /** Whether AWS lately refused to tag it. */
    refused: boolean;
    /** Where memory and EC2's read disagree about the leader tag: what the read says. */
    read?: { leads: boolean };
}

/** A group as it was observed, or the groups of an electorate, taken as one. */
export interface Group {
    /** Unique; an electorate's is its tag's key and value behind a colon, which no group's name has. */
    name: string;
    /** Names of an electorate's groups. */
    groups?: string[];
    /** Whether Auto Scaling knows the group. */
    exists: boolean;
    /** How many instances it wants. */
    desired: number;
    instances: Instance[];
    /** Orphans that have just left the group, as a Detach event says. */
    orphans: Instance[];
    /** The events that ask for an election. */
    triggers: Trigger[];
    /** Names of its groups that protect all new instances from scaling in. */
    protecting: string[];
    /** Names of its groups that are to be empty. */
    emptying: string[];
    /** The latest `since` that this container wrote here, in milliseconds since 1970. */
    latestWritten: number;
    /** Whether the leader changed too often, and only tag events ask for an election. */
    flapping: boolean;
    /** Whether a live leader lost the tag so recently that it may not know it yet. */
    handingOver: boolean;
}

/** An instance that may be chosen. */
export interface Candidate {
    id: string;
    /** Lower goes first, whatever the rank within. */
    tier: number;
    /** The EC2 states in which it will do. */
    states: string[];
    launched: boolean;
}

/** What a group comes to without a promotion. */
export type Settled = { demote: Instance[]; reason: string } & (
    | { outcome: "kept"; leader: Instance }
    | { outcome: "vacant" | "empty" }
);

/** The candidate that ranks first is promoted, after the demotions; `otherwise` holds if none of them will do. */
export interface Choice {
    outcome: "choose";
    candidates: Candidate[];
    demote: Instance[];
    reason: string;
    otherwise: Settled;
}

export type Decision = Settled | Choice;

/** A group, and what was decided for it. */
export interface Decided {
    group: Group;
    decision: Decision;
}

/**
 * Decides for one group. Pure: `now` is in milliseconds since 1970.
 *
 * | the group has                                       | then                                                         |
 * | --------------------------------------------------- | ------------------------------------------------------------ |
 * | a fit leader                                        | it stays; of several the latest by `since`, then the lowest  |
 * |                                                     | id. Every other leader is demoted.                           |
 * | no fit leader, but fit members                      | every leader is demoted, and one of these is promoted        |
 * | no fit member, a leader that is not barred          | it stays, of several the latest by `since`; others are       |
 * |                                                     | demoted                                                      |
 * | no fit member, no such leader, but arriving members | barred leaders are demoted, and one of these is promoted     |
 * | none of these                                       | barred leaders are demoted                                   |
 *
 * A group without a leader is vacant if it wants instances, else empty.
 */
export function decide(group: Group, now: number): Decision {
    const leaders = leadersOf(group, now);
    const fitLeaders = leaders.filter(isFit);
    if (fitLeaders.length > 0) {
        return keep(fitLeaders[0], leaders, leaders.length > 1 ? "fit, and the first by since" : "fit");
    }
    const reason = leaders.map((leader) => `${leader.id} ${whyUnfit(leader)}`).join("; ") || whyLost(group);
    const staying = leaders.find((leader) => !isBarred(leader));
    const otherwise = staying
        ? keep(staying, leaders, `no other instance can lead; ${reason}`)
        : leaderless(group, leaders, reason);
    const candidates = candidatesOf(group, staying === undefined);
    if (candidates.length === 0) {
        return otherwise;
    }
    if (group.flapping) {
        return { ...otherwise, reason: `left to the next sweep, because the leader changed too often; ${reason}` };
    }
    // Memory may be wrong about a leader that a read still shows: then it loses the tag as well.
    const shown = group.instances.filter((instance) => instance.read?.leads && !isEnded(instance));
    return { outcome: "choose", candidates, demote: [...leaders, ...shown], otherwise, reason };
}

/** The group's leaders, those of longest standing by the table first. */
export function leadersOf({ instances }: Group, now: number): Instance[] {
    return instances
        .filter((instance) => instance.leads && !isEnded(instance))
        .sort((a, b) => sinceOf(b, now) - sinceOf(a, now) || (a.id < b.id ? -1 : 1));
}

/** Whether EC2 has begun to end an instance, or has ended it: it can't be called back. */
export const isEnding = ({ state }: Pick<Instance, "state">): boolean =>
    state === "shutting-down" || state === "terminated";

const isEnded = ({ state }: Instance): boolean => state === "terminated";

/** A `since` in milliseconds since 1970; 0 if it is missing, malformed or more than a day ahead. */
export function sinceOf({ since }: { since?: string }, now: number): number {
    const at = since && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(since) ? Date.parse(since) : 0;
    return at <= now + 24 * 60 * 60 * 1000 ? at : 0;
}

/** The latest well-formed `since` of the group, in milliseconds since 1970: a fencing token only grows. */
export function latestSince({ instances, orphans, latestWritten }: Group, now: number): number {
    return Math.max(latestWritten, 0, ...[...instances, ...orphans].map((instance) => sinceOf(instance, now)));
}

/** Whether the group offers the instance to lead. EC2's own state is checked later, by rank. */
export function isReady({ listed }: Instance): boolean {
    return listed?.lifecycleState === "InService" && listed.healthStatus === "Healthy";
}

/** Whether an instance whose state is known may lead, as good as any. */
export const isFit = (instance: Instance): boolean => whyUnfit(instance) === undefined;

function isArriving({ listed }: Instance): boolean {
    const states = ["Pending", "Pending:Wait", "Pending:Proceed"];
    return listed !== undefined && states.includes(listed.lifecycleState) && listed.healthStatus === "Healthy";
}

function keep(leader: Instance, leaders: Instance[], reason: string): Settled {
    // A leader that memory alone shows may be gone; one that may stay is not demoted for it.
    const isUnsure = leader.read?.leads === false;
    const demote = leaders.filter((other) => other !== leader && (!isUnsure || isBarred(other)));
    return { outcome: "kept", leader, demote, reason };
}

function leaderless({ exists, desired }: Group, leaders: Instance[], reason: string): Settled {
    return {
        outcome: desired > 0 ? "vacant" : "empty",
        demote: leaders,
        reason: exists ? `no instance can lead; ${reason}` : "no such group",
    };
}

function candidatesOf({ instances }: Group, isLeaderless: boolean): Candidate[] {
    // A leader that is not fit may still be listed as if it were; never elect it again.
    const others = instances.filter(
        (instance) => !instance.leads && !instance.vetoed && !isEnding(instance) && instance.state !== "stopping",
    );
    const ready = others.filter((instance) => isReady(instance) && !instance.warned);
    const arriving = isLeaderless ? others.filter(isArriving) : [];
    return [
        ...ready.map((instance) => ({ instance, tier: 0, states: ["running"] })),
        ...arriving.map((instance) => ({ instance, tier: 2, states: ["pending", "running"] })),
    ]
        .filter(({ instance }) => isLeaderless || !instance.refused)
        .map(({ instance: { id, launched, refused }, tier, states }) => ({
            id,
            tier: refused ? tier + 1 : tier,
            states,
            launched,
        }));
}

/** Whether a leader may not stay even if no other instance can lead. */
function isBarred(leader: Instance): boolean {
    return leader.listed === undefined || leader.vetoed || isEnding(leader);
}

/** The reason why a leader is not fit, if it isn't. */
function whyUnfit(leader: Instance): string | undefined {
    const { state, listed } = leader;
    if (state !== "running") {
        return `is ${state}`;
    }
    if (!listed) {
        return "is not listed by its group";
    }
    if (!isReady(leader)) {
        return `is listed as ${listed.lifecycleState} and ${listed.healthStatus}`;
    }
    if (leader.vetoed) {
        return "is vetoed";
    }
    return leader.warned ? "has a Spot interruption warning" : undefined;
}

function whyLost({ instances }: Group): string {
    const ended = instances.filter((instance) => instance.leads).map(({ id }) => `${id} is terminated`);
    return ended.join("; ") || "no leader";
}
