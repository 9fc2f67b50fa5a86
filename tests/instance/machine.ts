// A machine with leader-only and leader-while: a shell, the few tools that they may use, metadata, a stub of the AWS CLI.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { found } from "../simulator/lists";
import { Metadata } from "../simulator/metadata";
import { root } from "../simulator/stack/program";
import { find, withTool } from "../tools";
import { callsIn, folderWith, standIn } from "./stand-in";

export const script = join(root, "election", "instance", "leader-only");
export const whileScript = join(root, "election", "instance", "leader-while");

/** Shells that the commands have to work under, with the arguments that make each of its program. */
const allShells = { dash: [], bash: [], busybox: ["sh"] };
type Shell = keyof typeof allShells;

/** The shells that are installed. */
export const shells = (Object.keys(allShells) as Shell[]).filter(find);

/** All that the commands may use, and what those of these tests are made of. */
const used = ["curl", "timeout", "sed", "date", "dirname", "env", "setsid", "sleep", "sh", "echo", "cat", "true"];

/** Whether everything is tried under every shell, as in `npm run proof`. */
const everyShell = process.env.EVERY_SHELL === "true";

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
    detached?: boolean;
}

/** Like `it`, for rows of a table: of three in a row each shell tries another one. */
export type Row = (title: string, body: () => Promise<void>) => void;

/** What starts a command under a shell: the path of the shell's program, then arguments. */
export const under = (shell: Shell, command: string): [string, ...string[]] => [
    found(find(shell)),
    ...allShells[shell],
    command,
];

export class Machine {
    directory = "";
    tools = "";
    private readonly services: Metadata[] = [];
    private readonly children: ChildProcess[] = [];
    private stubs: string[] = [];
    /** What the script asks unless a test says otherwise. */
    metadata!: Metadata;

    constructor(readonly shell: Shell) {}

    /** Gives it a folder of its own, with the tools in it. */
    open(): void {
        this.directory = mkdtempSync(join(tmpdir(), "leader-"));
        this.tools = this.folderWith(...used);
    }

    /** A folder with these tools alone. */
    folderWith = (...tools: string[]): string => folderWith(this.directory, ...tools);

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
        rmSync(this.directory, { recursive: true });
    }

    /** Installs an AWS CLI that notes its arguments and then runs this; gives what reads them, call by call. More folders of PATH may follow. */
    installCli = (body: string, ...others: string[]): (() => string[][]) => {
        const folder = mkdtempSync(join(this.directory, "cli-"));
        const log = join(folder, "calls");
        standIn(folder, "aws", body, log);
        this.stubs = [folder, ...others];
        return () => callsIn(log).map(([, ...args]) => args);
    };

    environment = (from = this.metadata) => ({
        PATH: [...this.stubs, this.tools].join(delimiter),
        AWS_EC2_METADATA_SERVICE_ENDPOINT: from.endpoint,
        HOME: this.directory,
    });

    /** Starts a command under the shell: leader-only unless another is named. */
    start = (args: string[], { env, from = this.metadata, command = script, detached }: Options = {}): ChildProcess => {
        const [program, ...first] = under(this.shell, command);
        const child = spawn(program, [...first, ...args], { env: { ...this.environment(from), ...env }, detached });
        this.children.push(child);
        return child;
    };

    /** Runs it to its end. */
    run = async (args: string[], options: Options = {}): Promise<Outcome> => {
        const child = this.start(args, options);
        child.stdin?.on("error", () => {}); // a job need not read what it is given
        child.stdin?.end(options.input ?? "");
        return outcomeOf(child);
    };
}

/** What comes of a process. */
export async function outcomeOf(child: ChildProcess): Promise<Outcome> {
    const [stdout, stderr, [status, signal]] = await Promise.all([
        text(child.stdout as NodeJS.ReadableStream),
        text(child.stderr as NodeJS.ReadableStream),
        once(child, "close"),
    ]);
    return { status, signal, stdout, stderr, pid: child.pid };
}

/** Declares tests on a machine with each of the shells; each test begins on an instance with these tags. */
export function underEachShell(
    title: string,
    tags: Record<string, string>,
    declare: (machine: Machine, row: Row) => void,
): void {
    for (const shell of Object.keys(allShells) as Shell[]) {
        withTool([shell, "curl", "timeout", "setsid"], () =>
            describe(`${title}, under ${shell}`, () => {
                const machine = new Machine(shell);
                before(() => machine.open());
                beforeEach(() => machine.launch(tags));
                afterEach(() => machine.tidy());
                after(() => machine.remove());
                let count = 0;
                declare(machine, (title, body) => {
                    if (count++ % shells.length === shells.indexOf(shell) || everyShell) {
                        it(title, body);
                    }
                });
            }),
        );
    }
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
