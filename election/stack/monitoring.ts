import type * as aws from "@pulumi/aws";
import { type Input, interpolate, type Output } from "@pulumi/pulumi";
import { type MetricName, metricNamespace } from "../metrics";
import type { Settings } from "./settings";

// What an operator watches: plain data for the program to declare.

/** Physical names of what is watched. */
export interface Watched<Name extends Input<string> = string> {
    functionName: Name;
    logGroupName: Name;
    queueName: Name;
    ruleNames: Record<"scaling" | "departures" | "tags" | "sweep", Name>;
}

/** Alarms that a stack has without a topic, too: their state shows in the console. */
const alwaysThere = ["no-leader", "function-failing", "no-sweep"];

/** Minutes until CloudWatch has the metrics of a minute, and has looked at them. */
const gatherMinutes = 2;

/**
 * Alarms by name. An alarm never goes off for want of data: a new stack has none yet, and CloudWatch may be late.
 *
 * @param stack name of the stack, as its metrics carry it
 * @param title begins the names of the stack's saved queries
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 */
export function alarms(
    settings: Pick<Settings, "sweepMinutes" | "electorateTag" | "alarmTopicArn">,
    names: { stack: string; title: string },
    watched: Watched<Input<string>>,
): Record<string, aws.cloudwatch.MetricAlarmArgs> {
    const topics = settings.alarmTopicArn ? [settings.alarmTopicArn] : [];
    const all = { ...sweepAlarms(settings, names, watched), ...functionAlarms(settings, names, watched) };
    const there = Object.entries(all).filter(([name]) => topics.length > 0 || alwaysThere.includes(name));
    return Object.fromEntries(
        there.map(([name, alarm]) => [name, { ...usual, ...alarm, alarmActions: topics, okActions: topics }]),
    );
}

// For an alarm that says nothing else. Without data, as between rare sweeps, nothing new is known and nothing has recovered.
const usual = { comparisonOperator: "GreaterThanOrEqualToThreshold", threshold: 1, treatMissingData: "ignore" };

/** What sweeps find, and whether they come. */
function sweepAlarms(...[{ sweepMinutes, electorateTag }, { stack, title }, watched]: Parameters<typeof alarms>) {
    const { functionName, logGroupName, queueName, ruleNames } = watched;
    const inARow = sweepMinutes >= 5 ? 2 : 3; // two rare sweeps are far enough apart
    // The function's metrics travel in its log, and may come some minutes later than AWS's own.
    const without = Math.max(3, Math.ceil(10 / sweepMinutes));
    const period = 60 * sweepMinutes;
    const each = sweepMinutes === 1 ? "one each minute" : `one every ${sweepMinutes} minutes`;
    const after = (sweeps: number) =>
        `It goes off ${(sweeps - 1) * sweepMinutes} to ${sweeps * sweepMinutes + gatherMinutes} minutes after the cause.`;
    const named = electorateTag ? `each group, or all groups with one value of ${electorateTag},` : "each group";
    const query = (id: string, stat: string, about: Metric) => ({ id, metric: { ...about, period, stat } });
    // REPEAT, in case MAX has no value where one of the two has none.
    const sweepsInUse = "FILL(sweeps, 0) + 0 * MAX([FILL(queue, REPEAT), FILL(rule, REPEAT)])";
    return {
        "no-leader": {
            alarmDescription: sentences`Stack ${stack}: ${inARow} sweeps in a row (${each}) found a group that wants instances but has no
                leader, or could not finish an election. ${after(inARow)} First run the saved query
                ${title}/vacant-groups: it shows ${named} with the reason. If it shows none, look for the outcome
                "failed" in the log group ${logGroupName}. Meanwhile the leaders of all other groups stay, and a vacant
                group gets a leader as soon as one of its instances is in service.`,
            metricQueries: [
                // The minimum: if two sweeps fall into one period, a good one counts.
                query("vacant", "Minimum", ofStack(stack, "VacantGroups")),
                query("failed", "Minimum", ofStack(stack, "FailedElections")),
                { id: "leaderless", expression: "vacant + failed", label: "Vacant or failing", returnData: true },
            ],
            evaluationPeriods: inARow,
        },
        "two-leaders": {
            alarmDescription: sentences`Stack ${stack}: ${inARow} sweeps in a row (${each}) found a group with more than one leader.
                ${after(inARow)} First run the command in the stack's output leadersCommand: it shows the group and its
                leaders. Then look for what else writes the leader tag there: a second stack with the same prefix and
                tag key, a launch template, a script. Meanwhile each sweep takes the tag off all leaders but one, and
                work may run twice in between.`,
            ...ofStack(stack, "ContestedGroups"),
            statistic: "Minimum",
            period,
            evaluationPeriods: inARow,
        },
        "no-sweep": {
            alarmDescription: sentences`Stack ${stack}: no sweep (${each}) has ended for ${without * sweepMinutes} minutes. ${after(without)}
                First see whether the rule ${ruleNames.sweep} is enabled, the queue ${queueName} is there and lets the
                rules send, and the event source mapping of the function ${functionName} is enabled. Then see whether
                the function is throttled, fails, or can't read groups or instances: the log group ${logGroupName} says
                so. Meanwhile leaders stay as they are. Events may still cause elections, but what no event reports is
                not found.`,
            metricQueries: [
                query("sweeps", "SampleCount", ofStack(stack, "VacantGroups")),
                // Sweeps should come as long as the queue is in use, or the rule fires: a new stack is not without sweeps.
                query(
                    "queue",
                    "Maximum",
                    metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", { QueueName: queueName }),
                ),
                query("rule", "Sum", metric("AWS/Events", "TriggeredRules", { RuleName: ruleNames.sweep })),
                { id: "count", expression: sweepsInUse, label: "Sweeps", returnData: true },
            ],
            comparisonOperator: "LessThanThreshold",
            evaluationPeriods: without,
        },
    };
}

/** What goes wrong between two sweeps: in the function, before it, and after it. */
function functionAlarms(...[, { stack, title }, watched]: Parameters<typeof alarms>) {
    const { functionName, logGroupName, queueName } = watched;
    const in3Of5Minutes = { period: 60, evaluationPeriods: 5, datapointsToAlarm: 3 };
    return {
        "function-failing": {
            alarmDescription: sentences`Stack ${stack}: the function ${functionName} crashed or ran out of time in 3 of 5 minutes. It goes off 3
                to ${5 + gatherMinutes} minutes after the first failure. First read the latest errors in the log group
                ${logGroupName}, and the function's last line before each. Meanwhile each batch of events is tried again
                every few seconds for 5 minutes, leaders stay as they are, and a leader that is lost is not replaced.`,
            ...metric("AWS/Lambda", "Errors", { FunctionName: functionName }),
            statistic: "Sum",
            ...in3Of5Minutes,
        },
        backlog: {
            alarmDescription: sentences`Stack ${stack}: in 3 of 5 minutes the oldest event had waited in the queue ${queueName} for more than a
                minute. It goes off 3 to ${5 + gatherMinutes} minutes after an event began to wait. First see in Lambda
                whether the event source mapping of the function ${functionName} is enabled and the function is not
                throttled, then in EventBridge whether a flood of events matches the rules. Meanwhile elections come
                late, events older than 5 minutes are dropped, and the sweep finds what they were about once the queue
                is read again.`,
            ...metric("AWS/SQS", "ApproximateAgeOfOldestMessage", { QueueName: queueName }),
            statistic: "Maximum",
            ...in3Of5Minutes,
            comparisonOperator: "GreaterThanThreshold",
            threshold: 60,
            treatMissingData: "notBreaching", // an empty queue reports no age
        },
        flapping: {
            alarmDescription: sentences`Stack ${stack}: in 3 of 6 periods of 5 minutes a group's leader changed too often, or the tag was taken
                off a leader that was fit. It goes off 10 to ${15 + gatherMinutes} minutes after the first time. First
                run the saved query ${title}/leader-history: it shows the group, its leaders and the reasons. Then look
                in CloudTrail for DeleteTags and CreateTags on these instances. Meanwhile the group gets a leader after
                each change, and a group with 3 changes within a minute waits for the next sweep.`,
            ...ofStack(stack, "FlappingGroups"),
            statistic: "Sum",
            period: 300,
            evaluationPeriods: 6,
            datapointsToAlarm: 3,
            treatMissingData: "notBreaching", // sent only when there is one
        },
    };
}

type Metric = ReturnType<typeof metric>;

function metric(namespace: string, metricName: string, dimensions: Record<string, Input<string>>) {
    return { namespace, metricName, dimensions };
}

const ofStack = (stack: string, name: MetricName): Metric => metric(metricNamespace, name, { Stack: stack });

/** A template that is written on several lines, and read on one. */
function sentences(texts: TemplateStringsArray, ...values: Input<string | number>[]): Output<string> {
    return interpolate(texts, ...values).apply((text) => text.replaceAll(/\s+/g, " "));
}

// The function's log line is a report, which Lambda's JSON format puts under "message". Logs Insights numbers a list's items.
const real = "filter ispresent(message.group) and not ispresent(message.dryRun)";
const changes = `${real} and (message.outcome = "elected" or ispresent(message.demoted.0))`;
const change = "fields @timestamp, message.group, message.leader, message.since, message.demoted.0, message.reason";

/** Saved queries of CloudWatch Logs Insights, by name. */
export function queries(sweepMinutes: number): Record<string, string> {
    return {
        "leader-history": [
            "# Which instance led since when, the latest first. Choose a time range that reaches back to the last change.",
            "# For one group take away the # two lines below and put in its name.",
            change,
            `| ${changes}`,
            '# | filter message.group = "NAME"',
            "| sort @timestamp desc",
            "| limit 1000",
        ].join("\n"),
        "changes-by-cause": [
            "# How often leaders changed, by the first event that caused it and by the reason.",
            changes,
            '| parse @message /"reason":"(?<instance>i-[0-9a-z]+ )?(?<cause>[^";]+)/',
            "| stats count(*) as changes, max(@timestamp) as lastTime by message.triggers.0, cause",
            "| sort changes desc",
        ].join("\n"),
        "vacant-groups": [
            "# Which groups wanted instances and had no leader, and why, the latest first.",
            'filter message.outcome = "vacant"',
            "| stats count(*) as times, min(@timestamp) as firstTime, max(@timestamp) as lastTime, " +
                "latest(message.reason) as reason by message.group",
            "| sort lastTime desc",
        ].join("\n"),
        downtime: [
            "# At most how many seconds each group was without exactly one leader, as far as the lines say.",
            "# A change that an event caused counts from the event to the tag. What a sweep found, a vacant group each time",
            "# that it is found, and the end of that count as one period of the sweep. Add the two columns up.",
            real,
            '| parse @message /"outcome":"(?<vacant>v)acant"/',
            '| parse @message /"outcome":"(?<found>e)lected".*("triggers":\\["Scheduled Event"\\]|"reason":"no leader)/',
            '| parse @message /"leaders":\\["[^"]+"(?<contested>,)/',
            `| stats sum(message.delay) / 1000 as eventSeconds, ` +
                `(count(vacant) + count(found) + count(contested)) * ${60 * sweepMinutes} as sweepSeconds by message.group`,
            "| sort sweepSeconds desc",
        ].join("\n"),
    };
}

/** What the dashboard shows, as a body for CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html */
export function dashboardBody(stack: string, region: string, watched: Watched): object {
    const { functionName, logGroupName, queueName, ruleNames } = watched;
    const own = (...names: MetricName[]) => names.map((name) => [metricNamespace, name, "Stack", stack]);
    const ofFunction = (...names: string[]) => names.map((name) => ["AWS/Lambda", name, "FunctionName", functionName]);
    const graph = (title: string, stat: string, metrics: string[][]) => ({
        type: "metric",
        width: 12,
        height: 6,
        properties: { title, region, stat, metrics, yAxis: { left: { min: 0 } } },
    });
    const ages = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queueName]];
    const undelivered = Object.values(ruleNames).map((name) => ["AWS/Events", "FailedInvocations", "RuleName", name]);
    const groups = "Groups without a leader, with several, with a failed election";
    const lost = "Lost events: losses that only a sweep found, deliveries to the queue that failed";
    const failed = "Errors and throttles of the function, and reads that failed";
    const query = [`SOURCE '${logGroupName}'`, change, changes, "sort @timestamp desc", "limit 20"].join(" | ");
    const lastChanges = { title: "Last changes", region, view: "table", query };
    return {
        widgets: [
            graph("Leader changes", "Sum", own("LeaderChanges", "FlappingGroups")),
            graph(groups, "Maximum", own("VacantGroups", "ContestedGroups", "FailedElections")),
            graph("Milliseconds from an event to the new leader's tag", "Maximum", own("ElectionDelay")),
            graph(lost, "Sum", [...own("SweptLosses"), ...undelivered]),
            graph("Age of the oldest event in the queue, in seconds", "Maximum", ages),
            graph(failed, "Sum", [...ofFunction("Errors", "Throttles"), ...own("FailedReads")]),
            graph("Duration of the function in milliseconds", "Maximum", ofFunction("Duration")),
            { type: "log", width: 24, height: 9, properties: lastChanges },
        ],
    };
}
