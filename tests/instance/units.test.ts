// The units and drop-ins, run by a genuine systemd: start, lead lost, a worker that fails, leader-while killed,
// a daemon that leaves its group, tasks in the background.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect } from "chai";
import { Document } from "../integration/readme/document";
import { followerTags, leaderTags, Metadata } from "../simulator/metadata";
import { root } from "../simulator/stack/program";
import { withTool } from "../tools";
import { isAlive, until } from "./processes";
import { linesOf, standIn } from "./stand-in";
import { SystemdManager } from "./systemd";

const folder = join(root, "election", "instance");
const readme = new Document("election/instance/README.md");
const unitFile = (path: string) => readFileSync(join(folder, path), "utf8");
const iniBlock = (part: string) => String(readme.blocks.find(({ text }) => text.includes(part))?.text);

// Each process of the work notes what it does: "start PID", "daemon PID", "end PID".
const work = `note() { echo "$*" >>"$NOTES"; }
note start $$
[ -z "\${FAILS-}" ] || exit 1
setsid sh -c 'trap "" TERM; echo "daemon $$" >>"$NOTES"; while :; do sleep 1; done' &
trap 'note end $$; exit 0' TERM
while :; do sleep 0.05; done
`;

const declareTests = () =>
    describe("the units under a genuine systemd", () => {
        const systemd = new SystemdManager();
        const services: Metadata[] = [];
        const calls = () => linesOf(join(systemd.disk, "aws"));

        before(async () => {
            await systemd.start();
            for (const name of ["leader-only", "leader-while", "leader-veto"]) {
                copyFileSync(join(folder, name), join(systemd.bin, name));
            }
            const scripts = {
                worker: work,
                "leader-run": `exec "${systemd.bin}/worker"`,
                // As Laravel starts a task in the background.
                php: `
sh -c '(until [ -e "$NOTES.go" ]; do sleep 0.1; done; echo "finished $1" >>"$NOTES") >/dev/null 2>&1 &'
echo "start $2" >>"$NOTES"
`,
                celery: `exec "${systemd.bin}/worker"`,
                // Its first call fails.
                aws: `echo "$*" >>"${systemd.disk}/aws"; [ "$(wc -l <"${systemd.disk}/aws")" -gt 1 ]`,
            };
            for (const [name, body] of Object.entries(scripts)) {
                standIn(systemd.bin, name, body);
            }
        });
        afterEach(() => {
            for (const service of services.splice(0)) {
                service.stop();
            }
        });
        after(() => systemd.stop());

        /** Another instance: its metadata, the environment of units on it, and what the work has noted there. */
        async function launch(name: string, tags: Record<string, string>, more: Record<string, string> = {}) {
            const metadata = await Metadata.start(tags);
            services.push(metadata);
            const file = join(systemd.disk, `${name}.notes`);
            const env = {
                PATH: `${systemd.bin}:${process.env.PATH}`,
                AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint,
                NOTES: file,
                ...more,
            };
            const notes = (word: string) => linesOf(file).flatMap((line) => line.match(`^${word} (.*)`)?.[1] ?? []);
            const pids = () => [...notes("start"), ...notes("daemon")].map(Number);
            const started = (times: number) =>
                until(
                    () => notes("start").length === times && notes("daemon").length === times,
                    () => linesOf(file),
                );
            const looked = async (times: number) => {
                const { length } = metadata.paths;
                await until(() => metadata.paths.length >= length + 4 * times);
            };
            return { metadata, env, notes, started, looked, alive: () => pids().filter(isAlive) };
        }

        /** The worker's unit, which looks and ends sooner than on an instance, and notes how it has ended. */
        const soon = (text: string) =>
            text
                .replace("--every 5 --grace 10", "--every 0.5 --grace 1")
                .replace(/RestartSec=\d+/, "RestartSec=0.1")
                .replace("Restart=", `ExecStopPost=/bin/sh -c 'echo "result $SERVICE_RESULT" >>"$NOTES"'\nRestart=`);
        const worker = soon(unitFile("systemd/leader-worker.service"));

        for (const path of ["systemd/leader-worker.service", "beanstalk/leader/worker.service.example"]) {
            it(`a worker starts with the lead, ends with its daemon when it is lost, and waits again: ${path}`, async () => {
                const { metadata, env, notes, started, looked, alive } = await launch(basename(path), followerTags);
                await systemd.install("lost.service", soon(unitFile(path)), env);
                await systemd.run("systemctl start lost");
                await looked(2);
                expect(notes("start")).to.deep.equal([]);
                for (const times of [1, 2]) {
                    metadata.tags = leaderTags;
                    await started(times);
                    metadata.tags = followerTags;
                    await until(() => alive().length === 0, alive);
                    expect(notes("end")).to.have.length(times);
                    await until(async () => (await systemd.show("lost", "NRestarts")) === String(times));
                }
                metadata.tags = leaderTags;
                await started(3);
                await systemd.run("systemctl stop lost");
                expect(alive()).to.deep.equal([]);
                expect(notes("end")).to.have.length(3);
                expect(notes("result")).to.deep.equal(["success", "success", "success"]);
            });
        }

        it("a worker ends with its daemon when leader-while is killed, and starts again", async () => {
            const { env, notes, started, alive } = await launch("killed", leaderTags);
            await systemd.install("killed.service", worker, env);
            await systemd.run("systemctl start killed");
            await started(1);
            const first = alive();
            expect(first).to.have.length(2);
            await systemd.signal("killed", "SIGKILL");
            await started(2);
            expect(first.filter(isAlive)).to.deep.equal([]);
            expect(notes("end")).to.deep.equal([]);
            await systemd.run("systemctl stop killed");
            expect(alive()).to.deep.equal([]);
        });

        it("a worker that fails again and again gives up the lead, and is put back as the README says", async () => {
            const { env, notes } = await launch("failing", leaderTags, { FAILS: "true" });
            await systemd.install("leader-drain@.service", soon(unitFile("systemd/leader-drain@.service")), env);
            await systemd.install("leader-worker.service", worker, env);
            await systemd.run("systemctl start leader-worker");
            await until(() => calls().length > 1);
            expect(calls()[1]).to.match(/^ec2 create-tags .*"app:isLeader:eligible","Value":"false"/);
            expect(await systemd.show("leader-worker", "ActiveState")).to.equal("failed");
            expect(notes("start")).to.have.length(5);

            await systemd.install("leader-worker.service", worker, { ...env, FAILS: "" });
            const { text } = readme.shellBlock("systemctl reset-failed");
            expect(await systemd.run(text, env)).to.deep.equal({ status: 0, output: "" });
            expect(calls()[2]).to.match(/^ec2 delete-tags /);
            await until(() => notes("daemon").length === 1);
            expect(await systemd.show("leader-worker", "ActiveState")).to.equal("active");
            await systemd.run("systemctl stop leader-worker");
        });

        const dropIns = { success: iniBlock("ExecStart=\n"), "exit-code": String(new Document("README.md").in("ini")) };
        for (const [result, dropIn] of Object.entries(dropIns)) {
            it(`a package's unit follows the leader by a README's drop-in, and takes 75 for ${result}`, async () => {
                const { metadata, env, notes, started, looked, alive } = await launch(`beat-${result}`, followerTags);
                const own = `[Service]\nType=simple\nEnvironment=SHOP=own\nExecStart=/usr/bin/celery beat\nExecStop=/bin/false\nRestart=no\n`;
                await systemd.install("celery-beat.service", own, env);
                await systemd.install(
                    "celery-beat.service.d/leader.conf",
                    soon(dropIn).replace("--grace", "--every 0.5 --grace"),
                );
                await systemd.run("systemctl start celery-beat");
                await looked(2);
                expect(notes("start")).to.deep.equal([]);
                metadata.tags = leaderTags;
                await started(1);
                metadata.tags = followerTags;
                await until(() => alive().length === 0, alive);
                await until(async () => (await systemd.show("celery-beat", "NRestarts")) === "1");
                expect(notes("result")).to.deep.equal([result]);
                expect(await systemd.show("celery-beat", "Environment")).to.include("SHOP=own");
                await systemd.run("systemctl stop celery-beat");
            });
        }

        it("a task that a oneshot leaves in the background finishes, and doesn't hold up the next", async () => {
            const { metadata, env, notes } = await launch("schedule", leaderTags);
            await systemd.install("shop-schedule.service", iniBlock("Type=oneshot"), env);
            for (const _ of [1, 2]) {
                expect((await systemd.run("systemctl start shop-schedule")).status).to.equal(0);
            }
            expect(notes("start")).to.deep.equal(["schedule:run", "schedule:run"]);
            expect(notes("finished")).to.deep.equal([]);
            writeFileSync(`${env.NOTES}.go`, "");
            await until(() => notes("finished").length === 2);
            metadata.tags = followerTags;
            expect((await systemd.run("systemctl start shop-schedule")).status).to.equal(0);
            metadata.instead = { "*": { status: 404 } };
            expect((await systemd.run("systemctl start shop-schedule")).status).to.equal(1);
            expect(await systemd.show("shop-schedule", "ExecMainStatus")).to.equal("2");
            expect(notes("start")).to.have.length(2);
        });

        it("the timer starts the oneshot", async () => {
            const { env, notes } = await launch("timer", leaderTags);
            await systemd.install("shop-schedule.service", iniBlock("Type=oneshot"), env);
            await systemd.install("shop-schedule.timer", iniBlock("OnCalendar=").replace("minutely", "*:*:*"));
            await systemd.run("systemctl enable --now shop-schedule.timer");
            await until(() => notes("start").length > 1);
            await systemd.run("systemctl disable --now shop-schedule.timer");
            expect((await systemd.run("systemd-analyze calendar minutely")).output).to.include("*-*-* *:*:00");
        });
    });

withTool(["systemd", "curl", "timeout", "setsid"], declareTests);
