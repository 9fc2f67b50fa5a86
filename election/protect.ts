import { type Aws, asking, inParts } from "./aws";
import type { Group } from "./decide";
import { sweepType } from "./events";
import { millisToReport, type Written, within } from "./promote";
import { warn } from "./report";

// Auto Scaling takes the setting of no other members, and drops the protection of those that leave.
const keepingProtection = ["InService", "EnteringStandby", "Standby"];
const patienceMillis = 1500;

/**
 * Protects leaders from scaling in: whoever was promoted, and whom a sweep finds without it; whoever was demoted loses
 * it. What fails is told and left, and keeps no election from its end; the next sweep protects a leader that lacks it.
 *
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html
 *
 * @param elections each group with what was written for it, and the id of its leader
 * @param millisLeft how long the invocation may still run: its tags are written, and it has to tell of them
 * @returns how many instances are not as they should be
 */
export async function protect(
    aws: Aws,
    elections: { group: Group; written: Written; leader?: string }[],
    millisLeft: number,
): Promise<number> {
    const wishes = elections.flatMap(({ group, written, leader }) => {
        const sweeping = group.triggers.includes(sweepType);
        const members = group.members.filter(({ lifecycleState }) => keepingProtection.includes(lifecycleState));
        return members.flatMap(({ id, group: name, lifecycleState, protected: isProtected }) => {
            const lacks = !isProtected && lifecycleState === "InService";
            if (id === leader && (id === written.promoted?.id || sweeping) && lacks) {
                return [{ id, group: name, on: true }];
            }
            return written.demoted.includes(id) ? [{ id, group: name, on: false }] : [];
        });
    });
    const abortSignal = within(Math.min(patienceMillis, millisLeft - millisToReport));
    const failures = await Promise.all(
        [true, false].flatMap((on) => {
            const some = wishes.filter((wish) => wish.on === on);
            const groups = [...new Set(some.map(({ group }) => group))];
            return groups.flatMap((group) => {
                const ids = some.filter((wish) => wish.group === group).map(({ id }) => id);
                return inParts(ids, 50).map((part) => set(aws, group, part, on, abortSignal));
            });
        }),
    );
    return failures.reduce((sum, count) => sum + count, 0);
}

async function set(aws: Aws, group: string, ids: string[], on: boolean, abortSignal: AbortSignal): Promise<number> {
    const request = { AutoScalingGroupName: group, InstanceIds: ids, ProtectedFromScaleIn: on };
    try {
        const answer = aws.autoScaling.setInstanceProtection(request, { abortSignal });
        await asking("autoscaling:SetInstanceProtection", [group, ...ids], answer);
        return 0;
    } catch (error) {
        warn(`leaders are not ${on ? "protected from" : "left to"} scaling in as they should be`, error);
        return ids.length;
    }
}
