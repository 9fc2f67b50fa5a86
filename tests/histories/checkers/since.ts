// The fencing token only grows: a promotion's `since` comes after every one that there was to be seen.
import type { Call } from "../../simulator/aws/faults";
import type { Batch } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import { leadsIn, sinceIn } from "./model";

/** Compares each promotion's `since` with those that went before. */
export function since(evidence: Evidence, note: Note): Checker {
    const { expect } = evidence;
    const { tagKey } = expect;
    const check = (id: string, home: string, since: number, call: Call, batch: Batch) => {
        const fails = (before: string) =>
            note("since only grows", `promotion of ${id} in ${home}: its since is ${iso(since)}, after ${before}`);
        const latest = latestSeen(evidence, home, batch);
        if (!(since > latest) || since < batch.start) {
            fails(`${iso(latest)} and ${iso(batch.start)}`);
        }
        const isRetry = (write: { by: unknown; at: number }) => write.by === call.by && write.at >= batch.start;
        const promotions = evidence.writes.filter((write) => write.home === home && write.since !== undefined);
        const last = promotions.filter((write) => !isRetry(write)).at(-1);
        // One that lies ahead was set by others, and may be gone with its tag.
        if (last?.since !== undefined && last.since <= last.at && since <= last.since) {
            fails(iso(last.since));
        }
    };
    return {
        beforeCall: (call, batch) => {
            if (call.action !== "ec2:CreateTags" || !expect.exact) {
                return;
            }
            for (const id of call.input.Resources) {
                const homes = new Set(evidence.sightsOf(batch, id).flatMap(({ electorate }) => electorate ?? []));
                if (homes.size === 1) {
                    const [tag] = call.input.Tags.filter(({ Key }: { Key: string }) => Key === `${tagKey}:since`);
                    check(id, [...homes][0], Date.parse(tag?.Value), call, batch);
                }
            }
        },
    };
}

/** The latest `since` that every read of a batch showed on a leader. */
function latestSeen(evidence: Evidence, home: string, batch: Batch): number {
    const { tagKey } = evidence.expect;
    const views = evidence.viewsOf(batch);
    const times = [...(views[0] ?? [])].map(([id, { tags }]) => {
        const stays = views.every((view) => {
            const sight = view.get(id);
            return sight && leadsIn(home, tagKey)(sight) && sight.tags[`${tagKey}:since`] === tags[`${tagKey}:since`];
        });
        return stays ? sinceIn(tags, tagKey, batch.start) : 0;
    });
    return Math.max(0, ...times);
}

const iso = (at: number) => (Number.isNaN(at) ? "nothing" : new Date(at).toISOString());
