// What tests/README.md says: its folders are those that exist.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../../simulator/stack/program";
import { Document } from "./document";

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
});
