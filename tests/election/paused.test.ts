// A paused group: nothing is written there, nothing pages, and reports say what an election would do.

import { expect } from "chai";
import { stateEvent } from "../simulator/aws/events";
import { metricIn, writesIn } from "../simulator/changes";
import { firstOf, found, only } from "../simulator/lists";
import {
    a,
    addMembers,
    atFive,
    atFour,
    b,
    c,
    eventOf,
    inPermittedWorld,
    leadersOf,
    leading,
    orphansOf,
    pausedKey,
    programWith,
    receive,
    rule,
    second,
    shop,
    sinceKey,
    sweep,
    tagKey,
} from "../simulator/scenario";
import type { World } from "../simulator/world";

const environment = "elasticbeanstalk:environment-name";
const standby = { lifecycleState: "Standby" };

/** Pauses a group, or ends that: Auto Scaling sends no event of it. */
function pause({ region }: World, value: string | undefined, group = shop): void {
    const { tags } = region.groups.get(group) ?? region.addGroup(group);
    delete tags[pausedKey];
    Object.assign(tags, value === undefined ? {} : { [pausedKey]: value });
}

const linesOf = ({ lines }: World, outcome: string) => lines.filter(({ entry }) => entry?.outcome === outcome);

describe("A paused group", () => {
    rule(
        "keeps its leader whatever becomes of it, and elects at the next look once the pause has ended",
        async (world) => {
            const { region, fleet, stack, timeline } = world;
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            pause(world, "true");
            fleet.stop(a);
            fleet.enterStandby(a);
            await stack.settle();
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
            expect(region.tags(a)[sinceKey]).to.equal(atFive);
            expect(writesIn(region.calls)).to.deep.equal([]);

            pause(world, undefined);
            await timeline.pass(second);
            expect(leadersOf(world), "no event reports a group's tag").to.deep.equal([a]);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([b]);
        },
    );

    rule("without a leader gets none, until the pause has ended", async (world) => {
        addMembers(world, { [a]: {}, [b]: {} });
        pause(world, "true");
        await sweep(world);
        await receive(world, eventOf(world, "launch-successful", a));
        expect(leadersOf(world)).to.deep.equal([]);
        pause(world, undefined);
        await receive(world, eventOf(world, "launch-successful", a));
        expect(leadersOf(world)).to.have.length(1);
    });

    rule("stays without one whose tag an operator takes off: so a group is kept out", async (world) => {
        addMembers(world, { [a]: leading(atFive), [b]: {} });
        pause(world, "true");
        world.region.setTags(a, { [tagKey]: undefined });
        await world.stack.settle();
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal([]);
        expect(metricIn(world, "FlappingGroups")).to.deep.equal([]);
    });

    rule("leaves the other groups of a batch their elections", async (world) => {
        addMembers(world, { [a]: {} });
        addMembers(world, { [b]: {} }, "awseb-blog");
        pause(world, "true");
        await sweep(world);
        expect([leadersOf(world), leadersOf(world, "awseb-blog")]).to.deep.equal([[], [b]]);
    });

    for (const value of ["true", "True", "TRUE"]) {
        rule(`is one whose tag says ${value}`, async (world) => {
            addMembers(world, { [a]: {} });
            pause(world, value);
            expect(only(await sweep(world)).outcome).to.equal("paused");
            expect(leadersOf(world)).to.deep.equal([]);
        });
    }

    for (const value of ["false", "yes", "1", "", " true", "true "]) {
        rule(`is none whose tag says ${JSON.stringify(value)}`, async (world) => {
            addMembers(world, { [a]: {} });
            pause(world, value);
            expect(only(await sweep(world)).outcome).to.equal("elected");
            expect(leadersOf(world)).to.deep.equal([a]);
        });
    }

    rule("is none whose instances alone carry the tag, or another stack's", async (world) => {
        addMembers(world, { [a]: { tags: { [pausedKey]: "true" } } });
        found(world.region.groups.get(shop)).tags["other:paused"] = "true";
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal([a]);
    });

    rule("gives no leader a since, and an orphan of it still loses its tags", async (world) => {
        addMembers(world, { [a]: leading(), [b]: leading(atFive) });
        addMembers(world, { [c]: leading() }, "awseb-blog");
        for (const group of [shop, "awseb-blog"]) {
            pause(world, "true", group);
        }
        world.fleet.detach(b);
        await world.stack.settle();
        await sweep(world);
        expect([a, c].map((id) => world.region.tags(id)[sinceKey])).to.deep.equal([undefined, undefined]);
        expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([a]);
    });

    it("sets and removes no protection", async () => {
        await inPermittedWorld(await programWith({ protectLeader: "true" }), async (world) => {
            const { region } = world;
            addMembers(world, { [a]: leading(atFive), [b]: { ...leading(atFour), ...standby } });
            region.setMember(b, { protected: true });
            pause(world, "true");
            await sweep(world);
            expect([a, b].map((id) => region.memberOf(id)?.member.protected)).to.deep.equal([false, true]);
            pause(world, undefined);
            await sweep(world);
            expect([a, b].map((id) => region.memberOf(id)?.member.protected)).to.deep.equal([true, false]);
        });
    });

    it("pauses its whole electorate, and no other one", async () => {
        await inPermittedWorld(await programWith({ electorateTag: environment }), async (world) => {
            const { region } = world;
            for (const [group, value, id] of [
                ["awseb-blue", "shop", a],
                ["awseb-green", "shop", b],
                ["awseb-blog", "blog", c],
            ] as const) {
                region.addGroup(group, { [environment]: value });
                region.addInstance(group, { id });
            }
            pause(world, "true", "awseb-green");
            await sweep(world);
            await receive(world, eventOf(world, "launch-successful", a, "awseb-blue"));
            expect(["awseb-blue", "awseb-green", "awseb-blog"].map((group) => leadersOf(world, group))).to.deep.equal([
                [],
                [],
                [c],
            ]);
            pause(world, undefined, "awseb-green");
            await sweep(world);
            expect([...leadersOf(world, "awseb-blue"), ...leadersOf(world, "awseb-green")]).to.have.length(1);
        });
    });

    describe("is reported", () => {
        rule("at info in each sweep, and for each event, with the leader that it has", async (world) => {
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            pause(world, "true");
            await sweep(world);
            await receive(world, eventOf(world, "launch-successful", b));
            await sweep(world);
            expect(linesOf(world, "paused").map(({ level, entry }) => [level, entry.leader])).to.deep.equal(
                Array(3).fill(["info", a]),
            );
        });

        rule("neither as vacant nor as contested, flapping or failed, and with no change", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            addMembers(world, { [c]: leading(atFour) }, "awseb-blog");
            const other = world.region.addInstance("awseb-blog", leading(atFive));
            for (const group of [shop, "awseb-blog"]) {
                pause(world, "true", group);
            }
            for (let times = 0; times < 4; times++) {
                world.region.setTags(other, { [tagKey]: undefined });
                world.region.setTags(other, { [tagKey]: "true" });
                await world.stack.settle();
            }
            await sweep(world);
            expect(firstOf(linesOf(world, "paused")).entry.leaders).to.be.an("array");
            for (const name of ["VacantGroups", "ContestedGroups", "FailedElections"]) {
                expect(metricIn(world, name), name).to.deep.equal([0]);
            }
            for (const name of ["LeaderChanges", "ElectionDelay", "FlappingGroups", "SweptLosses"]) {
                expect(metricIn(world, name), name).to.deep.equal([]);
            }
            expect(world.lines.filter(({ level }) => ["warn", "error"].includes(level))).to.deep.equal([]);
        });

        const reasons: [what: string, members: Parameters<typeof addMembers>[1], reason: string][] = [
            ["nothing", { [a]: leading(atFive), [b]: {} }, "change nothing: fit"],
            ["a choice", { [a]: {}, [b]: {}, [c]: standby }, "choose one of 2: no leader"],
            [
                "a hand-over",
                { [a]: { ...leading(atFive), ...standby }, [b]: {} },
                `demote ${a} and choose one of 1: ${a} is listed as Standby and Healthy`,
            ],
            ["a demotion", { [a]: leading(atFour), [b]: leading(atFive) }, `demote ${a}: fit, and the first by since`],
            ["a vacancy", { [a]: standby }, "change nothing: no instance can lead: 1 Standby; no leader"],
        ];
        for (const [what, members, reason] of reasons) {
            rule(`with what an election would do: ${what}`, async (world) => {
                addMembers(world, members);
                pause(world, "true");
                const report = only(await sweep(world));
                expect(report.reason).to.equal(`paused; an election would ${reason}`);
                expect(report.demoted).to.deep.equal([]);
                expect(writesIn(world.region.calls)).to.deep.equal([]);
            });
        }
    });

    rule("costs what a leader that is kept costs, and a departure in it one read more", async (world) => {
        addMembers(world, { [a]: { ...leading(atFive), state: "stopping" }, [b]: {} });
        pause(world, "true");
        await receive(world, stateEvent(world.timeline.now, a, "stopping"));
        expect(world.region.calls).to.have.length(3);
    });
});

describe("A vacant group's reason says by kind and number why its members can't lead:", () => {
    const cases: [members: Parameters<typeof addMembers>[1][string][], kinds: string][] = [
        [Array(3).fill({ tags: { [`${tagKey}:eligible`]: "false" } }), "3 vetoed"],
        [[{ healthStatus: "Unhealthy" }], "1 Unhealthy"],
        [[standby, standby, { lifecycleState: "EnteringStandby" }], "2 Standby, 1 EnteringStandby"],
        [[{ lifecycleState: "Terminating:Wait" }], "1 Terminating:Wait"],
        [[{ lifecycleState: "Pending", healthStatus: "Unhealthy" }], "1 Unhealthy"],
        [[{ state: "stopped" }, { state: "stopped" }], "2 not running"],
        [[{ lifecycleState: "Pending", state: "terminated" }], "1 not running"],
        [
            [
                { tags: { [`${tagKey}:eligible`]: "false" }, healthStatus: "Unhealthy" },
                { healthStatus: "Unhealthy" },
                { state: "stopping", tags: { [sinceKey]: atFour } },
                standby,
            ],
            "1 vetoed, 1 Unhealthy, 1 stopping, 1 Standby",
        ],
    ];
    for (const [members, kinds] of cases) {
        rule(kinds, async (world) => {
            for (const member of members) {
                world.region.addInstance(shop, member);
            }
            const report = only(await sweep(world));
            expect(report.outcome).to.equal("vacant");
            expect(report.reason).to.equal(`no instance can lead: ${kinds}; no leader`);
            expect(only(linesOf(world, "vacant"))).to.deep.include({ level: "warn", entry: report });
        });
    }

    rule("1 with a Spot interruption warning", async (world) => {
        addMembers(world, { [a]: {} });
        world.fleet.warn(a);
        await world.stack.settle();
        const report = only(await sweep(world));
        expect(report.reason).to.equal("no instance can lead: 1 with a Spot interruption warning; no leader");
    });

    rule("no members, no kinds", async (world) => {
        world.region.addGroup(shop).desired = 2;
        expect(only(await sweep(world)).reason).to.equal("no instance can lead; no leader");
    });

    rule("a barred leader is one of them, and is named beside them", async (world) => {
        addMembers(world, {
            [a]: { tags: { ...leading(atFive).tags, [`${tagKey}:eligible`]: "false" } },
            [b]: standby,
        });
        expect(only(await sweep(world)).reason).to.equal(`no instance can lead: 1 vetoed, 1 Standby; ${a} is vetoed`);
    });
});
