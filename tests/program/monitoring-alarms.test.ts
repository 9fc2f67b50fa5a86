// Which alarm goes off in which outage, how many minutes after its cause, that it recovers after the cure, and that the others stay quiet.
import { expect } from "chai";
import { codeIn, Document } from "../integration/readme/document";
import { rehearse } from "../rehearsal/rehearsal";
import { minute } from "../simulator/clock";
import { actionsOf } from "../simulator/monitoring/alarms";
import type { Metrics } from "../simulator/monitoring/metrics";
import { record } from "../simulator/monitoring/recorder";
import { tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import type { World } from "../simulator/world";
import {
    alarmsOf,
    alarmTopicArn,
    delays,
    firstAlarms,
    moments,
    names,
    outage,
    outages,
    play,
    quietTime,
    quietTimes,
    statesOf,
} from "./outages";

const momentNames = Object.keys(moments) as (keyof typeof moments)[];

for (const sweepMinutes of [1, 60]) {
    describe(`With a sweep every ${sweepMinutes} min`, () => {
        for (const [what, expected] of Object.entries(outages)) {
            const alarms = (sweepMinutes === 60 && expected.ifRare) || expected.alarms;
            for (const moment of momentNames) {
                it(`${what}, ${moment} a sweep: ${alarms.join(" and ") || "no alarm"}, as soon as described, and no other`, async () => {
                    const program = await programWith({ alarmTopicArn, sweepMinutes: String(sweepMinutes) });
                    const played = await outage(what, sweepMinutes, moment);
                    for (const found of played.alarms) {
                        expect(Object.keys(found)).to.have.members(alarms);
                    }
                    for (const [name, after] of played.alarms.flatMap((found) => Object.entries(found))) {
                        const described = alarmsOf(program)[name]?.alarmDescription;
                        // These two count from the first event that fails or waits, and the next sweep is one.
                        const wait = ["function-failing", "backlog"].includes(name) ? sweepMinutes : 0;
                        // These instances lead until they end, two minutes after their warning.
                        const later = what.includes("Spot") ? 2 : 0;
                        const [, least, most] = described?.match(/(\d+) to (\d+) minutes after/)?.map(Number) ?? [];
                        expect(after, name).to.be.within(Number(least), Number(most) + wait + later);
                    }
                });
            }
            if (sweepMinutes === 1) {
                it(`${what}: after the cure every alarm recovers`, async () => {
                    for (const states of (await outage(what, 1, "just after")).afterwards) {
                        expect(Object.entries(states).filter(([, state]) => state === "ALARM")).to.deep.equal([]);
                    }
                });
            }
        }
        if (sweepMinutes === 1) {
            for (const what of Object.keys(quietTimes)) {
                for (const seen of Object.keys(delays)) {
                    it(`no alarm goes off while ${what}, with metrics ${seen}`, async () => {
                        expect((await quietTime(what, seen)).alarms).to.deep.equal([{}, {}, {}, {}]);
                    });
                }
            }
        }
        for (const [seen, delay] of Object.entries(delays)) {
            it(`no alarm goes off at the first deployment, with metrics ${seen}`, async () => {
                const times = { before: 0, minutes: 3 * sweepMinutes + 20, delay, sweepMinutes };
                expect((await play(() => undefined, times)).alarms).to.deep.equal([{}, {}, {}, {}]);
            });
        }
    });
}

describe("A topic that is gone", () => {
    it("gets no message, and the alarm's history says so; a new one of its name gets them again", async () => {
        const alarm = alarmsOf(await programWith({ alarmTopicArn }))["no-leader"];
        const changes = [
            { at: 0, state: "ALARM" as const },
            { at: minute, state: "OK" as const },
        ];
        expect(actionsOf(alarm ?? {}, changes, [])).to.deep.equal(
            Array(2).fill(`Failed to execute action ${alarmTopicArn}`),
        );
        expect(actionsOf(alarm ?? {}, changes, [alarmTopicArn])).to.deep.equal(
            Array(2).fill(`Successfully executed action ${alarmTopicArn}`),
        );
    });
});

/** Follows the longest time that a group wanted instances and had no leader, in milliseconds. */
function longestVacancy({ region, fleet, timeline }: World): { millis: number } {
    const longest = { millis: 0 };
    const since = new Map<string, number>();
    region.onChange.push(() => {
        for (const group of region.groups.keys()) {
            const isOurs = group.startsWith("awseb-");
            if (isOurs && fleet.size(group) > 0 && region.leaders(group, tagKey).length === 0) {
                since.set(group, since.get(group) ?? timeline.now);
            } else if (since.has(group)) {
                longest.millis = Math.max(longest.millis, timeline.now - Number(since.get(group)));
                since.delete(group);
            }
        }
    });
    return longest;
}

describe("While a whole day passes", () => {
    for (const seed of [undefined, 1, 2]) {
        const day = seed === undefined ? "the rehearsed day" : `the random day ${seed}`;
        it(`no alarm goes off on ${day}, unless a group was without a leader for minutes`, async () => {
            const program = await programWith({ alarmTopicArn });
            let watched: { metrics: Metrics; world: World; from: number; vacancy: { millis: number } } | undefined;
            await rehearse(program, {
                seed,
                onWorld: (world) => {
                    const metrics = record(world, names);
                    watched = { metrics, world, from: world.timeline.now, vacancy: longestVacancy(world) };
                },
            });
            const { metrics, world, from, vacancy } = watched as NonNullable<typeof watched>;
            const to = world.timeline.now;
            expect(to - from).to.be.at.least(6 * 60 * minute);
            const mayPage = seed !== undefined && vacancy.millis >= 2 * minute ? ["no-leader"] : [];
            for (const changes of statesOf(program, metrics, from, to)) {
                expect(mayPage).to.include.members(Object.keys(firstAlarms(changes, from, to)));
            }
        });
    }
});

/** What is played of each failure in the runbook. */
const runbook: Record<string, string[]> = {
    "a permission to write was taken away": ["tags can't be written, and a leader ends"],
    "groups or instances can't be read": ["groups can't be listed", "EC2 can't be read"],
    "the queue's policy is gone": ["the queue's policy is gone"],
    "the queue is gone": ["the queue is deleted"],
    "the rule `sweep` is disabled or gone": ["the sweep's rule is disabled or deleted"],
    "another rule is disabled, events get lost": ["the rule for departures is disabled, and leaders end"],
    "the event source mapping is disabled": [
        "the event source mapping is disabled, or it, the function or its role is deleted",
    ],
    "the mapping, the function or its role is gone": [
        "the event source mapping is disabled, or it, the function or its role is deleted",
    ],
    "the function crashes or runs out of time": ["the function runs out of time"],
    "the account is throttled": ["the function is throttled"],
    "a group is vacant": ["a group wants instances and gets none", "no instance of a group can lead"],
    "all instances of a group are vetoed": ["all instances of a group are vetoed"],
    "a mass Spot interruption": [
        "all instances of a group are Spot instances that are interrupted, and it gets no others",
    ],
    "a leader works badly": ["a leader works badly, and is vetoed"],
    "a group has two leaders again and again": ["a second leader is tagged again and again, and no event reports it"],
    "tags are deleted again and again": ["the tag is taken off a leader every 2 minutes"],
    "the prefix is wrong": ["no group has the prefix"],
    "two stacks with the same settings": [
        "a second stack with the same settings looks after the same groups, and leaders end",
    ],
    "two stacks with different settings": ["a second stack has one leader elected for both groups"],
    "the log group is gone": ["the log group is gone"],
    "a flood of events": ["6,000 foreign instances end at once, while AWS is slow"],
    "the region is impaired": ["every call of AWS fails"],
    "the topic of alarms is gone": ["nothing happens"],
};

/** Minutes until each alarm went off, the least and the most of both moments and all readings. */
async function timesOf(what: string, sweepMinutes: number): Promise<[alarm: string, least: number, most: number][]> {
    const found: [string, number][] = [];
    for (const moment of momentNames) {
        const { alarms } = await outage(what, sweepMinutes, moment);
        found.push(...alarms.flatMap((minutes) => Object.entries(minutes)));
    }
    return [...new Set(found.map(([name]) => name))].map((name) => {
        const minutes = found.filter(([other]) => other === name).map(([, after]) => after);
        return [name, Math.min(...minutes), Math.max(...minutes)];
    });
}

describe("The table of outages in election/stack/monitoring.md", () => {
    it("says what is measured here", async () => {
        const cell = async (what: string, sweepMinutes: number) =>
            (await timesOf(what, sweepMinutes))
                .sort(([a, at], [b, bt]) => at - bt || (a < b ? -1 : 1))
                .map(([name, least, most]) => `\`${name}\` ${least === most ? least : `${least} to ${most}`}`)
                .join(", ") || "none";
        const rows: string[][] = [];
        for (const what of Object.keys(outages)) {
            rows.push([what, await cell(what, 1), await cell(what, 60)]);
        }
        expect(new Document("election/stack/monitoring.md").namedTable("outages")).to.deep.equal(rows);
    });

    it("says in which times no alarm goes off", () => {
        const { text } = new Document("election/stack/monitoring.md");
        const [, listed = ""] = text.match(/<!-- quiet -->\n+((?:[-` ].*\n)+)/) ?? [];
        expect(
            listed
                .replaceAll(/\n {2}/g, " ")
                .trim()
                .split("\n"),
        ).to.have.members(Object.keys(quietTimes).map((what) => `- ${what}`));
    });
});

describe("The runbook in election/stack/README.md", () => {
    const rows = new Document("election/stack/README.md").namedTable("runbook");
    const lookups = ["vacant-groups", "leader-history", "npm run status", "Failed to execute action"];
    const playedOf = (what: string) => (what in outages ? outage(what, 1, "just after") : quietTime(what));

    it("has a row for each failure that is played here", () => {
        expect(rows.map(([failure]) => failure)).to.deep.equal(Object.keys(runbook));
    });

    it("knows two stacks by two changes for each loss", async () => {
        const changesIn = async (what: string) =>
            (await quietTime(what)).lines.filter((line) => line.includes("LeaderChanges")).length;
        expect(await changesIn("the rule for departures is disabled, and leaders end")).to.equal(3);
        expect(
            await changesIn("a second stack with the same settings looks after the same groups, and leaders end"),
        ).to.equal(6);
    });

    for (const [failure = "", cell = "", remedy = ""] of rows) {
        it(`says of this what is seen, after how long, and what to do: ${failure}`, async () => {
            expect(remedy).to.have.length.above(3);
            const sets = [...cell.matchAll(/((?:`[a-z-]+`(?:, | and )?)+) in about (\d+) minutes/g)];
            const said = sets.flatMap(([, alarms = "", minutes]) =>
                codeIn(alarms).map((alarm) => [alarm, Number(minutes)]),
            );
            for (const what of runbook[failure] ?? []) {
                const after = what in outages ? await timesOf(what, 1) : [];
                expect(said).to.have.deep.members(after.map(([alarm, , most]) => [alarm, most]));
                expect(cell.includes("no alarm")).to.equal(after.length === 0);
                const { metrics, lines } = await playedOf(what);
                expect(cell.includes("no lines")).to.equal(what === "the log group is gone" && lines.length === 0);
                const others = codeIn(cell).filter((code) => !said.some(([alarm]) => alarm === code));
                for (const code of others.filter((one) => !lookups.includes(one))) {
                    const isSeen =
                        metrics.includes(code) ||
                        lines.some((line) => line.startsWith(`${code.toLowerCase()} `)) ||
                        lines.some(
                            (line) => line.includes(`"outcome":"${code}"`) && /(ec2|autoscaling):\w+ on/.test(line),
                        );
                    expect(isSeen, code).to.equal(true);
                }
            }
        });
    }
});
