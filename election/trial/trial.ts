// A trial from beginning to end: asks, makes, plays, reports, and cleans up whatever happens.
import type { settingsOfStack } from "../stack/stack-file";
import { type Ask, announcement, isYes, minutesFor, runsToDelete } from "./before";
import { commandsFor, leftOf, type RemovalPace, remove } from "./clean-up";
import { makeFleet, newRun, type Run } from "./fleet";
import type { Result } from "./measure";
import type { Options } from "./options";
import { type Pace, playAll, type Theatre } from "./play";
import { type Play, plays, promisedSeconds } from "./plays";
import type { Progress, Stream } from "./progress";
import { exitStatusOf, type Report, summaryOf, textOf, versionsHere } from "./report";
import { type Aws, type Site, siteOf } from "./site";
import { look } from "./watch";

/** What a trial has of the outside. */
export interface Outside {
    stdout: Stream;
    stderr: Stream;
    ask: Ask;
    /** Ends the trial early; it still cleans up. */
    signal: AbortSignal;
    pace: Pace;
    removal: RemovalPace;
    settingsOf: typeof settingsOfStack;
}

type Settings = ReturnType<typeof settingsOfStack>;

const minutesForCleaningUp = 10;

/**
 * Runs the trial in a region.
 *
 * @returns the exit status
 * @throws what AWS says, or an error of one sentence; then nothing was made, or it is deleted
 */
export async function runTrial(
    aws: Aws,
    options: Options,
    settings: Settings,
    outside: Outside,
    progress: Progress,
): Promise<number> {
    const { yes, type, subnets, only, stack, keep } = options;
    for (const { run } of await runsToDelete(await leftOf(aws), yes, outside.ask, progress.say)) {
        await cleanUp(aws, run, outside.removal, progress);
    }
    const site = await siteOf(aws, { type, subnets });
    const minutes = minutesFor(settings.sweepMinutes);
    const run = newRun(settings.asgPrefixes[0] ?? "", minutes);
    const chosen = plays.filter(({ name }) => only.length === 0 || only.includes(name));
    progress.say(announcement(site, run, stack, chosen, minutes));
    if (!yes && !isYes(await outside.ask("Go on? [y/N] "))) {
        throw new Error("Nothing was made.");
    }
    outside.signal.throwIfAborted();
    let status = 2;
    try {
        const report = await play(site, run, chosen, options, settings, outside, progress);
        outside.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : textOf(report));
        status = exitStatusOf(report.plays);
    } catch (error) {
        progress.end();
        progress.say(outside.signal.aborted ? "Ended early." : (error as Error).message);
    }
    if (keep) {
        progress.say(
            `Kept: the group ${run.group}, empty from ${run.until.toISOString()} on. The next run offers to delete it.`,
        );
        return status;
    }
    return (await cleanUp(aws, run.name, outside.removal, progress)) ? status : status || 2;
}

async function play(
    site: Site,
    run: Run,
    chosen: Play[],
    { stack }: Options,
    { tagKey, sweepMinutes, handoverSeconds }: Settings,
    outside: Outside,
    progress: Progress,
): Promise<Report> {
    const time = new Date().toISOString();
    const millisLeft = run.until.getTime() - Date.now() - minutesForCleaningUp * 60_000;
    const signal = AbortSignal.any([outside.signal, AbortSignal.timeout(millisLeft)]);
    const promises = { sweepMinutes, handoverSeconds };
    const theatre = { site, run, stack, tagKey, promises, pace: outside.pace, signal, waitsFor: progress.waitsFor };
    progress.waitsFor("AWS makes the launch template and the group");
    await makeFleet(site, run, tagKey);
    const results = await resultsOf(theatre, chosen, progress);
    const lastLook = look(site, run, tagKey, AbortSignal.timeout(60_000));
    const { instances } = await lastLook.catch(() => ({ instances: [] })); // for the image only
    progress.end();
    return {
        time,
        stack,
        group: run.group,
        region: site.region,
        type: site.type,
        image: instances[0]?.image ?? "",
        sweepMinutes,
        handoverSeconds,
        versions: versionsHere(),
        plays: results,
        summary: summaryOf(results),
    };
}

/** One result for each play; those that were not reached before the end are untried. */
async function resultsOf(theatre: Theatre, chosen: Play[], progress: Progress): Promise<Result[]> {
    const results: Result[] = [];
    try {
        for await (const result of playAll(theatre, chosen)) {
            results.push(result);
            const { play, seconds, untried, broken } = result;
            progress.say(`${play}: ${untried ? `not tried: ${untried}` : (broken ?? `${seconds} s, as promised`)}`);
        }
    } catch (error) {
        if (!theatre.signal.aborted || results.length === 0) {
            throw error;
        }
    }
    const rest = chosen.slice(results.length).map((one) => ({
        play: one.name,
        by: one.by,
        promised: promisedSeconds(one, theatre.promises),
        untried: "ended early",
    }));
    return [...results, ...rest];
}

/** Deletes a run's things and says what came of it: whether nothing is left. */
async function cleanUp(aws: Aws, run: string, pace: RemovalPace, progress: Progress): Promise<boolean> {
    progress.waitsFor(`everything of ${run} is being deleted, usually within two minutes`);
    const { outcome, left, errors } = await remove(aws, run, pace);
    progress.end();
    if (outcome === "gone") {
        progress.say(`Nothing of ${run} is left: no group, instance, launch template or volume.`);
        return true;
    }
    progress.say(`Of ${run} something may be left. ${errors.join("; ")}`.trimEnd());
    const byHand = left
        ? commandsFor(left, aws.region)
        : ["npm run trial, which finds it by its tag once AWS lets it look"];
    progress.say(["To delete it:", ...byHand].join("\n  "));
    return false;
}
