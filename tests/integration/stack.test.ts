// A stack's life under Pulumi's own language host, as the CLI drives it: a preview, an update, an update from elsewhere.
import { expect } from "chai";
import { copyOfProgram } from "../simulator/folder";
import { everything } from "../simulator/stack/program";
import { functionTextOf, type Run, runAsCli, urnsIn } from "./engine";

/** Keys that the CLI hands on though no program declares them: from `pulumi new`, and from before the project was renamed. */
const foreign = { "pulumi:tags": '{"pulumi:template":"asg-leader-election"}', "old-name:asgPrefix": "other-" };

describe("Under Pulumi's language host the program", () => {
    let up: Run;

    before(async () => {
        up = await runAsCli({ config: { ...everything, ...foreign } });
        expect(up.errors).to.equal("");
    });

    it("registers nothing twice, and exports its outputs", () => {
        expect(up.status).to.equal(0);
        expect(new Set(urnsIn(up)).size).to.equal(up.registrations.length);
        expect(up.registrations.map(({ type }) => type)).to.include("aws:cloudwatch/dashboard:Dashboard");
        expect(up.outputs).to.include.keys("leadersCommand");
    });

    it("registers the same in a preview, from another folder, and the same function byte for byte", async () => {
        const preview = await runAsCli({
            config: { ...everything, ...foreign },
            preview: true,
            folder: copyOfProgram(),
        });
        expect(preview.errors).to.equal("");
        expect(preview.status).to.equal(0);
        expect(urnsIn(preview)).to.have.members(urnsIn(up));
        expect(functionTextOf(preview)).to.be.a("string").that.equals(functionTextOf(up));
    });
});
