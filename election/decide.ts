// Which instance leads a group, by the table below. Plain data in, plain data out.
import { groupedBy } from "./aws/answers";
import type { Member } from "./aws/describe";
import {
    arrivingStates,
    type Group,
    type Instance,
    isArriving,
    isBarred,
    isEnded,
    isEnding,
    isFit,
    isReady,
    leadersOf,
    whyUnfit,
} from "./group";

/** Kinds of candidates, those that go first at the head, whatever ranks within a kind. */
export const tiers = ["fit", "fit, but refused", "arriving", "arriving, but refused"] as const;

/** An instance that may be chosen. */
export interface Candidate {
    id: string;
    tier: (typeof tiers)[number];
    /** The EC2 states in which it will do. */
    states: string[];
    launched: boolean;
}

/** What a group comes to without a promotion; `isHeldBack`: there are candidates, but the leader changed too often. */
export type Settled = { demote: Instance[]; reason: string; isHeldBack?: true } & (
    | { outcome: "kept"; leader: Instance }
    | { outcome: "vacant" | "empty" | "paused" }
);

/** The candidate that ranks first is promoted, after the demotions; `fallback` holds if none of them will do. */
export interface Choice {
    outcome: "choose";
    candidates: Candidate[];
    demote: Instance[];
    reason: string;
    fallback: Settled;
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
 * | the group                                               | then                                                            |
 * | ------------------------------------------------------- | --------------------------------------------------------------- |
 * | is paused                                               | nothing is written, whatever else holds                         |
 * | has a fit leader                                        | it stays; of several the latest by `since`, then the lowest id. |
 * |                                                         | Every other leader is demoted.                                  |
 * | has no fit leader, but fit members                      | every leader is demoted, and one of these is promoted           |
 * | has no fit member, a leader that is not barred          | it stays, of several the latest by `since`; others are demoted  |
 * | has no fit member, no such leader, but arriving members | barred leaders are demoted, and one of these is promoted        |
 * | none of these                                           | barred leaders are demoted                                      |
 *
 * A group without a leader is vacant if it wants instances, else empty.
 */
export const decide = (group: Group, now: number): Decision => {
    const decision = decideUnpaused(group, now);
    if (!group.paused) {
        return decision;
    }
    const chooses = decision.outcome === "choose" ? [`choose one of ${decision.candidates.length}`] : [];
    const demotes = decision.demote.length > 0 ? [`demote ${decision.demote.map(({ id }) => id).join(", ")}`] : [];
    const would = [...demotes, ...chooses].join(" and ") || "change nothing";
    return { outcome: "paused", demote: [], reason: `paused; an election would ${would}: ${decision.reason}` };
};

const decideUnpaused = (group: Group, now: number): Decision => {
    const leaders = leadersOf(group, now);
    const first = leaders.find(isFit);
    if (first) {
        return keep(first, leaders, leaders.length > 1 ? "fit, and the first by since" : "fit");
    }
    const lost = group.instances.filter(({ leads }) => leads); // EC2 has ended them, if there is no leader
    const reason =
        (leaders.length > 0 ? leaders : lost).map((leader) => `${leader.id} ${whyUnfit(leader)}`).join("; ") ||
        "no leader";
    const staying = leaders.find((leader) => !isBarred(leader));
    const fallback = staying
        ? keep(staying, leaders, `no other instance can lead; ${reason}`)
        : leaderless(group, leaders, reason);
    const candidates = candidatesOf(group, staying === undefined);
    if (candidates.length === 0) {
        return fallback;
    }
    if (group.flapping) {
        const why = `left to the next sweep, because the leader changed too often; ${reason}`;
        return { ...fallback, isHeldBack: true, reason: why };
    }
    // Memory may be wrong about an instance that a read still shows with the tag: then it loses the tag as well.
    const shown = group.instances.filter((one) => !one.leads && one.read?.leads && !isEnded(one));
    return { outcome: "choose", candidates, demote: [...leaders, ...shown], fallback, reason };
};

const keep = (leader: Instance, leaders: Instance[], reason: string): Settled => {
    // A leader that memory alone shows may be gone; one that may stay is not demoted for it.
    const isUnsure = leader.read?.leads === false;
    const demote = leaders.filter((other) => other !== leader && (!isUnsure || isBarred(other)));
    return { outcome: "kept", leader, demote, reason };
};

const leaderless = ({ exists, desired, instances }: Group, leaders: Instance[], reason: string): Settled => {
    const reasons = instances.flatMap((one) => (one.listed ? whyNoCandidate(one, one.listed) : []));
    const kinds = [...groupedBy(reasons, (why) => why)].map(([kind, { length }]) => `${length} ${kind}`).join(", ");
    return {
        outcome: desired > 0 ? "vacant" : "empty",
        demote: leaders,
        reason: exists ? `no instance can lead${kinds ? `: ${kinds}` : ""}; ${reason}` : "no such group",
    };
};

/** Why a member can't be chosen, in a word or two. What no read has shown yet, EC2's states show when candidates are ranked. */
const whyNoCandidate = ({ state = "running", vetoed, warned }: Instance, { lifecycleState, healthStatus }: Member) => {
    if (vetoed) {
        return "vetoed";
    }
    if (!["InService", ...arrivingStates].includes(lifecycleState)) {
        return lifecycleState;
    }
    if (healthStatus !== "Healthy") {
        return healthStatus;
    }
    if (state !== "running") {
        return state;
    }
    return warned ? "with a Spot interruption warning" : "not running";
};

const candidatesOf = ({ instances }: Group, isLeaderless: boolean): Candidate[] => {
    // A leader that is not fit may still be listed as if it were; never elect it again.
    const others = instances.filter(
        (instance) => !instance.leads && !instance.vetoed && !isEnding(instance) && instance.state !== "stopping",
    );
    const fit = others.filter((instance) => isReady(instance) && !instance.warned);
    const arriving = others.filter(isArriving);
    const as = (tier: "fit" | "arriving", states: string[]) => {
        return ({ id, launched, refused }: Instance): Candidate => {
            return { id, tier: refused ? `${tier}, but refused` : tier, states, launched };
        };
    };
    const candidates = [...fit.map(as("fit", ["running"])), ...arriving.map(as("arriving", ["pending", "running"]))];
    return candidates.filter(({ tier }) => isLeaderless || tier === "fit");
};
