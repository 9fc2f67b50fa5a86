// Plays the ways to lose a leader one after the other, each from a calm start, and measures them.
import { setTimeout as sleep } from "node:timers/promises";
import { type Calm, calm } from "./calm";
import { readSecondsUntilShown } from "./console";
import type { Run } from "./fleet";
import { isOver, measured, type Result } from "./measure";
import { type Play, type Promises, promisedSeconds, type Stage } from "./plays";
import type { Site } from "./site";
import { look, watch } from "./watch";

/** How often and how long it looks and waits, in milliseconds. */
export interface Pace {
    /** Between two looks while a play is measured. */
    look: number;
    /** Between two looks for calm. */
    calm: number;
    /** For the group to become whole. */
    whole: number;
    /** A minute of `sweepMinutes`. */
    minute: number;
    /** Beyond what is promised, until a play is given up. */
    late: number;
    /** The function takes a third promotion within this time for flapping, and then waits for a sweep. */
    flapping: number;
    /** Between two reads of the console, and for how long. */
    console: number;
    consoleFor: number;
}

export const usualPace: Pace = {
    look: 250,
    calm: 1000,
    whole: 8 * 60_000,
    minute: 60_000,
    late: 60_000,
    flapping: 65_000,
    console: 3000,
    consoleFor: 15_000,
};

/** What the plays need to know. */
export interface Theatre {
    site: Site;
    run: Run;
    /** Name of the stack. */
    stack: string;
    tagKey: string;
    promises: Promises;
    pace: Pace;
    signal: AbortSignal;
    /** Shows what is waited for. */
    waitsFor: (what: string) => void;
}

/**
 * Plays each of them and gives what it came to, as soon as it did.
 *
 * @throws an AbortError; an error that says where to look if the group never gets its instances, or its first leader
 */
export async function* playAll(theatre: Theatre, plays: Play[]): AsyncGenerator<Result> {
    let start: Calm | undefined = await firstStart(theatre);
    const elected = [performance.now()];
    let why = "";
    for (const [index, play] of plays.entries()) {
        if (start === undefined) {
            yield { ...headOf(play, theatre), untried: why };
            continue;
        }
        const stage: Stage = { ...theatre.site, run: theatre.run, tagKey: theatre.tagKey, ...start };
        const { restore } = play;
        const result = await playOne(theatre, play, stage);
        elected.push(performance.now());
        try {
            start = await startOf(theatre, restore && !result.untried ? () => restore(stage) : undefined);
            if (index < plays.length - 1 && (await pauses(theatre, elected))) {
                start = await startOf(theatre);
            }
        } catch (error) {
            theatre.signal.throwIfAborted();
            start = undefined;
            why = `no calm start after ${play.name}: ${(error as Error).message}`;
        }
        yield await withMetadata(theatre, result, start);
    }
}

/** Waits, if it must, until the next play is no third change within the time in which that counts as flapping. */
async function pauses({ pace, signal, waitsFor }: Theatre, elected: number[]): Promise<boolean> {
    const left = (elected.at(-2) ?? 0) + pace.flapping - performance.now();
    if (left > 0) {
        waitsFor("waiting, so that the function doesn't take this for flapping");
        await sleep(left, undefined, { signal });
    }
    return left > 0;
}

const headOf = (play: Play, { promises }: Theatre) => ({
    play: play.name,
    by: play.by,
    promised: promisedSeconds(play, promises),
});

const readOf =
    ({ site, run, tagKey, signal }: Theatre) =>
    () =>
        look(site, run, tagKey, signal);

async function firstStart(theatre: Theatre): Promise<Calm> {
    try {
        return await startOf(theatre);
    } catch (error) {
        const { site, run, stack, signal } = theatre;
        signal.throwIfAborted();
        const { message, isWhole } = error as Error & { isWhole?: boolean };
        throw isWhole === undefined
            ? error
            : new Error(
                  isWhole
                      ? `${message}, after two sweeps. Is the stack ${stack} deployed in ${site.region}, with these settings? ` +
                            `Its log group says what it finds, and \`npm run status -- --stack ${stack}\` what it would do.`
                      : `${message}: ${await whyNotLaunched(site, run)}`,
              );
    }
}

/** What the group itself says of its last launch. */
async function whyNotLaunched({ autoScaling }: Site, run: Run): Promise<string> {
    const { Activities = [] } = await autoScaling.describeScalingActivities({ AutoScalingGroupName: run.group });
    const [failed] = Activities.flatMap(({ StatusMessage }) => StatusMessage ?? []);
    return failed ?? `the activities of ${run.group} in EC2 Auto Scaling may say why.`;
}

function startOf(theatre: Theatre, restore?: () => Promise<unknown>): Promise<Calm> {
    const { site, run, pace, signal, promises, waitsFor } = theatre;
    return calm(site, run, readOf(theatre), {
        millis: pace.whole,
        leaderMillis: 2 * promises.sweepMinutes * pace.minute + pace.late,
        everyMillis: pace.calm,
        signal,
        restore,
        onMissing: ({ missing, isWhole }) => {
            const usual = isWhole ? `within ${promises.sweepMinutes} min` : "a minute or two";
            waitsFor(`waiting for a calm start, usually ${usual}: ${missing}`);
        },
    });
}

async function playOne(theatre: Theatre, play: Play, stage: Stage): Promise<Result> {
    const { pace } = theatre;
    const head = headOf(play, theatre);
    try {
        theatre.waitsFor(`${play.name}, ${stage.leader.id}: ${play.what}`);
        await play.act(stage);
    } catch (error) {
        return { ...head, untried: `AWS refuses it: ${words(error)}` };
    }
    const observed = { play, leader: stage.leader, start: performance.now() };
    try {
        const looks = await watch(
            readOf(theatre),
            (seen) => isOver({ ...observed, looks: seen }),
            { everyMillis: pace.look, millis: (head.promised / 60) * pace.minute + pace.late },
            theatre.signal,
        );
        return { ...head, ...measured({ ...observed, looks }, head.promised) };
    } catch (error) {
        theatre.signal.throwIfAborted();
        return { ...head, former: stage.leader.id, untried: `it could not be watched: ${words(error)}` };
    }
}

const words = (error: unknown): string => `${(error as Error).name}: ${(error as Error).message}`;

/** The successor still leads at the next calm start, so its console can be read then. */
async function withMetadata({ site, pace, signal, waitsFor }: Theatre, result: Result, now?: Calm): Promise<Result> {
    if (!site.hasConsole || now === undefined || result.since !== "grew" || now.leader.id !== result.successor) {
        return result;
    }
    waitsFor(`reading the console of ${now.leader.id}`);
    const reading = { everyMillis: pace.console, millis: pace.consoleFor };
    const metadata = await readSecondsUntilShown(site, now.leader, reading, signal);
    return metadata === undefined ? result : { ...result, metadata };
}
