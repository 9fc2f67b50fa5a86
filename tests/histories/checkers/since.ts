// The fencing token only grows: a promotion's `since` comes after every one that there was to be seen.
import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import { detachesIn, type Evidence } from "./evidence";
import { sinceIn } from "./model";

/** Compares the `since` of each promotion and adoption with those that went before. */
export function since(evidence: Evidence, note: Note): Checker {
    const { expect } = evidence;
    const { tagKey } = expect;
    const check = (id: string, home: string, written: number, call: Call, batch: Batch) => {
        const fails = (before: string) =>
            note("since only grows", `${id} of ${home} gets the since ${iso(written)}, after ${before}`);
        const latest = latestSeen(evidence, home, batch);
        if (!(written > latest) || written < batch.start) {
            fails(`${iso(latest)} and ${iso(batch.start)}`);
        }
        const isRetry = (write: { by: unknown; at: number }) => write.by === call.by && write.at >= batch.start;
        const last = evidence.writes.filter((write) => write.home === home && write.since && !isRetry(write)).at(-1);
        // One that lies ahead was set by others, and may be gone with its tag.
        if (last?.since !== undefined && last.since <= last.at && written <= last.since) {
            fails(iso(last.since));
        }
    };
    return {
        beforeCall: (call, batch) => {
            const [tag] = call.input.Tags?.filter(({ Key }: { Key: string }) => Key === `${tagKey}:since`) ?? [];
            if (call.action !== "ec2:CreateTags" || !tag || !expect.exact) {
                return;
            }
            for (const id of call.input.Resources) {
                const homes = new Set(evidence.sightsOf(batch, id).flatMap(({ electorate }) => electorate ?? []));
                const [home, ...others] = homes;
                if (home !== undefined && others.length === 0) {
                    check(id, home, Date.parse(tag.Value), call, batch);
                }
            }
        },
    };
}

/** The latest `since` that every read of a batch showed on an instance: a leader, or one that has led. */
function latestSeen(evidence: Evidence, home: string, batch: Batch): number {
    const { tagKey } = evidence.expect;
    const views = evidence.viewsOf(batch);
    const times = [...(views[0] ?? [])].map(([id, { tags }]) => {
        const stays = views.every((view) => {
            const sight = view.get(id);
            return sight?.home === home && sight.tags[`${tagKey}:since`] === tags[`${tagKey}:since`];
        });
        return stays ? sinceIn(tags, tagKey, batch.start) : 0;
    });
    // What has just left the group, and is in no other.
    const left = detachesIn(batch.events)
        .filter(({ group }) => evidence.electorates.nameOf(group) === home)
        .flatMap(({ id }) => views[0]?.get(id) ?? [])
        .filter(
            ({ group, tags, state }) => group === undefined && tags[groupKey] === undefined && state !== "terminated",
        )
        .filter(({ tags }) => isTrue(tags[tagKey]))
        .map(({ tags }) => sinceIn(tags, tagKey, batch.start));
    return Math.max(0, ...times, ...left);
}

const iso = (at: number) => (Number.isNaN(at) ? "nothing" : new Date(at).toISOString());
