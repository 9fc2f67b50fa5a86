// What AWS answers: errors, single pages, refusals about one instance. No election decides from half an answer.

import { expect } from "chai";
import { stateEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { loggedAt, writesIn } from "../simulator/changes";
import { firstOf, firstTwo } from "../simulator/lists";
import { a, addMembers, atFive, b, leadersOf, leading, populate, rule, sweep, tagKey } from "../simulator/scenario";

describe("An election that can't read everything", () => {
    const unreadable: [what: string, action: string, secondPage: boolean][] = [
        ["the groups", "autoscaling:DescribeAutoScalingGroups", false],
        ["a page of the groups", "autoscaling:DescribeAutoScalingGroups", true],
        ["the leaders", "ec2:DescribeInstances", false],
        ["a page of the leaders", "ec2:DescribeInstances", true],
    ];
    for (const [what, action, secondPage] of unreadable) {
        rule(`writes nothing of which it lacks ${what}, and the next sweep looks again`, async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            for (const group of ["awseb-blog", "awseb-wiki", "awseb-zoo"]) {
                world.region.addInstance(group, leading(atFive));
                world.region.addInstance(group);
            }
            world.region.pageSize = 2;
            const error = awsError("InternalError", "An internal error has occurred", 500);
            world.region.fault = (call) =>
                call.action === action && Boolean(call.input.NextToken) === secondPage ? { error } : undefined;
            await sweep(world);
            expect(world.stack.invocations.every((invocation) => invocation.error === undefined)).to.equal(true);
            const failures = loggedAt("error", world).map((entry) => entry.reason);
            expect(failures).to.not.be.empty;
            for (const failure of failures) {
                expect(failure).to.contain(action).and.to.contain("InternalError");
            }
            expect(JSON.stringify(world.lines)).to.contain("FailedReads");
            // The first page of groups is complete in itself; nothing is decided for groups of later pages.
            const isSecondPageOfGroups = secondPage && action.startsWith("autoscaling");
            expect(writesIn(world.region.calls).length > 0).to.equal(isSecondPageOfGroups);

            world.region.fault = () => undefined;
            await sweep(world);
            for (const group of world.region.groups.keys()) {
                expect(leadersOf(world, group), group).to.have.length(1);
            }
        });
    }

    rule("decides from all pages", async (world) => {
        const groups = Array.from({ length: 7 }, (_, place) => `awseb-${place}`);
        const old = groups.slice(2).map((group) => world.region.addInstance(group, leading(atFive)));
        for (const group of groups) {
            world.region.addInstance(group);
        }
        world.region.pageSize = 2;
        await sweep(world);
        expect(groups.map((group) => leadersOf(world, group).length)).to.deep.equal(groups.map(() => 1));
        expect(groups.slice(2).flatMap((group) => leadersOf(world, group))).to.deep.equal(old);
    });
});

describe("What AWS answers is named when it can't be used:", () => {
    for (const [action, what, answer] of [
        ["autoscaling:DescribeAutoScalingGroups", "a list that is none", { AutoScalingGroups: "none" }],
        ["autoscaling:DescribeAutoScalingGroups", "a group without a name", { AutoScalingGroups: [{}] }],
        ["ec2:DescribeInstances", "a reservation that is null", { Reservations: [null] }],
    ] as const) {
        rule(what, async (world) => {
            populate(world);
            world.region.fault = (call) => (call.action === action ? { answer: () => answer } : undefined);
            world.stack.sweep();
            await world.timeline.pass(2000);
            const failures = loggedAt("error", world).map((entry) => entry.reason);
            expect(failures.join()).to.contain(`${action}: AWS answered`);
            expect(world.region.calls.filter((call) => /Tags$/.test(call.action))).to.deep.equal([]);
        });
    }

    rule("the status checks of others count beside an instance that EC2 doesn't know", async (world) => {
        const { region, stack } = world;
        const unknown = region.addInstance("awseb-shop");
        region.addInstance("awseb-shop", { checks: "impaired", load: 0 });
        const sound = region.addInstance("awseb-shop");
        region.fault = ({ action, input }) =>
            action === "ec2:DescribeInstanceStatus" && input.InstanceIds.includes(unknown)
                ? { error: awsError("InvalidInstanceID.NotFound", `The instance ID '${unknown}' does not exist`) }
                : undefined;
        stack.sweep();
        await stack.settle();
        expect(region.leaders("awseb-shop", tagKey)).to.deep.equal([sound]);
    });

    rule("a policy that refuses everything is asked some 60 times, not for each of 500 groups", async (world) => {
        for (let group = 0; group < 500; group++) {
            world.fleet.addGroup(`awseb-${group}`, 1);
        }
        world.region.fault = ({ action }) =>
            action === "ec2:CreateTags" ? { error: awsError("UnauthorizedOperation", "no", 403) } : undefined;
        world.stack.sweep();
        await world.stack.settle();
        expect(world.region.calls.filter(({ action }) => action === "ec2:CreateTags").length).to.be.below(130);
        const { reports } = firstOf(world.stack.invocations);
        expect(new Set(reports.map(({ outcome }) => outcome))).to.deep.equal(new Set(["failed"]));
        expect(firstOf(reports).reason).to.contain("UnauthorizedOperation");
    });

    rule("a departure in the batch of a sweep is named among what asked for the election", async (world) => {
        const { leader } = populate(world);
        world.stack.sweep();
        await world.timeline.pass(10); // what comes now waits until that sweep is over
        world.stack.send(stateEvent(world.timeline.now, leader, "stopping"));
        await sweep(world);
        const report = firstTwo(world.stack.invocations)[1].reports.find(({ group }) => group === "awseb-led");
        expect(report?.triggers).to.have.members(["Scheduled Event", "EC2 Instance State-change Notification"]);
        expect(report?.demoted).to.deep.equal([leader]);
    });
});
