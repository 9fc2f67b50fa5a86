// The faults that `npm run mutate` puts into the packaged function, and into what is deployed with it. Each must be found.
import type { Program } from "../simulator/stack/program";
import type { Settings } from "./history";
import { deciding } from "./mutations/deciding";
import { deployed } from "./mutations/deployed";
import { observing } from "./mutations/observing";
import { remembering } from "./mutations/remembering";
import { reporting } from "./mutations/reporting";
import { writing } from "./mutations/writing";

/**
 * What stands in the function's text, exactly once, and what is put in its place; or what is made of the whole program.
 * The finder is tried first: a regression by its name, a kind of world, or a file of tests.
 */
export type Mutation =
    | [sound: string, faulty: string, finder?: string]
    | { change: (program: Program, settings: Settings) => Program; finder?: string };

export const mutations: Record<string, Mutation> = {
    ...observing,
    ...deciding,
    ...remembering,
    ...writing,
    ...reporting,
    ...deployed,
};

/** What finds a fault sooner than all others, as far as is known. */
export function finderOf(name: string): string | undefined {
    const mutation = mutations[name];
    return Array.isArray(mutation) ? mutation[2] : mutation?.finder;
}

/** Puts a fault into a program. @throws if what the fault replaces doesn't stand there exactly once */
export function seed(name: string, program: Program, settings: Settings = {}): Program {
    const mutation = mutations[name];
    if (mutation === undefined) {
        throw new Error(`There is no fault called ${name}.`);
    }
    if (!Array.isArray(mutation)) {
        return mutation.change(program, settings);
    }
    const [sound, faulty] = mutation;
    const count = program.functionText.split(sound).length - 1;
    if (count !== 1) {
        throw new Error(`what it replaces stands in the function ${count} times, not once: ${sound}`);
    }
    return { ...program, functionText: program.functionText.replace(sound, () => faulty) };
}
