// Processes of this machine, and what runs a command as a container does.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

/** What starts a command as the first process of a PID namespace, as a container does: all end with it. */
export const namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** A file of a process in /proc; empty if it has ended. */
export function read(pid: number, file: string): string {
    try {
        return readFileSync(`/proc/${pid}/${file}`, "latin1");
    } catch {
        return "";
    }
}

/** Whether a process exists, and has not ended. */
export const isAlive = (pid: number): boolean => /\) [^ZX] /.test(read(pid, "stat"));

/** The processes that have this in their environment and are not dead. */
export function processesWith(mark: string): number[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((pid) => read(pid, "environ").split("\0").includes(mark));
}

/** https://man7.org/linux/man-pages/man5/proc_pid_children.5.html */
export const childrenOf = (pid: number): number[] =>
    read(pid, `task/${pid}/children`).split(" ").filter(Boolean).map(Number);

/** What a process id inside a PID namespace is outside of it, for the processes under one. */
export function outside(parent: number, inside: number): number | undefined {
    for (const pid of childrenOf(parent)) {
        const own = Number(read(pid, "status").match(/(?<=^NSpid:.*\t)\d+$/m)?.[0]);
        const match = own === inside ? pid : outside(pid, inside);
        if (match !== undefined) {
            return match;
        }
    }
    return undefined;
}

/** Signals a process, if it has not ended. */
export function send(pid: number, signal: NodeJS.Signals): void {
    try {
        process.kill(pid, signal);
    } catch {} // it has ended
}

/** Waits for a condition; fails after a minute, with what `says` gives then. */
export async function until(ask: () => boolean | Promise<boolean>, says: () => unknown = () => ""): Promise<void> {
    for (const start = performance.now(); performance.now() < start + 60_000; await setTimeout(10)) {
        if (await ask()) {
            return;
        }
    }
    throw new Error(`waited in vain for ${ask}: ${JSON.stringify(says())}`);
}
