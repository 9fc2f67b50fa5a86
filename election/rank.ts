import { type Aws, within } from "./aws";
import type { Candidate } from "./decide";
import { readLoad, readStatuses, type Status } from "./describe";

/** A group in need of a leader, and the instances that may be chosen. */
export interface Vacancy {
    group: string;
    candidates: Candidate[];
    /** Electors that see the same choose the same: the group's latest `since`, and the tag key. */
    tieBreak: string;
}

/** Ids of the candidates that will do, the best first; or why they can't be ranked. */
export type Ranking = { ids: string[] } | { error: Error };

/** Gives a number for a text, always the same. */
export type Chance = (text: string) => number;

const perGroup = 10;
const loadMinutes = 15;
const loadStep = 10; // percentage points
// Load may be left out: the time is needed to demote and promote.
const loadMillis = 1500;

/**
 * Orders the candidates that EC2 has in a state that will do: by tier, status checks, launch, load, chance.
 * Chance decides which 10 of a group are ranked; if none of them will do, 10 of the others that will.
 *
 * @param now milliseconds since 1970
 * @returns a ranking for each vacancy, by group; empty if no candidate will do
 */
export async function rank(aws: Aws, vacancies: Vacancy[], now: number, chance: Chance): Promise<Map<string, Ranking>> {
    const all = vacancies.map(({ group, candidates, tieBreak }) => ({
        group,
        candidates: shuffled(candidates, tieBreak, chance),
    }));
    const first = firstOf(all);
    const [statuses, load] = await Promise.all([readStatuses(aws, idsOf(first)), loadOf(aws, first, now)]);
    const rankings = new Map(first.map(({ group, candidates }) => [group, order(candidates, statuses, load)]));

    const unfilled = all
        .filter(({ group, candidates }) => candidates.length > perGroup && isEmpty(rankings.get(group)))
        .map(({ group, candidates }) => ({ group, candidates: candidates.slice(perGroup) }));
    if (unfilled.length > 0) {
        const others = await readStatuses(aws, idsOf(unfilled));
        const eligible = firstOf(
            unfilled.map(({ group, candidates }) => ({ group, candidates: keepEligible(candidates, others) })),
        );
        const theirLoad = await loadOf(aws, eligible, now);
        for (const { group, candidates } of eligible) {
            rankings.set(group, order(candidates, others, theirLoad));
        }
    }
    return rankings;
}

type Shuffled = Pick<Vacancy, "group" | "candidates">;

const firstOf = (vacancies: Shuffled[]): Shuffled[] =>
    vacancies.map(({ group, candidates }) => ({ group, candidates: candidates.slice(0, perGroup) }));

const idsOf = (vacancies: Shuffled[]): string[] =>
    vacancies.flatMap(({ candidates }) => candidates.map(({ id }) => id));

const isEmpty = (ranking?: Ranking): boolean => ranking !== undefined && "ids" in ranking && ranking.ids.length === 0;

function shuffled(candidates: Candidate[], tieBreak: string, chance: Chance): Candidate[] {
    return candidates
        .map((candidate) => ({ candidate, draw: chance(`${candidate.id} ${tieBreak}`) }))
        .sort((a, b) => a.candidate.tier - b.candidate.tier || a.draw - b.draw)
        .map(({ candidate }) => candidate);
}

function loadOf(aws: Aws, vacancies: Shuffled[], now: number): Promise<Map<string, number>> {
    return readLoad(aws, idsOf(vacancies), { now, minutes: loadMinutes, signal: within(loadMillis) });
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
    const checks = ({ id }: Candidate) => (statuses.get(id) as Status).checks;
    const steps = ({ id }: Candidate) => Math.floor((load.get(id) ?? Number.MAX_VALUE) / loadStep);
    // Sorting is stable: candidates that are alike stay as chance has put them.
    const ranked = keepEligible(candidates, statuses).sort(
        (a, b) =>
            a.tier - b.tier || checks(a) - checks(b) || Number(b.launched) - Number(a.launched) || steps(a) - steps(b),
    );
    return { ids: ranked.map(({ id }) => id) };
}
