// Reports are complete and true, changes are logged, and nothing fails unless AWS does.

import { instanceIn } from "../../simulator/aws/events";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch, Container } from "../../simulator/clock";
import { isOurs } from "../../simulator/electorates";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import { isVetoed, type View } from "./model";

/** Compares what the function reports with what it saw, and with what it logged. */
export function reports(evidence: Evidence, note: Note): Checker {
    const { expect, world } = evidence;
    let linesRead = 0;
    return {
        afterInvocation: (invocation, by) => {
            const { reports, start } = invocation;
            const lines = world.lines.slice(linesRead).filter(({ level }) => level !== "debug");
            const logged = new Set(lines.map(({ entry }) => JSON.stringify(entry)));
            linesRead = world.lines.length;
            // What can't be read for an event, a sweep in the same batch may still read.
            const labels = reports.filter(({ triggers }) => triggers.length > 0).map(({ group }) => group);
            for (const label of labels.filter((one, index) => labels.indexOf(one) !== index)) {
                note("each group has one election in a batch", `${label} at ${start}`);
            }
            for (const report of reports) {
                const { group, outcome, leader, demoted, reason, delay, events: ids = [] } = report;
                if (reason.includes("no such group") && world.region.groups.has(group)) {
                    note("reports are true", `${group} at ${start}: there is such a group`);
                }
                const times = invocation.events
                    .filter(({ id }) => ids.includes(id))
                    .map(({ time }) => Date.parse(time));
                if (delay !== undefined && delay < start - Math.min(...times)) {
                    note("a delay counts from the first event", `${group} at ${start}: ${delay} ms`);
                }
                if (outcome === "kept" && leader !== undefined && evidence.knowsState(leader, by, "shutting-down")) {
                    note("no election keeps a leader that EC2 is ending", `${leader} of ${group} at ${start}`);
                }
                if ((outcome === "elected" || demoted.length > 0) && !logged.has(JSON.stringify(report))) {
                    note("changes are logged", `${group} at ${start}`);
                }
                const statements = [...reason.matchAll(/(i-\w+) (is [^;]*|has a Spot[^;]*)/g)];
                for (const [, id = "", said = ""] of expect.exact ? statements : []) {
                    if (!isTrueOf(evidence, id, said.trim(), group, invocation, by)) {
                        note("reasons are true", `${group} at ${start}: ${id} ${said}`);
                    }
                }
                const named = statements.map(([, id]) => id);
                // A read that lags may show a leader whose demotion is remembered: it is demoted again, just in case.
                const isJudged = outcome === "elected" && expect.exact;
                for (const id of isJudged ? demoted.filter((one) => !named.includes(one)) : []) {
                    note("reasons are true", `${group} at ${start}: ${id} was replaced without a reason: ${reason}`);
                }
            }
        },
    };
}

/** An invocation ends in time with reports; nothing fails when AWS answers, and each event is followed by an election. */
export function failures(evidence: Evidence, note: Note): Checker {
    const { world } = evidence;
    let linesRead = 0;
    world.region.onEvent.push((event) => {
        const { AutoScalingGroupName: group } = event.detail;
        if (event.source === "aws.autoscaling" && isOurs(evidence.expect, group)) {
            if (world.stack.takersOf(event).length === 0) {
                note(
                    "each scaling event of the stack's groups reaches its queue",
                    `${event["detail-type"]} of ${group}`,
                );
            }
        }
    });
    return {
        beforeCall: ({ action, input }) => {
            if (/Tags$/.test(action) && input.Resources.length > 1000) {
                note("no request asks for more than AWS allows", `${action} on ${input.Resources.length} instances`);
            }
        },
        afterInvocation: (invocation) => {
            const { start, events, reports, error } = invocation;
            const lines = world.lines.slice(linesRead);
            linesRead = world.lines.length;
            if (error && !evidence.wasKilled(invocation)) {
                note("an invocation ends in time, and throws nothing", `the one at ${start}: ${error.message}`);
            }
            if (
                evidence.isUnread(invocation) &&
                !error &&
                !lines.some(
                    ({ level, entry }) =>
                        level === "error" ||
                        (level === "warn" && entry.message !== "no group's name begins with the prefix"),
                )
            ) {
                note("what can't be read is reported", `the invocation at ${start}`);
            }
            const view = evidence.undisturbed(invocation);
            if (!view || error) {
                return;
            }
            const refused = [...view].filter(([id]) => evidence.refuses(id));
            const mayFail = new Set(refused.map(([, { home }]) => home));
            const failed = reports.filter(({ group, outcome }) => outcome === "failed" && !mayFail.has(group));
            for (const { group, reason } of failed) {
                note("no election fails when nothing is wrong with AWS", `${group} at ${start}: ${reason}`);
            }
            const reported = reports.map(({ group }) => group);
            for (const home of homesIn(evidence, events, view)) {
                if (!reported.includes(home)) {
                    note("each group that an event names has an election", `${home} at ${start}`);
                }
            }
        },
    };
}

/** The electorates of the stack that a batch must lead to. */
function homesIn({ expect, electorates, world }: Evidence, events: Batch["events"], view: View): Set<string> {
    const { region } = world;
    const leading = (id: string) => {
        const tags = view.get(id)?.tags;
        return tags && isTrue(tags[expect.tagKey]) ? tags[groupKey] : undefined;
    };
    // What a tag event leaves out of an instance's tags, the instance's group is found by its id.
    const homeOf = (id: string) => (region.leftOut.instances.has(id) ? undefined : view.get(id)?.group);
    const groups: (string | undefined)[] = events.flatMap(({ source, detail, resources }) =>
        source === "aws.events"
            ? [...view.values()].map(({ group }) => group)
            : [
                  detail.AutoScalingGroupName ??
                      detail.tags?.[groupKey] ??
                      leading(detail["instance-id"]) ??
                      (source === "aws.tag" ? homeOf(instanceIn(resources)) : undefined),
              ],
    );
    const ours = groups.flatMap((group) => (group !== undefined && isOurs(expect, group) ? [group] : []));
    return new Set(ours.map((group) => electorates.nameOf(group)));
}

function isTrueOf(
    evidence: Evidence,
    id: string,
    said: string,
    home: string,
    batch: Pick<Batch, "start" | "events">,
    by: Container,
): boolean {
    const { warned } = evidence.knowledge(by, batch, false);
    const sights = evidence.sightsOf(batch, id);
    const [, lifecycleState, healthStatus] = said.match(/^is listed as (\S+) and (\S+)$/) ?? [];
    if (said === "has a Spot interruption warning") {
        return warned.has(id);
    }
    if (said === "is vetoed") {
        return sights.some((sight) => isVetoed(sight, evidence.expect.tagKey));
    }
    if (lifecycleState) {
        return sights.some((s) => s.lifecycleState === lifecycleState && s.healthStatus === healthStatus);
    }
    return said === "is not listed by its group"
        ? sights.some(({ electorate }) => electorate !== home)
        : sights.some(({ state }) => said === `is ${state}`) ||
              (said === "is stopping" && evidence.knowsState(id, by, "stopping")) ||
              // A leader that memory alone shows counts as pending while it arrives.
              (said === "is pending" && evidence.isUnaware(id, by, batch.start));
}
