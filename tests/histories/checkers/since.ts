// The fencing token only grows: a promotion's `since` comes after every one that there was to be seen.
import { isTrue } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import { detachesIn, type Evidence } from "./evidence";
import { type Sight, sinceIn } from "./model";

/** Compares the `since` of each promotion and adoption with those that went before. */
export function since(evidence: Evidence, note: Note): Checker {
    const { expect } = evidence;
    const { tagKey } = expect;
    const check = (id: string, home: string, written: number, batch: Batch) => {
        const fails = (before: string) =>
            note("since only grows", `${id} of ${home} gets the since ${iso(written)}, after ${before}`);
        const latest = latestSeen(evidence, home, batch);
        if (!(written > latest) || written < batch.start) {
            fails(`${iso(latest)} and ${iso(batch.start)}`);
        }
        const last = evidence.writes.findLast((write) => write.home === home && write.since);
        if (evidence.isDisturbed(batch)) {
            return; // a call that breaks half way is repeated as it was
        }
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
                const [home] = evidence.sightsOf(batch, id).flatMap(({ electorate }) => electorate ?? []);
                if (home !== undefined) {
                    check(id, home, Date.parse(tag.Value), batch);
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
    // A leader that has just left the group, and is in no other.
    const isLooseLeader = ({ group, tags }: Sight) => group === undefined && isTrue(tags[tagKey]);
    const left = detachesIn(batch.events)
        .filter(({ group }) => evidence.electorates.nameOf(group) === home)
        .map(({ id }) => evidence.sightsOf(batch, id))
        .filter((sights) => sights.length === views.length && sights.every(isLooseLeader))
        .map(([sight]) => sinceIn(sight?.tags ?? {}, tagKey, batch.start));
    return Math.max(0, ...times, ...left);
}

const iso = (at: number) => (Number.isNaN(at) ? "nothing" : new Date(at).toISOString());
