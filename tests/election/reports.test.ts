// What the function reports: a line of JSON for an election, and metrics in lines that CloudWatch recognizes.
import { expect } from "chai";
import { scalingEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { loggedAt, writesIn } from "../simulator/changes";
import type { Line } from "../simulator/clock";
import { firstOf, firstTwo, only } from "../simulator/lists";
import {
    a,
    addMembers,
    atFive,
    atFour,
    b,
    c,
    denied,
    eventOf,
    inPermittedWorld,
    leadersOf,
    leading,
    programWith,
    receive,
    receiveTogether,
    rule,
    shop,
    start,
    sweep,
    tagKey,
    untag,
} from "../simulator/scenario";
import { type Program, project } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

interface Metric {
    namespace: string;
    name: string;
    dimensions: Record<string, string>;
    value: number;
}

/**
 * What CloudWatch makes of the lines: throws if one is not as it must be.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
function metricsOf(lines: Line[]): Metric[] {
    return lines
        .filter(({ level }) => level === "stdout")
        .flatMap(({ entry }) => {
            expect(entry, "one line").to.match(/^[^\n]+\n$/);
            const line = JSON.parse(entry);
            expect(Number.isInteger(line._aws.Timestamp)).to.equal(true);
            return line._aws.CloudWatchMetrics.flatMap((directive: Directive) => {
                const { Namespace, Dimensions, Metrics } = directive;
                expect(directive).to.have.all.keys("Namespace", "Dimensions", "Metrics");
                expect(Namespace).to.match(/^[^:].{0,1023}$/);
                expect(Dimensions).to.not.be.empty;
                expect(Metrics).to.have.length.within(1, 100);
                return Dimensions.flatMap((keys) => {
                    expect(keys).to.have.length.at.most(30);
                    const dimensions = Object.fromEntries(keys.map((key) => [key, textOf(line, key)]));
                    return Metrics.map(({ Name: name, Unit = "Count", ...rest }) => {
                        expect(name).to.have.length.within(1, 1024);
                        expect(["Count", "Milliseconds"]).to.include(Unit);
                        expect([{}, { StorageResolution: 1 }, { StorageResolution: 60 }]).to.deep.include(rest);
                        return { namespace: Namespace, name, dimensions, value: numberOf(line, name) };
                    });
                });
            });
        });
}

interface Directive {
    Namespace: string;
    Dimensions: string[][];
    Metrics: { Name: string; Unit?: string }[];
}

function textOf(line: Record<string, unknown>, key: string): string {
    expect(key).to.have.length.within(1, 250);
    expect(line[key], key).to.be.a("string").with.length.within(1, 1024);
    expect(line[key], key).to.match(/^[^:\s][ -~]*$/);
    return line[key] as string;
}

function numberOf(line: Record<string, unknown>, key: string): number {
    expect(line[key], key).to.be.a("number");
    return line[key] as number;
}

describe("An election reports", () => {
    const launched = "EC2 Instance Launch Successful";
    const electionLines = ({ lines }: World) => lines.filter(({ entry }) => entry?.group !== undefined);

    rule("what an event caused in one JSON object at info, and returns the same", async (world) => {
        addMembers(world, {
            [a]: { ...leading(atFive), lifecycleState: "Standby" },
            [b]: { load: 10 },
            [c]: { load: 30 },
        });
        await receive(world, eventOf(world, "launch-successful", b));
        const { level, entry } = firstOf(electionLines(world));
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
    });

    rule("what an event found in order at info", async (world) => {
        addMembers(world, { [a]: leading(atFive) });
        await receive(world, eventOf(world, "launch-successful", a));
        const { level, entry } = only(electionLines(world));
        expect(level).to.equal("info");
        expect(entry).to.deep.include({
            group: shop,
            outcome: "kept",
            leader: a,
            candidates: [a],
            leaders: [a],
            demoted: [],
            triggers: [launched],
        });
        expect(entry.reason).to.be.a("string").that.is.not.empty;
    });

    rule("every kind of event that asked for the election, and each group once", async (world) => {
        addMembers(world, { [a]: { ...leading(atFive), state: "shutting-down" }, [b]: {} });
        const reports = await receiveTogether(world, [
            scalingEvent("launch-successful", start, shop, b),
            scalingEvent("launch-successful", start + 1000, shop, b),
            scalingEvent("terminate-successful", start, shop, a),
            tagEvent(start, a, [tagKey], world.region.tags(a)),
            stateEvent(start, a, "shutting-down"),
        ]);
        expect(reports.map(({ group }) => group)).to.deep.equal([shop]);
        expect(firstOf(reports).triggers).to.have.members([
            launched,
            "EC2 Instance Terminate Successful",
            "Tag Change on Resource",
            "EC2 Instance State-change Notification",
        ]);
        expect(leadersOf(world)).to.deep.equal([b]);
    });

    rule("of a sweep what it changed at info, and the rest at debug", async (world) => {
        addMembers(world, { [a]: {} });
        world.region.addInstance("awseb-blog", leading(atFive));
        world.region.addGroup("awseb-empty");
        world.region.addInstance("awseb-vacant", { lifecycleState: "Standby" });
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

    rule("at warn, in each sweep, that no group has the prefix, with the prefix and the region", async (world) => {
        world.fleet.addGroup("shop", 1);
        process.env.AWS_REGION = "eu-west-1";
        await sweep(world);
        await sweep(world);
        const warnings = loggedAt("warn", world);
        const warning = {
            message: "no group's name begins with the prefix",
            about: { asgPrefix: "awseb-", region: "eu-west-1" },
        };
        expect(warnings).to.deep.equal([warning, warning]);
    });

    rule("a failure at error", async (world) => {
        addMembers(world, { [a]: {} });
        world.region.fault = ({ action }) => (action === "ec2:CreateTags" ? { error: denied } : undefined);
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
    const stack = `${project}/dev`;
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    async function sweep({ stack: deployed, lines }: World): Promise<Metric[]> {
        const before = lines.length;
        deployed.sweep();
        await deployed.settle();
        return metricsOf(lines.slice(before));
    }

    const ofStack = (metrics: Metric[]) =>
        Object.fromEntries(
            metrics
                .filter(({ dimensions }) => Object.keys(dimensions).join() === "Stack")
                .map(({ name, value }) => [name, value]),
        );

    rule("every sweep: how many groups are vacant, contested or failed", async (world) => {
        const { fleet, region } = world;
        fleet.addGroup("awseb-fine", 2);
        fleet.addGroup("awseb-empty", 0);
        region.addInstance("awseb-vacant", { healthStatus: "Unhealthy" });
        for (const since of ["2026-11-23T05:00:00.000Z", "2026-11-23T04:00:00.000Z"]) {
            const tags = { "app:isLeader": "true", "app:isLeader:since": since };
            region.addInstance("awseb-contested", { tags });
        }
        const refused = region.addInstance("awseb-failed");
        region.fault = ({ action, input }) =>
            action === "ec2:CreateTags" && input.Resources.includes(refused)
                ? { error: awsError("UnauthorizedOperation", "no", 403) }
                : undefined;
        fleet.addGroup("foreign", 2);
        const metrics = await sweep(world);
        expect(ofStack(metrics)).to.deep.equal({
            VacantGroups: 1,
            ContestedGroups: 1,
            FailedElections: 1,
            LeaderChanges: 1,
        });
        for (const metric of metrics) {
            expect(metric.namespace).to.equal("AsgLeaderElection");
            expect(metric.dimensions.Stack).to.equal(stack);
        }
        expect(ofStack(await sweep(world))).to.include({ VacantGroups: 1, ContestedGroups: 0 });
    });

    rule("every sweep of a region without groups", async (world) => {
        expect(ofStack(await sweep(world))).to.deep.equal({
            VacantGroups: 0,
            ContestedGroups: 0,
            FailedElections: 0,
        });
    });

    rule("every change, by stack and by group, and nothing when nothing changes", async (world) => {
        const { fleet, region, stack: deployed, lines, timeline } = world;
        fleet.addGroup("awseb-shop", 3);
        const changes = (metrics: Metric[]) => metrics.filter(({ name }) => name === "LeaderChanges");
        expect(changes(await sweep(world))).to.deep.equal([
            { namespace: "AsgLeaderElection", name: "LeaderChanges", dimensions: { Stack: stack }, value: 1 },
            {
                namespace: "AsgLeaderElection",
                name: "LeaderChanges",
                dimensions: { Stack: stack, Group: "awseb-shop" },
                value: 1,
            },
        ]);
        expect(changes(await sweep(world))).to.deep.equal([]);
        const before = lines.length;
        fleet.crash(firstOf(region.leaders("awseb-shop", "app:isLeader")));
        await timeline.pass(2000);
        await deployed.settle();
        expect(metricsOf(lines.slice(before)).map(({ name }) => name)).to.deep.equal(
            ["LeaderChanges", "LeaderChanges", "ElectionDelay"],
            "an event is no sweep",
        );
    });

    rule("how many groups a sweep has looked at in the line only, which costs nothing", async (world) => {
        world.fleet.addGroup("awseb-shop", 1);
        world.fleet.addGroup("awseb-blog", 0);
        await sweep(world);
        const [line] = world.lines.flatMap(({ level, entry }) => (level === "stdout" ? [JSON.parse(entry)] : []));
        const sweeps = world.lines.filter(({ entry }) => String(entry).includes("VacantGroups"));
        expect(JSON.parse(firstOf(sweeps).entry).Groups).to.equal(2);
        expect(JSON.stringify(line._aws)).to.not.contain('"Groups"');
    });

    rule("a loss that only the sweep found, and none that an event reported", async (world) => {
        const { fleet, region, stack: deployed, timeline } = world;
        fleet.addGroup("awseb-shop", 3);
        await sweep(world);
        const { fate } = deployed;
        deployed.fate = () => [];
        fleet.crash(firstOf(region.leaders("awseb-shop", tagKey)));
        await timeline.pass(2000);
        expect(ofStack(await sweep(world))).to.include({ SweptLosses: 1, LeaderChanges: 1 });
        deployed.fate = fate;
        fleet.crash(firstOf(region.leaders("awseb-shop", tagKey)));
        await timeline.pass(2000);
        expect(ofStack(metricsOf(world.lines.slice(-4)))).to.include({ LeaderChanges: 1 });
        expect(ofStack(await sweep(world))).to.not.have.any.keys("SweptLosses", "LeaderChanges");
    });

    rule(
        "a group whose leader lost its tag while it was fit, and none whose leader ended or may not lead",
        async (world) => {
            const { fleet, region, timeline, lines } = world;
            fleet.addGroup("awseb-shop", 3);
            await sweep(world);
            const flapping = async (happens: (leader: string) => void) => {
                const before = lines.length;
                happens(firstOf(region.leaders("awseb-shop", tagKey)));
                await timeline.pass(60_000);
                expect(region.leaders("awseb-shop", tagKey)).to.have.length(1);
                return ofStack(metricsOf(lines.slice(before))).FlappingGroups;
            };
            expect(await flapping((leader) => fleet.crash(leader))).to.equal(undefined);
            expect(await flapping((leader) => region.setTags(leader, { [tagKey]: undefined }))).to.equal(1);
            expect(
                await flapping((leader) =>
                    region.setTags(leader, { [tagKey]: undefined, [`${tagKey}:eligible`]: "false" }),
                ),
            ).to.equal(undefined);
        },
    );

    rule("the delay from an event to the tag, beside the ids of at most ten events", async (world) => {
        addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
        const caused = world.timeline.now;
        const events = Array.from({ length: 8 }, () => eventOf(world, "terminate-unsuccessful", b));
        const report = only(await receiveTogether(world, events));
        const { start: sent } = firstOf(world.region.calls.filter(({ action }) => action === "ec2:CreateTags"));
        expect(leadersOf(world)).to.deep.equal([b]);
        expect(report.events).to.deep.equal(events.map(({ id }) => id));
        expect(report.delay).to.equal(sent - caused);
        const delays = metricsOf(world.lines).filter(({ name }) => name === "ElectionDelay");
        expect(delays.map(({ value }) => value)).to.deep.equal([report.delay]);
    });

    rule("groups whose leader changes too often, for as long as they need one", async (world) => {
        addMembers(world, { [a]: {}, [b]: {}, [c]: {} });
        await sweep(world);
        for (let change = 0; change < 4; change++) {
            await world.timeline.pass(2000);
            for (const id of leadersOf(world)) {
                untag(world, id);
            }
            await world.stack.settle();
        }
        expect(leadersOf(world)).to.deep.equal([]);
        const flapping = metricsOf(world.lines).filter(({ name }) => name === "FlappingGroups");
        expect(flapping.map(({ value }) => value)).to.include(1);
    });

    it("groups whatever they are called", async () => {
        const printable = Array.from({ length: 0x7f - 0x20 }, (_, place) => String.fromCharCode(0x20 + place)).join("");
        await inWorld(program, async (world) => {
            const group = `awseb-${printable.replace(":", "")}`;
            world.fleet.addGroup(group, 1);
            const groups = (await sweep(world)).flatMap(({ dimensions }) => dimensions.Group ?? []);
            expect(groups).to.deep.equal([group]);
        });
    });
});

describe("With dryRun", () => {
    async function inTrial(act: (world: World) => Promise<void>): Promise<void> {
        const program = await programWith({ dryRun: "true", protectLeader: "true" });
        await inPermittedWorld(program, async (world) => {
            await act(world);
            expect(writesIn(world.region.calls)).to.deep.equal([]);
        });
    }

    it("reports say what would be written, and nothing is", () =>
        inTrial(async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
            addMembers(world, { [c]: leading() }, "awseb-adopted");
            const orphan = world.region.addInstance(undefined, leading(atFive));
            const before = [...world.region.instances.keys()].map((id) => world.region.tags(id));
            world.stack.sweep();
            await world.stack.settle();
            await receive(world, eventOf(world, "terminate-unsuccessful", b));
            const [{ reports }, again] = firstTwo(world.stack.invocations);
            expect(reports.every(({ dryRun }) => dryRun === true)).to.equal(true);
            for (const report of [reports.find(({ group }) => group === shop), again.reports[0]]) {
                expect(report).to.deep.include({ outcome: "elected", leader: b, formerLeader: a, demoted: [a] });
            }
            const adopted = reports.find(({ group }) => group === "awseb-adopted");
            expect(adopted).to.deep.include({ outcome: "kept", leader: c });
            expect(adopted?.since).to.match(/^2026-11-23T06:00/);
            const stripped = world.lines.filter(({ entry }) => entry?.outcome === "stripped");
            expect(only(stripped).entry).to.deep.include({ demoted: [orphan], dryRun: true });
            expect([...world.region.instances.keys()].map((id) => world.region.tags(id))).to.deep.equal(before);
        }));

    it("metrics say what is: groups without a leader are vacant in each sweep, and no change is counted", () =>
        inTrial(async (world) => {
            const { region } = world;
            world.fleet.addGroup("awseb-vacant", 2);
            region.addInstance("awseb-none-fit", { healthStatus: "Unhealthy" });
            region.addInstance("awseb-ended", { ...leading(atFive), state: "terminated" });
            region.addInstance("awseb-ended");
            region.addGroup("awseb-empty");
            addMembers(world, { [a]: leading(atFive) }, "awseb-led");
            addMembers(world, { [b]: { ...leading(atFive), lifecycleState: "Standby" } }, "awseb-unfit");
            region.addInstance("awseb-unfit");
            const vetoed = { ...leading(atFive).tags, [`${tagKey}:eligible`]: "false" };
            region.addInstance("awseb-vetoed", { tags: vetoed });
            region.addInstance("awseb-contested", leading(atFour));
            region.addInstance("awseb-contested", leading(atFive));
            await sweep(world);
            await sweep(world);
            await receive(world, eventOf(world, "launch-successful", b, "awseb-unfit"));
            const counts = metricsOf(world.lines).map(({ name, value }) => [name, value]);
            const ofOneSweep = [
                ["VacantGroups", 3],
                ["ContestedGroups", 1],
                ["FailedElections", 0],
            ];
            expect(counts).to.deep.equal([...ofOneSweep, ...ofOneSweep]);
        }));

    it("a group whose leader loses its tag again and again is vacant, and not one that flaps", () =>
        inTrial(async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            for (let times = 0; times < 4; times++) {
                world.region.setTags(a, leading(atFive).tags ?? {});
                await world.stack.settle();
                world.region.setTags(a, { [tagKey]: undefined });
                await world.stack.settle();
            }
            await sweep(world);
            const counts = Object.fromEntries(metricsOf(world.lines).map(({ name, value }) => [name, value]));
            expect(counts).to.deep.equal({ VacantGroups: 1, ContestedGroups: 0, FailedElections: 0 });
        }));
});
