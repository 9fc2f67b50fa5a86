// leader-while: the work begins with the lead and ends with it, whatever the work, signals and metadata do.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { found } from "../simulator/lists";
import { followerTags, leaderTagPath, leaderTags } from "../simulator/metadata";
import { find, withTool } from "../tools";
import { job, type Options, ran, saysTrue, under, underEachShell, whileScript } from "./machine";
import { childrenOf, namespace, processesWith, until } from "./processes";
import { linesOf, standIn } from "./stand-in";

const quick = ["--every", "0.1", "--grace", "20"];
const short = ["--every", "0.1", "--grace", "0.3"];
// The test has to see that TERM came before KILL comes.
const deaf = ["--every", "0.1", "--grace", "1"];
const leadLost = 75;
const markName = "LEADER_WHILE_TEST";

underEachShell("leader-while", followerTags, (machine, row) => {
    /** The folder that a test's work writes to. It marks all processes of the test. */
    let folder: string;

    beforeEach(() => {
        folder = mkdtempSync(join(machine.directory, "work-"));
    });

    const marked = () => processesWith(`${markName}=${folder}`);
    const leavesNothing = () => until(() => marked().length === 0, marked);

    /** leader-while at work; its stderr grows with what it says. */
    class Run {
        readonly child: ChildProcess;
        readonly end: Promise<number | null>;
        stderr = "";
        stdout = "";

        constructor(work: string[], options = quick, more: Options = {}) {
            const env = { [markName]: folder, ...more.env };
            this.child = machine.start([...options, ...work], { ...more, env, command: whileScript });
            for (const stream of ["stdout", "stderr"] as const) {
                this.child[stream]?.on("data", (data) => {
                    this[stream] += data;
                });
            }
            this.end = once(this.child, "close").then(([status]) => status);
        }

        says = (what: RegExp) =>
            until(
                () => what.test(this.stderr),
                () => `${what} in ${this.stderr}`,
            );

        /** Ends it, and looks at what is left. */
        async stop(signal: NodeJS.Signals = "SIGTERM") {
            this.child.kill(signal);
            const end = await this.end;
            await leavesNothing();
            return end;
        }
    }

    const lead = () => {
        machine.metadata.tags = { ...leaderTags };
    };
    const loseLead = () => {
        machine.metadata.tags = { ...followerTags };
    };
    const lines = (file: string) => linesOf(join(folder, file));
    const hasBegun = () => until(() => lines("started").length === 1);
    const looks = () => machine.metadata.paths.filter((path) => path === leaderTagPath).length;
    async function moreLooks(least: number): Promise<void> {
        const before = looks();
        await until(() => looks() > before + least);
    }
    // It starts no process that TERM could miss for long. Its shell remarks on how sleep has ended.
    const busy = "while :; do sleep 0.1; done 2>/dev/null";
    /** Work that notes its process id, and TERM, by which it ends. */
    const worker = (then = busy, atTerm = "exit 0") => [
        "sh",
        "-c",
        `trap 'echo TERM >>"${folder}/got"; ${atTerm}' TERM; echo $$ >>"${folder}/started"; ${then}`,
    ];

    it("starts the work with the lead, ends it with TERM when that is lost, and then itself with 75", async () => {
        const run = new Run(worker());
        await run.says(/waits: app:isLeader is missing on this instance/);
        await moreLooks(2);
        expect(lines("started")).to.deep.equal([]);
        lead();
        await hasBegun();
        await moreLooks(2);
        loseLead();
        expect(await run.end).to.equal(leadLost);
        expect(lines("got")).to.deep.equal(["TERM"]);
        await leavesNothing();
        expect(run.stderr, run.stderr).to.match(/^(leader-while: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*\n){3}$/);
        expect(run.stderr).to.match(/starts sh: this instance leads\n.* stops sh: app:isLeader is missing/);
        expect(run.stdout).to.equal("");
    });

    const losses: Record<string, () => void> = {
        "the tag is false": () => {
            machine.metadata.tags = { ...leaderTags, "app:isLeader": "false" };
        },
        "the instance is about to leave": () => {
            machine.metadata.lifecycle = "Terminated";
        },
        "metadata hangs for --blind": () => {
            machine.metadata.instead = { "*": "hangs" };
        },
    };
    for (const [what, lose] of Object.entries(losses)) {
        row(`ends the work if ${what}`, async () => {
            lead();
            const run = new Run(worker(), [...quick, "--blind", "2", "--wait", "2"]);
            await hasBegun();
            await moreLooks(2);
            lose();
            expect(await run.end).to.equal(leadLost);
            expect(run.stderr).to.match(/stops sh: ./);
            await leavesNothing();
        });
    }

    row("goes on while it can't find out, for --blind, and says so once", async () => {
        lead();
        const run = new Run(worker(), quick);
        await hasBegun();
        await moreLooks(1);
        const before = machine.metadata.paths.length;
        machine.metadata.instead = { "*": { status: 403 } };
        await until(() => machine.metadata.paths.length > before + 2);
        machine.metadata.instead = {};
        await run.says(/finds out again that this instance leads/);
        const complaints = run.stderr.match(/can't find out whether this instance leads: .*403.*/g) ?? [];
        expect(complaints, "each once").to.deep.equal([...new Set(complaints)]).and.not.empty;
        expect(run.stderr).to.not.match(/stops/);
        await run.stop();
        expect(lines("got")).to.deep.equal(["TERM"]);
    });

    row("waits, and starts nothing, while it can't find out: the AWS CLI takes more than half of --wait", async () => {
        await machine.launch(undefined);
        machine.installCli(`sleep 1; ${saysTrue}`);
        const run = new Run(worker(), [...quick, "--blind", "1", "--wait", "1.8"]);
        await run.says(/can't find out .* the AWS CLI gave no answer within 0.81 s; --wait SECONDS allows it more/);
        expect(lines("started")).to.deep.equal([]);
        lead();
        await hasBegun();
        await run.stop();
    });

    row("gives the work its arguments, input and environment", async () => {
        lead();
        const odd = ["", "a  b", "$HOME", "*", "--every", "it's"];
        const print = 'cat; for one; do printf "<%s>" "$one"; done; echo "$status $seconds $work $reason"';
        const env = { status: "mine", seconds: "my own", work: "too", reason: "all" };
        const run = new Run(["sh", "-c", print, "sh", ...odd], quick, { env });
        run.child.stdin?.end("input\n");
        expect(await run.end).to.equal(0);
        expect(run.stdout).to.equal("input\n<><a  b><$HOME><*><--every><it's>mine my own too all\n");
    });

    row("runs the work though input, output and errors are closed", async () => {
        lead();
        const command = [...under(machine.shell, whileScript), ...quick, ...worker("exit 6")];
        const child = spawn("sh", ["-c", 'exec "$0" "$@" <&- >&- 2>&-', ...command], { env: machine.environment() });
        expect(await once(child, "close")).to.deep.equal([6, null]);
        expect(lines("started")).to.have.length(1);
    });

    for (const status of [0, 1, 3, 255, 127]) {
        const work = status === 127 ? ["no-such-command"] : ["sh", "-c", `exit ${status}`];
        row(`ends with the exit status ${status} of ${work.join(" ")}`, async () => {
            lead();
            const run = new Run(work);
            expect(await run.end).to.equal(status);
            expect(run.stderr).to.include(`${work[0]} has ended (exit status ${status})`);
            await leavesNothing();
        });
    }

    row("ends what the work left in its group when it ends by itself", async () => {
        lead();
        const run = new Run(["sh", "-c", "sleep 1000 & (trap '' TERM; sleep 1000) & sleep 0.2; exit 9"], short);
        expect(await run.end).to.equal(9);
        await leavesNothing();
    });

    const misbehaviour: Record<string, string> = {
        "ignores TERM": "trap '' TERM; exec sleep 1000",
        "is stopped": "sleep 1000 & kill -STOP $$",
        "has a child that ignores TERM": "(trap '' TERM; exec sleep 1000) & wait",
    };
    for (const [what, then] of Object.entries(misbehaviour)) {
        row(`ends all of the work's group with --grace if it ${what}`, async () => {
            lead();
            const run = new Run(worker(then), short);
            await hasBegun();
            await moreLooks(1);
            loseLead();
            expect(await run.end).to.equal(leadLost);
            await leavesNothing();
        });
    }

    const signals: Record<string, { work: string; status: number }> = {
        SIGTERM: { work: "exec sleep 1000", status: 143 },
        SIGINT: { work: "exec sleep 1000", status: 130 },
        SIGQUIT: { work: `trap 'exit 7' QUIT TERM; ${busy}`, status: 7 },
        SIGHUP: { work: `trap 'exit 8' HUP; ${busy}`, status: 8 },
        SIGUSR1: { work: `trap 'exit 9' USR1; ${busy}`, status: 9 },
        SIGUSR2: { work: "exec sleep 1000", status: 140 },
    };
    for (const [signal, { work, status }] of Object.entries(signals)) {
        row(`passes ${signal} on to the work's group, and ends with the work's status`, async () => {
            lead();
            const run = new Run(["sh", "-c", work]);
            await run.says(/starts/);
            await moreLooks(1);
            expect(await run.stop(signal as NodeJS.Signals)).to.equal(status);
        });
    }

    row("goes on after HUP, USR1 and USR2 that the work heeds", async () => {
        lead();
        const names = ["HUP", "USR1", "USR2"];
        const heed = names.map((name) => `trap 'echo ${name} >>"${folder}/got"' ${name};`).join(" ");
        const run = new Run(["sh", "-c", `${heed} trap 'exit 0' TERM; echo >>"${folder}/started"; ${busy}`]);
        await hasBegun();
        for (const name of names) {
            run.child.kill(`SIG${name}` as NodeJS.Signals);
            await until(() => lines("got").includes(name));
        }
        await moreLooks(1);
        loseLead();
        expect(await run.end).to.equal(leadLost);
    });

    for (const [signal, status] of Object.entries({ SIGTERM: 143, SIGINT: 130, SIGQUIT: 131 })) {
        for (const detached of [false, true]) {
            const ends = `ends with ${status} by ${signal}${detached ? " to its process group, also in a look" : ""}`;
            (detached ? it : row)(`ignores HUP, USR1 and USR2 while it waits, and ${ends}`, async () => {
                machine.metadata.lifecycle = "Terminated";
                lead();
                const run = new Run(worker(), quick, { detached });
                await run.says(/waits: this instance is about to leave its group \(.* is Terminated\)\n/);
                machine.metadata.millisecondsForAnAnswer = detached ? 50 : 0;
                for (const one of ["SIGHUP", "SIGUSR1", "SIGUSR2", signal]) {
                    await moreLooks(0);
                    process.kill(found(run.child.pid) * (detached ? -1 : 1), one);
                }
                expect(await run.end).to.equal(status);
                expect(lines("started")).to.deep.equal([]);
            });
        }
    }

    row("kills work that doesn't end by TERM, and ends with its status", async () => {
        lead();
        const run = new Run(worker("trap '' TERM; while :; do sleep 1000; done"), short);
        await hasBegun();
        await moreLooks(1);
        expect(await run.stop()).to.equal(137);
        expect(run.stderr).to.match(/killed sh: it didn't end within 0.30 s/);
    });

    row("kills work that doesn't end by TERM if that comes while it is started", async () => {
        lead();
        const [bin, work] = [machine.folderWith(), worker("trap '' TERM; while :; do sleep 1000; done")];
        // leader-while asks for the date when it has started the work.
        const wait = `until [ -s "${folder}/started" ]; do sleep 0.1; done`;
        standIn(bin, "date", `[ -e "${folder}/sent" ] || { ${wait}; echo >"${folder}/sent"; kill -TERM $PPID; }`);
        const run = new Run(work, short, { env: { PATH: `${bin}:${machine.tools}` } });
        expect(await run.end, run.stderr).to.equal(137);
        await leavesNothing();
    });

    /** How a leader-while can be stopped so that it can't end itself. */
    const stops: Record<string, (script: number) => Promise<void>> = {
        "before the lead is lost": async (script) => {
            process.kill(script, "SIGSTOP");
            loseLead();
        },
        "while it ends the work": async (script) => {
            loseLead();
            await until(() => lines("got").length === 1);
            process.kill(script, "SIGSTOP");
        },
    };
    for (const [when, stop] of Object.entries(stops)) {
        row(`is killed when its work has ended if it was stopped ${when}`, async () => {
            lead();
            const run = new Run(worker(busy, ":"), deaf);
            await hasBegun();
            await run.says(/starts/);
            await stop(found(run.child.pid));
            await run.end;
            expect(run.child.signalCode).to.equal("SIGKILL");
            await leavesNothing();
        });
    }

    row("ends the work's group soon after it was killed, though no supervisor does", async () => {
        lead();
        const run = new Run(worker());
        await hasBegun();
        await run.says(/starts/);
        await run.stop("SIGKILL");
        expect(lines("got")).to.deep.equal(["TERM"]);
    });

    row("looks again before it starts the work if it was stopped after the answer", async () => {
        const run = new Run(worker(), [...quick, "--wait", "0.6"]);
        await run.says(/waits/);
        // It is stopped while it asks, and the answer comes meanwhile.
        machine.metadata.millisecondsForAnAnswer = 40;
        lead();
        await moreLooks(0);
        run.child.kill("SIGSTOP");
        loseLead();
        machine.metadata.millisecondsForAnAnswer = 0;
        await sleep(1000); // the answer is older than --wait and --every
        const before = looks();
        run.child.kill("SIGCONT");
        await until(() => looks() > before + 1);
        expect(lines("started")).to.deep.equal([]);
        await run.stop();
    });

    withTool("unshare", () => {
        for (const [when, stop] of Object.entries(stops)) {
            row(`as the first process of a container ends all that is in it if it was stopped ${when}`, async () => {
                lead();
                const daemon = "setsid sh -c 'trap \"\" TERM; sleep 1000' &";
                const work = worker(`${daemon} ${busy}`, ":");
                const command = [...namespace.slice(1), ...under(machine.shell, whileScript), ...deaf, ...work];
                const env = { ...machine.environment(), [markName]: folder };
                const container = spawn(found(find("unshare")), command, { env, stdio: "ignore" });
                const ended = once(container, "exit");
                await hasBegun();
                await moreLooks(0); // what watches is there
                const itself = [found(container.pid), ...childrenOf(found(container.pid))];
                await stop(found(itself[1]));
                await until(() => marked().length === 2, marked);
                expect(marked()).to.have.members(itself);
                process.kill(found(itself[1]), "SIGCONT");
                expect(await ended).to.deep.equal([leadLost, null]);
            });
        }
    });

    row("asks the leader-only beside it rather than one in PATH, but that if there is no other", async () => {
        const [bin, inPath] = [machine.folderWith(), machine.folderWith()];
        const command = join(bin, "leader-while");
        copyFileSync(whileScript, command);
        const run = (...work: string[]) => machine.run(work, { env: { PATH: `${inPath}:${machine.tools}` }, command });
        const answers = (folder: string, status: number) =>
            standIn(folder, "leader-only", `echo "so: would run"; exit ${status}`);
        const missing = { status: 2, stderr: "leader-while: no leader-only beside it or in PATH\n" };
        expect(await run("true")).to.deep.include(missing);
        answers(inPath, 0);
        expect(await run(...job)).to.deep.include({ status: 0, stdout: ran.stdout });
        answers(inPath, 1);
        answers(bin, 0);
        expect(await run(...job)).to.deep.include({ status: 0, stdout: ran.stdout });
        standIn(bin, "leader-only", "exit 3");
        const dumb = await run("true");
        expect(dumb).to.deep.include({ status: 2, stdout: "" });
        expect(dumb.stderr).to.match(/^leader-while: .*leader-only gives no answer \(exit status 3\)\n$/);
    });

    row("says in one line that setsid is missing", async () => {
        const PATH = machine.folderWith("dirname", "env", "true");
        const outcome = await machine.run(["true"], { env: { PATH }, command: whileScript });
        expect(outcome).to.deep.include({ status: 2, stderr: "leader-while: setsid is not installed\n" });
    });
});
