// `npm start`: a day in the life of two groups, played on this machine and printed while it is played.

import { accessSync, constants, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { readSettings } from "../../election/stack/settings";
import { Referee } from "../histories/checkers";
import type { Violation } from "../histories/checkers/checker";
import type { Expectations } from "../histories/checkers/evidence";
import { readCommandLine, UsageError } from "../simulator/command-line";
import type { Franchise } from "../simulator/electorates";
import { found } from "../simulator/lists";
import { configuration, declarations, type Program, project, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";
import { dayLength, deedsOf, type Moment, randomDay, scriptedDay, secondsSinceDawn } from "./day";
import { Downtime } from "./downtime";
import { Narrator } from "./narration";
import { draw } from "./picture";
import { Recorder } from "./recorder";
import { groupNames, type Stage, setStage } from "./stage";
import { type Happening, summary } from "./summary";
import { longestStop, Workers, workerRule } from "./workers";

const settingNames = Object.keys(declarations);

const enoughViolations = 10; // then the day ends: elections that cause each other would never end

const help = `Usage: npm start -- [options]

Plays a day in the life of two Auto Scaling groups on this machine, with the program's own settings, rules
and function, and prints what happens. Needs no AWS account.

Options:
  --seed N         a day of random events instead of the scripted one; the same day for the same N
  --set KEY=VALUE  a setting of the stack; may be repeated
  --workers        a worker on each instance, by the rules of leader-while (every ${workerRule.every} s, grace ${workerRule.grace} s); with a
                   handoverSeconds of at least ${longestStop} two run at once only after an operator's own change of leader tags
  --picture FILE   draws the day as SVG: a lane for each instance, with when it existed, was fit, led and worked
  --from HH:MM:SS  with --picture: draws only the day from then on, and the groups in which anything changes
  --to HH:MM:SS    with --picture: draws only the day until then
  -h, --help       this text

Settings: ${settingNames.join(", ")}

Exit status: 0 if every rule was kept, 1 if one was broken, 2 if an option or a setting is not allowed.
Colours are used on a terminal only, and not if NO_COLOR is set.
`;

export interface Options {
    seed?: number;
    /** Settings beside the defaults. */
    settings?: Record<string, string>;
    /** Whether a worker runs on each instance. */
    workers?: boolean;
    /** What to draw, in seconds since the day began. */
    picture?: { file: string; from: number; to: number };
    colour?: boolean;
    /** Receives the world before anything happens there. */
    onWorld?: (world: World) => void;
}

export interface Rehearsal {
    text: string;
    violations: Violation[];
    /** The picture that was asked for, as SVG. */
    svg?: string;
    /** For the process to exit with. */
    status: 0 | 1;
}

/**
 * Plays a day with a program's rules and function.
 *
 * @param print gets each line when it is known, with its newline; the prologue is not among them
 * @returns those lines together, and the rules that were broken
 */
export function rehearse(
    program: Program,
    options: Options = {},
    print: (line: string) => void = () => {},
): Promise<Rehearsal> {
    const { seed, settings, colour = false } = options;
    const scope = scopeOf(settings);
    const lines: string[] = [];
    const write = (...some: string[]) => {
        for (const line of some) {
            lines.push(`${line}\n`);
            print(`${line}\n`);
        }
    };

    return inWorld(program, async (world) => {
        const { region, stack } = world;
        options.onWorld?.(world);
        const stage = setStage(world, scope);
        const downtime = new Downtime(region, stage.electorates);
        const narrator = new Narrator(stage, downtime, colour, write);
        stack.onInvocation.push((invocation) => narrator.invocation(invocation));
        const recorder = options.picture && new Recorder(stage);
        const dawn = stage.timeline.now;
        const referee = new Referee(world, program, expectations(settings));
        referee.onViolation = (violation) => narrator.violation(violation);

        const workers = options.workers ? new Workers(stage, settingsOf(settings).handoverSeconds) : undefined;
        if (workers) {
            workers.onOverlap = ({ shifts: [first, second], byOperator }) =>
                narrator.overlap(first.electorate, second.id, first.id, byOperator);
        }

        const together = scope.electorateTag !== "";
        const moments = seed === undefined ? scriptedDay(together) : randomDay(seed, together);
        const happened = await play(stage, moments, referee, narrator);
        narrator.endQuiet();
        downtime.look();

        if (referee.mostOfARule >= enoughViolations) {
            write("The day ends here: a rule was broken too often.");
        }
        const violations = [...referee.violations, ...(workers?.violations ?? [])];
        write("", ...summary(stage, { happened, downtime, violations, compared: referee.compared, workers }, narrator));
        const { picture } = options;
        const svg =
            picture &&
            recorder &&
            (await draw({
                from: dawn + picture.from * 1000,
                to: dawn + picture.to * 1000,
                recorder,
                happened,
                shifts: workers?.shifts ?? [],
                plain: (text) => narrator.plain(text),
            }));
        return { text: lines.join(""), violations, svg, status: violations.length > 0 ? 1 : 0 };
    });
}

/** Lets the day pass with everything that is to happen, until a rule is broken too often; gives what has happened. */
async function play(stage: Stage, moments: Moment[], referee: Referee, narrator: Narrator): Promise<Happening[]> {
    const { timeline, stack, groups, electorates } = stage;
    const happened: Happening[] = [];
    const deeds = deedsOf(stage.scope.electorateTag !== "");
    const dawn = timeline.now;
    const waitUntil = async (seconds: number) => {
        const end = dawn + seconds * 1000;
        while (timeline.now < end && referee.mostOfARule < enoughViolations) {
            await timeline.pass(Math.min(60_000, end - timeline.now));
        }
        return timeline.now === end;
    };
    stack.sweeping = true;
    for (const { at, group, what } of moments) {
        if (!(await waitUntil(at))) {
            return happened;
        }
        const words = found(deeds[what])(stage, groups[group]);
        if (words) {
            happened.push({ at: timeline.now, electorate: electorates.nameOf(groups[group]), what, words });
            narrator.happening(groups[group], what, words);
        }
    }
    await waitUntil(dayLength);
    return happened;
}

/** What the stack is responsible for, and how it marks leaders. */
function scopeOf(settings: Options["settings"]): Franchise {
    const { asgPrefixes, tagKey, electorateTag } = settingsOf(settings);
    return { asgPrefixes, tagKey, electorateTag };
}

/** What the checkers expect: on the stage nothing goes wrong with AWS, and one elector sees everything as it is. */
function expectations(settings: Options["settings"]): Expectations {
    const { handoverSeconds, protectLeader, dryRun } = settingsOf(settings);
    return {
        ...scopeOf(settings),
        handoverMillis: handoverSeconds * 1000,
        protectLeader,
        dryRun,
        alone: true,
        exact: true,
        refused: new Map(),
    };
}

function settingsOf(settings: Options["settings"]) {
    return readSettings(configuration(settings), project);
}

/** What the reader has to know before the day begins. */
export function prologue({ seed, settings = {}, workers }: Options): string {
    const scope = scopeOf(settings);
    const groups = groupNames(scope);
    const conditions = [
        ...(seed === undefined ? [] : [`--seed ${seed}`]),
        ...(workers ? ["--workers"] : []),
        ...Object.entries(settings).map(([key, value]) => `--set ${key}=${value}`),
    ];
    const together = [
        `Groups with the same ${scope.electorateTag} elect one leader together;`,
        "an update brings a second group.",
    ];
    const lines = [
        ["A day in the life of two groups", ...conditions].join("  "),
        "",
        `  shop  the group ${groups.shop}`,
        `  blog  the group ${groups.blog}`,
        `  jobs  the group ${groups.jobs}, none of the stack's: its name does not start with ${scope.asgPrefixes.join(" or ")}`,
        "",
        `Instances are numbered as they come: shop-1, shop-2 … A leader (★) carries the tag ${scope.tagKey}.`,
        "In brackets: which event made the function look, and why it decided so.",
        ...(scope.electorateTag ? together : []),
        "",
    ];
    return lines.map((line) => `${line}\n`).join("");
}

/** Does what the command line asks for; gives the exit status. */
export async function main(
    args: string[],
    { stdout, stderr }: Record<"stdout" | "stderr", { write(text: string): unknown }> = process,
): Promise<number> {
    try {
        const options = readOptions(args);
        if (options === "help") {
            stdout.write(help);
            return 0;
        }
        // The function's own output is captured while it runs; this is not.
        const write = stdout.write.bind(stdout);
        write(prologue(options));
        const program = await runProgram({ config: options.settings });
        const { status, svg } = await rehearse(program, options, write);
        if (options.picture && svg) {
            writeFileSync(options.picture.file, svg);
        }
        return status;
    } catch (error) {
        if (!(error instanceof UsageError) && !pulumi.RunError.isInstance(error)) {
            throw error;
        }
        stderr.write(`${error.message}\n`);
        return 2;
    }
}

/**
 * Reads the command line.
 *
 * @throws UsageError
 */
export function readOptions(args: string[]): Options | "help" {
    const values = readCommandLine(args, {
        help: { type: "boolean", short: "h" },
        seed: { type: "string" },
        workers: { type: "boolean" },
        picture: { type: "string" },
        from: { type: "string" },
        to: { type: "string" },
        set: { type: "string", multiple: true, default: [] as string[] },
    });
    if (values.help) {
        return "help";
    }
    if (values.seed !== undefined && !/^\d{1,9}$/.test(values.seed)) {
        throw new UsageError(
            `--seed is ${JSON.stringify(values.seed)}, but it must be a whole number of at most 9 digits. See --help.`,
        );
    }
    const settings = values.set.map(readSetting);
    const keys = settings.map(([key]) => key);
    const repeated = keys.find((key, index) => keys.indexOf(key) < index);
    if (repeated) {
        throw new UsageError(`Setting ${repeated} is given twice. See --help.`);
    }
    return {
        seed: values.seed === undefined ? undefined : Number(values.seed),
        settings: Object.fromEntries(settings),
        workers: values.workers,
        picture: readPicture(values),
        colour: process.stdout.isTTY && !process.env.NO_COLOR,
    };
}

function readPicture({
    picture: file,
    from,
    to,
}: {
    picture?: string;
    from?: string;
    to?: string;
}): Options["picture"] {
    if (file === undefined) {
        if (from !== undefined || to !== undefined) {
            throw new UsageError("--from and --to need --picture. See --help.");
        }
        return undefined;
    }
    try {
        accessSync(dirname(file), constants.W_OK);
    } catch {
        throw new UsageError(
            `--picture is ${JSON.stringify(file)}, but there is no such folder to write to. See --help.`,
        );
    }
    const part = { file, from: readTime("from", from) ?? 0, to: readTime("to", to) || dayLength };
    if (part.from >= part.to) {
        throw new UsageError(`--from must be before --to; the day begins and ends at 06:00:00. See --help.`);
    }
    return part;
}

/** Seconds since the day began; undefined if the option is not there. */
function readTime(option: string, text?: string): number | undefined {
    if (text === undefined) {
        return undefined;
    }
    if (!/^([01]\d|2[0-3])(:[0-5]\d){2}$/.test(text)) {
        throw new UsageError(
            `--${option} is ${JSON.stringify(text)}, but it must be a time like 10:02:00. See --help.`,
        );
    }
    return secondsSinceDawn(text);
}

function readSetting(text: string): [string, string] {
    const [, key, value] = text.match(/^([^=]+)=(.*)$/s) ?? [];
    if (key === undefined) {
        throw new UsageError(`--set is ${JSON.stringify(text)}, but it must be KEY=VALUE. See --help.`);
    }
    if (!settingNames.includes(key)) {
        throw new UsageError(`There is no setting ${JSON.stringify(key)}; there are ${settingNames.join(", ")}.`);
    }
    return [key, value ?? ""];
}

if (require.main === module) {
    main(process.argv.slice(2)).then((status) => {
        process.exitCode = status;
    });
}
