// Faults in what is deployed around the function.
import type { Program } from "../../simulator/stack/program";
import type { Settings } from "../history";
import type { Mutation } from "../mutations";

const protectedLeader = "a protected leader fails its health check";
const secondPrefix = "a leader of a group with the second prefix gets a Spot warning";
const settingsTest = "tests/program/settings.test.ts";
const describe = '\\"ec2:DescribeInstances\\"';

/** Replaces text in the inputs of a type of resource, as JSON; if the settings are such. */
const inType =
    (type: string) =>
    (sound: string | RegExp, faulty: string, finder: string, when = (_: Settings) => true): Mutation => ({
        change: (program, settings) => (when(settings) ? rewritten(program, type, sound, faulty) : program),
        finder,
    });

function rewritten(program: Program, type: string, sound: string | RegExp, faulty: string): Program {
    const resources = program.resources.map((resource) => {
        const inputs = resource.type === type && JSON.stringify(resource.inputs).replace(sound, faulty);
        return inputs ? { ...resource, inputs: JSON.parse(inputs) } : resource;
    });
    return { ...program, resources };
}

const inPolicy = inType("aws:iam/rolePolicy:RolePolicy");
const inRules = inType("aws:cloudwatch/eventRule:EventRule");
const inFunction = inType("aws:lambda/function:Function");
const inQueue = inType("aws:sqs/queue:Queue");

export const deployed: Record<string, Mutation> = {
    // The role's policy.
    "a dry run keeps the right to write, unless leaders are protected": inPolicy(
        describe,
        `${describe},\\"ec2:CreateTags\\"`,
        "a dry run",
        ({ dryRun, protectLeader }) => dryRun === "true" && protectLeader !== "true",
    ),
    "a dry run keeps the right to publish": inPolicy(
        describe,
        `${describe},\\"sns:Publish\\"`,
        "tests/program/permissions.test.ts",
    ),
    "no right to write tags beside the right to protect": inPolicy(
        '\\"ec2:CreateTags\\",',
        "",
        protectedLeader,
        ({ protectLeader }) => protectLeader === "true",
    ),
    "no right to protect": inPolicy("autoscaling:SetInstanceProtection", "autoscaling:Other", protectedLeader),
    "no right to strip an orphan": inPolicy(
        'groupName\\":\\"true',
        'groupName\\":\\"false',
        "a leader that was tagged by hand, without a since, is detached",
    ),
    "second prefix ignored by the policy": inPolicy(',\\"shop-*\\"', "", secondPrefix),

    // What reaches the function, and how long it may take.
    "second prefix ignored by the rule for scaling": inRules(',{\\"prefix\\":\\"shop-\\"}', "", secondPrefix),
    "no event when an instance is vetoed": inRules(/,\\"[^"]*:eligible\\"/, "", settingsTest),
    "a pause is left out of the function's time": inFunction(/"timeout":\d+/, '"timeout":10', settingsTest),
    "a pause is left out of the time for which the queue hides a batch": inQueue(
        /"visibilityTimeoutSeconds":\d+/,
        '"visibilityTimeoutSeconds":15',
        settingsTest,
    ),
};
