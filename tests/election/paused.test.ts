// A paused group: nothing is written there, nothing pages, and reports say what an election would do.
import { expect } from "chai";
import { stateEvent } from "../simulator/aws/events";
import { loggedAt, metricIn, writesIn } from "../simulator/changes";
import { atFive, atFour, second } from "../simulator/clock";
import { found, only } from "../simulator/lists";
import { addMembers, leading, type Members, type Options, standby, unhealthy, vetoed } from "../simulator/members";
import { a, b, c, pausedKey, shop, sinceKey, tagKey } from "../simulator/names";
import { eventOf, leadersOf, orphansOf, receive, rule, sweep } from "../simulator/scenario";
import type { World } from "../simulator/world";

const blog = "awseb-blog";

/** Pauses a group, or ends that: Auto Scaling sends no event of it. */
function pause({ region }: World, value: string | undefined, group = shop): void {
    const { tags } = region.groups.get(group) ?? region.addGroup(group);
    delete tags[pausedKey];
    Object.assign(tags, value === undefined ? {} : { [pausedKey]: value });
}

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

    rule("stays without one whose tag an operator takes off: so a group is kept out", async (world) => {
        addMembers(world, { [a]: leading(atFive), [b]: {} });
        pause(world, "true");
        world.region.setTags(a, { [tagKey]: undefined });
        await world.stack.settle();
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal([]);
        expect(metricIn(world, "FlappingGroups")).to.deep.equal([]);
    });

    for (const [outcome, values] of Object.entries({
        paused: ["true", "True", "TRUE"],
        elected: ["false", "yes", "1", "", " true", "true "],
    })) {
        for (const value of values) {
            rule(
                `is ${outcome === "paused" ? "one" : "none"} whose tag says ${JSON.stringify(value)}`,
                async (world) => {
                    addMembers(world, { [a]: {} });
                    pause(world, value);
                    expect(only(await sweep(world)).outcome).to.equal(outcome);
                    expect(leadersOf(world)).to.deep.equal(outcome === "paused" ? [] : [a]);
                },
            );
        }
    }

    rule("is none whose instances alone carry the tag, or another stack's", async (world) => {
        addMembers(world, { [a]: { tags: { [pausedKey]: "true" } } });
        found(world.region.groups.get(shop)).tags["other:paused"] = "true";
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal([a]);
    });

    rule("gives no leader a since, and an orphan of it still loses its tags", async (world) => {
        addMembers(world, { [a]: leading(), [b]: leading(atFive) });
        addMembers(world, { [c]: leading() }, blog);
        for (const group of [shop, blog]) {
            pause(world, "true", group);
        }
        world.fleet.detach(b);
        await world.stack.settle();
        await sweep(world);
        expect([a, c].map((id) => world.region.tags(id)[sinceKey])).to.deep.equal([undefined, undefined]);
        expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([a]);
    });

    rule(
        "sets and removes no protection",
        async (world) => {
            addMembers(world, { [a]: leading(atFive), [b]: leading(atFour, standby) });
            world.region.setMember(b, { protected: true });
            pause(world, "true");
            await sweep(world);
            expect([a, b].map((id) => world.region.memberOf(id)?.member.protected)).to.deep.equal([false, true]);
        },
        { protectLeader: "true" },
    );

    describe("is reported", () => {
        rule("at info in each sweep, and for each event, with the leader that it has", async (world) => {
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            pause(world, "true");
            await sweep(world);
            await receive(world, eventOf(world, "launch-successful", b));
            await sweep(world);
            const lines = loggedAt("info", world).map(({ outcome, leader }) => [outcome, leader]);
            expect(lines).to.deep.equal(Array(3).fill(["paused", a]));
        });

        rule("neither as vacant nor as contested, flapping or failed, and with no change", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            addMembers(world, { [c]: leading(atFour) }, blog);
            const other = world.region.addInstance(blog, leading(atFive));
            for (const group of [shop, blog]) {
                pause(world, "true", group);
            }
            for (let times = 0; times < 4; times++) {
                world.region.setTags(other, { [tagKey]: undefined });
                world.region.setTags(other, { [tagKey]: "true" });
                await world.stack.settle();
            }
            await sweep(world);
            for (const name of ["VacantGroups", "ContestedGroups", "FailedElections"]) {
                expect(metricIn(world, name), name).to.deep.equal([0]);
            }
            for (const name of ["LeaderChanges", "ElectionDelay", "FlappingGroups", "SweptLosses"]) {
                expect(metricIn(world, name), name).to.deep.equal([]);
            }
            expect([...loggedAt("warn", world), ...loggedAt("error", world)]).to.deep.equal([]);
        });

        const reasons: [what: string, members: Members, reason: string][] = [
            ["nothing", { [a]: leading(atFive), [b]: {} }, "change nothing: fit"],
            ["a choice", { [a]: {}, [b]: {}, [c]: standby }, "choose one of 2: no leader"],
            [
                "a hand-over",
                { [a]: leading(atFive, standby), [b]: {} },
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
        addMembers(world, { [a]: leading(atFive, { state: "stopping" }), [b]: {} });
        pause(world, "true");
        await receive(world, stateEvent(world.timeline.now, a, "stopping"));
        expect(world.region.calls).to.have.length(3);
    });
});

describe("A vacant group's reason says by kind and number why its members can't lead:", () => {
    const pending = { lifecycleState: "Pending" };
    const cases: [members: Options[], why: string][] = [
        [[vetoed, vetoed, vetoed], "3 vetoed; no leader"],
        [[unhealthy], "1 Unhealthy; no leader"],
        [[standby, standby, { lifecycleState: "EnteringStandby" }], "2 Standby, 1 EnteringStandby; no leader"],
        [[{ lifecycleState: "Terminating:Wait" }], "1 Terminating:Wait; no leader"],
        [[{ ...pending, ...unhealthy }], "1 Unhealthy; no leader"],
        [[{ state: "stopped" }, { state: "stopped" }], "2 not running; no leader"],
        [[{ ...pending, state: "terminated" }], "1 not running; no leader"],
        [
            [{ ...vetoed, ...unhealthy }, unhealthy, { state: "stopping", tags: { [sinceKey]: atFour } }, standby],
            "1 vetoed, 1 Unhealthy, 1 stopping, 1 Standby; no leader",
        ],
        // A barred leader is one of them, and is named beside them.
        [[leading(atFive, { id: a, ...vetoed }), standby], `1 vetoed, 1 Standby; ${a} is vetoed`],
    ];
    for (const [members, why] of cases) {
        rule(why, async (world) => {
            for (const member of members) {
                world.region.addInstance(shop, member);
            }
            const report = only(await sweep(world));
            expect(report.outcome).to.equal("vacant");
            expect(report.reason).to.equal(`no instance can lead: ${why}`);
            expect(loggedAt("warn", world)[0]).to.deep.equal(report);
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
});
