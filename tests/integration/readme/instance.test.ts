// What election/instance/README.md says: its commands, units and hooks run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../../simulator/stack/program";
import { Document, filterOf, optionsOf } from "./document";
import { followerTags, groupKey, instance, leaderTags, tagKey } from "./fleet";
import { type Outcome, Sandbox, useSandbox } from "./sandbox";

const readme = new Document("election/instance/README.md");

describe("election/instance/README.md", function () {
    this.timeout(60_000);

    const sandbox = useSandbox("php", "aws");

    it("a command runs on the leader only", async () => {
        await sandbox.showMetadata(leaderTags, instance);
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        const { text } = readme.shellBlock("leader-only php artisan schedule:run");
        expect(await sandbox.whatRuns(text)).to.deep.equal([[["php", "artisan", "schedule:run"]], []]);
    });

    it("after installing the script an instance says whether it leads", async () => {
        const { text } = readme.shellBlock("install -m 755 election/instance/leader-only");
        await sandbox.showMetadata(leaderTags, instance);
        expect(await sandbox.run(text)).to.deep.include({ status: 0, stdout: "this instance leads\n" });
        await sandbox.showMetadata(followerTags, instance);
        expect(await sandbox.run(text)).to.deep.include({ status: 1, stdout: "" });
    });

    it("the lines for cron and systemd run their command on the leader only", async () => {
        await sandbox.showMetadata(leaderTags, instance);
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        const cron = readme.blocks.find(({ language }) => language === "cron")?.text.match(/www-data (.*)$/m)?.[1];
        const unit = readme.blocks.map(({ text }) => text.match(/^ExecStart=(.*)$/m)?.[1]).find((line) => line);
        for (const command of [cron, unit]) {
            expect(await sandbox.whatRuns(String(command))).to.deep.equal([
                [["php", "/var/www/shop/artisan", "schedule:run"]],
                [],
            ]);
        }
    });

    it("--check says so on an instance that doesn't lead", async () => {
        await sandbox.showMetadata({ ...followerTags, [groupKey]: "awseb-e-shop" }, instance);
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        const { text } = readme.shellBlock("leader-only --check");
        const { status, stdout } = await sandbox.run(text);
        const expected = String(readme.blocks.find(({ text }) => text.includes("metadata shows tags"))?.text);
        expect(status).to.equal(1);
        expect(stdout.split("\n").slice(1)).to.deep.equal(
            expected.replaceAll("i-0123456789abcdef0", instance.id).split("\n").slice(1),
        );
    });

    it("a worker runs while this instance leads", async () => {
        await sandbox.showMetadata(leaderTags, instance);
        sandbox.standIn("php");
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        const { text } = readme.shellBlock("queue:work");
        expect(await sandbox.run(text.replace("--while", "--while --every 0.1"))).to.deep.include({ status: 0 });
        expect(sandbox.takeCalls()).to.deep.equal([["php", "artisan", "queue:work"]]);
    });

    it("the hook that turns metadata tags on does so for this instance", async () => {
        await sandbox.showMetadata(followerTags, instance);
        const { text } = readme.shellBlock('--region "$region" --instance-id "$id"');
        expect((await sandbox.run(text)).status).to.equal(0);
        const [call, ...others] = sandbox.takeCalls();
        expect(others).to.deep.equal([]);
        expect(call.slice(0, 3)).to.deep.equal(["aws", "ec2", "modify-instance-metadata-options"]);
        expect(optionsOf(call)).to.deep.equal({
            "--region": [instance.region],
            "--instance-id": [instance.id],
            "--instance-metadata-tags": ["enabled"],
        });
    });

    it("curl prints true on the leader, and fails with 404 on a follower", async () => {
        const { text } = readme.shellBlock("meta-data/tags/instance/app:isLeader");
        await sandbox.showMetadata(leaderTags, instance);
        expect(await sandbox.run(text)).to.deep.include({ status: 0, stdout: "true" });
        await sandbox.showMetadata(followerTags, instance);
        const { status, stdout, stderr }: Outcome = await sandbox.run(text);
        expect({ status, stdout }).to.deep.equal({ status: 22, stdout: "" });
        expect(stderr).to.include("404");
    });

    it("the AWS CLI is asked for the leader tag of one instance", async () => {
        await sandbox.run(readme.shellBlock("describe-tags").text);
        const [call] = sandbox.takeCalls();
        expect(call.slice(0, 3)).to.deep.equal(["aws", "ec2", "describe-tags"]);
        const { "--filters": filters, "--query": query, "--output": output } = optionsOf(call);
        expect(filters.map(filterOf)).to.deep.equal([
            { Name: "resource-id", Values: [instance.id] },
            { Name: "key", Values: [tagKey] },
        ]);
        expect([query, output]).to.deep.equal([["Tags[].Value"], ["text"]]);
    });

    it("workers of Laravel and Celery run on the leader", async () => {
        await sandbox.showMetadata(leaderTags, instance);
        sandbox.standIn("celery");
        await sandbox.run("install -m 755 election/instance/leader-only /usr/local/bin/leader-only");
        for (const [part, call] of [
            ["schedule:work", ["php", "artisan", "schedule:work"]],
            ["celery --app", ["celery", "--app", "shop", "beat", "--schedule", "/var/lib/shop/celerybeat-schedule"]],
        ] as const) {
            const { text } = readme.shellBlock(part);
            expect((await sandbox.run(text.replace("--while", "--while --every 0.1"))).status).to.equal(0);
            expect(sandbox.takeCalls()).to.deep.equal([call]);
        }
    });

    it("the folder for Elastic Beanstalk is copied with the script beside it", async () => {
        const { text } = readme.shellBlock("election/instance/beanstalk/.");
        const script = `mkdir app && { ${text.replace("../my-app", "app")} } && ls -A app app/leader`;
        const { status, stdout } = await sandbox.run(script);
        expect(status).to.equal(0);
        for (const name of [".ebextensions", ".platform", "leader-only", "cron", "worker.service", "run"]) {
            expect(stdout.split("\n")).to.include(name);
        }
    });

    it("an instance is drained, by hand and by its own health check", async () => {
        await sandbox.showMetadata(leaderTags, instance);
        const key = `${tagKey}:eligible`;
        await sandbox.run(readme.shellBlock("create-tags").text);
        await sandbox.run(readme.shellBlock("delete-tags").text);
        const commands = sandbox.takeCalls();
        expect(commands.map(([, , command]) => command)).to.deep.equal(["create-tags", "delete-tags"]);
        expect(optionsOf(commands[0])["--tags"]).to.deep.equal([`Key=${key},Value=false`]);
        expect(optionsOf(commands[1])["--tags"]).to.deep.equal([`Key=${key}`]);
        const { text } = readme.shellBlock("leader-veto false");
        await sandbox.run(text.replace("http://localhost/health", "http://127.0.0.1:9/health"));
        const [own] = sandbox.takeCalls();
        expect(optionsOf(own)["--resources"]).to.deep.equal([instance.id]);
        expect(optionsOf(own)["--tags"]).to.deep.equal([JSON.stringify([{ Key: key, Value: "false" }])]);
    });

    it("metadata's tags are turned on for a region's new instances", async () => {
        await sandbox.run(readme.shellBlock("modify-instance-metadata-defaults").text);
        const [call] = sandbox.takeCalls();
        expect(optionsOf(call)["--instance-metadata-tags"]).to.deep.equal(["enabled"]);
    });

    const languages: Record<string, [string, string]> = {
        php: ["php", "echo leads() ? 'true' : 'false';"],
        python: ["python3", "print(str(leads()).lower(), end='')"],
        js: ["node", "leads().then((answer) => process.stdout.write(String(answer)));"],
    };
    for (const [language, [command, call]] of Object.entries(languages)) {
        it(`an application in ${language} asks metadata itself`, async function () {
            if (spawnSync(command, ["--version"]).error) {
                if (process.env.CI === "true") {
                    throw new Error(`${command} is not installed`);
                }
                this.skip();
            }
            const own = new Sandbox().open();
            const code = readme.blocks.find((block) => block.language === language)?.text ?? "";
            const lines = code.split("\n").filter((line) => line.trim() !== "" && line !== "<?php");
            expect(lines, "lines").to.have.lengthOf.at.most(10);
            const program = `cat >program.cjs <<'END'\n${code}\n${call}\nEND\n${command} program.cjs`;
            await own.showMetadata(leaderTags, instance);
            expect(await own.run(program)).to.deep.include({ status: 0, stdout: "true" });
            await own.showMetadata(followerTags, instance);
            expect((await own.run(program)).stdout).to.equal("false");
            const expectFailure = async () => {
                const unknown = await own.run(program);
                expect(unknown.status).to.not.equal(0);
                expect(unknown.stdout).to.not.match(/^(true|false)$/);
            };
            await own.showMetadata({}, instance);
            await expectFailure();
            own.hideMetadata();
            await expectFailure();
            own.close();
        });
    }

    it("the options are the script's", () => {
        const { stdout } = spawnSync(join(root, "election", "instance", "leader-only"), ["--help"], {
            encoding: "utf8",
        });
        const rows = [...readme.text.matchAll(/^\| `(--[a-z]+)/gm)].map(([, option]) => option);
        const usage = stdout.match(/^ .*$/gm)?.join("\n") ?? "";
        expect(rows).to.have.members([...new Set(usage.match(/(?<![\w-])--[a-z]+/g))]);
    });
});
