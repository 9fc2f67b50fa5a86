// Runs what a README shows, with stand-ins for the commands and the metadata that it would reach.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { callsIn, standIn } from "../../instance/stand-in";
import { Metadata } from "../../simulator/metadata";
import { root } from "../../simulator/stack/program";
import { followerTags, leaderTags } from "./fleet";

export interface Outcome {
    status: number | null;
    stdout: string;
    stderr: string;
}

/** A folder to run shell blocks in, with stand-ins for what they would reach outside. */
export class Sandbox {
    private folder = "";
    private tools = "";
    private cronTables = "";
    private units = "";
    private log = "";
    private metadata?: Metadata;
    private endpoint = "";

    /** Makes its folder anew, without any stand-in. */
    open(): this {
        this.folder = mkdtempSync(join(tmpdir(), "readme-"));
        this.tools = join(this.folder, "tools");
        this.cronTables = join(this.folder, "cron.d");
        this.log = join(this.folder, "calls");
        this.endpoint = "http://127.0.0.1:9"; // nothing answers there
        mkdirSync(this.tools);
        this.units = join(this.folder, "units");
        mkdirSync(this.cronTables);
        mkdirSync(this.units);
        // The script as a clone of the project has it, and as a source bundle.
        symlinkSync(join(root, "election"), join(this.folder, "election"));
        symlinkSync(join(root, "election", "instance"), join(this.folder, "bin"));
        return this;
    }

    close(): void {
        this.hideMetadata();
        rmSync(this.folder, { recursive: true });
    }

    /** Replaces a command by a stand-in: its calls are noted, then it runs this. */
    standIn(command: string, body = ""): void {
        standIn(this.tools, command, `PATH='${process.env.PATH}'\n${body}`, this.log);
    }

    /** Commands and arguments of all calls of stand-ins since the last time. */
    takeCalls(): string[][] {
        const calls = callsIn(this.log);
        rmSync(this.log, { force: true });
        return calls;
    }

    /** From now on there is a metadata service, for IMDSv2 only, of an instance with these tags, or that shows none. */
    async showMetadata(tags: Record<string, string> | undefined): Promise<void> {
        this.hideMetadata();
        this.metadata = await Metadata.start(tags);
        this.endpoint = this.metadata.endpoint;
    }

    /** From now on nothing answers there. */
    hideMetadata(): void {
        this.metadata?.stop();
    }

    /** What a block has written into a file of the instance. */
    read(path: string): string {
        return readFileSync(this.inSandbox(path), "utf8");
    }

    /** Runs a block on the leader and on another instance, and gives the calls of stand-ins on each; throws if it fails or prints. */
    async whatRuns(block: string): Promise<string[][][]> {
        const runs: string[][][] = [];
        for (const tags of [leaderTags, followerTags]) {
            await this.showMetadata(tags);
            const { status, stdout, stderr } = await this.run(block);
            if (status !== 0 || stdout + stderr !== "") {
                throw new Error(`${block} ended with ${status}: ${stdout}${stderr}`);
            }
            runs.push(this.takeCalls());
        }
        return runs;
    }

    /** Runs a block in the folder, or in another; an instance's addresses and folders become the sandbox's. */
    async run(block: string, folder = this.folder): Promise<Outcome> {
        const script = this.inSandbox(block).replaceAll("http://169.254.169.254", this.endpoint);
        const env = {
            ...process.env,
            PATH: [this.tools, process.env.PATH].join(delimiter),
            AWS_EC2_METADATA_SERVICE_ENDPOINT: this.endpoint,
        };
        // By its path: there may be a stand-in for sh.
        const child = spawn("/bin/sh", ["-c", script], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
        const [stdout, stderr, [status]] = await Promise.all([
            text(child.stdout),
            text(child.stderr),
            once(child, "close"),
        ]);
        return { status, stdout, stderr };
    }

    private inSandbox(text: string): string {
        return text
            .replaceAll("/usr/local/bin", this.tools)
            .replaceAll("/usr/bin/php", "php")
            .replaceAll("/etc/cron.d", this.cronTables)
            .replaceAll("/etc/systemd/system", this.units)
            .replaceAll("/var/app/current", this.folder);
    }
}

/** A sandbox that is made anew for each test of a suite, with stand-ins for these commands. */
export function useSandbox(...commands: string[]): Sandbox {
    const sandbox = new Sandbox();
    beforeEach(() => {
        sandbox.open();
        for (const command of commands) {
            sandbox.standIn(command);
        }
    });
    afterEach(() => sandbox.close());
    return sandbox;
}
