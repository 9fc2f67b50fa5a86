// What election/instance/README.md says: its commands, units and hooks run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../../simulator/stack/program";
import { Document, filterOf, optionsOf } from "./document";
import { followerTags, groupKey, instance, leaderTags, tagKey } from "./fleet";
import { type Outcome, Sandbox } from "./sandbox";

const readme = new Document("election/instance/README.md");

describe("election/instance/README.md", function () {
    this.timeout(60_000);

    let sandbox: Sandbox;
    beforeEach(() => {
        sandbox = new Sandbox();
        sandbox.standIn("php");
        sandbox.standIn("aws");
    });
    afterEach(() => sandbox.close());

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
        const { text } = readme.shellBlock("leader-only --while --grace 20");
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

    it("the options are the script's", () => {
        const { stdout } = spawnSync(join(root, "election", "instance", "leader-only"), ["--help"], {
            encoding: "utf8",
        });
        const rows = [...readme.text.matchAll(/^\| `(--[a-z]+)/gm)].map(([, option]) => option);
        const usage = stdout.match(/^ .*$/gm)?.join("\n") ?? "";
        expect(rows).to.have.members([...new Set(usage.match(/(?<![\w-])--[a-z]+/g))]);
    });
});
