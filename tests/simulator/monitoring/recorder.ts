// Turns what a stack does into the metrics that CloudWatch has of it: its own lines, and those of Lambda, SQS and EventBridge.
import { physicalNames } from "../stack/program";
import type { World } from "../world";
import { Metrics } from "./metrics";

const minuteMillis = 60_000;

/** How long after their times values are seen, in milliseconds. */
export interface Delays {
    /** Of the function's own metrics, which travel in its log. */
    own?: number;
    /** Of AWS's metrics. */
    aws?: number;
}

/** Records a world's metrics from now on. */
export function record(world: World, { own = 5000, aws = 60_000 }: Delays = {}): Metrics {
    const { timeline, lines, stack } = world;
    const metrics = new Metrics();
    const ofFunction = { FunctionName: physicalNames.functionName };
    const ofQueue = { QueueName: physicalNames.queueName };
    const ofSweep = { RuleName: physicalNames.ruleNames.sweep };
    const put = (
        namespace: string,
        metricName: string,
        dimensions: Record<string, string>,
        at: number,
        value: number,
    ) => metrics.put({ namespace, metricName, dimensions }, at, value, aws);
    let read = lines.length;
    let { refused, fired, throttles } = stack;

    stack.onInvocation.push(({ start, error }) => {
        put("AWS/Lambda", "Errors", ofFunction, start, error ? 1 : 0);
        for (const { level, entry } of lines.slice(read)) {
            if (level === "stdout") {
                putEmbedded(metrics, entry, own);
            }
        }
        read = lines.length;
    });

    const sample = () => {
        const { now } = timeline;
        const { visible, oldestAt } = stack.messages;
        // SQS reports an age only if there is a message, and a number as long as the queue is in use.
        if (stack.hasQueue) {
            put("AWS/SQS", "ApproximateNumberOfMessagesVisible", ofQueue, now, visible);
        }
        if (oldestAt !== undefined) {
            put("AWS/SQS", "ApproximateAgeOfOldestMessage", ofQueue, now, (now - oldestAt) / 1000);
        }
        // What is zero is not sent, and what is sent is of the minute before.
        const counts = [
            ["AWS/Events", "FailedInvocations", ofSweep, stack.refused - refused],
            ["AWS/Events", "TriggeredRules", ofSweep, stack.fired - fired],
            ["AWS/Lambda", "Throttles", ofFunction, stack.throttles - throttles],
        ] as const;
        for (const [namespace, metricName, dimensions, count] of counts) {
            if (count > 0) {
                put(namespace, metricName, dimensions, now - 1, count);
            }
        }
        ({ refused, fired, throttles } = stack);
    };
    sample();
    timeline.every(minuteMillis, sample);
    return metrics;
}

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
function putEmbedded(metrics: Metrics, line: string, delayMillis: number): void {
    const { _aws, ...fields } = JSON.parse(line);
    for (const { Namespace: namespace, Dimensions, Metrics: found } of _aws.CloudWatchMetrics) {
        for (const keys of Dimensions) {
            const dimensions = Object.fromEntries(keys.map((key: string) => [key, String(fields[key])]));
            for (const { Name: metricName } of found) {
                metrics.put(
                    { namespace, metricName, dimensions },
                    _aws.Timestamp,
                    Number(fields[metricName]),
                    delayMillis,
                );
            }
        }
    }
}
