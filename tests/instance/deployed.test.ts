// What is deployed around leader-only: the folder for Elastic Beanstalk, systemd's units, the veto.
// Everything runs as it is, against stand-ins for dnf, systemctl, the AWS CLI and metadata, in a folder in place of /.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
    cpSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { parse } from "yaml";
import { root } from "../simulator/stack/program";
import { find, insist, script } from "./machine";
import { followerTags, instanceId, leaderTags, Metadata, region } from "./metadata";

const instanceFolder = join(root, "election", "instance");
const folder = join(instanceFolder, "beanstalk");
const hooks = { tags: ".platform/hooks/prebuild/50_leader_tags.sh", leader: ".platform/hooks/postdeploy/50_leader.sh" };

describe("what is deployed with leader-only", function () {
    this.timeout(60_000);

    /** Stands for / of an instance; the application's bundle is in its place. */
    let disk: string;
    let metadata: Metadata;

    beforeEach(async () => {
        disk = mkdtempSync(join(tmpdir(), "leader-disk-"));
        for (const name of ["tools", "usr/local/bin", "etc/cron.d", "etc/systemd/system", "opt/elasticbeanstalk/bin"]) {
            mkdirSync(join(disk, name), { recursive: true });
        }
        cpSync(folder, join(disk, "var/app/current"), { recursive: true });
        cpSync(script, join(disk, "var/app/current/leader/leader-only"));
        metadata = await Metadata.start(leaderTags);
        for (const tool of ["dnf", "systemctl", "aws", "php", "logger"]) {
            standIn(tool);
        }
        // Without webapp on this machine nothing can become that user; the rest of the command line is run.
        standIn("setpriv", 'while [ "$1" != env ]; do shift; done; exec "$@"');
    });
    afterEach(() => {
        metadata.stop();
        rmSync(disk, { recursive: true });
    });

    function standIn(tool: string, body = ""): void {
        const note = `{ printf '%s\\0' ${tool} "$@"; echo; } >>"${disk}/calls"`;
        writeFileSync(join(disk, "tools", tool), `#!/bin/sh\n${note}\n${body}\n`, { mode: 0o755 });
    }

    function calls(tool: string): string[][] {
        const file = join(disk, "calls");
        const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
        return lines.map((line) => line.split("\0").slice(0, -1)).filter(([name]) => name === tool);
    }

    /** The instance's paths stand for those below the folder. */
    const placed = (content: string) =>
        content.includes(disk)
            ? content
            : content
                  .replaceAll(
                      /\/(usr\/local\/bin|etc\/cron\.d|etc\/systemd\/system|opt\/elasticbeanstalk|var\/app)\b/g,
                      `${disk}/$1`,
                  )
                  .replaceAll("/usr/bin:/bin", `${disk}/tools:/usr/bin:/bin`);

    async function run(content: string, shell = "bash") {
        const child = spawn(shell, ["-c", placed(content)], {
            cwd: join(disk, "var/app/current"),
            env: {
                PATH: `${disk}/tools:${disk}/usr/local/bin:${process.env.PATH}`,
                AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint,
            },
            stdio: ["ignore", "pipe", "pipe"],
        });
        const [stdout, stderr, [status]] = await Promise.all([
            text(child.stdout),
            text(child.stderr),
            once(child, "close"),
        ]);
        return { status, stdout, stderr };
    }

    const hook = (path: string) => run(readFileSync(join(folder, path), "utf8"));

    /** Installs what the hook installs, with this folder's paths in it. */
    async function deploy(): Promise<void> {
        for (const name of ["cron", "run", "worker.service"]) {
            const path = join(disk, "var/app/current/leader", name);
            writeFileSync(path, placed(readFileSync(path, "utf8")));
        }
        const outcome = await hook(hooks.leader);
        expect(outcome).to.deep.equal({ status: 0, stdout: "", stderr: "" });
    }

    const properties = { APP_KEY: "base64:a=b", GREETING: 'it\'s "so"\n  $HOME `id`', EMPTY: "" };
    const getConfig = () =>
        writeFileSync(
            join(disk, "opt/elasticbeanstalk/bin/get-config"),
            `#!/bin/sh\n[ "$*" = environment ] && cat <<'END'\n${JSON.stringify(properties)}\nEND\n`,
            { mode: 0o755 },
        );

    describe("the folder for Elastic Beanstalk", () => {
        it("installs cron where there is none, and starts it", async () => {
            const { commands } = parse(readFileSync(join(folder, ".ebextensions/leader.config"), "utf8"));
            const { test, command } = commands["01_cron"];
            await run(`if ${test}; then ${command}; fi; ${commands["02_cron_runs"].command}`);
            expect(calls("dnf")).to.deep.equal([["dnf", "install", "-y", "cronie"]]);
            expect(calls("systemctl")).to.deep.equal([["systemctl", "enable", "--now", "crond"]]);
            standIn("crond");
            await run(`if ${test}; then ${command}; fi`);
            expect(calls("dnf")).to.have.length(1);
        });

        it("turns metadata tags on for the instance, once", async () => {
            metadata.tags = undefined;
            expect((await hook(hooks.tags)).status).to.equal(0);
            const [[, ...words]] = calls("aws");
            expect(words.join(" ")).to.equal(
                `ec2 modify-instance-metadata-options --region ${region} --instance-id ${instanceId} --instance-metadata-tags enabled`,
            );
            metadata.tags = followerTags;
            expect((await hook(hooks.tags)).status).to.equal(0);
            expect(calls("aws")).to.have.length(1);
        });

        it("doesn't fail a deployment because it may not turn them on", async () => {
            metadata.tags = undefined;
            standIn("aws", "exit 254");
            const { status, stderr } = await hook(hooks.tags);
            expect(status).to.equal(0);
            expect(stderr).to.include("metadata doesn't show tags");
        });

        it("installs the script, the cron table and the worker, and again with each deployment", async () => {
            for (const _ of [1, 2]) {
                await deploy();
                expect(readFileSync(join(disk, "usr/local/bin/leader-only"))).to.deep.equal(readFileSync(script));
                expect(statSync(join(disk, "usr/local/bin/leader-run")).mode & 0o777).to.equal(0o755);
                expect(statSync(join(disk, "etc/cron.d/leader")).mode & 0o777).to.equal(0o644);
                expect(existsSync(join(disk, "etc/systemd/system/leader-worker.service"))).to.equal(true);
            }
            expect(calls("systemctl").slice(-3)).to.deep.equal([
                ["systemctl", "daemon-reload"],
                ["systemctl", "enable", "leader-worker"],
                ["systemctl", "restart", "leader-worker"],
            ]);
        });

        it("takes away what the next version doesn't have", async () => {
            await deploy();
            rmSync(join(disk, "var/app/current/leader/worker.service"));
            rmSync(join(disk, "var/app/current/leader/cron"));
            expect((await hook(hooks.leader)).status).to.equal(0);
            expect(readdirSync(join(disk, "etc/cron.d"))).to.deep.equal([]);
            expect(readdirSync(join(disk, "etc/systemd/system"))).to.deep.equal([]);
            expect(calls("systemctl")).to.deep.include(["systemctl", "disable", "--now", "leader-worker"]);
        });

        it("does after a change of properties what it does after a deployment", () => {
            const again = join(folder, hooks.leader.replace("hooks", "confighooks"));
            expect(readFileSync(again)).to.deep.equal(readFileSync(join(folder, hooks.leader)));
            for (const path of [hooks.tags, hooks.leader, "leader/run"]) {
                expect(statSync(join(folder, path)).mode & 0o777, path).to.equal(0o755);
            }
        });

        it("runs commands with the environment's properties, in the application's folder, as its user", async () => {
            getConfig();
            await deploy();
            const { status, stdout } = await run("leader-run sh -c 'pwd; env -0'");
            expect(status).to.equal(0);
            const [pwd, ...rest] = stdout.split("\n");
            expect(pwd).to.equal(join(disk, "var/app/current"));
            const seen = rest
                .join("\n")
                .split("\0")
                .map((line) => line.split(/=(.*)/s));
            expect(Object.fromEntries(seen)).to.deep.include(properties);
            expect(calls("setpriv")[0].slice(1, 6)).to.deep.equal([
                "--reuid",
                "webapp",
                "--regid",
                "webapp",
                "--init-groups",
            ]);
        });

        it("runs no command without the properties", async () => {
            await deploy();
            const { status, stderr } = await run("leader-run php");
            expect(status).to.equal(1);
            expect(stderr).to.include("no environment properties");
            expect(calls("php")).to.deep.equal([]);
        });

        it("has cron run its command on the leader only, and its output logged", async () => {
            getConfig();
            await deploy();
            const table = readFileSync(join(disk, "etc/cron.d/leader"), "utf8");
            const [, command] = table.match(/^\* \* \* \* \* root (.*)$/m) ?? [];
            metadata.tags = followerTags;
            expect((await run(command, "sh")).status).to.equal(0);
            expect(calls("php")).to.deep.equal([]);
            metadata.tags = leaderTags;
            standIn("logger", `cat >"${disk}/logged"`);
            standIn("php", "echo scheduled; echo failed >&2");
            await run(command, "sh");
            expect(calls("php")).to.deep.equal([["php", "artisan", "schedule:run"]]);
            expect(calls("logger").at(-1)).to.deep.equal(["logger", "-t", "leader-cron"]);
            expect(readFileSync(join(disk, "logged"), "utf8")).to.equal("scheduled\nfailed\n");
        });

        it("has a worker that runs on the leader", async () => {
            getConfig();
            await deploy();
            const unit = readFileSync(join(disk, "etc/systemd/system/leader-worker.service"), "utf8");
            const [, command] = unit.match(/^ExecStart=(.*)$/m) ?? [];
            standIn("php", "exit 3");
            const { status, stderr } = await run(command.replace("--every 5", "--every 0.1"), "sh");
            expect(status).to.equal(3);
            expect(stderr).to.match(/starts php: this instance leads/);
            expect(calls("php")).to.deep.equal([["php", "artisan", "queue:work"]]);
        });
    });

    describe("the veto", () => {
        const veto = join(instanceFolder, "leader-veto");
        const key = "app:isLeader:eligible";

        it("is set on this instance, and taken off", async () => {
            expect((await run(`'${veto}' false`)).status).to.equal(0);
            expect((await run(`'${veto}' true`)).status).to.equal(0);
            expect((await run(`LEADER_TAG=a,b=c '${veto}' false`)).status).to.equal(0);
            const words = calls("aws").map(([, , command, ...options]) => [command, ...options]);
            const place = ["--region", region, "--resources", instanceId, "--tags"];
            expect(words).to.deep.equal([
                ["create-tags", ...place, JSON.stringify([{ Key: key, Value: "false" }])],
                ["delete-tags", ...place, JSON.stringify([{ Key: key }])],
                ["create-tags", ...place, JSON.stringify([{ Key: "a,b=c:eligible", Value: "false" }])],
            ]);
        });

        it("does nothing without a word that it knows, or without metadata", async () => {
            expect((await run(`'${veto}'`)).status).to.equal(2);
            metadata.instead = { "*": { status: 500 } };
            expect((await run(`'${veto}' false`)).status).to.be.above(0);
            expect(calls("aws")).to.deep.equal([]);
        });
    });

    it("shellcheck finds no fault with the scripts", function () {
        insist(this, "shellcheck");
        const files = [...Object.values(hooks), "leader/run"].map((path) => join(folder, path));
        const { status, stdout } = spawnSync("shellcheck", [...files, join(instanceFolder, "leader-veto")], {
            encoding: "utf8",
        });
        expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "" });
    });

    it("systemd finds no fault with the units, and they end what leader-only leaves", function () {
        const units = [
            join(instanceFolder, "systemd", "leader-worker.service"),
            join(instanceFolder, "systemd", "leader-drain@.service"),
            join(folder, "leader", "worker.service"),
        ];
        for (const unit of units.filter((path) => path.includes("worker"))) {
            const content = readFileSync(unit, "utf8");
            expect(content)
                .to.match(/^Restart=always$/m)
                .and.to.match(/^KillMode=mixed$/m);
            const grace = Number(content.match(/--grace (\d+)/)?.[1]);
            expect(Number(content.match(/^TimeoutStopSec=(\d+)$/m)?.[1])).to.be.above(grace + 3);
        }
        if (!find("systemd-analyze")) {
            this.skip();
        }
        for (const unit of units) {
            const copy = join(disk, unit.split("/").at(-1) as string);
            writeFileSync(copy, readFileSync(unit, "utf8").replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
            const { status, stderr } = spawnSync("systemd-analyze", ["verify", copy], { encoding: "utf8" });
            expect({ status, stderr }, unit).to.deep.equal({ status: 0, stderr: "" });
        }
    });
});
