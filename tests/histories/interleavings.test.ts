// Two electors at once: two stacks over one group, or a batch that came back while the first was still under way.
// With STARTS=all every way to start is tried.
import { expect } from "chai";
import { theProgram } from "./history";
import { explore, starts } from "./interleaving";

// Every eleventh meets each condition and each beginning; the proof tries all.
const tried = starts.filter((_, index) => process.env.STARTS === "all" || index % 11 === 0);

describe("Two electors of one group of two instances", () => {
    it("leave one leader, as the decision table says, however they start and in whatever order their calls come", async function () {
        this.timeout(0);
        const { runs, failure } = await explore(await theProgram(), tried);
        expect(failure).to.equal(undefined);
        expect(runs).to.be.greaterThan(tried.length);
    });
});
