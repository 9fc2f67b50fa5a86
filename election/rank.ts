// Which of a group's candidates is promoted: EC2's states and checks, launches, load, chance.
import type { Aws } from "./aws/clients";
import { type Checks, readLoad, readStatuses, type Status } from "./aws/describe";
import { type Candidate, type Decided, tiers } from "./decide";
import { latestSince } from "./group";

/** How candidates rank, or why they can't be ranked. */
export interface Ranking {
    /** Ids of those that will do, the best first. */
    ids: string[];
    /** Status checks of the best, and its load in percent if that is known. */
    checks?: Checks;
    load?: number;
    error?: Error;
}

/** A decision, with the ranking of its candidates if one of them is to be promoted. */
export interface Ranked extends Decided {
    ranking?: Ranking;
}

const perGroup = 10;
const checksByRank: Checks[] = ["ok", "unknown", "impaired"]; // the best first
const loadStep = 10; // percentage points

/**
 * Orders the candidates that EC2 has in a state that will do: by tier, status checks, launch, load, chance.
 * Chance decides which 10 of a group are ranked; if none of them will do, 10 of the others that will.
 *
 * @param now milliseconds since 1970
 * @param chance gives a number for a text, always the same
 */
export const rank = async (aws: Aws, elections: Decided[], now: number, chance: (text: string) => number) => {
    const { tagKey } = aws.scope;
    const vacancies = elections.flatMap(({ group, decision }): Vacancy[] => {
        if (decision.outcome !== "choose") {
            return [];
        }
        const since = latestSince(group, now);
        // Electors that see the same choose the same; those for different tags choose differently.
        const drawn = decision.candidates.map((one) => ({ one, lot: chance(`${one.id} ${since} ${tagKey}`) }));
        const candidates = drawn.sort((a, b) => byTier(a.one, b.one) || a.lot - b.lot).map(({ one }) => one);
        return [{ group: group.name, candidates }];
    });
    const rankings = await rankAll(aws, vacancies, now);
    return elections.map((election): Ranked => ({ ...election, ranking: rankings.get(election.group.name) }));
};

/** A group in need of a leader, and the instances that may be chosen, in the order that chance has put them. */
interface Vacancy {
    group: string;
    candidates: Candidate[];
}

const rankAll = async (aws: Aws, vacancies: Vacancy[], now: number): Promise<Map<string, Ranking>> => {
    const first = vacancies.map((one) => ({ ...one, candidates: one.candidates.slice(0, perGroup) }));
    const ids = candidateIds(first);
    const [statuses, load] = await Promise.all([readStatuses(aws, ids), readLoad(aws, ids, now)]);
    const rankings = ranked(first, statuses, load);
    const isEmpty = (ranking?: Ranking) => ranking?.ids.length === 0 && !ranking.error;
    const others = vacancies
        .map((one) => ({ ...one, candidates: one.candidates.slice(perGroup) }))
        .filter(({ group, candidates }) => candidates.length > 0 && isEmpty(rankings.get(group)));
    const theirStatuses = await readStatuses(aws, candidateIds(others));
    const next = others.map((one) => ({
        ...one,
        candidates: keepEligible(one.candidates, theirStatuses).slice(0, perGroup),
    }));
    return new Map([...rankings, ...ranked(next, theirStatuses, await readLoad(aws, candidateIds(next), now))]);
};

const ranked = (vacancies: Vacancy[], ...known: [Map<string, Status | Error>, Map<string, number>]) =>
    new Map(vacancies.map(({ group, candidates }) => [group, order(candidates, ...known)]));

const candidateIds = (vacancies: Vacancy[]): string[] =>
    vacancies.flatMap(({ candidates }) => candidates.map(({ id }) => id));

const byTier = (a: Candidate, b: Candidate): number => tiers.indexOf(a.tier) - tiers.indexOf(b.tier);

/** Those that EC2 has in a state that will do, and those that can't be read. */
const keepEligible = (candidates: Candidate[], statuses: Map<string, Status | Error>): Candidate[] =>
    candidates.filter(({ id, states }) => {
        const status = statuses.get(id);
        return status instanceof Error || states.includes(status?.state ?? "");
    });

const order = (candidates: Candidate[], statuses: Map<string, Status | Error>, load: Map<string, number>): Ranking => {
    const error = candidates.map(({ id }) => statuses.get(id)).find((status) => status instanceof Error);
    if (error) {
        return { ids: [], error };
    }
    const checksOf = ({ id }: Candidate) => (statuses.get(id) as Status).checks;
    const checks = (one: Candidate) => checksByRank.indexOf(checksOf(one));
    const steps = ({ id }: Candidate) => Math.floor((load.get(id) ?? Number.MAX_VALUE) / loadStep);
    // Sorting is stable: candidates that are alike stay as chance has put them.
    const sorted = keepEligible(candidates, statuses).sort(
        (a, b) =>
            byTier(a, b) || checks(a) - checks(b) || Number(b.launched) - Number(a.launched) || steps(a) - steps(b),
    );
    const [best] = sorted;
    return { ids: sorted.map(({ id }) => id), ...(best && { checks: checksOf(best), load: load.get(best.id) }) };
};
