// What the saved queries say of the rehearsal's own log, by a stand-in for Logs Insights, beside what happened in the region.
import { expect } from "chai";
import { queries } from "../../election/stack/monitoring";
import { Document } from "../integration/readme/document";
import { rehearse } from "../rehearsal/rehearsal";
import type { Line } from "../simulator/clock";
import { found } from "../simulator/lists";
import { runQuery } from "../simulator/monitoring/insights";
import { tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import type { World } from "../simulator/world";

const day = 24 * 60 * 60;

/** What Lambda's JSON log format makes of the function's lines, at the level INFO. */
function logOf(lines: (Line & { at: number })[]): string[] {
    return lines
        .filter(({ level }) => ["error", "warn", "info"].includes(level))
        .map(({ level, entry, at }) =>
            JSON.stringify({ timestamp: new Date(at).toISOString(), level: level.toUpperCase(), message: entry }),
        );
}

/** Seconds that each group of a region wanted instances, and had another number of leaders than one. */
function watch({ region, timeline, fleet }: World): Map<string, number> {
    const seconds = new Map<string, number>();
    let last = timeline.now;
    let wrong: string[] = [];
    const look = () => {
        for (const group of wrong) {
            seconds.set(group, (seconds.get(group) ?? 0) + (timeline.now - last) / 1000);
        }
        last = timeline.now;
        wrong = [...region.groups.keys()].filter((group) => {
            const leaders = region
                .leaders(group, tagKey)
                .filter((id) => !["shutting-down", "terminated"].includes(region.state(id)));
            return fleet.size(group) > 0 && leaders.length !== 1;
        });
    };
    region.onChange.push(look);
    return seconds;
}

for (const seed of [undefined, 1, 2]) {
    describe(`Of the log of ${seed === undefined ? "the rehearsed day" : `the random day ${seed}`}`, () => {
        let log: string[];
        let seconds: Map<string, number>;
        before(async () => {
            const lines: (Line & { at: number })[] = [];
            let read = 0;
            await rehearse(await programWith(), {
                seed,
                onWorld: (world) => {
                    seconds = watch(world);
                    world.stack.onInvocation.push(({ end }) => {
                        lines.push(...world.lines.slice(read).map((line) => ({ ...line, at: end })));
                        read = world.lines.length;
                    });
                },
            });
            log = logOf(lines);
        });

        it("downtime says at most how long each group was without exactly one leader, and not much more", () => {
            const rows = runQuery(found(queries(1).downtime), log);
            const ofOurs = rows.filter((row) => String(row["message.group"]).startsWith("awseb-"));
            expect(ofOurs.map((row) => row["message.group"])).to.have.members(["awseb-e-shop", "awseb-e-blog"]);
            for (const row of ofOurs) {
                const said = Number(row.eventSeconds) + Number(row.sweepSeconds);
                const happened = seconds.get(String(row["message.group"])) ?? 0;
                expect(said, String(row["message.group"])).to.be.within(happened, 3 * happened + 600);
                expect(said / day, String(row["message.group"])).to.be.below(0.03);
            }
        });

        if (seed === undefined) {
            it("the sentence in election/stack/monitoring.md is what downtime says of shop", () => {
                const row = runQuery(found(queries(1).downtime), log).find(
                    (one) => one["message.group"] === "awseb-e-shop",
                );
                const said = Number(row?.eventSeconds) + Number(row?.sweepSeconds);
                const { text } = new Document("election/stack/monitoring.md");
                expect(text.replaceAll(/\s+/g, " ")).to.contain(
                    `\`eventSeconds\` ${Number(row?.eventSeconds).toFixed(1)} and \`sweepSeconds\` ${row?.sweepSeconds} ` +
                        `for shop: "in this day shop had exactly one leader at least ${(100 * (1 - said / day)).toFixed(2)} % of the time".`,
                );
            });
        }

        it("vacant-groups shows each vacant group once, with its reason", () => {
            const rows = runQuery(found(queries(1)["vacant-groups"]), log);
            const vacant = log.map((line) => JSON.parse(line).message).filter(({ outcome }) => outcome === "vacant");
            expect(rows.map((row) => row["message.group"])).to.have.members([
                ...new Set(vacant.map(({ group }) => group)),
            ]);
            for (const row of rows) {
                const ofGroup = vacant.filter(({ group }) => group === row["message.group"]);
                expect(row).to.include({ times: ofGroup.length, reason: ofGroup.at(-1).reason });
            }
        });
    });
}
