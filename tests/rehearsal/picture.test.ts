// The rehearsal's picture: the stored one is what its command draws, and all that a day had is in it.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { start } from "../simulator/npm-start";
import { runProgram } from "../simulator/stack/program";
import { dayLength } from "./day";
import { readOptions, rehearse } from "./rehearsal";

const stored = join(__dirname, "lost-leader.svg");
const storedPart = ["--from", "10:02:00", "--to", "10:03:00"];

const textsIn = (svg: string): string[] =>
    [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = ""]) => text);
const instancesIn = (texts: string[]) => texts.filter((text) => /^(shop|blog|jobs)-\d+$/.test(text));

describe("the rehearsal's picture", () => {
    it(`of a lost leader is what \`npm start -- ${storedPart.join(" ")} --picture tests/rehearsal/lost-leader.svg\` draws`, async () => {
        const folder = mkdtempSync(join(tmpdir(), "picture-"));
        try {
            const file = join(folder, "lost-leader.svg");
            const { status, err } = await start(...storedPart, "--picture", file);
            expect({ status, err }).to.deep.equal({ status: 0, err: "" });
            expect(readFileSync(file, "utf8")).to.equal(readFileSync(stored, "utf8"));
        } finally {
            rmSync(folder, { recursive: true });
        }
    });

    it("has a lane for each instance of a part of the day, its events and its elections, and no quiet group", () => {
        const texts = textsIn(readFileSync(stored, "utf8"));
        const [, crashed = "", which] = texts.join("\n").match(/^(crash: (shop-\d+), the leader,)/m) ?? [];
        expect(instancesIn(texts)).to.have.length.above(2).and.include(which);
        expect(texts.filter((text) => text.startsWith(crashed))).to.have.length(1);
        expect(texts.filter((text) => /^shop-\d+ leads, after 0\.\d\d s without a leader$/.test(text))).to.have.length(
            1,
        );
        expect(texts).to.include.members(["shop", "leads", "fit", "ending", "no leader"]).and.not.include("blog");
    });

    it("has a dark colour for each light one", () => {
        const svg = readFileSync(stored, "utf8");
        const [, style] = svg.match(/<style>(@media \(prefers-color-scheme:dark\)\{.*\})<\/style>/) ?? [];
        const colours = new Set([...svg.matchAll(/ (?:fill|stroke)="(#[0-9a-f]+)"/g)].map(([, colour]) => colour));
        expect(colours.size).to.be.above(5);
        for (const colour of colours) {
            expect(style).to.include(`[fill="${colour}"]{fill:#`).and.include(`[stroke="${colour}"]{stroke:#`);
        }
    });

    it("of a whole day has each instance of the stack, each thing that happened, and the workers' times", async () => {
        const program = await runProgram();
        const picture = { file: "", from: 0, to: dayLength };
        const { svg = "", text } = await rehearse(program, { picture, workers: true });
        const texts = textsIn(svg);
        const happened = [...text.matchAll(/^\d\d:\d\d:\d\d {2}(?:shop|blog) {2}([a-z][\w ,-]*?) {2}/gim)];
        const named = new Set([...text.matchAll(/\b(?:shop|blog)-\d+\b/g)].map(([name]) => name));
        expect(instancesIn(texts)).to.include.members([...named]);
        expect(happened).to.have.length.above(15);
        expect(texts).to.include.members(happened.map(([, what]) => what));
        expect(texts).to.include.members(["works", "arriving", "two leaders"]);
        expect(texts.join(" ")).to.not.include("jobs");
    });

    const refused: [args: string[], sentence: string][] = [
        [["--from", "10:00:00"], "--from and --to need --picture. See --help."],
        [["--picture", "a.svg", "--to", "10:00"], '--to is "10:00", but it must be a time like 10:02:00. See --help.'],
        [["--picture", "a.svg", "--from", "24:00:00"], '--from is "24:00:00", but it must be a time like 10:02:00.'],
        [
            ["--picture", "a.svg", "--from", "05:00:00", "--to", "07:00:00"],
            "--from must be before --to; the day begins and ends at 06:00:00. See --help.",
        ],
        [["--picture", "/nonexistent/a.svg"], '--picture is "/nonexistent/a.svg", but there is no such folder'],
    ];
    for (const [args, sentence] of refused) {
        it(`refuses ${args.join(" ")}`, () => {
            expect(() => readOptions(args)).to.throw(sentence);
        });
    }
});
