// Whatever happens to groups and to the function, in any order: the packaged function keeps its rules, and every group comes to
// rest as the decision table says. HISTORIES is how many are tried in all; SEED and REPLAY (the path that a failure prints) try one again.
import * as fc from "fast-check";
import { theProgram } from "./history";
import { checkHistories, worlds } from "./worlds";

const histories = Number(process.env.HISTORIES ?? 300);
const seed = Number(process.env.SEED ?? 1);
const path = process.env.REPLAY;
// Ten programs take some seconds to package: these are left to the proof.
const isQuick = (kind: string) => process.env.HISTORIES !== undefined || kind !== "two settings";
const kinds = (Object.keys(worlds) as (keyof typeof worlds)[]).filter(isQuick);

describe("In any history the rules are kept", () => {
    for (const kind of kinds) {
        it(`with ${kind}`, async function () {
            this.timeout(0); // as long as it takes to try them all
            const runs = Math.ceil(histories / kinds.length);
            const { found } = await checkHistories(theProgram, kind, { runs, seed, path });
            if (found.failed) {
                const again = `SEED=${seed} REPLAY=${found.counterexamplePath} npx mocha ${__filename} -g "with ${kind}$"`;
                throw new Error(`${fc.defaultReportMessage(found)}\nAgain: ${again}`, { cause: found.errorInstance });
            }
        });
    }
});
