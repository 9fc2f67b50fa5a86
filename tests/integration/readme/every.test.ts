// What holds for every README: its links lead somewhere, its blocks are what they say, its figures add up.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { readSettings } from "../../../election/stack/settings";
import { programWith } from "../../simulator/scenario";
import { configuration, declarations, project, root } from "../../simulator/stack/program";
import { codeIn, Document, paths } from "./document";
import { useSandbox } from "./sandbox";

const pulumiCommands = /^(login|stack (init|select|output|rm)|config set|preview|up|destroy|logs)\b/;
const documents = paths.map((path) => new Document(path));
const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts;

for (const document of documents) {
    const { path, text, prose, shellBlocks, links } = document;
    describe(path, () => {
        const sandbox = useSandbox("npm", "npx", "git", "sh", "aws", "sleep");

        it("links only to files and sections that exist", () => {
            expect(links.filter((link) => !existsSync(join(root, link.path)))).to.deep.equal([]);
            for (const { path: linked, section } of links.filter((link) => link.section !== undefined)) {
                expect(documents.find((one) => one.path === linked)?.sections).to.include(section);
            }
        });

        it("names only npm scripts that exist", () => {
            const named = [...text.matchAll(/\bnpm (?:run )?([a-z]+)/g)].map(([, name]) => name);
            expect([...Object.keys(scripts), "ci"]).to.include.members(named);
        });

        it("names only outputs that the stack has", async () => {
            const named = [...text.matchAll(/stack output (\w+)|outputs? `(\w+)`/g)].map(([, a, b]) => a ?? b);
            expect(Object.keys((await programWith()).outputs)).to.include.members(named);
        });

        it("has shell blocks without a syntax error, which say where they work", () => {
            for (const { text: script, where } of shellBlocks) {
                const { status, stderr } = spawnSync("sh", ["-n"], { input: script, encoding: "utf8" });
                expect({ status, stderr }, script).to.deep.equal({ status: 0, stderr: "" });
                const needsAws = /\b(aws|pulumi|curl)\b|(?<![\w/-])leader-only\b/.test(script);
                expect(where === "here" && needsAws, script).to.equal(false);
            }
        });

        it("has pulumi commands that exist, with settings and values that are allowed", async () => {
            const scripts = shellBlocks.map((block) => block.text).filter((script) => script.includes("npx pulumi"));
            const called: string[][] = [];
            for (const script of scripts) {
                const { status, calls } = await sandbox.run(script);
                expect(status, script).to.equal(0);
                called.push(...calls.filter(([command]) => command === "npx"));
            }
            expect(called.length).to.be.at.least(scripts.join().split("npx pulumi").length - 1);
            const inline = codeIn(prose).filter((code) => code.startsWith("npx pulumi ") && !code.includes("KEY"));
            for (const [, pulumi, ...words] of [...called, ...inline.map((code) => code.split(" "))]) {
                expect(pulumi).to.equal("pulumi");
                const [command] = words.join(" ").match(pulumiCommands) ?? [];
                expect(command, words.join(" ")).to.be.a("string");
                if (command === "config set") {
                    const [, , key = "", value] = words;
                    expect(["aws:region", ...Object.keys(declarations)]).to.include(key);
                    expect(() => readSettings(configuration({ [key]: value ?? null }), project)).to.not.throw();
                }
            }
        });

        it("has JSON in its blocks of JSON", () => {
            for (const json of document.in("json")) {
                expect(() => JSON.parse(json), json).to.not.throw();
            }
        });

        it("speaks of instances, code and calls as things", () => {
            const words = /\b(nobody|somebody|everybody|whoever|whom|hears?|heard|tells?|told)\b/gi;
            expect(prose.replaceAll(/`[^`]*`/g, "").match(words) ?? []).to.deep.equal([]);
        });

        it("folds only what it unfolds again", () => {
            expect(prose.split("<details>").length).to.equal(prose.split("</details>").length);
        });
    });
}

describe("The READMEs", () => {
    it("are each linked from another", () => {
        const linked = documents.flatMap(({ path, links }) => links.filter((link) => link.path !== path));
        expect(linked.map(({ path }) => path)).to.include.members(paths);
    });
});
