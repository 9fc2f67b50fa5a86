// What a container wrote counts as read: it writes nothing twice, and it notices when a group flaps.
import type { Call } from "../../simulator/aws/faults";
import type { Batch } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import { type Evidence, mostLagMillis } from "./evidence";

/** Looks for writes that were made already, and for a `since` that its own container has passed. */
export function memory(evidence: Evidence, note: Note): Checker {
    const { expect } = evidence;
    const check = (id: string, call: Call, batch: Batch) => {
        const promotes = call.action === "ec2:CreateTags";
        const what = `${promotes ? "promotion" : "demotion"} of ${id}`;
        const known = evidence.writes.filter((write) => evidence.isKnown(write, call, batch));
        const last = evidence.writes.filter((write) => write.id === id).at(-1);
        // What was written may have been for the group that the instance belonged to when it was read.
        const at = last?.at ?? 0;
        const moved = evidence.movedAt(id) > at || evidence.electoratesChangedAt > at - mostLagMillis;
        if (last && known.includes(last) && (last.since !== undefined) === promotes && !moved) {
            note("a container remembers what it wrote", `${what}: that was done at ${last.at}`);
        }
        const home = evidence.sightsOf(batch, id).find(({ electorate }) => electorate !== undefined)?.electorate;
        const before = known.filter((write) => write.home === home && write.since !== undefined).at(-1);
        if (promotes && before && Date.parse(call.input.Tags[1]?.Value) <= (before.since as number)) {
            note("a container remembers what it wrote", `${what}: its since does not come after ${before.since}`);
        }
    };
    return {
        beforeCall: (call, batch) => {
            if (/Tags$/.test(call.action) && expect.alone && !evidence.isDisturbed(batch)) {
                for (const id of call.input.Resources) {
                    check(id, call, batch);
                }
            }
        },
    };
}

/** After three promotions of a group within a minute, tag events alone cause no other until the next sweep. */
export function flapping(evidence: Evidence, note: Note): Checker {
    return {
        beforeCall: (call, batch) => {
            const onlyTags = batch.events.every(({ source }) => source === "aws.tag");
            if (call.action !== "ec2:CreateTags" || !evidence.expect.exact || !onlyTags) {
                return;
            }
            const lastSweep = evidence.sweeps.filter(({ by }) => by === call.by).at(-1)?.at ?? 0;
            for (const id of call.input.Resources) {
                const home = evidence.sightsOf(batch, id)[0]?.electorate;
                const own = evidence.writes.filter(
                    ({ home: elsewhere, by, since, at, unsure }) =>
                        elsewhere === home && by === call.by && since !== undefined && at > lastSweep && !unsure,
                );
                const isFlapping = own.some((write, index) => index >= 2 && write.at - own[index - 2].at <= 60_000);
                if (isFlapping) {
                    note("a group that flaps waits for the sweep", `promotion of ${id} in ${home}`);
                }
            }
        },
    };
}

/** At rest a sweep finds nothing to write. */
export function quiet(evidence: Evidence, note: Note): Checker {
    return {
        atEnd: (restedAt) => {
            const { refused } = evidence.expect;
            const isRefused = ({ input }: Call) => input.Resources?.some((id: string) => refused.has(id));
            const writes = evidence.writeCallsSince(restedAt).filter((call) => !isRefused(call));
            if (writes.length > 0) {
                const said = writes.map(({ action, input }) => `${action} ${JSON.stringify(input)}`);
                note("nothing is written when nothing changes", said.join("; "));
            }
        },
    };
}
