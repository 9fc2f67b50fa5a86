// The options of leader-only: what each means, and that wrong ones are named while nothing runs.
import { expect } from "chai";
import { job, leftAlone, type Outcome, ran, rowsFor, shells, useMachine } from "./machine";
import { leaderTags } from "./metadata";

describe("leader-only takes options", function () {
    this.timeout(60000);

    const machine = useMachine(leaderTags);
    const { launch, run } = machine;

    function expectWrongUsage({ status, stdout, stderr }: Outcome, reason: RegExp): void {
        expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
        expect(stderr.trimEnd().split("\n").at(-1))
            .to.match(/^leader-only: /)
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

            for (const help of ["--help", "-h"]) {
                row(`and explains with ${help} what they are, and the rule for handoverSeconds`, async () => {
                    const { status, stdout, stderr } = await run(shell, [help]);
                    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: "" });
                    const words = [
                        "--tag KEY",
                        "--strict",
                        "--since",
                        "--while",
                        "--every",
                        "--grace",
                        "--blind",
                        "--wait",
                    ];
                    for (const word of [...words, "--check", "Exit status", "handoverSeconds >= every + grace + 3 s"]) {
                        expect(stdout).to.include(word);
                    }
                    expect(stdout).to.not.match(/^#|\w\(\)/m);
                    expect(machine.metadata.paths).to.deep.equal([]);
                });
            }

            it("and prints its version", async () => {
                const { status, stdout } = await run(shell, ["--version"]);
                expect(status).to.equal(0);
                expect(stdout).to.match(/^leader-only \d+\.\d+\.\d+\n$/);
            });

            it("with which its own failures have statuses of their own", async () => {
                const own = ["--strict=100", "--unknown", "101"];
                expect((await run(shell, [...own, "sh", "-c", "exit 1"])).status).to.equal(1);
                machine.metadata.tags = { Name: "shop" };
                expect((await run(shell, [...own, ...job])).status).to.equal(100);
                machine.metadata.instead = { "*": { status: 500 } };
                expect((await run(shell, [...own, ...job])).status).to.equal(101);
                expect((await run(shell, ["--unknown=1", "--since"])).status).to.equal(1);
            });

            const wrong: Record<string, [string[], RegExp]> = {
                "no command": [[], /there is no command/],
                "options, but no command": [["--strict", "--tag", "app:isLeader"], /there is no command/],
                "no command after --": [["--"], /there is no command/],
                "--while without a command": [["--while"], /there is no command/],
                "an unknown option": [["--leader", ...job], /unknown option --leader/],
                "an unknown option with a value": [["--leader=1", ...job], /unknown option --leader/],
                "an unknown short option": [["-s", ...job], /unknown option -s/],
                "a value for --while": [["--while=5", ...job], /--while takes no value/],
                "--since and a command": [["--since", ...job], /--since runs no command/],
                "--since and --while": [["--since", "--while", ...job], /--since and --while exclude each other/],
                "--check and --since": [["--check", "--since"], /--check and --since exclude each other/],
                "--every without --while": [["--every", "5", ...job], /need --while/],
                "--strict with --while": [["--strict", "--while", ...job], /don't go with --while/],
                "--unknown 0": [["--unknown", "0", ...job], /--unknown takes an exit status from 1 to 255, not '0'/],
                "--unknown 256": [["--unknown=256", ...job], /--unknown takes an exit status from 1 to 255, not '256'/],
                "--strict=x": [["--strict=x", ...job], /--strict takes an exit status from 1 to 255, not 'x'/],
            };
            for (const option of ["--tag", "--wait", "--every", "--grace", "--blind", "--unknown"]) {
                wrong[`${option} without a value`] = [["--while", option], new RegExp(`${option} needs a value`)];
            }
            for (const option of ["--tag", "--wait", "--every", "--grace", "--blind"]) {
                wrong[`${option} twice`] = [
                    ["--while", option, "1", `${option}=1`, ...job],
                    new RegExp(`${option} is given twice`),
                ];
            }
            for (const option of ["--strict", "--while", "--since", "--check"]) {
                wrong[`${option} twice`] = [[option, option, ...job], new RegExp(`${option} is given twice`)];
            }
            const times: Record<string, string[]> = {
                "--wait": [
                    "0",
                    "0.09",
                    "601",
                    "-1",
                    "",
                    "1e3",
                    "1.",
                    ".5",
                    "1.2.3",
                    "0x10",
                    " 3",
                    "99999999999999999999",
                ],
                "--every": ["0", "3601", "five", "5s"],
                "--grace": ["3600.01", "-1", ""],
                "--blind": ["3601", "never"],
            };
            for (const [option, values] of Object.entries(times)) {
                for (const value of values) {
                    wrong[`${option}=${JSON.stringify(value)}`] = [
                        ["--while", `${option}=${value}`, ...job],
                        new RegExp(
                            `^leader-only: ${option} takes seconds from [\\d.]+ to \\d+, not '${value.replaceAll(".", "\\.")}'$`,
                        ),
                    ];
                }
            }
            for (const [what, [args, reason]] of Object.entries(wrong)) {
                row(`but names what is wrong with ${what}`, async () => {
                    const outcome = await run(shell, args);
                    expectWrongUsage(outcome, reason);
                    expect(outcome.stderr).to.include("leader-only [OPTION...]");
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
