// Turns what a stack does into the metrics that CloudWatch has of it: its own lines, and those of Lambda, SQS and EventBridge.
import type { World } from "../world";
import { Metrics } from "./metrics";

const minuteMillis = 60_000;

/** Physical names by which AWS's own metrics are found. */
export interface Names {
    functionName: string;
    queueName: string;
    /** Of the rule for the sweep. */
    ruleName: string;
}

/** How long after their times values are seen, in milliseconds. */
export interface Delays {
    /** Of the function's own metrics, which travel in its log. */
    own?: number;
    /** Of AWS's metrics. */
    aws?: number;
}

/** Records a world's metrics from now on. */
export function record(
    world: World,
    { functionName, queueName, ruleName }: Names,
    { own = 5000, aws = 60_000 }: Delays = {},
): Metrics {
    const { timeline, lines, stack } = world;
    const metrics = new Metrics();
    const ofQueue = (metricName: string) => ({
        namespace: "AWS/SQS",
        metricName,
        dimensions: { QueueName: queueName },
    });
    let read = lines.length;
    let { refused, fired, throttles } = stack;

    stack.onInvocation.push(({ start, error }) => {
        const errors = { namespace: "AWS/Lambda", metricName: "Errors", dimensions: { FunctionName: functionName } };
        metrics.put(errors, start, error ? 1 : 0, aws);
        for (const { level, entry } of lines.slice(read)) {
            if (level === "stdout") {
                putEmbedded(metrics, JSON.parse(entry), own);
            }
        }
        read = lines.length;
    });

    const sample = () => {
        const { now } = timeline;
        const { visible, oldestAt } = stack.messages;
        // SQS reports an age only if there is a message, and a number as long as the queue is in use.
        if (stack.hasQueue) {
            metrics.put(ofQueue("ApproximateNumberOfMessagesVisible"), now, visible, aws);
        }
        if (oldestAt !== undefined) {
            metrics.put(ofQueue("ApproximateAgeOfOldestMessage"), now, (now - oldestAt) / 1000, aws);
        }
        // EventBridge sends what is not zero, of the minute before.
        const putSome = (namespace: string, metricName: string, dimensions: Record<string, string>, count: number) => {
            if (count > 0) {
                metrics.put({ namespace, metricName, dimensions }, now - 1, count, aws);
            }
        };
        putSome("AWS/Events", "FailedInvocations", { RuleName: ruleName }, stack.refused - refused);
        putSome("AWS/Events", "TriggeredRules", { RuleName: ruleName }, stack.fired - fired);
        putSome("AWS/Lambda", "Throttles", { FunctionName: functionName }, stack.throttles - throttles);
        ({ refused, fired, throttles } = stack);
        timeline.at(now + minuteMillis, sample);
    };
    sample();
    return metrics;
}

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
interface Embedded {
    _aws: {
        Timestamp: number;
        CloudWatchMetrics: { Namespace: string; Dimensions: string[][]; Metrics: { Name: string }[] }[];
    };
    [field: string]: unknown;
}

function putEmbedded(metrics: Metrics, line: Embedded, delayMillis: number): void {
    for (const { Namespace: namespace, Dimensions, Metrics: found } of line._aws.CloudWatchMetrics) {
        for (const keys of Dimensions) {
            const dimensions = Object.fromEntries(keys.map((key) => [key, String(line[key])]));
            for (const { Name: metricName } of found) {
                metrics.put(
                    { namespace, metricName, dimensions },
                    line._aws.Timestamp,
                    Number(line[metricName]),
                    delayMillis,
                );
            }
        }
    }
}
