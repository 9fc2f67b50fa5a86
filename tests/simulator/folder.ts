import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./stack/program";

const folders: string[] = [];
process.once("exit", () => folders.map((folder) => rmSync(folder, { recursive: true, force: true })));

/** A new folder, which is removed when this process ends. */
export function newFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), "test-"));
    folders.push(folder);
    return folder;
}

/** A new folder, whose name has a space, with a copy of what `pulumi up` and `npm run status` read. */
export function copyOfProgram(): string {
    const folder = join(newFolder(), "leader election");
    for (const part of ["index.ts", "election", "Pulumi.yaml", "package.json", "tsconfig.json"]) {
        cpSync(join(root, part), join(folder, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    return folder;
}
