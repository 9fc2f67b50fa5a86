// What AWS answers: errors, single pages, refusals about one instance. No election decides from half an answer.
import { expect } from "chai";
import { awsError, denied, failing } from "../simulator/aws/faults";
import { callsOf, loggedAt, writesIn } from "../simulator/changes";
import { addGroups, addMembers, populate } from "../simulator/members";
import { a, b, c } from "../simulator/names";
import { leadersOf, rule, sweep } from "../simulator/scenario";

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
            addGroups(world, 3, 2, "led");
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
});

describe("What AWS answers is named when it can't be used:", () => {
    for (const [action, what, answer] of [
        ["autoscaling:DescribeAutoScalingGroups", "a list that is none", { AutoScalingGroups: "none" }],
        ["autoscaling:DescribeAutoScalingGroups", "a group without a name", { AutoScalingGroups: [{}] }],
        ["ec2:DescribeInstances", "a reservation that is null", { Reservations: [null] }],
    ] as const) {
        rule(what, async (world) => {
            populate(world);
            world.region.fault = failing(action, { answer: () => answer });
            await sweep(world);
            const failures = loggedAt("error", world).map((entry) => entry.reason);
            expect(failures.join()).to.contain(`${action}: AWS answered`);
            expect(writesIn(world.region.calls)).to.deep.equal([]);
        });
    }

    rule("the status checks of others count beside an instance that EC2 doesn't know", async (world) => {
        addMembers(world, { [a]: {}, [b]: { checks: "impaired", load: 0 }, [c]: {} });
        const error = awsError("InvalidInstanceID.NotFound", `The instance ID '${a}' does not exist`);
        world.region.fault = ({ action, input }) =>
            action === "ec2:DescribeInstanceStatus" && input.InstanceIds.includes(a) ? { error } : undefined;
        await sweep(world);
        expect(leadersOf(world)).to.deep.equal([c]);
    });

    rule("a policy that refuses everything is asked some 60 times, not for each of 500 groups", async (world) => {
        addGroups(world, 500, 1, "leaderless");
        world.region.fault = failing("ec2:CreateTags", denied);
        const reports = await sweep(world);
        expect(callsOf(world, "ec2:CreateTags").length).to.be.below(130);
        for (const { outcome, reason } of reports) {
            expect(outcome).to.equal("failed");
            expect(reason).to.contain("UnauthorizedOperation");
        }
    });
});
