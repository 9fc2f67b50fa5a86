// What CloudWatch keeps of metrics: values by the minute, each from when it can be seen.
import { minute as minuteMillis } from "../clock";
import { found } from "../lists";

/** Names a metric; the same for any order of its dimensions. */
export interface MetricId {
    namespace: string;
    metricName: string;
    dimensions: Record<string, string>;
}

interface Value {
    value: number;
    /** From when a reader finds it, in milliseconds since 1970. */
    visibleAt: number;
}

/** The values of a metric, by minutes since 1970. */
type Minutes = ReadonlyMap<number, Value[]>;

/** Metrics of standard resolution: CloudWatch keeps no finer time than the minute. */
export class Metrics {
    private readonly values = new Map<string, Map<number, Value[]>>();

    /** Adds a value; it is seen some milliseconds after its time. */
    put(metric: MetricId, at: number, value: number, delayMillis = 0): void {
        const key = keyOf(metric);
        const minutes = this.values.get(key) ?? new Map<number, Value[]>();
        const minute = Math.floor(at / minuteMillis);
        const values = minutes.get(minute) ?? [];
        values.push({ value, visibleAt: at + delayMillis });
        this.values.set(key, minutes.set(minute, values));
    }

    /** What is kept of a metric. */
    of(metric: MetricId): Minutes {
        return this.values.get(keyOf(metric)) ?? new Map();
    }

    /** Names of all metrics, each once. */
    get names(): string[] {
        return [...new Set([...this.values.keys()].map((key) => JSON.parse(key)[1]))];
    }
}

/** What is seen at a time of a window that ends there or before; undefined without any value. */
export function statisticOf(
    minutes: Minutes,
    statistic: string,
    { from, to, now }: { from: number; to: number; now: number },
): number | undefined {
    const calculate = found(statistics[statistic], `a statistic not known here: ${statistic}`);
    const values: number[] = [];
    for (let minute = Math.ceil(from / minuteMillis); minute * minuteMillis < to; minute++) {
        const seen = (minutes.get(minute) ?? []).filter(({ visibleAt }) => visibleAt <= now);
        values.push(...seen.map(({ value }) => value));
    }
    return values.length > 0 ? calculate(values) : undefined;
}

const statistics: Record<string, (values: number[]) => number> = {
    Minimum: (values) => Math.min(...values),
    Maximum: (values) => Math.max(...values),
    Sum: (values) => values.reduce((sum, value) => sum + value, 0),
    SampleCount: (values) => values.length,
};

const keyOf = ({ namespace, metricName, dimensions }: MetricId): string =>
    JSON.stringify([namespace, metricName, Object.entries(dimensions).sort()]);
