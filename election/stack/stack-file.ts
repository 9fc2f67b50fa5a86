// A stack's settings as `pulumi up` would take them, read without the CLI: for commands on the operator's machine.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { readSettings, type Settings } from "./settings";

/** The settings of a stack, and its region if its file names one. */
export interface StackSettings extends Settings {
    /** The settings `aws:region` and `aws:profile`, which count more than the environment; undefined if the file has none. */
    region?: string;
    profile?: string;
}

type Texts = Record<string, string | undefined>;

const projectFolder = join(__dirname, "..", "..");

/**
 * Reads a stack's settings: its file `Pulumi.NAME.yaml` over the defaults of Pulumi.yaml.
 *
 * @param stack its name, with or without organization and project; undefined: the defaults alone
 * @param options.over settings that count more, by their keys: those of a command line. undefined counts for nothing
 * @param options.folder that holds Pulumi.yaml and the stacks' files
 * @throws an error of one line: no such file, a file that can't be read, an encrypted value, a role to assume whose
 * credentials are not in `options.env`, or what `readSettings` refuses
 */
export function settingsOfStack(
    stack: string | undefined,
    { over = {}, folder = projectFolder, env = process.env }: { over?: Texts; folder?: string; env?: Texts } = {},
): StackSettings {
    const { name: project, config: declarations } = readYaml(folder, "Pulumi.yaml");
    const texts: Texts = {
        ...textsOf(defaultsOf(declarations), "Pulumi.yaml", project),
        ...(stack === undefined ? {} : textsOfStack(stack, folder, project)),
    };
    for (const [key, text] of Object.entries(over)) {
        texts[`${project}:${key}`] = text ?? texts[`${project}:${key}`];
    }
    const { "aws:region": region, "aws:profile": profile, "aws:assumeRoles": roles } = texts;
    if (roles && !env.AWS_ACCESS_KEY_ID) {
        const cure = "Export credentials of that role (AWS_ACCESS_KEY_ID and so on), or use aws:profile instead.";
        throw new Error(`Stack ${stack} assumes a role by aws:assumeRoles, which this command does not. ${cure}`);
    }
    const settings = readSettings(texts, project, region);
    return { ...settings, ...(region ? { region } : {}), ...(profile ? { profile } : {}) };
}

/** The value that each declared setting has in every stack, unless the stack's file says otherwise. */
function defaultsOf(declarations: Record<string, unknown> = {}): Record<string, unknown> {
    const entries = Object.entries(declarations).map(([key, entry]) => [
        key,
        isObject(entry) && !isEncrypted(entry) ? (entry.value ?? entry.default) : entry,
    ]);
    return Object.fromEntries(entries);
}

function textsOfStack(path: string, folder: string, project: string): Texts {
    const stack = path.slice(path.lastIndexOf("/") + 1);
    const file = `Pulumi.${stack}.yaml`;
    const stacks = readdirSync(folder).flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? []);
    if (!stacks.includes(stack)) {
        const known = stacks.length > 0 ? `there are files of ${stacks.sort().join(", ")}` : "no stack has a file";
        throw new Error(`There is no file ${file} of a stack ${stack}; ${known}.`);
    }
    const { config } = readYaml(folder, file);
    return textsOf(config ?? {}, file, project);
}

/** The values of a file's `config` as the CLI hands them to the program: text, by key with its namespace. */
function textsOf(config: Record<string, unknown>, file: string, project: string): Texts {
    const texts: Texts = {};
    for (const [short, value] of Object.entries(config)) {
        const key = short.includes(":") ? short : `${project}:${short}`;
        if (isEncrypted(value) && (key.startsWith(`${project}:`) || key === "aws:region")) {
            throw new Error(`Setting ${short} is encrypted in ${file}, but it must be plain text to be read here.`);
        }
        if (value !== undefined) {
            texts[key] = typeof value === "object" ? JSON.stringify(value) : String(value);
        }
    }
    return texts;
}

/** A file of settings; an empty one has none. */
function readYaml(folder: string, file: string) {
    try {
        const found = parse(readFileSync(join(folder, file), "utf8")) ?? {};
        if (!isObject(found) || !isObject(found.config ?? {})) {
            throw new Error("it has no map of settings under config");
        }
        return found as { name: string; config?: Record<string, unknown> };
    } catch (error) {
        const [firstLine] = (error as Error).message.split("\n");
        throw new Error(`${file} can't be read: ${firstLine}`);
    }
}

const isEncrypted = (value: unknown): boolean => isObject(value) && "secure" in value;

const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
