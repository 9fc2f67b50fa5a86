// Runs the trial in this process, at the pace of a region that answers at once, and sets its region up.
import { expect } from "chai";
import { settingsOfStack } from "../../../election/stack/stack-file";
import { main } from "../../../election/trial";
import { makeFleet, newRun, type Run } from "../../../election/trial/fleet";
import { usualPace } from "../../../election/trial/play";
import { connect, siteOf } from "../../../election/trial/site";
import type { Outside } from "../../../election/trial/trial";
import { runProgram } from "../../simulator/stack/program";
import { motoIsInstalled } from "../moto";
import { prefix, TrialRegion, tagKey } from "./region";

/** What a trial came to. */
export interface Outcome {
    status: number;
    stdout: string;
    stderr: string;
    questions: string[];
}

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
): Promise<Outcome> {
    const { answers = [], signal = new AbortController().signal, over } = options;
    const outcome: Outcome = { status: 0, stdout: "", stderr: "", questions: [] };
    outcome.status = await main(["--stack", "dev", ...args], {
        stdout: {
            write: (text) => {
                outcome.stdout += text;
            },
        },
        stderr: {
            write: (text) => {
                outcome.stderr += text;
            },
        },
        ask: async (question) => {
            outcome.questions.push(question);
            return answers.shift() ?? "";
        },
        signal,
        pace: { ...pace, ...options.pace },
        removal,
        settingsOf: () => settingsOfStack(undefined, { over }),
    });
    return outcome;
}

/** A region for a suite; each of its tests must leave there what it found. */
export function useRegion(): () => TrialRegion {
    let region: TrialRegion;
    let foreign: string[];
    before(async function () {
        if (!motoIsInstalled()) {
            if (process.env.CI === "true") {
                throw new Error("moto_server is not installed: pip install 'moto[server]'");
            }
            this.skip();
        }
        region = await TrialRegion.open(await runProgram({ config: { asgPrefix: prefix, tagKey } }));
    });
    after(() => region?.close());
    beforeEach(async () => {
        region.calm();
        await region.addForeign();
        foreign = await region.everything();
    });
    afterEach(async () => expect(await region.everything()).to.deep.equal(foreign));
    return () => region;
}

/** What a killed run leaves; it may be deleted after these minutes. */
export async function leftover(minutes: number): Promise<Run> {
    const site = await siteOf(await connect("us-east-1"), { type: "t4g.nano", subnets: [] });
    const run = newRun(prefix, minutes);
    await makeFleet(site, run, tagKey);
    return run;
}
