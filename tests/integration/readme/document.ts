// Reads a README: its blocks, tables, headings and links.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../../simulator/stack/program";

/** A fenced block of a README. */
export interface Block {
    language: string;
    text: string;
    /** Where the line before it says that it works; without such a line on this machine. */
    where: "here" | "AWS" | "instance";
}

const marks: Record<string, Block["where"]> = {
    "_Needs an AWS account:_": "AWS",
    "_On an instance:_": "instance",
};

/** All documents of the project, by their paths from its folder. */
export const paths = [
    "README.md",
    "CHANGELOG.md",
    ".github/SECURITY.md",
    "election/README.md",
    "election/instance/README.md",
    "election/stack/README.md",
    "election/stack/costs.md",
    "election/stack/deploying.md",
    "election/stack/monitoring.md",
    "election/stack/terraform.md",
    "election/trial/README.md",
    "tests/README.md",
];

/** A README as it stands in the project. */
export class Document {
    readonly text: string;
    readonly blocks: Block[];
    /** The text without its fenced blocks. */
    readonly prose: string;

    constructor(readonly path: string) {
        this.text = readFileSync(join(root, path), "utf8");
        const fence = /^( *)```(\w*)\n(.*?)^\1```$/gms;
        this.blocks = [...this.text.matchAll(fence)].map(({ index, 1: indent, 2: language = "", 3: text = "" }) => ({
            language,
            text: text.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
            where: marks[this.text.slice(0, index).trimEnd().split("\n").at(-1)?.trim() ?? ""] ?? "here",
        }));
        this.prose = this.text.replaceAll(fence, "");
    }

    get shellBlocks(): Block[] {
        return this.blocks.filter(({ language }) => language === "sh");
    }

    /** The addresses of its sections, as GitHub makes them from the headings. */
    get sections(): string[] {
        return [...this.prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
            heading
                .toLowerCase()
                .replaceAll(/[^\w\- ]/g, "")
                .replaceAll(" ", "-"),
        );
    }

    /** What it links to inside the project: paths from the project's folder, and sections. */
    get links(): { path: string; section?: string }[] {
        return [...this.prose.matchAll(/\]\(([^)]+)\)/g)]
            .map(([, link = ""]) => link)
            .filter((link) => !link.startsWith("https:"))
            .map((link) => {
                const [path = "", section] = link.split("#");
                return { path: path ? join(dirname(this.path), path) : this.path, section };
            });
    }

    /** The only shell block with a text in it. */
    shellBlock(part: string): Block {
        const [block, ...others] = this.shellBlocks.filter(({ text }) => text.includes(part));
        if (!block || others.length > 0) {
            throw new Error(`${this.path} has not one shell block with ${JSON.stringify(part)}`);
        }
        return block;
    }

    /** The block that follows a comment with a name. */
    namedBlock(name: string): string {
        const [, found] = this.text.match(new RegExp(`<!-- ${name} -->\\n+\`\`\`\\w+\\n(.*?)^\`\`\`$`, "ms")) ?? [];
        if (found === undefined) {
            throw new Error(`${this.path} has no block after <!-- ${name} -->`);
        }
        return found;
    }

    /** The cells of the table that follows a comment with a name, without its head. */
    namedTable(name: string): string[][] {
        const [, found] = this.text.match(new RegExp(`<!-- ${name} -->\\n+((?:\\|.*\\n)+)`)) ?? [];
        if (found === undefined) {
            throw new Error(`${this.path} has no table after <!-- ${name} -->`);
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
}

/** What is set in code in a text. */
export const codeIn = (cell = ""): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);

/** What a command of the AWS CLI was called with: the values of each option, under its name. */
export function optionsOf(call: string[] = []): Record<string, string[]> {
    const options: Record<string, string[]> = {};
    let values: string[] = [];
    for (const word of call.slice(3)) {
        if (word.startsWith("--")) {
            values = [];
            options[word] = values;
        } else {
            values.push(word);
        }
    }
    return options;
}

/** Reads `Name=a,Values=b,c`, the CLI's short form of a filter. */
export function filterOf(short: string): { Name: string; Values: string[] } {
    const [, Name = "", values = ""] = short.match(/^Name=([^,]+),Values=(.+)$/) ?? [];
    return { Name, Values: values.split(",") };
}
