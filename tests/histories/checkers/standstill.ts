// Where nothing is to be written, nothing is: in a paused group, and with dryRun.

import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import { isRead } from "./evidence";

/** Looks for writes about instances of paused groups, and for reports that call a paused group something else. */
export function pauses(evidence: Evidence, note: Note): Checker {
    const { electorates } = evidence;
    return {
        beforeCall: (call, batch) => {
            const ids: string[] = isRead(call) ? [] : (call.input.Resources ?? call.input.InstanceIds ?? []);
            for (const id of ids) {
                const sights = evidence.sightsOf(batch, id);
                if (sights.length > 0 && sights.every(({ paused }) => paused)) {
                    note("nothing is written in a paused group", `${call.action} on ${id} of ${sights[0]?.home}`);
                }
            }
        },
        afterInvocation: ({ start, reports }) => {
            const paused = electorates.paused();
            for (const { group, outcome, demoted, reason } of evidence.isChangedSince(start) ? [] : reports) {
                if ((outcome === "paused") !== paused.has(group) && outcome !== "failed") {
                    note(
                        "reports are true",
                        `${group} is ${paused.has(group) ? "" : "not "}paused: ${outcome}: ${reason}`,
                    );
                }
                if (outcome === "paused" && demoted.length > 0) {
                    note("reports are true", `${group} is paused, and demoted ${demoted.join(", ")}`);
                }
            }
        },
    };
}

/** Looks for any write of a stack that only tries. */
export function dryRuns(evidence: Evidence, note: Note): Checker {
    return {
        beforeCall: (call) => {
            if (evidence.expect.dryRun && !isRead(call)) {
                note("a dry run writes nothing", `${call.action} ${JSON.stringify(call.input)}`);
            }
        },
    };
}
