// With protectLeader leaders are protected from scaling in, those demoted no longer, and all others as others left them.
import type { Call } from "../../simulator/aws/faults";
import { isTrue } from "../../simulator/aws/region";
import type { Batch, Container } from "../../simulator/clock";
import { mark } from "../../simulator/lists";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import { isAlive } from "./model";

const keeping = ["InService", "EnteringStandby", "Standby"];

/** Looks at every change of protection, and at the leaders of each election and at rest. */
export function protection(evidence: Evidence, note: Note): Checker {
    const { electorates, expect, world } = evidence;
    const { region } = world;
    /** Instances that were demoted in a batch. */
    const demotedIn = new WeakMap<object, Set<string>>();

    /** Instances that were protected when a container promoted them. */
    const protectedBefore = new WeakMap<object, Set<string>>();

    /** Whether a group leaves protection to the function: it is not to be empty. */
    const leavesIt = (id: string) => (region.memberOf(id)?.group.desired ?? 1) > 0;
    const lacks = (id: string) => {
        const member = region.memberOf(id)?.member;
        return member?.lifecycleState === "InService" && !member.protected && leavesIt(id);
    };
    /** Not one that EC2 is ending: its group keeps it no longer, and need not list it. */
    const isProtected = (id: string) => {
        const member = region.memberOf(id)?.member;
        const isKept = member !== undefined && isAlive({ state: region.state(id) });
        return isKept && keeping.includes(member.lifecycleState) && member.protected;
    };
    const checkProtection = ({ InstanceIds, ProtectedFromScaleIn: on }: Call["input"], batch: Batch, by: Container) => {
        if (!expect.protectLeader) {
            note("no other protection is touched", "it was set, though the setting is off");
        }
        for (const id of InstanceIds as string[]) {
            const group = region.memberOf(id)?.group;
            const fails = (how: string) => note("no other protection is touched", `${id} of ${group?.name}: ${how}`);
            const isToBeEmpty = group?.desired === 0;
            const isChanged = evidence.isChangedSince(batch.start);
            if (on && !isTrue(region.tags(id)[expect.tagKey]) && evidence.isClear(by, batch)) {
                fails("set, and it does not lead");
            } else if (on && isToBeEmpty && !isChanged) {
                fails("set, and its group is to be empty");
            } else if (!on && !demotedIn.get(batch.events)?.has(id) && !isToBeEmpty && !isChanged) {
                fails("removed, and it was not demoted");
            } else if (!on && expect.alone && protectedBefore.get(by)?.has(id)) {
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
                const isSure = !evidence.isChangedSince(batch.start);
                for (const id of input.Resources as string[]) {
                    mark(before, id, isSure && region.memberOf(id)?.member.protected === true);
                }
            }
            const demoted = demotedIn.get(batch.events) ?? new Set();
            demotedIn.set(batch.events, demoted);
            for (const id of action === "ec2:DeleteTags" ? input.Resources : []) {
                demoted.add(id);
            }
        },
        afterInvocation: (invocation, by) => {
            const judged = expect.protectLeader && evidence.undisturbed(invocation);
            if (!judged) {
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
            const isPaused = electorates.paused().has(home);
            const unprotected = electorates.leaders(home).filter((id) => lacks(id) && !evidence.refuses(id));
            if (expect.protectLeader && !isPaused && unprotected.length > 0) {
                note("leaders are protected from scaling in", `${unprotected.join(", ")} of ${home} at rest`);
            }
        },
    };
}
