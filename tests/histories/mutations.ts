// The faults that `npm run mutate` puts into the packaged function. Each must be found.

/** What stands in the function's text, exactly once, and what is put in its place. */
export type Mutation = [sound: string, faulty: string];

export const mutations: Record<string, Mutation> = {
    "promote before demote": [
        "const demoting = steps.filter(({ done }) => !done.error);",
        `const demoting = steps.filter(({ done }) => !done.error);
        const early = demoting.filter(({ plan }) => plan.promote.length > 0);
        const chosen = early.map(({ plan }) => ({ id: plan.promote[0], since: plan.since }));
        await promoteAll(aws, scope, chosen, within(millisLeft));`,
    ],
    "retain a leader that EC2 calls stopped": [
        'if (leader.state !== "running") {',
        'if (!["running", "stopping", "stopped"].includes(leader.state)) {',
    ],
    "choose without EC2's state": ["return states.includes(found.get(id));", "return true;"],
    "forget what this container wrote": ["if (contradicted || now > until) {", "if (true) {"],
    "decide from half the pages": ["all.push(page);", "all.push(page); break;"],
    "name filter without escaping": ['name.replace(/[*?\\\\]/g, "\\\\$&")', "name"],
    "since from the clock alone": ["since: Math.max(now, latest + 1)", "since: now"],
    "an error in one group ends the batch": [
        "done.error = plan.demote.map((id) => demoted.get(id)).find((error) => error);",
        `done.error = plan.demote.map((id) => demoted.get(id)).find((error) => error);
        if (done.error) { throw done.error; }`,
    ],
    "strip on an old Detach": ["findStrays(aws, mentioned),", "({ strays: mentioned, moved: [] }),"],
    "write when nothing changed": [
        "return { ...decision, promote: [] };",
        "return { ...decision, promote: decision.leader ? [decision.leader.id] : [] };",
    ],
    "no brake": ["brakes)(memory, group)", "brakes)(memory, group) && false"],
    "no pause between leaders": ["sleep(millisToWait)", "sleep(0)"],
    "pause though nobody alive was demoted": [
        "plan.promote.length > 0 && (plan.demote.length > 0 || plan.follows)",
        "plan.promote.length > 0",
    ],
    "forget who has just left": ["hasLost)(memory, group,", "hasLost)(memory, group, now +"],
    "each group of an electorate for itself": ["electorate === undefined ? group :", "true ? group :"],
    "read the leaders of the group that an event names only": ["...(scope.electorateTag ? [] :", "...(false ? [] :"],
    "leave protected who is demoted": ["written.demoted.includes(id) ? [{ id, group: name, on: false }]", "false ? []"],
    "take protection from whoever doesn't lead": [
        "written.demoted.includes(id) ? [{ id, group: name, on: false }]",
        "isProtected && id !== leader ? [{ id, group: name, on: false }]",
    ],
};
