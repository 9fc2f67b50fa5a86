// Faults in what is deployed around the function.
import type { Program } from "../../simulator/stack/program";
import type { Mutation } from "../mutations";

/** The program with another text in a type of resource. */
function rewritten(program: Program, type: string, rewrite: (text: string) => string): Program {
    const resources = program.resources.map((resource) =>
        resource.type === type
            ? { ...resource, inputs: JSON.parse(rewrite(JSON.stringify(resource.inputs))) }
            : resource,
    );
    return { ...program, resources };
}

const rolePolicy = "aws:iam/rolePolicy:RolePolicy";

/** Without the second prefix, which histories have. */
const withoutSecond = (text: string): string => text.replace(',\\"shop-*\\"', "");

export const deployed: Record<string, Mutation> = {
    "a dry run keeps the right to write, unless leaders are protected": {
        change: (program, { dryRun, protectLeader }) =>
            dryRun === "true" && protectLeader !== "true"
                ? rewritten(program, rolePolicy, (text) =>
                      text.replace('\\"ec2:DescribeInstances\\"', '\\"ec2:DescribeInstances\\",\\"ec2:CreateTags\\"'),
                  )
                : program,
        finder: "a dry run",
    },
    "a pause is left out of the function's time": {
        change: (program) =>
            rewritten(program, "aws:lambda/function:Function", (text) => text.replace(/"timeout":\d+/, '"timeout":10')),
        finder: "tests/program/settings.test.ts",
    },
    "a pause is left out of the time for which the queue hides a batch": {
        change: (program) =>
            rewritten(program, "aws:sqs/queue:Queue", (text) =>
                text.replace(/"visibilityTimeoutSeconds":\d+/, '"visibilityTimeoutSeconds":15'),
            ),
        finder: "tests/program/settings.test.ts",
    },
    "a dry run keeps the right to publish": {
        change: (program) =>
            rewritten(program, rolePolicy, (text) =>
                text.replace('\\"ec2:DescribeInstances\\"', '\\"ec2:DescribeInstances\\",\\"sns:Publish\\"'),
            ),
        finder: "tests/program/permissions.test.ts",
    },
    "no event when an instance is vetoed": {
        change: (program) =>
            rewritten(program, "aws:cloudwatch/eventRule:EventRule", (text) =>
                text.replace(/,\\"[^"]*:eligible\\"/, ""),
            ),
        finder: "tests/program/settings.test.ts",
    },
    "no right to write tags beside the right to protect": {
        change: (program, { protectLeader }) =>
            protectLeader === "true"
                ? rewritten(program, rolePolicy, (text) => text.replace('\\"ec2:CreateTags\\",', ""))
                : program,
        finder: "a protected leader fails its health check",
    },
    "no right to protect": {
        change: (program) =>
            rewritten(program, rolePolicy, (text) =>
                text.replace("autoscaling:SetInstanceProtection", "autoscaling:Other"),
            ),
        finder: "a protected leader fails its health check",
    },
    "no right to strip an orphan": {
        change: (program) =>
            rewritten(program, rolePolicy, (text) => text.replace('groupName\\":\\"true', 'groupName\\":\\"false')),
        finder: "a leader that was tagged by hand, without a since, is detached",
    },
    "second prefix ignored by the policy": {
        change: (program) => rewritten(program, rolePolicy, withoutSecond),
        finder: "a leader of a group with the second prefix gets a Spot warning",
    },
    "second prefix ignored by the rule for scaling": {
        change: (program) =>
            rewritten(program, "aws:cloudwatch/eventRule:EventRule", (text) =>
                text.replace(',{\\"prefix\\":\\"shop-\\"}', ""),
            ),
        finder: "two prefixes",
    },
};
