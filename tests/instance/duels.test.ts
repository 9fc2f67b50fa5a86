// Random runs of leader-while on two instances: with handoverSeconds by the rule never two works at once, no process
// is left behind, every loss of the lead ends the work in every + grace + wait. LEADER_ONLY_RUNS tries more.
import { randomInt } from "node:crypto";
import { expect } from "chai";
import { duels } from "./duel";
import { hasNamespaces, useMachine } from "./machine";
import { leaderTags } from "./metadata";

// A few, always the same, unless more are asked for: npm test must pass every time.
const runs = Number(process.env.LEADER_ONLY_RUNS ?? 5);
const seed = Number(process.env.SEED ?? (process.env.LEADER_ONLY_RUNS ? randomInt(2 ** 30) : 1));

describe("leader-while on two instances", function () {
    this.timeout(60_000 + runs * 5_000);

    const machine = useMachine(leaderTags);

    before(function () {
        // `tools.test.ts` says so.
        if (!hasNamespaces) {
            this.skip();
        }
    });

    it(`has one at work at a time, and leaves nothing behind, in ${runs} random runs (SEED=${seed})`, async () => {
        const reports = await duels(seed, runs, { PATH: machine.tools, HOME: machine.directory });
        const failed = reports.filter(({ violations }) => violations.length > 0);
        const messages = failed.map(({ seed, violations, story }) =>
            [`SEED=${seed}`, ...violations, ...story].join("\n    "),
        );
        expect(messages.join("\n\n"), `${failed.length} runs failed`).to.equal("");
        expect(reports.length).to.equal(runs);
        expect(reports.reduce((sum, { starts }) => sum + starts, 0)).to.be.above(runs / 2);
    });
});
