import { type Aws, asking, idsIn, inParts, isGone } from "./aws";
import { type Scope, sinceKey } from "./events";

/** What an election wants written for a group. */
export interface Plan {
    group: string;
    /** Ids that lose the tag, before anybody gets it. */
    demote: string[];
    /** Ids of whom the first that is still there gets the tag. */
    promote: string[];
    /** Whether a leader has lost the tag alive just before, or leaves the group as a stray. */
    follows: boolean;
    /** Since when whoever is promoted leads: milliseconds since 1970. */
    since: number;
}

/** What was written for a group, and what kept the rest from being written. */
export interface Written {
    group: string;
    demoted: string[];
    /** Who was promoted, with the `since` that its tag has, and when it was about to be: milliseconds since 1970. */
    promoted?: { id: string; since: string; at: number };
    /** When demoting had been tried, if it was: milliseconds since 1970. */
    demotedAt?: number;
    error?: Error;
}

// One request at its timeout, and some more.
const millisToPromote = 2500;
const millisToDemote = 1500;
export const millisToReport = 500;

/**
 * Writes plans together, demotions before promotions. What fails for one group leaves the others alone.
 *
 * @param strays ids that lose the tags beside those of the plans
 * @param millisLeft how long the invocation may still run
 * @param clock tells the time: milliseconds since 1970
 * @returns what was written, in the order of the plans; then what of the strays
 */
export async function promote(
    aws: Aws,
    scope: Scope,
    plans: Plan[],
    strays: string[],
    millisLeft: number,
    clock: () => number,
): Promise<{ written: Written[]; stripped: Written }> {
    const stray: Plan = { group: "", demote: strays, promote: [], follows: false, since: 0 };
    const steps = [stray, ...plans].map((plan) => ({ plan, done: { group: plan.group, demoted: [] } as Written }));

    const handOvers = steps.filter(({ plan }) => plan.promote.length > 0 && (plan.demote.length > 0 || plan.follows));
    let millisToWait = handOvers.length > 0 ? scope.handoverSeconds * 1000 : 0;
    if (millisLeft < millisToDemote + millisToWait + millisToPromote) {
        millisToWait = 0;
        for (const { done } of handOvers) {
            done.error = new Error(`nothing was written: ${millisLeft} ms are too few to demote and promote`);
        }
    }

    const demoting = steps.filter(({ done }) => !done.error);
    const demoted = await demoteAll(
        aws,
        scope,
        demoting.flatMap(({ plan }) => plan.demote),
        within(millisLeft - millisToWait - millisToPromote),
    );
    const demotedAt = clock();
    for (const { plan, done } of demoting) {
        done.demotedAt = demotedAt;
        done.demoted = plan.demote.filter((id) => !demoted.get(id));
        done.error = plan.demote.map((id) => demoted.get(id)).find((error) => error);
    }

    const abortSignal = within(millisLeft - millisToReport);
    const promoting = steps.filter(({ plan, done }) => !done.error && plan.promote.length > 0);
    const succeeding = millisToWait > 0 ? promoting.filter((step) => handOvers.includes(step)) : [];
    await Promise.all([
        promoteFirst(promoting.filter((step) => !succeeding.includes(step))),
        // Who led until now may still be at work, and needs time to see that it is over.
        ...(succeeding.length > 0 ? [sleep(millisToWait).then(() => promoteFirst(succeeding))] : []),
    ]);

    const [stripped, ...written] = steps.map(({ done }) => done);
    return { written, stripped };

    /** Promotes the first of each plan who is still there. */
    async function promoteFirst(some: typeof steps): Promise<void> {
        let open = some;
        for (let choice = 0; open.length > 0; choice++) {
            const at = clock();
            const chosen = open.map(({ plan }) => ({ id: plan.promote[choice], since: plan.since }));
            const promoted = await promoteAll(aws, scope, chosen, abortSignal);
            open = open.filter(({ plan, done }) => {
                const id = plan.promote[choice];
                const error = promoted.get(id);
                if (!error) {
                    done.promoted = { id, since: new Date(plan.since).toISOString(), at };
                } else if (canNotBeTagged(error) && choice + 1 < plan.promote.length) {
                    return true;
                } else {
                    done.error = error;
                }
                return false;
            });
        }
    }
}

function sleep(millis: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, millis));
}

/** Aborts what is under way when so much time has passed, so that the rest is still done and told. */
export function within(millis: number): AbortSignal {
    return AbortSignal.timeout(Math.max(0, millis));
}

/** What became of each id: undefined if its tags are as wanted. */
type Outcomes = Map<string, Error | undefined>;

async function demoteAll(aws: Aws, { tagKey }: Scope, ids: string[], abortSignal: AbortSignal): Promise<Outcomes> {
    const Tags = [{ Key: tagKey }, { Key: sinceKey(tagKey) }];
    const outcomes = await writeAll(ids, (Resources) =>
        asking("ec2:DeleteTags", Resources, aws.ec2.deleteTags({ Resources, Tags }, { abortSignal })),
    );
    // An instance that is gone leads no more.
    return new Map([...outcomes].map(([id, error]) => [id, error && isGone(error) ? undefined : error]));
}

async function promoteAll(
    aws: Aws,
    { tagKey }: Scope,
    chosen: { id: string; since: number }[],
    abortSignal: AbortSignal,
): Promise<Outcomes> {
    const times = [...new Set(chosen.map(({ since }) => since))];
    const outcomes = times.map((time) => {
        const ids = chosen.filter(({ since }) => since === time).map(({ id }) => id);
        const Tags = [
            { Key: tagKey, Value: "true" },
            { Key: sinceKey(tagKey), Value: new Date(time).toISOString() },
        ];
        return writeAll(ids, (Resources) =>
            asking("ec2:CreateTags", Resources, aws.ec2.createTags({ Resources, Tags }, { abortSignal })),
        );
    });
    return new Map((await Promise.all(outcomes)).flatMap((some) => [...some]));
}

/** Writes to all ids in as few calls as will do; one that fails doesn't keep the others from being written. */
async function writeAll(ids: string[], write: (ids: string[]) => Promise<unknown>): Promise<Outcomes> {
    const outcomes: Outcomes = new Map();
    let refusals = 0;
    let isAboutAll = true; // as far as is known
    await Promise.all(inParts(ids, 1000).map(writeSome));
    return outcomes;

    async function writeSome(some: string[]): Promise<void> {
        try {
            await write(some);
            isAboutAll = false;
            settle(some, undefined);
        } catch (error) {
            refusals++;
            await divide(some, error as Error);
        }
    }

    /** Finds out whom a refusal is about: those that AWS says are gone, else one half or the other. */
    async function divide(some: string[], error: Error): Promise<void> {
        if (some.length === 1 || !isAboutSome(error)) {
            settle(some, error);
        } else if (refusals > 50 && isAboutAll) {
            // A policy that refuses everything must not cost two calls an instance. None of them is known to be gone.
            settle(some, new Error(`given up after ${refusals} refusals; ${error.message}`, { cause: error }));
        } else {
            const gone = isGone(error) ? idsIn(error.cause as Error) : [];
            isAboutAll &&= gone.length === 0;
            settle(
                some.filter((id) => gone.includes(id)),
                error,
            );
            const rest = some.filter((id) => !gone.includes(id));
            await Promise.all(inParts(rest, Math.ceil(rest.length / 2) || 1).map(writeSome));
        }
    }

    function settle(some: string[], error: Error | undefined): void {
        for (const id of some) {
            outcomes.set(id, error);
        }
    }
}

const canNotBeTagged = (error: Error): boolean => isGone(error) || error.name === "TagLimitExceeded";

/** Whether AWS refuses what it is asked, perhaps because of one of the resources, and not because it is asked too often. */
function isAboutSome(error: Error): boolean {
    const status = (error.cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0;
    const refused = status >= 400 && !/Throttl|^RequestLimitExceeded/.test(error.name);
    return refused || isGone(error);
}
