// What `npm run status` finds: what the function sees and would do now, with read rights only.
import type { Aws } from "../aws/clients";
import type { Checks } from "../aws/describe";
import { readBatch, sweepEvent } from "../events";
import { type Instance, isEnding, isReady, labelOf, leadersOf } from "../group";
import { plannedRounds } from "../pipeline";
import type { Planned } from "../plan";
import type { Ranking } from "../rank";

/** A group as it is now, and what an election would change in it. */
export interface GroupStatus {
    /** Name of the group, or of the electorate: key and value of its tag. */
    group: string;
    /** Names of an electorate's groups. */
    groups?: string[];
    /** vacant: it wants instances, and none leads; contested: several lead; failed: it could not be read. */
    state: "led" | "vacant" | "contested" | "empty" | "paused" | "failed";
    /** How many instances it wants, and how many are in service and healthy. */
    desired: number;
    inService: number;
    /** Leaders that EC2 has not begun to end, the one that stays first. */
    leaders: { id: string; since?: string; forSeconds?: number }[];
    /** What an election would change; missing if it would change nothing. */
    election?: {
        outcome: string;
        /** Id of the instance that would be chosen. */
        choose?: string;
        /** Why it ranks first. */
        because?: string;
        /** Ids of the instances that would lose the tag. */
        demote: string[];
        /** Id of a leader that would get a `since`. */
        adopt?: string;
    };
    reason: string;
}

/**
 * Looks at every group as a sweep does, and plans as a sweep does, but writes nothing.
 *
 * @param aws for the stack that looks after the groups, or will
 * @returns groups with a problem first, then by name
 * @throws what could not be read: a table that lacks groups would look like all of them
 */
export async function statusOf(aws: Aws): Promise<GroupStatus[]> {
    const now = Date.now();
    const batch = readBatch(aws.scope, [JSON.stringify(sweepEvent)], now);
    const found: GroupStatus[] = [];
    for await (const { planned, unread } of plannedRounds(aws, batch)) {
        found.push(...planned.map((election) => groupStatus(election, now)));
        for (const { error } of unread) {
            throw error;
        }
    }
    const isFine = ({ state }: GroupStatus) => Number(["led", "empty", "paused"].includes(state));
    return found.sort((a, b) => isFine(a) - isFine(b) || (a.group < b.group ? -1 : 1));
}

/** Names of groups that are there, whatever their prefix, 100 at most. */
export async function groupsThere(aws: Aws): Promise<string[]> {
    const options = { abortSignal: aws.deadline.signal };
    const answer = await aws.autoScaling.describeAutoScalingGroups({ MaxRecords: 100 }, options);
    return (answer.AutoScalingGroups ?? []).flatMap(({ AutoScalingGroupName = [] }) => AutoScalingGroupName);
}

function groupStatus({ group, plan, ranking }: Planned, now: number): GroupStatus {
    const leaders = leadersOf(group, now).filter((leader) => !isEnding(leader));
    const { outcome, reason, adopt } = plan;
    const demote = [...plan.demote, ...plan.retire];
    const [choose] = plan.promote;
    const chosen = choose === undefined ? {} : { choose, because: becauseOf(ranking) };
    const changes = choose !== undefined || demote.length > 0 || adopt !== undefined;
    return {
        group: labelOf(group),
        ...(group.groups ? { groups: group.groups } : {}),
        state: outcome === "failed" || outcome === "paused" ? outcome : stateOf(leaders, group.desired),
        desired: group.desired,
        inService: group.instances.filter(isReady).length,
        leaders: leaders.map(({ id, since }) => ({ id, ...timesOf(since, now) })),
        ...(changes ? { election: { outcome, ...chosen, demote, ...(adopt ? { adopt } : {}) } } : {}),
        reason,
    };
}

function stateOf(leaders: Instance[], desired: number): GroupStatus["state"] {
    if (leaders.length > 1) {
        return "contested";
    }
    return leaders.length === 1 ? "led" : desired > 0 ? "vacant" : "empty";
}

function timesOf(since: string | undefined, now: number): { since?: string; forSeconds?: number } {
    const seconds = Math.floor((now - Date.parse(since ?? "")) / 1000);
    return { ...(since ? { since } : {}), ...(seconds >= 0 ? { forSeconds: seconds } : {}) };
}

/** What ranks the chosen instance first, in words, as far as it could be read. */
function becauseOf({ checks, load }: Partial<Ranking> = {}): string {
    const cpu = load === undefined ? "not known" : `${Math.round(load)} %`;
    return `checks ${checkWords[checks ?? "unknown"]}, CPU ${cpu}`;
}

const checkWords: Record<Checks, string> = {
    ok: "ok",
    unknown: "not known yet",
    impaired: "impaired, or an event is scheduled",
};
