// `npm start`: a day in the life of two groups, played on this machine and printed while it is played.
import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseOptions } from "../../election/stack/operator";
import { readSettings, type Settings } from "../../election/stack/settings";
import { Referee } from "../histories/checkers";
import type { Violation } from "../histories/checkers/checker";
import { found } from "../simulator/lists";
import { configuration, declarations, type Program, project, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";
import { dayLength, deedsOf, randomDay, scriptedDay, secondsSinceDawn } from "./day";
import { Narrator } from "./narration";
import { draw } from "./picture";
import { Recorder } from "./recorder";
import { groupNames, type Stage, setStage } from "./stage";
import { type Happening, summary } from "./summary";
import { longestStop, type Overlap, Workers, workerRule } from "./workers";

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

Settings: ${Object.keys(declarations).join(", ")}

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

/**
 * Plays a day with a program's rules and function.
 *
 * @param print gets each line when it is known, with its newline; the prologue is not among them
 * @returns those lines together, the rules that were broken, the picture that was asked for, how the day went, and the exit status
 */
export function rehearse(program: Program, options: Options = {}, print: (line: string) => unknown = () => {}) {
    const { seed, colour = false, picture } = options;
    const settings = settingsOf(options);
    let text = "";
    const write = (line: string) => {
        text += `${line}\n`;
        print(`${line}\n`);
    };

    return inWorld(program, async (world) => {
        options.onWorld?.(world);
        const stage = setStage(world, settings);
        const { now: dawn } = stage.timeline;
        const recorder = new Recorder(stage);
        const narrator = new Narrator(stage, recorder, colour, write);
        world.stack.onInvocation.push((invocation) => narrator.invocation(invocation));
        // On the stage nothing goes wrong with AWS, and one elector sees everything as it is.
        const referee = new Referee(world, program, {
            ...settings,
            handoverMillis: settings.handoverSeconds * 1000,
            alone: true,
            exact: true,
            refused: new Map(),
        });
        const { violations } = referee;
        referee.onViolation = ({ rule, how }) => narrator.row("", "✗ RULE BROKEN", "red", `${rule}: ${how}`);
        const meet = ({ electorate, first, second, byOperator }: Overlap) => {
            const how = `${second} starts while ${first} is at work`;
            const why = byOperator ? "an operator changed the tags" : undefined;
            narrator.row(electorate, "! two at work", "yellow", how, why);
            if (settings.handoverSeconds >= longestStop && !byOperator) {
                violations.push({ at: stage.timeline.now, rule: "no two workers at once", how });
            }
        };
        const workers = options.workers ? new Workers(stage, meet) : undefined;

        const happened = await play(stage, seed, violations, narrator);
        narrator.endQuiet();
        if (violations.length > 0) {
            write("The day ends here: a rule was broken.");
        }
        write("");
        const watched = { happened, recorder, workers, narrator };
        summary(stage, watched, referee).forEach(write);
        const at = (seconds: number) => dawn + seconds * 1000;
        const svg = picture && (await draw({ ...watched, from: at(picture.from), to: at(picture.to) }));
        return { text, violations, svg, recorder, status: violations.length > 0 ? 1 : 0 };
    });
}

/** Lets the day pass with everything that is to happen, until a rule is broken; gives what has happened. */
async function play(stage: Stage, seed: number | undefined, violations: Violation[], narrator: Narrator) {
    const { timeline, stack, groups, electorates, scope } = stage;
    const together = scope.electorateTag !== "";
    const deeds = deedsOf(together);
    const happened: Happening[] = [];
    const dawn = timeline.now;
    // Minute by minute, because elections that cause each other would never end.
    const waitUntil = async (seconds: number) => {
        const end = dawn + seconds * 1000;
        while (timeline.now < end && violations.length === 0) {
            await timeline.pass(Math.min(60_000, end - timeline.now));
        }
    };
    stack.sweeping = true;
    for (const { at, group, what } of seed === undefined ? scriptedDay(together) : randomDay(seed, together)) {
        await waitUntil(at);
        const words = violations.length === 0 ? found(deeds[what])(stage, groups[group]) : undefined;
        if (words) {
            happened.push({ at: timeline.now, electorate: electorates.nameOf(groups[group]), what, words });
            narrator.endQuiet();
            narrator.row(groups[group], what, "bold", words);
        }
    }
    await waitUntil(dayLength);
    return happened;
}

const settingsOf = ({ settings }: Pick<Options, "settings">): Settings =>
    readSettings(configuration(settings), project);

/** What the reader has to know before the day begins, which was asked for with some arguments. */
export function prologue(options: Options, args: string[]): string {
    const { asgPrefixes, tagKey, electorateTag } = settingsOf(options);
    const groups = groupNames({ asgPrefixes });
    const lines = [
        `A day in the life of two groups  ${args.join(" ")}`.trimEnd(),
        "",
        `  shop  the group ${groups.shop}`,
        `  blog  the group ${groups.blog}`,
        `  jobs  the group ${groups.jobs}, none of the stack's: its name does not start with ${asgPrefixes.join(" or ")}`,
        "",
        `Instances are numbered as they come: shop-1, shop-2 … A leader (★) carries the tag ${tagKey}.`,
        "In brackets: which event made the function look, and why it decided so.",
        ...(electorateTag
            ? [`Groups with the same ${electorateTag} elect one leader together;`, "an update brings a second group."]
            : []),
        "",
    ];
    return lines.map((line) => `${line}\n`).join("");
}

/** Does what the command line asks for; gives the exit status. */
export async function main(
    args: string[],
    { stdout, stderr }: Record<"stdout" | "stderr", { write(text: string): unknown }> = process,
): Promise<number> {
    let options: ReturnType<typeof readOptions>;
    try {
        options = readOptions(args);
    } catch (error) {
        stderr.write(`${(error as Error).message}\n`);
        return 2;
    }
    if (options === "help") {
        stdout.write(help);
        return 0;
    }
    // The function's own output is captured while it runs; this is not.
    const write = stdout.write.bind(stdout);
    write(prologue(options, args));
    const program = await runProgram({ config: options.settings });
    const { status, svg } = await rehearse(program, options, write);
    if (options.picture && svg) {
        writeFileSync(options.picture.file, svg);
    }
    return status;
}

/**
 * Reads the command line.
 *
 * @throws an error of one sentence that names what is not allowed, a setting too
 */
export function readOptions(args: string[]): Options | "help" {
    const { help, seed, workers, picture, from, to, set } = parseOptions(args, {
        help: { type: "boolean", short: "h" },
        seed: { type: "string" },
        workers: { type: "boolean" },
        picture: { type: "string" },
        from: { type: "string" },
        to: { type: "string" },
        set: { type: "string", multiple: true, default: [] as string[] },
    });
    if (help) {
        return "help";
    }
    check("--seed", seed, /^\d{1,9}$/, "a whole number of at most 9 digits");
    check("--from", from, timeForm, "a time like 10:02:00");
    check("--to", to, timeForm, "a time like 10:02:00");
    for (const text of set) {
        check("--set", text, /^[^=]+=/, "KEY=VALUE");
    }
    if (picture === undefined && (from ?? to) !== undefined) {
        throw new Error("--from and --to need --picture. See --help.");
    }
    if (picture !== undefined && !existsSync(dirname(picture))) {
        throw new Error(`--picture is ${JSON.stringify(picture)}, but there is no such folder. See --help.`);
    }
    const part = { from: secondsSinceDawn(from ?? "06:00:00"), to: secondsSinceDawn(to ?? "06:00:00") || dayLength };
    if (part.from >= part.to) {
        throw new Error("--from must be before --to; the day begins and ends at 06:00:00. See --help.");
    }
    const settings = Object.fromEntries(set.map((text) => text.split(/=(.*)/s, 2)));
    if (Object.keys(settings).length < set.length) {
        throw new Error("--set is given twice for one key. See --help.");
    }
    settingsOf({ settings });
    return {
        seed: seed === undefined ? undefined : Number(seed),
        settings,
        workers,
        picture: picture === undefined ? undefined : { file: picture, ...part },
        colour: process.stdout.isTTY && !process.env.NO_COLOR,
    };
}

const timeForm = /^([01]\d|2[0-3])(:[0-5]\d){2}$/;

/** Refuses an option whose value doesn't have the right form. */
function check(option: string, value: string | undefined, form: RegExp, what: string): void {
    if (value !== undefined && !form.test(value)) {
        throw new Error(`${option} is ${JSON.stringify(value)}, but it must be ${what}. See --help.`);
    }
}

if (require.main === module) {
    main(process.argv.slice(2)).then((status) => {
        process.exitCode = status;
    });
}
