import { groupKey, type Scope, sinceKey } from "../scope";

/** Where the stack's instances are. */
export interface Location {
    partition: string;
    region: string;
    accountId: string;
}

/**
 * What an election must be allowed, and nothing else: the statements of an IAM policy.
 *
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
 */
export function electionStatements(scope: Scope, { partition, region, accountId }: Location) {
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
        ...(scope.dryRun ? [] : writeStatements(scope, { partition, region, accountId })),
    ];
}

function writeStatements(scope: Scope, { partition, region, accountId }: Location) {
    const instances = `arn:${partition}:ec2:${region}:${accountId}:instance/*`;
    const groupName = `aws:ResourceTag/${groupKey}`;
    const leaderTags = { "aws:TagKeys": [scope.tagKey, sinceKey(scope.tagKey)] };
    return [
        {
            Sid: "PromoteAndDemote",
            Effect: "Allow",
            Action: ["ec2:CreateTags", "ec2:DeleteTags"],
            Resource: instances,
            Condition: {
                StringLike: { [groupName]: `${scope.asgPrefix}*` },
                "ForAllValues:StringEquals": leaderTags,
                Null: { "aws:TagKeys": "false" }, // without keys, all of an instance's tags would be deleted
            },
        },
        ...(scope.protectLeader
            ? [
                  {
                      Sid: "ProtectLeader",
                      Effect: "Allow",
                      Action: "autoscaling:SetInstanceProtection",
                      Resource: `arn:${partition}:autoscaling:${region}:${accountId}:autoScalingGroup:*:autoScalingGroupName/${scope.asgPrefix}*`,
                  },
              ]
            : []),
        {
            Sid: "StripStrays",
            Effect: "Allow",
            Action: "ec2:DeleteTags",
            Resource: instances,
            Condition: {
                "ForAllValues:StringEquals": leaderTags,
                Null: { [groupName]: "true", "aws:TagKeys": "false" },
            },
        },
    ];
}
