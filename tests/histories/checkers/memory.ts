// What a container wrote counts as read: it writes nothing twice, and it notices when a group flaps.
import type { Call } from "../../simulator/aws/faults";
import type { Batch } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import { type Evidence, thirds } from "./evidence";
import { writingOf } from "./only-ours";

const rule = "a container remembers what it wrote";

/** Looks for writes that were made already, and for a `since` that its own container has passed. */
export function memory(evidence: Evidence, note: Note): Checker {
    const { expect } = evidence;
    /** Demotions of a batch that were made before: they are right only before a promotion. */
    const repeated = new WeakMap<object, { home?: string; how: string }[]>();
    const homeOf = (id: string, batch: Batch) =>
        evidence.sightsOf(batch, id).find(({ electorate }) => electorate !== undefined)?.electorate;

    const check = (id: string, call: Call, batch: Batch) => {
        const writing = writingOf(call, expect.tagKey);
        const known = evidence.writes.filter((write) => evidence.isKnown(write, call, batch));
        const last = evidence.writes.filter((write) => write.id === id).at(-1);
        const home = homeOf(id, batch);
        // Memory does not count for an instance that its group no longer lists; in another group it is not judged.
        const again = last !== undefined && known.includes(last) && home !== undefined && last.home === home;
        const since = Date.parse(call.input.Tags.at(-1)?.Value);
        if (again && last.leads && !last.isAdoption && writing === "promotion") {
            note(rule, `promotion of ${id}: that was done at ${last.at}`);
        }
        if (again && !last.leads && writing === "demotion") {
            const how = `${writing} of ${id}: that was done at ${last.at}`;
            repeated.set(batch.events, [...(repeated.get(batch.events) ?? []), { home, how }]);
        }
        const before = known.filter((write) => write.home === home && write.since !== undefined).at(-1);
        if ((writing === "promotion" || writing === "adoption") && before && since <= (before.since as number)) {
            note(rule, `${writing} of ${id}: its since does not come after ${before.since}`);
        }
    };
    return {
        beforeCall: (call, batch) => {
            for (const id of expect.alone && /Tags$/.test(call.action) ? call.input.Resources : []) {
                check(id, call, batch);
            }
        },
        afterInvocation: ({ events, start }, by) => {
            const isExcused = evidence.isDisturbed({ events }) || evidence.isChangedSince(start);
            const suspects = isExcused ? [] : (repeated.get(events) ?? []);
            if (suspects.length === 0) {
                return;
            }
            const tried = evidence.writeCallsSince(start).filter(({ action }) => action === "ec2:CreateTags");
            const chosen: string[] = tried.filter((call) => call.by === by).flatMap(({ input }) => input.Resources);
            const homes = new Set(chosen.map((id) => homeOf(id, { events, start })));
            for (const { how } of suspects.filter(({ home }) => !homes.has(home))) {
                note(rule, how);
            }
        },
    };
}

/** After three promotions of a group within a minute, tag events alone cause no other until the next sweep. */
export function flapping(evidence: Evidence, note: Note): Checker {
    return {
        beforeCall: (call, batch) => {
            const onlyTags = batch.events.every(({ source }) => source === "aws.tag");
            if (call.action !== "ec2:CreateTags" || !onlyTags) {
                return;
            }
            for (const id of call.input.Resources) {
                const home = evidence.sightsOf(batch, id)[0]?.electorate;
                const own = evidence
                    .promotionsSinceSweep(home, call.by)
                    .filter(({ unsure, at }) => !unsure && at < batch.start);
                if (thirds(own).some(({ first, third }) => third.at - first.at < 60_000)) {
                    note("a group that flaps waits for the sweep", `promotion of ${id} in ${home}`);
                }
            }
        },
    };
}

/** At rest a sweep finds nothing to write, unless EC2 refused it before. */
export function quiet(evidence: Evidence, note: Note): Checker {
    return {
        atEnd: (restedAt) => {
            const isRefused = ({ input }: Call) => input.Resources?.some((id: string) => evidence.refuses(id));
            const writes = evidence.writeCallsSince(restedAt).filter((call) => !isRefused(call));
            if (writes.length > 0) {
                const said = writes.map(({ action, input }) => `${action} ${JSON.stringify(input)}`);
                note("nothing is written when nothing changes", said.join("; "));
            }
        },
    };
}
