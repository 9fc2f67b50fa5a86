import { sweepType } from "./events";
import type { Written } from "./promote";

/** What an election came to: returned by the function, and logged as one line of JSON. */
export interface Report {
    group: string;
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

/** Says what is odd but keeps nobody from going on. */
export function warn(message: string, about: unknown): void {
    console.warn({ message, about: about instanceof Error ? about.message : about });
}

/** Logs an election: failures and changes always, what a sweep finds in order at debug level only. */
export function log(report: Report): void {
    const changed = report.outcome === "elected" || report.demoted.length > 0;
    if (report.outcome === "failed") {
        console.error(report);
    } else if (changed || report.triggers.some((type) => type !== sweepType)) {
        console.info(report);
    } else {
        console.debug(report);
    }
}

/** Logs which instances that lead no group any more lost their tags, or kept them. */
export function logStrays({ demoted, error }: Written): void {
    if (demoted.length > 0) {
        console.info({ outcome: "stripped", demoted, reason: "these instances are in no group any more" });
    }
    if (error) {
        console.error({ outcome: "failed", reason: error.message });
    }
}

export const seen = (ids: { id: string }[]): string[] => ids.slice(0, 20).map(({ id }) => id);
