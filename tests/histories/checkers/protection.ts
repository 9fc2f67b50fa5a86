// With protectLeader leaders are protected from scaling in, those demoted no longer, and all others as others left them.
import type { Call } from "../../simulator/aws/faults";
import { isTrue } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import { type Evidence, rememberedMillis } from "./evidence";

const keeping = ["InService", "EnteringStandby", "Standby"];

/** Looks at every change of protection, and at the leaders of each election and at rest. */
export function protection(evidence: Evidence, note: Note): Checker {
    const { electorates, expect, world } = evidence;
    const { region } = world;
    /** Instances that were demoted in a batch. */
    const demotedIn = new WeakMap<object, Set<string>>();

    /** Instances that were protected when a container promoted them. */
    const protectedBefore = new WeakMap<object, Set<string>>();

    /** Whether a group leaves protection to the function: it does not protect by default, and is not to be empty. */
    const leavesIt = (id: string) => {
        const group = region.memberOf(id)?.group;
        return group !== undefined && group.protectsNew !== true && (group.desired ?? 1) > 0;
    };
    const lacks = (id: string) => {
        const member = region.memberOf(id)?.member;
        return member?.lifecycleState === "InService" && !member.protected && leavesIt(id);
    };
    const isProtected = (id: string) => {
        const member = region.memberOf(id)?.member;
        return member !== undefined && keeping.includes(member.lifecycleState) && member.protected;
    };
    /** Whether an instance leads, or can be remembered to lead. */
    const ledSince = (id: string, start: number) => {
        const remembered = start - rememberedMillis - expect.handoverMillis;
        const { versions } = region.instance(id);
        return versions.some(
            ({ tags }, index) => isTrue(tags[expect.tagKey]) && (versions[index + 1]?.at ?? start) >= remembered,
        );
    };
    const checkProtection = ({ InstanceIds, ProtectedFromScaleIn: on }: Call["input"], batch: Batch, by: object) => {
        if (!expect.protectLeader) {
            note("no other protection is touched", "it was set, though the setting is off");
        }
        for (const id of InstanceIds as string[]) {
            const group = region.memberOf(id)?.group;
            const fails = (how: string) => note("no other protection is touched", `${id} of ${group?.name}: ${how}`);
            const isToBeEmpty = group?.desired === 0;
            const mayHaveBeen = isToBeEmpty || evidence.isChangedSince(batch.start);
            if (group?.protectsNew) {
                fails("its group protects all new instances");
            } else if (on) {
                if (!ledSince(id, batch.start)) {
                    fails("set, and it does not lead");
                } else if (isToBeEmpty && !evidence.isChangedSince(batch.start)) {
                    fails("set, and its group is to be empty");
                }
            } else if (!demotedIn.get(batch.events)?.has(id) && !mayHaveBeen) {
                fails("removed, and it was not demoted");
            } else if (expect.alone && protectedBefore.get(by)?.has(id)) {
                fails("removed, and it was there before the promotion");
            }
        }
    };

    return {
        afterWrite: ({ action, input, by }) => {
            const batch = by?.batch;
            if (!batch) {
                return;
            }
            if (action === "autoscaling:SetInstanceProtection") {
                checkProtection(input, batch, by);
                return;
            }
            // Not if the call gives a tag back, or dates a leader: such a leader keeps what it had before its term.
            if (action === "ec2:CreateTags" && input.Tags.length === 2) {
                const before = protectedBefore.get(by) ?? new Set();
                protectedBefore.set(by, before);
                for (const id of input.Resources as string[]) {
                    before[region.memberOf(id)?.member.protected ? "add" : "delete"](id);
                }
            }
            const demoted = demotedIn.get(batch.events) ?? new Set();
            demotedIn.set(batch.events, demoted);
            for (const id of action === "ec2:DeleteTags" ? input.Resources : []) {
                demoted.add(id);
            }
        },
        afterInvocation: (invocation, by) => {
            const judged = expect.protectLeader && evidence.undisturbed(invocation, by);
            if (!judged || invocation.error) {
                return;
            }
            const swept = invocation.events.some((event) => event["detail-type"] === "Scheduled Event");
            for (const { group, outcome, leader, demoted } of invocation.reports) {
                const isDue = outcome === "elected" || (outcome === "kept" && swept);
                if (leader !== undefined && isDue && lacks(leader)) {
                    note("leaders are protected from scaling in", `${leader} of ${group} is in service, and is not`);
                }
                // One that got its tag back leads on.
                const ours = (id: string) => id !== leader && leavesIt(id) && !protectedBefore.get(by)?.has(id);
                for (const id of demoted.filter((one) => isProtected(one) && ours(one))) {
                    note("the protection of a demoted leader is removed", `${id} of ${group} has it still`);
                }
            }
        },
        atRest: (home) => {
            const refused = electorates.members(home).some(({ id }) => expect.refused.has(id));
            const isPaused = electorates.paused().has(home);
            const unprotected = electorates.leaders(home).filter(lacks);
            if (expect.protectLeader && !refused && !isPaused && unprotected.length > 0) {
                note("leaders are protected from scaling in", `${unprotected.join(", ")} of ${home} at rest`);
            }
        },
    };
}
