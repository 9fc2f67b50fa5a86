// Reads a README: its blocks, tables, headings and links.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { only } from "../../simulator/lists";
import { root } from "../../simulator/stack/program";

/** A fenced block of a README. */
interface Block {
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
    ...[".github", "election", "tests"].flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
            .filter((path) => path.endsWith(".md"))
            .map((path) => join(folder, path)),
    ),
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
        return linksIn(this.prose)
            .filter((link) => !link.startsWith("https:"))
            .map((link) => {
                const [path = "", section] = link.split("#");
                return { path: path ? join(dirname(this.path), path) : this.path, section };
            });
    }

    /** The only shell block with a text in it. */
    shellBlock(part: string): Block {
        return only(this.shellBlocks.filter(({ text }) => text.includes(part)));
    }

    /** The texts of its blocks in a language. */
    in(language: string): string[] {
        return this.blocks.filter((block) => block.language === language).map(({ text }) => text);
    }

    /** The block that follows a comment with a name. */
    namedBlock(name: string): string {
        return this.named(name, "```\\w+\\n(.*?)^```$");
    }

    /** The list that follows a comment with a name. */
    namedList(name: string): string {
        return this.named(name, "((?:[-` ][^\\n]*\\n)+)");
    }

    /** The cells of the table that follows a comment with a name, without its head. */
    namedTable(name: string): string[][] {
        const [, , ...rows] = this.named(name, "((?:\\|[^\\n]*\\n)+)").trimEnd().split("\n");
        return rows.map((row) =>
            row
                .slice(1, -1)
                .split("|")
                .map((cell) => cell.trim()),
        );
    }

    private named(name: string, pattern: string): string {
        const [, found] = this.text.match(new RegExp(`<!-- ${name} -->\\n+${pattern}`, "ms")) ?? [];
        if (found === undefined) {
            throw new Error(`${this.path} has no such thing after <!-- ${name} -->`);
        }
        return found;
    }
}

/** What is set in code in a text. */
export const codeIn = (cell = ""): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);

/** Where a text links to. */
export const linksIn = (cell = ""): string[] => [...cell.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link);

/** Program, service and command of a call, as in `aws ec2 create-tags`. */
export const commandOf = (call: string[] = []): string => call.slice(0, 3).join(" ");

/** What a command of the AWS CLI was called with: the values of each option, under its name. */
export function optionsOf(call: string[] = []): Record<string, string[]> {
    const [, ...options] = call.join("\0").split(/\0(?=--)/);
    return Object.fromEntries(options.map((option) => option.split("\0")).map(([name, ...values]) => [name, values]));
}

/** The fields of each tag that a command of the AWS CLI was called with, in its short form `Key=…,Value=…`. */
export const tagsOf = (call?: string[]): Record<string, string>[] =>
    (optionsOf(call)["--tags"] ?? []).map((tag) => Object.fromEntries(tag.split(",").map((field) => field.split("="))));
