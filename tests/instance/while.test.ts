// leader-only --while: the work begins with the lead and ends with it, whatever the work, signals and metadata do.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { processesWith } from "./duel";
import { find, rowsFor, script, shells, useMachine } from "./machine";
import { type Answer, followerTags, idPath, leaderTagPath, leaderTags, lifecyclePath, tokenPath } from "./metadata";

const quick = ["--every", "0.2", "--grace", "0.3"];

describe("leader-only --while", function () {
    this.timeout(60_000);

    const machine = useMachine(followerTags);
    /** The folder that a test's work writes to. */
    let folder: string;
    let count = 0;

    beforeEach(() => {
        folder = mkdtempSync(join(machine.directory, "work-"));
    });

    async function until(what: string, holds: () => boolean): Promise<void> {
        const limit = performance.now() + 50_000;
        while (!holds()) {
            if (performance.now() > limit) {
                throw new Error(`it never came to pass: ${what}`);
            }
            await sleep(10);
        }
    }

    /** The script at work; its stderr grows with what it says. */
    class Run {
        readonly mark = `LEADER_ONLY_TEST=${process.pid}-${count++}`;
        readonly child: ChildProcess;
        readonly end: Promise<{ status: number | null; signal: string | null }>;
        stderr = "";
        stdout = "";

        constructor(shell: string, work: string[], options = quick, env: Record<string, string> = {}) {
            const [name, value] = this.mark.split("=");
            this.child = machine.start(shell, ["--while", ...options, ...work], { env: { [name]: value, ...env } });
            this.child.stderr?.on("data", (data) => {
                this.stderr += data;
            });
            this.child.stdout?.on("data", (data) => {
                this.stdout += data;
            });
            this.end = once(this.child, "close").then(([status, signal]) => ({ status, signal }));
        }

        says = (what: RegExp, times = 1) =>
            until(`it says ${what} ${times} times, not ${this.stderr}`, () => this.count(what) >= times);

        count = (what: RegExp) => this.stderr.split("\n").filter((line) => what.test(line)).length;

        /** Ends it, and looks at what is left. */
        async stop(signal: NodeJS.Signals = "SIGTERM") {
            this.child.kill(signal);
            const end = await this.end;
            await this.leavesNothing();
            return end;
        }

        leavesNothing = () => until("nothing is left", () => processesWith(this.mark).length === 0);
    }

    const lead = () => {
        machine.metadata.tags = { ...leaderTags };
    };
    const loseLead = () => {
        machine.metadata.tags = { ...followerTags };
    };
    const lines = (file: string) => {
        const path = join(folder, file);
        return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
    };
    /** Work that notes its process id, and its end by TERM. */
    const worker = (then = "sleep 1000 & wait") => [
        "sh",
        "-c",
        `trap 'echo TERM >>"${folder}/got"; exit 0' TERM; echo $$ >>"${folder}/started"; ${then}`,
    ];
    const isAlive = (pid: string) => existsSync(`/proc/${pid}`);

    for (const shell of Object.keys(shells)) {
        describe(`under ${shell}`, () => {
            const row = rowsFor(shell);

            it("starts the work with the lead, ends it with TERM when that is lost, and waits for the next one", async () => {
                const run = new Run(shell, worker());
                await run.says(/waits: app:isLeader is missing on this instance/);
                expect(lines("started")).to.deep.equal([]);
                for (const term of [1, 2]) {
                    lead();
                    await run.says(/starts sh: this instance leads/, term);
                    await until("the work has begun", () => lines("started").length === term);
                    loseLead();
                    await run.says(/stops sh: app:isLeader is missing on this instance/, term);
                    await until("the work has ended", () => !isAlive(lines("started")[term - 1]));
                    expect(lines("got")).to.have.length(term);
                    await run.says(/waits: app:isLeader is missing/, term + 1);
                }
                expect(await run.stop()).to.deep.equal({ status: null, signal: "SIGTERM" });
                expect(run.stderr, run.stderr).to.match(/^(leader-only: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*\n)+$/);
            });

            const losses: Record<string, () => void> = {
                "the tag is gone": loseLead,
                "the tag is false": () => {
                    machine.metadata.tags = { ...leaderTags, "app:isLeader": "false" };
                },
                "the instance is about to leave": () => {
                    machine.metadata.lifecycle = "Terminated";
                },
                "metadata fails for too long": () => {
                    machine.metadata.instead = { "*": { status: 500 } };
                },
                "metadata hangs for too long": () => {
                    machine.metadata.instead = { "*": "hangs" };
                },
                "metadata is another instance's for too long": () => {
                    machine.metadata.id = "i-0ffffffffffffffff";
                },
                "tags are shown no more, and there is no AWS CLI": () => {
                    machine.metadata.tags = undefined;
                },
                "metadata shows garbage": () => {
                    machine.metadata.instead = { [leaderTagPath]: { status: 200, body: "<html>" } };
                },
                "metadata is gone": () => machine.metadata.stop(),
            };
            for (const [what, lose] of Object.entries(losses)) {
                row(`ends the work if ${what}`, async () => {
                    lead();
                    const run = new Run(shell, worker(), [...quick, "--blind", "0.5", "--wait", "0.6"]);
                    await until(
                        "two looks",
                        () => machine.metadata.paths.filter((path) => path === leaderTagPath).length > 2,
                    );
                    await until("the work has begun", () => lines("started").length === 1);
                    lose();
                    await until("the work has ended", () => !isAlive(lines("started")[0]));
                    await run.says(/stops sh: ./);
                    await run.stop();
                });
            }

            row("goes on while it can't find out, for --blind, and says so once", async () => {
                lead();
                const run = new Run(shell, worker());
                await until("the work has begun", () => lines("started").length === 1);
                const before = machine.metadata.paths.length;
                machine.metadata.instead = { "*": { status: 503 } };
                await until("some looks", () => machine.metadata.paths.length > before + 12);
                machine.metadata.instead = {};
                await run.says(/finds out again that this instance leads/);
                expect(run.count(/can't find out whether this instance leads: .*503/)).to.equal(1);
                expect(run.count(/stops/)).to.equal(0);
                expect(isAlive(lines("started")[0])).to.equal(true);
                await run.stop();
            });

            row(
                "asks for three items by one connection in each look, once it has a token, and renews that",
                async () => {
                    lead();
                    const run = new Run(shell, ["sleep", "1000"]);
                    await run.says(/starts/);
                    const { metadata } = machine;
                    await until("a few looks", () => metadata.paths.length > 20);
                    const last = metadata.paths.lastIndexOf(tokenPath);
                    const looks = metadata.paths.slice(last + 1);
                    const whole = looks.slice(0, Math.floor(looks.length / 3) * 3);
                    expect(whole).to.deep.equal(
                        whole.map((_, index) => [leaderTagPath, lifecyclePath, idPath][index % 3]),
                    );
                    expect(metadata.paths.filter((path) => path === tokenPath)).to.have.length(2); // to start, and to go on
                    metadata.token = "another-token";
                    await until("a new token", () => metadata.paths.filter((path) => path === tokenPath).length === 3);
                    const asked = metadata.paths.length;
                    await until("it goes on", () => metadata.paths.length > asked + 9);
                    expect(run.count(/stops|can't/)).to.equal(0);
                    await run.stop();
                },
            );

            row("asks for one item while another instance leads", async () => {
                const run = new Run(shell, ["sleep", "1000"]);
                const { metadata } = machine;
                await until("a few looks", () => metadata.paths.length > 8);
                expect(metadata.paths.slice(3).every((path) => path === leaderTagPath)).to.equal(true);
                await run.stop();
            });

            row("gives the work its arguments, input and environment", async () => {
                lead();
                const odd = ["", "a  b", "$HOME", "*", "--every", "it's"];
                const run = new Run(
                    shell,
                    [
                        "sh",
                        "-c",
                        'cat; for one; do printf "<%s>" "$one"; done; echo "$token $seconds $work"',
                        "sh",
                        ...odd,
                    ],
                    quick,
                    { token: "mine", seconds: "my own", work: "too" },
                );
                run.child.stdin?.end("input\n");
                expect(await run.end).to.deep.equal({ status: 0, signal: null });
                expect(run.stdout).to.equal("input\n<><a  b><$HOME><*><--every><it's>mine my own too\n");
            });

            for (const status of [0, 1, 3, 255]) {
                row(`ends with the work's own exit status ${status}, but not before --every`, async () => {
                    lead();
                    const began = performance.now();
                    const run = new Run(shell, ["sh", "-c", `exit ${status}`], ["--every=1", "--grace=0.3"]);
                    expect(await run.end).to.deep.equal({ status, signal: null });
                    expect(performance.now() - began).to.be.above(990);
                    expect(run.stderr).to.match(/sh has ended by itself \(exit status/);
                    await run.leavesNothing();
                });
            }

            row("ends with 127 if there is no such command", async () => {
                lead();
                const run = new Run(shell, ["no-such-command"]);
                expect((await run.end).status).to.equal(127);
            });

            row("doesn't start the work on a leader that is about to leave", async () => {
                machine.metadata.lifecycle = "Terminated";
                lead();
                const run = new Run(shell, worker());
                await run.says(/waits: this instance is about to leave its group/);
                expect(await run.stop("SIGINT")).to.deep.equal({ status: null, signal: "SIGINT" });
                expect(lines("started")).to.deep.equal([]);
            });

            const misbehaviour: Record<string, string> = {
                "ignores TERM": "trap '' TERM; sleep 1000",
                "is stopped": "sleep 1000 & kill -STOP $$",
                "has a child that ignores TERM": "(trap '' TERM; exec sleep 1000) & wait",
                "has a child in another process group": "timeout 1000 sh -c 'trap \"\" TERM; sleep 1000' & wait",
                "has a daemon": "setsid sh -c 'trap \"\" TERM; sleep 1000' & wait",
            };
            for (const [what, then] of Object.entries(misbehaviour)) {
                row(`kills all of the work after --grace if it ${what}`, async () => {
                    lead();
                    const run = new Run(shell, worker(then));
                    await until("the work has begun", () => lines("started").length === 1);
                    await sleep(100);
                    loseLead();
                    await run.says(/waits/);
                    // The script itself is left: the main shell, the watch, the guard, and a process of the moment or two.
                    const left = processesWith(run.mark).map((pid) => {
                        const name = `/proc/${pid}/cmdline`;
                        return existsSync(name) ? readFileSync(name, "utf8").replaceAll("\0", " ") : "";
                    });
                    expect(
                        left.filter(
                            (command) => /sleep 1000|timeout 1000/.test(command) && !command.includes("--while"),
                        ),
                    ).to.deep.equal([]);
                    await run.stop();
                });
            }

            row("ends what the work leaves behind when it ends by itself", async () => {
                lead();
                const run = new Run(shell, ["sh", "-c", "sleep 1000 & setsid sleep 1000 & sleep 0.2; exit 9"]);
                expect(await run.end).to.deep.equal({ status: 9, signal: null });
                expect(run.stderr).to.match(/stops sh: it has ended and left processes/);
                await run.leavesNothing();
            });

            const signals: Record<
                string,
                { setup?: string; work: string; end: { status: number | null; signal: string | null } }
            > = {
                SIGTERM: { work: "sleep 1000", end: { status: null, signal: "SIGTERM" } },
                SIGINT: { work: "exec sleep 1000", end: { status: null, signal: "SIGINT" } },
                SIGQUIT: { setup: "trap 'exit 7' QUIT", work: "sleep 1000 & wait", end: { status: 7, signal: null } },
                SIGHUP: { setup: "trap 'exit 8' HUP", work: "sleep 1000 & wait", end: { status: 8, signal: null } },
                SIGUSR1: { setup: "trap 'exit 9' USR1", work: "sleep 1000 & wait", end: { status: 9, signal: null } },
                SIGUSR2: { work: "exec sleep 1000", end: { status: 140, signal: null } },
            };
            for (const [signal, { setup = ":", work, end }] of Object.entries(signals)) {
                row(`passes ${signal} on to the work's group, and ends after it`, async () => {
                    lead();
                    const run = new Run(shell, ["sh", "-c", `${setup}; echo >>"${folder}/started"; ${work}`]);
                    await until("the work has begun", () => lines("started").length === 1);
                    await run.says(/starts/);
                    await sleep(50);
                    expect(await run.stop(signal as NodeJS.Signals)).to.deep.equal(end);
                });
            }

            row("kills work that doesn't end by TERM, and ends with its status", async () => {
                lead();
                const run = new Run(shell, [
                    "sh",
                    "-c",
                    `trap '' TERM; echo >>"${folder}/started"; while :; do sleep 1000; done`,
                ]);
                await until("the work has begun", () => lines("started").length === 1);
                await run.says(/starts/);
                await sleep(50);
                expect(await run.stop()).to.deep.equal({ status: 137, signal: null });
                expect(run.stderr).to.match(/kills sh: not over 0.30 s after it was told to end/);
            });

            row("takes its work with it when it is killed", async () => {
                lead();
                const run = new Run(
                    shell,
                    worker("trap '' TERM; setsid sleep 1000 & timeout 1000 sleep 1000 & sleep 1000"),
                );
                await until("the work has begun", () => lines("started").length === 1);
                await sleep(100);
                await run.stop("SIGKILL");
            });

            row("takes its work with it when its process group is killed", async () => {
                lead();
                const shellCommand = [...shells[shell], script, "--while", ...quick, ...worker("sleep 1000")];
                const [name, value] = [`LEADER_ONLY_TEST`, `${process.pid}-${count++}`];
                const child = spawn(find(shellCommand[0]) as string, shellCommand.slice(1), {
                    env: { ...machine.environment(), [name]: value },
                    detached: true,
                    stdio: "ignore",
                });
                await until("the work has begun", () => lines("started").length === 1);
                process.kill(-(child.pid as number), "SIGKILL");
                await until("nothing is left", () => processesWith(`${name}=${value}`).length === 0);
            });

            row("leaves nothing behind when it is killed while it waits", async () => {
                const run = new Run(shell, worker());
                await run.says(/waits/);
                await run.stop("SIGKILL");
                expect(lines("started")).to.deep.equal([]);
            });

            row("looks again before it starts the work if its main shell was stopped after the answer", async () => {
                const run = new Run(shell, worker(), [...quick, "--wait", "0.3"]);
                await run.says(/waits/);
                run.child.kill("SIGSTOP");
                const { paths } = machine.metadata;
                lead();
                const before = paths.length;
                await until("the watch found that it leads", () => paths.slice(before).includes(idPath));
                loseLead();
                await sleep(1000); // the answer is older than --wait and --every
                run.child.kill("SIGCONT");
                const count = paths.length;
                await until("it looks again", () => paths.slice(count).includes(leaderTagPath));
                await sleep(300);
                expect(run.stderr).not.to.match(/starts/);
                expect(lines("started")).to.deep.equal([]);
                await run.stop();
            });
            row("ends the work though its main shell is stopped", async () => {
                lead();
                const run = new Run(shell, worker());
                await until("the work has begun", () => lines("started").length === 1);
                await run.says(/starts/);
                run.child.kill("SIGSTOP");
                loseLead();
                await run.says(/stops sh/);
                await until("the work has ended", () => lines("got").length === 1);
                run.child.kill("SIGCONT");
                await run.says(/waits/);
                await run.stop();
            });

            it("can be the first process of a container", async function () {
                const inside = ["--pid", "--fork", "--mount-proc", "--kill-child"];
                if (spawnSync("unshare", [...inside, "true"]).status !== 0) {
                    expect(process.env.CI === "true" && process.getuid?.() === 0, "unshare works for root").to.equal(
                        false,
                    );
                    this.skip();
                }
                lead();
                const command = [...inside, ...shells[shell], script, "--while", ...quick, ...worker()];
                const child = spawn("unshare", command, {
                    env: { ...process.env, ...machine.environment(), PATH: process.env.PATH },
                });
                await until("the work has begun", () => lines("started").length === 1);
                loseLead();
                await until("the work has ended", () => lines("got").length === 1);
                lead();
                await until("the work has begun again", () => lines("started").length === 2);
                const [inner] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ");
                process.kill(Number(inner), "SIGTERM");
                await once(child, "close");
                expect(lines("got")).to.have.length(2);
            });
        });
    }

    it("looks at no clock that may jump", async () => {
        lead();
        // A date that jumps ahead and back, as the clock may when it is set.
        const stub = mkdtempSync(join(machine.directory, "date-"));
        writeFileSync(join(stub, "date"), `#!/bin/sh\necho 19$(($$ % 90 + 10))-01-01T00:00:00Z\n`, { mode: 0o755 });
        const PATH = `${stub}:${machine.tools}`;
        const run = new Run("dash", worker(), quick, { PATH });
        await until("the work has begun", () => lines("started").length === 1);
        loseLead();
        await until("the work has ended", () => lines("got").length === 1);
        await run.stop();
        expect(run.stderr).to.match(/^leader-only: 19\d\d-01-01/);
    });

    for (const missing of ["curl", "setsid", "grep", "timeout"]) {
        it(`says that ${missing} is missing, and exits with 2`, async () => {
            const tools = mkdtempSync(join(machine.directory, "tools-"));
            for (const tool of ["curl", "setsid", "grep", "timeout", "sed", "env", "true", "sleep"].filter(
                (tool) => tool !== missing,
            )) {
                symlinkSync(find(tool) as string, join(tools, tool));
            }
            const { status, stderr } = await machine.run("dash", ["--while", "true"], { env: { PATH: tools } });
            expect({ status, stderr }).to.deep.equal({
                status: 2,
                stderr: `leader-only: ${missing} is not installed\n`,
            });
            rmSync(tools, { recursive: true });
        });
    }

    it("asks the AWS CLI in each look if metadata shows no tags, and ends the work by what that says", async () => {
        await machine.launch(undefined);
        const answer = join(folder, "answer");
        writeFileSync(answer, "true\tNone\n");
        const calls = machine.installCli(`cat "${answer}"`);
        const run = new Run("dash", worker());
        await until("the work has begun", () => lines("started").length === 1);
        const before = calls().length;
        await until("it looks again", () => calls().length > before + 1);
        writeFileSync(answer, "None\tNone\n");
        await until("the work has ended", () => lines("got").length === 1);
        await run.stop();
    });

    const answers: Answer[] = ["breaks", { status: 401 }, { status: 404 }, { status: 200, body: "x".repeat(200_000) }];
    for (const answer of answers) {
        it(`waits, and starts nothing, while metadata answers ${JSON.stringify(answer).slice(0, 40)}`, async () => {
            machine.metadata.instead = { "*": answer };
            const run = new Run("dash", worker());
            await run.says(/waits: can't find out/);
            machine.metadata.instead = {};
            lead();
            await until("the work has begun", () => lines("started").length === 1);
            await run.stop();
        });
    }

    it("its stderr may be closed", async () => {
        lead();
        const command = `exec sh '${script}' --while --every 0.2 --grace 0.3 sh -c 'echo >>"${folder}/started"; exec sleep 1000' 2>&-`;
        const child = spawn("sh", ["-c", command], { env: machine.environment(), stdio: "ignore" });
        await until("the work has begun", () => lines("started").length === 1);
        loseLead();
        const looks = machine.metadata.paths.length;
        await until("it looks on", () => machine.metadata.paths.length > looks + 8);
        child.kill("SIGTERM");
        await once(child, "close");
    });

    it("prints nothing on stdout", async () => {
        const run = new Run("dash", ["true"]);
        lead();
        await run.end;
        expect(run.stdout).to.equal("");
        expect(await text(machine.start("dash", ["--version"]).stdout as NodeJS.ReadableStream)).to.match(
            /^leader-only/,
        );
    });
});
