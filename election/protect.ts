// Keeps leaders from being scaled in, if the setting protectLeader is on.
import { chunks, groupedBy, withContext } from "./aws/answers";
import type { Aws } from "./aws/clients";
import { millisToProtect } from "./aws/deadline";
import { isSwept } from "./group";
import { warn } from "./log";
import type { Memory } from "./memory";
import type { Written } from "./promote";

/**
 * Protects leaders from scaling in: those promoted, and those that a sweep finds without it. Demoted ones lose it, and
 * leaders of a group that is to be empty, which would never get rid of them. In a group that protects all its new
 * instances, and of an instance that was protected before it led, protection is not the election's to change.
 * Failures are logged and counted, and never fail an election; the next sweep protects a leader that lacks it.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html
 *
 * @returns how many instances are not as they should be
 */
export const protect = async (aws: Aws, memory: Memory, elections: Written[]): Promise<number> => {
    if (!aws.scope.protectLeader) {
        return 0;
    }
    const changes = elections.flatMap((election) => changesIn(memory, election));
    const alike = groupedBy(changes, ({ group, on }) => `${on} ${group}`);
    const abortSignal = aws.deadline.within(millisToProtect);
    const parts = [...alike.values()].flatMap((changed) => chunks(changed, 50));
    const failures = parts.map(async (part) => {
        const [{ group, on } = { group: "", on: false }] = part;
        const ids = part.map(({ id }) => id);
        const request = { AutoScalingGroupName: group, InstanceIds: ids, ProtectedFromScaleIn: on };
        try {
            const answer = aws.autoScaling.setInstanceProtection(request, { abortSignal });
            await withContext("autoscaling:SetInstanceProtection", [group, ...ids], answer, abortSignal);
            return 0;
        } catch (error) {
            warn(`leaders are not ${on ? "protected from" : "left to"} scaling in as they should be`, error);
            return ids.length;
        }
    });
    return (await Promise.all(failures)).reduce((sum, count) => sum + count, 0);
};

/** The leaders whose protection is to change. */
const changesIn = ({ protectedBefore }: Memory, { group, plan, result }: Written) => {
    // Auto Scaling takes the setting for no other members, and drops the protection of those that leave.
    const protectableStates = ["InService", "EnteringStandby", "Standby"];
    const leader = result.promoted?.id ?? plan.keep;
    return group.instances.flatMap(({ id, listed }) => {
        if (!listed || !protectableStates.includes(listed.lifecycleState) || group.protecting.includes(listed.group)) {
            return [];
        }
        const change = { id, group: listed.group };
        if (id === leader && !group.emptying.includes(listed.group)) {
            const lacks = !listed.protected && listed.lifecycleState === "InService";
            const isAsked = id === result.promoted?.id || isSwept(group);
            return lacks && isAsked ? [{ ...change, on: true }] : [];
        }
        const leads = id === leader || result.demoted.includes(id);
        return leads && listed.protected && !protectedBefore.get(id) ? [{ ...change, on: false }] : [];
    });
};
