/** An instance that a group lists, as DescribeAutoScalingGroups says. */
export interface Member {
    id: string;
    lifecycleState: string;
    healthStatus: string;
    /** Name of the group. */
    group: string;
    /** Whether scaling in spares it. */
    protected: boolean;
}

/** An instance with the leader tag, as DescribeInstances says; dead ones are seen for a while too. */
export interface Leader {
    id: string;
    state: string;
    since?: string;
}

/** A group as it was observed, or the groups of an electorate, taken as one. */
export interface Group {
    /** Tells it from all others; an electorate's is its tag's key and value behind a colon, which no group's name has. */
    name: string;
    /** Names of an electorate's groups. */
    groups?: string[];
    /** Whether Auto Scaling knows the group. */
    exists: boolean;
    members: Member[];
    leaders: Leader[];
    /** Leaders that have left it alive, as an event says, and are in no group now. */
    strays: Leader[];
    /** Detail types of the events that named the group. */
    triggers: string[];
}

/** What events said about instances. */
export interface Hints {
    launched: Set<string>;
    warned: Set<string>;
}

/** A member that may be chosen. */
export interface Nominee {
    id: string;
    /** Lower goes first, whatever the rank within: launched in this batch, fit, arriving. */
    tier: number;
    /** The EC2 states in which it will do. */
    states: string[];
}

export type Decision = {
    /** Ids of live leaders that lose the tag, before anybody gets it. */
    demote: string[];
    reason: string;
} & (
    | { outcome: "kept"; leader: Leader }
    | { outcome: "vacant" | "empty" }
    /** The nominee who ranks first is promoted; `otherwise` holds if none of them will do. */
    | { outcome: "choose"; nominees: Nominee[]; otherwise: Decision }
);

/** The decision table, for one group. Pure: `now` is in milliseconds since 1970. */
export function decide(group: Group, hints: Hints, now: number): Decision {
    const unfit = (leader: Leader) => whyUnfit(leader, group, hints);
    const live = group.leaders
        .filter(isLive)
        .sort((a, b) => sinceOf(b, now) - sinceOf(a, now) || (a.id < b.id ? -1 : 1));
    const fit = live.find((leader) => !unfit(leader));
    if (fit) {
        return keep(fit, live, live.length > 1 ? "fit, and the first by since" : "fit");
    }
    const reason = group.leaders.map((leader) => `${leader.id} ${unfit(leader)}`).join("; ") || "no leader";
    const otherwise = live[0] ? keep(live[0], live, `nobody is fit; ${reason}`) : nobody(group, reason);
    const nominees = nominate(group, hints, live.length === 0);
    const demote = live.map(({ id }) => id);
    return nominees.length > 0 ? { outcome: "choose", nominees, demote, otherwise, reason } : otherwise;
}

/** A leader that can still act: EC2 has not ended it. */
export function isLive({ state }: Leader): boolean {
    return state !== "shutting-down" && state !== "terminated";
}

/** A `since` in milliseconds since 1970; 0 if it is missing, malformed or more than a day ahead. */
export function sinceOf({ since }: { since?: string }, now: number): number {
    const at = since && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(since) ? Date.parse(since) : 0;
    return at <= now + 24 * 60 * 60 * 1000 ? at : 0;
}

/** The latest well-formed `since` on the group's instances, dead ones too: a fencing token only grows. */
export function latestSince(group: Group, now: number): number {
    return Math.max(0, ...group.leaders.map((leader) => sinceOf(leader, now)));
}

function keep(leader: Leader, live: Leader[], reason: string): Decision {
    return { outcome: "kept", leader, demote: live.map(({ id }) => id).filter((id) => id !== leader.id), reason };
}

function nobody({ exists, members }: Group, reason: string): Decision {
    return {
        outcome: members.length > 0 ? "vacant" : "empty",
        demote: [],
        reason: exists ? `nobody to lead; ${reason}` : "no such group",
    };
}

function nominate({ members, leaders }: Group, { launched, warned }: Hints, leaderless: boolean): Nominee[] {
    // Nobody takes over from himself: a leader that is dead may still be listed.
    const others = members.filter(({ id }) => !leaders.some((leader) => leader.id === id));
    const ready = others.filter((member) => isReady(member) && !warned.has(member.id));
    const arriving = leaderless ? others.filter(isArriving) : [];
    return [
        ...ready.map(({ id }) => ({ id, tier: launched.has(id) ? 0 : 1, states: ["running"] })),
        ...arriving.map(({ id }) => ({ id, tier: 2, states: ["pending", "running"] })),
    ];
}

/** Whether the group offers the member to lead; EC2 has its say too. */
export function isReady({ lifecycleState, healthStatus }: Member): boolean {
    return lifecycleState === "InService" && healthStatus === "Healthy";
}

function isArriving({ lifecycleState, healthStatus }: Member): boolean {
    return ["Pending", "Pending:Wait", "Pending:Proceed"].includes(lifecycleState) && healthStatus === "Healthy";
}

function whyUnfit(leader: Leader, group: Group, hints: Hints): string | undefined {
    const member = group.members.find(({ id }) => id === leader.id);
    if (leader.state !== "running") {
        return `is ${leader.state}`;
    }
    if (!member) {
        return "is not listed by its group";
    }
    if (!isReady(member)) {
        return `is listed as ${member.lifecycleState} and ${member.healthStatus}`;
    }
    return hints.warned.has(leader.id) ? "has a Spot interruption warning" : undefined;
}
