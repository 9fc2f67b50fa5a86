// How a day is printed: a line for what happens, a line for what the election makes of it, quiet times in one line.
import { styleText } from "node:util";
import type { Reports } from "../simulator/aws/endpoint";
import type { BusEvent } from "../simulator/aws/events";
import type { Invocation } from "../simulator/stack/deployment";
import type { Gap, Recorder } from "./recorder";
import { type Stage, secondOf } from "./stage";

type Style = "bold" | "dim" | "red" | "green" | "yellow";

const lineWidth = 100; // no page that shows it cuts it off
const labelWidth = 4;
const whatWidth = 16;
const wordsColumn = 8 + 2 + labelWidth + 2 + whatWidth + 2;

const sweep = "Scheduled Event";

/** What the events are called that make the function look. */
const eventNames: Record<string, string> = {
    [sweep]: "the sweep",
    "Tag Change on Resource": "a tag event",
    "EC2 Instance State-change Notification": "a state change",
    "EC2 Spot Instance Interruption Warning": "a Spot warning",
    "EC2 Instance Launch Successful": "a launch",
    "EC2 Instance Launch Unsuccessful": "a failed launch",
    "EC2 Instance Terminate Successful": "a termination",
    "EC2 Instance Terminate Unsuccessful": "a failed termination",
    "EC2 Instance-launch Lifecycle Action": "a launch hook",
    "EC2 Instance-terminate Lifecycle Action": "a termination hook",
    "EC2 Instance Detach Successful": "a detachment",
};

/** Puts what happens on a stage into lines of text. */
export class Narrator {
    private readonly names = new Map<string, string>();
    private readonly outcomes = new Map<string, string>();
    private quiet = { sweeps: 0, others: 0 };
    private lastLabel = "";
    private linesRead = 0;
    private written = 0;

    constructor(
        private readonly stage: Stage,
        private readonly recorder: Recorder,
        private readonly colour: boolean,
        private readonly write: (line: string) => void,
    ) {
        for (const id of stage.region.instances.keys()) {
            this.name(id);
        }
        stage.region.onChange.push((id) => this.name(id));
    }

    /** An invocation has ended: what it changed, if anything. */
    invocation({ start, events, reports, error }: Invocation): void {
        const before = this.written;
        if (error) {
            this.row("", "✗ failed", "red", error.message);
        }
        for (const report of reports) {
            this.report(report, start);
        }
        for (const { entry } of this.stage.lines.slice(this.linesRead)) {
            if (entry?.outcome === "stripped") {
                this.row("", `  ${entry.demoted}`, "dim", "loses its tags", entry.reason);
            }
        }
        this.linesRead = this.stage.lines.length;
        if (this.written === before) {
            this.quiet[events.some((event) => (event as BusEvent)["detail-type"] === sweep) ? "sweeps" : "others"]++;
        }
    }

    /** Folds what was quiet into one line. */
    endQuiet(): void {
        const { sweeps, others } = this.quiet;
        const parts = [
            sweeps > 0 && count(sweeps, "sweep"),
            others > 0 && `${count(others, "batch", "batches")} of events`,
        ].filter(Boolean);
        if (parts.length > 0) {
            const text = `${"…".padStart(8)}  ${" ".repeat(labelWidth)}  ${parts.join(" and ")}, nothing to change`;
            this.print(this.paint("dim", text));
        }
        this.quiet = { sweeps: 0, others: 0 };
        this.lastLabel = "";
    }

    /** A line about a group, or about none; in brackets, why. */
    row(group: string, what: string, style: Style, words: string, why?: string): void {
        const name = this.plain(group);
        const label = name === this.lastLabel ? "" : name;
        this.lastLabel = name;
        const text = this.plain(words);
        const reason = why ? `(${this.plain(why)})` : "";
        const fits = wordsColumn + [text, reason].filter(Boolean).join("  ").length <= lineWidth;
        const [first = "", ...more] = fits
            ? [[text, this.paint("dim", reason)].filter(Boolean).join("  ")]
            : [...wrap(text, wordsColumn), ...wrap(reason, wordsColumn).map((part) => this.paint("dim", part))];
        const cells = [
            timeOfDay(this.stage.timeline.now),
            label.padEnd(labelWidth),
            this.paint(style, this.plain(what).padEnd(whatWidth)),
            first,
        ];
        this.print(cells.join("  ").trimEnd());
        for (const part of more) {
            this.print(" ".repeat(wordsColumn) + part);
        }
    }

    /** A text with instances and groups by the names that they have here. */
    plain(text: string): string {
        const { groups, electorates } = this.stage;
        const names = Object.entries(groups).flatMap(([label, group]) =>
            [secondOf(group), electorates.nameOf(group), group].map((name) => ({ name, label })),
        );
        return names.reduce(
            (all, { name, label }) => all.replaceAll(name, label),
            text.replace(/\bi-[0-9a-f]+/g, (id) => this.names.get(id) ?? id),
        );
    }

    paint(style: Style, text: string): string {
        return this.colour ? styleText(style, text, { validateStream: false }) : text;
    }

    private report({ group, outcome, leader, demoted, triggers, reason }: Reports[number], start: number): void {
        const before = this.outcomes.get(group) ?? "empty";
        this.outcomes.set(group, outcome);
        const ends = ({ electorate, end = 0 }: { electorate: string; end?: number }) =>
            electorate === group && end >= start;
        const gap = this.recorder.gaps().findLast(ends);
        const rivals = this.recorder.contests().findLast(ends);
        const rivalry = rivals?.end ? [`${duration(rivals.end - rivals.start)} with two leaders`] : [];
        const why = `${triggers.map((type) => eventNames[type] ?? type).join(", ")}: ${reason}`;
        if (outcome === "failed") {
            this.row(group, "✗ failed", "red", "", why);
        } else if (outcome === "elected" || (leader && demoted.length > 0)) {
            const lasted = outcome === "elected" && gap ? [inWords(gap, start)] : [];
            this.row(group, `★ ${leader} leads`, "green", [...lasted, ...rivalry].join(", "), why);
        } else if (!leader && (demoted.length > 0 || outcome !== before)) {
            const words = outcome === "empty" ? "the group is to be empty" : "no instance can lead";
            this.row(group, "☆ no leader", "yellow", words, why);
        }
    }

    private print(line: string): void {
        this.written++;
        this.write(line);
    }

    private name(id: string): void {
        if (!this.names.has(id)) {
            const group = this.plain(this.stage.region.memberOf(id)?.group.name ?? "");
            const siblings = [...this.names.values()].filter((name) => name.startsWith(`${group}-`));
            this.names.set(id, `${group}-${siblings.length + 1}`);
        }
    }
}

/** Breaks a text into lines that begin at a column and end before the page does; none if it is empty. */
export function wrap(text: string, column: number): string[] {
    // A word that is longer than a line gets one of its own.
    return text.match(new RegExp(`\\S.{0,${lineWidth - column - 1}}(?!\\S)|\\S+`, "g")) ?? [];
}

function inWords({ start, leaderless, noneFit }: Gap, electionStart: number): string {
    const lasted = `${duration(leaderless + noneFit)} without a leader`;
    if (start >= electionStart) {
        return `handed over, ${lasted}`;
    }
    return noneFit > leaderless ? `${lasted}, none fit` : lasted;
}

/** A time in milliseconds since 1970, as a clock shows it. */
export const timeOfDay = (at: number): string => new Date(at).toISOString().slice(11, 19);

/** A number of things. */
export const count = (number: number, one: string, many = `${one}s`): string =>
    `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** Milliseconds in words. */
export function duration(millis: number): string {
    const seconds = Math.round(millis / 1000);
    if (millis < 60_000) {
        return `${(millis / 1000).toFixed(millis < 10_000 ? 2 : 1)} s`;
    }
    return seconds < 3600
        ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
        : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
