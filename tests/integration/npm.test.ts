// What package.json says: packages are where they are looked for, and scripts run in every shell.
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../simulator/stack/program";

type Texts = Record<string, string>;
const { dependencies, scripts }: { dependencies: Texts; scripts: Texts } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
);

/** Packages that a file needs when it runs, those that a string may hide included; types are erased. */
function packagesOf(file: string): string[] {
    const source = readFileSync(join(root, file), "utf8").replaceAll(/^import type [^;]*;/gm, "");
    const found = source.matchAll(/(?:\bfrom |\brequire\()"(?![./])((?:@[^/"]+\/)?[^/"]+)/g);
    return [...found].map(([, name = ""]) => name).filter((name) => !isBuiltin(name));
}

describe("package.json", () => {
    it("has as dependencies what the program and npm run status need to run, and nothing else", () => {
        const sources = readdirSync(join(root, "election"), { recursive: true, encoding: "utf8" })
            .filter((name) => name.endsWith(".ts"))
            .map((name) => join("election", name));
        const loader = ["ts-node", "typescript"]; // they run both; Pulumi takes them too
        const needed = new Set([...["index.ts", ...sources].flatMap(packagesOf), ...loader]);
        expect(Object.keys(dependencies)).to.have.members([...needed]);
    });

    it("has scripts that a shell of Windows understands: no single quotes, no variables set before a command", () => {
        for (const [name, script] of Object.entries(scripts)) {
            expect(script, name).to.not.match(/'|(^|&& )\w+=/);
        }
    });
});
