import { type Call, isWrite } from "./aws/faults";
import type { Line } from "./clock";
import { shop, tagKey } from "./names";
import type { World } from "./world";

/** An instance that got the tag or lost it, and when. */
export interface Change {
    at: number;
    id: string;
    leads: boolean;
}

/** Notes every instance that gets the tag or loses it, when it happens. */
export function noteChanges({ region, timeline }: World, tagKey: string): Change[] {
    const changes: Change[] = [];
    const leads = (id: string) => region.tags(id)[tagKey] === "true";
    const before = new Map([...region.instances.keys()].map((id) => [id, leads(id)]));
    region.onChange.push((id) => {
        if (leads(id) !== (before.get(id) ?? false)) {
            changes.push({ at: timeline.now, id, leads: leads(id) });
        }
        before.set(id, leads(id));
    });
    return changes;
}

/** Notes after each write how many live leaders the shop has. */
export function countLeaders({ region }: World): number[] {
    const counts: number[] = [];
    region.afterWrite.push(() => counts.push(region.leaders(shop, tagKey).length));
    return counts;
}

/** Lines that CloudWatch reads as metrics. */
export const metricLinesIn = (world: Pick<World, "lines">): Record<string, unknown>[] =>
    loggedAt("stdout", world).map((entry) => JSON.parse(entry));

/** The values of a metric, in the order in which they were written. */
export const metricIn = (world: Pick<World, "lines">, name: string): unknown[] =>
    metricLinesIn(world).flatMap(({ [name]: value }) => value ?? []);

/** What the function logged at a level. */
export const loggedAt = (level: Line["level"], { lines }: Pick<World, "lines">): Line["entry"][] =>
    lines.filter((line) => line.level === level).map(({ entry }) => entry);

export const callsOf = ({ region }: World, action: string): Call[] =>
    region.calls.filter((call) => call.action === action);

export const writesIn = (calls: Call[]): Call[] => calls.filter(isWrite);

/** How often a caller waited for an answer: the longest chain of calls each of which began after the one before had ended. */
export function roundTripsIn(calls: { start: number; end: number }[]): number {
    const depths: number[] = [];
    for (const { start } of calls) {
        const before = depths.filter((_, index) => Number(calls[index]?.end) <= start);
        depths.push(1 + Math.max(0, ...before));
    }
    return Math.max(0, ...depths);
}
