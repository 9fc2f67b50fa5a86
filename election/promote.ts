import { type Aws, asking, inParts } from "./aws";
import { type Scope, sinceKey } from "./events";

/** What an election wants written for a group. */
export interface Plan {
    group: string;
    /** Ids that lose the tag, before anybody gets it. */
    demote: string[];
    /** Ids of whom the first that is still there gets the tag. */
    promote: string[];
    /** Since when whoever is promoted leads: milliseconds since 1970. */
    since: number;
}

/** What was written for a group, and what kept the rest from being written. */
export interface Written {
    group: string;
    demoted: string[];
    promoted?: string;
    error?: Error;
}

// One request of each kind at its timeout.
const millisToHandOver = 4000;

/**
 * Writes plans together, demotions before promotions. What fails for one group leaves the others alone.
 *
 * @param strays ids that lose the tags beside those of the plans
 * @param millisLeft how long the invocation may still run
 * @returns what was written, in the order of the plans; then what of the strays
 */
export async function promote(
    aws: Aws,
    scope: Scope,
    plans: Plan[],
    strays: string[],
    millisLeft: number,
): Promise<{ written: Written[]; stripped: Written }> {
    const stray: Plan = { group: "", demote: strays, promote: [], since: 0 };
    const steps = [stray, ...plans].map((plan) => ({ plan, done: { group: plan.group, demoted: [] } as Written }));

    const handOvers = steps.filter(({ plan }) => plan.demote.length > 0 && plan.promote.length > 0);
    if (millisLeft < millisToHandOver) {
        for (const { done } of handOvers) {
            done.error = new Error(`nothing was written: ${millisLeft} ms are too few to demote and promote`);
        }
    }

    const demoting = steps.filter(({ done }) => !done.error);
    const demoted = await demoteAll(
        aws,
        scope,
        demoting.flatMap(({ plan }) => plan.demote),
    );
    for (const { plan, done } of demoting) {
        done.demoted = plan.demote.filter((id) => !demoted.get(id));
        done.error = plan.demote.map((id) => demoted.get(id)).find((error) => error);
    }

    let promoting = steps.filter(({ plan, done }) => !done.error && plan.promote.length > 0);
    for (let choice = 0; promoting.length > 0; choice++) {
        const chosen = promoting.map(({ plan }) => ({ id: plan.promote[choice], since: plan.since }));
        const promoted = await promoteAll(aws, scope, chosen);
        promoting = promoting.filter(({ plan, done }) => {
            const id = plan.promote[choice];
            const error = promoted.get(id);
            if (!error) {
                done.promoted = id;
            } else if (canNotBeTagged(error) && choice + 1 < plan.promote.length) {
                return true;
            } else {
                done.error = error;
            }
            return false;
        });
    }

    const [stripped, ...written] = steps.map(({ done }) => done);
    return { written, stripped };
}

/** What became of each id: undefined if its tags are as wanted. */
type Outcomes = Map<string, Error | undefined>;

async function demoteAll(aws: Aws, { tagKey }: Scope, ids: string[]): Promise<Outcomes> {
    const Tags = [{ Key: tagKey }, { Key: sinceKey(tagKey) }];
    const outcomes = await writeAll(ids, (Resources) =>
        asking("ec2:DeleteTags", Resources, aws.ec2.deleteTags({ Resources, Tags })),
    );
    // An instance that is gone leads no more.
    return new Map([...outcomes].map(([id, error]) => [id, error && isGone(error) ? undefined : error]));
}

async function promoteAll(aws: Aws, { tagKey }: Scope, chosen: { id: string; since: number }[]): Promise<Outcomes> {
    const times = [...new Set(chosen.map(({ since }) => since))];
    const outcomes = times.map((time) => {
        const ids = chosen.filter(({ since }) => since === time).map(({ id }) => id);
        const Tags = [
            { Key: tagKey, Value: "true" },
            { Key: sinceKey(tagKey), Value: new Date(time).toISOString() },
        ];
        return writeAll(ids, (Resources) =>
            asking("ec2:CreateTags", Resources, aws.ec2.createTags({ Resources, Tags })),
        );
    });
    return new Map((await Promise.all(outcomes)).flatMap((some) => [...some]));
}

/** Writes to all ids in as few calls as will do; one that fails doesn't keep the others from being written. */
async function writeAll(ids: string[], write: (ids: string[]) => Promise<unknown>): Promise<Outcomes> {
    let refusals = 0;
    const parts = await Promise.all(inParts(ids, 1000).map(writeSome));
    return new Map(parts.flat());

    async function writeSome(some: string[]): Promise<[string, Error | undefined][]> {
        try {
            await write(some);
            return some.map((id) => [id, undefined]);
        } catch (error) {
            refusals++;
            // A policy that refuses everything must not cost two calls an instance.
            if (some.length === 1 || !isAboutSome(error as Error) || refusals > 50) {
                return some.map((id) => [id, error as Error]);
            }
            return (await Promise.all(divide(some, (error as Error).cause as Error).map(writeSome))).flat();
        }
    }
}

/** Those that AWS names apart from the others; halves, if it names none. */
function divide(ids: string[], { message }: Error): string[][] {
    const named: string[] = message.match(/\bi-\w+/g) ?? [];
    const blamed = ids.filter((id) => named.includes(id));
    return blamed.length > 0 && blamed.length < ids.length
        ? [blamed, ids.filter((id) => !named.includes(id))]
        : inParts(ids, Math.ceil(ids.length / 2));
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
const isGone = ({ name }: Error): boolean => name.startsWith("InvalidInstanceID") || name === "InvalidID";
const canNotBeTagged = (error: Error): boolean => isGone(error) || error.name === "TagLimitExceeded";
const isAboutSome = (error: Error): boolean => canNotBeTagged(error) || error.name === "UnauthorizedOperation";
