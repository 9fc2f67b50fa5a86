// Which of a group's candidates is promoted: EC2's states and checks, launches, load, chance.
import type { Aws } from "./aws/clients";
import { millisForLoad } from "./aws/deadline";
import { checksByRank, readLoad, readStatuses, type Status } from "./aws/describe";
import { type Candidate, type Decided, tiers } from "./decide";
import { latestSince } from "./group";

/** Ids of the candidates that will do, the best first; or why they can't be ranked. */
export type Ranking = { ids: string[] } | { error: Error };

/** A decision, with the ranking of its candidates if one of them is to be promoted. */
export interface Ranked extends Decided {
    ranking?: Ranking;
}

/** Gives a number for a text, always the same. */
export type Chance = (text: string) => number;

const perGroup = 10;
const loadMinutes = 15;
const loadStep = 10; // percentage points

/**
 * Orders the candidates that EC2 has in a state that will do: by tier, status checks, launch, load, chance.
 * Chance decides which 10 of a group are ranked; if none of them will do, 10 of the others that will.
 *
 * @param now milliseconds since 1970
 */
export async function rank(aws: Aws, elections: Decided[], now: number, chance: Chance): Promise<Ranked[]> {
    const vacancies = elections.flatMap(({ group, decision }): Vacancy[] => {
        if (decision.outcome !== "choose") {
            return [];
        }
        const since = latestSince(group, now);
        // Electors that see the same choose the same; those for different tags choose differently.
        const draw = ({ id }: Candidate) => chance(`${id} ${since} ${aws.scope.tagKey}`);
        return [{ group: group.name, candidates: shuffled(decision.candidates, draw) }];
    });
    const rankings = await rankAll(aws, vacancies, now);
    return elections.map((election) => ({ ...election, ranking: rankings.get(election.group.name) }));
}

/** A group in need of a leader, and the instances that may be chosen, in the order that chance has put them. */
interface Vacancy {
    group: string;
    candidates: Candidate[];
}

async function rankAll(aws: Aws, all: Vacancy[], now: number): Promise<Map<string, Ranking>> {
    const first = firstOf(all);
    const [statuses, load] = await Promise.all([readStatuses(aws, idsOf(first)), loadOf(aws, first, now)]);
    const rankings = new Map(first.map(({ group, candidates }) => [group, order(candidates, statuses, load)]));

    const unfilled = all
        .filter(({ group, candidates }) => candidates.length > perGroup && isEmpty(rankings.get(group)))
        .map(({ group, candidates }) => ({ group, candidates: candidates.slice(perGroup) }));
    if (unfilled.length === 0) {
        return rankings;
    }
    const others = await readStatuses(aws, idsOf(unfilled));
    const eligible = firstOf(
        unfilled.map(({ group, candidates }) => ({ group, candidates: keepEligible(candidates, others) })),
    );
    const theirLoad = await loadOf(aws, eligible, now);
    const theirs = eligible.map(({ group, candidates }) => [group, order(candidates, others, theirLoad)] as const);
    return new Map([...rankings, ...theirs]);
}

const firstOf = (vacancies: Vacancy[]): Vacancy[] =>
    vacancies.map(({ group, candidates }) => ({ group, candidates: candidates.slice(0, perGroup) }));

const idsOf = (vacancies: Vacancy[]): string[] => vacancies.flatMap(({ candidates }) => candidates.map(({ id }) => id));

const isEmpty = (ranking?: Ranking): boolean => ranking !== undefined && "ids" in ranking && ranking.ids.length === 0;

const byTier = (a: Candidate, b: Candidate): number => tiers.indexOf(a.tier) - tiers.indexOf(b.tier);

function shuffled(candidates: Candidate[], draw: (candidate: Candidate) => number): Candidate[] {
    return candidates
        .map((candidate) => ({ candidate, draw: draw(candidate) }))
        .sort((a, b) => byTier(a.candidate, b.candidate) || a.draw - b.draw)
        .map(({ candidate }) => candidate);
}

function loadOf(aws: Aws, vacancies: Vacancy[], now: number): Promise<Map<string, number>> {
    const signal = aws.deadline.within(millisForLoad);
    return readLoad(aws, idsOf(vacancies), { now, minutes: loadMinutes, signal });
}

/** Those that EC2 has in a state that will do, and those that can't be read. */
function keepEligible(candidates: Candidate[], statuses: Map<string, Status | Error>): Candidate[] {
    return candidates.filter(({ id, states }) => {
        const status = statuses.get(id);
        return status instanceof Error || states.includes(status?.state ?? "");
    });
}

function order(candidates: Candidate[], statuses: Map<string, Status | Error>, load: Map<string, number>): Ranking {
    const error = candidates.map(({ id }) => statuses.get(id)).find((status) => status instanceof Error);
    if (error) {
        return { error };
    }
    const checks = ({ id }: Candidate) => checksByRank.indexOf((statuses.get(id) as Status).checks);
    const steps = ({ id }: Candidate) => Math.floor((load.get(id) ?? Number.MAX_VALUE) / loadStep);
    // Sorting is stable: candidates that are alike stay as chance has put them.
    const ranked = keepEligible(candidates, statuses).sort(
        (a, b) =>
            byTier(a, b) || checks(a) - checks(b) || Number(b.launched) - Number(a.launched) || steps(a) - steps(b),
    );
    return { ids: ranked.map(({ id }) => id) };
}
