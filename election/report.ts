// What an election came to: the log lines and metrics of an invocation.
import { type Batch, sweepType } from "./events";
import { type Group, type Instance, isEnding, isFit, isReady, labelOf, leadersOf, sinceOf } from "./group";
import { warn } from "./log";
import { type MetricName, metricNamespace } from "./metrics";
import type { Plan } from "./plan";
import type { Written, WrittenRound } from "./promote";
import { emptyPrefixes, type Scope } from "./scope";

/** What an election came to: returned by the function, and logged as one line of JSON. */
export interface Report {
    /** Name of the group, or of the electorate: key and value of its tag. */
    group: string;
    /** Names of an electorate's groups. */
    groups?: string[];
    outcome: Plan["outcome"];
    /** Id of the instance that leads now, as far as is known. */
    leader?: string;
    /** Since when it leads, as its tag says. */
    since?: string;
    /** Ids of members listed as InService and Healthy, 20 at most. */
    candidates: string[];
    /** Ids of instances that had the leader tag and that EC2 had not begun to end, 20 at most. */
    leaders: string[];
    /** Id of the instance that led last, if another one leads now, or none. */
    formerLeader?: string;
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

/** A group's election, and what it came to. */
export interface Reported extends Written {
    report: Report;
}

/** A round, and what it came to. */
export interface Finished extends WrittenRound {
    written: Reported[];
    /** How many leaders are not protected from scaling in as they should be. */
    unprotected: number;
    /** How many messages about changes could not be sent. */
    unsent: number;
}

const mostIds = 20; // in a list of a line

/** Reports everything that an invocation did: log lines, and metrics of the stack. `now` is in milliseconds since 1970. */
export const publish = (scope: Scope, batch: Batch, rounds: Finished[], now: number): Report[] => {
    for (const sentence of batch.ignored) {
        warn("ignored", sentence);
    }
    const elections = rounds.flatMap(({ written }) => written);
    const unread = rounds.flatMap((round) => round.unread);
    const lists = { candidates: [], leaders: [], demoted: [], triggers: [] };
    const failed = unread.flatMap(({ groups, error: { message: reason } }) =>
        groups.map((group): Report => ({ group, outcome: "failed", ...lists, reason })),
    );
    const reports = [...elections.map(({ report }) => report), ...failed];
    for (const report of reports) {
        log(report);
    }
    for (const round of rounds) {
        logProblems(scope, round);
    }
    const isUnfinished = logRest(rounds.at(-1)?.rest);

    for (const report of reports.filter(({ dryRun }) => !dryRun)) {
        measureChange(scope, report, now);
    }
    const real = elections.filter(({ pretended }) => !pretended);
    const unranked = elections.filter(({ ranking }) => ranking?.error);
    const counts: Metrics = {
        FailedMessages: rounds.reduce((sum, { unsent }) => sum + unsent, 0),
        FailedProtections: rounds.reduce((sum, { unprotected }) => sum + unprotected, 0),
        FailedReads: unread.length + unranked.length,
        FlappingGroups: real.filter((election) => flaps(election, now)).length,
        SweptLosses: real.filter((election) => isSweptLoss(election, now)).length,
    };
    // A metric costs by the hour in which it is sent.
    for (const [name, count] of Object.entries(counts).filter(([, number]) => number > 0)) {
        measure(scope, { [name]: count }, now);
    }
    if (batch.sweep) {
        const swept = elections.filter(({ group }) => group.exists);
        // Without a list of the groups a sweep has looked at nothing, and must not look as if all were well.
        if (swept.length + failed.length > 0 || unread.length === 0) {
            measureSweep(scope, swept, failed, now);
        }
        const looked = swept.map(({ report }) => report);
        for (const asgPrefix of unread.length === 0 && !isUnfinished ? emptyPrefixes(scope.asgPrefixes, looked) : []) {
            warn("no group's name begins with the prefix", { asgPrefix, region: process.env.AWS_REGION });
        }
    }
    return reports;
};

/** What an election came to. `now` is in milliseconds since 1970. */
export const reportOf = ({ group, plan, result, pretended }: Written, now: number): Report => {
    const { demoted, promoted, adopted, error } = pretended ?? result;
    const leaders = leadersOf(group, now).filter((leader) => !isEnding(leader));
    const staying = plan.keep ?? leaders.find(({ id }) => !demoted.includes(id))?.id;
    const id = promoted?.id ?? staying;
    const formerLeader = formerLeaderOf(group, id, now);
    const { since } = promoted ?? adopted ?? group.instances.find((one) => one.id === id) ?? {};
    const causes = group.triggers.filter(({ type }) => type !== sweepType);
    const first = Math.min(...causes.map(({ at = Number.POSITIVE_INFINITY }) => at));
    return {
        group: labelOf(group),
        ...(group.groups ? { groups: group.groups } : {}),
        outcome: error ? "failed" : plan.outcome,
        leader: id,
        since,
        candidates: idsOf(group.instances.filter(isReady)),
        leaders: idsOf(leaders),
        ...(formerLeader === undefined ? {} : { formerLeader }),
        demoted: demoted.slice(0, mostIds),
        triggers: [...new Set(group.triggers.map(({ type }) => type))],
        ...(causes.length > 0 ? { events: causes.flatMap((cause) => cause.id ?? []).slice(0, 10) } : {}),
        ...(promoted && Number.isFinite(first) ? { delay: Math.max(0, promoted.at - first) } : {}),
        reason: error ? `${error.message}; ${plan.reason}` : plan.reason,
        ...(pretended ? { dryRun: true } : {}),
    };
};

/** The instance that led last, if that is another one than leads now. Without the tag, the latest `since` says which. */
const formerLeaderOf = (group: Group, id: string | undefined, now: number): string | undefined => {
    const instances = [...group.instances, ...group.orphans]; // it may have been detached while it led
    const leaders = leadersOf({ ...group, instances }, now);
    if (leaders.length > 0) {
        return leaders.find((leader) => leader.id !== id)?.id;
    }
    const hasLed = ({ leads, since }: Instance) => leads || since !== undefined;
    const last = latest(instances.filter(hasLed), now)?.id;
    return last === id ? undefined : last;
};

const idsOf = (instances: Instance[]): string[] => instances.slice(0, mostIds).map(({ id }) => id);

/** Logs an election: failures, vacant groups and changes always, what a sweep finds in order at debug level only. */
const log = (report: Report): void => {
    const { outcome } = report;
    const isNews = isChange(report) || outcome === "paused" || report.triggers.some((type) => type !== sweepType);
    const level = isNews ? "info" : "debug";
    console[outcome === "failed" ? "error" : outcome === "vacant" ? "warn" : level](report);
};

/** Logs what is about no group: what AWS did not do in elections that went on, lost orphans, and what has failed. */
const logProblems = ({ dryRun }: Scope, { written, orphans, stripped, unread }: Finished): void => {
    for (const { message } of written.flatMap(({ result }) => result.warnings)) {
        warn("the election went on", message);
    }
    const demoted = dryRun ? orphans.map(({ id }) => id) : stripped.demoted;
    if (demoted.length > 0) {
        const reason = "these instances are in no group any more";
        console.info({ outcome: "stripped", demoted, reason, ...(dryRun ? { dryRun } : {}) });
    }
    const errors = unread.flatMap(({ groups, error }) => (groups.length === 0 ? error : []));
    for (const { message } of [...errors, stripped.error ?? []].flat()) {
        console.error({ outcome: "failed", reason: message });
    }
};

/** Logs what a sweep has left to the next one; returns whether there is any. */
const logRest = (rest: Finished["rest"]): boolean => {
    const more = rest?.hasPages ? ["and those on further pages"] : [];
    const about = [...(rest?.names.slice(0, mostIds) ?? []), ...more];
    if (about.length > 0) {
        console.warn({ message: "left to the next sweep", about });
    }
    return about.length > 0;
};

/** Whether a sweep replaced a leader that EC2 had ended, and no event had reported it. */
const isSweptLoss = ({ group, plan }: Written, now: number): boolean => {
    const leaders = group.instances.filter(({ leads }) => leads);
    const last = latest(leaders, now);
    const isOnlySwept = group.triggers.every(({ type }) => type === sweepType);
    return plan.outcome === "elected" && isOnlySwept && last !== undefined && isEnding(last);
};

/** Whether a promotion was held back, or a leader that was fit lost the tag: something else takes it off. */
const flaps = ({ group, decision, plan }: Written, now: number): boolean => {
    const hasLed = group.instances.filter((instance) => sinceOf(instance, now) > 0);
    const last = latest(hasLed, now);
    const isTaken = !group.instances.some(({ leads }) => leads) && last !== undefined && isFit(last);
    return "isHeldBack" in decision || (plan.outcome === "elected" && isTaken);
};

/** The instance that led last, as a `since` says. */
const latest = (instances: Instance[], now: number): Instance | undefined =>
    [...instances].sort((a, b) => sinceOf(a, now) - sinceOf(b, now)).at(-1);

/** Counts what a sweep has found. How many groups it looked at is in the line only: a metric costs, and no alarm needs it. */
const measureSweep = (scope: Scope, swept: Reported[], failed: Report[], now: number): void => {
    const reports = [...swept.map(({ report }) => report), ...failed];
    // Where nothing is written, a group whose leader would be elected has none, and one that would lose its leader has one.
    const isVacant = ({ group, report: { outcome, dryRun, leaders } }: Reported) =>
        dryRun
            ? ["vacant", "elected"].includes(outcome) && group.desired > 0 && leaders.length === 0
            : outcome === "vacant";
    const counts = {
        VacantGroups: swept.filter(isVacant).length,
        ContestedGroups: reports.filter(({ outcome, leaders }) => leaders.length > 1 && outcome !== "paused").length,
        FailedElections: reports.filter(({ outcome }) => outcome === "failed").length,
    };
    measure(scope, counts, now, { Groups: reports.length });
};

/** Counts a change of a group's leader, if there was one, and measures how long it took. */
const measureChange = (scope: Scope, report: Report, now: number): void => {
    if (isChange(report)) {
        // An electorate's label may hold any letter; a dimension holds ASCII, and doesn't begin with a colon.
        measure(scope, { LeaderChanges: 1 }, now, { Group: report.group.replace(/^:|[^ -~]/g, "?") });
    }
    if (report.delay !== undefined) {
        measure(scope, { ElectionDelay: report.delay }, now);
    }
};

/** Whether a group's leader changed, or lost the tag. */
export const isChange = ({ outcome, demoted }: Report): boolean => outcome === "elected" || demoted.length > 0;

type Metrics = Partial<Record<MetricName, number>>;

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
const measure = ({ stack }: Scope, values: Metrics, now: number, fields: { Group?: string; Groups?: number } = {}) => {
    const Dimensions = [["Stack"], ...("Group" in fields ? [["Stack", "Group"]] : [])];
    const unitOf = (Name: string) => (Name === "ElectionDelay" ? "Milliseconds" : "Count");
    const Metrics = Object.keys(values).map((Name) => ({ Name, Unit: unitOf(Name) }));
    const CloudWatchMetrics = [{ Namespace: metricNamespace, Dimensions, Metrics }];
    const line = { _aws: { Timestamp: now, CloudWatchMetrics }, Stack: stack, ...fields, ...values };
    // Not by the console: Lambda would wrap the line, and CloudWatch would find no metrics in it.
    process.stdout.write(`${JSON.stringify(line)}\n`);
};
