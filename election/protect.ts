// Keeps leaders from being scaled in, if the setting protectLeader is on.
import { type Aws, chunks, withContext, within } from "./aws";
import { sweepType } from "./events";
import { warn } from "./log";
import { millisToReport, type Written } from "./promote";
import type { Scope } from "./scope";

// Auto Scaling takes the setting for no other members, and drops the protection of those that leave.
const protectableStates = ["InService", "EnteringStandby", "Standby"];
const timeoutMillis = 1500;

/** A leader's protection that is to change. */
interface Change {
    id: string;
    group: string;
    protect: boolean;
}

/**
 * Protects leaders from scaling in: those promoted, and those that a sweep finds without it. Demoted ones lose it, and
 * leaders of a group that is to be empty, which would wait for them for ever. In a group that protects all its new
 * instances, and of an instance that was protected before it led, protection is not the election's to change.
 * Failures are logged and counted, and never fail an election; the next sweep protects a leader that lacks it.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html
 *
 * @param protectedBefore ids of instances that were protected before they led, as far as this container knows; it is added to
 * @param millisLeft how long the invocation may still run: its tags are written, and it has to report
 * @returns how many instances are not as they should be
 */
export async function protect(
    aws: Aws,
    { protectLeader, dryRun }: Scope,
    elections: Written[],
    protectedBefore: Set<string>,
    millisLeft: number,
): Promise<number> {
    if (!protectLeader || dryRun) {
        return 0;
    }
    const changes = elections.flatMap((election) => changesIn(election, protectedBefore));
    const abortSignal = within(Math.min(timeoutMillis, millisLeft - millisToReport));
    const failures = await Promise.all(
        [true, false].flatMap((protect) => {
            const some = changes.filter((change) => change.protect === protect);
            const groups = [...new Set(some.map(({ group }) => group))];
            return groups.flatMap((group) => {
                const ids = some.filter((change) => change.group === group).map(({ id }) => id);
                return chunks(ids, 50).map((part) => setProtection(aws, group, part, protect, abortSignal));
            });
        }),
    );
    return failures.reduce((sum, count) => sum + count, 0);
}

function changesIn({ group, plan, result }: Written, protectedBefore: Set<string>): Change[] {
    const leader = result.promoted?.id ?? plan.keep;
    const isSwept = group.triggers.some(({ type }) => type === sweepType);
    const promoted = result.isGivenBack ? undefined : result.promoted?.id;
    return group.instances.flatMap(({ id, listed }): Change[] => {
        const name = listed?.group;
        if (id === promoted) {
            protectedBefore[listed?.protected ? "add" : "delete"](id);
        }
        if (!listed || name === undefined || !protectableStates.includes(listed.lifecycleState)) {
            return [];
        }
        if (group.protecting.includes(name)) {
            return [];
        }
        if (id === leader && !group.emptying.includes(name)) {
            const lacks = !listed.protected && listed.lifecycleState === "InService";
            return lacks && (id === result.promoted?.id || isSwept) ? [{ id, group: name, protect: true }] : [];
        }
        const leads = id === leader || result.demoted.includes(id);
        return leads && listed.protected && !protectedBefore.has(id) ? [{ id, group: name, protect: false }] : [];
    });
}

async function setProtection(
    aws: Aws,
    group: string,
    ids: string[],
    protect: boolean,
    abortSignal: AbortSignal,
): Promise<number> {
    const request = { AutoScalingGroupName: group, InstanceIds: ids, ProtectedFromScaleIn: protect };
    try {
        const answer = aws.autoScaling.setInstanceProtection(request, { abortSignal });
        await withContext("autoscaling:SetInstanceProtection", [group, ...ids], answer, abortSignal);
        return 0;
    } catch (error) {
        warn(`leaders are not ${protect ? "protected from" : "left to"} scaling in as they should be`, error);
        return ids.length;
    }
}
