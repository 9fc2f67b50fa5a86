// What runs a command again whenever it ends, and ends what is left of it then.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { found } from "../simulator/lists";
import { root } from "../simulator/stack/program";
import { find } from "../tools";
import { childrenOf, namespace, outside, send } from "./processes";
import type { SystemdManager } from "./systemd";

/** A command that is supervised. */
interface Supervised {
    /** Signals its process. */
    signal(name: NodeJS.Signals): void;
    /** The id by which the tests know a process of it; undefined if that has ended. */
    outside(pid: number): number | undefined;
    /** Ends it for good; whether it ended by TERM. */
    stop(): Promise<boolean>;
}

/** Supervises a command, which is a file, with an environment, from now on. */
export type Supervisor = (name: string, command: string, env: Record<string, string>) => Promise<Supervised>;

/** As a container that is started again: the first process of a PID namespace. */
export const container: Supervisor = async (_name, command, env) => {
    let child: ChildProcess | undefined;
    let isOver = false;
    let ended: Promise<unknown>;
    function start(): void {
        const [program = "", ...args] = [...namespace, command];
        child = spawn(found(find(program)), args, { env, stdio: "ignore" });
        ended = once(child, "exit").then(() => {
            child = undefined;
            setTimeout(() => isOver || start(), 50);
        });
    }
    // It is the only child of unshare.
    const signal = (name: NodeJS.Signals) => {
        for (const pid of childrenOf(child?.pid ?? 0)) {
            send(pid, name);
        }
    };
    async function stop(): Promise<boolean> {
        isOver = true;
        // More than once: the first process of a namespace ignores a signal until it has a trap for it.
        const ending = setInterval(() => (["SIGCONT", "SIGTERM"] as const).map(signal), 500);
        const byTerm = await Promise.race([ended.then(() => true), sleep(50_000, false, { ref: false })]);
        clearInterval(ending);
        signal("SIGKILL");
        return byTerm;
    }
    start();
    return { signal, outside: (pid) => outside(child?.pid ?? 0, pid), stop };
};

/** As units of a systemd like leader-worker.service, which are started again sooner, and however often they fail. */
export async function unitsOf(systemd: SystemdManager): Promise<Supervisor> {
    const unit = readFileSync(join(root, "election/instance/systemd/leader-worker.service"), "utf8")
        .replace(/StartLimitIntervalSec=.*/, "StartLimitIntervalSec=0")
        .replace(/RestartSec=.*/, "RestartSec=0.05")
        .replace(/ExecStart=.*/, `EnvironmentFile=${systemd.disk}/%i.env\nExecStart=/bin/sh -c "exec $COMMAND"`);
    await systemd.install("supervised@.service", unit);
    return async (name, command, env) => {
        const lines = Object.entries({ ...env, COMMAND: command }).map(([key, value]) => `${key}=${value}\n`);
        writeFileSync(join(systemd.disk, `${name}.env`), lines.join(""));
        await systemd.run(`systemctl start supervised@${name}`);
        return {
            signal: (signal) => systemd.signal(`supervised@${name}`, signal),
            outside: (pid) => pid,
            stop: async () => {
                await systemd.run(`systemctl stop supervised@${name}`);
                return (await systemd.show(`supervised@${name}`, "Result")) !== "timeout";
            },
        };
    };
}
