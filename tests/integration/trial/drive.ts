// Runs the trial in this process, at the pace of a region that answers at once, and sets its region up.
import { expect } from "chai";
import { settingsOfStack } from "../../../election/stack/stack-file";
import { main } from "../../../election/trial";
import { makeFleet, newRun, type Run } from "../../../election/trial/fleet";
import { usualPace } from "../../../election/trial/play";
import { connect, siteOf } from "../../../election/trial/site";
import type { Outside } from "../../../election/trial/trial";
import { inThisProcess } from "../../simulator/command-line";
import { tagKey } from "../../simulator/names";
import { programWith } from "../../simulator/scenario";
import { prefix, TrialRegion } from "./region";

/** Milliseconds. The stack's sweeps come several times a second, and its minute is that long. */
const pace = {
    ...usualPace,
    look: 80,
    calm: 80,
    whole: 20_000,
    late: 10_000,
    flapping: 0,
    console: 80,
    consoleFor: 5000,
};
const removal = { attempts: 5, pause: 10, most: 20, every: 0.02 };

/**
 * @param args beside `--stack dev`, whose settings are the defaults
 * @param options.answers to its questions, in order; after the last one there is no answer
 */
export async function trial(
    args: string[],
    options: {
        answers?: string[];
        signal?: AbortSignal;
        pace?: Partial<Outside["pace"]>;
        over?: Record<string, string>;
    } = {},
): Promise<{ status: number; stdout: string; stderr: string; questions: string[] }> {
    const { answers = [], signal = new AbortController().signal, over } = options;
    const questions: string[] = [];
    const ask = async (question: string) => {
        questions.push(question);
        return answers.shift() ?? "";
    };
    const outside = {
        ask,
        signal,
        pace: { ...pace, ...options.pace },
        removal,
        settingsOf: () => settingsOfStack(undefined, { over }),
    };
    const { status, out, err } = await inThisProcess(
        (line, streams) => main(line, { ...streams, ...outside }),
        ["--stack", "dev", ...args],
    );
    return { status, stdout: out, stderr: err, questions };
}

/** A region for a suite; each of its tests must leave there what it found. */
export function useRegion(): () => TrialRegion {
    let region: TrialRegion;
    let foreign: string[];
    before(async () => {
        region = await TrialRegion.open(await programWith());
    });
    after(() => region?.close());
    beforeEach(async () => {
        await region.begin();
        foreign = await region.everything();
    });
    afterEach(async () => {
        await region.end();
        expect(await region.everything()).to.deep.equal(foreign);
    });
    return () => region;
}

/** What a killed run leaves; it may be deleted after these minutes. */
export async function leftover(minutes: number): Promise<Run> {
    const site = await siteOf(await connect("us-east-1"), { type: "t4g.nano", subnets: [] });
    const run = newRun(prefix, minutes);
    await makeFleet(site, run, tagKey);
    return run;
}
