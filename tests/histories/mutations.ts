// The faults that `npm run mutate` puts into the packaged function. Each must be found.

/** What stands in the function's text, exactly once, and what is put in its place. */
export type Mutation = [sound: string, faulty: string];

export const mutations: Record<string, Mutation> = {
    "promote before demote": [
        'const [, stripped] = await Promise.all([take(aws, steps, "demote", signal)',
        `await promoteFirst(aws, steps.filter(({ election: { plan } }) => plan.demote.length > 0));
        const [, stripped] = await Promise.all([take(aws, steps, "demote", signal)`,
    ],
    "retain a leader that EC2 calls stopped": [
        'if (state !== "running") {',
        'if (!["running", "stopping", "stopped"].includes(state)) {',
    ],
    "choose without EC2's state": [
        'return status instanceof Error || states.includes(status?.state ?? "");',
        "return true;",
    ],
    "forget what this container wrote": [
        "if (tagged.some((event) => event.id === id && contradicts(event, write, now))) {",
        "if (true) {",
    ],
    "decide from half the pages": ["all.push(page);", "all.push(page); break;"],
    "name filter without escaping": ['name.replace(/[*?\\\\]/g, "\\\\$&")', "name"],
    "since from the clock alone": [
        "const since = Math.max(now, (0, group_1.latestSince)(group, now) + 1);",
        "const since = now;",
    ],
    "an error in one group ends the batch": ["result.error ??= error;", "result.error ??= error; throw error;"],
    "strip on an old Detach": [
        "const isInNone = homes.has(id) && homes.get(id) === undefined;",
        "const isInNone = true;",
    ],
    "write when nothing changed": [
        "promote: [],\n        ...(lacksSince",
        "promote: leader ? [leader.id] : [],\n        ...(lacksSince",
    ],
    "no flapping guard": ["flapping: changedTooOften(", "flapping: false && changedTooOften("],
    "no pause between leaders": ["sleep(pauseMillis)", "sleep(0)"],
    "pause though no live leader was demoted": [
        "(plan.demote.length > 0 || (settingMillis > 0 && (plan.retire.length > 0 || group.handingOver === true)))",
        "true",
    ],
    "forget a leader that has just left": [
        "isHandingOver(memory, corrected, now - pauseMillis)",
        "isHandingOver(memory, corrected, now)",
    ],
    "each group of an electorate for itself": ["electorate === undefined ? group :", "true ? group :"],
    "read the leaders of the group that an event names only": ["scope.electorateTag ? [] : [", "false ? [] : ["],
    "leave a demoted leader protected": [
        "return leads && listed.protected && !protectedBefore.has(id)",
        "return false",
    ],
    "take protection from members that don't lead": [
        "return leads && listed.protected && !protectedBefore.has(id)",
        "return id !== leader && listed.protected",
    ],
    "stop paging at an empty page": [
        "all.push(page);",
        "if (Object.values(page).some((value) => Array.isArray(value) && value.length === 0)) { break; } all.push(page);",
    ],
    "never rank the eleventh member": ["candidates.length > 0 && isEmpty(rankings.get(group))", "false"],
    "more than 1,000 resources in a tag call": [
        "(0, answers_1.chunks)(ids, 1000).map(",
        "(ids.length > 0 ? [ids] : []).map(",
    ],
    "promote without a time limit": [
        "giveTags)(aws, gifts, aws.deadline.signal)",
        "giveTags)(aws, gifts, new AbortController().signal)",
    ],
    "count a promotion's time limit from the demotion's end": [
        "const { steps, pauseMillis } = schedule(",
        `const left = aws.deadline.millisLeft();
        aws = { ...aws, deadline: { ...aws.deadline, get signal() { return AbortSignal.timeout(left); } } };
        const { steps, pauseMillis } = schedule(`,
    ],
    "count an aborted demotion as done": [
        "if (!error) {\n            result.demoted.push(id);",
        'if (!error || error.name === "AbortError") {\n            result.demoted.push(id);',
    ],
    "leave a group's newer tags unseen": [
        "groups: new Map(readings.flatMap(",
        "groups: new Map(readings.toReversed().flatMap(",
    ],
    "take a remembered leader for running": [
        'state: state ?? (arriving ? "pending" : "running"),',
        'state: "running",',
    ],
    "count memory from the writing's beginning": ["until: ended + writeMillis", "until: began + writeMillis"],
    "ignore a later since in a read": [
        "(0, group_1.sinceOf)(instance, now) > (0, group_1.sinceOf)(write, now)",
        "false",
    ],
};
