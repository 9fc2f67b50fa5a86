// What is to be written for a group, once its candidates are ranked.
import type { Settled } from "./decide";
import { type Group, type Instance, isEnding, isFit, isSwept, latestSince, sinceOf } from "./group";
import type { Round } from "./observe";
import type { Ranked } from "./rank";

/** An election whose candidates are ranked, and what is to be written for it. */
export interface Planned extends Ranked {
    plan: Plan;
}

/** A round whose elections are planned, and not written yet. */
export interface PlannedRound extends Round {
    planned: Planned[];
}

/** What an election wants written for a group, and what it comes to if that can be written. */
export interface Plan {
    outcome: "kept" | "elected" | "vacant" | "empty" | "paused" | "failed";
    reason: string;
    /** Id of the leader that stays. */
    keep?: string;
    /** Ids that lose the leader tag before another instance gets it. */
    demote: string[];
    /** Ids of leaders that EC2 is ending: they lose it no later, and no election waits for them in vain. */
    retire: string[];
    /** Ids of which the first that can be tagged gets the leader tag. */
    promote: string[];
    /** Id of the demoted leader that gets its tag back if no instance can be promoted. */
    giveBack?: string;
    /** Id of a leader that gets a `since`. */
    adopt?: string;
    /** What is written as `since`: milliseconds since 1970. */
    since: number;
}

/** Says what to write for a group, once its candidates are ranked. `now` is in milliseconds since 1970. */
export const planFor = ({ group, decision, ranking }: Ranked, now: number): Plan => {
    const since = Math.max(now, latestSince(group, now) + 1);
    if (decision.outcome !== "choose") {
        return settled(group, decision, since, now);
    }
    const { fallback, reason } = decision;
    if (!ranking || ranking.error) {
        const failure = `${ranking?.error?.message}; ${reason}`;
        return { outcome: "failed", reason: failure, demote: [], retire: [], promote: [], since };
    }
    if (ranking.ids.length === 0) {
        return settled(group, fallback, since, now);
    }
    const giveBack = fallback.outcome === "kept" ? fallback.leader.id : undefined;
    return { outcome: "elected", reason, ...demotions(decision.demote), promote: ranking.ids, giveBack, since };
};

const settled = (group: Group, decision: Settled, since: number, now: number): Plan => {
    const { outcome, reason } = decision;
    const leader = decision.outcome === "kept" ? decision.leader : undefined;
    // The fence works only for a leader with a proper `since`.
    const lacksSince = leader !== undefined && isFit(leader) && sinceOf(leader, now) === 0;
    const adopt = lacksSince && isSwept(group) ? leader.id : undefined;
    return { outcome, reason, keep: leader?.id, ...demotions(decision.demote), promote: [], adopt, since };
};

const demotions = (leaders: Instance[]): Pick<Plan, "demote" | "retire"> => ({
    demote: leaders.filter((leader) => !isEnding(leader)).map(({ id }) => id),
    retire: leaders.filter(isEnding).map(({ id }) => id),
});
