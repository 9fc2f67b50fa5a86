// Leaders are protected from scaling in, no other protection is touched, and no election depends on it.
import { expect } from "chai";
import { awsError, type Fault, failing, failOnce } from "../simulator/aws/faults";
import { callsOf, loggedAt, metricIn } from "../simulator/changes";
import { atFive, minute, second } from "../simulator/clock";
import { firstOf, found, only } from "../simulator/lists";
import { leading, tag, unhealthy } from "../simulator/members";
import { shop } from "../simulator/names";
import {
    eventOf,
    expectOneLeader,
    leadersOf,
    quietRule,
    receive,
    rule,
    type Shop,
    shopRule,
    sweep,
} from "../simulator/scenario";
import type { World } from "../simulator/world";

const setProtection = "autoscaling:SetInstanceProtection";
const protectLeader = { protectLeader: "true" };

/** Members of the group that scaling in spares. */
const protectedIn = ({ region, fleet }: World): string[] =>
    fleet.members(shop).filter((id) => region.memberOf(id)?.member.protected);

/** A test in a region of its own, whose stack protects leaders. */
const protectingRule = (name: string, act: (world: World) => Promise<void>) => rule(name, act, protectLeader);

/** A test of a stack that protects leaders, with a group whose leader is protected. */
function protectedRule(name: string, size: number, act: (world: Shop) => Promise<void>): void {
    const protect = (world: Shop) => {
        world.region.setMember(world.leader, { protected: true });
        return act(world);
    };
    shopRule(name, size, protect, protectLeader);
}

describe("A protected leader", () => {
    describe("is", () => {
        protectingRule(
            "the instance that is promoted, at once, and no event repairs what is lost later",
            async (world) => {
                const [first] = world.fleet.addGroup(shop, 3);
                await receive(world, eventOf(world, "launch-successful", first));
                const leader = only(leadersOf(world));
                expect(protectedIn(world)).to.deep.equal([leader]);
                world.region.setMember(leader, { protected: false });
                await receive(world, eventOf(world, "launch-successful", first));
                expect(protectedIn(world)).to.deep.equal([]);
            },
        );

        protectedRule(
            "the successor that an operator chose, after the next sweep, and the old leader loses it at once",
            3,
            async (world) => {
                const heir = firstOf(world.others);
                tag(world, heir);
                await world.stack.settle();
                expect(leadersOf(world)).to.deep.equal([heir]);
                expect(protectedIn(world)).to.deep.equal([]);
                await sweep(world);
                expect(protectedIn(world)).to.deep.equal([heir]);
            },
        );

        protectedRule("left as it is by a sweep if it is there: no call", 3, async (world) => {
            await sweep(world);
            expect(protectedIn(world)).to.deep.equal([world.leader]);
            expect(callsOf(world, setProtection)).to.deep.equal([]);
        });

        quietRule(
            "the leader that stays, and all that are demoted lose theirs, 50 in a call",
            async (world) => {
                const crowd = Array.from({ length: 70 }, () => world.region.addInstance(shop, leading(atFive)));
                for (const id of crowd) {
                    world.region.setMember(id, { protected: true });
                }
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([crowd[0]]);
                expect(protectedIn(world)).to.deep.equal([crowd[0]]);
                expect(callsOf(world, setProtection)).to.have.length(2);
            },
            protectLeader,
        );
    });

    protectedRule("keeps what it had before it led, when it leads no more", 2, async (world) => {
        const { region, leader, others } = world;
        region.setMember(firstOf(others), { protected: true });
        region.setMember(leader, unhealthy);
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal(others);
        expect(protectedIn(world), "the old leader loses what its promotion set").to.deep.equal(others);
        region.setMember(leader, { healthStatus: "Healthy" });
        region.setMember(firstOf(others), unhealthy);
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal([leader]);
        expect(protectedIn(world)).to.deep.equal([leader, firstOf(others)]);
    });

    protectedRule("keeps it in a group that protects all its new instances", 3, async (world) => {
        const { region, fleet, leader, others } = world;
        found(region.groups.get(shop)).protectsNew = true;
        for (const id of fleet.members(shop)) {
            region.setMember(id, { protected: true });
        }
        region.setMember(leader, unhealthy);
        await sweep(world);
        expectOneLeader(world, others);
        expect(protectedIn(world)).to.deep.equal(fleet.members(shop));
        expect(callsOf(world, setProtection)).to.deep.equal([]);
    });

    protectedRule("is not protected while its group is to be emptied, so that the group can be", 1, async (world) => {
        found(world.region.groups.get(shop)).desired = 0;
        for (let sweeps = 0; sweeps < 2; sweeps++) {
            await sweep(world);
        }
        expect(leadersOf(world)).to.deep.equal([world.leader]);
        expect(protectedIn(world)).to.deep.equal([]);
        const settings = callsOf(world, setProtection).map(({ input }) => input.ProtectedFromScaleIn);
        expect(settings).to.deep.equal([false]);
    });

    describe("if it can't be protected", () => {
        const faults: Record<string, Fault> = {
            "it isn't allowed": { error: awsError("AccessDenied", `not authorized to perform: ${setProtection}`, 403) },
            "Auto Scaling is asked too often": { error: awsError("Throttling", "Rate exceeded") },
        };
        for (const [why, fault] of Object.entries(faults)) {
            protectingRule(
                `because ${why}: it leads all the same, a warning and a metric say so, the next sweep repairs it`,
                async (world) => {
                    const { region, fleet } = world;
                    fleet.addGroup(shop, 3);
                    region.fault = failing(setProtection, fault);
                    const report = only(await sweep(world));
                    const leader = expectOneLeader(world);
                    expect(report).to.include({ outcome: "elected", leader });
                    expect(protectedIn(world)).to.deep.equal([]);
                    const warning = only(loggedAt("warn", world));
                    expect(warning.about).to.include(setProtection).and.include(leader).and.include(shop);
                    expect(metricIn(world, "FailedProtections")).to.deep.equal([1]);
                    expect(loggedAt("error", world)).to.deep.equal([]);

                    region.fault = () => undefined;
                    await sweep(world);
                    expect(leadersOf(world)).to.deep.equal([leader]);
                    expect(protectedIn(world)).to.deep.equal([leader]);
                    expect(metricIn(world, "FailedProtections"), "no more than before").to.have.length(1);
                },
            );
        }

        protectingRule("and its election dies: the group comes to rest with one protected leader", async (world) => {
            world.fleet.addGroup(shop, 3);
            world.region.fault = failOnce(setProtection, { dies: true });
            world.stack.sweeping = true;
            await world.timeline.pass(5 * minute);
            expect(callsOf(world, setProtection).length).to.be.above(1);
            expect(protectedIn(world)).to.deep.equal([expectOneLeader(world)]);
        });

        protectedRule(
            "in what is left of the function's time: the election is reported before that is over",
            3,
            async (world) => {
                const { region, stack, leader, others } = world;
                stack.fate = () => [];
                // Reading, ranking, demoting and promoting take nine of ten seconds.
                region.latency = 2250;
                region.setMember(leader, unhealthy);
                const report = only(await sweep(world));
                const successor = expectOneLeader(world, others);
                expect(report).to.include({ outcome: "elected", leader: successor });
                expect(metricIn(world, "FailedProtections")).to.deep.equal([2]);

                region.latency = 20;
                await sweep(world);
                expect(protectedIn(world)).to.include(successor);
            },
        );
    });

    describe("must be in service:", () => {
        protectingRule(
            "an arriving one is protected by the first sweep that finds it so, and no call is made before",
            async (world) => {
                const { region, fleet, timeline } = world;
                fleet.addGroup(shop, 0);
                fleet.scale(shop, 1);
                await sweep(world);
                const leader = only(leadersOf(world));
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("Pending");
                await timeline.pass(10 * second);
                await sweep(world);
                expect(callsOf(world, setProtection)).to.deep.equal([]);

                await timeline.pass(minute);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expect(protectedIn(world)).to.deep.equal([]);
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([leader]);
                expect(protectedIn(world)).to.deep.equal([leader]);
                expect(metricIn(world, "FailedProtections")).to.deep.equal([]);
            },
        );

        protectedRule("one that is terminated or detached is not tried", 3, async (world) => {
            const { fleet, timeline, leader, others } = world;
            fleet.terminate(leader);
            await timeline.pass(2 * minute);
            const successor = expectOneLeader(world, others);
            fleet.detach(successor);
            await timeline.pass(2 * minute);
            const last = expectOneLeader(world);
            expect(protectedIn(world)).to.deep.equal([last]);
            const tried = callsOf(world, setProtection).map(({ input }) => input.InstanceIds);
            expect(tried).to.deep.equal([[successor], [last]]);
            expect(metricIn(world, "FailedProtections")).to.deep.equal([]);
        });
    });
});
