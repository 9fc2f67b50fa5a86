// What leader-only does once it knows: the command, --since, options, exit statuses.
import { readFileSync } from "node:fs";
import { expect } from "chai";
import {
    expectUnknown,
    job,
    leftAlone,
    leftAloneSilently,
    ran,
    rowsFor,
    saysTrue,
    script,
    shells,
    useMachine,
} from "./machine";
import { groupTag, leaderTags, since, tagsPath } from "./metadata";

describe("leader-only runs a command once", function () {
    this.timeout(60000);

    const machine = useMachine(leaderTags);
    const { launch, run, installCli, environment } = machine;

    const saysSince = `printf 'true\\t${since}\\n'`;

    for (const shell of Object.keys(shells)) {
        describe(`under ${shell}`, () => {
            const row = rowsFor(shell);
            describe("runs the command so that", () => {
                it("its arguments stay what they are", async () => {
                    const args = [
                        "",
                        " ",
                        "a  b",
                        "it's",
                        'say "x"',
                        "$HOME",
                        "`id`",
                        "*",
                        "\\n",
                        "a\nb",
                        "--strict",
                        "--",
                    ];
                    const { stdout } = await run(shell, [
                        "sh",
                        "-c",
                        'for one; do printf "%s\\0" "$one"; done',
                        "job",
                        ...args,
                    ]);
                    expect(stdout.split("\0").slice(0, -1)).to.deep.equal(args);
                });

                for (const status of [0, 1, 2, 7, 255]) {
                    row(`its exit status ${status} is the script's`, async () => {
                        const outcome = await run(shell, ["--strict", "sh", "-c", `echo ran; exit ${status}`]);
                        expect(outcome).to.deep.include({ status, stdout: "ran\n", stderr: "" });
                    });
                }

                it("it takes the script's place, and gets its signals", async () => {
                    const { stdout, pid, signal } = await run(shell, ["sh", "-c", "echo $$; kill -TERM $$; sleep 5"]);
                    expect({ stdout, signal }).to.deep.equal({ stdout: `${pid}\n`, signal: "SIGTERM" });
                });

                it("it reads all of the script's input", async () => {
                    const input = "first line\nsecond line\n".repeat(10000);
                    expect((await run(shell, ["cat"], { input })).stdout).to.equal(input);
                });

                it("the input is also there if the AWS CLI was asked", async () => {
                    await launch(undefined);
                    installCli("cat; printf 'true\\tNone\\n'");
                    expect((await run(shell, ["cat"], { input: "first line\n" })).stdout).to.equal("first line\n");
                });

                it("its environment is the script's, whatever the names in it", async () => {
                    const names = readFileSync(script, "utf8").match(/\b[a-z]\w*(?==)/g) as string[];
                    expect(names).to.include.members(["token", "value", "since", "endpoint"]);
                    const env = {
                        ...Object.fromEntries([...names, "tag", "key"].map((name) => [name, "the caller's"])),
                        LEADER_TAG: "shop:primary",
                        LC_ALL: "C.UTF-8",
                        AWS_PAGER: "less",
                    };
                    for (const name of names.filter((name) => name.startsWith("leader_only_"))) {
                        Reflect.deleteProperty(env, name); // the script's own
                    }
                    const { stdout } = await run(shell, ["--tag", "app:isLeader", "env"], { env });
                    const seen = Object.fromEntries(
                        stdout
                            .trimEnd()
                            .split("\n")
                            .map((line) => line.split(/=(.*)/s)),
                    );
                    expect(seen).to.deep.include({ ...environment(), ...env });
                    const added = Object.keys(seen).filter((name) => !(name in { ...environment(), ...env }));
                    expect(["PWD", "OLDPWD", "SHLVL", "_"], "what a shell adds itself").to.include.members(added);
                });
            });

            describe("with --since", () => {
                it("prints since when this instance leads", async () => {
                    const printed = { status: 0, stdout: `${since}\n`, stderr: "" };
                    expect(await run(shell, ["--since"])).to.deep.include(printed);
                    expect(await run(shell, ["--strict", "--since"])).to.deep.include(printed);
                });

                it("prints nothing if this instance doesn't lead, though it has a since", async () => {
                    await launch({ ...leaderTags, "app:isLeader": "false" });
                    expect(await run(shell, ["--since"])).to.deep.include(leftAloneSilently);
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAlone);
                });

                it("prints nothing for a leader without a since, even with --strict", async () => {
                    await launch({ ...groupTag, "app:isLeader": "true" });
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAloneSilently);
                });

                it("takes it from the AWS CLI if metadata has no tags", async () => {
                    await launch(undefined);
                    installCli(saysSince);
                    expect(await run(shell, ["--since"])).to.deep.include({
                        status: 0,
                        stdout: `${since}\n`,
                        stderr: "",
                    });
                    installCli(saysTrue);
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAloneSilently);
                    installCli(`printf 'None\\t${since}\\n'`);
                    expect(await run(shell, ["--since", "--strict"])).to.deep.include(leftAlone);
                });

                it("can't find out if only the since can't be had, which matters to no command", async () => {
                    machine.metadata.instead = { [`${tagsPath}/app:isLeader:since`]: { status: 403 } };
                    expectUnknown(await run(shell, ["--since"]), /403/);
                    expect(await run(shell, job)).to.deep.include(ran);
                    machine.metadata.instead = {
                        [`${tagsPath}/app:isLeader:since`]: { status: 200, body: "\u001b[1mnow" },
                    };
                    expectUnknown(await run(shell, ["--since"]), /app:isLeader:since is no tag's value/);
                    expect(await run(shell, job)).to.deep.include(ran);
                });
            });
        });
    }
});
