import * as pulumi from "@pulumi/pulumi";
import type { Scope } from "../scope";

/** The settings of a stack, checked: what its function needs to know, and what the stack alone does. */
export interface Settings extends Omit<Scope, "stack"> {
    /** Minutes between two sweeps. */
    sweepMinutes: number;
    /** Days that log lines are kept. */
    logRetentionDays: number;
    /** ARN of the SNS topic that receives alarms; empty if there is none. */
    alarmTopicArn: string;
    /** Whether there is a dashboard. */
    dashboard: boolean;
    /** ARN of the IAM policy that is the permissions boundary of the function's role; empty: it has none. */
    permissionsBoundaryArn: string;
    /** Path of the function's role. */
    rolePath: string;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
const retentionDays = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
// A region of none of these forms may be in a partition that is newer than this list.
const partitions: Record<string, RegExp> = {
    aws: /^(af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d+$/,
    "aws-cn": /^cn-/,
    "aws-us-gov": /^us-gov-/,
    "aws-eusc": /^eusc-/,
    "aws-iso": /^us-iso-/,
    "aws-iso-b": /^us-isob-/,
    "aws-iso-e": /^eu-isoe-/,
    "aws-iso-f": /^us-isof-/,
};

/**
 * Reads and checks the stack's configuration.
 *
 * @param config the text of each key of each namespace (`pulumi.runtime.allConfig()`): the settings are `<project>:<setting>`
 * @param project the project's name
 * @param region the stack's region if it is known before AWS is asked (`aws.config.region`)
 * @throws pulumi.RunError: one sentence with the key, its value and what is allowed
 */
export function readSettings(config: Record<string, string | undefined>, project: string, region?: string): Settings {
    const known: string[] = [];
    const settings = {
        asgPrefixes: prefixes("asgPrefix"),
        tagKey: matching(
            "tagKey",
            /^[0-9a-zA-Z_+=,.@:-]{1,119}$/,
            "1 to 119 characters of [0-9a-zA-Z_+=,.@:-], not starting with aws:",
            /^aws:/i,
        ),
        sweepMinutes: integer("sweepMinutes", (n) => n >= 1 && n <= 60, "a whole number from 1 to 60"),
        logRetentionDays: integer(
            "logRetentionDays",
            (n) => retentionDays.includes(n),
            `one of ${retentionDays.join(", ")}`,
        ),
        electorateTag: matching(
            "electorateTag",
            /^$|^[\p{L}\p{N} _.:/=+@-]{1,128}$/u,
            "empty, or 1 to 128 letters, digits, spaces or characters of [_.:/=+@-]",
        ),
        handoverSeconds: integer("handoverSeconds", (n) => n >= 0 && n <= 30, "a whole number from 0 to 30"),
        protectLeader: flag("protectLeader"),
        dryRun: flag("dryRun"),
        alarmTopicArn: topic("alarmTopicArn"),
        changeTopicArn: topic("changeTopicArn"),
        dashboard: flag("dashboard"),
        permissionsBoundaryArn: matching(
            "permissionsBoundaryArn",
            /^$|^arn:aws(-[a-z]+)*:iam::(\d{12}|aws):policy\/([!-~]{1,512}\/)?[\w+=,.@-]{1,128}$/,
            "empty, or the ARN of an IAM policy: arn:<partition>:iam::<account>:policy/<name>",
        ),
        rolePath: matching(
            "rolePath",
            /^\/([!-~]{1,510}\/)?$/,
            "/, or 3 to 512 printable ASCII characters without a space that begin and end with /",
        ),
    };
    refuseUnknown(config, project, known);
    return settings;

    function read(key: string): string | undefined {
        known.push(key);
        return config[`${project}:${key}`];
    }

    /** Ten at most: policies and event patterns have a limited size. */
    function prefixes(key: string): string[] {
        const text = read(key);
        const found = text?.split(" ") ?? [];
        const rule = "1 to 200 printable ASCII characters, none of them space, :, *, ?, \\ or $";
        const several = `${rule}, or up to ten such prefixes with one space between them`;
        const wrong = found.find((prefix) => !/^[!-~]{1,200}$/.test(prefix) || /[:*?\\$]/.test(prefix));
        const longer = found.find((prefix, place) =>
            found.some((other, at) => at !== place && prefix.startsWith(other)),
        );
        if (found.length > 1 && wrong !== undefined) {
            return refuse(key, text, `${several}: ${JSON.stringify(wrong)} is none`);
        }
        if (wrong === undefined && longer !== undefined) {
            return refuse(key, text, `${several}: ${JSON.stringify(longer)} begins with another one`);
        }
        return found.length > 0 && found.length <= 10 && wrong === undefined ? found : refuse(key, text, several);
    }

    function topic(key: string): string {
        const arn = matching(
            key,
            /^$|^arn:aws(-[a-z]+)*:sns:[a-z]+(-[a-z]+)+-\d+:\d{12}:[0-9a-zA-Z_-]{1,256}$/,
            "empty, or the ARN of a standard (not FIFO) SNS topic: arn:<partition>:sns:<region>:<account>:<name>",
        );
        refuseElsewhere(key, arn, region);
        return arn;
    }

    function matching(key: string, allowed: RegExp, rule: string, forbidden?: RegExp): string {
        const text = read(key);
        return text !== undefined && allowed.test(text) && !forbidden?.test(text) ? text : refuse(key, text, rule);
    }

    function flag(key: string): boolean {
        return matching(key, /^(true|false)$/, "true or false") === "true";
    }

    function integer(key: string, allowed: (value: number) => boolean, rule: string): number {
        const text = read(key);
        return text !== undefined && /^(0|[1-9]\d{0,4})$/.test(text) && allowed(Number(text))
            ? Number(text)
            : refuse(key, text, rule);
    }
}

function refuse(key: string, text: string | undefined, rule: string): never {
    const found = text === undefined ? "missing" : JSON.stringify(text);
    throw new pulumi.RunError(`Setting ${key} is ${found}, but it must be ${rule}.`);
}

// A misspelt key would leave its setting at the default, and nothing would show it.
function refuseUnknown(config: Record<string, string | undefined>, project: string, known: string[]): void {
    if (project === "aws" || project === "pulumi") {
        return; // the namespace of this project's settings has other keys as well, like aws:region
    }
    const unknown = Object.keys(config)
        .filter((key) => key.startsWith(`${project}:`))
        .map((key) => key.slice(project.length + 1))
        .find((key) => !known.includes(key));
    if (unknown !== undefined) {
        throw new pulumi.RunError(`There is no setting ${unknown}. The settings are ${known.join(", ")}.`);
    }
}

// AWS refuses such a topic too, but only after the stack is half made, or when the first message is sent.
function refuseElsewhere(key: string, arn: string, region: string | undefined): void {
    const [, partition, , topicRegion] = arn.split(":");
    if (arn === "" || region === undefined) {
        return;
    }
    const [expected = partition] = Object.keys(partitions).filter((name) => partitions[name]?.test(region));
    if (topicRegion !== region || partition !== expected) {
        refuse(key, arn, `a topic in the stack's own region: arn:${expected}:sns:${region}:…`);
    }
}
