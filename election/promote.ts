// Writes what elections have decided: demotions, a pause, then promotions.
import { type Aws, isRefusal, within } from "./aws";
import type { Instance } from "./decide";
import type { Planned } from "./plan";
import { type Scope, sinceKey } from "./scope";
import { giveTags, type Outcomes, takeTags } from "./tags";

/** A group's election, and what was written for it. */
export interface Written extends Planned {
    result: Result;
}

/** What was written. Times are in milliseconds since 1970. */
export interface Result {
    /** Ids that lost the leader tag. */
    demoted: string[];
    /** When demoting had been tried, if it was. */
    demotedAt?: number;
    /** The instance that got the leader tag, with the `since` that it has, and when the write was sent. */
    promoted?: { id: string; since?: string; at: number };
    /** Whether that is the former leader, because no other instance could be promoted. */
    isGivenBack?: boolean;
    /** The leader that got a `since`. */
    adopted?: { id: string; since: string; at: number };
    /** Ids that AWS refused to tag. */
    refused: string[];
    /** Ids that may or may not have been written. */
    uncertain: string[];
    /** Why something was not written. */
    error?: Error;
    /** What AWS did not do, although the election went on. */
    warnings: Error[];
}

// One attempt at its time-out, and some more.
export const millisToPromote = 2500;
const millisToDemote = 1500;
/** What an invocation keeps for its report. */
export const millisToReport = 500;

/**
 * Writes plans together: demotions, the hand-over pause, then promotions. What fails for one group leaves the others alone.
 *
 * @param orphans lose the tags beside the plans' leaders
 * @param millisLeft how long the invocation may still run
 * @param clock gives milliseconds since 1970
 */
export async function promote(
    aws: Aws,
    scope: Scope,
    elections: Planned[],
    orphans: Instance[],
    millisLeft: number,
    clock: () => number,
): Promise<{ written: Written[]; stripped: Result }> {
    if (scope.dryRun) {
        return { written: elections.map((election) => pretend(election, clock())), stripped: emptyResult() };
    }
    const { tagKey } = scope;
    const steps: Written[] = elections.map((election) => ({ ...election, result: emptyResult() }));
    const stripped = emptyResult();
    let pauseMillis = scope.handoverSeconds * 1000;
    const pauses = steps.filter(
        ({ group, plan }) =>
            plan.promote.length > 0 &&
            (plan.demote.length > 0 || (pauseMillis > 0 && (plan.retire.length > 0 || group.handingOver))),
    );
    pauseMillis = pauses.length > 0 ? pauseMillis : 0;
    if (millisLeft < millisToDemote + pauseMillis + millisToPromote) {
        pauseMillis = 0;
        for (const { result } of pauses) {
            result.error = new Error(`nothing was written: ${millisLeft} ms are too few to demote and promote`);
        }
    }
    // A leader that EC2 is ending loses its tag with its successor's promotion, unless there is a pause or no successor.
    const retiresLater = ({ plan }: Planned) => plan.promote.length > 0 && pauseMillis === 0;

    const demoting = steps.filter(({ result }) => !result.error);
    const firstIds = (step: Planned) => [...step.plan.demote, ...(retiresLater(step) ? [] : step.plan.retire)];
    const demotionSignal = within(millisLeft - pauseMillis - millisToPromote);
    const [demotions, strippings] = await Promise.all([
        takeTags(aws, demoting.flatMap(firstIds), [tagKey], demotionSignal),
        takeTags(
            aws,
            orphans.map(({ id }) => id),
            [tagKey, sinceKey(tagKey)],
            demotionSignal,
        ),
    ]);
    const demotedAt = clock();
    for (const step of demoting) {
        step.result.demotedAt = demotedAt;
        record(step.result, firstIds(step), demotions, step.plan.retire);
    }
    record(
        stripped,
        orphans.map(({ id }) => id),
        strippings,
        [],
    );

    const { signal } = aws;
    const going = steps.filter(({ result }) => !result.error);
    const waiting = pauseMillis > 0 ? going.filter((step) => pauses.includes(step)) : [];
    const retiring = demoting.filter(retiresLater);
    await Promise.all([
        promoteFirst(going.filter((step) => !waiting.includes(step))),
        // The former leader may still be at work, and needs time to see that it leads no more.
        ...(waiting.length > 0 ? [sleep(pauseMillis).then(() => promoteFirst(waiting))] : []),
        adopt(going.filter(({ plan }) => plan.adopt !== undefined)),
        takeTags(
            aws,
            retiring.flatMap(({ plan }) => plan.retire),
            [tagKey],
            signal,
        ).then((outcomes) => {
            for (const { plan, result } of retiring) {
                record(result, plan.retire, outcomes, plan.retire);
            }
        }),
    ]);
    return { written: steps, stripped };

    /** Promotes the first instance of each plan that AWS lets be tagged, else gives the former leader its tag back. */
    async function promoteFirst(some: Written[]): Promise<void> {
        let open = some.filter(({ plan }) => plan.promote.length > 0);
        for (let choice = 0; open.length > 0; choice++) {
            const at = clock();
            const idOf = ({ plan }: Written) => plan.promote[choice] ?? plan.giveBack;
            const isGivenBack = ({ plan }: Written) => choice >= plan.promote.length;
            const outcomes = await giveTags(
                aws,
                open.map((step) => ({
                    id: idOf(step) as string,
                    tags: {
                        [tagKey]: "true",
                        // A tag given back goes with the `since` that is still there.
                        ...(isGivenBack(step) ? {} : { [sinceKey(tagKey)]: new Date(step.plan.since).toISOString() }),
                    },
                })),
                signal,
            );
            open = open.filter((step) => {
                const { group, plan, result } = step;
                const id = idOf(step) as string;
                const error = outcomes.get(id);
                if (!error) {
                    const since = isGivenBack(step)
                        ? group.instances.find((instance) => instance.id === id)?.since
                        : new Date(plan.since).toISOString();
                    result.promoted = { id, since, at };
                    result.isGivenBack = isGivenBack(step);
                    result.error = isGivenBack(step) ? result.error : undefined;
                    return false;
                }
                result.error = error;
                if (!isRefusal(error)) {
                    // It may have been done: no other instance may get the tag now.
                    result.uncertain.push(id);
                    return false;
                }
                result.refused.push(id);
                return (
                    !aws.tagging.isRefused && choice + 1 < plan.promote.length + (plan.giveBack === undefined ? 0 : 1)
                );
            });
        }
    }

    /** Gives leaders that were tagged by hand a `since`; nothing else about them changes. */
    async function adopt(some: Written[]): Promise<void> {
        const at = clock();
        const wanted = some.map(({ plan }) => ({
            id: plan.adopt as string,
            tags: { [sinceKey(tagKey)]: new Date(plan.since).toISOString() },
        }));
        const outcomes = await giveTags(aws, wanted, signal);
        for (const { plan, result } of some) {
            const id = plan.adopt as string;
            const error = outcomes.get(id);
            if (error) {
                result.warnings.push(error);
            } else {
                result.adopted = { id, since: new Date(plan.since).toISOString(), at };
            }
        }
    }
}

function emptyResult(): Result {
    return { demoted: [], refused: [], uncertain: [], warnings: [] };
}

/** What would be written, if AWS did it all. */
function pretend(election: Planned, at: number): Written {
    const { demote, retire, promote, since } = election.plan;
    const result = { ...emptyResult(), demoted: [...demote, ...retire] };
    return promote.length === 0
        ? { ...election, result }
        : {
              ...election,
              result: { ...result, promoted: { id: promote[0], since: new Date(since).toISOString(), at } },
          };
}

/** Notes what became of demotions. A leader that EC2 is ending leads no longer, whatever its tag says: it holds up no promotion. */
function record(result: Result, ids: string[], outcomes: Outcomes, retire: string[]): void {
    for (const id of ids) {
        const error = outcomes.get(id);
        if (!error) {
            result.demoted.push(id);
            continue;
        }
        if (!isRefusal(error)) {
            result.uncertain.push(id);
        }
        if (retire.includes(id)) {
            result.warnings.push(error);
        } else {
            result.error ??= error;
        }
    }
}

function sleep(millis: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, millis));
}
