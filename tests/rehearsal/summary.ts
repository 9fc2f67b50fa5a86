// What a day comes to, in a few lines of numbers, and which rules were broken.

import type { Violation } from "../histories/checkers/checker";
import { firstOf } from "../simulator/lists";
import type { Invocation } from "../simulator/stack/deployment";
import type { Downtime } from "./downtime";
import { count, duration, type Narrator, timeOfDay, wrap } from "./narration";
import type { Stage } from "./stage";
import type { Workers } from "./workers";

/** Something that happened to an electorate, in milliseconds since 1970. */
export interface Happening {
    at: number;
    electorate: string;
    what: string;
    /** What happened, instances by their ids. */
    words: string;
}

const outcomes = ["kept", "elected", "vacant", "empty", "failed"] as const;

/** What watched the day, and what it found. */
interface Outcome {
    happened: Happening[];
    downtime: Downtime;
    violations: Violation[];
    /** How many sweeps were compared with the decision table. */
    compared: number;
    workers?: Workers;
}

/** The lines that end a rehearsal: numbers, and every rule that was broken, and when. */
export function summary(
    { region, stack }: Stage,
    { happened, downtime, violations, compared, workers }: Outcome,
    narrator: Narrator,
): string[] {
    const { totals, contests } = downtime;
    const writes = region.calls.filter(({ action }) => !/:(Describe|Get)/.test(action)).length;
    const { received, ignored, lost } = stack.events;
    const rows = [
        ["elections", elections(stack.invocations)],
        [
            "without a leader",
            `${duration(totals.leaderless)} in all with a fit instance${narrator.plain(longest(downtime, happened))}`,
        ],
        ["", `${duration(totals.noneFit)} with none fit: booting, or ending`],
        ["two leaders", `${count(contests, "moment")}, ${duration(totals.contested)} in all`],
        ...(workers ? [["workers", work(workers)]] : []),
        ["AWS calls", `${count(region.calls.length - writes, "read")}, ${count(writes, "write")}`],
        ["events", `${received} received, ${ignored} that match no rule, ${lost} lost`],
        ["at rest", `${count(compared, "time")}, each group compared with the decision table`],
    ];
    return [
        narrator.paint("bold", "Summary"),
        ...rows.flatMap(([what = "", words = ""]) =>
            wrap(words, 20).map((part, index) => `  ${(index ? "" : what).padEnd(16)}  ${part}`),
        ),
        "",
        ...judgement(violations, narrator),
    ];
}

function work(workers: Workers): string {
    const { shifts, overlaps } = workers;
    const byOperator = overlaps.filter((overlap) => overlap.byOperator).length;
    const some = byOperator === overlaps.length ? "all" : `${byOperator} of them`;
    const excuse = byOperator > 0 ? `, ${some} after an operator's own change of tags` : "";
    const atOnce =
        overlaps.length === 0
            ? "never two at once"
            : `two at once ${count(overlaps.length, "time")}, ${duration(workers.overlapMillis())} in all${excuse}`;
    return `${count(shifts.length, "start")}, ${atOnce}`;
}

function elections(invocations: Invocation[]): string {
    const all = invocations.flatMap(({ reports }) => reports);
    const numbers = outcomes.map(
        (outcome) => [all.filter((report) => report.outcome === outcome).length, outcome] as const,
    );
    const parts = numbers
        .filter(([number]) => number > 0)
        .map(([number, outcome]) => `${number.toLocaleString("en")} ${outcome}`);
    return `${all.length.toLocaleString("en")}: ${parts.join(", ")}`;
}

function longest({ longest: found }: Downtime, happened: Happening[]): string {
    if (!found) {
        return "";
    }
    const { electorate, gap } = found;
    const cause = happened.findLast((happening) => happening.electorate === electorate && happening.at <= gap.start);
    return `; the longest ${duration(gap.leaderless)}, ${electorate} at ${timeOfDay(gap.start)} (${cause?.what})`;
}

function judgement(violations: Violation[], narrator: Narrator): string[] {
    if (violations.length === 0) {
        return [narrator.paint("green", "Every rule was kept.")];
    }
    const rules = [...new Set(violations.map(({ rule }) => rule))];
    return [
        narrator.paint("red", `${count(rules.length, "rule was", "rules were")} broken:`),
        ...rules.flatMap((rule) => {
            const those = violations.filter((violation) => violation.rule === rule);
            const first = firstOf(those);
            const again = those.length > 1 ? `, and ${count(those.length - 1, "more time")}` : "";
            return [`  ${rule}`, `      ${timeOfDay(first.at)}  ${narrator.plain(first.how)}${again}`];
        }),
    ];
}
