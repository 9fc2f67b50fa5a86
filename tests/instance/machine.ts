// A machine with leader-only and leader-while: the shells, the few tools that they may use, metadata, a stub of the AWS CLI.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
    accessSync,
    chmodSync,
    constants,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    statSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { root } from "../simulator/stack/program";
import { Metadata } from "./metadata";

export const script = join(root, "election", "instance", "leader-only");
export const whileScript = join(root, "election", "instance", "leader-while");

/** Shells that the commands have to work under, with what starts each. */
const allShells: Record<string, string[]> = { dash: ["dash"], bash: ["bash"], busybox: ["busybox", "sh"] };
const packages: Record<string, string> = {
    timeout: "coreutils",
    setsid: "util-linux",
    unshare: "util-linux",
    php: "php-cli",
};
/** All that the commands may use, and what those of these tests are made of. */
const used = ["curl", "timeout", "sed", "date", "dirname", "env", "setsid", "sleep", "sh", "echo", "cat", "true"];
/** What the tests of the commands need; `tools.test.ts` has one pending test for each that is missing. */
export const needed = [...Object.keys(allShells), "curl", "timeout", "setsid", "shellcheck", "unshare"];

export interface Outcome {
    status: number | null;
    signal: string | null;
    stdout: string;
    stderr: string;
    pid: number | undefined;
}

export interface Options {
    env?: Record<string, string>;
    input?: string;
    from?: Metadata;
    command?: string;
}

/** Where a tool is, if it is installed. */
export function find(tool: string): string | undefined {
    return (process.env.PATH ?? "")
        .split(delimiter)
        .map((folder) => join(folder, tool))
        .find((path) => {
            try {
                accessSync(path, constants.X_OK);
                return statSync(path).isFile();
            } catch {
                return false;
            }
        });
}

/** The shells that are installed. */
export const shells = Object.fromEntries(Object.entries(allShells).filter(([name]) => find(name)));

/** Whether a process may have a PID namespace of its own. */
export const hasNamespaces = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "true"]).status === 0;

/** Whether everything is tried under every shell, as in `npm run proof`. */
const everyShell = process.env.EVERY_SHELL === "true";

/** Like `it`, for rows of a table: of three in a row each shell tries another one. */
export function rowsFor(shell: string): (title: string, body: () => Promise<void>) => void {
    const names = Object.keys(shells);
    let count = 0;
    return (title, body) => {
        if (count++ % names.length === names.indexOf(shell) || everyShell) {
            it(title, body);
        }
    };
}

/** Without the tool the test is pending, but fails where all of them have to run. */
export function insist(context: Mocha.Context, tool: string, isThere = find(tool) !== undefined): void {
    if (isThere) {
        return;
    }
    const hint = `${tool} is not installed, or not allowed: apt-get install ${packages[tool] ?? tool}`;
    if (process.env.CI === "true") {
        throw new Error(hint);
    }
    console.log(`    ${hint}`);
    context.skip();
}

export class Machine {
    directory = "";
    tools = "";
    private readonly services: Metadata[] = [];
    private readonly children: ChildProcess[] = [];
    private stubs: string[] = [];
    /** What the script asks unless a test says otherwise. */
    metadata!: Metadata;

    /** Gives it a folder of its own, with the tools in it. */
    open(): void {
        this.directory = mkdtempSync(join(tmpdir(), "leader-"));
        this.tools = join(this.directory, "tools");
        mkdirSync(this.tools);
        for (const tool of used) {
            symlinkSync(find(tool) ?? tool, join(this.tools, tool));
        }
    }

    /** From now on the script is on an instance with these tags, or with none that metadata shows. */
    launch = async (tags: Record<string, string> | undefined, instead: Metadata["instead"] = {}): Promise<Metadata> => {
        this.metadata = await this.serve(tags);
        this.metadata.instead = instead;
        return this.metadata;
    };

    /** Another metadata service. */
    serve = async (tags: Record<string, string> | undefined): Promise<Metadata> => {
        const service = await Metadata.start(tags);
        this.services.push(service);
        return service;
    };

    /** Ends what a test has started, and forgets its stubs. */
    tidy(): void {
        const refused = this.services.flatMap((service) => service.refused);
        for (const service of this.services.splice(0)) {
            service.stop();
        }
        for (const child of this.children.splice(0)) {
            child.kill("SIGKILL");
        }
        this.stubs = [];
        expect(refused, "requests that are not IMDSv2").to.deep.equal([]);
    }

    remove(): void {
        if (this.directory) {
            rmSync(this.directory, { recursive: true, force: true });
        }
    }

    /** Installs an AWS CLI that notes its arguments and then runs this; gives what reads them, call by call. More folders of PATH may follow. */
    installCli = (body: string, ...others: string[]): (() => string[][]) => {
        const folder = mkdtempSync(join(this.directory, "cli-"));
        const calls = join(folder, "calls");
        writeFileSync(
            join(folder, "aws"),
            `#!/bin/sh\n{ for argument; do printf '%s\\0' "$argument"; done; echo; } >>"${calls}"\n${body}\n`,
        );
        chmodSync(join(folder, "aws"), 0o755);
        this.stubs = [folder, ...others];
        return () => {
            const lines = existsSync(calls) ? readFileSync(calls, "utf8").split("\n").slice(0, -1) : [];
            return lines.map((line) => line.split("\0").slice(0, -1));
        };
    };

    environment = (from = this.metadata) => ({
        PATH: [...this.stubs, this.tools].join(delimiter),
        AWS_EC2_METADATA_SERVICE_ENDPOINT: from.endpoint,
        HOME: this.directory,
    });

    /** Starts a command under a shell: leader-only unless another is named. */
    start = (
        shell: string,
        args: string[],
        { env, from = this.metadata, command = script }: Options = {},
    ): ChildProcess => {
        const [program, ...first] = shells[shell];
        const child = spawn(find(program) as string, [...first, command, ...args], {
            env: { ...this.environment(from), ...env },
        });
        this.children.push(child);
        return child;
    };

    /** Runs it to its end. */
    run = async (shell: string, args: string[], options: Options = {}): Promise<Outcome> => {
        const child = this.start(shell, args, options);
        child.stdin?.on("error", () => {}); // a job need not read what it is given
        child.stdin?.end(options.input ?? "");
        const [stdout, stderr, [status, signal]] = await Promise.all([
            text(child.stdout as NodeJS.ReadableStream),
            text(child.stderr as NodeJS.ReadableStream),
            once(child, "close"),
        ]);
        return { status, signal, stdout, stderr, pid: child.pid } as Outcome;
    };
}

/** The machine of a suite; each test begins on an instance with these tags. Without its tools there are no tests. */
export function useMachine(tags: Record<string, string>): Machine {
    const machine = new Machine();
    before(function () {
        if (!["curl", "timeout", "setsid"].every(find)) {
            this.skip();
        }
        machine.open();
    });
    beforeEach(() => machine.launch(tags));
    afterEach(() => machine.tidy());
    after(() => machine.remove());
    return machine;
}

export const job = ["echo", "the job ran"];
export const saysTrue = "printf 'true\\tNone\\n'"; // an AWS CLI's answer
export const ran = { status: 0, stdout: "the job ran\n", stderr: "" };
export const leftAlone = { status: 1, stdout: "", stderr: "" }; // with --strict
export const leftAloneSilently = { status: 0, stdout: "", stderr: "" };

/** The script says one sentence; before it there may be what others said. */
export function expectUnknown({ status, stdout, stderr }: Outcome, reason: RegExp, others = /^$/): void {
    expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
    const start = Math.max(0, stderr.indexOf("leader-only: can't find out"));
    expect(stderr.slice(start)).to.match(/^leader-only: can't find out whether this instance leads: .+\n$/);
    expect(stderr.slice(start)).to.match(reason);
    expect(stderr.slice(0, start)).to.match(others);
}
