// What election/trial/README.md and README.md say of the trial: the plays, and commands that run as written.
import { expect } from "chai";
import { optionsOf } from "../../../election/trial/options";
import { plays } from "../../../election/trial/plays";
import { optionsOf as cliOptionsOf, codeIn, Document } from "../readme/document";
import { useSandbox } from "../readme/sandbox";

const readme = new Document("election/trial/README.md");

describe("The READMEs of the trial", () => {
    const sandbox = useSandbox("aws", "npm");

    it("list the plays, in order, and what finds each loss", () => {
        const rows = readme.namedTable("plays").map(([name, , expected]) => [codeIn(name)[0], expected]);
        const words = { event: "an event: within seconds", sweep: "the next sweep" };
        expect(rows).to.deep.equal(plays.map(({ name, by }) => [name, words[by]]));
    });

    for (const document of [readme, new Document("README.md")]) {
        it(`start it as ${document.path} does`, async () => {
            expect((await sandbox.run(document.shellBlock("npm run trial").text)).status).to.equal(0);
            const [[npm, run, trial, dashes, ...args] = []] = sandbox.takeCalls();
            expect([npm, run, trial, dashes]).to.deep.equal(["npm", "run", "trial", "--"]);
            expect(optionsOf(args).stack).to.equal("prod");
        });
    }

    describe("delete by hand", () => {
        const { text } = readme.shellBlock("delete-auto-scaling-group");
        const run = async (found: Record<string, string>) => {
            const answers = Object.entries(found).map(([command, answer]) => `${command}) printf '${answer}' ;;`);
            sandbox.standIn("aws", `case $2 in ${answers.join(" ")} esac`);
            expect((await sandbox.run(text)).status).to.equal(0);
            return sandbox.takeCalls().map((call) => ({ command: call[2] ?? "", options: cliOptionsOf(call) }));
        };

        it("everything that carries the tag, the group first", async () => {
            const calls = await run({
                "describe-auto-scaling-groups": "awseb-trial-1\\nawseb-trial-2\\n",
                "describe-instances": "i-1\\ti-2\\ni-3\\n",
                "describe-launch-templates": "lt-1\\nlt-2\\n",
            });
            for (const { options } of calls) {
                expect(options["--region"]).to.deep.equal(["us-east-1"]);
            }
            for (const { options } of calls.filter(({ command }) => command.startsWith("describe"))) {
                expect(options["--filters"]?.[0]).to.equal("Name=tag-key,Values=leader-trial");
            }
            const writes = calls.filter(({ command }) => !command.startsWith("describe"));
            expect(writes.map(({ command, options }) => [command, Object.values(options).at(-1)])).to.deep.equal([
                ["delete-auto-scaling-group", ["awseb-trial-1"]],
                ["delete-auto-scaling-group", ["awseb-trial-2"]],
                ["terminate-instances", ["i-1", "i-2", "i-3"]],
                ["delete-launch-template", ["lt-1"]],
                ["delete-launch-template", ["lt-2"]],
            ]);
        });

        it("nothing where nothing is left", async () => {
            const calls = await run({ "describe-instances": "" });
            expect(calls.filter(({ command }) => !command.startsWith("describe"))).to.deep.equal([]);
        });
    });
});
