// Progress: what an invocation does first, what it leaves to the next one, and that no call of AWS keeps it from its report.

import { expect } from "chai";
import { stateEvent } from "../simulator/aws/events";
import { awsError, type Fault } from "../simulator/aws/faults";
import { loggedAt } from "../simulator/changes";
import { firstOf, found } from "../simulator/lists";
import {
    a,
    addMembers,
    atFive,
    atFour,
    b,
    c,
    callsOf,
    denied,
    eventOf,
    failOnce,
    leadersOf,
    leading,
    minute,
    orphansOf,
    rule,
    second,
    sweep,
} from "../simulator/scenario";
import type { World } from "../simulator/world";

describe("A sweep that has too little time", () => {
    const groups = Array.from({ length: 450 }, (_, index) => `awseb-${String(index).padStart(3, "0")}`);
    const leaderless = (world: World) => groups.filter((group) => leadersOf(world, group).length !== 1);

    function slowRule(name: string, act: (world: World) => Promise<void>): void {
        rule(name, async (world) => {
            for (const group of groups) {
                world.fleet.addGroup(group, 1);
            }
            world.stack.fate = () => [];
            world.region.latency = 700; // a round takes three of these, an invocation has ten seconds
            await act(world);
        });
    }

    slowRule("finishes the rounds that it began, and names those that it leaves", async (world) => {
        await sweep(world);
        const { error, start: began, end, reports } = firstOf(world.stack.invocations);
        expect(error).to.equal(undefined);
        expect(end - began).to.be.below(10 * second);
        const left = leaderless(world);
        expect(left).to.have.length.within(50, 350);
        expect(reports).to.have.length(groups.length - left.length);
        const warnings = world.lines.filter(({ level }) => level === "warn").map(({ entry }) => JSON.stringify(entry));
        expect(warnings.join()).to.contain("left to the next sweep");
    });

    slowRule("is continued by the next one, until each group has a leader", async (world) => {
        const counts: number[] = [];
        for (let sweeps = 0; sweeps < 4 && counts.at(-1) !== 0; sweeps++) {
            await sweep(world);
            counts.push(leaderless(world).length);
        }
        expect(counts.at(-1), `groups without a leader after each sweep: ${counts}`).to.equal(0);
        expect(new Set(counts).size, "each sweep goes on").to.equal(counts.length);
    });

    slowRule("is begun anew by the next one if AWS refuses the token to go on from", async (world) => {
        await sweep(world);
        const before = leaderless(world).length;
        world.region.latency = 20;
        world.region.fault = failOnce("autoscaling:DescribeAutoScalingGroups", {
            error: awsError("ValidationError", "The token has expired."),
        });
        await sweep(world);
        expect(before).to.be.above(0);
        expect(leaderless(world)).to.deep.equal([]);
        const warnings = loggedAt("warn", world);
        expect(JSON.stringify(warnings)).to.contain("the sweep starts over").and.to.contain("token has expired");
    });

    slowRule("is begun anew after an outage: a page that fails must not hide those before it", async (world) => {
        await sweep(world);
        const left = leaderless(world);
        world.region.fault = failOnce("autoscaling:DescribeAutoScalingGroups", {
            error: awsError("InternalFailure", "An internal error has occurred.", 500),
        });
        await sweep(world);
        expect(leaderless(world)).to.deep.equal(left);
        const asked = world.region.calls.length;
        await sweep(world);
        const calls = world.region.calls.slice(asked);
        const first = calls.find(({ action }) => action === "autoscaling:DescribeAutoScalingGroups");
        expect(first?.start).to.be.a("number");
        expect(first?.input.NextToken).to.equal(undefined);
    });

    slowRule("looks first at the groups that events name in the same batch", async (world) => {
        const last = found(groups.at(-1));
        const busy = stateEvent(world.timeline.now, "i-fffffffffffffffff", "stopping");
        world.stack.fate = () => [300];
        world.stack.send(busy);
        world.stack.send(eventOf(world, "terminate-unsuccessful", firstOf(world.fleet.members(last)), last));
        world.stack.fate = () => [];
        await sweep(world);
        expect(leadersOf(world, last)).to.have.length(1);
        const first = firstOf(callsOf(world, "ec2:CreateTags"));
        expect(first.input.Resources).to.deep.equal(leadersOf(world, last));
    });
});

describe("An invocation", () => {
    const actions = [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:SetInstanceProtection",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "cloudwatch:GetMetricData",
    ];
    const faults: Record<string, Fault> = {
        stalls: { stalls: true },
        "comes a minute late": { late: minute },
        "is refused": { error: denied },
        "is an outage": { error: awsError("InternalFailure", "try again", 500) },
    };

    /** A group that hands over, one that has no leader, and an orphan: each action is called. */
    function arrange(world: World): void {
        addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {}, [c]: {} });
        world.fleet.addGroup("awseb-vacant", 2);
        world.region.addInstance(undefined, leading(atFour));
    }

    for (const action of actions) {
        for (const [how, fault] of Object.entries(faults)) {
            rule(
                `ends in time with a report that names ${action}, if its answer ${how}`,
                async (world) => {
                    arrange(world);
                    world.stack.fate = () => [];
                    world.region.fault = (call) => (call.action === action ? fault : undefined);
                    await sweep(world);
                    expect(callsOf(world, action)).to.not.be.empty;
                    for (const { error, start: began, end } of world.stack.invocations) {
                        expect(error).to.equal(undefined);
                        expect(end - began).to.be.at.most(10 * second);
                    }
                    const lines = world.lines.filter(({ level }) => level === "error" || level === "warn");
                    expect(JSON.stringify(lines)).to.contain(action);
                    expect(leadersOf(world).length).to.be.at.most(1);

                    world.region.fault = () => undefined;
                    await world.timeline.pass(4 * minute); // what is remembered of a refusal is over
                    await sweep(world);
                    await sweep(world);
                    expect(leadersOf(world)).to.have.length(1).and.to.not.include(a);
                    expect(leadersOf(world, "awseb-vacant")).to.have.length(1);
                    expect(orphansOf(world)).to.deep.equal([]);
                },
                { protectLeader: "true" },
            );
        }
    }

    rule(
        "goes on through empty pages, however AWS divides an answer",
        async (world) => {
            const names = Array.from({ length: 5 }, (_, index) => `awseb-${index}`);
            for (const name of names) {
                world.region.addInstance(name, leading(atFive));
                world.region.addInstance(name);
            }
            world.fleet.addGroup("awseb-vacant", 2);
            world.region.pageSize = 2;
            world.region.emptyPages = true;
            const reports = await sweep(world);
            expect(reports.map(({ outcome }) => outcome).sort()).to.deep.equal(
                [...names.map(() => "kept"), "elected"].sort(),
            );
            expect(leadersOf(world, "awseb-vacant")).to.have.length(1);
        },
        { protectLeader: "true" },
    );
});
