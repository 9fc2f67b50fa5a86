// What the function reports: a line of JSON for an election, and metrics in lines that CloudWatch recognizes.
import { expect } from "chai";
import { scalingEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { denied, failing } from "../simulator/aws/faults";
import { callsOf, loggedAt, metricIn, metricLinesIn, writesIn } from "../simulator/changes";
import { atFive, atFour, second, start } from "../simulator/clock";
import { firstOf, firstTwo, only } from "../simulator/lists";
import { addMembers, leading, standby, unhealthy, untag, vetoed } from "../simulator/members";
import { a, b, c, eligibleKey, shop, tagKey } from "../simulator/names";
import { eventOf, expectOneLeader, leadersOf, receive, receiveTogether, rule, sweep } from "../simulator/scenario";
import { project } from "../simulator/stack/program";
import type { World } from "../simulator/world";

const stack = `${project}/dev`;

/** A line as CloudWatch finds metrics in it. */
interface Embedded {
    _aws: { Timestamp: number; CloudWatchMetrics: Directive[] };
    [field: string]: unknown;
}

interface Directive {
    Namespace: string;
    Dimensions: string[][];
    Metrics: { Name: string; Unit: string }[];
}

/**
 * CloudWatch takes all metrics that were logged, and nothing else is among them.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
function expectEmbedded(world: World): void {
    for (const { entry } of world.lines.filter(({ level }) => level === "stdout")) {
        expect(entry, "one line").to.match(/^[^\n]+\n$/);
    }
    for (const line of metricLinesIn(world) as Embedded[]) {
        expect(line._aws.Timestamp).to.satisfy(Number.isInteger);
        const { Namespace, Dimensions, Metrics, ...rest } = only(line._aws.CloudWatchMetrics);
        expect(rest).to.deep.equal({});
        expect(Namespace).to.equal("AsgLeaderElection");
        expect(Dimensions).to.deep.equal(line.Group ? [["Stack"], ["Stack", "Group"]] : [["Stack"]]);
        for (const key of Dimensions.flat()) {
            expect(line[key], key).to.be.a("string").with.length.within(1, 1024);
            expect(line[key], key).to.match(/^[^:\s][ -~]*$/);
        }
        expect(Metrics).to.have.length.within(1, 100);
        const names = Metrics.map(({ Name }) => Name);
        expect(names.includes("LeaderChanges") && names.length === 1, names.join()).to.equal("Group" in line);
        for (const { Name, Unit, ...others } of Metrics) {
            expect(line[Name], Name).to.be.a("number");
            expect(["Count", "Milliseconds"]).to.include(Unit);
            expect(others).to.deep.equal({});
        }
    }
}

/** The values of each metric that is logged while something happens. */
async function measuredDuring(world: World, act: () => Promise<unknown>): Promise<Record<string, number[]>> {
    const before = world.lines.length;
    await act();
    const measured: Record<string, number[]> = {};
    for (const line of metricLinesIn({ lines: world.lines.slice(before) }) as Embedded[]) {
        for (const { Name } of line._aws.CloudWatchMetrics.flatMap(({ Metrics }) => Metrics)) {
            measured[Name] = [...(measured[Name] ?? []), Number(line[Name])];
        }
    }
    return measured;
}

const electionLines = ({ lines }: World) => lines.filter(({ entry }) => entry?.group !== undefined);

describe("An election reports", () => {
    const launched = "EC2 Instance Launch Successful";

    rule("what an event caused, or found in order, in one JSON object at info, and returns the same", async (world) => {
        addMembers(world, { [a]: leading(atFive, standby), [b]: { load: 10 }, [c]: { load: 30 } });
        await receive(world, eventOf(world, "launch-successful", b));
        const [{ level, entry }, next] = firstTwo(electionLines(world));
        expect(level).to.equal("info");
        expect(entry).to.deep.include({
            group: shop,
            outcome: "elected",
            leader: b,
            candidates: [b, c],
            leaders: [a],
            demoted: [a],
            triggers: [launched],
        });
        expect(entry.reason).to.contain(a).and.to.contain("Standby");
        expect(JSON.parse(JSON.stringify(entry))).to.deep.equal(entry);
        expect(firstOf(world.stack.invocations).reports).to.deep.equal([entry]);
        expect(leadersOf(world)).to.deep.equal([b]);

        expect(next.level).to.equal("info");
        expect(next.entry).to.deep.include({ outcome: "kept", leader: b, leaders: [b], demoted: [], reason: "fit" });
        expect(next.entry.triggers).to.deep.equal(["Tag Change on Resource"]);
    });

    rule("every kind of event that asked for the election, and each group once", async (world) => {
        addMembers(world, { [a]: leading(atFive, { state: "shutting-down" }), [b]: {} });
        const report = only(
            await receiveTogether(world, [
                scalingEvent("launch-successful", start, shop, b),
                scalingEvent("launch-successful", start + 1000, shop, b),
                scalingEvent("terminate-successful", start, shop, a),
                tagEvent(start, a, [tagKey], world.region.tags(a)),
                stateEvent(start, a, "shutting-down"),
            ]),
        );
        expect(report.group).to.equal(shop);
        expect(report.triggers).to.have.members([
            launched,
            "EC2 Instance Terminate Successful",
            "Tag Change on Resource",
            "EC2 Instance State-change Notification",
        ]);
        expect(leadersOf(world)).to.deep.equal([b]);
    });

    rule("of a sweep what it changed at info, a vacant group at warn, and the rest at debug", async (world) => {
        addMembers(world, { [a]: {} });
        world.region.addInstance("awseb-blog", leading(atFive));
        world.region.addGroup("awseb-empty");
        world.region.addInstance("awseb-vacant", standby);
        world.region.addInstance("awseb-wiki", leading(atFour));
        world.region.addInstance("awseb-wiki", leading(atFive));
        world.stack.fate = () => [];
        const reports = await sweep(world);
        const levels = electionLines(world).map(({ level, entry }) => [entry.group, entry.outcome, level]);
        expect(levels).to.have.deep.members([
            [shop, "elected", "info"],
            ["awseb-blog", "kept", "debug"],
            ["awseb-empty", "empty", "debug"],
            ["awseb-vacant", "vacant", "warn"],
            ["awseb-wiki", "kept", "info"],
        ]);
        expect(electionLines(world).map(({ entry }) => entry)).to.deep.equal(reports);
        expect(leadersOf(world)).to.deep.equal([a]);
    });

    rule(
        "at warn, in each sweep, which prefix no group has, and the region",
        async (world) => {
            const message = "no group's name begins with the prefix";
            const warnings = () => loggedAt("warn", world).filter((entry) => entry.message === message);
            const about = (asgPrefix: string) => ({ message, about: { asgPrefix, region: "eu-west-1" } });
            process.env.AWS_REGION = "eu-west-1";
            world.fleet.addGroup("shop-eu", 1);
            world.fleet.addGroup("wiki-eu", 1);
            await sweep(world);
            expect(warnings()).to.deep.equal([about("blog-")]);
            world.fleet.addGroup("blog-eu", 1);
            await sweep(world);
            expect(warnings()).to.have.length(1);
            world.region.groups.clear();
            await sweep(world);
            expect(warnings().slice(1)).to.deep.equal([about("shop-"), about("blog-")]);

            world.region.fault = failing("autoscaling:DescribeAutoScalingGroups", denied);
            await sweep(world);
            expect(warnings(), "when the groups can't be listed").to.have.length(3);
        },
        { asgPrefix: "shop- blog-" },
    );

    rule("a failure at error", async (world) => {
        addMembers(world, { [a]: {} });
        world.region.fault = failing("ec2:CreateTags", denied);
        await sweep(world);
        const { level, entry } = firstOf(electionLines(world));
        expect(level).to.equal("error");
        expect(entry).to.include({ group: shop, outcome: "failed" });
        expect(entry.reason).to.contain("ec2:CreateTags").and.to.contain(a).and.to.contain("UnauthorizedOperation");
        expect(leadersOf(world)).to.deep.equal([]);
    });

    rule("at most 20 candidates, leaders and instances that lost the tag", async (world) => {
        const ids = Array.from({ length: 30 }, () => world.region.addInstance(shop, leading(atFive)));
        const { candidates, leaders: seen, demoted } = firstOf(await sweep(world));
        expect(ids).to.include.members(candidates);
        expect(ids).to.include.members(seen);
        expect([candidates.length, seen.length, demoted.length]).to.deep.equal([20, 20, 20]);
        expect(leadersOf(world)).to.deep.equal([ids[0]]);
    });
});

describe("The packaged function measures", () => {
    const measuredBySweep = (world: World) => measuredDuring(world, () => sweep(world));

    rule("every sweep: how many groups are vacant, contested or failed, as CloudWatch takes it", async (world) => {
        const { fleet, region } = world;
        fleet.addGroup("awseb-fine", 2);
        fleet.addGroup("awseb-empty", 0);
        region.addInstance("awseb-vacant", unhealthy);
        region.addInstance("awseb-contested", leading(atFive));
        region.addInstance("awseb-contested", leading(atFour));
        region.fault = failing("ec2:CreateTags", denied, [region.addInstance("awseb-failed")]);
        fleet.addGroup("foreign", 2);
        world.stack.fate = () => [];
        const counts = { VacantGroups: [1], ContestedGroups: [1], FailedElections: [1] };
        expect(await measuredBySweep(world)).to.deep.equal({ ...counts, LeaderChanges: [1, 1] });
        expect(await measuredBySweep(world)).to.deep.equal({ ...counts, ContestedGroups: [0] });
        expect(metricIn(world, "Groups"), "in the line only, where it costs nothing").to.deep.equal([5, 5]);
        expect(metricLinesIn(world).map((line) => line.Stack)).to.deep.equal(Array(4).fill(stack));
        expectEmbedded(world);
    });

    rule("every sweep of a region without groups", async (world) => {
        expect(await measuredBySweep(world)).to.deep.equal({
            VacantGroups: [0],
            ContestedGroups: [0],
            FailedElections: [0],
        });
    });

    rule("every change, by stack and by group, and nothing when nothing changes", async (world) => {
        world.fleet.addGroup(shop, 3);
        expect(await measuredBySweep(world)).to.deep.include({ LeaderChanges: [1] });
        expect(metricIn(world, "Group")).to.deep.equal([shop]);
        expect(await measuredBySweep(world)).to.not.have.property("LeaderChanges");
        world.fleet.crash(only(leadersOf(world)));
        const measured = await measuredDuring(world, () => world.stack.settle());
        expect(measured, "an event is no sweep").to.have.all.keys("LeaderChanges", "ElectionDelay");
        expect(measured.LeaderChanges).to.deep.equal([1]);
        expectEmbedded(world);
    });

    rule("a loss that only the sweep found, and none that an event reported", async (world) => {
        const { fleet, stack } = world;
        fleet.addGroup(shop, 3);
        await sweep(world);
        const { fate } = stack;
        stack.fate = () => [];
        fleet.crash(only(leadersOf(world)));
        expect(await measuredBySweep(world)).to.deep.include({ SweptLosses: [1], LeaderChanges: [1] });
        stack.fate = fate;
        fleet.crash(only(leadersOf(world)));
        expect(await measuredDuring(world, () => stack.settle())).to.have.all.keys("LeaderChanges", "ElectionDelay");
        expect(await measuredBySweep(world)).to.not.have.any.keys("SweptLosses", "LeaderChanges");
    });

    rule("a group whose fit leader lost its tag, and none whose leader ended or may not lead", async (world) => {
        const { fleet, region, timeline } = world;
        fleet.addGroup(shop, 3);
        await sweep(world);
        const flapping = async (happens: (leader: string) => void) => {
            happens(only(leadersOf(world)));
            const { FlappingGroups } = await measuredDuring(world, () => timeline.pass(60 * second));
            expectOneLeader(world);
            return FlappingGroups;
        };
        expect(await flapping((leader) => fleet.crash(leader))).to.equal(undefined);
        expect(await flapping((leader) => region.setTags(leader, { [tagKey]: undefined }))).to.deep.equal([1]);
        const veto = { [tagKey]: undefined, [eligibleKey]: "false" };
        expect(await flapping((leader) => region.setTags(leader, veto))).to.equal(undefined);
    });

    for (const stays of [false, true]) {
        const without = stays ? "though a leader that is not fit stays" : "so that none leads";
        rule(`promotions held back because the leader changes too often, ${without}`, async (world) => {
            addMembers(world, { [a]: {}, [b]: {}, [c]: {} });
            await sweep(world);
            const untagged = async () => {
                await world.timeline.pass(2 * second);
                untag(world, ...leadersOf(world));
                await world.stack.settle();
            };
            await untagged();
            await untagged();
            const leader = only(leadersOf(world));
            const { FlappingGroups } = await measuredDuring(world, () => {
                world.region.setMember(leader, stays ? unhealthy : {});
                return stays ? receive(world, tagEvent(world.timeline.now, leader, [eligibleKey], {})) : untagged();
            });
            expect(leadersOf(world)).to.deep.equal(stays ? [leader] : []);
            expect(FlappingGroups).to.deep.equal([1]);
        });
    }

    rule("the delay from an event to the tag, beside the ids of at most ten events", async (world) => {
        addMembers(world, { [a]: leading(atFive, standby), [b]: {} });
        const caused = world.timeline.now;
        const events = Array.from({ length: 8 }, () => eventOf(world, "terminate-unsuccessful", b));
        const report = only(await receiveTogether(world, events));
        const { start: sent } = only(callsOf(world, "ec2:CreateTags"));
        expect(leadersOf(world)).to.deep.equal([b]);
        expect(report.events).to.deep.equal(events.map(({ id }) => id));
        expect(report.delay).to.equal(sent - caused);
        expect(metricIn(world, "ElectionDelay")).to.deep.equal([report.delay]);
    });

    rule("groups whatever they are called", async (world) => {
        const printable = Array.from({ length: 0x7f - 0x20 }, (_, place) => String.fromCharCode(0x20 + place)).join("");
        const group = `awseb-${printable.replace(":", "")}`;
        world.fleet.addGroup(group, 1);
        await sweep(world);
        expect(metricIn(world, "Group")).to.deep.equal([group]);
        expectEmbedded(world);
    });
});

describe("With dryRun", () => {
    function dryRule(name: string, act: (world: World) => Promise<void>): void {
        const withoutWrites = async (world: World) => {
            await act(world);
            expect(writesIn(world.region.calls)).to.deep.equal([]);
        };
        rule(name, withoutWrites, { dryRun: "true", protectLeader: "true" });
    }

    dryRule("reports say what would be written, and nothing is", async (world) => {
        addMembers(world, { [a]: leading(atFive, standby), [b]: {} });
        addMembers(world, { [c]: leading() }, "awseb-adopted");
        const orphan = world.region.addInstance(undefined, leading(atFive));
        const reports = await sweep(world);
        const [again] = await receive(world, eventOf(world, "terminate-unsuccessful", b));
        expect(reports.every(({ dryRun }) => dryRun === true)).to.equal(true);
        for (const report of [reports.find(({ group }) => group === shop), again]) {
            expect(report).to.deep.include({ outcome: "elected", leader: b, formerLeader: a, demoted: [a] });
        }
        const adopted = reports.find(({ group }) => group === "awseb-adopted");
        expect(adopted).to.deep.include({ outcome: "kept", leader: c });
        expect(adopted?.since).to.match(/^2026-11-23T06:00/);
        const stripped = world.lines.filter(({ entry }) => entry?.outcome === "stripped");
        expect(only(stripped).entry).to.deep.include({ demoted: [orphan], dryRun: true });
    });

    dryRule("metrics say what is: leaderless groups are vacant, and no change is counted", async (world) => {
        const { region, fleet } = world;
        fleet.addGroup("awseb-vacant", 2);
        region.addInstance("awseb-none-fit", unhealthy);
        region.addInstance("awseb-ended", leading(atFive, { state: "terminated" }));
        region.addInstance("awseb-ended");
        region.addGroup("awseb-empty");
        region.addGroup("awseb-unwanted").desired = 0;
        region.addInstance("awseb-unwanted");
        addMembers(world, { [a]: leading(atFive) }, "awseb-led");
        addMembers(world, { [b]: leading(atFive, standby), [c]: {} }, "awseb-unfit");
        region.addInstance("awseb-vetoed", leading(atFive, vetoed));
        region.addInstance("awseb-contested", leading(atFour));
        region.addInstance("awseb-contested", leading(atFive));
        const counts = { VacantGroups: [3], ContestedGroups: [1], FailedElections: [0] };
        expect(await measuredDuring(world, () => sweep(world))).to.deep.equal(counts);
        expect(await measuredDuring(world, () => sweep(world))).to.deep.equal(counts);
        const event = eventOf(world, "launch-successful", b, "awseb-unfit");
        expect(await measuredDuring(world, () => receive(world, event))).to.deep.equal({});
    });

    dryRule("a group whose leader loses its tag again and again is vacant, and not one that flaps", async (world) => {
        addMembers(world, { [a]: {}, [b]: {} });
        const measured = await measuredDuring(world, async () => {
            for (let times = 0; times < 4; times++) {
                world.region.setTags(a, leading(atFive).tags ?? {});
                await world.stack.settle();
                world.region.setTags(a, { [tagKey]: undefined });
                await world.stack.settle();
            }
            await sweep(world);
        });
        expect(measured).to.deep.equal({ VacantGroups: [1], ContestedGroups: [0], FailedElections: [0] });
    });
});
