// Writes tags of instances, and finds out which instances a refused call is about.
import { type Aws, chunks, idsIn, isAboutCall, isGone, withContext } from "./aws";

/** What became of each id: undefined if its tags are as wanted. */
export type Outcomes = Map<string, Error | undefined>;

/** Takes tags off instances, whatever their values. One that is gone carries none any more. */
export async function takeTags(aws: Aws, ids: string[], keys: string[], abortSignal: AbortSignal): Promise<Outcomes> {
    const Tags = keys.map((Key) => ({ Key }));
    const outcomes = await writeAll(aws, ids, (Resources) =>
        withContext("ec2:DeleteTags", Resources, aws.ec2.deleteTags({ Resources, Tags }, { abortSignal }), abortSignal),
    );
    return new Map([...outcomes].map(([id, error]) => [id, error && isGone(error) ? undefined : error]));
}

/** Gives tags to instances; those that get the same share their calls. */
export async function giveTags(
    aws: Aws,
    wanted: { id: string; tags: Record<string, string> }[],
    abortSignal: AbortSignal,
): Promise<Outcomes> {
    const same = new Map<string, string[]>();
    for (const { id, tags } of wanted) {
        const ids = same.get(JSON.stringify(tags)) ?? [];
        same.set(JSON.stringify(tags), ids);
        ids.push(id);
    }
    const writes = [...same].map(([json, ids]) => {
        const Tags = Object.entries<string>(JSON.parse(json)).map(([Key, Value]) => ({ Key, Value }));
        return writeAll(aws, ids, (Resources) =>
            withContext(
                "ec2:CreateTags",
                Resources,
                aws.ec2.createTags({ Resources, Tags }, { abortSignal }),
                abortSignal,
            ),
        );
    });
    return new Map((await Promise.all(writes)).flatMap((outcomes) => [...outcomes]));
}

const mostRefusals = 50;

/** Writes to all ids in as few calls as possible; a refusal about some of them leaves the others alone. */
async function writeAll(
    { tagging }: Aws,
    ids: string[],
    write: (ids: string[]) => Promise<unknown>,
): Promise<Outcomes> {
    const outcomes: Outcomes = new Map();
    let refusals = 0;
    let isAboutAll = true; // as far as is known
    await Promise.all(chunks(ids, 1000).map(writeSome));
    return outcomes;

    async function writeSome(some: string[]): Promise<void> {
        try {
            await write(some);
            isAboutAll = false;
            tagging.isRefused = false;
            record(some, undefined);
        } catch (error) {
            refusals++;
            await divide(some, error as Error);
        }
    }

    /** Finds out which ids a refusal is about: those that AWS calls gone, else one half or the other. */
    async function divide(some: string[], error: Error): Promise<void> {
        if (some.length === 1 || !(isGone(error) || isAboutCall(error))) {
            record(some, error);
        } else if (isAboutAll && (tagging.isRefused || refusals > mostRefusals)) {
            // A policy that refuses everything must not cost two calls an instance. None of them is known to be gone.
            tagging.isRefused = true;
            record(some, new Error(`given up after ${refusals} refusals; ${error.message}`, { cause: error }));
        } else {
            const gone = isGone(error) ? idsIn(error.cause as Error) : [];
            isAboutAll &&= gone.length === 0;
            record(
                some.filter((id) => gone.includes(id)),
                error,
            );
            const rest = some.filter((id) => !gone.includes(id));
            await Promise.all(chunks(rest, Math.ceil(rest.length / 2) || 1).map(writeSome));
        }
    }

    function record(some: string[], error: Error | undefined): void {
        for (const id of some) {
            outcomes.set(id, error);
        }
    }
}
