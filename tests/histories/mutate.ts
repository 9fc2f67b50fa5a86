// Puts faults into a copy of the packaged function, one at a time, and says what finds each of them: `npm run mutate`.

import type { Program } from "../simulator/stack/program";
import { type Settings, theProgram } from "./history";
import { findFaults } from "./mutations";

/** A fault: what stands in the function, and what is put in its place. */
const allFaults: Record<string, [sound: string, faulty: string]> = {
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

// Arguments name the faults to try, if not all.
const faults = Object.fromEntries(
    Object.entries(allFaults).filter(([name]) => process.argv.length < 3 || process.argv.includes(name)),
);

function withFault(program: Program, sound: string, faulty: string): Program {
    const places = program.functionText.split(sound).length - 1;
    if (places !== 1) {
        throw new Error(`what a fault replaces stands in the function ${places} times, not once: ${sound}`);
    }
    return { ...program, functionText: program.functionText.replace(sound, () => faulty) };
}

async function main(): Promise<void> {
    const runs = Number(process.env.HISTORIES ?? 100);
    const seed = Number(process.env.SEED ?? 1);
    const width = Math.max(...Object.keys(faults).map(({ length }) => length));
    const sound = await findFaults(theProgram, { runs, seed });
    console.log(`${"nothing".padEnd(width)}  ${[...sound.keys()].join("; ") || "nothing to find"}`);
    const missed: string[] = sound.size > 0 ? ["without a fault something is found"] : [];
    for (const [name, [stands, faulty]] of Object.entries(faults)) {
        const faultyProgram = async (settings?: Settings) => withFault(await theProgram(settings), stands, faulty);
        const found = [...(await findFaults(faultyProgram, { runs, seed })).keys()];
        console.log(`${name.padEnd(width)}  ${found.join("; ") || "NOT FOUND"}`);
        if (found.length === 0) {
            missed.push(name);
        }
    }
    const count = Object.keys(faults).length;
    console.log(missed.length === 0 ? `\nAll ${count} faults were found.` : `\nMissed: ${missed.join("; ")}`);
    process.exitCode = missed.length === 0 ? 0 : 1;
}

void main();
