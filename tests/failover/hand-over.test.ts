// The pause between demotion and promotion: a live leader has time to see that it no longer leads.

import { expect } from "chai";
import { type Change, noteChanges, writesIn } from "../simulator/changes";
import { firstOf, firstTwo, found, only } from "../simulator/lists";
import {
    addLedGroup,
    eventOf,
    expectOneLeader,
    failOnce,
    minute,
    noteContests,
    type OthersOf,
    openShop,
    programWith,
    type Shop,
    second,
    shop,
    sinceKey,
    tagKey,
    timedOut,
} from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const pause = 10 * second;
const promptly = 1 * second; // from what happened to its event's election
const handoverSeconds = String(pause / second);

/** A shop in which every change of leader is noted. */
interface WatchedShop<Others = string[]> extends Shop<Others> {
    changes: Change[];
}

describe("A hand-over with a pause", () => {
    let program: Program;
    /** The instance that is promoted when the leader of a shop of three can't go on: the same in every such world. */
    let successor: string;
    before(async () => {
        program = await programWith({ handoverSeconds });
        await inShop(3, async ({ region, fleet, timeline, leader }) => {
            fleet.stop(leader);
            await timeline.pass(pause + 2 * promptly);
            successor = only(region.leaders(shop, tagKey));
        });
    });

    /** A world in which no group ever has two live leaders, and all changes of leaders are noted. */
    function inWatchedWorld(act: (world: World & { changes: Change[] }) => Promise<void>): Promise<void> {
        return inWorld(program, async (world) => {
            const contests = noteContests(world);
            await act({ ...world, changes: noteChanges(world, tagKey) });
            expect(contests, "moments with two leaders").to.deep.equal([]);
        });
    }

    function inShop<N extends number>(size: N, act: (world: WatchedShop<OthersOf<N>>) => Promise<void>): Promise<void> {
        return inWatchedWorld(async (world) => {
            const opened = await openShop(world, size);
            world.changes.length = 0;
            await act(opened);
        });
    }

    function watchedRule(name: string, act: (world: World & { changes: Change[] }) => Promise<void>): void {
        it(name, () => inWatchedWorld(act));
    }

    function shopRule<N extends number>(
        name: string,
        size: N,
        act: (world: WatchedShop<OthersOf<N>>) => Promise<void>,
    ): void {
        it(name, () => inShop(size, act));
    }

    describe("lies between demoting and promoting, when the old leader", () => {
        const cases: Record<string, (world: WatchedShop) => void> = {
            "is stopped": ({ fleet, leader }) => fleet.stop(leader),
            "crashes: EC2 ends it, and its work may go on for a while": ({ fleet, leader }) => fleet.crash(leader),
            "is detached": ({ fleet, leader }) => fleet.detach(leader),
        };
        for (const [what, lose] of Object.entries(cases)) {
            shopRule(what, 3, async (world) => {
                const { region, timeline, leader, others, changes } = world;
                const start = timeline.now;
                lose(world);
                await timeline.pass(20 * second);
                const [successor] = region.leaders(shop, tagKey);
                expect(others).to.include(successor);
                expect(region.leaders(shop, tagKey)).to.have.length(1);
                expect(gist(changes)).to.deep.equal([
                    [leader, false],
                    [successor, true],
                ]);
                const [demotion, promotion] = firstTwo(changes);
                expect(demotion.at - start, "from the loss to the demotion").to.be.at.most(promptly);
                expect(promotion.at - demotion.at, "from demotion to promotion").to.be.within(pause, pause + 100);
            });
        }
    });

    for (const length of [0, 1, 30]) {
        it(`takes as long as it is set to: ${length} s`, async () => {
            const other = await programWith({ handoverSeconds: String(length) });
            await inWorld(other, async (world) => {
                const leader = addLedGroup(world, shop, 2);
                await world.stack.settle();
                const changes = noteChanges(world, tagKey);
                world.fleet.stop(leader);
                await world.timeline.pass(40 * second);
                const [demotion, promotion] = firstTwo(changes);
                expect(world.region.leaders(shop, tagKey)).to.deep.equal([promotion.id]);
                const waited = promotion.at - demotion.at;
                expect(waited).to.be.within(length * second, length * second + 100);
            });
        });
    }

    describe("is not made", () => {
        const cases: Record<string, (world: WatchedShop) => void> = {
            "when the leader is terminated": ({ region, stack, leader }) => {
                region.setState(leader, "terminated");
                stack.sweep();
            },
            "when there was no leader": ({ region, leader }) =>
                region.setTags(leader, { [tagKey]: undefined, [sinceKey]: undefined }),
        };
        for (const [what, lose] of Object.entries(cases)) {
            shopRule(what, 3, async (world) => {
                const { region, timeline } = world;
                lose(world);
                await timeline.pass(promptly);
                expect(region.leaders(shop, tagKey)).to.have.length(1);
            });
        }
    });

    describe("in a batch about several groups", () => {
        const names = ["awseb-1", "awseb-2", "awseb-3"] as const;

        watchedRule("delays none that needn't wait", async (world) => {
            const { region, stack, timeline, changes } = world;
            const [living, ended] = firstTwo(names.map((name) => addLedGroup(world, name, 2)));
            const [last, copied] = firstTwo(world.fleet.members(names[2]));
            await stack.settle();
            stack.fate = () => [];
            changes.length = 0;
            region.setMember(living, { healthStatus: "Unhealthy" });
            region.setState(ended, "terminated");
            region.setTags(last, { [tagKey]: undefined, [sinceKey]: undefined });
            const empty = names.slice(1);
            stack.sweep();
            await timeline.pass(promptly);
            expect(names.map((name) => region.leaders(name, tagKey).length)).to.deep.equal([0, 1, 1]);
            await timeline.pass(pause);
            expect(names.map((name) => region.leaders(name, tagKey).length)).to.deep.equal([1, 1, 1]);
            expect(empty.map((name) => region.leaders(name, tagKey)[0])).to.not.include(ended);
            expect([last, copied]).to.include(firstOf(region.leaders(names[2], tagKey)));
        });

        watchedRule("holds up the elections of later batches until it is over", async (world) => {
            const { region, fleet, stack, timeline } = world;
            const [living, later] = firstTwo(names.map((name) => addLedGroup(world, name, 2)));
            await stack.settle();
            fleet.stop(living);
            await timeline.pass(promptly);
            region.setState(later, "terminated");
            stack.send(eventOf(world, "terminate-successful", later, names[1]));
            await timeline.pass(8 * second);
            expect(region.leaders(names[1], tagKey)).to.deep.equal([]);
            await timeline.pass(3 * second);
            expect(names.slice(0, 2).map((name) => region.leaders(name, tagKey).length)).to.deep.equal([1, 1]);
        });
    });

    describe("during which the election dies", () => {
        interface Death {
            when: string;
            /** Arranges the death, and lets time pass until it has happened. */
            die: (world: WatchedShop) => Promise<void>;
            /** None was promoted before. */
            leaderless: boolean;
        }
        const deaths: Death[] = [
            {
                when: "when the old leader is demoted, and no answer comes",
                die: async ({ region, timeline }) => {
                    region.fault = failOnce("ec2:DeleteTags", { dies: true, afterEffect: true });
                    await timeline.pass(promptly);
                },
                leaderless: true,
            },
            {
                when: "half-way",
                die: async ({ stack, timeline }) => {
                    await timeline.pass(pause / 2);
                    stack.loseContainer();
                },
                leaderless: true,
            },
            {
                when: "when the successor is about to be tagged",
                die: async ({ region, timeline }) => {
                    region.fault = failOnce("ec2:CreateTags", { dies: true });
                    await timeline.pass(pause + promptly);
                },
                leaderless: true,
            },
            {
                when: "when the successor is tagged, and no answer comes",
                die: async ({ region, timeline }) => {
                    region.fault = failOnce("ec2:CreateTags", { dies: true, afterEffect: true });
                    await timeline.pass(pause + promptly);
                },
                leaderless: false,
            },
        ];
        for (const { when, die, leaderless } of deaths) {
            for (const sweeping of [false, true]) {
                shopRule(
                    `${when}: none follows before the pause is over${sweeping ? ", sweeps neither" : ""}`,
                    3,
                    async (world) => {
                        const { region, fleet, stack, timeline, leader, others, changes } = world;
                        stack.sweeping = sweeping;
                        const before = stack.invocations.length;
                        fleet.stop(leader);
                        await die(world);
                        const [successor] = region.leaders(shop, tagKey);
                        expect(successor === undefined).to.equal(leaderless);
                        await timeline.pass(2 * minute);
                        expectOneLeader(world, others);
                        expect(found(stack.invocations[before]).error, "why the batch came back").to.be.an("error");

                        const [demotion, promotion] = firstTwo(changes);
                        expect(gist(changes)).to.deep.equal([
                            [leader, false],
                            [region.leaders(shop, tagKey)[0], true],
                        ]);
                        expect(promotion.at - demotion.at).to.be.at.least(pause);
                        expect(found(stack.invocations[before + 1]).start - demotion.at).to.be.at.least(pause);
                        await timeline.pass(5 * minute);
                        expect(region.leaders(shop, tagKey)).to.deep.equal([promotion.id]);
                    },
                );
            }
        }
    });

    describe("while", () => {
        shopRule("the successor ends: another member leads soon after", 3, async (world) => {
            const { region, fleet, stack, timeline, leader, others } = world;
            expect(others).to.include(successor);
            fleet.stop(leader);
            await timeline.pass(pause / 2);
            fleet.crash(successor);
            await timeline.pass(pause / 2 + 2 * promptly);
            await stack.settle();
            expectOneLeader(
                world,
                others.filter((id) => id !== successor),
            );
            expect(region.state(successor)).to.not.equal("running");
        });
    });

    describe("is kept by a later election when the demotion", () => {
        shopRule("was done, but its answer was lost", 3, async (world) => {
            const { region, fleet, timeline, leader, others, changes } = world;
            region.fault = failOnce("ec2:DeleteTags", { error: timedOut, afterEffect: true });
            fleet.stop(leader);
            await timeline.pass(pause + 3 * promptly);
            expectOneLeader(world, others);
            const [demotion, promotion] = firstTwo(changes);
            expect(gist(changes)).to.deep.equal([
                [leader, false],
                [region.leaders(shop, tagKey)[0], true],
            ]);
            expect(promotion.at - demotion.at, "from demotion to promotion").to.be.at.least(pause);
        });

        shopRule("was not done, unless the leader has ended in the meantime", 3, async (world) => {
            const { region, stack, timeline, leader, others } = world;
            stack.fate = () => [];
            region.fault = failOnce("ec2:DeleteTags", { error: timedOut });
            region.setMember(leader, { healthStatus: "Unhealthy" });
            stack.sweep();
            await timeline.pass(promptly);
            expect(region.leaders(shop, tagKey)).to.deep.equal([leader]);
            region.setState(leader, "terminated");
            stack.sweep();
            await timeline.pass(promptly);
            expectOneLeader(world, others);
        });
    });

    describe("is not begun when too little time is left for it", () => {
        shopRule("the leader stays, and the next election hands over", 2, async (world) => {
            const { region, fleet, stack, timeline, leader, others } = world;
            stack.fate = () => [];
            fleet.stop(leader);
            region.latency = 3300;
            stack.sweep();
            await timeline.pass(20 * second);
            expect(region.leaders(shop, tagKey)).to.deep.equal([leader]);
            expect(writesIn(region.calls)).to.deep.equal([]);
            const report = only(stack.invocations.at(-1)?.reports ?? []);
            expect(report).to.include({ group: shop, outcome: "failed", leader });
            expect(report.reason).to.match(/ms are too few to demote and promote/);

            region.latency = 20;
            stack.sweep();
            await timeline.pass(15 * second);
            expectOneLeader(world, others);
        });
    });
});

const gist = (changes: Change[]): [string, boolean][] => changes.map(({ id, leads }) => [id, leads]);
