// Each election, and each group at rest, ends as the decision table says.
import type { Reports } from "../../simulator/aws/endpoint";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Container } from "../../simulator/clock";
import { isOurs } from "../../simulator/electorates";
import type { Invocation } from "../../simulator/stack/deployment";
import type { Checker, Note } from "./checker";
import { detachesIn, type Evidence } from "./evidence";
import {
    agrees,
    inWords,
    isFitSight,
    leadersIn,
    type Sight,
    sinceIn,
    type Verdict,
    type View,
    verdictOn,
    viewOf,
} from "./model";

/** Compares what an undisturbed election came to with the verdict on what it saw; and at rest with that on the region. */
export function decisionTable(evidence: Evidence, note: Note): Checker {
    const { expect, electorates, world } = evidence;
    const { region } = world;
    const { tagKey } = expect;
    const leadersNow = (home: string) => leadersIn(viewOf(region, electorates), home, tagKey).map(([id]) => id);

    const checkElection = (home: string, view: View, invocation: Invocation, by: Container) => {
        const { start, reports, events } = invocation;
        const report = reports.find(({ group }) => group === home);
        const isTrial = expect.dryRun && report !== undefined;
        const leaders = isTrial ? leadersBy(report, leadersIn(view, home, tagKey)) : leadersNow(home);
        // A refusal may be remembered for three minutes, or not: its container may be another one now.
        const verdictIf = (avoids: boolean) =>
            verdictOn(view, home, start, expect, evidence.knowledge(by, { start, events }, avoids));
        const verdict = verdictIf(false);
        const verdicts = [verdict, verdictIf(true)];
        const reported = report ? `${report.outcome}: ${report.reason}` : "no report";
        if (!verdicts.some((one) => agrees(one, leaders))) {
            note(ruleOf(verdict, leaders), `${home}: ${inWords(verdict, leaders)}; ${reported}`);
        } else if (report && leaders.length === 0 && report.outcome !== "failed") {
            const groups = electorates.groups(home).flatMap((name) => region.groups.get(name) ?? []);
            const wanted = groups.reduce((sum, { desired, members }) => sum + (desired ?? members.length), 0);
            const outcome = electorates.paused().has(home) ? "paused" : wanted > 0 ? "vacant" : "empty";
            if (report.outcome !== outcome) {
                note("reports are true", `${home} wants ${wanted}: ${outcome}, not ${reported}`);
            }
        }
    };

    /** Whether an instance in no group carries the leader tag. */
    const isLooseLeader = ({ group, tags, state }: Sight) =>
        group === undefined && tags[groupKey] === undefined && isTrue(tags[tagKey]) && state !== "terminated";
    const hasLed = ({ tags }: Sight) => tags[`${tagKey}:since`] !== undefined;
    /** Whether an instance carries the tag still, though EC2 refuses nothing. */
    const keepsTag = (id: string) =>
        !expect.dryRun && !evidence.refuses(id, "delete") && isTrue(region.tags(id)[tagKey]);
    const noteOrphan = (id: string, how: string) => note("an instance in no group loses the tags", `${id} ${how}`);

    return {
        afterInvocation: (invocation, by) => {
            const view = evidence.undisturbed(invocation);
            if (!view) {
                return;
            }
            const swept = invocation.events.some((event) => event["detail-type"] === "Scheduled Event");
            const reported = invocation.reports.map(({ group }) => group);
            for (const home of swept ? electorates.names() : reported) {
                if (!isExcused(evidence, home, view, invocation, by)) {
                    checkElection(home, view, invocation, by);
                }
            }
            const detached = detachesIn(invocation.events).filter(({ group }) => isOurs(expect, group));
            const isKnown = (id: string) => !evidence.isUnaware(id, by, invocation.start);
            const loose = [...view].filter(([id, sight]) => isLooseLeader(sight) && keepsTag(id) && isKnown(id));
            for (const [id] of loose) {
                if (swept && hasLed(view.get(id) as Sight)) {
                    noteOrphan(id, "was swept, and keeps them");
                } else if (detached.some((one) => one.id === id)) {
                    noteOrphan(id, "was detached, and leads on");
                }
            }
        },
        atRest: (home, verdict) => {
            if (expect.dryRun) {
                return;
            }
            const leaders = leadersNow(home);
            if (!agrees(verdict, leaders)) {
                note(ruleOf(verdict, leaders), `${home} at rest: ${inWords(verdict, leaders)}`);
            }
            const view = viewOf(region, electorates);
            for (const [id, sight] of leadersIn(view, home, tagKey)) {
                const lacks = sinceIn(sight.tags, tagKey, region.timeline.now) === 0 && !sight.paused;
                if (lacks && isFitSight(sight, tagKey) && !leaders.some((one) => evidence.refuses(one))) {
                    note("a fit leader has a since after a sweep", `${id} of ${home}`);
                }
            }
        },
        afterRest: () => {
            for (const [id, sight] of [...viewOf(region, electorates)].filter(([one]) => keepsTag(one))) {
                if (isLooseLeader(sight) && hasLed(sight)) {
                    noteOrphan(id, "carries them");
                }
                const named = sight.tags[groupKey];
                const isGone = named !== undefined && isOurs(expect, named) && !region.groups.has(named);
                if (isGone && sight.group === undefined && sight.state !== "terminated") {
                    note("no instance leads a group that is gone", `${id} leads ${named}`);
                }
            }
        },
    };
}

/** Which instances would lead, as a report of a dry run says. */
function leadersBy({ outcome, leader, demoted }: Reports[number], leaders: [string, Sight][]): string[] {
    const others = leaders.map(([id]) => id).filter((id) => !demoted.includes(id));
    return outcome === "elected" && leader !== undefined ? [...others, leader] : others;
}

/** The rule that is broken where the leaders differ from the verdict. */
function ruleOf({ row, oneOf }: Verdict, leaders: string[]) {
    if (row === "a paused group") {
        return "nothing is written in a paused group";
    }
    if (leaders.length > 1) {
        return "at rest a group has one leader";
    }
    if (row === "a fit leader" || row === "fit members") {
        const isOther = leaders.length === 1 && row === "fit members" && oneOf.length > 0;
        return isOther ? "the leader is one that may lead" : "a group with fit members has a fit leader";
    }
    return row === "arriving members" && leaders.length === 0
        ? "while a group boots, a member leads"
        : "the leader is one that may lead";
}

/** Whether what came of a group's election may differ: its container can't know of a change, or the group is flapping. */
function isExcused(
    evidence: Evidence,
    home: string,
    view: View,
    { start, reports }: Pick<Invocation, "start" | "reports">,
    by: Container,
): boolean {
    const about = [...view].filter(([, sight]) => sight.home === home);
    const triggers = reports.find(({ group }) => group === home)?.triggers ?? [];
    const onlyTags = triggers.every((type) => type === "Tag Change on Resource");
    return about.some(([id]) => evidence.isUnaware(id, by, start)) || (onlyTags && evidence.isFlapping(home, by));
}
