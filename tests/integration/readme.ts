import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { root } from "../simulator/stack/program";

/** A fenced block of the README. */
export interface Block {
    language: string;
    text: string;
    /** What the line before it says of where it works; nothing for this machine. */
    where: "here" | "AWS" | "instance";
}

export const readme = readFileSync(join(root, "README.md"), "utf8");

const marks: Record<string, Block["where"]> = {
    "_Needs an AWS account:_": "AWS",
    "_On an instance:_": "instance",
};

export const blocks: Block[] = [...readme.matchAll(/^( *)```(\w*)\n(.*?)^\1```$/gms)].map((found) => ({
    language: found[2],
    text: found[3].replaceAll(new RegExp(`^${found[1]}`, "gm"), ""),
    where: marks[readme.slice(0, found.index).trimEnd().split("\n").at(-1)?.trim() ?? ""] ?? "here",
}));

/** The only shell block with a text in it. */
export function shellBlock(part: string): Block {
    const found = blocks.filter((block) => block.language === "sh" && block.text.includes(part));
    if (found.length !== 1) {
        throw new Error(`the README has ${found.length} shell blocks with ${JSON.stringify(part)}`);
    }
    return found[0];
}

/** The block that follows a comment with a name. */
export function namedBlock(name: string): string {
    const [, found] = readme.match(new RegExp(`<!-- ${name} -->\\n+\`\`\`\\w+\\n(.*?)^\`\`\`$`, "ms")) ?? [];
    if (found === undefined) {
        throw new Error(`the README has no block after <!-- ${name} -->`);
    }
    return found;
}

/** The cells of the table that follows a comment with a name, without its head. */
export function namedTable(name: string): string[][] {
    const [, found] = readme.match(new RegExp(`<!-- ${name} -->\\n+((?:\\|.*\\n)+)`)) ?? [];
    if (found === undefined) {
        throw new Error(`the README has no table after <!-- ${name} -->`);
    }
    return found
        .trimEnd()
        .split("\n")
        .slice(2)
        .map((row) =>
            row
                .slice(1, -1)
                .split("|")
                .map((cell) => cell.trim()),
        );
}

/** What is set in code in a text. */
export const codeIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code);

/** The address of a heading's section, as GitHub makes it. */
export const slugOf = (heading: string): string =>
    heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-");

export interface Outcome {
    status: number | null;
    stdout: string;
    stderr: string;
}

/** A folder to run the README's shell blocks in, with stand-ins for what they would reach outside. */
export class Bench {
    private readonly folder = mkdtempSync(join(tmpdir(), "readme-"));
    private readonly tools = join(this.folder, "tools");
    private readonly log = join(this.folder, "calls");
    private metadata?: Server;
    private endpoint = "http://127.0.0.1:9"; // nobody answers there

    constructor() {
        mkdirSync(this.tools);
        // The script as a clone of the project has it, and as a source bundle.
        symlinkSync(join(root, "election"), join(this.folder, "election"));
        symlinkSync(join(root, "election", "instance"), join(this.folder, "bin"));
    }

    close(): void {
        this.hideMetadata();
        rmSync(this.folder, { recursive: true });
    }

    /** Puts a stand-in in the place of a command: its calls are noted, then it runs this. */
    standIn(command: string, body = ""): void {
        const note = `{ printf '%s\\0' ${command} "$@"; echo; } >>"${this.log}"`;
        const script = `#!/bin/sh\n${note}\nPATH='${process.env.PATH}'\n${body}\n`;
        writeFileSync(join(this.tools, command), script, { mode: 0o755 });
    }

    /** Commands and arguments of all calls of stand-ins since the last time. */
    takeCalls(): string[][] {
        const lines = existsSync(this.log) ? readFileSync(this.log, "utf8").split("\n").slice(0, -1) : [];
        rmSync(this.log, { force: true });
        return lines.map((line) => line.split("\0").slice(0, -1));
    }

    /** From now on there is a metadata service, for IMDSv2 only, of an instance with these tags. */
    async showMetadata(tags: Record<string, string>, place: { id: string; region: string }): Promise<void> {
        this.hideMetadata();
        const data: Record<string, string> = {
            "instance-id": place.id,
            "placement/region": place.region,
            "tags/instance": Object.keys(tags).join("\n"),
            ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`tags/instance/${key}`, value])),
        };
        this.metadata = createServer(({ method, url = "", headers }, response) => {
            const known = headers["x-aws-ec2-metadata-token"] === "a-token==";
            const found = known ? data[url.replace("/latest/meta-data/", "")] : undefined;
            if (method === "PUT" && url === "/latest/api/token" && headers["x-aws-ec2-metadata-token-ttl-seconds"]) {
                response.end("a-token==");
            } else {
                response.writeHead(found !== undefined ? 200 : known ? 404 : 401).end(found);
            }
        });
        await once(this.metadata.listen(0, "127.0.0.1"), "listening");
        this.endpoint = `http://127.0.0.1:${(this.metadata.address() as AddressInfo).port}`;
    }

    /** From now on nobody answers there. */
    hideMetadata(): void {
        this.metadata?.close();
        this.metadata?.closeAllConnections();
    }

    /** Runs a block in the folder, or in another; addresses and places of an instance stand for those of the bench. */
    async run(block: string, folder = this.folder): Promise<Outcome> {
        const script = block
            .replaceAll("http://169.254.169.254", this.endpoint)
            .replaceAll("/usr/local/bin", this.tools)
            .replaceAll("/usr/bin/php", "php");
        const env = {
            ...process.env,
            PATH: [this.tools, process.env.PATH].join(delimiter),
            AWS_EC2_METADATA_SERVICE_ENDPOINT: this.endpoint,
        };
        const child = spawn("sh", ["-c", script], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
        const [stdout, stderr, [status]] = await Promise.all([
            text(child.stdout),
            text(child.stderr),
            once(child, "close"),
        ]);
        return { status, stdout, stderr };
    }
}
