// What the packaged function tells CloudWatch: metrics in log lines that CloudWatch recognizes.
import Ajv from "ajv";
import { expect } from "chai";
import { awsError } from "../simulator/aws/faults";
import type { Line } from "../simulator/clock";
import { type Program, project, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
const name = (maxLength: number) => ({ type: "string", minLength: 1, maxLength });
const metricDirective = {
    type: "object",
    required: ["Namespace", "Dimensions", "Metrics"],
    properties: {
        Namespace: { ...name(1024), pattern: "^[^:].*$" },
        Dimensions: { type: "array", minItems: 1, items: { type: "array", maxItems: 30, items: name(250) } },
        Metrics: {
            type: "array",
            minItems: 1,
            maxItems: 100,
            items: {
                type: "object",
                required: ["Name"],
                properties: { Name: name(1024), Unit: { enum: ["Count"] }, StorageResolution: { enum: [1, 60] } },
                additionalProperties: false,
            },
        },
    },
    additionalProperties: false,
};
const isEmbeddedMetrics = new Ajv().compile({
    type: "object",
    required: ["_aws"],
    properties: {
        _aws: {
            type: "object",
            required: ["Timestamp", "CloudWatchMetrics"],
            properties: {
                Timestamp: { type: "integer" },
                CloudWatchMetrics: { type: "array", items: metricDirective },
            },
        },
    },
});

interface Metric {
    namespace: string;
    name: string;
    dimensions: Record<string, string>;
    value: number;
}

/** What CloudWatch makes of the lines: throws if one is not as it must be. */
function metricsOf(lines: Line[]): Metric[] {
    return lines
        .filter(({ level }) => level === "stdout")
        .flatMap(({ entry }) => {
            expect(entry, "one line").to.match(/^[^\n]+\n$/);
            const line = JSON.parse(entry);
            expect(isEmbeddedMetrics(line), JSON.stringify(isEmbeddedMetrics.errors)).to.equal(true);
            return line._aws.CloudWatchMetrics.flatMap(({ Namespace, Dimensions, Metrics }: Directive) =>
                Dimensions.flatMap((keys) =>
                    Metrics.map((metric) => ({
                        namespace: Namespace,
                        name: metric.Name,
                        dimensions: Object.fromEntries(keys.map((key) => [key, textOf(line, key)])),
                        value: numberOf(line, metric.Name),
                    })),
                ),
            );
        });
}

interface Directive {
    Namespace: string;
    Dimensions: string[][];
    Metrics: { Name: string }[];
}

function textOf(line: Record<string, unknown>, key: string): string {
    expect(line[key], key).to.be.a("string").with.length.within(1, 1024);
    expect(line[key], key).to.match(/^[^:\s][ -~]*$/);
    return line[key] as string;
}

function numberOf(line: Record<string, unknown>, key: string): number {
    expect(line[key], key).to.be.a("number");
    return line[key] as number;
}

describe("The packaged function measures", () => {
    const stack = `${project}/dev`;
    let program: Program;
    before(async () => {
        program = await runProgram();
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

    it("every sweep: groups, and how many are vacant, contested or failed", async () => {
        await inWorld(program, async (world) => {
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
                Groups: 5,
                VacantGroups: 1,
                ContestedGroups: 1,
                FailedElections: 1,
                LeaderChanges: 1,
            });
            for (const metric of metrics) {
                expect(metric.namespace).to.equal("AsgLeaderElection");
                expect(metric.dimensions.Stack).to.equal(stack);
            }
            expect(ofStack(await sweep(world))).to.include({ Groups: 5, VacantGroups: 1, ContestedGroups: 0 });
        });
    });

    it("every sweep of a region without groups", async () => {
        await inWorld(program, async (world) => {
            expect(ofStack(await sweep(world))).to.deep.equal({
                Groups: 0,
                VacantGroups: 0,
                ContestedGroups: 0,
                FailedElections: 0,
            });
        });
    });

    it("every change, by stack and by group, and nothing when nothing changes", async () => {
        await inWorld(program, async (world) => {
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
            fleet.crash(region.leaders("awseb-shop", "app:isLeader")[0]);
            await timeline.pass(2000);
            await deployed.settle();
            expect(metricsOf(lines.slice(before)).map(({ name }) => name)).to.deep.equal(
                ["LeaderChanges", "LeaderChanges"],
                "an event is no sweep",
            );
        });
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
