// The rehearsal: what it shows, what it refuses, and that it fails when the program breaks a rule.
import { expect } from "chai";
import { inThisProcess } from "../simulator/command-line";
import { firstOf } from "../simulator/lists";
import { start } from "../simulator/npm-start";
import { type Program, runProgram } from "../simulator/stack/program";
import { deedsOf } from "./day";
import { main, prologue, readOptions, rehearse } from "./rehearsal";

/** The lines about something that happens, up to the next thing that happens. */
function linesAbout(out: string, what: string): string {
    const unwrapped = out.replace(/\n {34}/g, " ");
    const sections = unwrapped.split(/^(?=\d\d:\d\d:\d\d {2}(?:shop|blog|jobs) {2}\w)/m);
    return sections.filter((section) => section.slice(16).startsWith(what.padEnd(16))).join("");
}

function expectKept({ status, out, err }: Awaited<ReturnType<typeof start>>): void {
    expect({ status, err }).to.deep.equal({ status: 0, err: "" });
    expect(out).to.match(/\nEvery rule was kept\.\n$/);
}

describe("the rehearsal", function () {
    this.timeout(60_000);

    describe("of the scripted day", () => {
        let day: Awaited<ReturnType<typeof start>>;
        before(async () => {
            day = await start();
        });

        it("keeps every rule, and says so", () => {
            expectKept(day);
        });

        it("plays everything that can happen to a group", () => {
            for (const what of Object.keys(deedsOf(false))) {
                expect(linesAbout(day.out, what), what).not.to.equal("");
            }
        });
        it("shows how long a group has no leader, and which leader handed over", () => {
            expect(linesAbout(day.out, "crash")).to.match(/★ \S+ leads +0\.\d+ s without a leader/);
            expect(linesAbout(day.out, "veto")).to.match(/★ \S+ leads +handed over, 0\.0\d s without a leader/);
        });

        it("demotes the instance that a copy of the tags made a second leader", () => {
            expect(linesAbout(day.out, "tag copied")).to.match(/★ \S+ leads +0\.\d\d s with two leaders/);
        });

        it("leaves foreign groups alone", () => {
            expect(linesAbout(day.out, "not ours")).to.match(/^.*\n.*nothing to change\n$/);
        });

        it("ends with numbers", () => {
            const summary = day.out.slice(day.out.indexOf("\nSummary\n"));
            expect(summary).to.match(/elections +[\d,]+: [\d,]+ kept, \d+ elected/);
            expect(summary).to.match(
                /without a leader +[\d.]+ s in all with a fit instance; the longest [\d.]+ s, blog at/,
            );
            expect(summary).to.match(/two leaders +2 moments, 0\.\d\d s in all/);
            expect(summary).to.match(/AWS calls +[\d,]+ reads, \d+ writes/);
            expect(summary).to.match(/events +\d+ received, \d+ that match no rule, 1 lost/);
            expect(summary).to.match(/at rest +1,4\d\d times/);
        });

        it("prints no line that is longer than 100 columns", () => {
            expect(day.out.split("\n").filter((line) => line.length > 100)).to.deep.equal([]);
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
            expectKept(day);
            expect(day.out).to.match(/at rest +1,4\d\d times/);
        });

        it("plays everything that can happen to a group or its environment", () => {
            for (const what of Object.keys(deedsOf(true))) {
                expect(linesAbout(day.out, what), what).not.to.equal("");
            }
        });

        it("shows one leader throughout an update, and then one of the new instances", () => {
            const begins = linesAbout(day.out, "update begins");
            const moves = linesAbout(day.out, "instances move");
            const ends = linesAbout(day.out, "update ends");
            const named = (section: string) => firstOf(section.split("\n")).match(/shop-\d+/g) ?? [];
            const leads = [...day.out.matchAll(/★ (shop-\d+) leads/g)];
            const before = leads.findLast(({ index }) => index < day.out.indexOf("update begins"))?.[1];

            expect(named(begins)).to.have.length.above(1);
            expect(named(moves)).to.deep.equal(named(begins));
            expect(begins + moves).not.to.match(/[★☆]/);
            expect(named(ends)).to.include(before).and.have.lengthOf(named(begins).length);
            const [, after, seconds] = ends.match(/★ (\S+) leads +([\d.]+) s without a leader/) ?? [];
            expect(named(begins)).to.include(after);
            expect(Number(seconds)).to.be.greaterThan(0).and.at.most(1);
        });

        it("says which groups elect together, and gives them one name", () => {
            const [introduction, ...lines] = day.out.split(/^(?=\d\d:)/m);
            expect(introduction).to.include(
                "Groups with the same elasticbeanstalk:environment-name elect one leader together",
            );
            expect(lines.join("")).not.to.match(/awseb-|environment-name/);
        });
    });

    describe("of a random day", () => {
        const settings = { tagKey: "shop:primary", asgPrefix: "legacy-" };

        it("is the same for the same seed and settings, wherever it is played, and keeps every rule", async () => {
            const args = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
            const { status, out, err } = await start("--seed", "7", ...args);
            const again = await rehearse(await runProgram({ config: settings }), { seed: 7, settings });
            expect(out).to.equal(prologue({ seed: 7, settings }) + again.text);
            expect(out).to.include("--seed 7").and.include("legacy-e-shop").and.include("shop:primary");
            expectKept({ status, out, err });
        });

        it("keeps every rule with updates, gentle hand-overs and protected leaders", async () => {
            const settings = { electorateTag: "team", handoverSeconds: "10", protectLeader: "true" };
            const program = await runProgram({ config: settings });
            const { text, violations } = await rehearse(program, { seed: 9, settings });
            expect(violations).to.deep.equal([]);
            expect(text).to.match(/at rest +1,4\d\d times/);
            expect(linesAbout(text, "instances move")).to.include("loses its tags"); // the leader moves too
            expect(linesAbout(text, "update ends")).to.match(/★ \S+ leads/);
        });
    });

    it("prints the prologue before the day is over, and each line when it happens", async () => {
        const printed: string[] = [];
        let over = false;
        const played = rehearse(await runProgram(), {}, (line) => {
            expect(over).to.equal(false);
            printed.push(line);
        }).finally(() => {
            over = true;
        });
        while (printed.length === 0) {
            await new Promise((resolve) => setImmediate(resolve));
        }
        expect(over).to.equal(false);
        expect(printed.join("")).to.match(/^06:00:00 {2}shop {2}launch .*\n$/);
        expect((await played).text).to.equal(printed.join(""));
    });

    it("prints help", async () => {
        const { status, out } = await inThisProcess(main, ["--help"]);
        expect(out).to.include("--seed N").and.include("--set KEY=VALUE").and.include("tagKey");
        expect(status).to.equal(0);
    });

    it("refuses a bad setting in the program's own sentence", async () => {
        const { status, out, err } = await inThisProcess(main, ["--set", "tagKey=aws:a"]);
        expect(err).to.match(/^Setting tagKey is "aws:a", but it must be [^\n]+\.\n$/);
        expect({ status, out }).to.deep.equal({ status: 2, out: "" });
    });

    const refused: [args: string[], sentence: string][] = [
        [["--seed", "seven"], '--seed is "seven", but it must be a whole number of at most 9 digits.'],
        [["--seed"], "Option '--seed <value>' argument missing. See --help."],
        [["--seed", "1", "--seed=2"], "Option '--seed' is given twice. See --help."],
        [["--seed", "-1"], "Option '--seed' argument is ambiguous."],
        [["--seed", "1234567890"], '--seed is "1234567890", but it must be a whole number of at most 9 digits.'],
        [["--sed", "7"], "Unknown option '--sed'. See --help."],
        [["day"], "Unexpected argument 'day'."],
        [["--set", "tagKey"], '--set is "tagKey", but it must be KEY=VALUE.'],
        [["--set", "tagKey=a", "--set", "tagKey=b"], "Setting tagKey is given twice. See --help."],
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
            ["forgets the prefix", /= \["awseb-"\];/, '= [""];', "no other groups are touched"],
            ["writes the wrong time", /isoTime\((plan\.)?since\)/g, "isoTime(0)", "since only grows"],
            [
                "prefers busy instances",
                /Math\.floor\(\(load\.get\(id\)/,
                "-Math.floor((load.get(id)",
                "the successor is healthy and idle",
            ],
            [
                "treats an electorate's groups apart",
                /const electorate = view\.groups\.get\(group\)\?\.electorate;/,
                "const electorate = undefined;",
                "each group that an event names has an election",
                together,
            ],
            [
                "doesn't see an electorate's leaders in its other groups",
                /aws\.scope\.electorateTag \? \[\] : /,
                "",
                "no election makes a second leader",
                together,
            ],
            [
                "takes a foreign group into an electorate",
                /(listedGroup\(scope, group\)\))\s*\.filter\(\(\{ name \}\) => .*isOurs\)\(scope, name\)\)/,
                "$1",
                "a group with fit members has a fit leader",
                together,
            ],
        ];
        for (const [fault, text, instead, rule, settings] of faults) {
            it(fault, async () => {
                const faultless = settings ? uniting : program;
                const functionText = faultless.functionText.replace(text, instead);
                expect(functionText).not.to.equal(faultless.functionText);
                const { text: out, violations, status } = await rehearse({ ...faultless, functionText }, { settings });
                expect(violations.map((violation) => violation.rule)).to.include(rule);
                expect(status).to.equal(1);
                expect(out)
                    .to.match(/\n\d\d:\d\d:\d\d .*✗ RULE BROKEN/)
                    .and.match(/\n\d+ rules? w\w+ broken:\n/);
                expect(out).to.include(`\n  ${rule}\n      `);
            });
        }
    });
});
