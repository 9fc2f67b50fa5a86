// `npm run trial`: makes a small group in the user's account, takes its leader away in every way, measures, and leaves nothing.
import { createInterface } from "node:readline/promises";
import { explained, prepareSdk } from "../stack/operator";
import { settingsOfStack } from "../stack/stack-file";
import { usualRemoval } from "./clean-up";
import { help, optionsOf } from "./options";
import { usualPace } from "./play";
import { progressOn } from "./progress";
import { connect } from "./site";
import { type Outside, runTrial } from "./trial";

/** Does what the command line asks for; gives the exit status. */
export async function main(args: string[], outside: Outside): Promise<number> {
    const progress = progressOn(outside.stderr);
    try {
        const options = optionsOf(args);
        if (options.help) {
            outside.stdout.write(help);
            return 0;
        }
        const settings = outside.settingsOf(options.stack);
        if (settings.dryRun) {
            throw new Error(`The stack ${options.stack} has dryRun: it elects no leaders, so nothing can be tried.`);
        }
        prepareSdk(undefined, settings.profile);
        const aws = await connect(options.region ?? settings.region);
        return await runTrial(aws, options, settings, outside, progress);
    } catch (error) {
        progress.end();
        progress.say(outside.signal.aborted ? "Ended early." : explained(error));
        return 2;
    }
}

/** Asks on stderr, because stdout has the report. Where stdin ends there is no answer. */
async function ask(question: string, signal: AbortSignal): Promise<string> {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
        const ended = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
        return await Promise.race([terminal.question(question, { signal }), ended]);
    } finally {
        terminal.close();
    }
}

if (require.main === module) {
    const stop = new AbortController();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        process.on(name, () => {
            process.stderr.write(`\n${name}: ${stop.signal.aborted ? "still" : "now"} it cleans up; please wait.\n`);
            stop.abort();
        });
    }
    // A pager or a terminal may close its output before the end: it cleans up all the same.
    for (const stream of [process.stdout, process.stderr]) {
        stream.on("error", () => stop.abort());
    }
    const outside: Outside = {
        stdout: process.stdout,
        stderr: process.stderr,
        ask: (question) => ask(question, stop.signal),
        signal: stop.signal,
        pace: usualPace,
        removal: usualRemoval,
        settingsOf: settingsOfStack,
    };
    main(process.argv.slice(2), outside).then((status) => {
        process.exitCode = status;
    });
}
