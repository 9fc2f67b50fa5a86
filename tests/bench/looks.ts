// What a look of `leader-while` costs an instance: CPU and requests, of the script and everything that it starts.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { childrenOf, read } from "../instance/processes";
import { followerTags, leaderTagPath, leaderTags, Metadata } from "../simulator/metadata";
import { root } from "../simulator/stack/program";

const everySeconds = 0.2;
const looks = 50;
const ticksPerSecond = 100; // USER_HZ, which Linux promises to programs

/**
 * Lets an instance look many times in a row, as the leader with its worker at work, or not. Linux only.
 *
 * @returns what one look takes: each is a process of leader-only, which asks for a token of its own
 */
export async function measureLooks(leads: boolean): Promise<{ cpuMillis: number; requests: number }> {
    const metadata = await Metadata.start(leads ? leaderTags : followerTags);
    const script = join(root, "election/instance/leader-while");
    const child = spawn(script, ["--every", String(everySeconds), "--", "sleep", "3600"], {
        env: { PATH: process.env.PATH, AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint },
        stdio: "ignore",
    });
    const ended = once(child, "exit");
    try {
        const looked = async (times: number) => {
            const isLook = (path: string) => path === leaderTagPath;
            while (metadata.paths.filter(isLook).length < times) {
                await setTimeout(20);
            }
        };
        await looked(5);
        const before = { ticks: ticksOf(child.pid as number), requests: metadata.paths.length };
        await looked(5 + looks);
        const ticks = ticksOf(child.pid as number) - before.ticks;
        const requests = metadata.paths.length - before.requests;
        return { cpuMillis: (1000 * ticks) / ticksPerSecond / looks, requests: requests / looks };
    } finally {
        child.kill();
        await ended;
        metadata.stop();
    }
}

/** CPU time of a process, of all under it, and of those that have ended: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function ticksOf(pid: number): number {
    const [, after = ""] = read(pid, "stat").split(") ");
    const times = after.split(" ").slice(11, 15).map(Number); // utime, stime, cutime, cstime
    return [...times, ...childrenOf(pid).map(ticksOf)].reduce((sum, time) => sum + time, 0);
}
