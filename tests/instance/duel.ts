// A random run of leader-only --while on two instances, one of which leads at a time, and what must hold in it:
// never two works at once, no process left behind, and an end to the work soon after each loss of the lead.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../simulator/stack/program";
import { find, script, shells } from "./machine";
import { type Answer, followerTags, leaderTags, Metadata } from "./metadata";

const workerScript = join(root, "tests", "instance", "worker.sh");

// Seconds. The first two are scaled down; the rule and what it promises are the same.
const every = 0.5;
const grace = 0.3;
const wait = 3;
const pollMillis = 20;

const kinds = [
    "plain",
    "deaf",
    "slow",
    "family",
    "daemon",
    "own-group",
    "stopped",
    "leaves-daemon",
    "leaves-child",
    "quick",
    "brief",
];
const html = "<html>\n<p>true</p>\n</html>";
const faults: Answer[] = [
    "hangs",
    "breaks",
    { status: 403 },
    { status: 404 },
    { status: 500, body: "true" },
    { status: 200, body: html },
    { status: 302, headers: { location: "/latest/meta-data/" } },
];

/** A process of the work, as it reported itself, and when it was last seen alive; seconds since boot. */
interface Process {
    instance: number;
    role: string;
    run: string;
    pid: number;
    from: number;
    alive: number;
    over: boolean;
}

export type Chance = () => number;

/** https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32 */
export function chanceFrom(seed: number): Chance {
    let state = seed | 0;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

const uptime = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);

/** How long it takes to start a process now, in seconds. */
async function startingSeconds(): Promise<number> {
    const began = performance.now();
    await once(spawn("true", { stdio: "ignore" }), "exit");
    return (performance.now() - began) / 1000;
}

/** How long it took to start a process, with the time of each. */
const probes: { at: number; seconds: number }[] = [];
const slowestSince = (time: number) =>
    Math.max(0, ...probes.filter(({ at }) => at >= time).map(({ seconds }) => seconds));

/** Until it is stopped. */
function probeMachine(): () => void {
    let expected = performance.now() + 200;
    const timer = setInterval(async () => {
        // This process answers for metadata: what it is late, answers are.
        const late = Math.max(0, (performance.now() - expected) / 1000);
        expected = performance.now() + 200;
        probes.push({ at: uptime(), seconds: late + (await startingSeconds()) });
    }, 200);
    return () => clearInterval(timer);
}

function stateOf(pid: number): string {
    try {
        const line = readFileSync(`/proc/${pid}/stat`, "utf8");
        return line.slice(line.lastIndexOf(")") + 2)[0];
    } catch {
        return "X";
    }
}

/** The processes that have this in their environment and are not dead. */
export function processesWith(mark: string): number[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((pid) => {
        try {
            return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(mark);
        } catch {
            return false;
        }
    });
}

/** What one run came to. */
export interface Report {
    seed: number;
    /** What was done, for a failure's message. */
    story: string[];
    violations: string[];
    starts: number;
    losses: number;
}

/** Plays a run. The same seed plays the same scene, but for the machine's own timing. */
export async function duel(seed: number, environment: Record<string, string>): Promise<Report> {
    const chance = chanceFrom(seed);
    const pick = <T>(values: T[]): T => values[Math.floor(chance() * values.length)];
    const between = (least: number, most: number) => least + chance() * (most - least);

    const began = uptime();
    const story: string[] = [];
    const violations: string[] = [];
    const tell = (what: string) => story.push(`${(uptime() - began).toFixed(2)} ${what}`);

    const [shell] = [pick(Object.keys(shells))];
    // Either metadata fails briefly at most, or the lead counts as lost when it can't be read.
    const blind = pick([0.6, 30]);
    const promised = Math.max(every, blind === 30 ? 0 : blind) + grace + wait;
    tell(`${shell}, blind ${blind}, promised ${promised}`);

    const mark = `LEADER_ONLY_DUEL=${process.pid}-${seed}`;
    const services = [await Metadata.start({ ...followerTags }), await Metadata.start({ ...followerTags })];
    services.forEach((service, index) => {
        service.id = `i-000000000000000${index}`;
    });
    const processes: Process[] = [];
    const mains: (ChildProcess | undefined)[] = [undefined, undefined];
    const scripts: { exited: Promise<unknown>; errors: Promise<string> }[] = [];
    const unrestrained = new Set<number>(); // instances whose script was ended: its next start is another script's
    let over = false;

    function start(instance: number): void {
        const kind = pick(kinds);
        tell(`instance ${instance} starts a ${kind} worker`);
        const [command, ...first] = shells[shell];
        const options = ["--every", every, "--grace", grace, "--wait", wait, "--blind", blind].map(String);
        const child = spawn(
            find(command) as string,
            [...first, script, "--while", ...options, "sh", workerScript, kind],
            {
                env: {
                    ...environment,
                    AWS_EC2_METADATA_SERVICE_ENDPOINT: services[instance].endpoint,
                    LEADER_ONLY_DUEL: mark.split("=")[1],
                },
                stdio: ["ignore", "ignore", "pipe", "pipe"],
            },
        );
        mains[instance] = child;
        createInterface(child.stdio[3] as NodeJS.ReadableStream).on("line", (line) => {
            const [role, run, pid, from] = line.split(" ");
            processes.push({
                instance,
                role,
                run,
                pid: Number(pid),
                from: Number(from),
                alive: Number(from),
                over: false,
            });
            tell(`instance ${instance}: ${line}`);
        });
        child.on("exit", (status, signal) => {
            tell(`instance ${instance}'s script has ended: ${status ?? signal}`);
            mains[instance] = undefined;
            if (!over) {
                setTimeout(() => over || start(instance), restarts ? 0 : 50);
            }
        });
        const errors = text(child.stderr as NodeJS.ReadableStream);
        scripts.push({ exited: once(child, "exit"), errors });
    }

    const restarts = chance() < 0.5;
    const poll = setInterval(() => {
        const now = uptime();
        for (const process of processes) {
            if (!process.over && "ZX".includes(stateOf(process.pid))) {
                process.over = true;
            } else if (!process.over) {
                process.alive = now;
            }
        }
    }, pollMillis);
    // What the machine takes for what ten processes do is not the script's fault.
    const slack = () => 10 * slowestSince(began);

    for (const service of services) {
        service.millisecondsForAnAnswer = pick([0, 0, 5, 30]);
    }
    start(0);
    start(1);

    /** For a while one instance's metadata fails. */
    async function disturb(instance: number): Promise<void> {
        await sleep(between(0, 2500));
        const service = services[instance];
        const fault = pick(faults);
        const what = chance();
        if (what < 0.15) {
            tell(`instance ${instance}'s metadata forgets its tokens`);
            service.token = `another-token-${seed}`;
        } else if (what < 0.25) {
            tell(`instance ${instance}'s metadata is another instance's`);
            const id = service.id;
            service.id = "i-0ffffffffffffffff";
            await sleep(between(50, 200));
            service.id = id;
        } else {
            const seconds = blind === 30 ? between(0.02, 0.25) : between(0.02, 2.5);
            tell(`instance ${instance}'s metadata for ${seconds.toFixed(2)} s: ${JSON.stringify(fault)}`);
            service.instead = { "*": fault };
            await sleep(seconds * 1000);
            service.instead = {};
            tell(`instance ${instance}'s metadata is well again`);
        }
    }

    /** Once, something happens to a script. */
    async function signal(): Promise<void> {
        await sleep(between(0, 3500));
        const instance = pick([0, 1]);
        const name = pick([
            "SIGTERM",
            "SIGINT",
            "SIGHUP",
            "SIGQUIT",
            "SIGUSR1",
            "SIGUSR2",
            "SIGKILL",
            "SIGKILL",
            "SIGSTOP",
        ]);
        tell(`instance ${instance}'s script gets ${name}`);
        unrestrained.add(instance);
        mains[instance]?.kill(name as NodeJS.Signals);
    }

    const losses: { instance: number; at: number; slack: number }[] = [];
    const disturbances = [0, 1].filter(() => chance() < 0.6).map(disturb);
    const signals = chance() < 0.5 ? signal() : undefined;

    // The lead goes to one instance, then, by the rule, to the other.
    const first = pick([0, 1]);
    await sleep(between(0, 400));
    tell(`instance ${first} leads`);
    services[first].tags = { ...leaderTags };
    await sleep(between(0, 1800));
    const way = chance();
    tell(`instance ${first} leads no more`);
    if (way < 0.3) {
        services[first].lifecycle = "Terminated";
    } else {
        services[first].tags = way < 0.5 ? { ...leaderTags, "app:isLeader": "false" } : { ...followerTags };
    }
    losses.push({ instance: first, at: uptime(), slack: 0 });
    await sleep(promised * 1000);
    for (let waited = 0; waited < slack(); waited += 0.05) {
        await sleep(50);
    }
    losses[0].slack = slack();
    tell(`instance ${1 - first} leads`);
    services[1 - first].tags = { ...leaderTags };
    await sleep(between(600, 1200));
    await Promise.all([...disturbances, signals]);

    // The end: every script is told to end, and nothing may be left.
    over = true;
    tell("the end");
    for (const service of services) {
        service.instead = {};
    }
    for (const main of mains) {
        main?.kill("SIGCONT");
        main?.kill("SIGTERM");
    }
    const ended = Promise.all(scripts.map(({ exited }) => exited)).then(() => true);
    if (!(await Promise.race([ended, sleep(50_000).then(() => false)]))) {
        violations.push("a script didn't end after TERM");
        for (const main of mains) {
            main?.kill("SIGKILL");
        }
    }
    for (let waited = 0; processesWith(mark).length > 0 && waited < 10_000; waited += 50) {
        await sleep(50);
    }
    const left = processesWith(mark);
    for (const pid of left) {
        violations.push(`left behind: ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`);
        process.kill(pid, "SIGKILL");
    }
    clearInterval(poll);
    for (const { errors } of scripts) {
        story.push(...(await errors).split("\n").filter((line) => line !== ""));
    }
    for (const service of services) {
        service.stop();
    }

    for (const one of processes) {
        for (const other of processes) {
            if (one.run !== other.run && one.from <= other.from && one.alive > other.from + 0.01) {
                violations.push(
                    `two at work: ${one.pid} was alive at ${one.alive}, ${other.pid} began at ${other.from}`,
                );
            }
        }
    }
    for (const { instance, at, slack } of losses) {
        for (const one of processes.filter((process) => process.instance === instance)) {
            if (one.alive > at + promised + slack) {
                violations.push(`${one.pid} was alive ${(one.alive - at).toFixed(2)} s after the lead was lost`);
            }
        }
    }
    for (const instance of [0, 1].filter((instance) => !unrestrained.has(instance))) {
        const begun = processes.filter((process) => process.instance === instance && process.role === "main");
        const runs = begun.map(({ from }) => from).sort((one, other) => one - other);
        runs.slice(1).forEach((from, index) => {
            if (from - runs[index] < every - 0.05) {
                violations.push(`two starts within ${(from - runs[index]).toFixed(2)} s`);
            }
        });
    }
    return {
        seed,
        story: violations.length > 0 ? story : [],
        violations,
        starts: processes.filter(({ role }) => role === "main").length,
        losses: losses.length,
    };
}

/** Plays so many runs from a seed on, several at a time, but no more than the machine can take without stumbling. */
export async function duels(seed: number, count: number, environment: Record<string, string>): Promise<Report[]> {
    const stopProbing = probeMachine();
    const reports: Report[] = [];
    const active = new Set<Promise<void>>();
    for (let next = 0; next < count; next++) {
        while (active.size > 0 && (active.size >= 20 || (probes.at(-1)?.seconds ?? 0) > 0.03)) {
            await Promise.race([...active, sleep(200)]);
        }
        const run = duel(seed + next, environment).then((report) => {
            reports.push(report);
            active.delete(run);
        });
        active.add(run);
        await sleep(60);
    }
    await Promise.all(active);
    stopProbing();
    return reports;
}
