// A copy of the repository as `pulumi new` makes it, under another name, registers the same program.
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect } from "chai";
import { parse, stringify } from "yaml";
import { newFolder } from "../simulator/folder";
import { declarations, type Program, project, root, runProgram, shapeOf } from "../simulator/stack/program";

const name = "shop-leaders";
const region = "eu-west-3";

const { template }: { template?: { config: typeof declarations } } = parse(
    readFileSync(join(root, "Pulumi.yaml"), "utf8"),
);

/** A stack's settings. Keys of the repository's own name stay in the stack file, and count for nothing. */
const config = {
    [`${project}:asgPrefix`]: "awseb-",
    [`${project}:tagKey`]: "app:isLeader",
    "aws:region": region,
    [`${name}:asgPrefix`]: "shop-",
};

/** Does to a folder what `pulumi new` does after it has asked: the CLI fills in the template and writes it anew. */
function makeNew(folder: string): void {
    const skipped = ["node_modules", ".git", "coverage"];
    cpSync(root, folder, { recursive: true, filter: (source) => !skipped.includes(basename(source)) });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const { template: _, ...copy } = parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8"));
    copy.name = name;
    copy.config["pulumi:tags"] = { value: { "pulumi:template": "asg-leader-election" } };
    writeFileSync(join(folder, "Pulumi.yaml"), stringify(copy, { indent: 2 }));
    writeFileSync(join(folder, "Pulumi.dev.yaml"), stringify({ config }, { indent: 2 }));
}

describe("pulumi new of this repository", () => {
    const folder = newFolder();
    before(() => makeNew(folder));

    it("asks for settings that exist, with their defaults, and for the region", function () {
        if (!template) {
            this.skip(); // the CLI leaves it out of what it makes
        }
        const { "aws:region": where, ...settings } = template.config;
        expect(where?.default).to.equal("us-east-1");
        expect(settings).to.have.any.keys("asgPrefix", "tagKey");
        for (const [key, { description, default: value }] of Object.entries(settings)) {
            expect(value, key).to.equal(declarations[key]?.default);
            expect(description, key).to.match(/\w+ \w+/);
        }
    });

    it("finds no text in the repository that it would fill in", () => {
        const placeholders = ["PROJECT", "DESCRIPTION"].map((word) => `\${${word}}`);
        const { stdout } = spawnSync("grep", ["-rlF", ...placeholders.flatMap((text) => ["-e", text]), "."], {
            cwd: folder,
            encoding: "utf8",
        });
        expect(stdout).to.equal("");
    });

    it("makes a project that registers the same program under its own name", async () => {
        const script = `require("./tests/simulator/stack/program")
            .runProgram(${JSON.stringify({ config, region })})
            .then((program) => process.stdout.write(JSON.stringify(program)));`;
        writeFileSync(join(folder, "register.js"), script);
        const { stdout, stderr, status } = spawnSync(process.execPath, ["-r", "ts-node/register", "register.js"], {
            cwd: folder,
            encoding: "utf8",
            maxBuffer: 100e6,
        });
        expect({ stderr, status }).to.deep.equal({ stderr: "", status: 0 });
        const copy: Program = JSON.parse(stdout);
        const own = await runProgram({ config: { asgPrefix: "shop-" }, region });
        const nameless = (program: Program, called: string) =>
            JSON.parse(JSON.stringify(shapeOf(program)).replaceAll(called, "PROJECT"));
        expect(nameless(copy, name)).to.deep.equal(nameless(own, project));
    });
});
