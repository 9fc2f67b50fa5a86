// Faults in what is written, when, and in what AWS's refusals come to.
import type { Mutation } from "../mutations";

const changes = "tests/election/changes.test.ts";
const handOver = "tests/failover/hand-over.test.ts";
const ownership = "tests/election/ownership.test.ts";
const protection = "tests/failover/protection.test.ts";
const retries = "tests/integration/retries.test.ts";

export const writing: Record<string, Mutation> = {
    "promote before demote": [
        'const [, stripped] = await Promise.all([take(aws, steps, "demote", signal)',
        `await promoteFirst(aws, steps.filter(({ election: { plan } }) => plan.demote.length > 0));
        const [, stripped] = await Promise.all([take(aws, steps, "demote", signal)`,
    ],
    "an error in one group ends the batch": ["result.error ??= error;", "result.error ??= error; throw error;"],
    "promote though a demotion failed": ["going = steps.filter(({ result }) => !result.error);", "going = steps;"],
    "count an aborted demotion as done": ["if (!error) {", 'if (!error || error.name === "AbortError") {'],
    "an instance that is gone holds up a promotion": [
        "error && (0, answers_1.isGone)(error) ? undefined : error",
        "error",
        changes,
    ],
    "a leader that EC2 is ending holds up a promotion": ["if (retired.includes(id)) {", "if (false) {", changes],
    "a leader that EC2 is ending keeps its tag": ['take(aws, steps, "retire", deadline.signal),', ""],
    "no pause between leaders": ["setTimeout(resolve, pauseMillis)", "setTimeout(resolve, 0)"],
    "pause though no live leader was demoted": [
        "(plan.demote.length > 0 || (settingMillis > 0 && (plan.retire.length > 0 || group.handingOver === true)))",
        "true",
    ],
    "no pause after a leader that EC2 is ending": ["(plan.retire.length > 0 || group.", "(group.", handOver],
    "other groups' successors wait, too": ["pauseMillis > 0 && handsOver(election),", "pauseMillis > 0,", handOver],
    "demote without the time to promote": [
        "const isTooLate = millisLeft < deadline_1.millisToDemote + wantedMillis + deadline_1.millisToPromote;",
        "const isTooLate = false;",
        handOver,
    ],
    "promote without a time limit": ["(aws, gifts, aws.deadline.signal)", "(aws, gifts, new AbortController().signal)"],
    "count a promotion's time limit from the demotion's end": [
        "const { steps, pauseMillis } = schedule(",
        `const left = aws.deadline.millisLeft();
        aws = { ...aws, deadline: { ...aws.deadline, get signal() { return AbortSignal.timeout(left); } } };
        const { steps, pauseMillis } = schedule(`,
    ],
    "promote another after a promotion without an answer": ["return isRefused;", "return true;"],
    "no second candidate after a refusal": ["push(id);\n        return isRefused;", "push(id);\n        return false;"],
    "a tag given back gets another since": ["giveBack, leads: true", "giveBack, leads: true, since: isoTime(since)"],
    "adopt with the leader tag": ["leads: false, since: isoTime(plan.since", "leads: true, since: isoTime(plan.since"],
    "an orphan keeps its since": ['...(which === "all" ? [{ Key:', '...(which === "none" ? [{ Key:', ownership],
    "a demotion takes the since, too": ['...(which === "all" ? [{ Key:', "...(true ? [{ Key:"],
    "the tag goes with another value": ['Value: "true" }] : []),', 'Value: "yes" }] : []),'],
    "delete all tags": ["aws.ec2.deleteTags({ Resources, Tags }", "aws.ec2.deleteTags({ Resources }"],
    "more than 1,000 resources in a tag call": ["(0, answers_1.chunks)(ids, 1000).", "(ids.length > 0 ? [ids] : [])."],

    // Refusals about several instances.
    "a refusal about one is one about all": ["if (ids.length === 1 || !(", "if (true || !("],
    "ConcurrentTagAccess is repeated for several": ["&& Resources?.length === 1) {", ") {", retries],
    "ConcurrentTagAccess is not repeated": ["&& Resources?.length === 1) {", "&& false) {", retries],
    "a refusal of all is never taken back": ["division.tagging.isRefused = false;", ""],

    // What lasts longer than a call.
    "patience with slow answers is never reset": ["patience.forget();", "", retries],
    "no more patience at a repeat": ["Math.max(attempt - 1, learned)", "learned * 0", retries],
    "each call learns for itself that AWS is slow": ["learned = Math.max(learned, doublings + 1);", "", retries],

    // Protection.
    "leave a demoted leader protected": [
        "return leads && listed.protected && !protectedBefore.get(id)",
        "return false",
        "a protected leader fails its health check",
    ],
    "protection stays in Standby": [', "EnteringStandby", "Standby"];', "];", "a leader in Standby gets its tag back"],
    "take protection from members that don't lead": [
        "return leads && listed.protected && !protectedBefore.get(id)",
        "return id !== leader && listed.protected",
    ],
    "protect without the setting": ["if (!aws.scope.protectLeader) {", "if (false) {"],
    "protect in a group that is to be empty": [" && !group.emptying.includes(listed.group)) {", ") {", protection],
    "a sweep protects no leader that lacks it": ["?.id || (0, group_1.isSwept)(group);", "?.id;"],
    "change the protection of a group that protects all": [
        "|| group.protecting.includes(listed.group)) {",
        ") {",
        protection,
    ],
};
