// The workers of the rehearsal: two run at once without a pause, never with one that is long enough, and a function that
// skips it is found.
import { expect } from "chai";
import type { Violation } from "../histories/checkers/checker";
import { runProgram } from "../simulator/stack/program";
import { rehearse } from "./rehearsal";
import { longestStop } from "./workers";

const paused = { handoverSeconds: String(longestStop) };
const rule = "no two workers at once";
const broken = (violations: Violation[]): string[] =>
    violations.filter((one) => one.rule === rule).map(({ how }) => how);
const atWork = (text: string): string => text.match(/^ {2}workers +(.*(?:\n {20}.*)*)/m)?.[1] ?? "";

describe("the rehearsal's workers", () => {
    it("start with their leaders, and run two at once where there is no pause", async () => {
        const { text, violations } = await rehearse(await runProgram(), { workers: true });
        expect(broken(violations)).to.deep.equal([]);
        expect(text).to.match(/! two at work +(\S+) starts while (?!\1)\S+ is at work/);
        expect(atWork(text)).to.match(/^1\d starts, two at once \d+ times, [\d.]+ s in all/);
    });

    for (const seed of [undefined, 1]) {
        const day = seed === undefined ? "the scripted day" : `a random day (${seed})`;
        it(`never run two at once, with a handoverSeconds by the rule: ${day}`, async () => {
            const program = await runProgram({ config: paused });
            const { text, violations } = await rehearse(program, { seed, workers: true, settings: paused });
            expect(broken(violations)).to.deep.equal([]);
            expect(atWork(text)).to.match(/^\d+ starts?, (never two at once|two at once .*, all after an operator's)/s);
        });
    }

    it("show a function that skips the pause", async () => {
        const program = await runProgram({ config: paused });
        const functionText = program.functionText.replace("sleep(pauseMillis)", "sleep(0)");
        expect(functionText).to.not.equal(program.functionText);
        const { violations, status, text } = await rehearse(
            { ...program, functionText },
            { workers: true, settings: paused },
        );
        expect(broken(violations)).to.have.length.above(0);
        expect(text).to.include(`\n  ${rule}\n`);
        expect(status).to.equal(1);
    });
});
