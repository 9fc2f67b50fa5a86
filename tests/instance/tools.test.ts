// What the tests of leader-only and leader-while need: each tool that is missing is one pending test. Their other tests then
// run without it, or are left out.
import { spawnSync } from "node:child_process";
import { expect } from "chai";
import { find, hasNamespaces, insist, needed, script, whileScript } from "./machine";

describe("the tests of leader-only and leader-while", () => {
    for (const tool of needed.filter((tool) => tool !== "shellcheck" && tool !== "unshare")) {
        it(`are run with ${tool}`, function () {
            insist(this, tool);
        });
    }

    it("are run in a PID namespace, as in a container", function () {
        insist(this, "unshare", hasNamespaces);
    });

    it("include shellcheck, which finds no fault with either as a POSIX shell script", function () {
        insist(this, "shellcheck");
        const { status, stdout } = spawnSync(find("shellcheck") as string, ["--shell=sh", script, whileScript], {
            encoding: "utf8",
        });
        expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "" });
    });
});
