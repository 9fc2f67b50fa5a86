// The pause between demotion and promotion: a live leader has time to see that it no longer leads.
import { expect } from "chai";
import { failOnce, timedOut } from "../simulator/aws/faults";
import { writesIn } from "../simulator/changes";
import { minute, second } from "../simulator/clock";
import { firstOf, firstTwo, only } from "../simulator/lists";
import { addLedGroup, unhealthy, untag } from "../simulator/members";
import { shop } from "../simulator/names";
import { eventOf, expectOneLeader, leadersOf, type Shop, shopRule, sweep, watchedRule } from "../simulator/scenario";
import type { World } from "../simulator/world";

const pause = 10 * second;
const promptly = 1 * second; // from what happened to its event's election

/** A test of a group of some members, whose stack hands over with a pause; no group ever has two leaders. */
const pausingRule = (name: string, size: number, act: (world: Shop) => Promise<void>, seconds = pause / second): void =>
    shopRule(name, size, act, { handoverSeconds: String(seconds) }, watchedRule);

/** The former leader was demoted, and some time later the only one now was promoted; when, in milliseconds. */
function handedOver(world: Shop): { demotedAt: number; pausedFor: number } {
    const [demotion, promotion] = firstTwo(world.changes);
    expect(world.changes.map(({ id, leads }) => [id, leads])).to.deep.equal([
        [world.leader, false],
        [only(leadersOf(world)), true],
    ]);
    return { demotedAt: demotion.at, pausedFor: promotion.at - demotion.at };
}

describe("A hand-over with a pause", () => {
    describe("lies between demoting and promoting, when the old leader", () => {
        const cases: [what: string, seconds: number, lose: (world: Shop) => void][] = [
            ["is stopped", 10, ({ fleet, leader }) => fleet.stop(leader)],
            ["crashes: EC2 ends it, and its work may go on for a while", 1, ({ fleet, leader }) => fleet.crash(leader)],
            ["is detached", 30, ({ fleet, leader }) => fleet.detach(leader)],
        ];
        for (const [what, seconds, lose] of cases) {
            const lost = async (world: Shop) => {
                const start = world.timeline.now;
                lose(world);
                await world.timeline.pass(40 * second);
                expectOneLeader(world, world.others);
                const { demotedAt, pausedFor } = handedOver(world);
                expect(demotedAt - start, "from the loss to the demotion").to.be.at.most(promptly);
                expect(pausedFor).to.be.within(seconds * second, seconds * second + 100);
            };
            pausingRule(`${what}: ${seconds} s, as it is set`, 3, lost, seconds);
        }
    });

    describe("is not made", () => {
        const cases: Record<string, (world: Shop) => void> = {
            "when the leader is terminated": ({ region, stack, leader }) => {
                region.setState(leader, "terminated");
                stack.sweep();
            },
            "when there was no leader": (world) => untag(world, world.leader),
        };
        for (const [what, lose] of Object.entries(cases)) {
            pausingRule(what, 3, async (world) => {
                lose(world);
                await world.timeline.pass(promptly);
                expectOneLeader(world);
            });
        }
    });

    describe("in a batch about several groups", () => {
        const names = ["awseb-1", "awseb-2", "awseb-3"] as const;
        const config = { handoverSeconds: String(pause / second) };
        const counts = (world: World) => names.map((name) => leadersOf(world, name).length);

        watchedRule(
            "delays none that needn't wait",
            async (world) => {
                const { region, stack, timeline } = world;
                const [living, ended] = firstTwo(names.map((name) => addLedGroup(world, name, 2)));
                await stack.settle();
                stack.fate = () => [];
                region.setMember(living, unhealthy);
                region.setState(ended, "terminated");
                untag(world, firstOf(world.fleet.members(names[2])));
                stack.sweep();
                await timeline.pass(promptly);
                expect(counts(world)).to.deep.equal([0, 1, 1]);
                await timeline.pass(pause);
                expect(counts(world)).to.deep.equal([1, 1, 1]);
            },
            config,
        );

        watchedRule(
            "holds up the elections of later batches until it is over",
            async (world) => {
                const { region, fleet, stack, timeline } = world;
                const [living, later] = firstTwo(names.map((name) => addLedGroup(world, name, 2)));
                await stack.settle();
                fleet.stop(living);
                await timeline.pass(promptly);
                region.setState(later, "terminated");
                stack.send(eventOf(world, "terminate-successful", later, names[1]));
                await timeline.pass(8 * second);
                expect(leadersOf(world, names[1])).to.deep.equal([]);
                await timeline.pass(3 * second);
                expect(counts(world).slice(0, 2)).to.deep.equal([1, 1]);
            },
            config,
        );
    });

    describe("during which the election dies", () => {
        const unanswered = { dies: true, afterEffect: true };
        /** Arranges the death, lets time pass until it has happened, and says how many lead then. */
        const deaths: Record<string, (world: Shop) => Promise<number>> = {
            "when the old leader is demoted, and no answer comes": async ({ region, timeline }) => {
                region.fault = failOnce("ec2:DeleteTags", unanswered);
                await timeline.pass(promptly);
                return 0;
            },
            "half-way": async ({ stack, timeline }) => {
                await timeline.pass(pause / 2);
                stack.loseContainer();
                return 0;
            },
            "when the successor is about to be tagged": async ({ region, timeline }) => {
                region.fault = failOnce("ec2:CreateTags", { dies: true });
                await timeline.pass(pause + promptly);
                return 0;
            },
            "when the successor is tagged, and no answer comes": async ({ region, timeline }) => {
                region.fault = failOnce("ec2:CreateTags", unanswered);
                await timeline.pass(pause + promptly);
                return 1;
            },
        };
        for (const [when, die] of Object.entries(deaths)) {
            for (const sweeping of [false, true]) {
                pausingRule(
                    `${when}: none follows before the pause is over${sweeping ? ", sweeps neither" : ""}`,
                    3,
                    async (world) => {
                        const { fleet, stack, timeline, leader, others } = world;
                        stack.sweeping = sweeping;
                        const before = stack.invocations.length;
                        fleet.stop(leader);
                        const count = await die(world);
                        expect(leadersOf(world)).to.have.length(count);
                        await timeline.pass(7 * minute);
                        expectOneLeader(world, others);
                        const [died, next] = firstTwo(stack.invocations.slice(before));
                        expect(died.error, "why the batch came back").to.be.an("error");
                        const { demotedAt, pausedFor } = handedOver(world);
                        expect(pausedFor).to.be.at.least(pause);
                        expect(next.start - demotedAt).to.be.at.least(pause);
                    },
                );
            }
        }
    });

    pausingRule("while the successor ends: another member leads soon after", 3, async (world) => {
        const { region, fleet, stack, timeline, leader, others, changes } = world;
        const [successor, other] = firstTwo(others);
        region.instance(successor).load = 10; // an unknown load comes last
        fleet.stop(leader);
        await timeline.pass(pause / 2);
        fleet.crash(successor);
        await timeline.pass(pause / 2 + 2 * promptly);
        await stack.settle();
        expect(changes.map(({ id }) => id)).to.include(successor);
        expectOneLeader(world, [other]);
    });

    describe("is kept by a later election when the demotion", () => {
        pausingRule("was done, but its answer was lost", 3, async (world) => {
            const { region, fleet, timeline, leader, others } = world;
            region.fault = failOnce("ec2:DeleteTags", { error: timedOut, afterEffect: true });
            fleet.stop(leader);
            await timeline.pass(pause + 3 * promptly);
            expectOneLeader(world, others);
            expect(handedOver(world).pausedFor).to.be.at.least(pause);
        });

        pausingRule("was not done, unless the leader has ended in the meantime", 3, async (world) => {
            const { region, stack, timeline, leader, others } = world;
            stack.fate = () => [];
            region.fault = failOnce("ec2:DeleteTags", { error: timedOut });
            region.setMember(leader, unhealthy);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([leader]);
            region.setState(leader, "terminated");
            stack.sweep();
            await timeline.pass(promptly);
            expectOneLeader(world, others);
        });
    });

    pausingRule("is not begun when too little time is left: the next election hands over", 2, async (world) => {
        const { region, fleet, stack, timeline, leader, others } = world;
        stack.fate = () => [];
        fleet.stop(leader);
        region.latency = 3300;
        const report = only(await sweep(world));
        expect(leadersOf(world)).to.deep.equal([leader]);
        expect(writesIn(region.calls)).to.deep.equal([]);
        expect(report).to.include({ group: shop, outcome: "failed", leader });
        expect(report.reason).to.match(/ms are too few to demote and promote/);

        region.latency = 20;
        stack.sweep();
        await timeline.pass(15 * second);
        expectOneLeader(world, others);
    });
});
