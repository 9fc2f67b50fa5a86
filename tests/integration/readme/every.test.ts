// What holds for every README: its links lead somewhere, its blocks are what they say, its figures add up.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { readSettings } from "../../../election/stack/settings";
import { configuration, declarations, project, root, runProgram } from "../../simulator/stack/program";
import { codeIn, Document, paths } from "./document";
import { Sandbox } from "./sandbox";

const pulumiCommands = [
    "login",
    "stack init",
    "stack select",
    "stack output",
    "stack rm",
    "config set",
    "preview",
    "up",
    "destroy",
    "logs",
];
const documents = paths.map((path) => new Document(path));
const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts;

for (const { path, text, prose, blocks, shellBlocks, links } of documents) {
    describe(path, function () {
        this.timeout(60_000);

        it("links only to files and sections that exist", () => {
            expect(links.filter((link) => !existsSync(join(root, link.path)))).to.deep.equal([]);
            const broken = links.filter(
                (link) =>
                    link.section !== undefined &&
                    !documents.find((one) => one.path === link.path)?.sections.includes(link.section),
            );
            expect(broken).to.deep.equal([]);
        });

        it("names only npm scripts that exist", () => {
            const named = [...text.matchAll(/\bnpm (?:run )?([a-z]+)/g)].map(([, name]) => name);
            expect([...Object.keys(scripts), "ci"]).to.include.members(named);
        });

        it("names only outputs that the stack has", async () => {
            const named = [...text.matchAll(/stack output (\w+)|outputs? `(\w+)`/g)].map(([, a, b]) => a ?? b);
            expect(Object.keys((await runProgram()).outputs)).to.include.members(named);
        });

        it("has shell blocks without a syntax error, which say where they work", () => {
            for (const { text: script, where } of shellBlocks) {
                const { status, stderr } = spawnSync("sh", ["-n"], { input: script, encoding: "utf8" });
                expect({ status, stderr }, script).to.deep.equal({ status: 0, stderr: "" });
                expect(
                    where === "here" && /\b(aws|pulumi|curl)\b|(?<![\w/-])leader-only\b/.test(script),
                    script,
                ).to.equal(false);
            }
        });

        it("has pulumi commands that exist, with settings and values that are allowed", async () => {
            const sandbox = new Sandbox().open();
            try {
                for (const command of ["npm", "npx", "git", "sh", "aws"]) {
                    sandbox.standIn(command);
                }
                for (const { text: script } of shellBlocks.filter((block) => block.text.includes("npx pulumi"))) {
                    expect((await sandbox.run(script)).status, script).to.equal(0);
                }
                const inline = codeIn(prose).filter((code) => code.startsWith("npx pulumi ") && !code.includes("KEY"));
                const called = sandbox.takeCalls().filter(([command]) => command === "npx");
                const shown = shellBlocks.flatMap(({ text: script }) => script.match(/npx pulumi/g) ?? []);
                expect(called.length).to.be.at.least(shown.length);
                for (const [, pulumi, ...words] of [...called, ...inline.map((code) => code.split(" "))]) {
                    expect(pulumi).to.equal("pulumi");
                    const command = pulumiCommands.find((one) => `${words.join(" ")} `.startsWith(`${one} `));
                    expect(command, words.join(" ")).to.be.a("string");
                    if (command === "config set") {
                        const [, , key = "", value] = words;
                        expect(["aws:region", ...Object.keys(declarations)]).to.include(key);
                        expect(() => readSettings(configuration({ [key]: value ?? null }), project)).to.not.throw();
                    }
                }
            } finally {
                sandbox.close();
            }
        });

        it("has JSON in its blocks of JSON", () => {
            for (const { language, text: json } of blocks) {
                expect(() => language === "json" && JSON.parse(json), json).to.not.throw();
            }
        });

        it("speaks of instances, code and calls as things", () => {
            const words = /\b(nobody|somebody|everybody|whoever|whom|hears?|heard|tells?|told)\b/gi;
            expect(prose.replaceAll(/`[^`]*`/g, "").match(words) ?? []).to.deep.equal([]);
        });

        it("folds only what it unfolds again", () => {
            expect(prose.match(/<details>/g)?.length).to.equal(prose.match(/<\/details>/g)?.length);
        });
    });
}

describe("The READMEs", () => {
    it("are all of the project's, and each is linked from another", () => {
        const found = [".github", "election", "tests"].flatMap((folder) =>
            readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) => join(folder, file)),
        );
        const documented = found.filter((path) => path.endsWith(".md"));
        expect(["README.md", "CHANGELOG.md", ...documented]).to.have.members(paths);
        const linked = documents.flatMap(({ path, links }) => links.filter((link) => link.path !== path));
        expect(linked.map(({ path }) => path)).to.include.members(paths);
    });
});
