// A random run of leader-while on two instances, one of which leads at a time, and what must hold in it:
// never two works at once, no process left behind, and an end to the work soon after each loss of the lead.
// Each leader-while has a supervisor that starts it again and ends what is left: a PID namespace, as a container has.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../simulator/stack/program";
import { find, shells, whileScript } from "./machine";
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
    "resets",
    { status: 403 },
    { status: 404 },
    { status: 429 },
    { status: 500, body: "true" },
    { status: 200, body: html },
    { status: 302, headers: { location: "/latest/meta-data/" } },
];

/** A process of the work, as it reported itself, and when it was last seen alive; seconds since boot. */
interface Process {
    instance: number;
    role: string;
    /** Of leader-while, counted from 0. */
    run: number;
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

/** https://man7.org/linux/man-pages/man5/proc_pid_children.5.html */
export function childrenOf(pid: number): number[] {
    try {
        return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
    } catch {
        return [];
    }
}

/** What process ids inside a PID namespace are outside of it, for the processes under one. */
function outside(parent: number, inside: number): number | undefined {
    for (const pid of childrenOf(parent)) {
        try {
            const [own] = readFileSync(`/proc/${pid}/status`, "utf8").match(/(?<=^NSpid:.*\t)\d+$/m) ?? [];
            if (Number(own) === inside) {
                return pid;
            }
        } catch {} // it has ended
        const found = outside(pid, inside);
        if (found !== undefined) {
            return found;
        }
    }
    return undefined;
}

/** What starts a command as the first process of a PID namespace, as a container does: all end with it. */
export const namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

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
export async function duel(
    seed: number,
    environment: Record<string, string>,
    supervisor: string[] = namespace,
): Promise<Report> {
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

    const mark = `LEADER_DUEL=${process.pid}-${seed}`;
    const services = [await Metadata.start({ ...followerTags }), await Metadata.start({ ...followerTags })];
    services.forEach((service, index) => {
        service.id = `i-000000000000000${index}`;
    });
    const processes: Process[] = [];
    const supervisors: (ChildProcess | undefined)[] = [undefined, undefined];
    const scripts: { exited: Promise<unknown>; errors: Promise<string> }[] = [];
    let over = false;

    /** Signals leader-while, which is the only child of what supervises it. */
    const send = (instance: number, signal: NodeJS.Signals): void => {
        for (const pid of childrenOf(supervisors[instance]?.pid ?? 0)) {
            try {
                process.kill(pid, signal);
            } catch {} // it has ended
        }
    };

    function start(instance: number): void {
        const kind = pick(kinds);
        tell(`instance ${instance} starts a ${kind} worker`);
        const options = ["--every", every, "--grace", grace, "--wait", wait, "--blind", blind].map(String);
        const [program, ...first] = shells[shell];
        const work = ["sh", workerScript, kind];
        const command = [...supervisor, find(program) as string, ...first, whileScript, ...options, ...work];
        const child = spawn(find(command[0]) as string, command.slice(1), {
            env: {
                ...environment,
                AWS_EC2_METADATA_SERVICE_ENDPOINT: services[instance].endpoint,
                LEADER_DUEL: mark.split("=")[1],
            },
            stdio: ["ignore", "ignore", "pipe", "pipe"],
        });
        const run = scripts.length;
        supervisors[instance] = child;
        createInterface(child.stdio[3] as NodeJS.ReadableStream).on("line", (line) => {
            const [role, pid, from] = line.split(" ");
            tell(`instance ${instance}: ${line}`);
            processes.push({
                instance,
                role,
                run,
                pid: outside(child.pid as number, Number(pid)) ?? 0,
                from: Number(from),
                alive: Number(from),
                over: false,
            });
        });
        child.on("exit", (status, signal) => {
            tell(`instance ${instance}'s leader-while has ended: ${status ?? signal}`);
            supervisors[instance] = undefined;
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
        } else {
            const seconds = blind === 30 ? between(0.02, 0.25) : between(0.02, 2.5);
            tell(`instance ${instance}'s metadata for ${seconds.toFixed(2)} s: ${JSON.stringify(fault)}`);
            service.instead = { "*": fault };
            await sleep(seconds * 1000);
            service.instead = {};
            tell(`instance ${instance}'s metadata is well again`);
        }
    }

    /** Once, something happens to a leader-while. */
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
        tell(`instance ${instance}'s leader-while gets ${name}`);
        send(instance, name as NodeJS.Signals);
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
    // More than once: the first process of a namespace ignores a signal until it has a trap for it.
    const ending = setInterval(() => {
        for (const instance of [0, 1]) {
            send(instance, "SIGCONT");
            send(instance, "SIGTERM");
        }
    }, 500);
    const ended = Promise.all(scripts.map(({ exited }) => exited)).then(() => true);
    if (!(await Promise.race([ended, sleep(50_000).then(() => false)]))) {
        violations.push("a leader-while didn't end after TERM");
        for (const instance of [0, 1]) {
            send(instance, "SIGKILL");
        }
    }
    clearInterval(ending);
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
    return {
        seed,
        story: violations.length > 0 ? story : [],
        violations,
        starts: processes.filter(({ role }) => role === "main").length,
        losses: losses.length,
    };
}

/** Plays so many runs from a seed on, several at a time, but no more than the machine can take without stumbling. */
export async function duels(
    seed: number,
    count: number,
    environment: Record<string, string>,
    supervisor?: string[],
): Promise<Report[]> {
    const stopProbing = probeMachine();
    const reports: Report[] = [];
    const active = new Set<Promise<void>>();
    for (let next = 0; next < count; next++) {
        while (active.size > 0 && (active.size >= 20 || (probes.at(-1)?.seconds ?? 0) > 0.03)) {
            await Promise.race([...active, sleep(200)]);
        }
        const run = duel(seed + next, environment, supervisor).then((report) => {
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
