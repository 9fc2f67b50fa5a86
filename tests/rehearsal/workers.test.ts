// The workers of the rehearsal: two run at once without a pause, never with one that is long enough, and a function that
// skips it is found.
import { expect } from "chai";
import { runProgram } from "../simulator/stack/program";
import { rehearse } from "./rehearsal";
import { longestStop } from "./workers";

const paused = { handoverSeconds: String(longestStop) };
const atWork = (text: string): string => text.match(/^ {2}workers +(.*(?:\n {20}.*)*)/m)?.[1] ?? "";

describe("the rehearsal's workers", () => {
    it("start with their leaders, and run two at once where there is no pause", async () => {
        const { text, violations } = await rehearse(await runProgram(), { workers: true });
        expect(violations).to.deep.equal([]);
        expect(text).to.match(/! two at work +(\S+) starts while (?!\1)\S+ is at work/);
        expect(atWork(text)).to.match(/^1\d starts, two at once \d times, [\d.]+ s in all/);
    });

    it("show a function that skips the pause", async () => {
        const program = await runProgram({ config: paused });
        const functionText = program.functionText.replace(/handoverSeconds: 18\b/, "handoverSeconds: 0");
        expect(functionText).to.not.equal(program.functionText);
        const { violations, status, text } = await rehearse(
            { ...program, functionText },
            { workers: true, settings: paused },
        );
        expect(violations.map(({ rule }) => rule)).to.include("no two workers at once");
        expect(text).to.include("\n  no two workers at once\n");
        expect(status).to.equal(1);
    });
});
