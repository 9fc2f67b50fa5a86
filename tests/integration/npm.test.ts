// What package.json says: packages are where they are looked for, and scripts run in every shell.
import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../simulator/stack/program";

const {
    dependencies,
    scripts,
}: Record<string, Record<string, string>> = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Packages that files need when they run, those that a string may hide included; types are erased. */
function packagesOf(files: string[]): Set<string> {
    const names = files.flatMap((file) => {
        const source = readFileSync(join(root, file), "utf8").replaceAll(/^import type [^;]*;/gm, "");
        return [...source.matchAll(/(?:\bfrom |\brequire\()"(?![./])((?:@[^/"]+\/)?[^/"]+)/g)].map(
            ([, name = ""]) => name,
        );
    });
    return new Set(names.filter((name) => !name.startsWith("node:") && !builtinModules.includes(name)));
}

const filesIn = (folder: string) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => join(folder, name));

describe("package.json", () => {
    it("has as dependencies what the program and npm run status need to run, and nothing else", () => {
        const loader = ["ts-node", "typescript"]; // they run both; Pulumi takes them too
        expect(Object.keys(dependencies ?? {})).to.have.members([
            ...packagesOf(["index.ts", ...filesIn("election")]),
            ...loader,
        ]);
    });

    it("has scripts that a shell of Windows understands: no single quotes, no variables set before a command", () => {
        for (const [name, script] of Object.entries(scripts ?? {})) {
            expect(script, name).to.not.match(/'|(^|&& )\w+=/);
        }
    });
});
