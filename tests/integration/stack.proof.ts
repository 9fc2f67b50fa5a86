// The program on every Node.js that it supports, from npm, under Pulumi's own language host: a second `up` from another machine
// changes nothing. Part of `npm run proof`; needs the npm registry.
import { expect } from "chai";
import { everything } from "../simulator/stack/program";
import { functionTextOf, type Run, runAsCli, urnsIn } from "./engine";
import { install, nodeIn, nodePackage } from "./npm";

describe("Under Pulumi's language host the program", () => {
    let up: Run;

    before(async () => {
        up = await runAsCli({ config: everything });
        expect(up.errors).to.equal("");
    });

    for (const version of ["20", "22", "24"]) {
        it(`registers the same on Node.js ${version}, and the same function byte for byte`, async () => {
            const folder = await install(nodePackage(version));
            const again = await runAsCli({ config: everything, node: nodeIn(folder) });
            expect(again.status).to.equal(0);
            expect(urnsIn(again)).to.have.members(urnsIn(up));
            expect(functionTextOf(again)).to.be.a("string").that.equals(functionTextOf(up));
        });
    }
});
