import * as pulumi from "@pulumi/pulumi";

/** What a stack can be told, checked. */
export interface Settings {
    /** Groups whose names start with this belong to the stack. */
    asgPrefix: string;
    /** Key of the tag that marks a leader. */
    tagKey: string;
    /** Minutes between two sweeps. */
    sweepMinutes: number;
    /** Days that log lines are kept. */
    logRetentionDays: number;
    /** Key of a tag of groups: those that carry the same value elect one leader together. Empty: each group has its own. */
    electorateTag: string;
    /** Seconds between demoting a live leader and promoting its successor. */
    handoverSeconds: number;
    /** Whether leaders are protected from scaling in. */
    protectLeader: boolean;
    /** ARN of the SNS topic that is told of alarms; empty if nobody is. */
    alarmTopicArn: string;
    /** Whether there is a dashboard. */
    dashboard: boolean;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
const retentionDays = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/**
 * Reads and checks the stack's configuration.
 *
 * @param get gives the text of a key, undefined if it isn't set (`pulumi.Config.get`)
 * @throws pulumi.RunError: one sentence with the key, its value and what is allowed
 */
export function readSettings(get: (key: string) => string | undefined): Settings {
    return {
        asgPrefix: matching(
            "asgPrefix",
            /^[!-~]{1,200}$/,
            "1 to 200 printable ASCII characters, none of them space, :, *, ?, \\ or $",
            /[:*?\\$]/,
        ),
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
        alarmTopicArn: matching(
            "alarmTopicArn",
            /^$|^arn:aws(-[a-z]+)*:sns:[a-z]+(-[a-z]+)+-\d+:\d{12}:[0-9a-zA-Z_-]{1,256}$/,
            "empty, or the ARN of a standard (not FIFO) SNS topic: arn:<partition>:sns:<region>:<account>:<name>",
        ),
        dashboard: flag("dashboard"),
    };

    function matching(key: string, allowed: RegExp, rule: string, forbidden?: RegExp): string {
        const text = get(key);
        return text !== undefined && allowed.test(text) && !forbidden?.test(text) ? text : refuse(key, text, rule);
    }

    function flag(key: string): boolean {
        return matching(key, /^(true|false)$/, "true or false") === "true";
    }

    function integer(key: string, allowed: (value: number) => boolean, rule: string): number {
        const text = get(key);
        return text !== undefined && /^(0|[1-9]\d{0,4})$/.test(text) && allowed(Number(text))
            ? Number(text)
            : refuse(key, text, rule);
    }
}

function refuse(key: string, text: string | undefined, rule: string): never {
    throw new pulumi.RunError(
        `Setting ${key} is ${text === undefined ? "missing" : JSON.stringify(text)}, but it must be ${rule}.`,
    );
}
