// The first script of the trial's instances, under a real shell: what it writes to the console when metadata changes.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { secondsUntilShown } from "../../../election/trial/console";
import { userData } from "../../../election/trial/fleet";
import { standIn } from "../../instance/stand-in";
import { Metadata } from "../../simulator/metadata";
import { tagKey } from "../../simulator/names";
import { find, withTool } from "../../tools";

describe("The first script of the trial's instances", () => {
    let folder: string;
    let metadata: Metadata;
    let script: number | undefined;

    beforeEach(async () => {
        folder = mkdtempSync(join(tmpdir(), "console-"));
        writeFileSync(join(folder, "console"), "");
        standIn(folder, "sleep", `exec ${find("sleep")} 0.05`); // for a second
        metadata = await Metadata.start({});
    });
    afterEach(() => {
        if (script !== undefined) {
            process.kill(-script, "SIGKILL");
        }
        metadata.stop();
        rmSync(folder, { recursive: true });
    });

    const lines = () => readFileSync(join(folder, "console"), "utf8").split("\n").slice(0, -1);
    const until = async (holds: () => boolean) => {
        while (!holds()) {
            await sleep(20);
        }
    };

    it("writes a line each time that the tag appears or goes, and none else", async () => {
        const text = userData(tagKey)
            .replace("http://169.254.169.254", metadata.endpoint)
            .replace("/dev/console", join(folder, "console"));
        const env = { ...process.env, PATH: [folder, process.env.PATH].join(delimiter) };
        const child = spawn("sh", ["-c", text], { env, detached: true, stdio: "ignore" });
        script = child.pid;
        await once(child, "exit"); // the script itself does not hold up the boot
        await until(() => lines().length === 1);
        const since = new Date().toISOString();
        metadata.tags = { [tagKey]: "True" };
        await until(() => lines().length === 2);
        metadata.token = "second=="; // the first one has expired
        metadata.tags = { [tagKey]: "false" };
        await until(() => lines().length === 3);
        expect(lines().map((line) => line.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/, "TIME"))).to.deep.equal([
            "leader-trial TIME absent",
            "leader-trial TIME shown",
            "leader-trial TIME absent",
        ]);
        expect(secondsUntilShown(lines().join("\r\n"), since)).to.be.a("number");
    });

    withTool("shellcheck", () =>
        it("is a POSIX shell script with which shellcheck finds no fault", () => {
            const { stdout, status } = spawnSync("shellcheck", ["-"], { input: userData(tagKey), encoding: "utf8" });
            expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "" });
        }),
    );
});
