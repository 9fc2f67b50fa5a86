// When CloudWatch's alarms change their state: M of N periods, sliding windows, missing and late data.
import { type MetricId, type Metrics, statisticOf } from "./metrics";

export type State = "OK" | "ALARM" | "INSUFFICIENT_DATA";

/** An alarm as the program registers it: on one metric, or on a sum of several. */
export interface Alarm extends Partial<MetricId> {
    statistic?: string;
    /** In seconds. */
    period?: number;
    metricQueries?: {
        id: string;
        expression?: string;
        metric?: MetricId & { period: number; stat: string };
        returnData?: boolean;
    }[];
    comparisonOperator: string;
    threshold: number;
    evaluationPeriods: number;
    datapointsToAlarm?: number;
    treatMissingData?: string;
}

export interface Change {
    /** In milliseconds since 1970. */
    at: number;
    state: State;
}

export interface Conditions {
    /**
     * Whether FILL gives values where its metric has none in the whole range.
     * AWS does not say, so alarms must work either way.
     */
    fillsEmpty?: boolean;
}

const minuteMillis = 60_000;

/**
 * Periods that are read beyond those that are evaluated. AWS gives this number in its examples only, and says that it depends on the period.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 */
const morePeriods = 2;

/**
 * The changes of an alarm's state from its creation on. It is evaluated each minute, over windows that slide with the minutes.
 *
 * @param from when it is created, and `to` when it is last evaluated, in milliseconds since 1970
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
 */
export function changesOf(
    alarm: Alarm,
    metrics: Metrics,
    from: number,
    to: number,
    conditions: Conditions = {},
): Change[] {
    const changes: Change[] = [];
    let state: State = "INSUFFICIENT_DATA";
    for (let now = Math.ceil(from / minuteMillis) * minuteMillis; now <= to; now += minuteMillis) {
        const next = nextState(alarm, datapoints(alarm, metrics, now, conditions), state);
        if (next !== state) {
            changes.push({ at: now, state: next });
        }
        state = next;
    }
    return changes;
}

/** What an alarm finds in the periods of its evaluation range, the latest first; undefined where there are no data. */
function datapoints(
    alarm: Alarm,
    metrics: Metrics,
    now: number,
    { fillsEmpty = true }: Conditions,
): (number | undefined)[] {
    const range = alarm.evaluationPeriods + morePeriods;
    const read = (metric: MetricId, statistic: string, period: number) => {
        const millis = period * 1000;
        const minutes = metrics.of(metric);
        return Array.from({ length: range }, (_, back) =>
            statisticOf(minutes, statistic, { from: now - (back + 1) * millis, to: now - back * millis, now }),
        );
    };
    if (!alarm.metricQueries) {
        const { namespace = "", metricName = "", dimensions = {}, statistic = "", period = 0 } = alarm;
        return read({ namespace, metricName, dimensions }, statistic, period);
    }
    const expression = alarm.metricQueries.find(({ returnData }) => returnData)?.expression ?? "";
    const values = Object.fromEntries(
        alarm.metricQueries.flatMap(({ id, metric }) =>
            metric ? [[id, read(metric, metric.stat, metric.period)]] : [],
        ),
    );
    const terms = expression.split(" + ").map((term) => termOf(term, values, fillsEmpty));
    return Array.from({ length: range }, (_, back) =>
        // A sum lacks a value where one of its terms does.
        terms.reduce<number | undefined>((sum, term) => {
            const value = term[back];
            return sum === undefined || value === undefined ? undefined : sum + value;
        }, 0),
    );
}

function termOf(
    term: string,
    values: Record<string, (number | undefined)[]>,
    fillsEmpty: boolean,
): (number | undefined)[] {
    const [, filled, filler] = term.match(/^FILL\((\w+), (\d+)\)$/) ?? [];
    const [, factor, id] = term.match(/^(?:(\d+) \* )?(\w+)$/) ?? [];
    const found = values[filled ?? id];
    if (!found) {
        throw new Error(`a term not known here: ${term}`);
    }
    if (filled) {
        const empty = found.every((value) => value === undefined);
        return empty && !fillsEmpty ? found : found.map((value) => value ?? Number(filler));
    }
    return found.map((value) => (value !== undefined ? value * Number(factor ?? 1) : undefined));
}

/** @param range the data points of the evaluation range, the latest first */
export function nextState(alarm: Alarm, range: (number | undefined)[], state: State): State {
    const { evaluationPeriods, datapointsToAlarm = evaluationPeriods, treatMissingData = "missing" } = alarm;
    const breaches = (value: number) => isBreaching(alarm, value);
    const real = range.filter((value) => value !== undefined).slice(0, evaluationPeriods);
    const missing = evaluationPeriods - real.length;
    if (real.length === 0) {
        return ({ breaching: "ALARM", notBreaching: "OK", ignore: state, missing: "INSUFFICIENT_DATA" } as const)[
            treatMissingData as "missing"
        ];
    }
    const breaching = real.filter(breaches).length + (treatMissingData === "breaching" ? missing : 0);
    if (breaching >= datapointsToAlarm) {
        return "ALARM";
    }
    // Too few data, none of them good: an alarm must not go off too soon.
    if (missing > 0 && real.every(breaches)) {
        if (treatMissingData === "ignore") {
            return state;
        }
        const oldest = range.findLastIndex((value) => value !== undefined) + 1;
        return treatMissingData === "missing" && oldest >= datapointsToAlarm ? "ALARM" : "OK";
    }
    return "OK";
}

function isBreaching({ comparisonOperator, threshold }: Alarm, value: number): boolean {
    switch (comparisonOperator) {
        case "GreaterThanOrEqualToThreshold":
            return value >= threshold;
        case "GreaterThanThreshold":
            return value > threshold;
        case "LessThanThreshold":
            return value < threshold;
        default:
            throw new Error(`an operator not known here: ${comparisonOperator}`);
    }
}
