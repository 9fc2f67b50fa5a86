// The options of both commands: what each means, and that wrong ones are named while nothing runs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../simulator/stack/program";
import { job, leftAlone, type Outcome, ran, rowsFor, script, shells, useMachine, whileScript } from "./machine";
import { leaderTags } from "./metadata";

describe("leader-only and leader-while take options", function () {
    this.timeout(60000);

    const machine = useMachine(leaderTags);
    const { launch, run } = machine;

    function expectWrongUsage({ status, stdout, stderr }: Outcome, reason: RegExp): void {
        expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
        expect(stderr.trimEnd().split("\n").at(-1))
            .to.match(/^leader-(only|while): /)
            .and.to.match(reason);
        expect(machine.metadata.paths).to.deep.equal([]);
    }

    for (const shell of Object.keys(shells)) {
        describe(`under ${shell}`, () => {
            const row = rowsFor(shell);
            it("up to the command or to --, in any order", async () => {
                await launch({ ...leaderTags, other: "true", "app:isLeader": "false" });
                expect(await run(shell, ["--tag", "other", "--strict", "--", ...job])).to.deep.include(ran);
                expect(await run(shell, ["--strict", "--tag=other", ...job])).to.deep.include(ran);
                expect(await run(shell, ["--strict", "--", ...job])).to.deep.include(leftAlone);
                expect((await run(shell, ["--tag", "other", "echo", "--since"])).stdout).to.equal("--since\n");
            });

            const words: Record<string, string[]> = {
                [script]: ["--tag", "--strict", "--unknown", "--since", "--check", "--wait", "Exit status"],
                [whileScript]: ["--every", "--grace", "--blind", "--wait", "--tag", "Exit status: 75"],
            };
            words[whileScript].push("handoverSeconds >= every + grace + 3 s");
            for (const [command, explained] of Object.entries(words)) {
                const name = command === script ? "leader-only" : "leader-while";
                for (const help of ["--help", "-h"]) {
                    row(`and ${name} explains with ${help} what they are`, async () => {
                        const { status, stdout, stderr } = await run(shell, [help], { command });
                        expect({ status, stderr }).to.deep.equal({ status: 0, stderr: "" });
                        for (const word of [...explained, "--help", "--version", name]) {
                            expect(stdout).to.include(word);
                        }
                        expect(stdout).to.not.match(/^#|\w\(\)/m);
                        expect(machine.metadata.paths).to.deep.equal([]);
                    });
                }

                it(`and ${name} prints its version, the package's`, async () => {
                    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
                    const printed = { status: 0, stdout: `${name} ${version}\n`, stderr: "" };
                    expect(await run(shell, ["--version"], { command })).to.deep.include(printed);
                });
            }

            it("with which its own failures have statuses of their own", async () => {
                const own = ["--strict=100", "--unknown", "101"];
                expect((await run(shell, [...own, "sh", "-c", "exit 1"])).status).to.equal(1);
                machine.metadata.tags = { Name: "shop" };
                expect((await run(shell, [...own, ...job])).status).to.equal(100);
                machine.metadata.instead = { "*": { status: 403 } };
                expect((await run(shell, [...own, ...job])).status).to.equal(101);
                expect((await run(shell, ["--unknown=1", "--since"])).status).to.equal(1);
            });

            const times: Record<string, string[]> = {
                "--wait": ["0", "0.09", "601", "-1", "", "1e3", "1.", ".5", "1.2.3", "0x10", " 3", "9".repeat(20)],
                "--every": ["0", "3601", "five", "5s"],
                "--grace": ["3600.01", "-1", ""],
                "--blind": ["3601", "never"],
            };
            const seconds = (option: string, value: string): [string[], RegExp] => [
                [`${option}=${value}`, ...job],
                RegExp(`: ${option} takes seconds from [\\d.]+ to [\\d.]+, not '${value.replaceAll(".", "\\.")}'$`),
            ];
            const wrong: Record<string, [string[], RegExp]> = {
                "no command": [[], /there is no command/],
                "options, but no command": [["--strict", "--tag", "app:isLeader"], /there is no command/],
                "no command after --": [["--"], /there is no command/],
                "an unknown option": [["--leader", ...job], /unknown option --leader/],
                "an unknown option with a value": [["--leader=1", ...job], /unknown option --leader/],
                "an unknown short option": [["-s", ...job], /unknown option -s/],
                "a value for --since": [["--since=5"], /--since takes no value/],
                "--since and a command": [["--since", ...job], /--since runs no command/],
                "--check and --since": [["--check", "--since"], /--check and --since exclude each other/],
                "--unknown 0": [["--unknown", "0", ...job], /--unknown takes an exit status from 1 to 255, not '0'/],
                "--unknown 256": [["--unknown=256", ...job], /--unknown takes an exit status from 1 to 255, not '256'/],
                "--strict=x": [["--strict=x", ...job], /--strict takes an exit status from 1 to 255, not 'x'/],
            };
            for (const option of ["--tag", "--wait", "--unknown"]) {
                wrong[`${option} without a value`] = [[option], RegExp(`${option} needs a value`)];
            }
            for (const option of ["--tag", "--wait"]) {
                wrong[`${option} twice`] = [[option, "1", `${option}=1`, ...job], RegExp(`${option} is given twice`)];
            }
            for (const option of ["--strict", "--since", "--check"]) {
                wrong[`${option} twice`] = [[option, option, ...job], RegExp(`${option} is given twice`)];
            }
            for (const value of times["--wait"]) {
                wrong[`--wait=${JSON.stringify(value)}`] = seconds("--wait", value);
            }
            for (const [what, [args, reason]] of Object.entries(wrong)) {
                row(`but leader-only names what is wrong with ${what}`, async () => {
                    const outcome = await run(shell, args);
                    expectWrongUsage(outcome, reason);
                    expect(outcome.stderr).to.include("leader-only [OPTION...]");
                });
            }

            for (const option of ["--while", "--every=5", "--grace", "--blind=0"]) {
                row(`but leader-only refuses ${option} in one line that names leader-while`, async () => {
                    const { status, stdout, stderr } = await run(shell, [option, ...job]);
                    expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
                    expect(stderr).to.match(RegExp(`^leader-only: ${option.split("=")[0]} is .* leader-while .*\\n$`));
                });
            }

            const wrongWhile: Record<string, [string[], RegExp]> = {
                "no command": [[], /there is no command/],
                "no command after --": [["--every", "5", "--"], /there is no command/],
                "an unknown option": [["--strict", ...job], /unknown option --strict/],
                "an unknown option with a value": [["--leader=1", ...job], /unknown option --leader/],
                "a tag key with a space": [["--tag", "a b", ...job], /tag key|gives no answer/],
            };
            for (const option of ["--tag", "--wait", "--every", "--grace", "--blind"]) {
                wrongWhile[`${option} twice`] = [
                    [option, "1", `${option}=1`, ...job],
                    RegExp(`${option} is given twice`),
                ];
            }
            for (const [option, value] of Object.entries(times).flatMap(([option, values]) =>
                values.map((value) => [option, value]),
            )) {
                wrongWhile[`${option}=${JSON.stringify(value)}`] = seconds(option, value);
            }
            for (const [what, [args, reason]] of Object.entries(wrongWhile)) {
                row(`but leader-while names what is wrong with ${what}`, async () => {
                    expectWrongUsage(await run(shell, args, { command: whileScript }), reason);
                });
            }

            it("with seconds that may have leading zeros and two decimals", async () => {
                expect(await run(shell, ["--wait=008.09", ...job])).to.deep.include(ran);
            });

            const badKeys = [
                "a b",
                "a/b",
                "../../user-data",
                "a\n",
                "a?",
                "a*",
                "a#",
                "a%20",
                "a'",
                'a"',
                "a\\",
                "$(id)",
            ];
            for (const key of [...badKeys, "`id`", "{a,b}", "[a]", "ä", ".", "..", "_index"]) {
                row(`but refuses the tag key ${JSON.stringify(key)}`, async () => {
                    expectWrongUsage(await run(shell, ["--tag", key, ...job]), /tag key/);
                    const env = { LEADER_TAG: key, LC_ALL: "C.UTF-8" };
                    expectWrongUsage(await run(shell, job, { env }), /tag key/);
                });
            }

            it("but refuses an empty tag key", async () => {
                expectWrongUsage(await run(shell, ["--tag", "", ...job]), /tag key/);
            });
        });
    }
});
