// Writes tags of instances, and finds out which instances a refused call is about.
import { sinceKey } from "../scope";
import { chunks, groupedBy, idsIn, isAboutCall, isGone, withContext } from "./answers";
import type { Aws } from "./clients";

/** What became of each id: undefined if its tags are as wanted. */
export type Outcomes = Map<string, Error | undefined>;

/** Takes the leader tag off instances, or all of an election's tags. An instance that is gone carries none any more. */
export const takeTags = async (aws: Aws, ids: string[], which: "leader" | "all", abortSignal: AbortSignal) => {
    const { tagKey } = aws.scope;
    const Tags = [{ Key: tagKey }, ...(which === "all" ? [{ Key: sinceKey(tagKey) }] : [])];
    const outcomes = await writeAll(aws, ids, (Resources) =>
        withContext("ec2:DeleteTags", Resources, aws.ec2.deleteTags({ Resources, Tags }, { abortSignal }), abortSignal),
    );
    return new Map([...outcomes].map(([id, error]) => [id, error && isGone(error) ? undefined : error] as const));
};

/** What an instance gets: the leader tag, a `since`, or both in one call. */
export interface Gift {
    id: string;
    leads: boolean;
    since?: string;
}

/** Gives tags to instances; those that get the same share their calls. */
export const giveTags = async (aws: Aws, gifts: Gift[], abortSignal: AbortSignal): Promise<Outcomes> => {
    const { tagKey } = aws.scope;
    const alike = groupedBy(gifts, ({ leads, since }) => `${leads} ${since}`);
    const writes = [...alike.values()].map((same) => {
        const [{ leads, since } = { leads: false }] = same;
        const Tags = [
            ...(leads ? [{ Key: tagKey, Value: "true" }] : []),
            ...(since === undefined ? [] : [{ Key: sinceKey(tagKey), Value: since }]),
        ];
        const ids = same.map(({ id }) => id);
        return writeAll(aws, ids, (Resources) => {
            const answer = aws.ec2.createTags({ Resources, Tags }, { abortSignal });
            return withContext("ec2:CreateTags", Resources, answer, abortSignal);
        });
    });
    return new Map((await Promise.all(writes)).flatMap((outcomes) => [...outcomes]));
};

/** What is known while a write is divided. */
interface Division {
    tagging: Aws["tagging"];
    write: (ids: string[]) => Promise<unknown>;
    refusals: number;
    /** Whether each refusal, as far as is known, was about all ids of its call, and no call went well. */
    isAboutAll: boolean;
}

/** Writes to all ids in as few calls as possible; a refusal about some of them leaves the others alone. */
const writeAll = async ({ tagging }: Aws, ids: string[], write: Division["write"]): Promise<Outcomes> => {
    const division: Division = { tagging, write, refusals: 0, isAboutAll: true };
    return new Map((await Promise.all(chunks(ids, 1000).map((part) => writePart(division, part)))).flat());
};

/** Writes to these ids; finds out which a refusal is about: those that AWS calls gone, else one half or the other. */
const writePart = async (division: Division, ids: string[]): Promise<[string, Error | undefined][]> => {
    let error: Error;
    try {
        await division.write(ids);
        division.isAboutAll = false;
        division.tagging.isRefused = false;
        return ids.map((id) => [id, undefined]);
    } catch (caught) {
        division.refusals++;
        error = caught as Error;
    }
    const { tagging, refusals } = division;
    if (ids.length === 1 || !isAboutCall(error)) {
        return ids.map((id) => [id, error]);
    }
    if (division.isAboutAll && (tagging.isRefused || refusals > 50)) {
        // A policy that refuses everything must not cost two calls an instance. None of them is known to be gone.
        tagging.isRefused = true;
        const givenUp = new Error(`given up after ${refusals} refusals; ${error.message}`, { cause: error });
        return ids.map((id) => [id, givenUp]);
    }
    const named = isGone(error) ? idsIn(error.cause as Error) : [];
    const gone = ids.filter((id) => named.includes(id));
    const rest = ids.filter((id) => !named.includes(id));
    division.isAboutAll &&= named.length === 0;
    const halves = chunks(rest, Math.ceil(rest.length / 2) || 1).map((half) => writePart(division, half));
    return [...gone.map((id): [string, Error] => [id, error]), ...(await Promise.all(halves)).flat()];
};
