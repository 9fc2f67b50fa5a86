// Turns what a stack does into the metrics that CloudWatch has of it: its own lines, and those of Lambda, SQS and EventBridge.
import { minute } from "../clock";
import { physicalNames } from "../stack/program";
import type { World } from "../world";
import { Metrics } from "./metrics";

/**
 * Records a world's metrics from now on.
 *
 * @param delays milliseconds from a value's time until it is seen: of the function's own, which travel in its log, and of AWS's
 */
export function record(world: World, { own, aws } = { own: 5000, aws: minute }): Metrics {
    const { timeline, lines, stack } = world;
    const metrics = new Metrics();
    const of =
        (namespace: string, dimensions: Record<string, string>) => (metricName: string, at: number, value: number) =>
            metrics.put({ namespace, metricName, dimensions }, at, value, aws);
    const putOfFunction = of("AWS/Lambda", { FunctionName: physicalNames.functionName });
    const putOfQueue = of("AWS/SQS", { QueueName: physicalNames.queueName });
    const putOfSweep = of("AWS/Events", { RuleName: physicalNames.ruleNames.sweep });
    let read = lines.length;
    let before = { ...stack.counts };

    stack.onInvocation.push(({ start, error }) => {
        putOfFunction("Errors", start, error ? 1 : 0);
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
            putOfQueue("ApproximateNumberOfMessagesVisible", now, visible);
        }
        if (oldestAt !== undefined) {
            putOfQueue("ApproximateAgeOfOldestMessage", now, (now - oldestAt) / 1000);
        }
        // What is zero is not sent, and what is sent is of the minute before.
        const { counts } = stack;
        const sums = [
            [putOfSweep, "FailedInvocations", counts.refused - before.refused],
            [putOfSweep, "TriggeredRules", counts.fired - before.fired],
            [putOfFunction, "Throttles", counts.throttles - before.throttles],
        ] as const;
        for (const [put, metricName, count] of sums) {
            if (count > 0) {
                put(metricName, now - 1, count);
            }
        }
        before = { ...counts };
    };
    sample();
    timeline.every(minute, sample);
    return metrics;
}

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
function putEmbedded(metrics: Metrics, line: string, delayMillis: number): void {
    const { _aws, ...fields } = JSON.parse(line);
    for (const { Namespace: namespace, Dimensions, Metrics: found } of _aws.CloudWatchMetrics) {
        for (const keys of Dimensions) {
            const dimensions = Object.fromEntries(keys.map((key: string) => [key, String(fields[key])]));
            for (const { Name: metricName } of found) {
                const metric = { namespace, metricName, dimensions };
                metrics.put(metric, _aws.Timestamp, Number(fields[metricName]), delayMillis);
            }
        }
    }
}
