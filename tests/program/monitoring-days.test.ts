// What alarms and saved queries make of whole days, by stand-ins for CloudWatch, beside what happened in the region.
import { expect } from "chai";
import { queries } from "../../election/stack/monitoring";
import { Document } from "../integration/readme/document";
import type { Recorder } from "../rehearsal/recorder";
import { rehearse } from "../rehearsal/rehearsal";
import { hour, minute, start } from "../simulator/clock";
import { found } from "../simulator/lists";
import { runQuery } from "../simulator/monitoring/insights";
import type { Metrics } from "../simulator/monitoring/metrics";
import { record } from "../simulator/monitoring/recorder";
import { programWith } from "../simulator/scenario";
import type { World } from "../simulator/world";
import { alarmTopicArn, firstAlarms, statesOf } from "./outages";

const [shop, blog] = ["awseb-e-shop", "awseb-e-blog"];
const day = 24 * 60 * 60;

for (const seed of [undefined, 1, 2]) {
    describe(`Of ${seed === undefined ? "the rehearsed day" : `the random day ${seed}`}`, () => {
        /** What Lambda's JSON log format makes of the function's lines, at the level INFO. */
        const log: string[] = [];
        let world: World;
        let metrics: Metrics;
        let recorder: Recorder;
        before(async () => {
            let read = 0;
            ({ recorder } = await rehearse(await programWith({ alarmTopicArn }), {
                seed,
                onWorld: (opened) => {
                    world = opened;
                    metrics = record(world);
                    world.stack.onInvocation.push(({ end }) => {
                        const timestamp = new Date(end).toISOString();
                        const lines = world.lines.slice(read).filter(({ level }) => /error|warn|info/.test(level));
                        log.push(...lines.map(({ entry: message }) => JSON.stringify({ timestamp, message })));
                        read = world.lines.length;
                    });
                },
            }));
        });

        const ask = (name: string, change = (query: string) => query) => runQuery(change(found(queries(1)[name])), log);
        const messages = () => log.map((line) => JSON.parse(line).message);

        it("no alarm goes off, unless a group was without a leader for minutes", async () => {
            const to = world.timeline.now;
            expect(to - start).to.be.at.least(6 * hour);
            const longest = Math.max(...recorder.gaps().map(({ start, end = to }) => end - start));
            const mayGoOff = seed !== undefined && longest >= 2 * minute ? ["no-leader"] : [];
            for (const changes of statesOf(await programWith({ alarmTopicArn }), metrics, start, to)) {
                expect(mayGoOff).to.include.members(Object.keys(firstAlarms(changes, start, to)));
            }
        });

        it("downtime says at most how long each group was without exactly one leader, and not much more", () => {
            const rows = ask("downtime").filter((row) => String(row["message.group"]).startsWith("awseb-"));
            expect(rows.map((row) => row["message.group"])).to.have.members([shop, blog]);
            for (const row of rows) {
                const group = String(row["message.group"]);
                const said = Number(row.eventSeconds) + Number(row.sweepSeconds);
                const wrong = [...recorder.gaps(), ...recorder.contests()]
                    .filter(({ electorate }) => electorate === group)
                    .reduce((sum, { start, end = world.timeline.now }) => sum + (end - start) / 1000, 0);
                expect(said, group).to.be.within(wrong, 3 * wrong + 600);
                expect(said / day, group).to.be.below(0.03);
            }
        });

        if (seed === undefined) {
            it("the sentence in election/stack/monitoring.md is what downtime says of shop", () => {
                const row = found(ask("downtime").find((one) => one["message.group"] === shop));
                const [byEvents, bySweeps] = [Number(row.eventSeconds), Number(row.sweepSeconds)];
                const { text } = new Document("election/stack/monitoring.md");
                expect(text.replaceAll(/\s+/g, " ")).to.contain(
                    `\`eventSeconds\` ${byEvents.toFixed(1)} and \`sweepSeconds\` ${bySweeps} for shop: "in this day shop ` +
                        `had exactly one leader at least ${(100 * (1 - (byEvents + bySweeps) / day)).toFixed(2)} % of the time".`,
                );
            });
        }

        it("vacant-groups shows each vacant group once, with its reason", () => {
            const vacant = messages().filter(({ outcome }) => outcome === "vacant");
            const rows = ask("vacant-groups");
            expect(rows.map((row) => row["message.group"])).to.have.members([
                ...new Set(vacant.map(({ group }) => group)),
            ]);
            for (const row of rows) {
                const ofGroup = vacant.filter(({ group }) => group === row["message.group"]);
                expect(row).to.include({ times: ofGroup.length, reason: ofGroup.at(-1).reason });
            }
        });

        it("leader-history shows each change, and of one group as soon as a comment is taken away", () => {
            const changes = messages().filter(
                ({ group, outcome, demoted = [] }) => group && (outcome === "elected" || demoted.length > 0),
            );
            const shown = (reports: typeof changes) =>
                reports.map(({ group, leader, since, demoted: [first] = [], reason }) => ({
                    "message.group": group,
                    "message.leader": leader,
                    "message.since": since,
                    "message.demoted.0": first,
                    "message.reason": reason,
                }));
            const asked = (change?: (query: string) => string) =>
                ask("leader-history", change).map(({ "@timestamp": _, ...fields }) => fields);
            expect(changes).to.have.length.above(10);
            expect(asked()).to.have.deep.members(shown(changes));
            expect(asked((query) => query.replace("# | ", "| ").replace("NAME", shop))).to.have.deep.members(
                shown(changes.filter(({ group }) => group === shop)),
            );
        });

        it("changes-by-cause counts each change under its first event", () => {
            const counts = ask("changes-by-cause").map(({ changes }) => Number(changes));
            expect(counts.reduce((sum, count) => sum + count)).to.equal(ask("leader-history").length);
            expect(counts).to.deep.equal(counts.toSorted((a, b) => b - a));
        });
    });
}
