// CloudWatch's part of the region: the CPU load of instances.
import { type Actions, limit } from "./faults";
import type { Region } from "./region";

/** @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html */
export function cloudWatchActions(region: Region): Actions {
    return {
        "cloudwatch:GetMetricData": ({ MetricDataQueries: queries }) => {
            limit("MetricDataQueries", queries.length, 500);
            return {
                // biome-ignore lint/suspicious/noExplicitAny: as CloudWatch defines it
                MetricDataResults: queries.map(({ Id, MetricStat }: any) => {
                    const load = region.instances.get(MetricStat.Metric.Dimensions[0].Value)?.load;
                    return { Id, Timestamps: [], Values: load === undefined ? [] : [load, load, load] };
                }),
            };
        },
    };
}
