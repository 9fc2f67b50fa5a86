import type * as aws from "@pulumi/aws";
import type { Input } from "@pulumi/pulumi";
import { metricNamespace } from "../report";
import type { Scope } from "../scope";

// What an operator watches: plain data for the program to declare.

/**
 * Alarms, by name, for whoever keeps the stack running.
 *
 * @param retrySeconds after which a batch that failed comes back
 */
export function alarms(
    { stack, electorateTag }: Pick<Scope, "stack" | "electorateTag">,
    { sweepMinutes, retrySeconds }: { sweepMinutes: number; retrySeconds: number },
    functionName: Input<string>,
): Record<string, aws.cloudwatch.MetricAlarmArgs> {
    const retryMinutes = Math.ceil(retrySeconds / 60);
    const unit = retryMinutes === 1 ? "minutes" : `times ${retryMinutes} minutes`;
    const leaderless = electorateTag
        ? `if it leaves out a group, and all with the same ${electorateTag}, these have no leader`
        : "a group that it leaves out has no leader";
    const period = 60 * sweepMinutes;
    const dimensions = { Stack: stack };
    const sweeps = `sweeps (one every ${sweepMinutes} min)`;
    // The minimum: of two sweeps that fall into one period, a good one ends the row.
    const least = (metricName: string) => ({
        namespace: metricNamespace,
        metricName,
        dimensions,
        period,
        stat: "Minimum",
    });
    return {
        "no-leader": {
            alarmDescription:
                `Stack ${stack}: in each of the last 3 ${sweeps} some group had instances but no leader, or its ` +
                "election failed. First run the command in the stack's output leadersCommand: " +
                `${leaderless}. See in EC2 Auto Scaling why none of its instances is InService and Healthy. ` +
                'If every group has a leader, look for the outcome "failed" in the log group.',
            metricQueries: [
                { id: "vacant", metric: least("VacantGroups") },
                { id: "failed", metric: least("FailedElections") },
                { id: "leaderless", expression: "vacant + failed", label: "Vacant or failing", returnData: true },
            ],
            comparisonOperator: "GreaterThanOrEqualToThreshold",
            threshold: 1,
            evaluationPeriods: 3,
            treatMissingData: "ignore", // without a sweep nobody knows better
        },
        "function-failing": {
            alarmDescription:
                `Stack ${stack}: the election's function failed in 3 of 5 ${unit}, so trying again didn't help, and ` +
                "leaders that go are not replaced. First read the latest errors in the log group (the stack's output " +
                "logGroupName): a permission taken away, AWS throttling or an outage, or a time-out.",
            namespace: "AWS/Lambda",
            metricName: "Errors",
            dimensions: { FunctionName: functionName },
            statistic: "Sum",
            period: 60 * retryMinutes,
            comparisonOperator: "GreaterThanOrEqualToThreshold",
            threshold: 1,
            evaluationPeriods: 5,
            datapointsToAlarm: 3,
            treatMissingData: "ignore", // between rare sweeps nothing has recovered yet
        },
        "no-sweep": {
            alarmDescription:
                `Stack ${stack}: none of the last 5 ${sweeps} was done, so that groups go unwatched. First see whether ` +
                "the rule of the sweep and the event source mapping of the function (the stack's output functionName) " +
                "are enabled, then whether the function is throttled or fails.",
            namespace: metricNamespace,
            metricName: "Groups",
            dimensions,
            statistic: "SampleCount",
            period,
            comparisonOperator: "LessThanThreshold",
            threshold: 1,
            evaluationPeriods: 5,
            treatMissingData: "breaching",
        },
    };
}

// The function's log line is a report, which Lambda's JSON format puts under "message". Logs Insights numbers a list's items.
const changes = 'filter ispresent(message.group) and (message.outcome = "elected" or ispresent(message.demoted.0))';
const change = "fields @timestamp, message.group, message.leader, message.since, message.demoted.0, message.reason";

/** Saved queries of CloudWatch Logs Insights, by name. */
export const queries: Record<string, string> = {
    "leader-history": [
        "# Who has led since when, the latest first. For one group: take away the second # and put in its name.",
        change,
        `| ${changes}`,
        '# | filter message.group = "NAME"',
        "| sort @timestamp desc",
        "| limit 1000",
    ].join("\n"),
    "changes-by-cause": [
        "# How often leaders changed, by the first event that asked for it and by the reason.",
        changes,
        '| parse @message /"reason":"(?<instance>i-[0-9a-z]+ )?(?<cause>[^";]+)/',
        "| stats count(*) as changes, max(@timestamp) as lastTime by message.triggers.0, cause",
        "| sort changes desc",
    ].join("\n"),
};

/** What the dashboard shows, as a body for CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html */
export function dashboardBody(stack: string, region: string, functionName: string, logGroupName: string): object {
    const own = (metric: string) => [metricNamespace, metric, "Stack", stack];
    const ofFunction = (metric: string) => ["AWS/Lambda", metric, "FunctionName", functionName];
    const graph = (title: string, stat: string, ...metrics: string[][]) => ({
        type: "metric",
        width: 12,
        height: 6,
        properties: { title, region, stat, metrics, yAxis: { left: { min: 0 } } },
    });
    const query = [`SOURCE '${logGroupName}'`, change, changes, "sort @timestamp desc", "limit 20"].join(" | ");
    return {
        widgets: [
            graph("Leader changes", "Sum", own("LeaderChanges")),
            graph(
                "Groups without a leader, with several, with a failed election",
                "Maximum",
                own("VacantGroups"),
                own("ContestedGroups"),
                own("FailedElections"),
            ),
            graph("Errors of the function", "Sum", ofFunction("Errors")),
            graph("Duration of the function in milliseconds", "Maximum", ofFunction("Duration")),
            {
                type: "log",
                width: 24,
                height: 9,
                properties: { title: "Last changes", region, view: "table", query },
            },
        ],
    };
}
