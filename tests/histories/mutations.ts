import { live, type Programs } from "./history";
import { explore, starts } from "./interleaving";
import { regressions } from "./regressions";
import { checkHistories, worlds } from "./worlds";

/**
 * Looks for anything that programs do wrong: in histories that are told, in those that chance makes, and with two electors.
 *
 * @param options.runs how many histories of each kind of world
 * @param options.everyNth of the starts with two electors
 * @returns by which of them it was found, each with what was found
 */
export async function findFaults(
    programs: Programs,
    options: { runs: number; seed?: number; everyNth?: number },
): Promise<Map<string, string>> {
    const { runs, seed, everyNth = 20 } = options;
    const faults = new Map<string, string>();
    for (const [name, history] of Object.entries(regressions)) {
        const { violations } = await live(programs, history);
        if (violations.length > 0) {
            faults.set(`when ${name}`, violations[0]);
        }
    }
    for (const world of Object.keys(worlds) as (keyof typeof worlds)[]) {
        const { found } = await checkHistories(programs, world, { runs, seed, shrink: false });
        if (found.failed) {
            const [violation] = (found.errorInstance as Error).message.split("\n");
            faults.set(world, `${violation} (after ${found.numRuns} histories)`);
        }
    }
    const some = starts.filter((_, place) => place % everyNth === 0);
    const { failures } = await explore(await programs(), some);
    if (failures.length > 0) {
        faults.set("interleavings", failures[0]);
    }
    return faults;
}
