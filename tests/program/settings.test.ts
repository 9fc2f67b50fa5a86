// Settings: what each comes to in the program, and which values are refused by name.
import { spawnSync } from "node:child_process";
import * as pulumi from "@pulumi/pulumi";
import { expect } from "chai";
import { listLeaders } from "../../election/stack/leaders-command";
import { readSettings } from "../../election/stack/settings";
import { optionsOf } from "../integration/readme/document";
import { only } from "../simulator/lists";
import { scopeIn } from "../simulator/stack/packaged";
import { configuration, declarations, type Program, project, runProgram } from "../simulator/stack/program";

const defaults = Object.fromEntries(Object.entries(declarations).map(([key, { default: value }]) => [key, value]));

// Every printable character but those that a group's name can't have, or a filter or a policy would not take literally.
const printable = Array.from({ length: 0x7f - 0x21 }, (_, place) => String.fromCharCode(0x21 + place));
const literal = printable.filter((character) => !":*?\\$".includes(character)).join("");

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
const retentionDays =
    "1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653";
const notWholeNumbers = ["", " ", "abc", "0", "-1", "+1", "1.5", "1.0", "1e1", "0x1", "01", "1 ", "1,5", "NaN", "true"];
const flags = {
    good: ["true", "false"],
    bad: ["", " ", "True", "FALSE", "yes", "no", "on", "1", "0", "null", " true", "true\n", "truefalse"],
};

const prefixRule =
    "1 to 200 printable ASCII characters, none of them space, :, *, ?, \\ or $, " +
    "or up to ten such prefixes with one space between them, 1,500 characters in all";
const tenPrefixes = "a b c d e f g h i j";
const tenOf = (length: number) => tenPrefixes.replace(/\w/g, (letter) => letter.repeat(length));

const policyCalled = (name: string) => `arn:aws:iam::123456789012:policy/${name}`;
const topicCalled = (name: string) => `arn:aws:sns:us-east-1:123456789012:${name}`;
const topics = {
    allowed: "empty, or the ARN of a standard (not FIFO) SNS topic: arn:<partition>:sns:<region>:<account>:<name>",
    good: [
        ...["", topicCalled("ops"), "arn:aws-us-gov:sns:us-gov-west-1:123456789012:Ops_1-b"],
        `arn:aws:sns:ap-southeast-5:000000000000:${"x".repeat(256)}`,
    ],
    bad: [
        ...[" ", "ops", "https://sns.us-east-1.amazonaws.com/123456789012/ops"],
        ...["", "ops.fifo", "o ps", "öps", "*", "ops\n", "x".repeat(257), "ops:6b0e71bd"].map(topicCalled),
        ...["12345678901", "", "12345678901x"].map((account) => `arn:aws:sns:us-east-1:${account}:ops`),
        ...["aws:sns:", "aws:sns:us east 1", "aws:sqs:us-east-1", "azure:sns:us-east-1", "aws-:sns:us-east-1"].map(
            (place) => `arn:${place}:123456789012:ops`,
        ),
        ...[` ${topicCalled("ops")}`, topicCalled("ops").toUpperCase()],
    ],
};

/** What each setting may be and may not be, and how that is said. */
const rules: Record<string, { allowed: string; good: string[]; bad: string[] }> = {
    asgPrefix: {
        allowed: prefixRule,
        good: ["a", "awseb-e-x", "x".repeat(200), literal, "a b", tenOf(148), "awseb- CodeDeploy_ shop-"],
        bad: [
            ...["", "x".repeat(201), "a\n", "\t", "a:", "a*", "a?", "a\\", "$a", "${", "é"],
            ...[`${tenPrefixes} k`, tenOf(149)],
        ],
    },
    tagKey: {
        allowed: "1 to 119 characters of [0-9a-zA-Z_+=,.@:-], not starting with aws:",
        good: ["k", "k".repeat(119), "0aZ_+=,.@:-", "aws", "my:aws:key"],
        bad: ["", "k".repeat(120), "a b", "a/b", "a\n", "a*", "a?", "a'", 'a"', "ä", "aws:x", "AWS:x", "Aws:x", "aws:"],
    },
    sweepMinutes: {
        allowed: "a whole number from 1 to 60",
        good: ["1", "2", "59", "60"],
        bad: [...notWholeNumbers, "61", "100", "100000"],
    },
    logRetentionDays: {
        allowed: `one of ${retentionDays}`,
        good: retentionDays.split(", "),
        bad: [...notWholeNumbers, "2", "31", "366", "3654", "100000"],
    },
    electorateTag: {
        allowed: "empty, or 1 to 128 letters, digits, spaces or characters of [_.:/=+@-]",
        good: ["", "e", "e".repeat(128), "aws:autoscaling:name", "aZ09 _.:/=+@-", "Umgebung für Läufe", "環境"],
        bad: ["e".repeat(129), "a*", "a?", "a,b", "a\n", "\t", "a'", 'a"', "a\\", "${a", "a;b", "a#"],
    },
    handoverSeconds: {
        allowed: "a whole number from 0 to 30",
        good: ["0", "1", "29", "30"],
        bad: [...notWholeNumbers.filter((text) => text !== "0"), "00", "31", "100000"],
    },
    protectLeader: { allowed: "true or false", ...flags },
    dryRun: { allowed: "true or false", ...flags },
    alarmTopicArn: topics,
    changeTopicArn: topics,
    dashboard: { allowed: "true or false", ...flags },
    permissionsBoundaryArn: {
        allowed: "empty, or the ARN of an IAM policy: arn:<partition>:iam::<account>:policy/<name>",
        good: [
            ...["", "arn:aws-cn:iam::123456789012:policy/boundary", "arn:aws:iam::aws:policy/PowerUserAccess"],
            ...["boundary", "company/limits/Boundary_1+=,.@-", "x".repeat(128)].map(policyCalled),
        ],
        bad: [
            ...[" ", "boundary", "arn:aws:iam::123456789012:role/boundary", "arn:aws:iam::123456789012:policy"],
            ...["", "x".repeat(129), "bound ary", "*", "boundary\n"].map(policyCalled),
            ...["aws:iam::12345678901", "aws:iam:us-east-1:123456789012", "aws:iam::", "azure:iam::123456789012"].map(
                (place) => `arn:${place}:policy/boundary`,
            ),
        ],
    },
    rolePath: {
        allowed: "/, or 3 to 512 printable ASCII characters without a space that begin and end with /",
        good: ["/", "/a/", "/company/services/", "/!~+=,.@-_/", `/${"x".repeat(510)}/`],
        bad: ["", " ", "a", "/a", "a/", "//", "/a b/", "/a/\n", " /a/", "/é/", `/${"x".repeat(511)}/`],
    },
};

const shown = (text: string) => (text.length > 40 ? `${text.length} characters` : JSON.stringify(text));

/** What the program makes of its settings. */
function effects({ resources, functionText }: Program) {
    const inputsOf = (type: string, name: string) =>
        resources.find((one) => one.type === type && one.name === name)?.inputs;
    const pattern = (rule: string) => JSON.parse(inputsOf("aws:cloudwatch/eventRule:EventRule", rule).eventPattern);
    const { Statement } = JSON.parse(inputsOf("aws:iam/rolePolicy:RolePolicy", "election").policy);
    const statementOf = (sid: string) => Statement.find(({ Sid }: { Sid: string }) => Sid === sid);
    const { Condition } = statementOf("PromoteAndDemote");
    return {
        listenedPrefix: pattern("scaling").detail.AutoScalingGroupName,
        listenedTags: pattern("tags").detail["changed-tag-keys"],
        allowedGroups: Condition.StringLike["aws:ResourceTag/aws:autoscaling:groupName"],
        allowedTags: Condition["ForAllValues:StringEquals"]["aws:TagKeys"],
        schedule: inputsOf("aws:cloudwatch/eventRule:EventRule", "sweep").scheduleExpression,
        timeout: inputsOf("aws:lambda/function:Function", "election").timeout,
        hidden: inputsOf("aws:sqs/queue:Queue", "events").visibilityTimeoutSeconds,
        retention: inputsOf("aws:cloudwatch/logGroup:LogGroup", "election").retentionInDays,
        notified: resources.flatMap(({ inputs: { alarmActions, okActions } }) =>
            alarmActions ? [alarmActions, okActions] : [],
        ),
        dashboards: resources.filter(({ type }) => type === "aws:cloudwatch/dashboard:Dashboard").length,
        protectable: statementOf("ProtectLeader")?.Resource,
        publishable: statementOf("ReportChanges")?.Resource ?? "",
        boundary: inputsOf("aws:iam/role:Role", "election").permissionsBoundary ?? "",
        path: inputsOf("aws:iam/role:Role", "election").path ?? "/",
        packaged: scopeIn(functionText),
    };
}

const groupsArn = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/";

function expected(values: Record<string, string | number | boolean>) {
    const { asgPrefix, tagKey, sweepMinutes, logRetentionDays, alarmTopicArn, dashboard, ...rest } = values;
    const { permissionsBoundaryArn, rolePath, ...electing } = rest;
    const prefixes = String(asgPrefix).split(" ");
    return {
        listenedPrefix: prefixes.map((prefix) => ({ prefix })),
        listenedTags: [tagKey, `${tagKey}:eligible`],
        allowedGroups: prefixes.map((prefix) => `${prefix}*`),
        allowedTags: [tagKey, `${tagKey}:since`],
        schedule: `rate(${sweepMinutes} ${Number(sweepMinutes) === 1 ? "minute" : "minutes"})`,
        timeout: 10 + Number(electing.handoverSeconds),
        hidden: 15 + Number(electing.handoverSeconds), // a batch is hidden for longer than the function may take
        retention: Number(logRetentionDays),
        notified: alarmTopicArn === "" ? Array(2 * 3).fill([]) : Array(2 * 6).fill([alarmTopicArn]),
        dashboards: dashboard ? 1 : 0,
        protectable: electing.protectLeader ? prefixes.map((prefix) => `${groupsArn}${prefix}*`) : undefined,
        publishable: electing.changeTopicArn,
        boundary: permissionsBoundaryArn,
        path: rolePath,
        packaged: { stack: `${project}/dev`, asgPrefixes: prefixes, tagKey, ...electing },
    };
}

/** The settings that the program reads from a configuration, by their keys. */
function settingsIn(config: Record<string, string | undefined>, name = project, region?: string) {
    const { asgPrefixes, ...others } = readSettings(config, name, region);
    return { asgPrefix: asgPrefixes.join(" "), ...others };
}

/** What a configuration is refused with, without a stack trace. */
function refusalOf(config: Record<string, string | null>, region?: string): string {
    try {
        return JSON.stringify(settingsIn(configuration(config), project, region));
    } catch (error) {
        expect(pulumi.RunError.isInstance(error), "without a stack trace").to.equal(true);
        return (error as Error).message;
    }
}

describe("The settings", () => {
    it("are all declared in Pulumi.yaml, each with its type, a description and a default of that type", () => {
        const settings = settingsIn(configuration());
        expect(Object.keys(declarations)).to.have.members(Object.keys(settings));
        for (const [key, { type, description, default: value }] of Object.entries(declarations)) {
            const kind = typeof settings[key as keyof typeof settings];
            expect(type, key).to.equal(kind === "number" ? "integer" : kind);
            expect(typeof value, key).to.equal(kind);
            expect(description, key).to.match(/\w+ \w+/);
        }
    });

    it("reach rules, permissions and function, and have no other defaults than Pulumi.yaml's", async () => {
        const other = {
            asgPrefix: `shop- CodeDeploy_ ${literal}`,
            tagKey: "0aZ_+=,.@:-",
            sweepMinutes: 60,
            logRetentionDays: 3653,
            electorateTag: "Umgebung / 環境",
            handoverSeconds: 30,
            protectLeader: true,
            dryRun: false, // else there were no right to write tags
            alarmTopicArn: topicCalled("_-"),
            dashboard: true,
            changeTopicArn: topicCalled("-_"),
            permissionsBoundaryArn: "arn:aws-us-gov:iam::123456789012:policy/a/b/_+=,.@-",
            rolePath: "/a/!~/",
        };
        const texts = Object.entries(other).map(([key, value]) => [key, String(value)]);
        const program = await runProgram({ config: Object.fromEntries(texts) });
        expect(effects(program)).to.deep.equal(expected(other));
        const inputs = program.resources.map(({ inputs: { code, ...rest } }) => rest);
        const everything = JSON.stringify([inputs, program.outputs, program.functionText]);
        expect(everything).to.contain("CodeDeploy_").and.to.contain(other.tagKey);
        expect(everything).to.not.contain(defaults.asgPrefix);
        expect(everything).to.not.contain(defaults.tagKey);
    });

    it("are all tried here", () => {
        expect(rules).to.have.all.keys(Object.keys(declarations));
    });
    for (const [key, { allowed, good, bad }] of Object.entries(rules)) {
        it(`${key} may be ${good.map(shown).join(", ")}`, () => {
            for (const value of good) {
                const settings = settingsIn(configuration({ [key]: value }));
                expect(String(settings[key as keyof typeof settings])).to.equal(value);
            }
        });
        it(`${key} must not be missing, ${bad.map(shown).join(", ")}`, () => {
            for (const value of [...bad, null]) {
                const found = value === null ? "missing" : JSON.stringify(value);
                expect(refusalOf({ [key]: value })).to.equal(`Setting ${key} is ${found}, but it must be ${allowed}.`);
            }
        });
    }

    const elsewhere = "arn:aws:sns:eu-west-1:123456789012:ops";
    for (const [key, value] of Object.entries({ sweepMinutes: "0", asgprefix: "a", alarmTopicArn: elsewhere })) {
        const config = { [key]: value };
        it(`are refused before anything is registered: ${JSON.stringify(config)}`, async () => {
            const registered: Program["resources"] = [];
            const error = await runProgram({ config, registered }).catch((thrown) => thrown);
            await pulumi.runtime.disconnect(); // what was under way is registered now
            expect(error.message).to.equal(refusalOf(config, "us-east-1"));
            expect(registered).to.deep.equal([]);
        });
    }
});

describe("A key of the configuration", () => {
    it("that is misspelt is refused by name, with all settings", () => {
        for (const key of ["asgprefix", "protectLeaders"]) {
            expect(refusalOf({ [key]: "1" })).to.equal(
                `There is no setting ${key}. The settings are ${Object.keys(declarations).join(", ")}.`,
            );
        }
    });

    it("that belongs to another project or namespace is none of ours", async () => {
        const config = {
            "pulumi:tags": '{"pulumi:template":"folder"}',
            "aws:profile": "shop",
            "aws:defaultTags": '{"tags":{"team":"shop"}}',
            [`${project}s:asgprefix`]: "old-",
            "other:asgPrefix": "old-",
        };
        expect(effects(await runProgram({ config }))).to.deep.equal(expected(defaults));
    });

    it("with the namespace of a project that is called like a provider may be the provider's", () => {
        for (const name of ["aws", "pulumi"]) {
            const ours = Object.entries(defaults).map(([key, value]) => [`${name}:${key}`, String(value)]);
            const config = { ...Object.fromEntries(ours), "aws:region": "eu-west-1", "pulumi:tags": "{}" };
            expect(settingsIn(config, name)).to.deep.equal(defaults);
        }
    });
});

describe("A list of prefixes", () => {
    const refused: Record<string, string> = {
        "a b*": '"b*" is none',
        "a b ": '"" is none',
        " a": '"" is none',
        "a  b": '"" is none',
        "a b:c d": '"b:c" is none',
        "awseb- shop- awseb-": '"awseb-" begins with another one',
        "awseb-e-shop awseb-": '"awseb-e-shop" begins with another one',
    };
    for (const [asgPrefix, why] of Object.entries(refused)) {
        it(`is refused with the prefix that is wrong: ${JSON.stringify(asgPrefix)}`, () => {
            expect(refusalOf({ asgPrefix })).to.equal(
                `Setting asgPrefix is ${JSON.stringify(asgPrefix)}, but it must be ${prefixRule}: ${why}.`,
            );
        });
    }

    it("of the greatest size fits into a role's inline policy and a rule's pattern", async () => {
        const asgPrefix = tenOf(148);
        const { resources } = await runProgram({ config: { asgPrefix, protectLeader: "true" } });
        const { policy } = resources.find(({ type }) => type === "aws:iam/rolePolicy:RolePolicy")?.inputs ?? {};
        expect(policy).to.have.length.at.most(10_240); // without white space, of all inline policies of a role
        const patterns = resources.flatMap(({ inputs: { eventPattern } }) => eventPattern ?? []);
        expect(Math.max(...patterns.map((pattern) => pattern.length))).to.be.at.most(2048);
    });
});

for (const key of ["alarmTopicArn", "changeTopicArn"] as const) {
    describe(`The topic of ${key}`, () => {
        const topicIn = (region: string | undefined, arn: string) =>
            readSettings(configuration({ [key]: arn }), project, region)[key];
        const topic = (partition: string, region: string) => `arn:${partition}:sns:${region}:123456789012:ops`;
        const partitions = {
            "us-east-1": "aws",
            "cn-northwest-1": "aws-cn",
            "us-gov-east-1": "aws-us-gov",
            "eusc-de-east-1": "aws-eusc",
            "us-iso-west-1": "aws-iso",
            "us-isob-east-1": "aws-iso-b",
            "eu-isoe-west-1": "aws-iso-e",
            "us-isof-south-1": "aws-iso-f",
        };

        it("is in the stack's own region and in its partition, or it is refused", () => {
            for (const [region, partition] of Object.entries(partitions)) {
                expect(topicIn(region, topic(partition, region))).to.equal(topic(partition, region));
                const others = Object.values(partitions).filter((other) => other !== partition);
                for (const arn of [topic(partition, "eu-west-3"), ...others.map((other) => topic(other, region))]) {
                    expect(refusalOf({ [key]: arn }, region)).to.equal(
                        `Setting ${key} is "${arn}", but it must be a topic in the stack's own region: arn:${partition}:sns:${region}:….`,
                    );
                }
            }
        });

        it("may be in any partition if the region is none that is known here, or not known before AWS is asked", () => {
            const arn = topic("aws-new", "moon-mare-1");
            expect(topicIn("moon-mare-1", arn)).to.equal(arn);
            expect(() => topicIn("moon-mare-1", topic("aws-new", "moon-mare-2"))).to.throw("own region");
            expect(topicIn(undefined, topic("aws-cn", "cn-north-1"))).to.include("cn-north-1");
        });
    });
}

describe("leadersCommand", () => {
    for (const asgPrefix of [String(defaults.asgPrefix), "a- b-", "it's-", "';exit;'", "'\"'\"'", literal]) {
        it(`brings the prefix ${shown(asgPrefix)} through the shell, in a filter for its live leaders`, () => {
            const settings = readSettings(configuration({ asgPrefix, tagKey: "shop:primary" }), project);
            const script = `aws() { printf '%s\\0' "$@"; }\n${listLeaders(settings, "eu-west-3")}`;
            const { stdout, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
            expect(stderr).to.equal("");
            const call = stdout.split("\0").slice(0, -1); // the last argument ends, too
            const { "--filters": filters = [], ...others } = optionsOf(call);
            expect(call.slice(0, 2)).to.deep.equal(["ec2", "describe-instances"]);
            expect(JSON.parse(only(filters))).to.deep.equal([
                { Name: "tag:shop:primary", Values: ["true", "True", "TRUE"] },
                { Name: "tag:aws:autoscaling:groupName", Values: asgPrefix.split(" ").map((prefix) => `${prefix}*`) },
                { Name: "instance-state-name", Values: ["pending", "running", "stopping", "stopped"] },
            ]);
            expect(others).to.deep.equal({
                "--region": ["eu-west-3"],
                "--query": [
                    "Reservations[].Instances[].{" +
                        "group: Tags[?Key=='aws:autoscaling:groupName'].Value | [0], " +
                        "leader: InstanceId, " +
                        "since: Tags[?Key=='shop:primary:since'].Value | [0]}",
                ],
                "--output": ["table"],
            });
        });
    }
});
