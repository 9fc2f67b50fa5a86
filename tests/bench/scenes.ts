// What the benchmark measures: the events that reach the function, and the region that it finds then.
import { type BusEvent, scalingEvent, stateEvent, sweepEvent } from "../simulator/aws/events";
import { Region } from "../simulator/aws/region";
import { Timeline } from "../simulator/clock";

/** The settings of the stack that is measured. */
export const scope = { asgPrefix: "awseb-", tagKey: "app:isLeader" };

/** An election, or a sweep of many. */
export interface Case {
    name: string;
    /** The region before, made anew for each run. */
    region(): Region;
    event: BusEvent;
    /** Names of the groups that are to have one fit leader afterwards, and a report each. */
    groups: string[];
    outcome: "kept" | "elected";
    /** Calls that must follow each other, whatever makes them. */
    unavoidable: number;
}

const group = `${scope.asgPrefix}shop`;
const foreign = "legacy-";
const old = "i-0d1e0f00000000000";
const electedAt = new Date(Date.now() - 24 * 60 * 60 * 1000).toISOString();
const leaderTags = { [scope.tagKey]: "true", [`${scope.tagKey}:since`]: electedAt };

const count = (size: number, what: string) => `${size.toLocaleString("en")} ${what}${size === 1 ? "" : "s"}`;

function fill(region: Region, name: string, size: number, led: boolean): void {
    for (let member = 0; member < size; member++) {
        region.addInstance(name, { tags: led && member === 0 ? leaderTags : {}, load: 12.5 });
    }
}

function regionWith(size: number, led: boolean, leader?: { state: string; lifecycleState?: string }): Region {
    const region = new Region(new Timeline());
    fill(region, group, size, led);
    if (leader) {
        region.addInstance(group, { id: old, ...leader, tags: leaderTags });
        if (!leader.lifecycleState) {
            region.unlist(old);
        }
    }
    return region;
}

/** Elections of one group, each named by an event of Auto Scaling. */
export function groupCases(size: number): Case[] {
    const dead = { state: "terminated" };
    const leaving = { state: "running", lifecycleState: "Terminating:Wait" };
    const cases: [what: string, sample: string, unavoidable: number, leader?: typeof dead | typeof leaving][] = [
        ["leader kept", "terminate-successful", 1],
        ["leader dead", "terminate-successful", 3, dead],
        ["leader leaving: hand-over", "terminate-lifecycle-action", 4, leaving],
    ];
    return cases.map(([what, sample, unavoidable, leader]) => ({
        name: `${count(size, "member")}, ${what}`,
        region: () => regionWith(size, leader === undefined, leader),
        event: scalingEvent(sample, Date.now(), group, old),
        groups: [group],
        outcome: leader ? "elected" : "kept",
        unavoidable,
    }));
}

/** Events that name no group: EC2's, of every instance in the region. */
export function departureCases(): Case[] {
    return [
        {
            name: "an instance shuts down that leads no group",
            region: () => regionWith(0, false),
            event: stateEvent(Date.now(), old, "shutting-down"),
            groups: [],
            outcome: "kept",
            unavoidable: 1,
        },
        {
            name: "3 members, leader shuts down",
            region: () => regionWith(3, false, { state: "shutting-down" }),
            event: stateEvent(Date.now(), old, "shutting-down"),
            groups: [group],
            outcome: "elected",
            unavoidable: 4,
        },
    ];
}

/**
 * A sweep over the whole region.
 *
 * @param others groups of other names, and their size
 */
export function sweepCase(groups: number, size: number, led: boolean, others = { groups: 0, size: 0 }): Case {
    const ours = Array.from({ length: groups }, (_, index) => `${group}-${index}`);
    const beside = others.groups === 0 ? "" : ` beside ${others.groups} foreign of ${others.size}`;
    const pages = Math.ceil((groups + others.groups) / 100); // each page's request needs the page before
    return {
        name: `${count(groups, "group")} of ${size}${beside}, ${led ? "settled" : "vacant"}`,
        region: () => {
            const region = new Region(new Timeline());
            for (let index = 0; index < others.groups; index++) {
                fill(region, `${foreign}${index}`, others.size, false);
            }
            for (const name of ours) {
                fill(region, name, size, led);
            }
            return region;
        },
        event: sweepEvent(Date.now()),
        groups: ours,
        outcome: led ? "kept" : "elected",
        unavoidable: pages + (led ? 0 : 2),
    };
}

/** A batch of foreign instances that begin to end. */
export function foreignDepartures(batch: number, size: number): BusEvent[] {
    return Array.from({ length: size }, (_, index) => {
        const id = `i-0f${(batch * size + index).toString(16).padStart(15, "0")}`;
        return stateEvent(Date.now(), id, "shutting-down");
    });
}
