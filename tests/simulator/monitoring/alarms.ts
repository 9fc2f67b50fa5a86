// When CloudWatch's alarms change their state: M of N periods, sliding windows, missing and late data.
import { minute } from "../clock";
import { found } from "../lists";
import { type MetricId, type Metrics, statisticOf } from "./metrics";

export type State = "OK" | "ALARM" | "INSUFFICIENT_DATA";

/** An alarm as the program registers it: on one metric, or on a sum of several. */
export interface Alarm extends Partial<MetricId> {
    statistic?: string;
    /** In seconds. */
    period?: number;
    metricQueries?: Query[];
    comparisonOperator: string;
    threshold: number;
    evaluationPeriods: number;
    datapointsToAlarm?: number;
    treatMissingData?: string;
}

/** One of several metrics, or an expression of them. */
interface Query {
    id: string;
    expression?: string;
    metric?: MetricId & { period: number; stat: string };
    returnData?: boolean;
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

const mostMorePeriods = 2;
const usual: Conditions[] = [{}];

/**
 * The changes of an alarm's state from its creation on, under each of some conditions.
 * It is evaluated each minute, over windows that slide with the minutes.
 *
 * @param from when it is created, and `to` when it is last evaluated, in milliseconds since 1970
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
 */
export function changesOf(alarm: Alarm, metrics: Metrics, from: number, to: number, conditions = usual): Change[][] {
    const { metricQueries = [aloneIn(alarm)], evaluationPeriods } = alarm;
    const queries = metricQueries.flatMap(({ id, metric }) =>
        metric ? [{ id, metric, minutes: metrics.of(metric) }] : [],
    );
    const expression = metricQueries.find(({ returnData }) => returnData)?.expression ?? "alone";
    const ids = queries.map(({ id }) => id);
    const evaluate = compiled(expression, ids);
    const all = conditions.map((each) => ({ each, changes: [] as Change[] }));
    for (let now = Math.ceil(from / minute) * minute; now <= to; now += minute) {
        const read = queries.map(({ metric: { stat, period }, minutes }) =>
            Array.from({ length: evaluationPeriods + mostMorePeriods }, (_, back) => {
                const end = now - back * period * 1000;
                return statisticOf(minutes, stat, { from: end - period * 1000, to: end, now });
            }),
        );
        for (const { each, changes } of all) {
            const range = evaluationPeriods + (each.morePeriods ?? mostMorePeriods);
            const inRange = read.map((series) => series.slice(0, range));
            const state = changes.at(-1)?.state ?? "INSUFFICIENT_DATA";
            const next = nextState(alarm, evaluate(inRange, each), state);
            if (next !== state) {
                changes.push({ at: now, state: next });
            }
        }
    }
    return all.map(({ changes }) => changes);
}

/** An alarm's only metric as one of several. */
function aloneIn({ namespace = "", metricName = "", dimensions = {}, statistic = "", period = 0 }: Alarm): Query {
    return { id: "alone", metric: { namespace, metricName, dimensions, stat: statistic, period } };
}

/** The values of a time series, the latest first; undefined where there are no data. */
type Series = (number | undefined)[];

/**
 * What gives an expression's values for those of its metrics. As far as it is known here, an expression is JavaScript
 * for the values in one period, in which NaN stands for none.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
 */
function compiled(expression: string, ids: string[]): (all: Series[], conditions: Conditions) => Series {
    const ofWholeSeries = expression.replaceAll(/FILL\((\w+)/g, 'FILL("$1"');
    const calculate = new Function("FILL", "MAX", "REPEAT", ...ids, `return ${ofWholeSeries}`);
    return (all, { fillsEmpty = true, maxNeedsAll = false }) =>
        (all[0] ?? []).map((_, back) => {
            const fill = (id: string, filler?: number) => {
                const series = all[ids.indexOf(id)] ?? [];
                if (filler === undefined) {
                    return series.slice(back).find((value) => value !== undefined) ?? Number.NaN; // REPEAT
                }
                const isEmpty = series.every((value) => value === undefined);
                return series[back] ?? (isEmpty && !fillsEmpty ? Number.NaN : filler);
            };
            const max = (values: number[]) => {
                const real = values.filter((value) => !Number.isNaN(value));
                return real.length > 0 && (real.length === values.length || !maxNeedsAll) ? Math.max(...real) : NaN;
            };
            const value = calculate(fill, max, undefined, ...all.map((series) => series[back] ?? NaN));
            return Number.isNaN(value) ? undefined : value;
        });
}

/** @param range the data points of the evaluation range, the latest first */
export function nextState(alarm: Alarm, range: (number | undefined)[], state: State): State {
    const { comparisonOperator, threshold, evaluationPeriods } = alarm;
    const { datapointsToAlarm = evaluationPeriods, treatMissingData = "missing" } = alarm;
    const isBreaching = found(operators[comparisonOperator], `an operator not known here: ${comparisonOperator}`);
    const breaches = (value: number) => isBreaching(value, threshold);
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

/** Whether a value breaches a threshold, by an alarm's operator. */
const operators: Record<string, (value: number, threshold: number) => boolean> = {
    GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
    GreaterThanThreshold: (value, threshold) => value > threshold,
    LessThanThreshold: (value, threshold) => value < threshold,
};
