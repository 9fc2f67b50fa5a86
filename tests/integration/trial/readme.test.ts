// What election/trial/README.md and README.md say of the trial: the plays, and commands that run as written.
import { expect } from "chai";
import { optionsOf } from "../../../election/trial/options";
import { plays } from "../../../election/trial/plays";
import { only } from "../../simulator/lists";
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
            const { status, calls } = await sandbox.run(document.shellBlock("npm run trial").text);
            expect(status).to.equal(0);
            const [npm, run, trial, dashes, ...args] = only(calls);
            expect([npm, run, trial, dashes]).to.deep.equal(["npm", "run", "trial", "--"]);
            expect(optionsOf(args).stack).to.equal("prod");
        });
    }

    it("delete by hand everything that carries the tag, the group first, and nothing where nothing is left", async () => {
        /** Runs the commands where AWS answers so; what they call. */
        const run = async (answers: string) => {
            sandbox.standIn("aws", `case $2 in ${answers} esac`);
            const outcome = await sandbox.run(readme.shellBlock("delete-auto-scaling-group").text);
            expect(outcome.status).to.equal(0);
            const calls = outcome.calls.map((call) => ({ command: call[2], options: cliOptionsOf(call) }));
            const reads = calls.filter(({ command }) => command?.startsWith("describe"));
            return { calls, reads, writes: calls.filter((call) => !reads.includes(call)) };
        };
        const { calls, reads, writes } = await run(`
            describe-auto-scaling-groups) printf 'awseb-trial-1\\nawseb-trial-2\\n' ;;
            describe-instances) printf 'i-1\\ti-2\\ni-3\\n' ;;
            describe-launch-templates) printf 'lt-1\\nlt-2\\n' ;;`);
        for (const { options } of calls) {
            expect(options["--region"]).to.deep.equal(["us-east-1"]);
        }
        for (const { options } of reads) {
            expect(options["--filters"]?.[0]).to.equal("Name=tag-key,Values=leader-trial");
        }
        expect(writes.map(({ command, options }) => [command, Object.values(options).at(-1)])).to.deep.equal([
            ["delete-auto-scaling-group", ["awseb-trial-1"]],
            ["delete-auto-scaling-group", ["awseb-trial-2"]],
            ["terminate-instances", ["i-1", "i-2", "i-3"]],
            ["delete-launch-template", ["lt-1"]],
            ["delete-launch-template", ["lt-2"]],
        ]);
        expect((await run("*) ;;")).writes).to.deep.equal([]);
    });
});
