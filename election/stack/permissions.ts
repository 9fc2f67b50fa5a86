import { groupKey, sinceKey } from "../scope";
import type { Settings } from "./settings";

/** Where the stack's instances are. */
export interface Location {
    partition: string;
    region: string;
    accountId: string;
}

/**
 * What an election must be allowed, and nothing else: the statements of an IAM policy. With dryRun it may write nothing.
 *
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
 */
export function electionStatements(settings: Settings, location: Location) {
    return [
        {
            Sid: "Observe",
            Effect: "Allow",
            Action: [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeAutoScalingInstances",
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceStatus",
                "cloudwatch:GetMetricData",
            ],
            Resource: "*", // these actions know no narrower one
        },
        ...(settings.dryRun ? [] : writeStatements(settings, location)),
    ];
}

function writeStatements(
    { asgPrefixes, tagKey, protectLeader, changeTopicArn }: Settings,
    { partition, region, accountId }: Location,
) {
    const names = asgPrefixes.map((prefix) => `${prefix}*`);
    const groups = `arn:${partition}:autoscaling:${region}:${accountId}:autoScalingGroup:*:autoScalingGroupName/`;
    const instances = `arn:${partition}:ec2:${region}:${accountId}:instance/*`;
    const groupName = `aws:ResourceTag/${groupKey}`;
    const leaderTags = { "aws:TagKeys": [tagKey, sinceKey(tagKey)] };
    return [
        {
            Sid: "PromoteAndDemote",
            Effect: "Allow",
            Action: ["ec2:CreateTags", "ec2:DeleteTags"],
            Resource: instances,
            Condition: {
                StringLike: { [groupName]: names },
                "ForAllValues:StringEquals": leaderTags,
                Null: { "aws:TagKeys": "false" }, // without keys, all of an instance's tags would be deleted
            },
        },
        ...(protectLeader
            ? [
                  {
                      Sid: "ProtectLeader",
                      Effect: "Allow",
                      Action: "autoscaling:SetInstanceProtection",
                      Resource: names.map((name) => `${groups}${name}`),
                  },
              ]
            : []),
        {
            Sid: "RemoveOrphansTags",
            Effect: "Allow",
            Action: "ec2:DeleteTags",
            Resource: instances,
            Condition: {
                "ForAllValues:StringEquals": leaderTags,
                Null: { [groupName]: "true", "aws:TagKeys": "false" },
            },
        },
        ...(changeTopicArn
            ? [{ Sid: "ReportChanges", Effect: "Allow", Action: "sns:Publish", Resource: changeTopicArn }]
            : []),
    ];
}

/** Lets the function read its queue, by its mapping. */
export function queueStatement(queueArn: string) {
    return {
        Sid: "ReadQueue",
        Effect: "Allow",
        Action: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        Resource: queueArn,
    };
}

/** Lets the function log to its group, but make none. */
export function logStatement(logGroupArn: string) {
    return {
        Sid: "Log",
        Effect: "Allow",
        Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
        Resource: `${logGroupArn}:*`,
    };
}

/** Lets Lambda take the role, for functions of this account only. */
export function trustPolicy({ accountId }: Pick<Location, "accountId">) {
    return {
        Version: "2012-10-17",
        Statement: [
            {
                Effect: "Allow",
                Principal: { Service: "lambda.amazonaws.com" },
                Action: "sts:AssumeRole",
                Condition: { StringEquals: { "aws:SourceAccount": accountId } },
            },
        ],
    };
}

/**
 * Lets the rules send to the queue, and denies it to all other principals, whatever their own policies allow.
 *
 * A request without a source is denied, too: a negated operator holds where its key is absent.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
export function queuePolicy(queueArn: string, ruleArns: string[]) {
    const sending = { Action: "sqs:SendMessage", Resource: queueArn };
    return {
        Version: "2012-10-17",
        Statement: [
            {
                Sid: "RulesSend",
                Effect: "Allow",
                Principal: { Service: "events.amazonaws.com" },
                ...sending,
                Condition: { ArnEquals: { "aws:SourceArn": ruleArns } },
            },
            {
                Sid: "OthersDoNot",
                Effect: "Deny",
                Principal: "*",
                ...sending,
                Condition: { ArnNotEquals: { "aws:SourceArn": ruleArns } },
            },
        ],
    };
}
