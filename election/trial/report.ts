// What the trial came to, as a table and as JSON, and the exit status that follows.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { aligned } from "../stack/operator";
import type { Result } from "./measure";

/** What is reported; printed as it is with `--json`. */
export interface Report {
    /** When it was tried, ISO 8601. */
    time: string;
    stack: string;
    group: string;
    region: string;
    type: string;
    image: string;
    sweepMinutes: number;
    handoverSeconds: number;
    versions: Record<string, string>;
    plays: Result[];
    /** Seconds, over all plays that were measured. */
    summary: Record<Result["by"], Figures | undefined> & { metadata: Figures | undefined };
}

interface Figures {
    count: number;
    median: number;
    worst: number;
}

export function summaryOf(plays: Result[]): Report["summary"] {
    const secondsBy = (by: Result["by"]) => plays.flatMap((play) => (play.by === by ? (play.seconds ?? []) : []));
    return {
        event: figuresOf(secondsBy("event")),
        sweep: figuresOf(secondsBy("sweep")),
        metadata: figuresOf(plays.flatMap(({ metadata }) => metadata ?? [])),
    };
}

function figuresOf(values: number[]): Figures | undefined {
    const sorted = values.toSorted((a, b) => a - b);
    const middle = (sorted.length - 1) / 2;
    const [low, high, worst] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)], sorted.at(-1)];
    return low === undefined || high === undefined || worst === undefined
        ? undefined
        : { count: sorted.length, median: Math.round(((low + high) / 2) * 100) / 100, worst };
}

/** 1 if a promise was broken, else 2 if a play could not be tried, else 0. */
export function exitStatusOf(plays: Result[]): number {
    return plays.some(({ broken }) => broken) ? 1 : plays.some(({ untried }) => untried) ? 2 : 0;
}

/** Versions of what takes part on this machine. */
export function versionsHere(): Record<string, string> {
    const versionIn = (path: string): string => JSON.parse(readFileSync(path, "utf8")).version;
    return {
        "asg-leader-election": versionIn(join(__dirname, "..", "..", "package.json")),
        "Node.js": process.versions.node,
        "AWS SDK": versionIn(require.resolve("@aws-sdk/client-ec2/package.json")),
    };
}

/** The report as text, ready to be pasted. */
export function textOf(report: Report): string {
    const { stack, group, region, type, image, versions, sweepMinutes, handoverSeconds, plays } = report;
    const head = ["leader is", "expected", "measured", "two leaders", "since", "in metadata", "as promised"];
    const rows = plays.map((play) => [
        play.play,
        `${play.by}: ${play.promised} s`,
        play.seconds === undefined ? "" : `${play.seconds.toFixed(2)} s`,
        play.twoLeaders === undefined ? "" : `${play.twoLeaders.toFixed(2)} s`,
        play.since ?? "",
        play.metadata === undefined ? "" : `${play.metadata} s`,
        play.untried ? `not tried: ${play.untried}` : play.broken ? `no: ${play.broken}` : "yes",
    ]);
    const resolution = Math.max(0, ...plays.map((play) => play.resolution ?? 0));
    return [
        `${report.time}  stack ${stack}, group ${group} of 3 ${type} (${image}) in ${region}`,
        `sweepMinutes ${sweepMinutes}, handoverSeconds ${handoverSeconds}`,
        Object.entries(versions)
            .map((one) => one.join(" "))
            .join(", "),
        "",
        ...aligned([head, ...rows]),
        "",
        ...summaryLines(report.summary),
        `Times are from AWS's answer to the call until a read showed the tag, ${resolution.toFixed(2)} s apart at most.`,
        "",
    ].join("\n");
}

function summaryLines({ event, sweep, metadata }: Report["summary"]): string[] {
    const line = (what: string, figures?: Figures) =>
        figures ? [`${what}: median ${figures.median} s, worst ${figures.worst} s, of ${figures.count}`] : [];
    return [
        ...line("Reported by events", event),
        ...line("Found by the sweep", sweep),
        ...line("From since until the instance's own metadata shows the tag", metadata),
    ];
}
