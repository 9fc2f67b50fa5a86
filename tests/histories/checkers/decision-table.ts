// Each election, and each group at rest, ends as the decision table says.
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Container } from "../../simulator/clock";
import type { Invocation } from "../../simulator/stack/deployment";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import { agrees, inWords, isAlive, type Verdict, type View, verdictOn } from "./model";

/** Compares what an undisturbed election came to with the verdict on what it saw. */
export function decisionTable(evidence: Evidence, note: Note): Checker {
    const { expect, electorates, world } = evidence;
    return {
        afterInvocation: (invocation, by) => {
            const view = evidence.undisturbed(invocation, by);
            if (!view) {
                return;
            }
            const { events, start, reports } = invocation;
            const swept = events.some((event) => event["detail-type"] === "Scheduled Event");
            for (const home of swept ? electorates.names() : reports.map(({ group }) => group)) {
                const report = reports.find(({ group }) => group === home);
                if (report?.outcome !== "failed" && !isExcused(evidence, home, view, invocation, by)) {
                    const leaders = electorates.leaders(home);
                    const verdict = verdictOn(view, home, start, expect, events);
                    if (!agrees(verdict, leaders)) {
                        const reported = report ? `${report.outcome}: ${report.reason}` : "no report";
                        note(ruleOf(verdict, leaders), `${home}: ${inWords(verdict, leaders)}; ${reported}`);
                    }
                }
            }
        },
        atRest: (home, verdict) => {
            const leaders = electorates.leaders(home);
            const members = electorates.members(home);
            // Where EC2 refuses to write an instance's tags, the group may be kept from what the table says.
            const refused = (id: string) => expect.refused.get(id) === "UnauthorizedOperation";
            const right = members.some(({ id }) => refused(id))
                ? leaders.filter((id) => !refused(id)).length <= 1
                : agrees(verdict, leaders);
            if (!right) {
                note(ruleOf(verdict, leaders), `${home}: ${inWords(verdict, leaders)}`);
            }
        },
        afterRest: () => {
            const { region } = world;
            for (const id of region.instances.keys()) {
                if (isOrphan(evidence, id) && expect.refused.get(id) !== "UnauthorizedOperation") {
                    note("an instance in no group loses the tags", `${id} carries them`);
                }
            }
        },
    };
}

/** The rule that is broken where the leaders differ from the verdict. */
function ruleOf({ row, oneOf }: Verdict, leaders: string[]) {
    if (leaders.length > 1) {
        return "at rest a group has one leader";
    }
    if (row === "a fit leader" || row === "fit members") {
        const isOther = leaders.length === 1 && row === "fit members" && oneOf.length > 0;
        return isOther ? "the leader is one that may lead" : "a group with fit members has a fit leader";
    }
    return row === "arriving members" ? "while a group boots, a member leads" : "the leader is one that may lead";
}

/** Whether what came of a group's election may differ: a write is refused, a change unknown, or the group is flapping. */
function isExcused(
    evidence: Evidence,
    home: string,
    view: View,
    { start }: Pick<Invocation, "start">,
    by: Container,
): boolean {
    const about = [...view].filter(([, sight]) => sight.home === home);
    const promotions = evidence.writes.filter((write) => write.by === by && write.home === home && write.since);
    return (
        about.some(([id]) => evidence.expect.refused.has(id) || evidence.isUnaware(id, by, start)) ||
        promotions.length >= 3
    );
}

function isOrphan({ world: { region }, expect: { tagKey } }: Evidence, id: string): boolean {
    const tags = region.tags(id);
    const marked = isTrue(tags[tagKey]) && tags[`${tagKey}:since`] !== undefined;
    return marked && isAlive({ state: region.state(id) }) && tags[groupKey] === undefined && !region.memberOf(id);
}
