// Stands in for a command on a machine of the tests.
import { existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { find } from "../tools";

/** Makes a folder in another, with these programs of this machine alone. */
export function folderWith(parent: string, ...programs: string[]): string {
    const folder = mkdtempSync(join(parent, "tools-"));
    for (const program of programs) {
        symlinkSync(find(program) ?? program, join(folder, program));
    }
    return folder;
}

/** Puts a program in place of a command: with `log` it notes its name and arguments there, then it runs this. */
export function standIn(folder: string, command: string, body = "", log?: string): void {
    const note = log ? `{ printf '%s\\0' ${command} "$@"; echo; } >>"${log}"\n` : "";
    writeFileSync(join(folder, command), `#!/bin/sh\n${note}${body}\n`, { mode: 0o755 });
}

/** The lines of a file, without a last one that is not whole; none if there is no file. */
export const linesOf = (file: string): string[] =>
    existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];

/** Name and arguments of each call that was noted. */
export const callsIn = (log: string): string[][] => linesOf(log).map((line) => line.split("\0").slice(0, -1));
