// What README.md says: its commands run, its recipes work, its settings are the program's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { leaderTags } from "../../simulator/metadata";
import { declarations, type Program, root, runProgram } from "../../simulator/stack/program";
import { commandOf, Document } from "./document";
import { useSandbox } from "./sandbox";

const readme = new Document("README.md");

describe("README.md", () => {
    const sandbox = useSandbox("php", "aws");

    let program: Program;
    before(async () => {
        program = await runProgram();
    });

    it("npm start plays what the excerpt shows", async () => {
        sandbox.standIn("npm", '[ "$1" = ci ] || exec npm "$@"');
        const { stdout, ...outcome } = await sandbox.run(readme.shellBlock("npm start").text, root);
        const calls = ["ci", "start"].map((script) => ["npm", script]);
        expect(outcome).to.deep.equal({ status: 0, stderr: "", calls });
        const lines = stdout.split("\n");
        for (const line of readme.namedBlock("rehearsal").trimEnd().split("\n")) {
            const index = line === "[…]" ? 0 : lines.indexOf(line);
            expect(index, `the line in what npm start prints next: ${line}`).to.be.at.least(0);
            lines.splice(0, line === "[…]" ? 0 : index + 1);
        }
    });

    it("has no other blocks for this machine but npm test, and the recipe for Elastic Beanstalk", () => {
        const texts = readme.shellBlocks.filter(({ where }) => where === "here").map(({ text }) => text.trim());
        const [start, test, ...recipes] = texts;
        expect([start, test]).to.deep.equal(["npm ci && npm start", "npm ci && npm test"]);
        expect(recipes).to.deep.equal([readme.shellBlock("election/instance/beanstalk/.").text.trim()]);
    });

    it("has at most 12 KiB, and an excerpt that GitHub shows without cutting it off", () => {
        expect(Buffer.byteLength(readme.text)).to.be.at.most(12 * 1024);
        for (const line of readme.namedBlock("rehearsal").split("\n")) {
            expect(line).to.have.length.at.most(96);
        }
    });

    it("the version that is deployed is package.json's, and CHANGELOG.md has it", async () => {
        const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
        expect(program.outputs.version).to.equal(version);
        expect(readFileSync(join(root, "CHANGELOG.md"), "utf8")).to.match(
            new RegExp(`^## ${version.replaceAll(".", "\\.")}$`, "m"),
        );
    });

    it("my cron on Elastic Beanstalk: the recipe copies the ready folder, and shows the line that its cron table has", async () => {
        const { text } = readme.shellBlock("election/instance/beanstalk/.");
        const copy = `mkdir app\n${text.replace("../my-app", "app")}\nls -A app app/leader`;
        const { status, stdout } = await sandbox.run(copy);
        expect(status).to.equal(0);
        const names = [".platform", "install", "cron", "run", "leader-only", "leader-while"];
        expect(stdout.split("\n")).to.include.members(names);
        const table = readFileSync(join(root, "election/instance/beanstalk/leader/cron"), "utf8");
        expect(table.trimEnd().split("\n").at(-1)).to.equal(readme.in("cron")[0]?.trim());
    });

    it("my worker, or Celery beat: its line runs the command on the leader", async () => {
        sandbox.standIn("celery");
        await sandbox.run("install -m 755 election/instance/leader-only election/instance/leader-while /usr/local/bin");
        await sandbox.showMetadata(leaderTags);
        const [unit = ""] = readme.in("ini");
        const [, command] = unit.match(/^ExecStart=(.+)$/m) ?? [];
        const outcome = await sandbox.run(String(command));
        expect(outcome).to.deep.include({ status: 0, calls: [["celery", "--app", "shop", "beat"]] });
    });

    it("my cron on any instance: the line for cron runs its command on the leader only", async () => {
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        const [, command] = readme.in("cron")[1]?.match(/www-data (.*)$/m) ?? [];
        const silent = { status: 0, stdout: "", stderr: "" };
        expect(await sandbox.onBoth(String(command))).to.deep.equal([
            { ...silent, calls: [["php", "/var/www/shop/artisan", "schedule:run"]] },
            { ...silent, calls: [] },
        ]);
    });

    it("up creates what the program registers", () => {
        const numbers = ["no", "a", "two", "three", "four", "five", "six", "seven", "eight"];
        const count = (type: string) =>
            numbers[program.resources.filter((one) => one.type.endsWith(`:${type}`)).length];
        expect(["Queue", "Function", "Role", "LogGroup"].map(count)).to.deep.equal(["a", "a", "a", "a"]);
        expect(readme.text.replaceAll(/\s+/g, " ")).to.include(
            `\`up\` creates a queue, ${count("EventRule")} rules, a function with its role and log group, ` +
                `${count("MetricAlarm")} alarms and ${count("QueryDefinition")} saved queries.`,
        );
    });

    it("the leaders are listed by what the stack's output says", async () => {
        sandbox.standIn("npx", `cat <<'OUTPUT'\n${program.outputs.leadersCommand}\nOUTPUT`);
        const { status, calls } = await sandbox.run(readme.shellBlock("stack output leadersCommand").text);
        const [asked, listed] = calls;
        expect(status).to.equal(0);
        expect(asked).to.deep.equal(["npx", "pulumi", "stack", "output", "leadersCommand"]);
        expect(commandOf(listed)).to.equal("aws ec2 describe-instances");
    });

    it("the settings are those of Pulumi.yaml, in its order, with its defaults", () => {
        const rows = readme.namedTable("settings").map(([key, value]) => [key, value]);
        const shown = (value: unknown) => (value === "" ? "empty" : `\`${value}\``);
        expect(rows).to.deep.equal(
            Object.entries(declarations).map(([key, { default: value }]) => [`\`${key}\``, shown(value)]),
        );
    });
});
