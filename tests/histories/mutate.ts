// `npm run mutate`: puts faults into copies of the packaged function, and says what finds each of them.
// Arguments name the faults to try, if not all. HISTORIES is how many of each kind are tried for a fault at most; SEED where they begin.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { live, type Programs, type Settings, theProgram } from "./history";
import { explore, starts } from "./interleaving";
import { mutations } from "./mutations";
import { regressions } from "./regressions";
import { checkHistories, worlds } from "./worlds";

/** What finds a fault first, with the violation; nothing, if it is not found. */
interface Found {
    by?: string;
    violation?: string;
    /** Why the fault could not be tried. */
    error?: string;
}

const jobs = 2;
const none = "nothing";
const runs = Number(process.env.HISTORIES ?? 100);
const seed = Number(process.env.SEED ?? 1);
const everyNthStart = 20; // of the starts with two electors

/** Makes the program with a fault in its function. @throws if what the fault replaces doesn't stand there exactly once */
function programsWith(name: string): Programs {
    return async (settings?: Settings) => {
        const program = await theProgram(settings);
        if (name === none) {
            return program;
        }
        const [sound, faulty] = mutations[name] as [string, string];
        const count = program.functionText.split(sound).length - 1;
        if (count !== 1) {
            throw new Error(`what it replaces stands in the function ${count} times, not once: ${sound}`);
        }
        return { ...program, functionText: program.functionText.replace(sound, () => faulty) };
    };
}

/** Looks for anything that programs do wrong, until something is found: first in regressions, which are quick. */
async function find(programs: Programs): Promise<Found> {
    await programs();
    for (const [name, history] of Object.entries(regressions)) {
        const { violations } = await live(programs, history);
        if (violations.length > 0) {
            return { by: name, violation: violations[0] };
        }
    }
    for (const kind of Object.keys(worlds) as (keyof typeof worlds)[]) {
        const { found } = await checkHistories(programs, kind, { runs, seed, shrink: false });
        if (found.failed) {
            const [violation] = (found.errorInstance as Error).message.split("\n");
            return { by: `${kind}, history ${found.numRuns}`, violation };
        }
    }
    const some = starts.filter((_, index) => index % everyNthStart === 0);
    const { failures } = await explore(await programs(), some, { untilFailure: true });
    return failures.length > 0 ? { by: "two electors", violation: failures[0] } : {};
}

/** A process that tries the faults whose names it gets, one after the other. */
function startWorker(): ChildProcess {
    return fork(__filename, { execArgv: ["-r", "ts-node/register"], env: { ...process.env, MUTATE_WORKER: "true" } });
}

async function work(): Promise<void> {
    for await (const [name] of messages()) {
        const found = await find(programsWith(name)).catch((error: Error): Found => ({ error: error.message }));
        process.send?.(found);
    }
}

async function* messages(): AsyncGenerator<[string]> {
    while (process.connected) {
        yield (await once(process, "message")) as [string];
    }
}

async function main(): Promise<void> {
    const named = process.argv.slice(2);
    const unknown = named.filter((name) => !Object.hasOwn(mutations, name));
    if (unknown.length > 0) {
        throw new Error(`There is no fault called ${unknown.join(", ")}.`);
    }
    const waiting = [none, ...Object.keys(mutations).filter((name) => named.length === 0 || named.includes(name))];
    const width = Math.max(...waiting.map(({ length }) => length));
    const count = waiting.length - 1;
    const missed: string[] = [];
    const tryAll = async () => {
        const worker = startWorker();
        for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
            const began = performance.now();
            worker.send(name);
            const [found] = (await once(worker, "message")) as [Found];
            const isRight = name === none ? !found.by && !found.error : found.by !== undefined;
            const said = found.error ?? (found.by ? `${found.by}: ${found.violation?.slice(0, 150)}` : "not found");
            const seconds = Math.round((performance.now() - began) / 1000);
            console.log(`${isRight ? "✔" : "✖"} ${name.padEnd(width)}  ${said} (${seconds} s)`);
            if (!isRight) {
                missed.push(name);
            }
        }
        worker.disconnect();
    };
    await Promise.all(Array.from({ length: jobs }, tryAll));
    console.log(
        missed.length === 0
            ? `\nAll ${count} faults were found.`
            : `\nWrong, with HISTORIES=${runs} SEED=${seed}: ${missed.join("; ")}`,
    );
    process.exitCode = missed.length === 0 ? 0 : 1;
}

void (process.env.MUTATE_WORKER ? work() : main());
