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

/** Reads a setting's text, undefined if it is missing; what is not allowed it refuses by a rule: what it must be. */
type Reader<T> = (text: string | undefined, refuse: (rule: string) => never) => T;

const matching =
    (allowed: RegExp, rule: string): Reader<string> =>
    (text, refuse) =>
        text !== undefined && allowed.test(text) ? text : refuse(rule);

const integer =
    (allowed: (value: number) => boolean, rule: string): Reader<number> =>
    (text = "", refuse) =>
        /^(0|[1-9]\d{0,4})$/.test(text) && allowed(Number(text)) ? Number(text) : refuse(rule);

const flag: Reader<boolean> = (text, refuse) => text === "true" || (text !== "false" && refuse("true or false"));

const tagKeyReader = matching(
    /^(?!aws:)[0-9a-zA-Z_+=,.@:-]{1,119}$/i,
    "1 to 119 characters of [0-9a-zA-Z_+=,.@:-], not starting with aws:",
);
const electorateTagReader = matching(
    /^$|^[\p{L}\p{N} _.:/=+@-]{1,128}$/u,
    "empty, or 1 to 128 letters, digits, spaces or characters of [_.:/=+@-]",
);
const topicReader = matching(
    /^$|^arn:aws(-[a-z]+)*:sns:[a-z]+(-[a-z]+)+-\d+:\d{12}:[0-9a-zA-Z_-]{1,256}$/,
    "empty, or the ARN of a standard (not FIFO) SNS topic: arn:<partition>:sns:<region>:<account>:<name>",
);
const boundaryReader = matching(
    /^$|^arn:aws(-[a-z]+)*:iam::(\d{12}|aws):policy\/([!-~]{1,512}\/)?[\w+=,.@-]{1,128}$/,
    "empty, or the ARN of an IAM policy: arn:<partition>:iam::<account>:policy/<name>",
);
const pathReader = matching(
    /^\/([!-~]{1,510}\/)?$/,
    "/, or 3 to 512 printable ASCII characters without a space that begin and end with /",
);

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
    const read = <T>(key: string, reader: Reader<T>): T => {
        known.push(key);
        const text = config[`${project}:${key}`];
        return reader(text, (rule) => {
            const found = text === undefined ? "missing" : JSON.stringify(text);
            throw new pulumi.RunError(`Setting ${key} is ${found}, but it must be ${rule}.`);
        });
    };
    const topic: Reader<string> = (text, refuse) => inRegion(topicReader(text, refuse), region, refuse);
    const settings = {
        asgPrefixes: read("asgPrefix", readPrefixes),
        tagKey: read("tagKey", tagKeyReader),
        sweepMinutes: read(
            "sweepMinutes",
            integer((n) => n >= 1 && n <= 60, "a whole number from 1 to 60"),
        ),
        logRetentionDays: read(
            "logRetentionDays",
            integer((n) => retentionDays.includes(n), `one of ${retentionDays.join(", ")}`),
        ),
        electorateTag: read("electorateTag", electorateTagReader),
        handoverSeconds: read(
            "handoverSeconds",
            integer((n) => n >= 0 && n <= 30, "a whole number from 0 to 30"),
        ),
        protectLeader: read("protectLeader", flag),
        dryRun: read("dryRun", flag),
        alarmTopicArn: read("alarmTopicArn", topic),
        changeTopicArn: read("changeTopicArn", topic),
        dashboard: read("dashboard", flag),
        permissionsBoundaryArn: read("permissionsBoundaryArn", boundaryReader),
        rolePath: read("rolePath", pathReader),
    };
    refuseUnknown(config, project, known);
    return settings;
}

/** Policies and event patterns have a limited size: EventBridge takes 2,048 characters, unless the account's quota is higher. */
const readPrefixes: Reader<string[]> = (text, refuse) => {
    const found = text?.split(" ") ?? [];
    const several =
        "1 to 200 printable ASCII characters, none of them space, :, *, ?, \\ or $, " +
        "or up to ten such prefixes with one space between them, 1,500 characters in all";
    const wrong = found.find((prefix) => !/^[!-~]{1,200}$/.test(prefix) || /[:*?\\$]/.test(prefix));
    const longer = found.find((prefix, place) => found.some((other, at) => at !== place && prefix.startsWith(other)));
    if (found.length > 1 && wrong !== undefined) {
        return refuse(`${several}: ${JSON.stringify(wrong)} is none`);
    }
    if (wrong === undefined && longer !== undefined) {
        return refuse(`${several}: ${JSON.stringify(longer)} begins with another one`);
    }
    const isTooLong = found.length > 10 || JSON.stringify(text ?? "").length > 1500; // as a pattern has it
    return found.length === 0 || isTooLong || wrong !== undefined ? refuse(several) : found;
};

// AWS refuses such a topic too, but only after the stack is half made, or when the first message is sent.
function inRegion(arn: string, region: string | undefined, refuse: (rule: string) => never): string {
    const [, partition, , topicRegion] = arn.split(":");
    if (arn === "" || region === undefined) {
        return arn;
    }
    const [expected = partition] = Object.keys(partitions).filter((name) => partitions[name]?.test(region));
    return topicRegion === region && partition === expected
        ? arn
        : refuse(`a topic in the stack's own region: arn:${expected}:sns:${region}:…`);
}

// A misspelt key would leave its setting at the default, and nothing would show it.
function refuseUnknown(config: Record<string, string | undefined>, project: string, known: string[]): void {
    if (project === "aws" || project === "pulumi") {
        return; // the namespace of this project's settings has other keys as well, like aws:region
    }
    const own = `${project}:`;
    const keys = Object.keys(config).flatMap((key) => (key.startsWith(own) ? [key.slice(own.length)] : []));
    const unknown = keys.find((key) => !known.includes(key));
    if (unknown !== undefined) {
        throw new pulumi.RunError(`There is no setting ${unknown}. The settings are ${known.join(", ")}.`);
    }
}
