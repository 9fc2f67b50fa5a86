import { type Aws, asking, describeInstances, everyPage, inParts, listed } from "./aws";
import type { Nominee } from "./decide";
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

/**
 * Orders the nominees that EC2 has in a state that will do: by tier, status checks, load, chance.
 * Chance says who is looked at, 10 of a group and 1,000 in all; the next ones follow if none of them will do.
 *
 * @param now milliseconds since 1970
 * @returns a ranking for each vacancy, by group; empty if nobody will do
 */
export async function rank(aws: Aws, vacancies: Vacancy[], now: number, chance: Chance): Promise<Map<string, Ranking>> {
    const rankings = new Map<string, Ranking>();
    let open = vacancies.map((vacancy) => ({ group: vacancy.group, nominees: shuffled(vacancy, chance) }));
    while (open.length > 0) {
        const heat = open.slice(0, atOnce);
        const each = Math.min(perGroup, Math.floor(atOnce / heat.length));
        const looks = await inspect(
            aws,
            heat.flatMap(({ nominees }) => nominees.slice(0, each).map(({ id }) => id)),
            now,
        );
        for (const { group, nominees } of heat) {
            const ranking = order(nominees.slice(0, each), looks);
            if ("error" in ranking || ranking.ids.length > 0 || nominees.length <= each) {
                rankings.set(group, ranking);
            }
        }
        const next = heat.map(({ group, nominees }) => ({ group, nominees: nominees.slice(each) }));
        open = [...next, ...open.slice(atOnce)].filter(({ group }) => !rankings.has(group));
    }
    return rankings;
}

/** What AWS says of instances, by id. */
interface Looks {
    states: Map<string, string | Error>;
    /** 0: ok, 1: not known yet, 2: impaired. */
    checks: Map<string, number>;
    /** Average CPU utilization, in steps. */
    load: Map<string, number>;
}

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
    const fit = nominees.filter((nominee) => nominee.states.includes(states.get(nominee.id) as string));
    // Sorting is stable: those who are alike stay as chance has put them.
    fit.sort((a, b) => a.tier - b.tier || check(a) - check(b) || busy(a) - busy(b));
    return { ids: fit.map(({ id }) => id) };
}

async function inspect(aws: Aws, ids: string[], now: number): Promise<Looks> {
    const [states, checks, load] = await Promise.all([
        readStates(aws, ids),
        readChecks(aws, ids),
        readLoad(aws, ids, now),
    ]);
    return { states, checks, load };
}

async function readStates(aws: Aws, ids: string[]): Promise<Looks["states"]> {
    const parts = inParts(ids, 200).map(async (part): Promise<[string, string | Error][]> => {
        try {
            // As a filter, not as InstanceIds: one id that EC2 doesn't know would fail the call.
            const instances = await describeInstances(aws, [{ Name: "instance-id", Values: part }], part);
            return instances.map(({ InstanceId, State }) => [String(InstanceId), String(State?.Name)]);
        } catch (error) {
            return part.map((id) => [id, error as Error]);
        }
    });
    return new Map((await Promise.all(parts)).flat());
}

async function readChecks(aws: Aws, ids: string[]): Promise<Looks["checks"]> {
    const action = "ec2:DescribeInstanceStatus";
    const read = async (part: string[]): Promise<[string, number][]> => {
        try {
            const request = { InstanceIds: part, IncludeAllInstances: true };
            const answer = await asking(action, part, aws.ec2.describeInstanceStatus(request));
            return listed(answer.InstanceStatuses, action).map((status) => [
                String(status.InstanceId),
                Math.max(grade(status.InstanceStatus?.Status), grade(status.SystemStatus?.Status)),
            ]);
        } catch (error) {
            const { name, cause } = error as Error;
            const known = part.filter((id) => !String((cause as Error)?.message).includes(id));
            if (name.startsWith("InvalidInstanceID") && known.length > 0 && known.length < part.length) {
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

async function readLoad(aws: Aws, ids: string[], now: number): Promise<Looks["load"]> {
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
