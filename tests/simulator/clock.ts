import { AsyncLocalStorage } from "node:async_hooks";

const realSetImmediate = setImmediate;

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
/** Where every timeline starts. */
export const start = Date.parse("2026-11-23T06:00:00.000Z");
export const isoTime = (at: number): string => new Date(at).toISOString();
export const atFour = isoTime(start - 2 * hour);
export const atFive = isoTime(start - hour);
export const atHalfPastFive = isoTime(start - hour / 2);

/** Time that passes only when all work waits: what is due is done in the order of its time, then of its arrival. */
export class Timeline {
    private due: { at: number; order: number; act: () => void }[] = [];
    private orders = 0;

    constructor(public now = start) {}

    /** Does something at a time, at once if that is past. */
    at(time: number, act: () => void): void {
        const entry = { at: Math.max(time, this.now), order: this.orders++, act };
        const place = this.due.findIndex(({ at }) => at > entry.at);
        this.due.splice(place < 0 ? this.due.length : place, 0, entry);
    }

    /** Does something again and again, until what it gives is called. */
    every(millis: number, act: () => void): () => void {
        let goesOn = true;
        const again = () => {
            if (goesOn) {
                act();
                this.at(this.now + millis, again);
            }
        };
        this.at(this.now + millis, again);
        return () => {
            goesOn = false;
        };
    }

    /** Forgets everything that is due. */
    clear(): void {
        this.due = [];
    }

    /** Waits for some milliseconds of this timeline. */
    after(millis: number): Promise<void> {
        return new Promise((resolve) => this.at(this.now + millis, resolve));
    }

    /** Lets time pass until a promise is settled; fails if it never can be. */
    async until<T>(promise: Promise<T>): Promise<T> {
        let settled = false;
        const watched = promise.finally(() => {
            settled = true;
        });
        watched.catch(() => {}); // awaited below
        await idle();
        while (!settled) {
            if (this.due.length === 0) {
                throw new Error("nothing is due any more, and the promise is not settled");
            }
            await this.step();
        }
        return watched;
    }

    /** Lets some milliseconds pass. */
    async pass(millis: number): Promise<void> {
        const end = this.now + millis;
        await idle();
        while (this.due[0] && this.due[0].at <= end) {
            await this.step();
        }
        this.now = end;
    }

    private async step(): Promise<void> {
        this.now = this.due[0]?.at ?? this.now;
        while (this.due[0]?.at === this.now) {
            this.due.shift()?.act();
        }
        await idle();
    }
}

/** Lets all work go on that does not wait for time to pass. */
export const idle = (): Promise<void> => new Promise((resolve) => realSetImmediate(resolve));

/** A line that the function wrote. */
export interface Line {
    level: "error" | "warn" | "info" | "debug" | "stdout";
    // biome-ignore lint/suspicious/noExplicitAny: whatever was logged
    entry: any;
    /** Where the function ran that wrote it. */
    by?: Container;
}

/** Where the function runs, from one invocation to the next. */
export interface Container {
    /** It has ended: nothing that it does has an effect, or gets an answer. */
    dead: boolean;
    /** What it works on, or did last. */
    batch?: Batch;
}

/** Events that a container was handed together. */
export interface Batch {
    start: number;
    // biome-ignore lint/suspicious/noExplicitAny: whatever the queue holds
    events: any[];
}

/** Which container is running, for the service that it calls. */
export const running = new AsyncLocalStorage<Container>();

/** Runs something with the timeline in place of the machine's clock, and what it logs collected. */
export async function onTimeline<T>(timeline: Timeline, lines: Line[], act: () => Promise<T>): Promise<T> {
    const real = { now: Date.now, setTimeout, timeout: AbortSignal.timeout, write: process.stdout.write };
    const realConsole = { ...console };
    Date.now = () => timeline.now;
    // In a container that has ended no timer fires.
    const unlessDead = (act: () => void) => {
        const by = running.getStore();
        return () => by?.dead || act();
    };
    globalThis.setTimeout = ((resolve: () => void, millis: number) =>
        timeline.at(timeline.now + millis, unlessDead(resolve))) as never;
    AbortSignal.timeout = (millis) => {
        const controller = new AbortController();
        const abort = unlessDead(() => controller.abort());
        timeline.at(timeline.now + millis, abort);
        return controller.signal;
    };
    // Node.js itself warns of the SDK, once in a process, whichever test is running.
    const isNodes = ([entry]: unknown[]) => typeof entry === "string" && /^\(node:\d+\)/.test(entry);
    const ofFunction = () => running.getStore() !== undefined;
    const push = (level: Line["level"], entry: unknown) => lines.push({ level, entry, by: running.getStore() });
    for (const level of ["error", "warn", "info", "debug"] as const) {
        console[level] = (...entries: unknown[]) =>
            isNodes(entries) || (ofFunction() ? push(level, entries[0]) : realConsole[level](...entries));
    }
    process.stdout.write = ((text: string, ...rest: never[]) =>
        ofFunction() ? push("stdout", text) > 0 : real.write.call(process.stdout, text, ...rest)) as never;
    try {
        return await act();
    } finally {
        Date.now = real.now;
        globalThis.setTimeout = real.setTimeout;
        AbortSignal.timeout = real.timeout;
        process.stdout.write = real.write;
        Object.assign(console, realConsole);
    }
}
