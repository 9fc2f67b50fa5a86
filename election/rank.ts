import { type Aws, asking, everyPage, idsIn, inParts, isGone, listed } from "./aws";
import type { Nominee } from "./decide";
import { readStates } from "./observe";
import { warn } from "./report";

/** A group in need of a leader, and everybody who may be chosen. */
export interface Vacancy {
    group: string;
    nominees: Nominee[];
    /** The group's latest `since`: electors who see the same choose the same. */
    salt: number;
}

/** Who will do, the best first; or what kept us from finding out. */
export type Ranking = { ids: string[] } | { error: Error };

/** Gives a number for a text, always the same. */
export type Chance = (text: string) => number;

const atOnce = 1000;
const perGroup = 10;
const loadMinutes = 15;
const loadStep = 10; // percentage points
// What may be left out is not waited for longer: the time is needed to demote and promote.
const optionalMillis = 1500;

/**
 * Orders the nominees that EC2 has in a state that will do: by tier, status checks, load, chance.
 * Chance says who is looked at, 10 of a group and 1,000 in all; if none of them will do, those of the others who will.
 *
 * @param now milliseconds since 1970
 * @returns a ranking for each vacancy, by group; empty if nobody will do
 */
export async function rank(aws: Aws, vacancies: Vacancy[], now: number, chance: Chance): Promise<Map<string, Ranking>> {
    const rankings = new Map<string, Ranking>();
    const drawn = vacancies.map((vacancy) => ({ group: vacancy.group, nominees: shuffled(vacancy, chance) }));
    // Two of a group at least, so that there is a next one if the first is gone.
    for (const heat of inParts(drawn, atOnce / 2)) {
        const each = Math.min(perGroup, Math.floor(atOnce / heat.length));
        await rankFirst(heat, each);
        const unfilled = heat
            .filter(({ group, nominees }) => nominees.length > each && isEmpty(rankings.get(group)))
            .map(({ group, nominees }) => ({ group, nominees: nominees.slice(each) }));
        await rankFirst(await withoutUnfit(aws, unfilled), each);
    }
    return rankings;

    async function rankFirst(some: Drawn[], each: number): Promise<void> {
        const first = some.map(({ group, nominees }) => ({ group, nominees: nominees.slice(0, each) }));
        const looks = await inspect(aws, idsOf(first), now);
        for (const { group, nominees } of first) {
            rankings.set(group, order(nominees, looks));
        }
    }
}

/** A group in need of a leader, and who may be chosen, in the order that chance has put them. */
type Drawn = Pick<Vacancy, "group" | "nominees">;

/** What AWS says of instances, by id. */
interface Looks {
    states: Map<string, string | Error>;
    /** 0: ok, 1: not known yet, 2: impaired. */
    checks: Map<string, number>;
    /** Average CPU utilization, in steps. */
    load: Map<string, number>;
}

const idsOf = (drawn: Drawn[]): string[] => drawn.flatMap(({ nominees }) => nominees.map(({ id }) => id));

const isEmpty = (ranking?: Ranking): boolean => ranking !== undefined && "ids" in ranking && ranking.ids.length === 0;

function shuffled({ nominees, salt }: Vacancy, chance: Chance): Nominee[] {
    return nominees
        .map((nominee) => ({ nominee, draw: chance(`${nominee.id} ${salt}`) }))
        .sort((a, b) => a.nominee.tier - b.nominee.tier || a.draw - b.draw)
        .map(({ nominee }) => nominee);
}

function order(nominees: Nominee[], { states, checks, load }: Looks): Ranking {
    const error = nominees.map(({ id }) => states.get(id)).find((state) => state instanceof Error);
    if (error) {
        return { error };
    }
    const check = ({ id }: Nominee) => checks.get(id) ?? 1;
    const busy = ({ id }: Nominee) => load.get(id) ?? Number.MAX_VALUE;
    const fit = nominees.filter((nominee) => willDo(nominee, states));
    // Sorting is stable: those who are alike stay as chance has put them.
    fit.sort((a, b) => a.tier - b.tier || check(a) - check(b) || busy(a) - busy(b));
    return { ids: fit.map(({ id }) => id) };
}

function willDo({ id, states }: Nominee, found: Looks["states"]): boolean {
    return states.includes(found.get(id) as string);
}

/** Groups may be large: whoever EC2 has in another state needs no closer look. Who can't be read stays, and fails there. */
async function withoutUnfit(aws: Aws, drawn: Drawn[]): Promise<Drawn[]> {
    const states = await readStatesInParts(aws, idsOf(drawn));
    const mayDo = (nominee: Nominee) => states.get(nominee.id) instanceof Error || willDo(nominee, states);
    return drawn.map(({ group, nominees }) => ({ group, nominees: nominees.filter(mayDo) }));
}

async function inspect(aws: Aws, ids: string[], now: number): Promise<Looks> {
    const abortSignal = AbortSignal.timeout(optionalMillis);
    const [states, checks, load] = await Promise.all([
        readStatesInParts(aws, ids),
        readChecks(aws, ids, abortSignal),
        readLoad(aws, ids, now, abortSignal),
    ]);
    return { states, checks, load };
}

/** Reads states so that what can't be read fails for its own groups only. */
async function readStatesInParts(aws: Aws, ids: string[]): Promise<Looks["states"]> {
    const parts = inParts(ids, 200).map(async (part): Promise<[string, string | Error][]> => {
        try {
            return [...(await readStates(aws, part))];
        } catch (error) {
            return part.map((id) => [id, error as Error]);
        }
    });
    return new Map((await Promise.all(parts)).flat());
}

async function readChecks(aws: Aws, ids: string[], abortSignal: AbortSignal): Promise<Looks["checks"]> {
    const action = "ec2:DescribeInstanceStatus";
    const read = async (part: string[]): Promise<[string, number][]> => {
        try {
            const request = { InstanceIds: part, IncludeAllInstances: true };
            const answer = await asking(action, part, aws.ec2.describeInstanceStatus(request, { abortSignal }));
            return listed(answer.InstanceStatuses, action).map((status) => [
                String(status.InstanceId),
                Math.max(grade(status.InstanceStatus?.Status), grade(status.SystemStatus?.Status)),
            ]);
        } catch (error) {
            const named = idsIn((error as Error).cause as Error);
            const known = part.filter((id) => !named.includes(id));
            if (isGone(error as Error) && known.length > 0 && known.length < part.length) {
                return read(known);
            }
            warn("status checks are left out", error);
            return [];
        }
    };
    return new Map((await Promise.all(inParts(ids, 100).map(read))).flat());
}

function grade(status: unknown): number {
    return status === "ok" ? 0 : status === "impaired" ? 2 : 1;
}

async function readLoad(aws: Aws, ids: string[], now: number, abortSignal: AbortSignal): Promise<Looks["load"]> {
    const action = "cloudwatch:GetMetricData";
    const parts = inParts(ids, 500).map(async (part): Promise<[string, number][]> => {
        try {
            const pages = aws.pages.metrics(
                { client: aws.cloudWatch },
                {
                    StartTime: new Date(now - loadMinutes * 60 * 1000),
                    EndTime: new Date(now),
                    MetricDataQueries: part.map((id, place) => ({ Id: `m${place}`, MetricStat: cpuUtilization(id) })),
                },
                { abortSignal },
            );
            const answers = await asking(action, part, everyPage(pages));
            const results = answers.flatMap((answer) => listed(answer.MetricDataResults, action));
            return part.flatMap((id, place): [string, number][] => {
                const values = results.filter(({ Id }) => Id === `m${place}`).flatMap(({ Values }) => Values ?? []);
                const average = values.reduce((sum, value) => sum + value, 0) / values.length;
                return values.length > 0 ? [[id, Math.floor(average / loadStep)]] : [];
            });
        } catch (error) {
            warn("load is left out", error);
            return [];
        }
    });
    return new Map((await Promise.all(parts)).flat());
}

function cpuUtilization(id: string) {
    return {
        Metric: {
            Namespace: "AWS/EC2",
            MetricName: "CPUUtilization",
            Dimensions: [{ Name: "InstanceId", Value: id }],
        },
        Period: 300,
        Stat: "Average",
    };
}
