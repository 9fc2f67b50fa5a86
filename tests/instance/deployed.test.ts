// What is deployed around leader-only: the folder for Elastic Beanstalk, and the veto. Everything is copied as the README
// says and runs as it is, in a folder in place of /, beside stand-ins for dnf, systemctl, the AWS CLI, get-config and metadata.
import { spawn, spawnSync } from "node:child_process";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    renameSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Document } from "../integration/readme/document";
import { followerTags, instanceId, leaderTags, Metadata, region } from "../simulator/metadata";
import { root } from "../simulator/stack/program";
import { withTool } from "../tools";
import { outcomeOf, script } from "./machine";
import { callsIn, folderWith, standIn } from "./stand-in";

const folder = join(root, "election", "instance");
const recipe = new Document("README.md").shellBlock("election/instance/beanstalk/.").text;
const hook = ".platform/hooks/postdeploy/50_leader.sh";

const declareTests = () =>
    describe("what is deployed with leader-only", () => {
        /** Stands for / of an instance; the application's bundle is in its place. */
        let disk: string;
        let bundle: string;
        let metadata: Metadata;

        beforeEach(async () => {
            disk = mkdtempSync(join(tmpdir(), "leader-disk-"));
            bundle = join(disk, "var/app/current");
            const folders =
                "tools usr/local/bin etc/cron.d etc/systemd/system opt/elasticbeanstalk/bin var/app/current";
            for (const name of folders.split(" ")) {
                mkdirSync(join(disk, name), { recursive: true });
            }
            expect(spawnSync("sh", ["-ec", recipe.replace("../my-app", bundle)], { cwd: root }).status).to.equal(0);
            for (const name of readdirSync(join(bundle, "leader"))) {
                edit(name, placed);
            }
            metadata = await Metadata.start(leaderTags);
            for (const tool of ["systemctl", "aws", "php", "sleep"]) {
                replace(tool);
            }
            replace("dnf", `ln -s /bin/true "${disk}/tools/crond"`);
            replace("logger", `cat >"${disk}/logged"`);
            // Without webapp on this machine nothing can become that user; the rest of the command line is run.
            replace("setpriv", 'while [ "$1" != env ]; do shift; done; exec "$@"');
            getConfig(`cat <<'END'\n${JSON.stringify(properties)}\nEND`);
        });
        afterEach(() => {
            metadata.stop();
            rmSync(disk, { recursive: true });
        });

        const properties = { APP_KEY: "base64:a=b", GREETING: 'it\'s "so"\n  $HOME `id`', EMPTY: "" };
        const getConfig = (body: string) => standIn(join(disk, "opt/elasticbeanstalk/bin"), "get-config", body);

        const replace = (tool: string, body?: string) => standIn(join(disk, "tools"), tool, body, join(disk, "calls"));
        const calls = (tool: string): string[] =>
            callsIn(join(disk, "calls")).flatMap(([name, ...args]) =>
                name === tool ? [[name, ...args].join(" ")] : [],
            );

        /** The instance's paths stand for those below the folder. */
        const placed = (content: string) =>
            content
                .replaceAll(
                    /(?<![\w.])\/(usr\/local\/bin|etc\/(cron\.d|systemd\/system)|opt\/elasticbeanstalk|var\/app)\b/g,
                    `${disk}/$1`,
                )
                .replaceAll(":/usr/bin:/bin", `:${disk}/tools:/usr/bin:/bin`);

        function edit(name: string, change: (content: string) => string): void {
            const path = join(bundle, "leader", name);
            writeFileSync(path, change(readFileSync(path, "utf8")));
        }

        const installed = (path: string) => readFileSync(join(disk, path), "utf8");

        async function run(command: string, env: Record<string, string> = {}) {
            const child = spawn("/bin/sh", ["-c", command], {
                cwd: bundle,
                env: {
                    PATH: `${disk}/tools:${disk}/usr/local/bin:${process.env.PATH}`,
                    AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint,
                    ...env,
                },
                stdio: ["ignore", "pipe", "pipe"],
            });
            const { status, stdout, stderr } = await outcomeOf(child);
            return { status, stdout, stderr };
        }

        /** Deploys, and gives what the hook said; it never fails. */
        async function deploy(env: Record<string, string> = {}): Promise<string> {
            const { status, stdout, stderr } = await run(hook, env);
            expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "" });
            return stderr;
        }

        describe("the folder for Elastic Beanstalk", () => {
            it("installs the script and the cron table, and cron where there is none", async () => {
                for (const _ of ["the first deployment", "the next one"]) {
                    expect(await deploy()).to.equal("");
                    expect(installed("usr/local/bin/leader-only")).to.equal(placed(readFileSync(script, "utf8")));
                    expect(statSync(join(disk, "usr/local/bin/leader-run")).mode & 0o777).to.equal(0o755);
                    expect(statSync(join(disk, "etc/cron.d/leader")).mode & 0o777).to.equal(0o644);
                    expect(calls("dnf")).to.have.length(1);
                    expect(calls("systemctl").at(-1)).to.equal("systemctl enable --now crond");
                }
                expect(calls("aws")).to.deep.equal([]);
            });

            it("does after a change of properties what it does after a deployment", () => {
                const other = hook.replace("hooks", "confighooks");
                expect(readFileSync(join(bundle, other))).to.deep.equal(readFileSync(join(bundle, hook)));
                expect(statSync(join(bundle, other)).mode & 0o111, "executable").to.equal(0o111);
            });

            it("tries dnf again while another process holds RPM's lock, but not for ever", async () => {
                const held = 'echo "RPM: error: can\'t create transaction lock on /var/lib/rpm/.rpm.lock" >&2; exit 1';
                const tries = `[ "$(grep -c ^dnf "${disk}/calls")" -gt 2 ] || { ${held}; }`;
                replace("dnf", `${tries}\nln -s /bin/true "${disk}/tools/crond"`);
                expect(await deploy()).to.not.include("leader:");
                expect(calls("dnf")).to.have.length(3);
                rmSync(join(disk, "tools/crond"));
                replace("dnf", held);
                edit("install", (content) => content.replace("-lt 120", "-lt 1"));
                replace("sleep", 'exec /bin/sleep "0.$1"');
                expect(await deploy()).to.match(/^leader: cron can't be started/m);
            });

            withTool("crontab", () =>
                it("gives the cron table its last newline, and takes carriage returns out of all: cron takes it", async () => {
                    for (const name of [...readdirSync(join(bundle, "leader")), join("..", hook)]) {
                        edit(name, (content) => content.trimEnd().replaceAll("\n", "\r\n"));
                    }
                    expect(await deploy()).to.equal("");
                    const table = installed("etc/cron.d/leader");
                    expect(table).to.not.include("\r");
                    // crontab checks a user's table, which doesn't name the user.
                    const check = (input: string) => spawnSync("crontab", ["-n", "-"], { input, encoding: "utf8" });
                    const { status, stderr } = check(table.replace("* root ", "* "));
                    expect(status, stderr).to.equal(0);
                    expect(check(table.replace("* root ", "* ").trimEnd()).status).to.equal(1);
                }),
            );

            it("installs a worker only when its example is renamed, and takes away what the next version doesn't have", async () => {
                await deploy();
                expect(readdirSync(join(disk, "etc/systemd/system"))).to.deep.equal([]);
                const unit = join(bundle, "leader/worker.service");
                renameSync(`${unit}.example`, unit);
                expect(await deploy()).to.equal("");
                expect(existsSync(join(disk, "usr/local/bin/leader-while"))).to.equal(true);
                expect(installed("etc/systemd/system/leader-worker.service")).to.equal(readFileSync(unit, "utf8"));
                expect(calls("systemctl").slice(-3)).to.deep.equal([
                    "systemctl daemon-reload",
                    "systemctl enable leader-worker",
                    "systemctl restart leader-worker",
                ]);
                rmSync(unit);
                rmSync(join(bundle, "leader/cron"));
                expect(await deploy()).to.equal("");
                expect(readdirSync(join(disk, "etc/cron.d"))).to.deep.equal([]);
                expect(readdirSync(join(disk, "etc/systemd/system"))).to.deep.equal([]);
                expect(calls("systemctl")).to.include("systemctl disable --now leader-worker");
            });

            it("turns metadata's tags on for its own instance, where the list of them is missing or empty, past any proxy", async () => {
                const proxy = { http_proxy: "http://127.0.0.1:9", ALL_PROXY: "http://127.0.0.1:9" };
                for (const tags of [undefined, {}]) {
                    metadata.tags = tags;
                    rmSync(join(disk, "calls"), { force: true });
                    expect(await deploy(proxy)).to.equal("");
                    const options = `--region ${region} --instance-id ${instanceId} --instance-metadata-tags enabled `;
                    expect(calls("aws")[0]).to.include(`ec2 modify-instance-metadata-options ${options}`);
                }
            });

            const noCron = "cron can't be started, so leader/cron doesn't run";
            const noWorker = "the worker can't be started";
            const noTags =
                "this instance's metadata doesn't show tags; leader-only says if it can't find out without them";
            const spoil = (body: string) => ["dnf", "systemctl", "aws"].map((tool) => replace(tool, body));
            const faults: Record<string, [() => unknown, string[]]> = {
                "metadata hangs": [() => (metadata.instead = { "*": "hangs" }), [noTags]],
                "metadata fails": [() => (metadata.instead = { "*": { status: 500 } }), [noTags]],
                "every command hangs": [() => spoil("exec /bin/sleep 1000"), [noCron, noWorker, noTags]],
                "every command fails": [() => spoil("exit 1"), [noCron, noWorker, noTags]],
                "leader-only is missing": [
                    () => rmSync(join(bundle, "leader/leader-only")),
                    ["leader-only is missing in the folder leader of the source bundle"],
                ],
                "a file can't be written": [
                    () => rmSync(join(disk, "etc/cron.d"), { recursive: true }),
                    ["can't install /etc/cron.d/leader"],
                ],
            };
            for (const [fault, [cause, says]] of Object.entries(faults)) {
                it(`says so and goes on where ${fault}`, async () => {
                    metadata.tags = undefined;
                    renameSync(join(bundle, "leader/worker.service.example"), join(bundle, "leader/worker.service"));
                    const hasty = (limits: string) =>
                        limits.replaceAll(/timeout .*?\d\d+/g, "timeout 0.2").replace("-lt 120", "-lt 1");
                    edit("install", fault.includes("command") ? hasty : (content) => content);
                    cause();
                    const said = (await deploy())
                        .match(/^leader: .*/gm)
                        ?.map((line) => line.slice("leader: ".length).replace(disk, ""));
                    expect(said).to.deep.equal(says);
                    expect(existsSync(join(disk, "etc/systemd/system/leader-worker.service"))).to.equal(true);
                });
            }

            it("says so and goes on without the AWS CLI", async () => {
                metadata.tags = undefined;
                rmSync(join(bundle, "leader/cron"));
                const PATH = folderWith(disk, "sh", "tr", "dirname", "awk", "install", "rm", "curl");
                expect(await deploy({ PATH })).to.match(/^leader: the AWS CLI is not installed$/m);
            });

            it("runs commands with the environment's properties, in the application's folder, as its user", async () => {
                await deploy();
                const { status, stdout } = await run("leader-run sh -c 'pwd; env -0'");
                expect(status).to.equal(0);
                const [pwd, ...rest] = stdout.split("\n");
                expect(pwd).to.equal(bundle);
                const seen = rest
                    .join("\n")
                    .split("\0")
                    .map((line) => line.split(/=(.*)/s));
                expect(Object.fromEntries(seen)).to.deep.include(properties);
                expect(calls("setpriv")[0]).to.include(
                    "setpriv --reuid webapp --regid webapp --init-groups env HOME=/",
                );
            });

            it("runs them without properties too: silently where there are none, and says so where they can't be read", async () => {
                await deploy();
                getConfig("echo '{}'");
                expect(await run("leader-run echo ran")).to.deep.equal({ status: 0, stdout: "ran\n", stderr: "" });
                for (const fault of ["exit 1", "echo nonsense"]) {
                    getConfig(fault);
                    const { status, stdout, stderr } = await run("leader-run echo ran");
                    expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "ran\n" });
                    expect(stderr).to.include("get-config failed, so echo runs without the environment's properties");
                }
            });

            it("has cron run its command on the leader only, and its output logged", async () => {
                await deploy();
                const command = String(installed("etc/cron.d/leader").match(/^\* \* \* \* \* root (.*)$/m)?.[1]);
                metadata.tags = followerTags;
                await run(command);
                expect(calls("php")).to.deep.equal([]);
                metadata.tags = leaderTags;
                replace("php", 'echo "scheduled with $APP_KEY"; echo failed >&2');
                await run(command);
                expect(calls("php")).to.deep.equal(["php artisan schedule:run"]);
                expect(calls("logger").at(-1)).to.equal("logger -t leader-cron");
                expect(installed("logged")).to.equal("scheduled with base64:a=b\nfailed\n");
            });
        });

        describe("the veto", () => {
            const veto = join(folder, "leader-veto");

            it("is set on this instance, and taken off", async () => {
                for (const command of [`'${veto}' false`, `'${veto}' true`, `LEADER_TAG=a,b=c '${veto}' false`]) {
                    expect((await run(command)).status).to.equal(0);
                }
                const place = `--region ${region} --resources ${instanceId} --tags`;
                expect(calls("aws").map((call) => call.replace(/ --cli-.*/, ""))).to.deep.equal([
                    `aws ec2 create-tags ${place} [{"Key":"app:isLeader:eligible","Value":"false"}]`,
                    `aws ec2 delete-tags ${place} [{"Key":"app:isLeader:eligible"}]`,
                    `aws ec2 create-tags ${place} [{"Key":"a,b=c:eligible","Value":"false"}]`,
                ]);
            });

            it("says in one line what is missing, and does nothing then", async () => {
                expect((await run(`'${veto}'`)).status).to.equal(2);
                for (const [missing, tools] of Object.entries({ curl: ["sed"], aws: ["sed", "curl"] })) {
                    const outcome = await run(`exec /bin/sh '${veto}' false`, { PATH: folderWith(disk, ...tools) });
                    const stderr = `leader-veto: ${missing} is not installed\n`;
                    expect(outcome).to.deep.equal({ status: 1, stdout: "", stderr });
                }
                metadata.instead = { "*": { status: 500 } };
                const { status, stderr } = await run(`'${veto}' false`);
                expect(status).to.equal(1);
                expect(stderr).to.include("leader-veto: instance metadata gives no answer");
                expect(calls("aws")).to.deep.equal([]);
            });
        });

        withTool("shellcheck", () =>
            it("shellcheck finds no fault with the scripts as POSIX shell scripts", () => {
                const deployed = ["leader/install", "leader/run", hook].map((path) => join("beanstalk", path));
                const files = ["leader-only", "leader-while", "leader-veto", ...deployed];
                const { status, stdout } = spawnSync("shellcheck", ["--shell=sh", ...files], {
                    cwd: folder,
                    encoding: "utf8",
                });
                expect({ status, stdout }).to.deep.equal({ status: 0, stdout: "" });
            }),
        );
    });

withTool("curl", declareTests);
