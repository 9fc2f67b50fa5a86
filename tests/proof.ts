// The long proof, `npm run proof`: `npm test`, and all that is too long for it, each part in a process of its own, on two cores.
// Arguments name the parts to run, if not all. SEED is the random seed of the histories that are drawn anew each time.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { type Outcome, outcomeOf } from "./outcome";

interface Part {
    command: string[];
    env?: Record<string, string>;
    /** Uses both cores itself, so that nothing runs beside it. */
    alone?: boolean;
}

const jobs = 2;
const progressMillis = 15_000;

const inCi = process.env.CI === "true";
const seed = process.env.SEED ?? String(randomInt(2 ** 31));
const mocha = (file: string) => ["npx", "mocha", file];
const histories = mocha("tests/histories/histories.test.ts");

/** The longest first, so that none of them is the last and leaves a core idle. */
const allParts: Record<string, Part> = {
    tests: { command: ["npm", "test"], alone: true },
    mutations: { command: ["npm", "run", "mutate"], alone: true },
    coverage: { command: ["npm", "run", "coverage"], env: { HISTORIES: "90" } },
    "two electors": { command: mocha("tests/histories/interleavings.test.ts"), env: { STARTS: "all" } },
    "histories, always the same": { command: histories, env: { HISTORIES: inCi ? "900" : "3600", SEED: "1" } },
    "leader-only and leader-while under every shell": {
        command: ["npx", "mocha", "tests/instance/*.test.ts"],
        env: { EVERY_SHELL: "true", ...(inCi ? { LEADER_ONLY_RUNS: "200", SEED: "1" } : { LEADER_ONLY_RUNS: "1000" }) },
    },
    bench: { command: ["npm", "run", "bench"] },
    "moto, over HTTP": { command: mocha("tests/integration/moto.proof.ts") },
    "the trial, over HTTP": { command: mocha("tests/integration/trial/trial.proof.ts") },
    "other SDKs and Node.js 24": { command: mocha("tests/integration/lambda/lambda.proof.ts") },
    "other releases of Node.js": { command: mocha("tests/integration/stack.proof.ts") },
    // In CI a few: a rare find must not hold up a change that did not cause it.
    "histories, drawn anew": { command: histories, env: { HISTORIES: inCi ? "180" : "3600", SEED: seed } },
};

async function run(name: string, { command: [program = "", ...options], env }: Part): Promise<Outcome> {
    const began = performance.now();
    const child = spawn(program, options, {
        env: { ...process.env, FORCE_COLOR: "0", ...env },
        stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text) => {
            output += text;
        });
    }
    const [status] = await once(child, "close");
    const outcome = outcomeOf(output, status);
    console.log(`${outcome.failing === 0 ? "✔" : "✖"} ${name}: ${countsOf(outcome)}, ${secondsSince(began)} s`);
    if (outcome.failing > 0) {
        console.log(output.replaceAll(/^/gm, "    "));
    }
    return outcome;
}

const secondsSince = (began: number): number => Math.round((performance.now() - began) / 1000);

const countsOf = ({ passing, failing }: Outcome): string => `${passing} passed, ${failing} failed`;

async function main(): Promise<void> {
    const named = process.argv.slice(2);
    const unknown = named.filter((name) => !Object.keys(allParts).some((part) => part.startsWith(name)));
    if (unknown.length > 0) {
        throw new Error(`no such part: ${unknown.join(", ")}; there are: ${Object.keys(allParts).join("; ")}`);
    }
    const parts = Object.entries(allParts).filter(
        ([part]) => named.length === 0 || named.some((name) => part.startsWith(name)),
    );
    const count = parts.length;
    const running = new Set<string>();
    const done: Outcome[] = [];
    const began = performance.now();
    console.log(`SEED=${seed} draws the new histories`);
    const progress = setInterval(() => {
        const ended = `${done.length} of ${count} parts have ended`;
        console.log(`… ${secondsSince(began)} s, ${ended}; now ${[...running].join(", ")}`);
    }, progressMillis);
    const work = async (some: [string, Part][]) => {
        for (let next = some.shift(); next; next = some.shift()) {
            const [name, part] = next;
            running.add(name);
            done.push(await run(name, part));
            running.delete(name);
        }
    };
    await work(parts.filter(([, { alone }]) => alone));
    const others = parts.filter(([, { alone }]) => !alone);
    await Promise.all(Array.from({ length: jobs }, () => work(others)));
    clearInterval(progress);

    const sum = (kind: "passing" | "failing") => done.reduce((total, outcome) => total + outcome[kind], 0);
    console.log(`${sum("passing")} passed, ${sum("failing")} failed`);
    process.exitCode = sum("failing") === 0 ? 0 : 1;
}

void main();
