// Leaders are protected from scaling in, no other protection is touched, and no election depends on it.

import { expect } from "chai";
import { awsError, type Call } from "../simulator/aws/faults";
import { metricIn } from "../simulator/changes";
import { firstOf, found, only } from "../simulator/lists";
import {
    atFive,
    eventOf,
    inPermittedWorld,
    leadersOf,
    minute,
    type OthersOf,
    openShop,
    programWith,
    receive,
    type Shop,
    second,
    shop,
    sinceKey,
    sweep,
    tagKey,
} from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import type { World } from "../simulator/world";

const setProtection = "autoscaling:SetInstanceProtection";

const forbidden = awsError("AccessDenied", "not authorized to perform: autoscaling:SetInstanceProtection", 403);
const refused = awsError("ValidationError", "The instance is not in InService or EnteringStandby or Standby.");

describe("A protected leader", () => {
    let program: Program;
    before(async () => {
        program = await programWith({ protectLeader: "true" });
    });

    /** A test in a region of its own, whose stack protects leaders, or another one; its policy must allow every call. */
    function allowedRule(name: string, act: (world: World) => Promise<void>, of = () => program): void {
        it(name, () => inPermittedWorld(of(), act));
    }

    function shopRule<N extends number>(name: string, size: N, act: (world: Shop<OthersOf<N>>) => Promise<void>): void {
        allowedRule(name, async (world) => {
            const opened = await openShop(world, size);
            world.region.setMember(opened.leader, { protected: true });
            await act(opened);
        });
    }

    describe("is", () => {
        allowedRule(
            "the instance that is promoted, at once, and no event repairs what is lost later",
            async (world) => {
                const { region, fleet } = world;
                const [first] = fleet.addGroup(shop, 3);
                await receive(world, eventOf(world, "launch-successful", first));
                const leader = only(leadersOf(world));
                expect(protectedIn(world)).to.deep.equal([leader]);
                region.setMember(leader, { protected: false });
                await receive(world, eventOf(world, "launch-successful", first));
                expect(protectedIn(world)).to.deep.equal([]);
            },
        );

        shopRule("the successor, and the old leader loses it", 3, async (world) => {
            const { region, leader, others } = world;
            region.setMember(leader, { healthStatus: "Unhealthy" });
            await sweep(world);
            expect(others).to.include(leadersOf(world)[0]);
            expect(protectedIn(world)).to.deep.equal(leadersOf(world));
        });

        shopRule(
            "the successor that an operator chose, after the next sweep, and the old leader loses it at once",
            3,
            async (world) => {
                const { region, stack, timeline, others } = world;
                const [heir] = others;
                region.setTags(heir, { [tagKey]: "true", [sinceKey]: new Date(timeline.now).toISOString() });
                await stack.settle();
                expect(leadersOf(world)).to.deep.equal([heir]);
                expect(protectedIn(world)).to.deep.equal([]);
                await sweep(world);
                expect(protectedIn(world)).to.deep.equal([heir]);
            },
        );

        shopRule("repaired by the sweep if it is lost", 3, async (world) => {
            const { region, leader } = world;
            region.setMember(leader, { protected: false });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([leader]);
            expect(protectedIn(world)).to.deep.equal([leader]);
        });

        shopRule("left as it is by a sweep if it is there: no call", 3, async (world) => {
            const { region, leader } = world;
            const before = region.calls.length;
            await sweep(world);
            expect(protectedIn(world)).to.deep.equal([leader]);
            expect(region.calls.slice(before)).to.have.length(2);
        });

        allowedRule("the leader that stays, and all that are demoted lose theirs, 50 in a call", async (world) => {
            const { region, fleet, stack } = world;
            const members = fleet.addGroup(shop, 80);
            const crowd = members.slice(0, 70);
            stack.fate = () => [];
            for (const id of crowd) {
                region.setTags(id, { [tagKey]: "true", [sinceKey]: atFive });
                region.setMember(id, { protected: true });
            }
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([members[0]]);
            expect(protectedIn(world)).to.deep.equal([members[0]]);
            expect(protections(region.calls)).to.have.length(2);
        });
    });

    shopRule("keeps what it had before it led, when it leads no more", 2, async (world) => {
        const { region, leader, others } = world;
        region.setMember(others[0], { protected: true });
        region.setMember(leader, { healthStatus: "Unhealthy" });
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal(others);
        expect(protectedIn(world), "the old leader loses what its promotion set").to.deep.equal(others);
        region.setMember(leader, { healthStatus: "Healthy" });
        region.setMember(others[0], { healthStatus: "Unhealthy" });
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal([leader]);
        expect(protectedIn(world).sort()).to.deep.equal([leader, others[0]].sort());
    });

    shopRule("keeps it in a group that protects all its new instances", 3, async (world) => {
        const { region, fleet, leader } = world;
        Object.assign(region.groups.get(shop) as object, { protectsNew: true });
        for (const id of fleet.members(shop)) {
            region.setMember(id, { protected: true });
        }
        region.setMember(leader, { healthStatus: "Unhealthy" });
        await sweep(world);
        expect(leadersOf(world)).to.have.length(1).and.to.not.include(leader);
        expect(protectedIn(world)).to.deep.equal(fleet.members(shop));
        expect(protections(region.calls)).to.deep.equal([]);
    });

    shopRule("is not protected while its group is to be emptied, so that the group can be", 1, async (world) => {
        const { region, leader } = world;
        Object.assign(region.groups.get(shop) as object, { desired: 0 });
        for (let sweeps = 0; sweeps < 2; sweeps++) {
            await sweep(world);
        }
        expect(leadersOf(world)).to.deep.equal([leader]);
        expect(protectedIn(world)).to.deep.equal([]);
        const settings = protections(region.calls).map(({ input }) => input.ProtectedFromScaleIn);
        expect(settings).to.not.include(true);
    });

    shopRule("is spared when its group scales in, though it is the oldest", 4, async (world) => {
        const { fleet, timeline, leader, others } = world;
        expect(fleet.scale(shop, 2)).to.deep.equal(others.slice(0, 2));
        await timeline.pass(2 * minute);
        expect(fleet.members(shop)).to.deep.equal([leader, others[2]]);
        expect(leadersOf(world)).to.deep.equal([leader]);
    });

    describe("if it can't be protected", () => {
        const faults: Record<string, World["region"]["fault"]> = {
            "it isn't allowed": ({ action }) => (action === setProtection ? { error: forbidden } : undefined),
            "Auto Scaling refuses": ({ action }) => (action === setProtection ? { error: refused } : undefined),
            "Auto Scaling is asked too often": ({ action }) =>
                action === setProtection ? { error: awsError("Throttling", "Rate exceeded") } : undefined,
        };
        for (const [why, fault] of Object.entries(faults)) {
            allowedRule(
                `because ${why}: it leads all the same, a warning and a metric say so, the next sweep repairs it`,
                async (world) => {
                    const { region, fleet, stack, lines } = world;
                    fleet.addGroup(shop, 3);
                    region.fault = fault;
                    await sweep(world);
                    const [leader] = leadersOf(world);
                    expect(leadersOf(world)).to.have.length(1);
                    expect(protectedIn(world)).to.deep.equal([]);
                    expect(stack.invocations.map(({ error }) => error)).to.not.include.members([forbidden, refused]);
                    expect(firstOf(stack.invocations).reports).to.have.length(1);
                    expect(firstOf(firstOf(stack.invocations).reports)).to.include({ outcome: "elected", leader });
                    const warnings = lines.filter(({ level }) => level === "warn").map(({ entry }) => entry);
                    expect(warnings).to.have.length(1);
                    expect(warnings[0].about).to.include(setProtection).and.include(leader).and.include(shop);
                    expect(metricIn(world, "FailedProtections")).to.deep.equal([1]);
                    expect(lines.filter(({ level }) => level === "error")).to.deep.equal([]);

                    region.fault = () => undefined;
                    stack.sweep();
                    await stack.settle();
                    expect(leadersOf(world)).to.deep.equal([leader]);
                    expect(protectedIn(world)).to.deep.equal([leader]);
                    expect(metricIn(world, "FailedProtections"), "nothing failed in the second sweep").to.have.length(
                        1,
                    );
                },
            );
        }

        allowedRule("and its election dies: the group comes to rest with one protected leader", async (world) => {
            const { region, fleet, stack, timeline } = world;
            fleet.addGroup(shop, 3);
            let happened = false;
            region.fault = ({ action }) => {
                const dies = action === setProtection && !happened;
                happened ||= dies;
                return dies ? { dies } : undefined;
            };
            stack.sweeping = true;
            await timeline.pass(5 * minute);
            expect(happened).to.equal(true);
            expect(leadersOf(world)).to.have.length(1);
            expect(protectedIn(world)).to.deep.equal(leadersOf(world));
        });

        shopRule(
            "in what is left of the function's time: the election is reported before that is over",
            3,
            async (world) => {
                const { region, stack, timeline, leader, others } = world;
                await timeline.pass(minute);
                stack.fate = () => [];
                const before = stack.invocations.length;
                // Reading, ranking, demoting and promoting take nine of ten seconds.
                region.latency = 2250;
                region.setMember(leader, { healthStatus: "Unhealthy" });
                stack.sweep();
                await timeline.pass(12 * second);
                const { error, reports } = found(stack.invocations[before]);
                expect(error).to.equal(undefined);
                expect(others).to.include.members(leadersOf(world));
                expect(reports).to.have.length(1);
                expect(reports[0]).to.include({ outcome: "elected", leader: leadersOf(world)[0] });
                expect(metricIn(world, "FailedProtections")).to.deep.equal([2]);

                region.latency = 20;
                stack.sweep();
                await timeline.pass(second);
                expect(protectedIn(world)).to.include.members(leadersOf(world));
            },
        );
    });

    describe("must be in service:", () => {
        allowedRule(
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
                expect(protections(region.calls)).to.deep.equal([]);

                await timeline.pass(minute);
                expect(region.memberOf(leader)?.member.lifecycleState).to.equal("InService");
                expect(protectedIn(world)).to.deep.equal([]);
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([leader]);
                expect(protectedIn(world)).to.deep.equal([leader]);
                expect(metricIn(world, "FailedProtections")).to.deep.equal([]);
            },
        );

        shopRule("one that is terminated or detached is not tried", 3, async (world) => {
            const { region, fleet, timeline, leader, others } = world;
            fleet.terminate(leader);
            await timeline.pass(2 * minute);
            const successor = only(leadersOf(world));
            expect(others).to.include(successor);
            fleet.detach(successor);
            await timeline.pass(2 * minute);
            expect(leadersOf(world)).to.have.length(1).and.to.not.include(successor);
            expect(protectedIn(world)).to.deep.equal(leadersOf(world));
            expect(protections(region.calls).map(({ input }) => input.InstanceIds)).to.deep.equal([
                [successor],
                leadersOf(world),
            ]);
            expect(metricIn(world, "FailedProtections")).to.deep.equal([]);
        });
    });

    describe("is none if the setting is off:", () => {
        let off: Program;
        before(async () => {
            off = await programWith();
        });

        allowedRule(
            "no call is made, and whatever protection there is stays",
            async (world) => {
                const { region, fleet } = world;
                const [leader, theirs] = fleet.addGroup(shop, 3);
                region.setTags(leader, { [tagKey]: "true", [sinceKey]: atFive });
                region.setMember(leader, { protected: true, healthStatus: "Unhealthy" });
                region.setMember(theirs, { protected: true });
                await sweep(world);
                expect(leadersOf(world)).to.have.length(1).and.to.not.include(leader);
                expect(protectedIn(world)).to.deep.equal([leader, theirs]);
                expect(protections(region.calls)).to.deep.equal([]);
            },
            () => off,
        );
    });
});

/** Members of a group that scaling in spares. */
function protectedIn({ region }: World, group = shop): string[] {
    const members = region.groups.get(group)?.members ?? [];
    return members.filter((member) => member.protected).map(({ id }) => id);
}

const protections = (calls: Call[]): Call[] => calls.filter(({ action }) => action === setProtection);
