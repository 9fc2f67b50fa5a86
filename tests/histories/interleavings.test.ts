// Two electors at once: two stacks over one group, or a batch that came back while the first was still under way.
import { expect } from "chai";
import { theProgram } from "./history";
import { explore, starts } from "./interleaving";

describe("Two electors of one group of two instances", () => {
    it("leave one leader, as the decision table says, however they start and in whatever order their calls come", async function () {
        this.timeout(0);
        const { runs, failures } = await explore(await theProgram(), starts);
        expect(failures).to.deep.equal([]);
        expect(runs).to.be.greaterThan(starts.length);
    });
});
