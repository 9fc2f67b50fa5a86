// `npm run mutate`: puts faults into copies of the packaged function, and says what finds each of them.
// Arguments name the faults to try, if not all. HISTORIES is how many of each kind are tried for a fault at most; SEED where they begin.
import { type ChildProcess, execFile, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { outcomeOf } from "../outcome";
import { type History, live, type Programs, type Settings, theProgram } from "./history";
import { explore, starts } from "./interleaving";
import { finderOf, mutations, seed } from "./mutations";
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
const firstSeed = Number(process.env.SEED ?? 1);
const seeded = join(__dirname, "seeded.ts");
const mocha = require.resolve("mocha/bin/mocha.js");
const execute = promisify(execFile);
const everyNthStart = 20; // of the starts with two electors

/** Makes the program with a fault in it. */
function programsWith(name: string): Programs {
    return async (settings?: Settings) => {
        const program = await theProgram(settings);
        return name === none ? program : seed(name, program, settings);
    };
}

/** Looks for anything that programs do wrong, until something is found: first where the fault was found before. */
async function find(name: string): Promise<Found> {
    const programs = programsWith(name);
    await programs();
    const finder = name === none ? undefined : finderOf(name);
    if (finder?.endsWith(".test.ts")) {
        return inTests(name, finder);
    }
    const found = finder === undefined ? {} : await by(programs, finder);
    return found.by === undefined ? anywhere(programs) : found;
}

/** What a regression or a kind of world finds. */
function by(programs: Programs, finder: string): Promise<Found> {
    const history = regressions[finder];
    return history ? inRegression(programs, finder, history) : inWorlds(programs, finder as keyof typeof worlds);
}

/** Regressions are tried first, which are quick. */
async function anywhere(programs: Programs): Promise<Found> {
    for (const [name, history] of Object.entries(regressions)) {
        const found = await inRegression(programs, name, history);
        if (found.by !== undefined) {
            return found;
        }
    }
    for (const kind of Object.keys(worlds) as (keyof typeof worlds)[]) {
        const found = await inWorlds(programs, kind);
        if (found.by !== undefined) {
            return found;
        }
    }
    const some = starts.filter((_, index) => index % everyNthStart === 0);
    const { failure } = await explore(await programs(), some);
    return failure === undefined ? {} : { by: "two electors", violation: failure };
}

async function inRegression(programs: Programs, name: string, history: History): Promise<Found> {
    const { violations } = await live(programs, history);
    return violations.length > 0 ? { by: name, violation: violations[0] } : {};
}

async function inWorlds(programs: Programs, kind: keyof typeof worlds): Promise<Found> {
    const { found } = await checkHistories(programs, kind, { runs, seed: firstSeed, shrink: false });
    if (!found.failed) {
        return {};
    }
    const [violation] = (found.errorInstance as Error).message.split("\n");
    return { by: `${kind}, history ${found.numRuns}`, violation };
}

/** What a file of tests finds, in a process of its own. */
async function inTests(name: string, file: string): Promise<Found> {
    const options = ["--require", "ts-node/register", "--require", seeded, "--reporter", "dot", "--bail", file];
    const { stdout, code }: { stdout: string; code?: number } = await execute(process.execPath, [mocha, ...options], {
        env: { ...process.env, FAULT: name, FORCE_COLOR: "0" },
    }).catch((failed: { stdout: string; code?: number }) => failed);
    const { failure } = outcomeOf(stdout, code);
    if (failure === undefined && code) {
        throw new Error(`${file} can't be run: ${stdout.slice(-500)}`);
    }
    return failure === undefined ? {} : { by: file, violation: failure.trim().replace(/\s+/g, " ") };
}

/** A process that tries the faults whose names it gets, one after the other. */
function startWorker(): ChildProcess {
    return fork(__filename, { execArgv: ["-r", "ts-node/register"], env: { ...process.env, MUTATE_WORKER: "true" } });
}

async function work(): Promise<void> {
    for await (const [name] of messages()) {
        const found = await find(name)
            .then(requireToRun)
            .catch((error: Error): Found => ({ error: error.message }));
        process.send?.(found);
    }
}

/** A fault that can't run shows nothing. */
function requireToRun(found: Found): Found {
    if (
        /ReferenceError|SyntaxError|is not (defined|a function|iterable)|Cannot (read|access|destructure)/.test(
            found.violation ?? "",
        )
    ) {
        throw new Error(`it does not run: ${found.violation}`);
    }
    return found;
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
            : `\nWrong, with HISTORIES=${runs} SEED=${firstSeed}: ${missed.join("; ")}`,
    );
    process.exitCode = missed.length === 0 ? 0 : 1;
}

void (process.env.MUTATE_WORKER ? work() : main());
