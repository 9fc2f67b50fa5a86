// What the program and its function share: settings, and the keys of tags.
/** What the stack and its function agree on. */
export interface Scope {
    /** Name of the stack, unique in its account: its metrics carry it. */
    stack: string;
    /** Groups whose names start with one of these belong to the stack. */
    asgPrefixes: string[];
    /** Key of the tag that marks a leader. */
    tagKey: string;
    /** Key of a tag of groups: those with the same value elect one leader together. Empty: each group elects its own. */
    electorateTag: string;
    /** Seconds between demoting a live leader and promoting its successor. */
    handoverSeconds: number;
    /** Whether leaders are protected from scaling in. */
    protectLeader: boolean;
    /** Whether elections are decided, logged and measured, but nothing is written. */
    dryRun: boolean;
    /** ARN of the SNS topic that receives a message for each change of a leader; empty if there is none. */
    changeTopicArn: string;
}

/** Whether a group of this name belongs to the stack. */
export const isOurs = ({ asgPrefixes }: Scope, name: unknown): name is string =>
    typeof name === "string" && asgPrefixes.some((prefix) => name.startsWith(prefix));

/** The prefixes that no group, or electorate's group, that was found has: they may be mistyped. */
export const emptyPrefixes = (asgPrefixes: string[], found: { group: string; groups?: string[] }[]): string[] => {
    const names = found.flatMap(({ group, groups = [group] }) => groups);
    return asgPrefixes.filter((prefix) => !names.some((name) => name.startsWith(prefix)));
};

/** Key of the tag in which AWS keeps the name of an instance's group. */
export const groupKey = "aws:autoscaling:groupName";

/** Key of the tag that says since when an instance leads, or led. */
export const sinceKey = (tagKey: string): string => `${tagKey}:since`;

/** Key of the tag by which an operator or an application vetoes an instance, with the value false. */
export const eligibleKey = (tagKey: string): string => `${tagKey}:eligible`;

/** Key of the tag of a group by which an operator pauses its elections, with the value true. */
export const pausedKey = (tagKey: string): string => `${tagKey}:paused`;

/** Whether a tag's value marks a leader, or pauses a group: "true" in any case. */
export const isTrue = (value: unknown): boolean => typeof value === "string" && /^true$/i.test(value);

/** Whether a tag's value vetoes an instance: "false" in any case. */
export const marksVeto = (value: unknown): boolean => typeof value === "string" && /^false$/i.test(value);
