// Random runs of leader-while on two instances, one of which leads at a time: with handoverSeconds by the rule never two works
// at once, no process left behind, and an end to the work soon after the loss of the lead. LEADER_ONLY_RUNS tries more.
// What supervises each leader-while starts it again and ends what is left: a systemd, or a container's PID namespace.
import { spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { constants, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import fc from "fast-check";
import { firstOf } from "../simulator/lists";
import { type Answer, followerTags, leaderTags, Metadata } from "../simulator/metadata";
import { root } from "../simulator/stack/program";
import { withTool } from "../tools";
import { Machine, shells, under, whileScript } from "./machine";
import { isAlive, processesWith, send, until } from "./processes";
import { standIn } from "./stand-in";
import { container, type Supervisor, unitsOf } from "./supervisors";
import { SystemdManager } from "./systemd";

const workerScript = join(root, "tests", "instance", "worker.sh");

// Seconds. The first two are scaled down; the rule and what it promises are the same.
const every = 0.5;
const grace = 0.3;
const wait = 3;
const pollMillis = 20;

const kinds = [
    ...["plain", "deaf", "slow", "family", "daemon", "deaf-daemon", "own-group", "stopped"],
    ...["leaves-daemon", "leaves-child", "quick", "brief"],
];
const faults: Answer[] = [
    "hangs",
    "breaks",
    "resets",
    { status: 403 },
    { status: 404 },
    { status: 429 },
    { status: 500, body: "true" },
    { status: 200, body: "<html>\n<p>true</p>\n</html>" },
    { status: 302, headers: { location: "/latest/meta-data/" } },
];
const losses: Record<string, Partial<Metadata>> = {
    "is about to leave": { lifecycle: "Terminated" },
    "has the tag false": { tags: { ...leaderTags, "app:isLeader": "false" } },
    "has no tag": { tags: followerTags },
};
const signals: NodeJS.Signals[] = [
    ...(["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const),
    ...(["SIGKILL", "SIGKILL", "SIGSTOP"] as const),
];

/** All that chance decides in a run; times in milliseconds. In a stopped run STOP comes while a daemon is to be ended. */
const scenes = (stopped: boolean) => {
    const millis = (max: number, min = 0) => fc.integer({ min, max });
    const place = fc.constantFrom<0 | 1>(0, 1);
    const trouble = fc.record({
        after: millis(2500),
        fault: fc.constantFrom(...faults, "forgets its tokens" as const, "forgets its tokens" as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const instance = fc.record({
        millisecondsForAnAnswer: fc.constantFrom(0, 0, 5, 30),
        // One for each start.
        kinds: fc.array(fc.constantFrom(...(stopped ? ["deaf-daemon"] : kinds)), { minLength: 300, maxLength: 300 }),
        trouble: fc.option(trouble, { freq: 2 }),
    });
    const signal = fc.record({ after: millis(3500), place, name: fc.constantFrom(...signals) });
    const scene = fc.record({
        shell: fc.constantFrom(...shells),
        // Either metadata fails briefly at most, or the lead counts as lost when it can't be read.
        blind: fc.constantFrom(0.6, 30),
        instances: fc.tuple(instance, instance),
        signal: stopped ? fc.constant(null) : fc.option(signal, { freq: 2 }),
        // After the work's end has begun.
        stopAfter: stopped ? millis(grace * 1000) : fc.constant(undefined),
        first: place,
        leadsAfter: millis(400),
        leadsFor: stopped ? millis(1800, 1200) : millis(1800),
        loss: fc.constantFrom(...Object.keys(losses)),
        successorLeadsFor: millis(1200, 600),
    });
    return fc.noBias(scene);
};

/** A process of the work, as it reported itself, and when it was last seen alive; seconds since boot. */
interface Process {
    place: number;
    role: string;
    /** The same for all that one start of the work has started. */
    run: string;
    pid: number;
    from: number;
    alive: number;
    over: boolean;
}

const uptime = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);

/** How long it took to start a process, and what this one was late with its answers, in seconds, with the time of each. */
const probes: { at: number; seconds: number }[] = [];
const slowestSince = (time: number) =>
    Math.max(0, ...probes.filter(({ at }) => at >= time).map(({ seconds }) => seconds));

async function probeUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
        const began = performance.now();
        await sleep(200);
        await once(spawn("true", { stdio: "ignore" }), "exit");
        probes.push({ at: uptime(), seconds: (performance.now() - began - 200) / 1000 });
    }
}

/** Plays a run: how often the work was started, and what was done if a rule was broken. The same seed plays the same scene. */
async function duel(seed: number, supervisor: Supervisor, machine: Machine) {
    const scene = firstOf(fc.sample(scenes(seed % 5 === 0), { seed, numRuns: 1 }));
    const { shell, blind, first } = scene;
    const began = uptime();
    const story: string[] = [];
    const violations: string[] = [];
    const tell = (what: string) => story.push(`${(uptime() - began).toFixed(2)} ${what}`);
    const promised = Math.max(every, blind === 30 ? 0 : blind) + grace + wait;
    tell(`${shell}, blind ${blind}, promised ${promised}`);

    const mark = `${process.pid}-${seed}`;
    const processes: Process[] = [];

    /** An instance: its metadata, and what supervises leader-while on it. */
    async function launch(place: 0 | 1) {
        const { kinds, millisecondsForAnAnswer, trouble } = scene.instances[place];
        const service = await Metadata.start({ ...followerTags });
        Object.assign(service, { id: `i-000000000000000${place}`, millisecondsForAnAnswer });

        const folder = mkdtempSync(join(machine.directory, "instance-"));
        const starts = join(folder, "starts");
        const reports = join(folder, "reports");
        writeFileSync(starts, kinds.map((kind, number) => `${number} ${kind}\n`).join(""));
        const options = ["--every", every, "--grace", grace, "--wait", wait, "--blind", blind];
        const words = [...under(shell, whileScript), ...options, "sh", workerScript, starts];
        standIn(folder, "command", `exec 2>>"$REPORTS"; exec ${words.join(" ")}`);
        spawnSync("mkfifo", [reports]);
        const input = new Socket({ fd: openSync(reports, constants.O_RDWR | constants.O_NONBLOCK) });
        createInterface(input).on("line", (line) => {
            tell(`instance ${place}: ${line}`);
            const [, role = "", run, pid, from] = line.match(/^([a-z-]+) (\d+) (\d+) ([\d.]+)$/) ?? [];
            if (from !== undefined) {
                const one = { place, role, run: `${place} ${run}`, pid: supervised.outside(Number(pid)) ?? 0 };
                processes.push({ ...one, from: Number(from), alive: Number(from), over: false });
            } else if (scene.stopAfter !== undefined && place === first && / stops /.test(line)) {
                setTimeout(() => signal("SIGSTOP"), scene.stopAfter);
            }
        });
        const supervised = await supervisor(`duel-${mark}-${place}`, join(folder, "command"), {
            PATH: machine.tools,
            HOME: machine.directory,
            AWS_EC2_METADATA_SERVICE_ENDPOINT: service.endpoint,
            LEADER_DUEL: mark,
            REPORTS: reports,
        });
        function signal(name: NodeJS.Signals): void {
            tell(`instance ${place}'s leader-while gets ${name}`);
            supervised.signal(name);
        }

        function fail(fault: Answer | "forgets its tokens", millis: number): void {
            tell(`instance ${place}'s metadata, for ${millis.toFixed()} ms if it recovers: ${JSON.stringify(fault)}`);
            if (fault === "forgets its tokens") {
                service.token = `another-token-${seed}`;
            } else {
                service.instead = { "*": fault };
                setTimeout(() => Object.assign(service, { instead: {} }), millis);
            }
        }
        if (trouble) {
            const millis = 20 + trouble.share * (blind === 30 ? 230 : 2500);
            setTimeout(() => fail(trouble.fault, millis), trouble.after);
        }

        /** Ends all of it: its metadata at last. */
        async function stop(): Promise<void> {
            service.instead = {};
            if (!(await supervised.stop())) {
                violations.push(`instance ${place}'s leader-while didn't end after TERM`);
            }
            service.stop();
            input.destroy();
        }
        return { service, signal, stop };
    }

    const poll = setInterval(() => {
        const now = uptime();
        for (const process of processes.filter(({ over }) => !over)) {
            process.over = !isAlive(process.pid);
            process.alive = process.over ? process.alive : now;
        }
    }, pollMillis);
    // What the machine takes for what ten processes do is not the script's fault.
    const slack = () => 10 * slowestSince(began);

    const instances = [await launch(0), await launch(1)] as const;

    if (scene.signal) {
        const { after, place, name } = scene.signal;
        setTimeout(() => instances[place].signal(name), after);
    }

    // The lead goes to one instance, then, by the rule, to the other.
    const [{ service: leader }, { service: successor }] = first === 0 ? instances : [instances[1], instances[0]];
    await sleep(scene.leadsAfter);
    tell(`instance ${first} leads`);
    leader.tags = { ...leaderTags };
    await sleep(scene.leadsFor);
    tell(`instance ${first} leads no more: it ${scene.loss}`);
    Object.assign(leader, losses[scene.loss]);
    const lostAt = uptime();
    await sleep(promised * 1000);
    for (let waited = 0; waited < slack(); waited += 0.05) {
        await sleep(50);
    }
    const endsBy = lostAt + promised + slack();
    tell(`instance ${1 - first} leads`);
    successor.tags = { ...leaderTags };
    await sleep(scene.successorLeadsFor);

    // The end: nothing may be left.
    tell("the end");
    await Promise.all(instances.map(({ stop }) => stop()));
    const left = () => processesWith(`LEADER_DUEL=${mark}`);
    await until(() => left().length === 0).catch(() => {});
    for (const pid of left()) {
        violations.push(`left behind: ${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")}`);
        send(pid, "SIGKILL");
    }
    clearInterval(poll);

    for (const one of processes) {
        for (const other of processes) {
            if (one.run !== other.run && one.from <= other.from && one.alive > other.from + 0.01) {
                violations.push(`two at work: ${one.pid} at ${one.alive}, ${other.pid} began at ${other.from}`);
            }
        }
        if (one.place === first && one.alive > endsBy) {
            violations.push(`${one.pid} was alive ${(one.alive - lostAt).toFixed(2)} s after the lead was lost`);
        }
    }
    const starts = new Set(processes.map(({ run }) => run)).size;
    const failure = violations.length > 0 ? [`SEED=${seed}`, ...violations, ...story].join("\n    ") : undefined;
    return { starts, failure };
}

/** Plays so many runs from a seed on, several at a time, but no more than the machine can take without stumbling. */
async function duels(seed: number, count: number, supervisor: Supervisor, machine: Machine) {
    let over = false;
    const probing = probeUntil(() => over);
    const reports: Awaited<ReturnType<typeof duel>>[] = [];
    const active = new Set<Promise<void>>();
    for (let next = 0; next < count; next++) {
        while (active.size > 0 && (active.size >= 20 || (probes.at(-1)?.seconds ?? 0) > 0.03)) {
            await Promise.race([...active, sleep(200)]);
        }
        const run = duel(seed + next, supervisor, machine).then((report) => {
            reports.push(report);
            active.delete(run);
        });
        active.add(run);
        await sleep(60);
    }
    await Promise.all(active);
    over = true;
    await probing;
    return reports;
}

// A few, always the same, unless more are asked for: npm test must pass every time. Half under each supervisor.
const runs = Math.ceil(Number(process.env.LEADER_ONLY_RUNS ?? 6) / 2);
const seed = Number(process.env.SEED ?? (process.env.LEADER_ONLY_RUNS ? randomInt(2 ** 30) : 3));

withTool(["dash", "curl", "timeout", "setsid"], () =>
    describe("leader-while on two instances has one at work at a time, and leaves nothing behind,", function () {
        this.timeout(60_000 + runs * 5_000);

        const machine = new Machine("dash");
        before(() => machine.open());
        after(() => machine.remove());

        async function play(supervisor: Supervisor): Promise<void> {
            const reports = await duels(seed, runs, supervisor, machine);
            const failures = reports.flatMap(({ failure }) => failure ?? []);
            expect(failures.join("\n\n"), `${failures.length} runs failed`).to.equal("");
            expect(reports.length).to.equal(runs);
            expect(reports.reduce((sum, { starts }) => sum + starts, 0)).to.be.above(runs / 2);
        }

        withTool("unshare", () => it(`in ${runs} random runs in containers (SEED=${seed})`, () => play(container)));

        withTool("systemd", () =>
            it(`in ${runs} random runs as units of systemd (SEED=${seed})`, async () => {
                const systemd = new SystemdManager();
                try {
                    await systemd.start();
                    await play(await unitsOf(systemd));
                } finally {
                    await systemd.stop();
                }
            }),
        );
    }),
);
