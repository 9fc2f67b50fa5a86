// Runs what a README shows, with stand-ins for the commands and the metadata that it would reach.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { callsIn, standIn } from "../../instance/stand-in";
import { newFolder } from "../../simulator/folder";
import { followerTags, leaderTags, Metadata } from "../../simulator/metadata";
import { root } from "../../simulator/stack/program";

interface Outcome {
    status: number | null;
    stdout: string;
    stderr: string;
    /** Commands and arguments of all calls of stand-ins. */
    calls: string[][];
}

/** A folder to run shell blocks in, with stand-ins for what they would reach outside. */
class Sandbox {
    private folder = "";
    private metadata?: Metadata;

    /** Makes its folder anew, without any stand-in. */
    open(): this {
        this.folder = newFolder();
        mkdirSync(this.in("tools"));
        mkdirSync(this.in("units"));
        symlinkSync(join(root, "election"), this.in("election"));
        return this;
    }

    /** Replaces a command by a stand-in: its calls are noted, then it runs this. */
    standIn(command: string, body = ""): void {
        standIn(this.in("tools"), command, `PATH='${process.env.PATH}'\n${body}`, this.in("calls"));
    }

    /** From now on there is a metadata service, for IMDSv2 only, of an instance with these tags, or that shows none. */
    async showMetadata(tags: Record<string, string> | undefined): Promise<void> {
        this.hideMetadata();
        this.metadata = await Metadata.start(tags);
    }

    /** From now on nothing answers there. */
    hideMetadata(): void {
        this.metadata?.stop();
        this.metadata = undefined;
    }

    /** What a block has written into a file of the instance. */
    read(path: string): string {
        return readFileSync(this.inSandbox(path), "utf8");
    }

    /** Runs a block on the leader, and on another instance. */
    async onBoth(block: string): Promise<[Outcome, Outcome]> {
        await this.showMetadata(leaderTags);
        const onLeader = await this.run(block);
        await this.showMetadata(followerTags);
        return [onLeader, await this.run(block)];
    }

    /** Runs a block in the folder, or in another; an instance's addresses and folders become the sandbox's. */
    async run(block: string, folder = this.folder): Promise<Outcome> {
        const endpoint = this.metadata?.endpoint ?? "http://127.0.0.1:9"; // nothing answers there
        const script = this.inSandbox(block).replaceAll("http://169.254.169.254", endpoint);
        const env = {
            ...process.env,
            PATH: [this.in("tools"), process.env.PATH].join(delimiter),
            AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint,
        };
        // By its path: there may be a stand-in for sh.
        const child = spawn("/bin/sh", ["-c", script], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
        const [stdout, stderr, [status]] = await Promise.all([
            text(child.stdout),
            text(child.stderr),
            once(child, "close"),
        ]);
        const calls = callsIn(this.in("calls"));
        rmSync(this.in("calls"), { force: true });
        return { status, stdout, stderr, calls };
    }

    private in(name: string): string {
        return join(this.folder, name);
    }

    private inSandbox(block: string): string {
        return block
            .replaceAll("/usr/local/bin", this.in("tools"))
            .replaceAll("/etc/systemd/system", this.in("units"))
            .replaceAll("/usr/bin/", "");
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
    afterEach(() => sandbox.hideMetadata());
    return sandbox;
}
