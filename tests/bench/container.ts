// A container of the packaged function as a process of its own, with nothing in it that Lambda's doesn't have.
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { BusEvent } from "../simulator/aws/events";
import type { Handler } from "../simulator/stack/packaged";
import { root } from "../simulator/stack/program";

/** What an invocation came to, and what it took, by the clock and of the processor. */
export interface Run {
    reports: Awaited<ReturnType<Handler>>;
    millis: number;
    cpuMillis: number;
}

export interface Container {
    /** Hands a batch of events to the function. */
    run(events: BusEvent[]): Promise<Run>;
    /** The most memory that the process has had so far, in MB. */
    peakMegabytes(): Promise<number>;
    stop(): Promise<void>;
}

type Order = { load: string; root: string } | { bodies: string[]; timeoutSeconds: number; pause: number } | "peak";

/**
 * Starts a container; its clients call the endpoint that this process's environment names.
 *
 * @param options.timeoutSeconds the function's timeout
 * @param options.pauseSeconds how far apart the function's clock puts its invocations
 */
export async function startContainerProcess(
    functionText: string,
    { timeoutSeconds, pauseSeconds = 2 * 60 * 60 }: { timeoutSeconds: number; pauseSeconds?: number },
): Promise<Container> {
    const child = spawn(process.execPath, ["--no-warnings", "-e", `(${insideContainer})()`], {
        stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const ended = once(child, "exit").then(([code]) => {
        throw new Error(`a process has ended with ${code} and no answer`);
    });
    ended.catch(() => {}); // it may end while nothing is asked
    const order = async (order: Order) => {
        child.send(order);
        const [answer] = await Promise.race([once(child, "message"), ended]);
        if (answer.error) {
            throw new Error(answer.error);
        }
        return answer;
    };
    await order({ load: functionText, root });
    return {
        run: (events) => {
            const bodies = events.map((event) => JSON.stringify(event));
            return order({ bodies, timeoutSeconds, pause: pauseSeconds * 1000 });
        },
        peakMegabytes: async () => (await order("peak")).kilobytes / 1024,
        stop: async () => {
            child.disconnect();
            await once(child, "exit");
        },
    };
}

/** Runs where there is no TypeScript: its text must need nothing from outside. */
function insideContainer(): void {
    const Module = require("node:module");
    let handler: Handler;
    // Each run finds a region that remembers nothing of the runs before: the container must not, either.
    let ahead = 0;
    const { now } = Date;
    Date.now = () => now() + ahead;

    process.on("message", async (order: Order) => {
        try {
            process.send?.(await follow(order));
        } catch (error) {
            process.send?.({ error: (error as Error).stack });
        }
    });

    async function follow(order: Order): Promise<object> {
        if (order === "peak") {
            return { kilobytes: process.resourceUsage().maxRSS };
        }
        if ("load" in order) {
            const container = new Module(`${order.root}/__index.js`);
            container.paths = [`${order.root}/node_modules`];
            container._compile(order.load, `${order.root}/__index.js`);
            handler = container.exports.handler;
            return {};
        }
        ahead += order.pause;
        const Records = order.bodies.map((body) => ({ body }));
        const start = performance.now();
        const end = start + order.timeoutSeconds * 1000;
        const startCpu = process.cpuUsage();
        const reports = await handler(
            { Records },
            { getRemainingTimeInMillis: () => Math.floor(end - performance.now()) },
        );
        const { user, system } = process.cpuUsage(startCpu);
        return { reports, millis: performance.now() - start, cpuMillis: (user + system) / 1000 };
    }
}
