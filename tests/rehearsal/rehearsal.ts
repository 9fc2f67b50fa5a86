// A day in the life of two groups, played on this machine and told as a timeline: `npm start`.
import { parseArgs } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { Lookout } from "../histories/checkers/downtime";
import { type Breach, Judge } from "../histories/checkers/judge";
import type { Franchise } from "../simulator/electorates";
import { configuration, declarations, type Program, project, runProgram } from "../simulator/stack/program";
import { wiringOf } from "../simulator/stack/registered";
import { inWorld } from "../simulator/world";
import { dayLength, deedsOf, type Moment, randomDay, scriptedDay } from "./day";
import { Narrator } from "./narration";
import { type Stage, setStage } from "./stage";
import { type Happening, verdict } from "./verdict";

const settingNames = Object.keys(declarations);

const enoughBreaches = 10; // then the day ends: an election that causes the next would take for ever

const help = `Usage: npm start -- [options]

Plays a day in the life of two Auto Scaling groups on this machine, with the program's own settings, rules and function,
and prints what happens. Needs no AWS account.

Options:
  --seed N         a day of random events instead of the scripted one; the same day for the same N
  --set KEY=VALUE  a setting of the stack; may be repeated
  -h, --help       this text

Settings: ${settingNames.join(", ")}

Exit status: 0 if every rule was kept, 1 if one was broken, 2 if the options or settings are not allowed.
Colours are used on a terminal only, and not if NO_COLOR is set.
`;

export interface Options {
    seed?: number;
    /** Settings beside the defaults. */
    settings?: Record<string, string>;
    colour?: boolean;
}

export interface Rehearsal {
    text: string;
    breaches: Breach[];
    /** For the process to exit with. */
    status: 0 | 1;
}

/** Plays a day with a program's rules and function: what is told of it, and which rules were broken. */
export function rehearse(program: Program, options: Options = {}): Promise<Rehearsal> {
    const { seed, settings, colour = false } = options;
    const config = configuration(settings);
    const setting = (key: keyof Franchise) => config[`${project}:${key}`];
    const scope: Franchise = {
        asgPrefix: setting("asgPrefix"),
        tagKey: setting("tagKey"),
        electorateTag: setting("electorateTag"),
    };

    return inWorld(program, async (world) => {
        const { region, stack } = world;
        const stage = setStage(world, scope);
        const lookout = new Lookout(region, stage.electorates);
        const judge = new Judge(region, scope, stage.electorates, wiringOf(program).functionTimeoutSeconds * 1000);
        const narrator = new Narrator(stage, lookout, colour);
        judge.onBreach = (breach) => narrator.breaks(breach);
        stack.onInvocation.push((invocation) => {
            narrator.elects(invocation);
            judge.judgeInvocation(invocation);
        });

        const together = scope.electorateTag !== "";
        const moments = seed === undefined ? scriptedDay(together) : randomDay(seed, together);
        const happened = await play(stage, moments, judge, narrator);
        narrator.endQuiet();
        lookout.look();

        const text = [
            ...prologue(stage, options),
            ...narrator.lines,
            ...(judge.breaches.length < enoughBreaches ? [] : ["The day ends here: too much has gone wrong."]),
            "",
            ...verdict(stage, happened, lookout, judge, narrator),
            "",
        ];
        return { text: text.join("\n"), breaches: judge.breaches, status: judge.breaches.length > 0 ? 1 : 0 };
    });
}

/** Lets the day pass, and happen what is to happen, unless too much goes wrong; what has happened. */
async function play(stage: Stage, moments: Moment[], judge: Judge, narrator: Narrator): Promise<Happening[]> {
    const { timeline, stack, groups, electorates } = stage;
    const happened: Happening[] = [];
    const deeds = deedsOf(stage.scope.electorateTag !== "");
    const dawn = timeline.now;
    const waitUntil = async (seconds: number) => {
        const end = dawn + seconds * 1000;
        while (timeline.now < end && judge.breaches.length < enoughBreaches) {
            await timeline.pass(Math.min(60_000, end - timeline.now));
        }
        return timeline.now === end;
    };
    stack.sweeping = true;
    for (const { at, group, what } of moments) {
        if (!(await waitUntil(at))) {
            return happened;
        }
        const words = deeds[what](stage, groups[group]);
        if (words) {
            happened.push({ at: timeline.now, electorate: electorates.nameOf(groups[group]), what });
            narrator.happens(groups[group], what, words);
        }
    }
    await waitUntil(dayLength);
    return happened;
}

function prologue({ groups, scope }: Stage, { seed, settings = {} }: Options): string[] {
    const conditions = [
        ...(seed === undefined ? [] : [`--seed ${seed}`]),
        ...Object.entries(settings).map(([key, value]) => `--set ${key}=${value}`),
    ];
    const together = `Groups with the same ${scope.electorateTag} elect one leader together; an update brings a second group.`;
    return [
        ["A day in the life of two groups", ...conditions].join("  "),
        "",
        `  shop  the group ${groups.shop}`,
        `  blog  the group ${groups.blog}`,
        `  jobs  the group ${groups.jobs}, none of the stack's: its name does not start with ${scope.asgPrefix}`,
        "",
        `Instances are numbered as they come: shop-1, shop-2 … A leader (★) carries the tag ${scope.tagKey}.`,
        "In brackets: what told the function to look, and why it decided so.",
        ...(scope.electorateTag ? [together] : []),
        "",
    ];
}

/** Does what the command line asks for; gives the exit status. */
async function main(args: string[]): Promise<number> {
    try {
        const options = readOptions(args);
        if (options === "help") {
            process.stdout.write(help);
            return 0;
        }
        const program = await runProgram({ config: options.settings });
        const { text, status } = await rehearse(program, options);
        process.stdout.write(text);
        return status;
    } catch (error) {
        if (!pulumi.RunError.isInstance(error)) {
            throw error;
        }
        process.stderr.write(`${error.message}\n`);
        return 2;
    }
}

/**
 * Reads the command line.
 *
 * @throws pulumi.RunError: one sentence that says what is not allowed, like those of the program
 */
export function readOptions(args: string[]): Options | "help" {
    const values = parsed(args);
    if (values.help) {
        return "help";
    }
    if (values.seed !== undefined && !/^\d{1,9}$/.test(values.seed)) {
        throw new pulumi.RunError(
            `--seed is ${JSON.stringify(values.seed)}, but it must be a whole number of at most 9 digits.`,
        );
    }
    return {
        seed: values.seed === undefined ? undefined : Number(values.seed),
        settings: Object.fromEntries(values.set.map(readSetting)),
        colour: process.stdout.isTTY && !process.env.NO_COLOR,
    };
}

function parsed(args: string[]) {
    try {
        const help = { type: "boolean", short: "h" } as const;
        const set = { type: "string", multiple: true, default: [] as string[] } as const;
        return parseArgs({ args, options: { help, seed: { type: "string" }, set } }).values;
    } catch (error) {
        const [firstSentence] = (error as Error).message.split(/\.?\s*(?:\n|\. |$)/);
        throw new pulumi.RunError(`${firstSentence}.`);
    }
}

function readSetting(text: string): [string, string] {
    const [, key, value] = text.match(/^([^=]+)=(.*)$/s) ?? [];
    if (key === undefined) {
        throw new pulumi.RunError(`--set is ${JSON.stringify(text)}, but it must be KEY=VALUE.`);
    }
    if (!settingNames.includes(key)) {
        throw new pulumi.RunError(`There is no setting ${JSON.stringify(key)}; there are ${settingNames.join(", ")}.`);
    }
    return [key, value];
}

if (require.main === module) {
    main(process.argv.slice(2)).then((status) => {
        process.exitCode = status;
    });
}
