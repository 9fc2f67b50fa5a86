// The first script of the trial's instances, under a real shell: what it writes to the console when metadata changes.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { secondsUntilShown } from "../../../election/trial/console";
import { userData } from "../../../election/trial/fleet";
import { withTool } from "../../tools";

const tagKey = "app:isLeader";

describe("The first script of the trial's instances", function () {
    this.timeout(60_000);

    let folder: string;
    let metadata: Server;
    let tags: Record<string, string>;
    let token: string;
    let script: number | undefined;

    beforeEach(async () => {
        folder = mkdtempSync(join(tmpdir(), "console-"));
        writeFileSync(join(folder, "console"), "");
        [tags, token] = [{}, "first=="];
        metadata = createServer(({ method, url = "", headers }, response) => {
            const tag = tags[url.replace("/latest/meta-data/tags/instance/", "")];
            if (method === "PUT" && url === "/latest/api/token" && headers["x-aws-ec2-metadata-token-ttl-seconds"]) {
                response.end(token);
            } else if (headers["x-aws-ec2-metadata-token"] !== token) {
                response.writeHead(401).end("<h1>401 - Unauthorized</h1>");
            } else {
                response.writeHead(tag === undefined ? 404 : 200).end(tag ?? "<h1>404 - Not Found</h1>\n");
            }
        });
        await once(metadata.listen(0, "127.0.0.1"), "listening");
    });
    afterEach(() => {
        if (script !== undefined) {
            process.kill(-script, "SIGKILL");
        }
        metadata.close();
        metadata.closeAllConnections();
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
            .replace("http://169.254.169.254", `http://127.0.0.1:${(metadata.address() as AddressInfo).port}`)
            .replace("/dev/console", join(folder, "console"));
        const child = spawn("sh", ["-c", text], { detached: true, stdio: "ignore" });
        script = child.pid;
        await once(child, "exit"); // the script itself does not hold up the boot
        await until(() => lines().length === 1);
        const since = new Date().toISOString();
        tags = { [tagKey]: "True" };
        await until(() => lines().length === 2);
        token = "second=="; // the first one has expired
        tags = { [tagKey]: "false" };
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
