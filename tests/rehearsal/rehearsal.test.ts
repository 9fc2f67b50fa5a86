// The rehearsal: what it shows, what it refuses, and that it fails when the program breaks a rule.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { type Program, root, runProgram } from "../simulator/stack/program";
import { deedsOf, randomDay } from "./day";
import { readOptions, rehearse } from "./rehearsal";

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const [command, ...script] = scripts.start.split(" ");

/** Runs `npm start` with arguments. */
async function start(...args: string[]): Promise<{ status: number; out: string; err: string }> {
    expect(command).to.equal("node");
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(AWS|PULUMI)_/.test(key)));
    const child = spawn(process.execPath, [...script, ...args], { cwd: root, env: { ...env, HOME: "/nonexistent" } });
    const closed = new Promise<number>((resolve) => child.on("close", resolve));
    const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    return { status, out, err };
}

/** What is told of something that happens, up to the next thing that happens. */
function toldOf(out: string, what: string): string {
    const sections = out.split(/^(?=\d\d:\d\d:\d\d {2}(?:shop|blog|jobs) {2}\w)/m);
    return sections.filter((section) => section.slice(16).startsWith(what.padEnd(16))).join("");
}

describe("the rehearsal", function () {
    this.timeout(60_000);

    describe("of the scripted day", () => {
        let day: Awaited<ReturnType<typeof start>>;
        before(async () => {
            day = await start();
        });

        it("keeps every rule, and says so", () => {
            expect(day.err).to.equal("");
            expect(day.out).to.match(/\nEvery rule was kept\.\n$/);
            expect(day.status).to.equal(0);
        });

        it("plays everything that can happen to a group", () => {
            for (const what of Object.keys(deedsOf(false))) {
                expect(toldOf(day.out, what), what).not.to.equal("");
            }
        });

        // In seconds, at most, with a leader ready to take over; sweeps come each minute.
        const losses: [what: string, how: RegExp, seconds: number][] = [
            ["scale in", /^without/, 1],
            ["scale in, hook", /^handed over/, 0.1],
            ["crash", /^without/, 1],
            ["stop", /^without/, 1],
            ["unhealthy", /^handed over/, 0.1],
            ["Standby", /^handed over/, 0.1],
            ["Detach", /^without/, 1],
            ["Spot warning", /^handed over/, 0.1],
            ["tag stripped", /^without/, 1],
            ["event lost", /^without/, 61],
            ["busy or idle", /^without/, 1],
        ];
        for (const [what, how, seconds] of losses) {
            it(`shows how long a group has no leader after: ${what}`, () => {
                const found = toldOf(day.out, what).match(/★ \S+ leads +(.*without a leader for ([\d.]+) s)/);
                expect(found?.[1]).to.match(how);
                expect(Number(found?.[2])).to.be.greaterThan(0).and.at.most(seconds);
            });
        }

        it("lets the idle one succeed, not a busy one", () => {
            const section = toldOf(day.out, "busy or idle");
            const idle = [...section.matchAll(/(\S+) is idle/g)].map(([, name]) => name);
            const leaders = [...section.matchAll(/★ (\S+) leads/g)].map(([, name]) => name);
            expect(idle).to.have.lengthOf(2);
            expect(leaders).to.deep.equal(idle);
        });

        it("ends a rivalry that somebody's copy of the tags began", () => {
            expect(toldOf(day.out, "tag copied")).to.match(/★ \S+ leads +two leaders for 0\.\d\d s/);
        });

        it("leaves foreign groups alone", () => {
            expect(toldOf(day.out, "not ours")).to.match(/^.*\n.*nothing to change\n$/);
        });

        it("ends with numbers", () => {
            const verdict = day.out.slice(day.out.indexOf("\nVerdict\n"));
            expect(verdict).to.match(/elections +[\d,]+: [\d,]+ kept, \d+ elected/);
            expect(verdict).to.match(
                /without a leader +[\d.]+ s in all while somebody was fit; the longest [\d.]+ s, blog at/,
            );
            expect(verdict).to.match(/two leaders +2 moments, 0\.\d\d s in all/);
            expect(verdict).to.match(/AWS calls +[\d,]+ reads, \d+ writes/);
            expect(verdict).to.match(/events +\d+ heard, \d+ ignored by every rule, 1 lost/);
            expect(verdict).to.match(/found at rest +1,4\d\d times/);
        });

        it("writes no colours into a pipe", () => {
            expect(day.out).not.to.include("\x1b");
        });
    });

    describe("of the scripted day of groups that elect together", () => {
        let day: Awaited<ReturnType<typeof start>>;
        before(async () => {
            day = await start("--set", "electorateTag=elasticbeanstalk:environment-name");
        });

        it("keeps every rule, and says so", () => {
            expect(day.err).to.equal("");
            expect(day.out).to.match(/\nEvery rule was kept\.\n$/);
            expect(day.out).to.match(/found at rest +1,4\d\d times/);
            expect(day.status).to.equal(0);
        });

        it("plays everything that can happen to a group or its environment", () => {
            for (const what of Object.keys(deedsOf(true))) {
                expect(toldOf(day.out, what), what).not.to.equal("");
            }
        });

        it("shows one leader throughout an update, and then one of the new instances", () => {
            const begins = toldOf(day.out, "update begins");
            const moves = toldOf(day.out, "instances move");
            const ends = toldOf(day.out, "update ends");
            const named = (section: string) => section.split("\n")[0].match(/shop-\d+/g) ?? [];
            const leads = [...day.out.matchAll(/★ (shop-\d+) leads/g)];
            const before = leads.findLast(({ index }) => index < day.out.indexOf(begins))?.[1];

            expect(named(begins)).to.have.length.above(1);
            expect(named(moves)).to.deep.equal(named(begins));
            expect(begins + moves).not.to.match(/[★☆]/);
            expect(named(ends)).to.include(before).and.have.lengthOf(named(begins).length);
            const [, after, seconds] = ends.match(/★ (\S+) leads +without a leader for ([\d.]+) s/) ?? [];
            expect(named(begins)).to.include(after);
            expect(Number(seconds)).to.be.greaterThan(0).and.at.most(1);
        });

        it("shows the group in its old size after an update", () => {
            const named = (what: string) =>
                toldOf(day.out, what)
                    .split("\n")[0]
                    .match(/shop-\d+/g);
            expect(named("all crash")).to.have.lengthOf(named("update begins")?.length as number);
        });

        it("says who elects together, and calls them by one name", () => {
            const [prologue, ...told] = day.out.split(/^(?=\d\d:)/m);
            expect(prologue).to.include(
                "Groups with the same elasticbeanstalk:environment-name elect one leader together",
            );
            expect(told.join("")).not.to.match(/awseb-|environment-name/);
        });
    });

    describe("of a random day", () => {
        const settings = { tagKey: "shop:primary", asgPrefix: "legacy-" };

        it("is the same for the same seed and settings, wherever it is played, and keeps every rule", async () => {
            const args = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
            const { status, out, err } = await start("--seed", "7", ...args);
            const again = await rehearse(await runProgram({ config: settings }), { seed: 7, settings });
            expect(out).to.equal(again.text);
            expect(out).to.include("--seed 7").and.include("legacy-e-shop").and.include("shop:primary");
            expect(out).to.match(/\nEvery rule was kept\.\n$/);
            expect({ status, err }).to.deep.equal({ status: 0, err: "" });
        });

        for (const seed of [1, 19]) {
            it(`keeps every rule with updates, gentle hand-overs and protected leaders: seed ${seed}`, async () => {
                const settings = { electorateTag: "team", handoverSeconds: "10", protectLeader: "true" };
                const { text: told, breaches } = await rehearse(await runProgram({ config: settings }), {
                    seed,
                    settings,
                });
                expect(breaches).to.deep.equal([]);
                expect(told).to.match(/found at rest +1,4\d\d times/);
                expect(toldOf(told, "instances move")).to.include("loses its tags"); // the leader moves too
                expect(toldOf(told, "update ends")).to.match(/★ \S+ leads/);
            });
        }

        it("differs from seed to seed", () => {
            expect(randomDay(7)).to.deep.equal(randomDay(7));
            expect(randomDay(7)).not.to.deep.equal(randomDay(8));
        });
    });

    it("says what it takes", async () => {
        const { status, out } = await start("--help");
        expect(out).to.include("--seed N").and.include("--set KEY=VALUE").and.include("tagKey");
        expect(status).to.equal(0);
    });

    it("refuses a bad setting in the program's own sentence", async () => {
        const { status, out, err } = await start("--set", "tagKey=aws:a");
        expect(err).to.match(/^Setting tagKey is "aws:a", but it must be [^\n]+\.\n$/);
        expect({ status, out }).to.deep.equal({ status: 2, out: "" });
    });

    it("refuses an unknown option in a sentence", async () => {
        const { status, out, err } = await start("--sed", "7");
        expect(err).to.match(/^Unknown option '--sed'\.\n$/);
        expect({ status, out }).to.deep.equal({ status: 2, out: "" });
    });

    const refused: [args: string[], sentence: string][] = [
        [["--seed", "seven"], '--seed is "seven", but it must be a whole number of at most 9 digits.'],
        [["--seed"], "Option '--seed <value>' argument missing."],
        [["--seed", "-1"], "Option '--seed' argument is ambiguous."],
        [["day"], "Unexpected argument 'day'."],
        [["--seed", "1234567890"], '--seed is "1234567890", but it must be a whole number of at most 9 digits.'],
        [["--set", "tagKey"], '--set is "tagKey", but it must be KEY=VALUE.'],
        [["--set", "=a"], '--set is "=a", but it must be KEY=VALUE.'],
        [["--set", "tagkey=a"], 'There is no setting "tagkey"; there are asgPrefix, tagKey, '],
    ];
    for (const [args, sentence] of refused) {
        it(`refuses ${args.join(" ")}`, () => {
            expect(() => readOptions(args)).to.throw(sentence);
        });
    }

    describe("fails by name when the function", () => {
        let program: Program;
        let uniting: Program;
        const together = { electorateTag: "team" };
        before(async () => {
            program = await runProgram();
            uniting = await runProgram({ config: together });
        });

        const late = "((...call) => (setTimeout(() => aws.ec2.deleteTags(...call), 1000), Promise.resolve({})))(";
        const faults: [fault: string, text: RegExp, instead: string, rule: string, settings?: typeof together][] = [
            ["promotes before it demotes", /aws\.ec2\.deleteTags\(/, late, "no election makes a second leader"],
            ["never demotes", /aws\.ec2\.deleteTags\(/, "(async () => ({}))(", "at rest a group has one leader"],
            [
                "never promotes",
                /aws\.ec2\.createTags\(/,
                "(async () => ({}))(",
                "a group with fit members has a fit leader",
            ],
            ["deletes all tags", /(aws\.ec2\.deleteTags\(\{ Resources), Tags/, "$1", "no other tags are touched"],
            ["forgets the prefix", /asgPrefix: "awseb-"/, 'asgPrefix: ""', "no other groups are touched"],
            ["doesn't know the time", /new Date\(time\)\.toISOString/, "new Date(0).toISOString", "since only grows"],
            ["likes work", /Math\.floor\((average|mean)/, "-Math.floor($1", "the successor is healthy and idle"],
            [
                "treats an electorate's groups apart",
                /electorate: electorate \|\| undefined/,
                "electorate: undefined",
                "at rest a group has one leader",
                together,
            ],
            [
                "doesn't see an electorate's leaders in its other groups",
                /scope\.electorateTag \? \[\] : /,
                "",
                "no election makes a second leader",
                together,
            ],
            [
                "takes a foreign group into an electorate",
                /startsWith\(asgPrefix\)\);(?=\s+return new Map)/,
                'startsWith(""));',
                "a group with fit members has a fit leader",
                together,
            ],
        ];
        for (const [fault, text, instead, rule, settings] of faults) {
            it(fault, async () => {
                const faultless = settings ? uniting : program;
                const functionText = faultless.functionText.replace(text, instead);
                expect(functionText).not.to.equal(faultless.functionText);
                const { text: told, breaches, status } = await rehearse({ ...faultless, functionText }, { settings });
                expect(breaches.map((breach) => breach.rule)).to.include(rule);
                expect(status).to.equal(1);
                expect(told)
                    .to.match(/\n\d\d:\d\d:\d\d .*✗ RULE BROKEN/)
                    .and.match(/\n\d+ rules? w\w+ broken:\n/);
                expect(told).to.include(`\n  ${rule}\n      `);
            });
        }
    });
});
