// What election/instance/README.md says: its commands, units and hooks run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "chai";
import { namespace } from "../../instance/processes";
import { followerTags, instanceId, leaderTags } from "../../simulator/metadata";
import { eligibleKey, tagKey } from "../../simulator/names";
import { root } from "../../simulator/stack/program";
import { type Tool, withTool } from "../../tools";
import { commandOf, Document, optionsOf } from "./document";
import { useSandbox } from "./sandbox";

const readme = new Document("election/instance/README.md");
const silent = { status: 0, stdout: "", stderr: "" };

describe("election/instance/README.md", () => {
    const sandbox = useSandbox("php", "aws", "python", "setpriv");

    const install = readme.shellBlock("install -m 755 leader-only").text;
    beforeEach(async () => {
        sandbox.standIn("systemctl");
        const calls = [["systemctl", "enable", "--now", "leader-worker"]];
        expect(await sandbox.run(install)).to.deep.equal({ ...silent, calls });
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
        expect(await sandbox.onBoth(text)).to.deep.equal([
            { ...silent, calls: [["php", "artisan", "schedule:run"]] },
            { ...silent, calls: [] },
        ]);
    });

    it("after installing the script an instance says whether it leads", async () => {
        const { text } = readme.shellBlock("install -m 755 election/instance/leader-only");
        const [onLeader, onOther] = await sandbox.onBoth(text);
        expect(onLeader).to.include({ status: 0, stdout: "this instance leads\n" });
        expect(onOther).to.include({ status: 1, stdout: "" });
    });

    it("--check says so on an instance that doesn't lead", async () => {
        await sandbox.showMetadata(followerTags);
        const { status, stdout } = await sandbox.run(readme.shellBlock("leader-only --check").text);
        const shown = readme.in("text").find((text) => text.includes("metadata shows tags"));
        expect(status).to.equal(1);
        expect(stdout.split("\n").slice(1)).to.deep.equal(shown?.split("\n").slice(1));
    });

    it("a worker runs while this instance leads", async () => {
        await sandbox.showMetadata(leaderTags);
        const outcome = await sandbox.run(readme.shellBlock("leader-while --grace 20").text);
        expect(outcome).to.deep.include({ status: 0, calls: [["php", "artisan", "queue:work"]] });
    });

    withTool("unshare", () =>
        it("a worker runs as the first process of a container, and in Supervisor's namespace", async () => {
            await sandbox.showMetadata(leaderTags);
            const image =
                readme
                    .in("Dockerfile")
                    .join("")
                    .match(/\[.*\]/g) ?? [];
            const user = "--reuid www-data --regid www-data --init-groups";
            const words = image.flatMap((list) => JSON.parse(list));
            for (const [command, worker] of [
                [[...namespace, ...words].join(" "), ["python", "worker.py"]],
                [readme.shellBlock("unshare --pid").text, `setpriv ${user} php artisan queue:work`.split(" ")],
            ] as const) {
                expect(await sandbox.run(command)).to.deep.include({ status: 0, calls: [worker] });
            }
        }),
    );

    it("curl prints true on the leader, and fails with 404 on a follower", async () => {
        const [onLeader, onOther] = await sandbox.onBoth(
            readme.shellBlock("meta-data/tags/instance/app:isLeader").text,
        );
        expect(onLeader).to.include({ status: 0, stdout: "true" });
        expect(onOther).to.include({ status: 22, stdout: "" });
        expect(onOther.stderr).to.include("404");
    });

    it("the AWS CLI is asked for the leader tag of one instance", async () => {
        const [call] = (await sandbox.run(readme.shellBlock("describe-tags").text)).calls;
        expect(commandOf(call)).to.equal("aws ec2 describe-tags");
        const { "--filters": filters, "--query": query, "--output": output } = optionsOf(call);
        expect(filters).to.deep.equal([`Name=resource-id,Values=${instanceId}`, `Name=key,Values=${tagKey}`]);
        expect([query, output]).to.deep.equal([["Tags[].Value"], ["text"]]);
    });

    it("an instance's own health check drains it", async () => {
        await sandbox.showMetadata(leaderTags);
        const { text } = readme.shellBlock("leader-veto false");
        const { calls } = await sandbox.run(text.replace("http://localhost/health", "http://127.0.0.1:9/health"));
        const { "--resources": ids, "--tags": tags } = optionsOf(calls[0]);
        expect(ids).to.deep.equal([instanceId]);
        expect(tags).to.deep.equal([JSON.stringify([{ Key: eligibleKey, Value: "false" }])]);
    });

    it("metadata's tags are turned on for an instance, or for a region's new instances", async () => {
        for (const command of ["modify-instance-metadata-options", "modify-instance-metadata-defaults"]) {
            const [call] = (await sandbox.run(readme.shellBlock(command).text)).calls;
            expect(commandOf(call)).to.equal(`aws ec2 ${command}`);
            expect(optionsOf(call)["--instance-metadata-tags"]).to.deep.equal(["enabled"]);
        }
    });

    const languages: Record<string, [Tool[], string]> = {
        php: [["php"], "echo leads() ? 'true' : 'false';"],
        python: [["python3"], "print(str(leads()).lower(), end='')"],
        js: [[], "leads().then((answer) => process.stdout.write(String(answer)));"],
    };
    for (const [language, [tools, call]] of Object.entries(languages)) {
        withTool(tools, () =>
            it(`an application in ${language} asks metadata itself`, async () => {
                const [code = ""] = readme.in(language);
                const lines = code.split("\n").filter((line) => line.trim() !== "" && line !== "<?php");
                expect(lines, "lines").to.have.lengthOf.at.most(10);
                const interpreter = tools[0] ?? "node";
                sandbox.standIn(interpreter, `exec ${interpreter} "$@"`);
                const program = `cat >program.cjs <<'END'\n${code}\n${call}\nEND\n${interpreter} program.cjs`;
                const [onLeader, onOther] = await sandbox.onBoth(program);
                expect(onLeader).to.include({ status: 0, stdout: "true" });
                expect(onOther).to.include({ status: 0, stdout: "false" });
                const hidesTags = () => sandbox.showMetadata(undefined);
                const hasNoTags = () => sandbox.showMetadata({});
                for (const trouble of [hidesTags, hasNoTags, () => sandbox.hideMetadata()]) {
                    await trouble();
                    const { status, stdout } = await sandbox.run(program);
                    expect(status).to.not.equal(0);
                    expect(stdout).to.not.match(/^(true|false)$/);
                }
            }),
        );
    }

    for (const [command, table] of [
        ["leader-only", "options"],
        ["leader-while", "options of leader-while"],
    ] as const) {
        it(`the options of ${command} are the script's`, () => {
            const { stdout } = spawnSync(join(root, "election", "instance", command), ["--help"], { encoding: "utf8" });
            const rows = readme.namedTable(table).flatMap((row) => row.join(" ").match(/--[a-z]+/g) ?? []);
            const usage = stdout.match(/^ .*$/gm)?.join("\n") ?? "";
            expect(new Set(rows)).to.have.keys([...new Set(usage.match(/(?<![\w-])--[a-z]+/g))]);
        });
    }
});
