// What a day comes to, in a few lines of numbers, and which rules were broken.
import type { Referee } from "../histories/checkers";
import type { Violation } from "../histories/checkers/checker";
import { firstOf } from "../simulator/lists";
import type { Invocation } from "../simulator/stack/deployment";
import { count, duration, type Narrator, timeOfDay, wrap } from "./narration";
import type { Gap, Recorder, Stretch } from "./recorder";
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

/** What watched a day, and what happened. */
export interface Watched {
    happened: Happening[];
    recorder: Recorder;
    workers?: Workers;
    narrator: Narrator;
}

/** The lines that end a rehearsal: numbers, and every rule that was broken, and when. */
export function summary(
    { region, stack, timeline }: Stage,
    { happened, recorder, workers, narrator }: Watched,
    { violations, compared }: Pick<Referee, "violations" | "compared">,
): string[] {
    const gaps = recorder.gaps();
    const contests = recorder.contests();
    const writes = region.calls.filter(({ action }) => !/:(Describe|Get)/.test(action)).length;
    const { received, ignored, lost } = stack.events;
    const rows = [
        ["elections", elections(stack.invocations)],
        [
            "without a leader",
            `${duration(sum(gaps.map(({ leaderless }) => leaderless)))} in all with a fit instance` +
                narrator.plain(longest(gaps, happened)),
        ],
        ["", `${duration(sum(gaps.map(({ noneFit }) => noneFit)))} with none fit: booting, or ending`],
        ["two leaders", `${count(contests.length, "moment")}, ${lasting(contests, timeline.now)} in all`],
        ...(workers ? [["workers", work(workers, timeline.now)]] : []),
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

const lasting = (stretches: Stretch<string>[], now: number): string =>
    duration(sum(stretches.map(({ start, end = now }) => end - start)));

const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);

function work({ shifts, overlaps }: Workers, now: number): string {
    const byOperator = overlaps.filter((overlap) => overlap.byOperator).length;
    const some = byOperator === overlaps.length ? "all" : `${byOperator} of them`;
    const excuse = byOperator > 0 ? `, ${some} after an operator's own change of tags` : "";
    const atOnce =
        overlaps.length === 0
            ? "never two at once"
            : `two at once ${count(overlaps.length, "time")}, ${lasting(overlaps, now)} in all${excuse}`;
    return `${count(shifts.length, "start")}, ${atOnce}`;
}

function elections(invocations: Invocation[]): string {
    const all = invocations.flatMap(({ reports }) => reports);
    const parts = outcomes
        .map((name) => ({ name, number: all.filter(({ outcome }) => outcome === name).length }))
        .filter(({ number }) => number > 0);
    const each = parts.map(({ number, name }) => `${number.toLocaleString("en")} ${name}`);
    return `${all.length.toLocaleString("en")}: ${each.join(", ")}`;
}

/** The gap in which a fit instance waited longest, and what had happened before. */
function longest(gaps: Gap[], happened: Happening[]): string {
    const [gap] = gaps.toSorted((a, b) => b.leaderless - a.leaderless);
    if (!gap?.leaderless) {
        return "";
    }
    const { electorate, start, leaderless } = gap;
    const cause = happened.findLast((happening) => happening.electorate === electorate && happening.at <= start);
    return `; the longest ${duration(leaderless)}, ${electorate} at ${timeOfDay(start)} (${cause?.what})`;
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
