import { sweepType } from "./events";
import type { Written } from "./promote";

/** What an election came to: returned by the function, and logged as one line of JSON. */
export interface Report {
    /** Name of the group, or of the electorate: key and value of its tag. */
    group: string;
    /** Names of an electorate's groups. */
    groups?: string[];
    outcome: "kept" | "elected" | "vacant" | "empty" | "failed";
    /** Id of the instance that leads now, as far as is known. */
    leader?: string;
    /** Since when it leads, as its tag says. */
    since?: string;
    /** Ids of members listed as InService and Healthy, 20 at most. */
    candidates: string[];
    /** Ids of live instances that had the leader tag, 20 at most. */
    leaders: string[];
    /** Ids of instances that lost it in this election. */
    demoted: string[];
    /** Detail types of the events that asked for the election. */
    triggers: string[];
    /** Why it came out so. */
    reason: string;
}

/** Where CloudWatch keeps the stack's metrics. */
export const metricNamespace = "AsgLeaderElection";

/** Says what is odd but keeps nobody from going on. */
export function warn(message: string, about: unknown): void {
    console.warn({ message, about: about instanceof Error ? about.message : about });
}

/** What an invocation came to. */
interface Outcome {
    reports: Report[];
    /** What was written for strays. */
    stripped: Written;
    /** How many leaders are not protected from scaling in as they should be. */
    unprotected: number;
    /** After a sweep, the reports of the groups that it found. */
    swept?: Report[];
}

/** Tells of everything that an invocation did: log lines, and metrics of the stack. `now` is in milliseconds since 1970. */
export function tell(stack: string, { reports, stripped, unprotected, swept }: Outcome, now: number): void {
    for (const report of reports) {
        log(report);
        measureChange(stack, report, now);
    }
    logStrays(stripped);
    measureProtection(stack, unprotected, now);
    if (swept) {
        measureSweep(stack, swept, now);
    }
}

/** Logs an election: failures and changes always, what a sweep finds in order at debug level only. */
function log(report: Report): void {
    if (report.outcome === "failed") {
        console.error(report);
    } else if (isChange(report) || report.triggers.some((type) => type !== sweepType)) {
        console.info(report);
    } else {
        console.debug(report);
    }
}

/** Logs which instances that lead no group any more lost their tags, or kept them. */
function logStrays({ demoted, error }: Written): void {
    if (demoted.length > 0) {
        console.info({ outcome: "stripped", demoted, reason: "these instances are in no group any more" });
    }
    if (error) {
        console.error({ outcome: "failed", reason: error.message });
    }
}

/** Counts what a sweep has found. */
function measureSweep(stack: string, reports: Report[], now: number): void {
    const count = (counts: (report: Report) => boolean) => reports.filter(counts).length;
    measure({ Stack: stack }, [["Stack"]], now, {
        Groups: reports.length,
        VacantGroups: count(({ outcome }) => outcome === "vacant"),
        ContestedGroups: count(({ leaders }) => leaders.length > 1),
        FailedElections: count(({ outcome }) => outcome === "failed"),
    });
}

/** Counts a change of a group's leader, if that is what the report says. */
function measureChange(stack: string, report: Report, now: number): void {
    if (isChange(report)) {
        // An electorate's may hold any letter and begin with a colon; a dimension holds ASCII, and doesn't.
        const group = report.group.replace(/^:|[^ -~]/g, "?");
        measure({ Stack: stack, Group: group }, [["Stack"], ["Stack", "Group"]], now, { LeaderChanges: 1 });
    }
}

/** Counts instances whose protection from scaling in could not be set, if there are any. */
function measureProtection(stack: string, failed: number, now: number): void {
    if (failed > 0) {
        measure({ Stack: stack }, [["Stack"]], now, { FailedProtections: failed });
    }
}

/** Cuts a list of instances to what a log line may hold. */
export const seen = (ids: { id: string }[]): string[] => ids.slice(0, 20).map(({ id }) => id);

const isChange = ({ outcome, demoted }: Report): boolean => outcome === "elected" || demoted.length > 0;

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
function measure(
    dimensions: Record<string, string>,
    Dimensions: string[][],
    Timestamp: number,
    counts: Record<string, number>,
): void {
    const Metrics = Object.keys(counts).map((Name) => ({ Name, Unit: "Count" }));
    const CloudWatchMetrics = [{ Namespace: metricNamespace, Dimensions, Metrics }];
    const line = { _aws: { Timestamp, CloudWatchMetrics }, ...dimensions, ...counts };
    // Not by the console: Lambda would wrap the line, and CloudWatch would find no metrics in it.
    process.stdout.write(`${JSON.stringify(line)}\n`);
}
