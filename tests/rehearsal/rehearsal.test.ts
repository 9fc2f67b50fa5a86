// The rehearsal: what it shows, prints and draws of a day, and what it refuses.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { inThisProcess } from "../simulator/command-line";
import { newFolder } from "../simulator/folder";
import { firstOf } from "../simulator/lists";
import { root, runProgram } from "../simulator/stack/program";
import { dayLength, deedsOf } from "./day";
import { timeOfDay } from "./narration";
import { main, type Options, prologue, readOptions, rehearse } from "./rehearsal";

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Runs `npm start` with arguments, without a home and without AWS's and Pulumi's variables. */
function start(...args: string[]) {
    const [command, ...script] = scripts.start.split(" ");
    expect(command).to.equal("node");
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(AWS|PULUMI)_/.test(key)));
    // Memory is freed early: all tests together are to do with little.
    const flags = ["--max-old-space-size=120", "--max-semi-space-size=4"];
    const options = { cwd: root, env: { ...env, HOME: "/nonexistent" }, encoding: "utf8" } as const;
    const { status, stdout: out, stderr: err } = spawnSync(process.execPath, [...flags, ...script, ...args], options);
    return { status, out, err };
}

/** The lines about something that happens, up to the next thing that happens. */
function linesAbout(out: string, what: string): string {
    const unwrapped = out.replace(/\n {34}/g, " ");
    const sections = unwrapped.split(/^(?=\d\d:\d\d:\d\d {2}(?:shop|blog|jobs) {2}\w)/m);
    return sections.filter((section) => section.slice(16).startsWith(what.padEnd(16))).join("");
}

/** What is said of the workers in the end. */
const atWork = (text: string): string => text.match(/^ {2}workers +(.*(?:\n {20}.*)*)/m)?.[1] ?? "";

const textsIn = (svg: string): string[] =>
    [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = ""]) => text);
const instancesIn = (texts: string[]) => texts.filter((text) => /^(shop|blog|jobs)-\d+$/.test(text));

type Rehearsal = Awaited<ReturnType<typeof rehearse>>;

async function playedWith(options: Options, print?: (line: string) => unknown): Promise<Rehearsal> {
    return rehearse(await runProgram({ config: options.settings }), options, print);
}

describe("npm start", () => {
    describe("plays the scripted day, and", () => {
        const part = ["--from", "10:02:00", "--to", "10:03:00"];
        const stored = readFileSync(join(__dirname, "lost-leader.svg"), "utf8");
        let day: ReturnType<typeof start>;
        let drawn: string;
        before(() => {
            const file = join(newFolder(), "a.svg");
            day = start(...part, "--picture", file);
            drawn = readFileSync(file, "utf8");
        });

        it("has everything in it that can happen to a group", () => {
            for (const what of Object.keys(deedsOf(false))) {
                expect(linesAbout(day.out, what), what).not.to.equal("");
            }
        });

        it("shows how long a group has no leader or two, and which leader handed over", () => {
            expect(linesAbout(day.out, "crash")).to.match(/★ \S+ leads +0\.\d+ s without a leader/);
            expect(linesAbout(day.out, "veto")).to.match(/★ \S+ leads +handed over, 0\.0\d s without a leader/);
            expect(linesAbout(day.out, "tag copied")).to.match(/★ \S+ leads +0\.\d\d s with two leaders/);
        });

        it("leaves foreign groups alone", () => {
            expect(linesAbout(day.out, "not ours")).to.match(/^.*\n.*nothing to change\n$/);
        });

        it("ends with numbers", () => {
            const summary = day.out.slice(day.out.indexOf("\nSummary\n"));
            expect(summary).to.match(
                /without a leader +[\d.]+ s in all with a fit instance; the longest [\d.]+ s, blog/,
            );
            expect(summary).to.match(/AWS calls +[\d,]+ reads, \d+ writes/);
            expect(summary).to.match(/events +\d+ received, \d+ that match no rule, 1 lost/);
            expect(summary).to.match(/at rest +1,4\d\d times/);
        });

        it("prints no line that is longer than 100 columns, and no colours into a pipe", () => {
            expect(day.out.split("\n").filter((line) => line.length > 100)).to.deep.equal([]);
            expect(day.out).not.to.include("\x1b");
        });

        it(`draws a lost leader as it is stored: ${part.join(" ")} --picture tests/rehearsal/lost-leader.svg`, () => {
            expect(drawn).to.equal(stored);
        });

        it("draws a lane for each instance of a part of the day, its events and elections, and no quiet group", () => {
            const texts = textsIn(stored);
            const [crash = "", ...more] = texts.filter((text) => text.startsWith("crash: "));
            expect(instancesIn(texts))
                .to.have.length.above(2)
                .and.include(crash.match(/shop-\d+/)?.[0]);
            expect(more).to.deep.equal([]);
            expect(texts.join("\n")).to.match(/^shop-\d+ leads, after 0\.\d\d s without a leader$/m);
            expect(texts).to.include.members(["shop", "leads", "fit", "ending", "no leader"]).and.not.include("blog");
        });

        it("draws with a dark colour for each light one", () => {
            const [, style] = stored.match(/<style>(@media \(prefers-color-scheme:dark\)\{.*\})<\/style>/) ?? [];
            const colours = new Set([...stored.matchAll(/ (?:fill|stroke)="(#[0-9a-f]+)"/g)].map(([, one]) => one));
            expect(colours.size).to.be.above(5);
            for (const colour of colours) {
                expect(style).to.include(`[fill="${colour}"]{fill:#`).and.include(`[stroke="${colour}"]{stroke:#`);
            }
        });
    });

    describe("plays the day with workers and a picture of it all, and", () => {
        const printed: { line: string; at: string }[] = [];
        let played: Rehearsal;
        before(async () => {
            let now = () => "";
            const onWorld: Options["onWorld"] = ({ timeline }) => {
                now = () => timeOfDay(timeline.now);
            };
            const options = { workers: true, picture: { file: "", from: 0, to: dayLength }, onWorld };
            played = await playedWith(options, (line) => printed.push({ line, at: now() }));
        });

        it("prints each line when it happens", () => {
            const timed = printed.filter(({ line }) => /^\d\d:/.test(line));
            expect(timed.map(({ line }) => line.slice(0, 8))).to.deep.equal(timed.map(({ at }) => at));
            expect(timed).to.have.length.above(30);
        });

        it("starts workers with their leaders, two at once where there is no pause", () => {
            expect(played.violations).to.deep.equal([]);
            expect(played.text).to.match(/! two at work +(\S+) starts while (?!\1)\S+ is at work/);
            expect(atWork(played.text)).to.match(/^1\d starts, two at once \d+ times, [\d.]+ s in all/);
        });

        it("draws each instance of the stack, each thing that happened, and the workers' times", () => {
            const { svg = "", text } = played;
            const texts = textsIn(svg);
            const happened = [...text.matchAll(/^\d\d:\d\d:\d\d {2}(?:shop|blog) {2}([a-z][\w ,-]*?) {2}/gim)];
            const named = new Set([...text.matchAll(/\b(?:shop|blog)-\d+\b/g)].map(([name]) => name));
            expect(instancesIn(texts)).to.include.members([...named]);
            expect(happened).to.have.length.above(15);
            expect(texts).to.include.members(happened.map(([, what]) => what));
            expect(texts).to.include.members(["works", "arriving", "two leaders"]);
            expect(texts.join(" ")).to.not.include("jobs");
        });
    });

    it("plays the day of groups that elect together, with one leader throughout an update, and then a new one", async () => {
        const settings = { electorateTag: "elasticbeanstalk:environment-name", sweepMinutes: "5" };
        const { text, violations } = await playedWith({ settings });
        expect(violations).to.deep.equal([]);
        expect(prologue({ settings }, [])).to.include(`Groups with the same ${settings.electorateTag} elect one`);
        expect(text).not.to.match(/awseb-|environment-name/);
        const update = linesAbout(text, "update");
        const [young = "", old = ""] = firstOf(update.split("\n")).split("replace");
        const before = text.slice(0, text.indexOf(" update ")).match(/.*★ (shop-\d+) leads/s)?.[1];
        const [after, ...more] = [...update.matchAll(/★ (\S+) leads +0\.\d+ s without a leader/g)];
        expect(old.match(/shop-\d+/g)).to.include(before);
        expect(young.match(/shop-\d+/g)).to.include(after?.[1]);
        expect(more).to.deep.equal([]);
    });

    it("plays the same random day for the same seed and settings, wherever it is, keeps every rule, and never has two at work", async () => {
        const line =
            "--seed 9 --workers --set asgPrefix=legacy- --set=electorateTag=team --set=handoverSeconds=18 " +
            "--set=protectLeader=true --set=sweepMinutes=5 --set=tagKey=shop:primary";
        const args = line.split(" ");
        const { status, out, err } = start(...args);
        const options = readOptions(args) as Options;
        const { text, violations } = await playedWith(options);
        expect(out).to.equal(prologue(options, args) + text);
        expect({ status, err, violations }).to.deep.equal({ status: 0, err: "", violations: [] });
        expect(out).to.include("--seed 9").and.include("legacy-e-shop").and.include("shop:primary");
        expect(out).to.match(/at rest +2\d\d times/);
        expect(linesAbout(out, "update")).not.to.equal("");
        expect(atWork(out)).to.match(/^\d+ starts?, (never two at once|two at once .*, all after an operator's)/s);
    });

    it("prints help", async () => {
        const { status, out } = await inThisProcess(main, ["--help"]);
        expect(out).to.include("--seed N").and.include("--set KEY=VALUE").and.include("tagKey");
        expect(status).to.equal(0);
    });

    const aPicture = ["--picture", "a.svg"];
    const refused: [args: string[], sentence: string][] = [
        [["--seed", "seven"], '--seed is "seven", but it must be a whole number of at most 9 digits. See --help.'],
        [["--seed", "-1"], "Option '--seed' argument is ambiguous."],
        [["--seed", "1234567890"], '--seed is "1234567890", but it must be a whole number of at most 9 digits.'],
        [["--sed", "7"], "Unknown option '--sed'. See --help."],
        [["--set", "tagKey=aws:a"], 'Setting tagKey is "aws:a", but it must be '],
        [["--set", "tagkey=a"], "There is no setting tagkey. "],
        [["--set", "tagKey"], '--set is "tagKey", but it must be KEY=VALUE.'],
        [["--set", "=a"], '--set is "=a", but it must be KEY=VALUE.'],
        [["--set", "tagKey=a", "--set=tagKey=b"], "--set is given twice for one key. See --help."],
        [["--from", "10:00:00"], "--from and --to need --picture. See --help."],
        [[...aPicture, "--to", "10:00"], '--to is "10:00", but it must be a time like 10:02:00. See --help.'],
        [[...aPicture, "--from", "24:00:00"], '--from is "24:00:00", but it must be a time like 10:02:00.'],
        [[...aPicture, "--from", "05:00:00", "--to", "07:00:00"], "--from must be before --to; the day begins and"],
        [["--picture", "/nonexistent/a.svg"], '--picture is "/nonexistent/a.svg", but there is no such folder.'],
    ];
    for (const [args, sentence] of refused) {
        it(`refuses ${args.join(" ")}`, async () => {
            const { status, out, err } = await inThisProcess(main, args);
            expect({ status, out }).to.deep.equal({ status: 2, out: "" });
            expect(err)
                .to.include(sentence)
                .and.match(/^[^\n]+\n$/);
        });
    }
});
