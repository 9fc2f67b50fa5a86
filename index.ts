// One leader for every Auto Scaling group with a prefix: events and a schedule → queue → function → tags.
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { createHandler } from "./election";
import { eventPatterns } from "./election/events";
import { listLeaders } from "./election/stack/leaders-command";
import { alarms, dashboardBody, queries } from "./election/stack/monitoring";
import { queuePolicy, rolePolicy, trustPolicy } from "./election/stack/permissions";
import { readSettings } from "./election/stack/settings";

const [project, stack] = [pulumi.getProject(), pulumi.getStack()];
const settings = readSettings(pulumi.runtime.allConfig(), project, aws.config.region);
const { asgPrefixes, tagKey, electorateTag, handoverSeconds, protectLeader, dryRun, changeTopicArn } = settings;
const { sweepMinutes } = settings;
// Only what the function needs: whatever else stood here would change its text, and deploy it anew.
const scope = {
    stack: `${project}/${stack}`,
    asgPrefixes,
    tagKey,
    electorateTag,
    handoverSeconds,
    protectLeader,
    dryRun,
    changeTopicArn,
};
const tags = { "pulumi:project": project, "pulumi:stack": stack };

const functionTimeoutSeconds = 10 + handoverSeconds;
// Not AWS's six time-outs: a batch that comes back too early is harmless, and one that comes back late holds up all groups.
const visibilityTimeoutSeconds = functionTimeoutSeconds + 5;

// Where the stack is, in whatever partition.
const location = pulumi
    .all([aws.getPartition({}), aws.getCallerIdentity({}), aws.getRegion({})])
    .apply(([{ partition }, { accountId }, { region }]) => ({ partition, accountId, region }));

// One message group: elections never overlap, and a batch holds everything that arrived meanwhile.
const queue = new aws.sqs.Queue("events", {
    fifoQueue: true,
    contentBasedDeduplication: true,
    visibilityTimeoutSeconds,
    messageRetentionSeconds: 5 * 60, // events are hints: the sweep looks anyway
    sqsManagedSseEnabled: true,
    tags,
});

// The function's role. What it may do is said below, once the log group is there.
const role = new aws.iam.Role("election", {
    assumeRolePolicy: pulumi.jsonStringify(location.apply(trustPolicy)),
    path: settings.rolePath === "/" ? undefined : settings.rolePath, // another path makes another role
    permissionsBoundary: settings.permissionsBoundaryArn || undefined,
    tags,
});

// The election.
const election = new aws.lambda.CallbackFunction(
    "election",
    {
        callbackFactory: () => createHandler(scope),
        role,
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        memorySize: 1769, // one vCPU: parsing a large region's answers takes seconds of it
        timeout: functionTimeoutSeconds,
        loggingConfig: { logFormat: "JSON", applicationLogLevel: "INFO" },
        codePathOptions: {
            // The archive is the function's text alone: the Lambda runtime brings the SDK, and nothing else is needed there.
            extraExcludePackages: Object.keys(require("./package.json").dependencies),
        },
        tags,
    },
    { dependsOn: queue }, // Lambda refuses a time-out that is longer than the queue's visibility timeout
);

// Its log, by the name that Lambda expects, as does `pulumi logs`. The function may not make one itself.
const logGroup = new aws.cloudwatch.LogGroup("election", {
    name: pulumi.interpolate`/aws/lambda/${election.name}`,
    retentionInDays: settings.logRetentionDays,
    tags,
});

// The function's rights: look at everything, tag the groups' instances with the leader's tags, read its queue, log.
const policy = new aws.iam.RolePolicy("election", {
    role: role.id,
    policy: pulumi.jsonStringify(
        pulumi
            .all([location, queue.arn, logGroup.arn])
            .apply(([there, queueArn, logGroupArn]) => rolePolicy(settings, there, queueArn, logGroupArn)),
    ),
});

// From here on events reach the function. No tags: some partitions refuse them here.
new aws.lambda.EventSourceMapping(
    "events",
    { eventSourceArn: queue.arn, functionName: election.arn, batchSize: 10 },
    { dependsOn: policy }, // the mapping polls with the function's role, and the log group is there by then
);

// What reaches the queue: events by a rule for each source, and the sweep for what no event reported.
const patterns = eventPatterns(scope);
const rules = {
    scaling: rule("scaling", { eventPattern: JSON.stringify(patterns.scaling) }),
    departures: rule("departures", { eventPattern: JSON.stringify(patterns.departures) }),
    tags: rule("tags", { eventPattern: JSON.stringify(patterns.tags) }),
    sweep: rule("sweep", {
        scheduleExpression: sweepMinutes === 1 ? "rate(1 minute)" : `rate(${sweepMinutes} minutes)`,
    }),
};

function rule(name: string, when: { eventPattern: string } | { scheduleExpression: string }): aws.cloudwatch.EventRule {
    // Its default, but written out: else the provider would leave a rule disabled that was disabled by hand.
    const eventRule = new aws.cloudwatch.EventRule(name, { ...when, state: "ENABLED", tags });
    new aws.cloudwatch.EventTarget(name, {
        rule: eventRule.name,
        arn: queue.arn,
        sqsTarget: { messageGroupId: "election" },
        // As long as the queue keeps them. EventBridge's default is a day.
        retryPolicy: { maximumEventAgeInSeconds: 5 * 60, maximumRetryAttempts: 185 },
    });
    return eventRule;
}

// Only these rules may send to the queue, whatever other policies allow.
new aws.sqs.QueuePolicy("events", {
    queueUrl: queue.url,
    policy: pulumi.jsonStringify(
        pulumi
            .all([queue.arn, pulumi.all(Object.values(rules).map(({ arn }) => arn))])
            .apply(([arn, ruleArns]) => queuePolicy(arn, ruleArns)),
    ),
});

// Alarms, saved queries and the dashboard. People find the last two by name, and a dashboard's name has no dots.
const title = `${project}-${stack}`.replaceAll(".", "_");
const watched = {
    functionName: election.name,
    logGroupName: logGroup.name,
    queueName: queue.name,
    ruleNames: {
        scaling: rules.scaling.name,
        departures: rules.departures.name,
        tags: rules.tags.name,
        sweep: rules.sweep.name,
    },
};
for (const [name, alarm] of Object.entries(alarms(settings, { stack: scope.stack, title }, watched))) {
    new aws.cloudwatch.MetricAlarm(name, { ...alarm, tags });
}
for (const [name, queryString] of Object.entries(queries(sweepMinutes))) {
    new aws.cloudwatch.QueryDefinition(name, { name: `${title}/${name}`, logGroupNames: [logGroup.name], queryString });
}
if (settings.dashboard) {
    const body = pulumi
        .all([location, watched])
        .apply(([{ region }, names]) => dashboardBody(scope.stack, region, names));
    new aws.cloudwatch.Dashboard("election", { dashboardName: title, dashboardBody: pulumi.jsonStringify(body) });
}

/** The program's own version, by which CHANGELOG.md says what has changed since. */
export const version: string = require("./package.json").version;
export const functionName = election.name;
export const logGroupName = logGroup.name;
// For policies that keep other principals from writing the leader's tags.
export const roleArn = role.arn;
// A command for a shell that has the AWS CLI: it lists the leaders.
export const leadersCommand = location.apply(({ region }) => listLeaders(settings, region));
