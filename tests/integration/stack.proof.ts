// The program on every Node.js that it supports, from npm, under Pulumi's own language host: a second `up` from another machine
// changes nothing. Part of `npm run proof`; needs the npm registry.
import { rmSync } from "node:fs";
import { expect } from "chai";
import { everything, functionTextOf, namesIn, type Run, runAsCli, urnsIn } from "./engine";
import { install, nodeIn, nodePackage } from "./npm";

describe("Under Pulumi's language host the program", () => {
    const folders: string[] = [];
    let up: Run;

    before(async () => {
        up = await runAsCli({ config: everything });
        expect(up.errors).to.equal("");
    });
    after(() => {
        for (const folder of folders) {
            rmSync(folder, { recursive: true, force: true });
        }
    });

    for (const version of ["20", "22", "24"]) {
        it(`registers the same on Node.js ${version}, and the same function byte for byte`, async () => {
            const folder = await install(nodePackage(version));
            folders.push(folder);
            const again = await runAsCli({ config: everything, node: nodeIn(folder) });
            expect(again.status).to.equal(0);
            expect(urnsIn(again)).to.have.members(urnsIn(up));
            expect(functionTextOf(again)).to.be.a("string").that.equals(functionTextOf(up));
        });
    }

    it("gives nothing a name that a stack of the same name, of a project with another name, gives in the same account", async () => {
        const other = await runAsCli({ config: everything, project: "shop-leaders" });
        expect(other.registrations).to.have.length(up.registrations.length);
        expect(namesIn(up).filter((name) => namesIn(other).includes(name))).to.deep.equal([]);
    });
});
