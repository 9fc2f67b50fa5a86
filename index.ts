// One leader for every Auto Scaling group with the prefix: events and a schedule → queue → function → tags.
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { createHandler, electionStatements, eventPatterns } from "./election";
import { listLeaders } from "./election/stack/leaders-command";
import { alarms, dashboardBody, queries } from "./election/stack/monitoring";
import { readSettings } from "./election/stack/settings";

const [project, stack] = [pulumi.getProject(), pulumi.getStack()];
const settings = readSettings(pulumi.runtime.allConfig(), project, aws.config.region);
const { asgPrefix, tagKey, electorateTag, handoverSeconds, protectLeader } = settings;
const scope = { stack: `${project}/${stack}`, asgPrefix, tagKey, electorateTag, handoverSeconds, protectLeader };
const tags = { "pulumi:project": project, "pulumi:stack": stack };

const functionTimeoutSeconds = 10 + handoverSeconds;
const retrySeconds = 6 * functionTimeoutSeconds; // a throttled batch is tried again within it

// Where the stack is, in whatever partition.
const place = pulumi
    .all([aws.getPartition({}), aws.getCallerIdentity({}), aws.getRegion({})])
    .apply(([{ partition }, { accountId }, { region }]) => ({ partition, accountId, region }));

// Events wait here in one line, so that there is one election at a time, with all that its events said.
const queue = new aws.sqs.Queue("events", {
    fifoQueue: true,
    contentBasedDeduplication: true,
    visibilityTimeoutSeconds: retrySeconds,
    messageRetentionSeconds: 5 * 60, // events are hints: the sweep looks anyway
    tags,
});

// What the function says is kept here.
const logGroup = new aws.cloudwatch.LogGroup("election", { retentionInDays: settings.logRetentionDays, tags });

// The function's rights: look at everything, tag the groups' instances with the leader's tags, read its queue, log.
const role = new aws.iam.Role("election", {
    assumeRolePolicy: aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" }),
    tags,
});
const rolePolicy = new aws.iam.RolePolicy("election", {
    role: role.id,
    policy: pulumi.jsonStringify({
        Version: "2012-10-17",
        Statement: pulumi.all([place, queue.arn, logGroup.arn]).apply(([there, queueArn, logGroupArn]) => [
            ...electionStatements(scope, there),
            {
                Sid: "ReadQueue",
                Effect: "Allow",
                Action: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                Resource: queueArn,
            },
            {
                Sid: "Log",
                Effect: "Allow",
                Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
                Resource: `${logGroupArn}:*`,
            },
        ]),
    }),
});

// The election.
const election = new aws.lambda.CallbackFunction("election", {
    callbackFactory: () => createHandler(scope),
    role,
    runtime: "nodejs24.x",
    architectures: ["arm64"],
    memorySize: 256,
    timeout: functionTimeoutSeconds,
    loggingConfig: { logFormat: "JSON", logGroup: logGroup.name, applicationLogLevel: "INFO" },
    codePathOptions: {
        // The Lambda runtime brings the SDK.
        extraExcludePackages: ["@aws-sdk/client-auto-scaling", "@aws-sdk/client-cloudwatch", "@aws-sdk/client-ec2"],
    },
    tags,
});
new aws.lambda.EventSourceMapping(
    "events",
    { eventSourceArn: queue.arn, functionName: election.arn, batchSize: 10, tags },
    { dependsOn: rolePolicy }, // it reads the queue with the function's role
);

// What the queue hears of: a rule for each kind of event, and the sweep for what no event told.
const patterns = eventPatterns(scope);
const { sweepMinutes } = settings;
const rules = [
    rule("scaling", { eventPattern: JSON.stringify(patterns.scaling) }),
    rule("departures", { eventPattern: JSON.stringify(patterns.departures) }),
    rule("tags", { eventPattern: JSON.stringify(patterns.tags) }),
    rule("sweep", { scheduleExpression: sweepMinutes === 1 ? "rate(1 minute)" : `rate(${sweepMinutes} minutes)` }),
];

function rule(name: string, when: { eventPattern: string } | { scheduleExpression: string }): aws.cloudwatch.EventRule {
    const eventRule = new aws.cloudwatch.EventRule(name, { ...when, tags });
    new aws.cloudwatch.EventTarget(name, {
        rule: eventRule.name,
        arn: queue.arn,
        sqsTarget: { messageGroupId: "election" },
    });
    return eventRule;
}

// Nobody but these rules may send to the queue.
new aws.sqs.QueuePolicy("events", {
    queueUrl: queue.url,
    policy: pulumi.jsonStringify({
        Version: "2012-10-17",
        Statement: [
            {
                Effect: "Allow",
                Principal: { Service: "events.amazonaws.com" },
                Action: "sqs:SendMessage",
                Resource: queue.arn,
                Condition: { ArnEquals: { "aws:SourceArn": rules.map(({ arn }) => arn) } },
            },
        ],
    }),
});

// What the alarms' topic is told, if there is one: a group has no leader, the function fails, nobody sweeps.
const told = settings.alarmTopicArn ? [settings.alarmTopicArn] : [];
for (const [name, alarm] of Object.entries(alarms(scope, { sweepMinutes, retrySeconds }, election.name))) {
    new aws.cloudwatch.MetricAlarm(name, { ...alarm, alarmActions: told, okActions: told, tags });
}

// What an operator asks the log, and looks at. People find these by name, and a dashboard's name has no dots.
const title = `${project}-${stack}`.replaceAll(".", "_");
for (const [name, queryString] of Object.entries(queries)) {
    new aws.cloudwatch.QueryDefinition(name, { name: `${title}/${name}`, logGroupNames: [logGroup.name], queryString });
}
if (settings.dashboard) {
    const body = pulumi
        .all([place, election.name, logGroup.name])
        .apply(([{ region }, lambda, log]) => dashboardBody(scope.stack, region, lambda, log));
    new aws.cloudwatch.Dashboard("election", { dashboardName: title, dashboardBody: pulumi.jsonStringify(body) });
}

/** The program's own version, by which CHANGELOG.md says what has changed since. */
export const version: string = require("./package.json").version;
export const functionName = election.name;
export const logGroupName = logGroup.name;
// Paste it into a shell that has the AWS CLI: it lists who leads which group since when.
export const leadersCommand = place.apply(({ region }) => listLeaders(scope, region));
