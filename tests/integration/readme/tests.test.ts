// What tests/README.md says: its folders are those that exist, and so are the checker and the example of each guarantee.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../../simulator/stack/program";
import { Document, linksIn } from "./document";

const readme = new Document("tests/README.md");

describe("tests/README.md", () => {
    it("lists the folders that exist", () => {
        const folders = readdirSync(join(root, "tests"), { withFileTypes: true }).filter((entry) =>
            entry.isDirectory(),
        );
        expect(readme.namedTable("folders").map(([cell]) => cell)).to.have.members(
            folders.map(({ name }) => `[${name}/](${name})`),
        );
    });

    it("names for each guarantee of election/README.md the checker that holds it and the test that proves it by example", () => {
        const guarantees = readme.namedTable("guarantees");
        const text = new Document("election/README.md").text.replaceAll(/\s+/g, " ");
        const [, guaranteed = ""] = text.match(/Guaranteed, while (.*?) Not guaranteed:/) ?? [];
        const promised = [...guaranteed.matchAll(/- \*\*(.*?)\.?\*\*/g)].map(([, guarantee]) => guarantee);
        expect(promised).to.have.length.above(3);
        expect(guarantees.map(([guarantee]) => guarantee).slice(0, promised.length)).to.deep.equal(promised);
        for (const [guarantee, checker, example] of guarantees) {
            for (const path of [...linksIn(checker), ...linksIn(example)]) {
                expect(existsSync(join(root, "tests", path)), `${guarantee}: ${path}`).to.equal(true);
            }
            expect(linksIn(checker).join(), guarantee).to.match(/^histories\/checkers\//);
            expect(linksIn(example).join(), guarantee).to.match(/\.test\.ts$/);
        }
    });
});
