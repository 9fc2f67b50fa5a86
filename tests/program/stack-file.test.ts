// A stack's settings read from its file: what `npm run status` and `npm run trial` take them from.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { settingsOfStack } from "../../election/stack/stack-file";
import { newFolder } from "../simulator/folder";
import { declarations } from "../simulator/stack/program";

const defaults = Object.fromEntries(Object.entries(declarations).map(([key, { default: value }]) => [key, value]));
const projectFile = JSON.stringify({
    name: "shops",
    config: { ...declarations, "pulumi:tags": { value: { "pulumi:template": "x" } } }, // as `pulumi new` leaves it
});

describe("The settings of a stack", () => {
    let folder: string;
    beforeEach(() => {
        folder = newFolder();
        write("Pulumi.yaml", projectFile);
    });

    const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
    const read = (name?: string, over?: Record<string, string | undefined>) => settingsOfStack(name, { folder, over });

    it("are its file's over Pulumi.yaml's defaults, and its region, whatever is encrypted there for others", () => {
        const settings = "aws:region: eu-west-1, shops:handoverSeconds: 5, other:token: {secure: v1:abc}";
        write("Pulumi.dev.yaml", `encryptionsalt: v1:abc=\nconfig: {${settings}}\n`);
        expect(read("dev")).to.include({ handoverSeconds: 5, region: "eu-west-1", tagKey: defaults.tagKey });
        expect(read("organization/shops/dev")).to.deep.equal(read("dev"));
    });

    it("are the defaults without a stack, and in a file that sets nothing", () => {
        for (const empty of ["", "config: {}\n", "encryptionsalt: v1:abc=\n"]) {
            write("Pulumi.dev.yaml", empty);
            expect(read("dev")).to.deep.equal(read());
        }
        expect(read()).to.include({ sweepMinutes: defaults.sweepMinutes, dryRun: defaults.dryRun });
        expect(read()).to.not.have.property("region");
    });

    it("give way to those of a command line", () => {
        write("Pulumi.dev.yaml", "config:\n  shops:tagKey: file\n  shops:sweepMinutes: 5\n");
        const over = { tagKey: "line", sweepMinutes: undefined };
        expect(read("dev", over)).to.include({ tagKey: "line", sweepMinutes: 5 });
    });

    const topic = "shops:alarmTopicArn: arn:aws:sns:us-east-1:123456789012:x";
    const refused: [what: string, text: string, message: RegExp][] = [
        ["a value that isn't allowed", "config: {shops:sweepMinutes: 0}", /^Setting sweepMinutes is "0", but it must/],
        ["a misspelt setting", "config: {shops:tagkey: x}", /^There is no setting tagkey\. The settings are .*tagKey/],
        [
            "an encrypted setting",
            "config: {shops:tagKey: {secure: v1:abc}}",
            /^Setting shops:tagKey is encrypted in Pulumi\.dev/,
        ],
        ["an encrypted region", "config: {aws:region: {secure: v1:abc}}", /^Setting aws:region is encrypted/],
        ["a file that is no YAML", "config: {", /^Pulumi\.dev\.yaml can't be read: .+$/],
        ["a file with a list where settings belong", "config: [1]", /^Pulumi\.dev\.yaml can't be read: /],
        ["a file of text", "hello", /^Pulumi\.dev\.yaml can't be read: /],
        ["a topic of another region than the file's", `config: {aws:region: eu-west-1, ${topic}}`, / own region/],
    ];
    for (const [what, text, message] of refused) {
        it(`refuse ${what} in one line`, () => {
            write("Pulumi.dev.yaml", text);
            expect(() => read("dev")).to.throw(message);
        });
    }

    it("refuse a role to assume, unless credentials of it are in the environment", () => {
        write("Pulumi.dev.yaml", "config: {aws:assumeRoles: [{roleArn: x}]}");
        const readWith = (env: Record<string, string>) => settingsOfStack("dev", { folder, env });
        expect(() => readWith({})).to.throw(/^Stack dev assumes a role by aws:assumeRoles, .* Export credentials/);
        expect(readWith({ AWS_ACCESS_KEY_ID: "testing" })).to.deep.equal(read());
    });

    it("refuse a stack that has no file, and list those that have one", () => {
        expect(() => read("dev")).to.throw("There is no file Pulumi.dev.yaml of a stack dev; no stack has a file.");
        write("Pulumi.prod.yaml", "");
        write("Pulumi.eu.west.yaml", "");
        expect(() => read("dev")).to.throw("of a stack dev; there are files of eu.west, prod.");
        expect(() => read("../x")).to.throw("There is no file Pulumi.x.yaml");
    });
});
