import { groupKey, sinceKey } from "../scope";
import type { Settings } from "./settings";

/** Where the stack's instances are. */
export interface Location {
    partition: string;
    region: string;
    accountId: string;
}

/**
 * What the function must be allowed, and nothing else: elections, its queue by its mapping, and its log, but to make none.
 * With dryRun it may write nothing.
 *
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
 */
export function rolePolicy(settings: Settings, location: Location, queueArn: string, logGroupArn: string) {
    const reads = [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "cloudwatch:GetMetricData",
    ];
    const receive = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    return {
        Version: "2012-10-17",
        Statement: [
            allow("Observe", reads, "*"), // these actions know no narrower resource
            ...(settings.dryRun ? [] : writeStatements(settings, location)),
            allow("ReadQueue", receive, queueArn),
            allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], `${logGroupArn}:*`),
        ],
    };
}

function writeStatements(settings: Settings, { partition, region, accountId }: Location) {
    const { asgPrefixes, tagKey, protectLeader, changeTopicArn } = settings;
    const names = asgPrefixes.map((prefix) => `${prefix}*`);
    const ofGroup = `arn:${partition}:autoscaling:${region}:${accountId}:autoScalingGroup:*:autoScalingGroupName/`;
    const groups = names.map((name) => `${ofGroup}${name}`);
    const instances = `arn:${partition}:ec2:${region}:${accountId}:instance/*`;
    const groupName = `aws:ResourceTag/${groupKey}`;
    const leaderTags = { "aws:TagKeys": [tagKey, sinceKey(tagKey)] };
    return [
        allow("PromoteAndDemote", ["ec2:CreateTags", "ec2:DeleteTags"], instances, {
            StringLike: { [groupName]: names },
            "ForAllValues:StringEquals": leaderTags,
            Null: { "aws:TagKeys": "false" }, // without keys, all of an instance's tags would be deleted
        }),
        ...(protectLeader ? [allow("ProtectLeader", "autoscaling:SetInstanceProtection", groups)] : []),
        allow("RemoveOrphansTags", "ec2:DeleteTags", instances, {
            "ForAllValues:StringEquals": leaderTags,
            Null: { [groupName]: "true", "aws:TagKeys": "false" },
        }),
        ...(changeTopicArn ? [allow("ReportChanges", "sns:Publish", changeTopicArn)] : []),
    ];
}

function allow(Sid: string, Action: string | string[], Resource: string | string[], Condition?: object) {
    return { Sid, Effect: "Allow", Action, Resource, Condition };
}

/** Lets Lambda take the role, for functions of this account only. */
export function trustPolicy({ accountId }: Pick<Location, "accountId">) {
    const Principal = { Service: "lambda.amazonaws.com" };
    const Condition = { StringEquals: { "aws:SourceAccount": accountId } };
    return { Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal, Action: "sts:AssumeRole", Condition }] };
}

/**
 * Lets the rules send to the queue, and denies it to all other principals, whatever their own policies allow.
 *
 * A request without a source is denied, too: a negated operator holds where its key is absent.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
export function queuePolicy(queueArn: string, ruleArns: string[]) {
    const sending = { Action: "sqs:SendMessage", Resource: queueArn };
    const rules = { "aws:SourceArn": ruleArns };
    const service = { Service: "events.amazonaws.com" };
    return {
        Version: "2012-10-17",
        Statement: [
            { Sid: "RulesSend", Effect: "Allow", Principal: service, ...sending, Condition: { ArnEquals: rules } },
            { Sid: "OthersDoNot", Effect: "Deny", Principal: "*", ...sending, Condition: { ArnNotEquals: rules } },
        ],
    };
}
