// Which alarm goes off in which outage, how many minutes after its cause, that it recovers after the cure, and that the others stay quiet.
import { expect } from "chai";
import { codeIn, Document } from "../integration/readme/document";
import { programWith } from "../simulator/scenario";
import { alarmsOf, alarmTopicArn, delays, moments, outages, play, quietTimes } from "./outages";

const keysOf = <T extends object>(of: T) => Object.keys(of) as (keyof T & string)[];

/** Minutes until each alarm went off, in the order of these: the least and the most of both moments and all readings. */
async function timesOf(what: string, sweepMinutes: number): Promise<[alarm: string, least: number, most: number][]> {
    const found: Record<string, number>[] = [];
    for (const moment of keysOf(moments)) {
        found.push(...(await play(what, { sweepMinutes, moment })).alarms);
    }
    const names = keysOf(found[0] ?? {});
    for (const one of found) {
        expect(Object.keys(one), "alarms, whatever the moment and the reading").to.have.members(names);
    }
    return names
        .map((name): [string, number, number] => {
            const minutes = found.flatMap((one) => one[name] ?? []);
            return [name, Math.min(...minutes), Math.max(...minutes)];
        })
        .sort(([a, at], [b, bt]) => at - bt || a.localeCompare(b));
}

describe("As the table of outages in election/stack/monitoring.md says", () => {
    const rows = new Document("election/stack/monitoring.md").namedTable("outages");

    it("it has all that is played here", () => {
        expect(rows.map(([what]) => what)).to.deep.equal(Object.keys(outages));
    });

    for (const [what = "", ...cells] of rows) {
        for (const [column, sweepMinutes] of [1, 60].entries()) {
            it(`with a sweep every ${sweepMinutes} min: ${what}: ${cells[column]}, and no other`, async () => {
                const times = await timesOf(what, sweepMinutes);
                const measured = times.map(
                    ([name, least, most]) => `\`${name}\` ${least === most ? least : `${least} to ${most}`}`,
                );
                expect(measured.join(", ") || "none").to.equal(cells[column]);
                const alarms = alarmsOf(await programWith({ alarmTopicArn, sweepMinutes: String(sweepMinutes) }));
                for (const [name, ...minutes] of times) {
                    // These two count from the first event that fails or waits, and the next sweep is one.
                    const wait = ["function-failing", "backlog"].includes(name) ? sweepMinutes : 0;
                    // These instances lead until they end, two minutes after their warning.
                    const later = what.includes("Spot") ? 2 : 0;
                    const described = alarms[name]?.alarmDescription.match(/(\d+) to (\d+) minutes after/);
                    const [least, most] = [Number(described?.[1]), Number(described?.[2]) + wait + later];
                    for (const after of minutes) {
                        expect(after, `${name}, as its description says`).to.be.within(least, most);
                    }
                }
            });
        }
        it(`every alarm recovers after the cure: ${what}`, async () => {
            for (const moment of keysOf(moments)) {
                expect((await play(what, { moment })).stuck, moment).to.deep.equal([]);
            }
        });
    }
});

describe("No alarm goes off, from the first deployment on,", () => {
    const none = [{}, {}, {}, {}];
    for (const seen of keysOf(delays)) {
        for (const what of Object.keys(quietTimes)) {
            it(`while ${what}, with metrics ${seen}`, async () => {
                expect((await play(what, { seen })).alarms).to.deep.equal(none);
            });
        }
        it(`with a sweep every hour and metrics ${seen}`, async () => {
            expect((await play("nothing happens", { sweepMinutes: 60, seen })).alarms).to.deep.equal(none);
        });
    }

    it("as election/stack/monitoring.md says", () => {
        const listed = new Document("election/stack/monitoring.md").namedList("quiet").trimEnd().split("\n");
        expect(listed).to.have.members(Object.keys(quietTimes).map((what) => `- ${what}`));
    });
});

const mappingIsGone = "the event source mapping is disabled, or it, the function, its role or its policy is deleted";
const losesSpot = "all instances of a group are Spot instances that are interrupted, and it gets no others";
const losesEvents = "the rule for departures is disabled, and leaders end";
const hasTwin = "a second stack with the same settings looks after the same groups, and leaders end";

/** What is played of each failure in the runbook, if it isn't what the runbook calls it. */
const runbook: Record<string, string[]> = {
    "a permission to write was taken away": ["tags can't be written, and a leader ends"],
    "groups or instances can't be read": ["groups can't be listed", "EC2 can't be read"],
    "the queue is gone": ["the queue is deleted"],
    "the rule `sweep` is disabled or gone": ["the sweep's rule is disabled or deleted"],
    "another rule is disabled, events get lost": [losesEvents],
    "the event source mapping is disabled": [mappingIsGone],
    "the mapping, the function, its role or its policy is gone": [mappingIsGone],
    "the function crashes or runs out of time": ["the function runs out of time"],
    "the account is throttled": ["the function is throttled"],
    "a group is vacant": ["a group wants instances and gets none", "no instance of a group can lead"],
    "a mass Spot interruption": [losesSpot],
    "a leader works badly": ["a leader works badly, and is vetoed"],
    "a group has two leaders again and again": ["a second leader is tagged again and again, and no event reports it"],
    "tags are deleted again and again": ["the tag is taken off a leader every 2 minutes"],
    "the prefix is wrong": ["no group has the prefix"],
    "two stacks with the same settings": [hasTwin],
    "two stacks with different settings": ["a second stack has one leader elected for both groups"],
    "a flood of events": ["6,000 foreign instances end at once, while AWS is slow"],
    "the region is impaired": ["every call of AWS fails"],
    "the topic of alarms is gone": ["nothing happens"],
};

describe("The runbook in election/stack/README.md", () => {
    const rows = new Document("election/stack/README.md").namedTable("runbook");
    const lookups = ["vacant-groups", "leader-history", "npm run status", "Failed to execute action"];

    it("has a row for each failure that is played here", () => {
        expect(rows.map(([failure]) => failure)).to.include.members(Object.keys(runbook));
    });

    it("knows two stacks by two changes for each loss", async () => {
        const changesIn = async (what: string) =>
            (await play(what)).lines.filter((line) => line.includes("LeaderChanges")).length;
        expect(await changesIn(losesEvents)).to.equal(3);
        expect(await changesIn(hasTwin)).to.equal(6);
    });

    for (const [failure = "", cell = "", remedy = ""] of rows) {
        it(`says of this what is seen, after how long, and what to do: ${failure}`, async () => {
            expect(remedy).to.have.length.above(3);
            const sets = [...cell.matchAll(/((?:`[a-z-]+`(?:, | and )?)+) in about (\d+) minutes/g)];
            const said = sets.flatMap(([, alarms = "", minutes]) =>
                codeIn(alarms).map((alarm) => [alarm, Number(minutes)]),
            );
            const others = codeIn(cell).filter((code) => !said.some(([alarm]) => alarm === code));
            for (const what of runbook[failure] ?? [failure]) {
                const after = what in outages ? await timesOf(what, 1) : [];
                expect(said).to.have.deep.members(after.map(([alarm, , most]) => [alarm, most]));
                expect(cell.includes("no alarm")).to.equal(after.length === 0);
                const { metrics, lines } = await play(what);
                expect(cell.includes("no lines")).to.equal(what === "the log group is gone" && lines.length === 0);
                for (const code of others.filter((one) => !lookups.includes(one))) {
                    const isSeen = lines.some(
                        (line) =>
                            line.startsWith(`${code.toLowerCase()} `) ||
                            (line.includes(`"outcome":"${code}"`) && /(ec2|autoscaling):\w+ on/.test(line)),
                    );
                    expect(isSeen || metrics.includes(code), code).to.equal(true);
                }
            }
        });
    }
});
