// What election/instance/README.md says: its commands, units and hooks run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "chai";
import { namespace } from "../../instance/processes";
import { instanceId } from "../../simulator/metadata";
import { root } from "../../simulator/stack/program";
import { type Tool, withTool } from "../../tools";
import { Document, filterOf, optionsOf } from "./document";
import { followerTags, groupKey, leaderTags, tagKey } from "./fleet";
import { type Outcome, Sandbox, useSandbox } from "./sandbox";

const readme = new Document("election/instance/README.md");

describe("election/instance/README.md", function () {
    this.timeout(60_000);

    const sandbox = useSandbox("php", "aws");

    const install = readme.shellBlock("install -m 755 leader-only").text;
    beforeEach(async () => {
        sandbox.standIn("systemctl");
        expect(await sandbox.run(install)).to.deep.equal({ status: 0, stdout: "", stderr: "" });
        expect(sandbox.takeCalls()).to.deep.equal([["systemctl", "enable", "--now", "leader-worker"]]);
    });

    it("the worker's unit is installed with what it starts", () => {
        for (const name of ["leader-worker.service", "leader-drain@.service"]) {
            expect(sandbox.read(`/etc/systemd/system/${name}`)).to.match(
                /^ExecStart=\/usr\/local\/bin\/leader-(while|veto) /m,
            );
        }
        expect(sandbox.read("/usr/local/bin/leader-while")).to.include("leader-only");
    });

    it("a command runs on the leader only", async () => {
        const { text } = readme.shellBlock("leader-only php artisan schedule:run");
        expect(await sandbox.whatRuns(text)).to.deep.equal([[["php", "artisan", "schedule:run"]], []]);
    });

    it("after installing the script an instance says whether it leads", async () => {
        const { text } = readme.shellBlock("install -m 755 election/instance/leader-only");
        await sandbox.showMetadata(leaderTags);
        expect(await sandbox.run(text)).to.deep.include({ status: 0, stdout: "this instance leads\n" });
        await sandbox.showMetadata(followerTags);
        expect(await sandbox.run(text)).to.deep.include({ status: 1, stdout: "" });
    });

    it("--check says so on an instance that doesn't lead", async () => {
        await sandbox.showMetadata({ ...followerTags, [groupKey]: "awseb-e-shop" });
        const { text } = readme.shellBlock("leader-only --check");
        const { status, stdout } = await sandbox.run(text);
        const expected = String(readme.blocks.find(({ text }) => text.includes("metadata shows tags"))?.text);
        expect(status).to.equal(1);
        expect(stdout.split("\n").slice(1)).to.deep.equal(expected.split("\n").slice(1));
    });

    it("a worker runs while this instance leads", async () => {
        await sandbox.showMetadata(leaderTags);
        const { status, stderr } = await sandbox.run(readme.shellBlock("leader-while --grace 20").text);
        expect(status, stderr).to.equal(0);
        expect(sandbox.takeCalls()).to.deep.equal([["php", "artisan", "queue:work"]]);
    });

    withTool("unshare", () =>
        it("a worker runs as the first process of a container, and in Supervisor's namespace", async () => {
            const container = namespace.join(" ");
            sandbox.standIn("python");
            await sandbox.showMetadata(leaderTags);
            const image = readme.blocks.find(({ language }) => language === "Dockerfile")?.text.match(/\[.*\]/g) ?? [];
            const words = image.flatMap((list) => JSON.parse(list)).join(" ");
            for (const command of [`${container} ${words}`, readme.shellBlock("unshare --pid").text]) {
                const { status, stderr } = await sandbox.run(command);
                expect(status, stderr).to.equal(0);
            }
            expect(sandbox.takeCalls()).to.deep.equal([
                ["python", "worker.py"],
                ["php", "artisan", "queue:work"],
            ]);
        }),
    );

    it("curl prints true on the leader, and fails with 404 on a follower", async () => {
        const { text } = readme.shellBlock("meta-data/tags/instance/app:isLeader");
        await sandbox.showMetadata(leaderTags);
        expect(await sandbox.run(text)).to.deep.include({ status: 0, stdout: "true" });
        await sandbox.showMetadata(followerTags);
        const { status, stdout, stderr }: Outcome = await sandbox.run(text);
        expect({ status, stdout }).to.deep.equal({ status: 22, stdout: "" });
        expect(stderr).to.include("404");
    });

    it("the AWS CLI is asked for the leader tag of one instance", async () => {
        await sandbox.run(readme.shellBlock("describe-tags").text);
        const [call] = sandbox.takeCalls();
        expect(call?.slice(0, 3)).to.deep.equal(["aws", "ec2", "describe-tags"]);
        const { "--filters": filters, "--query": query, "--output": output } = optionsOf(call);
        expect(filters?.map(filterOf)).to.deep.equal([
            { Name: "resource-id", Values: [instanceId] },
            { Name: "key", Values: [tagKey] },
        ]);
        expect([query, output]).to.deep.equal([["Tags[].Value"], ["text"]]);
    });

    it("an instance's own health check drains it", async () => {
        await sandbox.showMetadata(leaderTags);
        const { text } = readme.shellBlock("leader-veto false");
        await sandbox.run(text.replace("http://localhost/health", "http://127.0.0.1:9/health"));
        const [own] = sandbox.takeCalls();
        expect(optionsOf(own)["--resources"]).to.deep.equal([instanceId]);
        expect(optionsOf(own)["--tags"]).to.deep.equal([
            JSON.stringify([{ Key: `${tagKey}:eligible`, Value: "false" }]),
        ]);
    });

    it("metadata's tags are turned on for an instance, or for a region's new instances", async () => {
        for (const command of ["modify-instance-metadata-options", "modify-instance-metadata-defaults"]) {
            await sandbox.run(readme.shellBlock(command).text);
            const [call] = sandbox.takeCalls();
            expect(call?.slice(0, 3)).to.deep.equal(["aws", "ec2", command]);
            expect(optionsOf(call)["--instance-metadata-tags"]).to.deep.equal(["enabled"]);
        }
    });

    const languages: Record<string, [Tool[], string]> = {
        php: [["php"], "echo leads() ? 'true' : 'false';"],
        python: [["python3"], "print(str(leads()).lower(), end='')"],
        js: [[], "leads().then((answer) => process.stdout.write(String(answer)));"],
    };
    for (const [language, [command, call]] of Object.entries(languages)) {
        withTool(command, () =>
            it(`an application in ${language} asks metadata itself`, async () => {
                const own = new Sandbox().open();
                const code = readme.blocks.find((block) => block.language === language)?.text ?? "";
                const lines = code.split("\n").filter((line) => line.trim() !== "" && line !== "<?php");
                expect(lines, "lines").to.have.lengthOf.at.most(10);
                const program = `cat >program.cjs <<'END'\n${code}\n${call}\nEND\n${command[0] ?? "node"} program.cjs`;
                await own.showMetadata(leaderTags);
                expect(await own.run(program)).to.deep.include({ status: 0, stdout: "true" });
                await own.showMetadata(followerTags);
                expect((await own.run(program)).stdout).to.equal("false");
                const expectFailure = async () => {
                    const unknown = await own.run(program);
                    expect(unknown.status).to.not.equal(0);
                    expect(unknown.stdout).to.not.match(/^(true|false)$/);
                };
                for (const tags of [undefined, {}]) {
                    await own.showMetadata(tags);
                    await expectFailure();
                }
                own.hideMetadata();
                await expectFailure();
                own.close();
            }),
        );
    }

    for (const [command, table] of Object.entries({
        "leader-only": "options",
        "leader-while": "options of leader-while",
    })) {
        it(`the options of ${command} are the script's`, () => {
            const { stdout } = spawnSync(join(root, "election", "instance", command), ["--help"], { encoding: "utf8" });
            const rows = readme.namedTable(table).flatMap((row) => row.join(" ").match(/--[a-z]+/g) ?? []);
            const usage = stdout.match(/^ .*$/gm)?.join("\n") ?? "";
            expect(new Set(rows)).to.have.keys([...new Set(usage.match(/(?<![\w-])--[a-z]+/g))]);
        });
    }
});
