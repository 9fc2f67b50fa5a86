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
    /** Whether MAX of several metrics has a value only where each of them has one. AWS does not say it either. */
    maxNeedsAll?: boolean;
    /**
     * Periods that are read beyond those that are evaluated. AWS gives 2 in its examples only, and says that it depends
     * on the period: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
     */
    morePeriods?: number;
}

const minuteMillis = 60_000;
const mostMorePeriods = 2;

/**
 * The changes of an alarm's state from its creation on, under each of some conditions.
 * It is evaluated each minute, over windows that slide with the minutes.
 *
 * @param from when it is created, and `to` when it is last evaluated, in milliseconds since 1970
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
 */
export function changesOf(
    alarm: Alarm,
    metrics: Metrics,
    from: number,
    to: number,
    conditions: Conditions[] = [{}],
): Change[][] {
    const all = conditions.map((each) => ({ each, changes: [] as Change[] }));
    for (let now = Math.ceil(from / minuteMillis) * minuteMillis; now <= to; now += minuteMillis) {
        const values = valuesOf(alarm, metrics, now);
        for (const { each, changes } of all) {
            const state = changes.at(-1)?.state ?? "INSUFFICIENT_DATA";
            const next = nextState(alarm, datapoints(alarm, values, each), state);
            if (next !== state) {
                changes.push({ at: now, state: next });
            }
        }
    }
    return all.map(({ changes }) => changes);
}

/** What an alarm reads of each of its metrics, by their ids in its expression. */
function valuesOf(alarm: Alarm, metrics: Metrics, now: number): Record<string, Series> {
    const { namespace = "", metricName = "", dimensions = {}, statistic: stat = "", period = 0 } = alarm;
    const alone = { id: "alone", metric: { namespace, metricName, dimensions, stat, period } };
    const read = ({ stat, period, ...metric }: MetricId & { stat: string; period: number }) => {
        const millis = period * 1000;
        const minutes = metrics.of(metric);
        return Array.from({ length: alarm.evaluationPeriods + mostMorePeriods }, (_, back) =>
            statisticOf(minutes, stat, { from: now - (back + 1) * millis, to: now - back * millis, now }),
        );
    };
    const queries = alarm.metricQueries ?? [alone];
    return Object.fromEntries(queries.flatMap(({ id, metric }) => (metric ? [[id, read(metric)]] : [])));
}

/** What an alarm finds in the periods of its evaluation range, the latest first; undefined where there are no data. */
function datapoints(alarm: Alarm, values: Record<string, Series>, conditions: Conditions): Series {
    const { evaluationPeriods, metricQueries } = alarm;
    const range = evaluationPeriods + (conditions.morePeriods ?? mostMorePeriods);
    const read = Object.fromEntries(Object.entries(values).map(([id, series]) => [id, series.slice(0, range)]));
    const expression = metricQueries?.find(({ returnData }) => returnData)?.expression ?? "alone";
    return expression
        .split(" + ")
        .map((term) => termOf(term, read, conditions))
        .reduce((sums, term) => sums.map((sum, back) => plus(sum, term[back])));
}

/** A sum lacks a value where one of its terms does. */
const plus = (a?: number, b?: number) => (a === undefined || b === undefined ? undefined : a + b);

/** The values of a time series, the latest first. */
type Series = (number | undefined)[];

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html */
function termOf(term: string, values: Record<string, Series>, conditions: Conditions): Series {
    const [, factor, scaled] = term.match(/^(\d+) \* (.+)$/) ?? [];
    const [, listed] = term.match(/^MAX\(\[(.+)\]\)$/) ?? [];
    const [, filled, filler] = term.match(/^FILL\((\w+), (\d+|REPEAT)\)$/) ?? [];
    if (scaled !== undefined) {
        return termOf(scaled, values, conditions).map((value) => value && value * Number(factor));
    }
    if (listed !== undefined) {
        const terms = listed.split(/, (?![^(]*\))/);
        return largest(
            terms.map((one) => termOf(one, values, conditions)),
            conditions,
        );
    }
    if (filled !== undefined) {
        return fill(termOf(filled, values, conditions), filler === "REPEAT" ? undefined : Number(filler), conditions);
    }
    const found = values[term];
    if (!found) {
        throw new Error(`a term not known here: ${term}`);
    }
    return found;
}

/** Fills gaps with a number, or without one with the last value before each. */
function fill(series: Series, filler: number | undefined, { fillsEmpty = true }: Conditions): Series {
    if (filler === undefined) {
        return series.map((value, back) => value ?? series.slice(back).find((earlier) => earlier !== undefined));
    }
    const isEmpty = series.every((value) => value === undefined);
    return isEmpty && !fillsEmpty ? series : series.map((value) => value ?? filler);
}

function largest(all: Series[], { maxNeedsAll = false }: Conditions): Series {
    return (all[0] ?? []).map((_, back) => {
        const found = all.flatMap((series) => series[back] ?? []);
        const isThere = maxNeedsAll ? found.length === all.length : found.length > 0;
        return isThere ? Math.max(...found) : undefined;
    });
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
