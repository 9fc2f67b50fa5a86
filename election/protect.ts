// Keeps leaders from being scaled in, if the setting protectLeader is on.
import { chunks, groupedBy, withContext } from "./aws/answers";
import type { Aws } from "./aws/clients";
import { millisToProtect } from "./aws/deadline";
import { isSwept } from "./group";
import { warn } from "./log";
import type { Memory } from "./memory";
import type { Written } from "./promote";

// Auto Scaling takes the setting for no other members, and drops the protection of those that leave.
const protectableStates = ["InService", "EnteringStandby", "Standby"];

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
 * @returns how many instances are not as they should be
 */
export async function protect(aws: Aws, memory: Memory, elections: Written[]): Promise<number> {
    if (!aws.scope.protectLeader) {
        return 0;
    }
    const changes = elections.flatMap((election) => changesIn(election, memory));
    const alike = groupedBy(changes, ({ group, protect }) => `${protect} ${group}`);
    const abortSignal = aws.deadline.within(millisToProtect);
    const failures = await Promise.all(
        [...alike.values()].flatMap((some) => chunks(some, 50).map((part) => setProtection(aws, part, abortSignal))),
    );
    return failures.reduce((sum, count) => sum + count, 0);
}

function changesIn({ group, plan, result, pretended }: Written, { protectedBefore }: Memory): Change[] {
    if (pretended) {
        return [];
    }
    const leader = result.promoted?.id ?? plan.keep;
    return group.instances.flatMap(({ id, listed }): Change[] => {
        if (!listed || !protectableStates.includes(listed.lifecycleState) || group.protecting.includes(listed.group)) {
            return [];
        }
        if (id === leader && !group.emptying.includes(listed.group)) {
            const lacks = !listed.protected && listed.lifecycleState === "InService";
            const isAsked = id === result.promoted?.id || isSwept(group);
            return lacks && isAsked ? [{ id, group: listed.group, protect: true }] : [];
        }
        const leads = id === leader || result.demoted.includes(id);
        return leads && listed.protected && !protectedBefore.has(id)
            ? [{ id, group: listed.group, protect: false }]
            : [];
    });
}

/** Makes changes that are alike in one call; returns how many were not made. */
async function setProtection(aws: Aws, changes: Change[], abortSignal: AbortSignal): Promise<number> {
    const [{ group, protect } = { group: "", protect: false }] = changes;
    const ids = changes.map(({ id }) => id);
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
