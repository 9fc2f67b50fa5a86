// What an election came to: the log lines and metrics of an invocation.
import { type Instance, isEnding, isFit, isReady, sinceOf } from "./decide";
import { type Batch, sweepType } from "./events";
import { firstIds, warn } from "./log";
import type { Round } from "./observe";
import type { Result, Written } from "./promote";
import type { Scope } from "./scope";

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
    /** Ids of instances that had the leader tag and that EC2 had not begun to end, 20 at most. */
    leaders: string[];
    /** Ids of instances that lost it in this election, 20 at most. */
    demoted: string[];
    /** Detail types of the events that asked for the election. */
    triggers: string[];
    /** Their ids, ten at most; a sweep's is not among them. */
    events?: string[];
    /** Milliseconds from the first event's time until the new leader was tagged. */
    delay?: number;
    /** Why it came out so. */
    reason: string;
    /** Whether nothing was written, because the stack only tries. */
    dryRun?: true;
}

/** A round, and what it came to. */
export interface Finished extends Round {
    written: Written[];
    /** What was written for orphans. */
    stripped: Result;
    /** How many leaders are not protected from scaling in as they should be. */
    unprotected: number;
}

/** Where CloudWatch keeps the stack's metrics. */
export const metricNamespace = "AsgLeaderElection";

const mostEvents = 10;

/** Reports everything that an invocation did: log lines, and metrics of the stack. `now` is in milliseconds since 1970. */
export function publish(scope: Scope, batch: Batch, rounds: Finished[], now: number): Report[] {
    for (const sentence of batch.ignored) {
        warn("ignored", sentence);
    }
    const elections = rounds.flatMap(({ written }) => written);
    const unread = rounds.flatMap((round) => round.unread);
    const left = rounds.at(-1)?.rest;
    const done = elections.map((election) => ({ election, report: reportOf(election, scope) }));
    const failed = unread.flatMap(({ groups, error }) => groups.map((group) => unreadReport(group, error)));
    for (const { election, report } of done) {
        log(report);
        logWarnings(election);
        measureChange(scope.stack, election, report, now);
    }
    for (const report of failed) {
        log(report);
    }
    for (const { error } of unread.filter(({ groups }) => groups.length === 0)) {
        console.error({ outcome: "failed", reason: error.message });
    }
    for (const { stripped } of rounds) {
        logOrphans(stripped);
    }
    const isUnfinished = left !== undefined && (left.names.length > 0 || left.hasPages);
    if (isUnfinished) {
        const more = left.hasPages ? ["and those on further pages"] : [];
        console.warn({ message: "left to the next sweep", about: [...left.names.slice(0, 20), ...more] });
    }
    measureRarely(scope.stack, now, {
        FailedProtections: rounds.reduce((sum, { unprotected }) => sum + unprotected, 0),
        FailedReads: unread.length + failedRankings(elections),
        FlappingGroups: elections.filter((election) => isFlapping(election, now)).length,
        SweptLosses: elections.filter(isSweptLoss).length,
    });
    const swept = done.filter(({ election: { group } }) => group.exists && isSwept(group.triggers));
    if (batch.sweep && swept.length + unread.length === 0 && !isUnfinished) {
        warn("no group's name begins with the prefix", { asgPrefix: scope.asgPrefix, region: process.env.AWS_REGION });
    }
    // Without a list of the groups a sweep has looked at nothing, and must not look as if all were well.
    if (batch.sweep && (swept.length + failed.length > 0 || unread.length === 0)) {
        measureSweep(scope.stack, [...swept.map(({ report }) => report), ...failed], now);
    }
    return [...done.map(({ report }) => report), ...failed];
}

function reportOf({ group, plan, result }: Written, { dryRun }: Scope): Report {
    const leaders = group.instances.filter((instance) => instance.leads && !isEnding(instance));
    const staying = plan.keep ?? leaders.find(({ id }) => !result.demoted.includes(id))?.id;
    const id = result.promoted?.id ?? staying;
    const { since } = result.promoted ?? result.adopted ?? group.instances.find((one) => one.id === id) ?? {};
    const causes = group.triggers.filter(({ type }) => type !== sweepType);
    const first = Math.min(...causes.map(({ at = Number.POSITIVE_INFINITY }) => at));
    return {
        group: group.groups ? group.name.slice(1) : group.name,
        ...(group.groups ? { groups: group.groups } : {}),
        outcome: result.error ? "failed" : plan.outcome,
        leader: id,
        since,
        candidates: firstIds(group.instances.filter(isReady)),
        leaders: firstIds(leaders),
        demoted: result.demoted.slice(0, 20),
        triggers: [...new Set(group.triggers.map(({ type }) => type))],
        ...(causes.length > 0 ? { events: causes.flatMap((cause) => cause.id ?? []).slice(0, mostEvents) } : {}),
        ...(result.promoted && Number.isFinite(first) ? { delay: Math.max(0, result.promoted.at - first) } : {}),
        reason: result.error ? `${result.error.message}; ${plan.reason}` : plan.reason,
        ...(dryRun ? { dryRun } : {}),
    };
}

function unreadReport(group: string, error: Error): Report {
    return { group, outcome: "failed", candidates: [], leaders: [], demoted: [], triggers: [], reason: error.message };
}

/** Logs an election: failures, vacant groups and changes always, what a sweep finds in order at debug level only. */
function log(report: Report): void {
    if (report.outcome === "failed") {
        console.error(report);
    } else if (report.outcome === "vacant") {
        console.warn(report);
    } else if (isChange(report) || report.triggers.some((type) => type !== sweepType)) {
        console.info(report);
    } else {
        console.debug(report);
    }
}

/** Logs what AWS did not do in an election that went on. */
function logWarnings({ result }: Written): void {
    for (const { message } of result.warnings) {
        console.warn({ message: "the election went on", about: message });
    }
}

/** Logs which instances that lead no group any more lost their tags, or kept them. */
function logOrphans({ demoted, error }: Result): void {
    if (demoted.length > 0) {
        console.info({ outcome: "stripped", demoted, reason: "these instances are in no group any more" });
    }
    if (error) {
        console.error({ outcome: "failed", reason: error.message });
    }
}

const isSwept = (triggers: { type: string }[]): boolean => triggers.some(({ type }) => type === sweepType);

function failedRankings(elections: Written[]): number {
    return elections.filter(({ decision, plan }) => decision.outcome === "choose" && plan.outcome === "failed").length;
}

/** Whether a sweep replaced a leader that EC2 had ended, and no event had reported it. */
function isSweptLoss({ group, plan }: Written): boolean {
    const last = group.instances.reduce<Instance | undefined>(
        (latest, one) => (one.leads && (one.since ?? "") >= (latest?.since ?? "") ? one : latest),
        undefined,
    );
    const isOnlySwept = group.triggers.every(({ type }) => type === sweepType);
    return plan.outcome === "elected" && isOnlySwept && last !== undefined && isEnding(last);
}

/** Whether a group's leader changed too often, or a leader that was fit lost the tag: something else takes it off. */
function isFlapping({ group, decision, plan }: Written, now: number): boolean {
    const last = group.instances.reduce<Instance | undefined>(
        (latest, one) => (sinceOf(one, now) > (latest ? sinceOf(latest, now) : 0) ? one : latest),
        undefined,
    );
    const isTaken = !group.instances.some(({ leads }) => leads) && last !== undefined && isFit(last);
    return (group.flapping && decision.outcome !== "kept") || (plan.outcome === "elected" && isTaken);
}

/** Counts what a sweep has found. How many groups it looked at is in the line only: a metric costs, and no alarm needs it. */
function measureSweep(stack: string, reports: Report[], now: number): void {
    const count = (counts: (report: Report) => boolean) => reports.filter(counts).length;
    const fields = { Stack: stack, Groups: reports.length };
    measure(fields, [["Stack"]], now, {
        VacantGroups: count(({ outcome }) => outcome === "vacant"),
        ContestedGroups: count(({ leaders }) => leaders.length > 1),
        FailedElections: count(({ outcome }) => outcome === "failed"),
    });
}

/** Counts a change of a group's leader, if there was one, and measures how long it took. */
function measureChange(stack: string, { result }: Written, report: Report, now: number): void {
    if (isChange(report)) {
        // An electorate's may hold any letter and begin with a colon; a dimension holds ASCII, and doesn't.
        const group = report.group.replace(/^:|[^ -~]/g, "?");
        measure({ Stack: stack, Group: group }, [["Stack"], ["Stack", "Group"]], now, { LeaderChanges: 1 });
    }
    if (result.promoted && report.delay !== undefined) {
        measure({ Stack: stack }, [["Stack"]], now, { ElectionDelay: report.delay }, "Milliseconds");
    }
}

/** Sends the counts that are not zero: a metric costs by the hour in which it is sent. */
function measureRarely(stack: string, now: number, counts: Record<string, number>): void {
    for (const [name, count] of Object.entries(counts).filter(([, number]) => number > 0)) {
        measure({ Stack: stack }, [["Stack"]], now, { [name]: count });
    }
}

const isChange = ({ outcome, demoted }: Report): boolean => outcome === "elected" || demoted.length > 0;

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
function measure(
    fields: Record<string, string | number>,
    Dimensions: string[][],
    Timestamp: number,
    values: Record<string, number>,
    Unit: "Count" | "Milliseconds" = "Count",
): void {
    const Metrics = Object.keys(values).map((Name) => ({ Name, Unit }));
    const CloudWatchMetrics = [{ Namespace: metricNamespace, Dimensions, Metrics }];
    const line = { _aws: { Timestamp, CloudWatchMetrics }, ...fields, ...values };
    // Not by the console: Lambda would wrap the line, and CloudWatch would find no metrics in it.
    process.stdout.write(`${JSON.stringify(line)}\n`);
}
