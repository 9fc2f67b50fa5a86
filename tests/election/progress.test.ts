// Progress: what an invocation does first, what it leaves to the next one, and that no call of AWS keeps it from its report.
import { expect } from "chai";
import { stateEvent } from "../simulator/aws/events";
import { awsError, denied, type Fault, failing, failOnce } from "../simulator/aws/faults";
import { callsOf, loggedAt } from "../simulator/changes";
import { atFive, atFour, minute, second } from "../simulator/clock";
import { firstOf, found } from "../simulator/lists";
import { addGroups, addMembers, leading, standby } from "../simulator/members";
import { a, b, c } from "../simulator/names";
import { eventOf, leadersOf, orphansOf, quietRule, sweep } from "../simulator/scenario";
import type { World } from "../simulator/world";

describe("A sweep that has too little time", () => {
    /** A test of 450 groups of one member without a leader, while AWS is slow. */
    function slowRule(name: string, act: (world: World, groups: string[]) => Promise<void>): void {
        quietRule(name, async (world) => {
            const groups = addGroups(world, 450, 1, "leaderless");
            world.region.latency = 700; // a round takes three of these, an invocation has ten seconds
            await act(world, groups);
        });
    }

    const leaderless = (world: World, groups: string[]) =>
        groups.filter((group) => leadersOf(world, group).length !== 1);

    const expectFromFirstPage = async (world: World) => {
        const asked = world.region.calls.length;
        await sweep(world);
        const next = world.region.calls.slice(asked).filter(({ action }) => /Groups$/.test(action));
        expect(firstOf(next).input.NextToken).to.equal(undefined);
    };

    slowRule("finishes the rounds that it began, and names those that it leaves", async (world, groups) => {
        await sweep(world);
        const { error, start: began, end, reports } = firstOf(world.stack.invocations);
        expect(error).to.equal(undefined);
        expect(end - began).to.be.below(10 * second);
        const left = leaderless(world, groups);
        expect(left).to.have.length.within(50, 350);
        expect(reports).to.have.length(groups.length - left.length);
        expect(JSON.stringify(loggedAt("warn", world))).to.contain("left to the next sweep");
    });

    slowRule("is continued by the next one, until each group has a leader", async (world, groups) => {
        const counts: number[] = [];
        for (let sweeps = 0; sweeps < 4 && counts.at(-1) !== 0; sweeps++) {
            await sweep(world);
            counts.push(leaderless(world, groups).length);
        }
        expect(counts.at(-1), `groups without a leader after each sweep: ${counts}`).to.equal(0);
        expect(new Set(counts).size, "each sweep goes on").to.equal(counts.length);
    });

    slowRule("is followed, once it is done, by one that begins at the first page", async (world, groups) => {
        await sweep(world);
        world.region.latency = 20;
        await sweep(world);
        expect(leaderless(world, groups)).to.deep.equal([]);
        await expectFromFirstPage(world);
    });

    slowRule("is begun anew by the next one if AWS refuses the token to go on from", async (world, groups) => {
        await sweep(world);
        const before = leaderless(world, groups).length;
        world.region.latency = 20;
        world.region.fault = failOnce("autoscaling:DescribeAutoScalingGroups", {
            error: awsError("ValidationError", "The token has expired."),
        });
        await sweep(world);
        expect(before).to.be.above(0);
        expect(leaderless(world, groups)).to.deep.equal([]);
        expect(JSON.stringify(loggedAt("warn", world)))
            .to.contain("the sweep starts over")
            .and.to.contain("token has expired");
    });

    slowRule(
        "is begun anew after an outage: the page that fails must not hide those before it",
        async (world, groups) => {
            await sweep(world);
            const left = leaderless(world, groups);
            world.region.fault = failOnce("autoscaling:DescribeAutoScalingGroups", {
                error: awsError("InternalFailure", "An internal error has occurred.", 500),
            });
            await sweep(world);
            expect(leaderless(world, groups)).to.deep.equal(left);
            await expectFromFirstPage(world);
        },
    );

    slowRule("looks first at the groups that events name in the same batch", async (world, groups) => {
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
        addMembers(world, { [a]: leading(atFive, standby), [b]: {}, [c]: {} });
        world.fleet.addGroup("awseb-vacant", 2);
        world.region.addInstance(undefined, leading(atFour));
    }

    for (const action of actions) {
        for (const [how, fault] of Object.entries(faults)) {
            quietRule(
                `ends in time with a report that names ${action}, if its answer ${how}`,
                async (world) => {
                    arrange(world);
                    world.region.fault = failing(action, fault);
                    await sweep(world);
                    expect(callsOf(world, action)).to.not.be.empty;
                    for (const { error, start: began, end } of world.stack.invocations) {
                        expect(error).to.equal(undefined);
                        expect(end - began).to.be.at.most(10 * second);
                    }
                    const problems = [...loggedAt("error", world), ...loggedAt("warn", world)];
                    expect(JSON.stringify(problems)).to.contain(action);
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

    quietRule(
        "goes on through empty pages, however AWS divides an answer",
        async (world) => {
            addGroups(world, 5, 2, "led");
            world.fleet.addGroup("awseb-vacant", 2);
            world.region.pageSize = 2;
            world.region.meagre = true;
            const outcomes = (await sweep(world)).map(({ outcome }) => outcome);
            expect(outcomes.sort()).to.deep.equal(["elected", ...Array(5).fill("kept")]);
            expect(leadersOf(world, "awseb-vacant")).to.have.length(1);
        },
        { protectLeader: "true" },
    );
});
