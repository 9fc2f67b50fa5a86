// Faults in reports, figures and messages, and in what a dry run leaves undone.
import type { Mutation } from "../mutations";

const progress = "tests/election/progress.test.ts";
const reports = "tests/election/reports.test.ts";
const messages = "tests/election/messages.test.ts";
const protection = "tests/failover/protection.test.ts";

export const reporting: Record<string, Mutation> = {
    // Figures of each sweep.
    "failed elections are not counted": ['reports.filter(({ outcome }) => outcome === "failed").length', "0"],
    "an empty group counts as vacant": [': outcome === "vacant";', ': outcome === "vacant" || outcome === "empty";'],
    "a group that doesn't exist counts as swept": ["filter(({ group }) => group.exists)", "filter(() => true)"],
    "two leaders are not contested": ["leaders.length > 1 &&", "leaders.length > 2 &&"],
    "a paused group is contested": ['leaders.length > 1 && outcome !== "paused"', "leaders.length > 1"],

    // Figures of changes.
    "a leader lost without a successor is no change": ['"elected" || demoted.length > 0', '"elected"'],
    "a delay of an election without a promotion": ["...(promoted && Number.isFinite(", "...(Number.isFinite(", reports],

    // Figures of what went wrong.
    "a failed protection is not counted": ["return ids.length;", "return 0;", protection],
    "an event's loss counts as swept": ['outcome === "elected" && isOnlySwept &&', 'outcome === "elected" &&', reports],
    "a leader that is not fit any more counts as taken": [" && (0, group_1.isFit)(last)", "", reports],
    "a flapping group is not counted": ['return "isHeldBack" in decision ||', "return", reports],

    "messages that could not be sent are not counted": ["sum + unsent", "sum", messages],

    // Reports.
    "changes are logged at debug level": ['(0, exports.isChange)(report) || outcome === "', 'outcome === "', reports],
    "a list of all candidates": ["instances.slice(0, mostIds).map(", "instances.map(", reports],
    "what is left of a sweep is not said": ['console.warn({ message: "', '((...unused) => {})({ message: "', progress],
    "an empty prefix is not said": ["names.some((name) => name.startsWith(prefix))", "true", reports],

    // A dry run.
    "a dry run publishes changes": ["announce)(aws, real)", "announce)(aws, written)", messages],
    "a dry run writes": ["scope.dryRun ? (0, promote_1.pretend)(round) :", "false ? (0, promote_1.pretend)(round) :"],
    "count a dry run's change": ["reports.filter(({ dryRun }) => !dryRun)", "reports"],
    "a dry run's promotion leaves no group vacant": ['", "elected"].includes(outcome)', '"].includes(outcome)'],
    "groups that couldn't be read are no failed elections": ["scope, swept, failed, now);", "scope, swept, [], now);"],
    "a sweep that could read nothing looks as if all were well": [
        "if (swept.length + failed.length > 0 || unread.length === 0) {",
        "if (true) {",
    ],
    "a delay counts from the last event": ["Math.min(...causes.map(", "Math.max(...causes.map("],
    "elections whose candidates couldn't be read are no failed reads": [".length + unranked.length", ".length"],
    "groups that couldn't be read are no failed reads": ["unread.length + unranked.length", "unranked.length"],
    "protect in a dry run": ["protect)(aws, memory, real)", "protect)(aws, memory, written)"],
};
