// The words of an election as functions: an instance, a group, and what can be said of one. Plain data, no clock.
import type { Member } from "./aws/describe";
import { sweepType, type Trigger } from "./events";

/** An instance as it was observed: a member of a group, or one that only its tags tie to the group. */
export interface ObservedInstance {
    id: string;
    /** How its group lists it; missing if the group doesn't. */
    listed?: Member;
    /** EC2's state, where it is known before candidates are ranked. */
    state?: string;
    /** Whether it carries the leader tag. */
    leads: boolean;
    /** Since when it leads, or led, as its tag says. */
    since?: string;
    /** Whether its tag <tagKey>:eligible says false. */
    vetoed: boolean;
    /** Whether the batch reports its launch. */
    launched: boolean;
}

/** An instance as it counts: as observed, corrected by what the container remembers. */
export interface Instance extends ObservedInstance {
    /** Whether it got a Spot interruption warning lately. */
    warned?: boolean;
    /** Whether AWS lately refused to tag it. */
    refused?: boolean;
    /** What EC2's read says, where memory has corrected it. */
    read?: Pick<ObservedInstance, "state" | "leads">;
}

/** A group as it was observed, or the groups of an electorate, taken as one. */
export interface ObservedGroup {
    /** Unique: the group's name, or what electorateName gives. */
    name: string;
    /** Names of an electorate's groups. */
    groups?: string[];
    /** Whether Auto Scaling knows the group. */
    exists: boolean;
    /** How many instances it wants. */
    desired: number;
    /** Whether the group, or one of the electorate's, is paused. */
    paused: boolean;
    instances: ObservedInstance[];
    /** Orphans that have just left the group, as a Detach event says. */
    orphans: ObservedInstance[];
    /** The events that ask for an election. */
    triggers: Trigger[];
    /** Names of its groups that protect all new instances from scaling in. */
    protecting: string[];
    /** Names of its groups that are to be empty. */
    emptying: string[];
}

/** A group as it counts: as observed, corrected, and with what the container alone knows. */
export interface Group extends ObservedGroup {
    instances: Instance[];
    /** The latest `since` that this container wrote here, in milliseconds since 1970. */
    latestWritten?: number;
    /** Whether the leader changed too often, and only tag events ask for an election. */
    flapping?: boolean;
    /** Whether a live leader lost the tag so recently that it may not know it yet. */
    handingOver?: boolean;
}

/** An electorate's name, which no group has: a group's has no colon. */
export const electorateName = (tagKey: string, value: string): string => `:${tagKey}=${value}`;

/** What a group, or an electorate, is called in reports and tables. */
export const labelOf = ({ name }: Pick<ObservedGroup, "name">): string => name.replace(/^:/, "");

/** Whether the sweep asks for the election, maybe among others. */
export const isSwept = ({ triggers }: Pick<ObservedGroup, "triggers">): boolean =>
    triggers.some(({ type }) => type === sweepType);

/** The group's leaders, those of longest standing by the decision table first. */
export const leadersOf = ({ instances }: Group, now: number): Instance[] =>
    instances
        .filter((instance) => instance.leads && !isEnded(instance))
        .sort((a, b) => sinceOf(b, now) - sinceOf(a, now) || (a.id < b.id ? -1 : 1));

/** A `since` in milliseconds since 1970; 0 if it is missing, malformed or more than a day ahead. */
export const sinceOf = ({ since }: { since?: string }, now: number): number => {
    const at = since && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(since) ? Date.parse(since) : 0;
    return at <= now + 24 * 60 * 60 * 1000 ? at : 0;
};

/** The latest well-formed `since` of the group, in milliseconds since 1970: a fencing token only grows. */
export const latestSince = ({ instances, orphans, latestWritten = 0 }: Group, now: number): number =>
    Math.max(latestWritten, 0, ...[...instances, ...orphans].map((instance) => sinceOf(instance, now)));

/** Whether EC2 has begun to end an instance, or has ended it: it can't be called back. */
export const isEnding = ({ state }: { state?: string }): boolean => state === "shutting-down" || state === "terminated";

/** Whether EC2 has ended it: it leads no longer, whatever its tags say. */
export const isEnded = ({ state }: { state?: string }): boolean => state === "terminated";

/** Whether the group offers the instance to lead. EC2's own state is checked later, by rank. */
export const isReady = ({ listed }: Instance): boolean =>
    listed?.lifecycleState === "InService" && listed.healthStatus === "Healthy";

/** Lifecycle states in which a group boots an instance. */
export const arrivingStates = ["Pending", "Pending:Wait", "Pending:Proceed"];

/** Whether the group boots the instance. */
export const isArriving = ({ listed }: Instance): boolean =>
    listed !== undefined && arrivingStates.includes(listed.lifecycleState) && listed.healthStatus === "Healthy";

/** Whether an instance whose state is known may lead, as good as any. */
export const isFit = (instance: Instance): boolean => whyUnfit(instance) === undefined;

/** Whether a leader may not stay even if no other instance can lead. */
export const isBarred = (leader: Instance): boolean => leader.listed === undefined || leader.vetoed || isEnding(leader);

/** The reason why an instance whose state is known is not fit, if it isn't. */
export const whyUnfit = (instance: Instance): string | undefined => {
    const { state, listed, vetoed, warned } = instance;
    if (state !== "running") {
        return `is ${state}`;
    }
    if (!listed) {
        return "is not listed by its group";
    }
    if (!isReady(instance)) {
        return `is listed as ${listed.lifecycleState} and ${listed.healthStatus}`;
    }
    if (vetoed) {
        return "is vetoed";
    }
    return warned ? "has a Spot interruption warning" : undefined;
};
