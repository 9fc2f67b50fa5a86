// What leader-only does once it knows: the command, --since, options, exit statuses.
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { type Answer, groupTag, leaderTags, since, tagsPath } from "../simulator/metadata";
import { expectUnknown, job, leftAlone, leftAloneSilently, ran, saysTrue, script, underEachShell } from "./machine";

underEachShell("leader-only runs a command once", leaderTags, (machine, row) => {
    const { launch, run, installCli, environment } = machine;

    const saysSince = `printf 'true\\t${since}\\n'`;
    const printed = { status: 0, stdout: `${since}\n`, stderr: "" };

    describe("runs the command so that", () => {
        it("its arguments stay what they are", async () => {
            const odd = ["", " ", "a  b", "it's", 'say "x"', "$HOME", "`id`", "*", "\\n", "a\nb", "--strict", "--"];
            const print = 'for one; do printf "%s\\0" "$one"; done';
            const { stdout } = await run(["sh", "-c", print, "job", ...odd]);
            expect(stdout.split("\0").slice(0, -1)).to.deep.equal(odd);
        });

        for (const status of [0, 1, 2, 7, 255]) {
            row(`its exit status ${status} is the script's`, async () => {
                const outcome = await run(["--strict", "sh", "-c", `echo ran; exit ${status}`]);
                expect(outcome).to.deep.include({ status, stdout: "ran\n", stderr: "" });
            });
        }

        it("it takes the script's place, and gets its signals", async () => {
            const { stdout, pid, signal } = await run(["sh", "-c", "echo $$; kill -TERM $$; sleep 5"]);
            expect({ stdout, signal }).to.deep.equal({ stdout: `${pid}\n`, signal: "SIGTERM" });
        });

        it("it reads all of the script's input", async () => {
            const input = "first line\nsecond line\n".repeat(10000);
            expect((await run(["cat"], { input })).stdout).to.equal(input);
        });

        it("the input is also there if the AWS CLI was asked", async () => {
            await launch(undefined);
            installCli("cat; printf 'true\\tNone\\n'");
            expect((await run(["cat"], { input: "first line\n" })).stdout).to.equal("first line\n");
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
            const { stdout } = await run(["--tag", "app:isLeader", "env"], { env });
            const seen = Object.fromEntries(stdout.match(/.+/g)?.map((line) => line.split(/=(.*)/s)) ?? []);
            expect(seen).to.deep.include({ ...environment(), ...env });
            const added = Object.keys(seen).filter((name) => !(name in { ...environment(), ...env }));
            expect(["PWD", "OLDPWD", "SHLVL", "_"], "what a shell adds itself").to.include.members(added);
        });
    });

    describe("with --since", () => {
        it("prints since when this instance leads", async () => {
            expect(await run(["--since"])).to.deep.include(printed);
            expect(await run(["--strict", "--since"])).to.deep.include(printed);
        });

        it("prints nothing if this instance doesn't lead, though it has a since", async () => {
            await launch({ ...leaderTags, "app:isLeader": "false" });
            expect(await run(["--since"])).to.deep.include(leftAloneSilently);
            expect(await run(["--since", "--strict"])).to.deep.include(leftAlone);
        });

        it("prints nothing for a leader without a since, even with --strict", async () => {
            await launch({ ...groupTag, "app:isLeader": "true" });
            expect(await run(["--since", "--strict"])).to.deep.include(leftAloneSilently);
        });

        it("takes it from the AWS CLI if metadata has no tags", async () => {
            await launch(undefined);
            installCli(saysSince);
            expect(await run(["--since"])).to.deep.include(printed);
            installCli(saysTrue);
            expect(await run(["--since", "--strict"])).to.deep.include(leftAloneSilently);
            installCli(`printf 'None\\t${since}\\n'`);
            expect(await run(["--since", "--strict"])).to.deep.include(leftAlone);
        });

        it("can't find out if only the since can't be had, which matters to no command", async () => {
            const answers: [Answer, RegExp][] = [
                [{ status: 403 }, /403/],
                [{ status: 200, body: "\u001b[1mnow" }, /app:isLeader:since is no tag's value/],
            ];
            for (const [answer, reason] of answers) {
                machine.metadata.instead = { [`${tagsPath}/app:isLeader:since`]: answer };
                expectUnknown(await run(["--since"]), reason);
                expect(await run(job)).to.deep.include(ran);
            }
        });
    });
});
