// The options of both commands: what each means, and that wrong ones are named while nothing runs.
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect } from "chai";
import { leaderTags } from "../simulator/metadata";
import { root } from "../simulator/stack/program";
import { job, leftAlone, type Outcome, ran, script, underEachShell, whileScript } from "./machine";

/** Arguments that are refused, and what the refusal says. */
type Wrong = [string[], RegExp];

underEachShell("leader-only and leader-while take options", leaderTags, (machine, row) => {
    const { launch, run } = machine;

    function expectWrongUsage({ status, stdout, stderr }: Outcome, reason: RegExp): void {
        expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
        expect(stderr.trimEnd().split("\n").at(-1))
            .to.match(/^leader-(only|while): /)
            .and.to.match(reason);
        expect(machine.metadata.paths).to.deep.equal([]);
    }

    it("up to the command or to --, in any order", async () => {
        await launch({ ...leaderTags, other: "true", "app:isLeader": "false" });
        expect(await run(["--tag", "other", "--strict", "--", ...job])).to.deep.include(ran);
        expect(await run(["--strict", "--tag=other", ...job])).to.deep.include(ran);
        expect(await run(["--strict", "--", ...job])).to.deep.include(leftAlone);
        expect((await run(["--tag", "other", "echo", "--since"])).stdout).to.equal("--since\n");
    });

    const words = {
        [script]: ["--strict", "--unknown", "--since", "--check", "Exit status"],
        [whileScript]: ["--every", "--grace", "--blind", "Exit status: 75", "every + grace + 3 s"],
    };
    for (const [command, explained] of Object.entries(words)) {
        const name = basename(command);
        for (const help of ["--help", "-h"]) {
            row(`and ${name} explains with ${help} what they are`, async () => {
                const { status, stdout, stderr } = await run([help], { command });
                expect({ status, stderr }).to.deep.equal({ status: 0, stderr: "" });
                for (const word of [...explained, "--tag", "--wait", "--help", "--version", name]) {
                    expect(stdout).to.include(word);
                }
                expect(stdout).to.not.match(/^#|\w\(\)/m);
                expect(machine.metadata.paths).to.deep.equal([]);
            });
        }

        it(`and ${name} prints its version, the package's`, async () => {
            const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
            const printed = { status: 0, stdout: `${name} ${version}\n`, stderr: "" };
            expect(await run(["--version"], { command })).to.deep.include(printed);
        });
    }

    it("with which its own failures have statuses of their own", async () => {
        const own = ["--strict=100", "--unknown", "101"];
        expect((await run([...own, "sh", "-c", "exit 1"])).status).to.equal(1);
        machine.metadata.tags = { Name: "shop" };
        expect((await run([...own, ...job])).status).to.equal(100);
        machine.metadata.instead = { "*": { status: 403 } };
        expect((await run([...own, ...job])).status).to.equal(101);
        expect((await run(["--unknown=1", "--since"])).status).to.equal(1);
    });

    const wait = ["0", "0.09", "601", "-1", "", "1e3", "1.", ".5", "1.2.3", "0x10", " 3", "9".repeat(20)];
    const seconds = (option: string, values: string[]) =>
        values.map((value): Wrong => {
            const reason = `: ${option} takes seconds from [\\d.]+ to [\\d.]+, not '${value.replaceAll(".", "\\.")}'$`;
            return [[`${option}=${value}`, ...job], RegExp(reason)];
        });
    const twice = (...options: string[]) =>
        options.map((option): Wrong => [[option, "1", `${option}=1`, ...job], RegExp(`${option} is given twice`)]);
    const status = "takes an exit status from 1 to 255, not";
    const wrong: Record<string, Wrong[]> = {
        [script]: [
            [[], /there is no command/],
            [["--strict", "--tag", "app:isLeader"], /there is no command/],
            [["--"], /there is no command/],
            [["--leader", ...job], /unknown option --leader/],
            [["--leader=1", ...job], /unknown option --leader/],
            [["-s", ...job], /unknown option -s/],
            [["--since=5"], /--since takes no value/],
            [["--since", ...job], /--since runs no command/],
            [["--check", "--since"], /--check and --since exclude each other/],
            [["--unknown", "0", ...job], RegExp(`--unknown ${status} '0'`)],
            [["--unknown=256", ...job], RegExp(`--unknown ${status} '256'`)],
            [["--strict=x", ...job], RegExp(`--strict ${status} 'x'`)],
            ...["--tag", "--wait", "--unknown"].map((option): Wrong => [[option], RegExp(`${option} needs a value`)]),
            ...["--strict", "--since", "--check"].map(
                (option): Wrong => [[option, option, ...job], RegExp(`${option} is given twice`)],
            ),
            ...twice("--tag", "--wait"),
            ...seconds("--wait", wait),
        ],
        [whileScript]: [
            [[], /there is no command/],
            [["--every", "5", "--"], /there is no command/],
            [["--strict", ...job], /unknown option --strict/],
            [["--leader=1", ...job], /unknown option --leader/],
            [["--tag", "a b", ...job], /tag key|gives no answer/],
            ...twice("--tag", "--wait", "--every", "--grace", "--blind"),
            ...seconds("--wait", wait),
            ...seconds("--every", ["0", "3601", "five", "5s"]),
            ...seconds("--grace", ["3600.01", "-1", ""]),
            ...seconds("--blind", ["3601", "never"]),
        ],
    };
    for (const [command, mistakes] of Object.entries(wrong)) {
        for (const [args, reason] of mistakes) {
            row(`but ${basename(command)} names what is wrong with ${JSON.stringify(args)}`, async () => {
                const outcome = await run(args, { command });
                expectWrongUsage(outcome, reason);
                expect(outcome.stderr).to.include(command === script ? "leader-only [OPTION...]" : "leader-while: ");
            });
        }
    }

    for (const option of ["--while", "--every=5", "--grace", "--blind=0"]) {
        row(`but leader-only refuses ${option} in one line that names leader-while`, async () => {
            const { status, stdout, stderr } = await run([option, ...job]);
            expect({ status, stdout }).to.deep.equal({ status: 2, stdout: "" });
            expect(stderr).to.match(RegExp(`^leader-only: ${option.split("=")[0]} is .* leader-while .*\\n$`));
        });
    }

    it("with seconds that may have leading zeros and two decimals", async () => {
        expect(await run(["--wait=008.09", ...job])).to.deep.include(ran);
    });

    const paths = ["a/b", "../../user-data", ".", "..", "_index", "a?", "a#", "a%20", "a\n", "a b", "ä"];
    for (const key of [...paths, "a*", "a'", 'a"', "a\\", "$(id)", "`id`", "{a,b}", "[a]"]) {
        row(`but refuses the tag key ${JSON.stringify(key)}`, async () => {
            expectWrongUsage(await run(["--tag", key, ...job]), /tag key/);
            const env = { LEADER_TAG: key, LC_ALL: "C.UTF-8" };
            expectWrongUsage(await run(job, { env }), /tag key/);
        });
    }

    it("but refuses an empty tag key", async () => {
        expectWrongUsage(await run(["--tag", "", ...job]), /tag key/);
    });
});
