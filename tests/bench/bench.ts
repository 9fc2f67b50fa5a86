// What elections cost, by the packaged function in a process of its own: `npm run bench` prints it.
import { availableParallelism } from "node:os";
import { deflateRawSync } from "node:zlib";
import { type BusEvent, scalingEvent, stateEvent, sweepEvent } from "../simulator/aws/events";
import type { Program } from "../simulator/stack/program";
import { type Container, evaluateProgram, startContainerProcess } from "./container";
import { BenchEndpoint, type Scene, scope } from "./endpoint";

/** Something that the function is told of, and what it finds. */
interface Case {
    name: string;
    scene: Scene;
    event: BusEvent;
    /** Of every group. */
    outcome: "kept" | "elected";
    /** Calls that must follow each other, whoever makes them. */
    unavoidable: number;
}

const callMillis = 20;
// So long that a slow machine has asked everything that it can ask at once before the first answer comes.
const countingMillis = 150;
const warmUps = 10;
const repetitions = { most: 11, least: 3, millis: 1000 };
const freshProcesses = 3;

const idOf = (place: number) => `i-${place.toString(16).padStart(17, "0")}`;

function members(size: number, first = 1) {
    return Array.from({ length: size }, (_, place) => ({ id: idOf(first + place), lifecycleState: "InService" }));
}

function groupCases(size: number): Case[] {
    const group = `${scope.asgPrefix}shop`;
    const old = idOf(0);
    const about = (sample: string) => scalingEvent(sample, Date.now(), group, old);
    const fit = members(size);
    return [
        {
            name: `${count(size, "member")}, leader kept`,
            scene: {
                groups: [{ name: group, members: fit }],
                leaders: [{ id: fit[0].id, group, state: "running" }],
            },
            event: about("terminate-successful"),
            outcome: "kept",
            unavoidable: 1,
        },
        {
            name: `${count(size, "member")}, leader dead`,
            scene: { groups: [{ name: group, members: fit }], leaders: [{ id: old, group, state: "terminated" }] },
            event: about("terminate-successful"),
            outcome: "elected",
            unavoidable: 3,
        },
        {
            name: `${count(size, "member")}, leader leaving: hand-over`,
            scene: {
                groups: [{ name: group, members: [...fit, { id: old, lifecycleState: "Terminating:Wait" }] }],
                leaders: [{ id: old, group, state: "running" }],
            },
            event: about("terminate-lifecycle-action"),
            outcome: "elected",
            unavoidable: 4,
        },
    ];
}

// The events that name no group: EC2's, of every instance in the region.
function departureCases(): Case[] {
    const group = `${scope.asgPrefix}shop`;
    const old = idOf(0);
    const event = stateEvent(Date.now(), old, "shutting-down");
    const leaders = [{ id: old, group, state: "shutting-down" }];
    return [
        {
            name: "an instance shuts down that leads no group",
            scene: { groups: [], leaders: [] },
            event,
            outcome: "kept",
            unavoidable: 1,
        },
        {
            name: "3 members, leader shuts down",
            scene: { groups: [{ name: group, members: members(3) }], leaders },
            event,
            outcome: "elected",
            unavoidable: 4,
        },
    ];
}

function sweepCases(size: number): Case[] {
    const groups = Array.from({ length: size }, (_, place) => ({
        name: `${scope.asgPrefix}shop-${place}`,
        members: members(3, 3 * place),
    }));
    const pages = Math.ceil(size / 100); // each page's request needs the page before
    const leaders = groups.map((group) => ({ id: group.members[0].id, group: group.name, state: "running" }));
    const name = `sweep over ${count(size, "group")} of 3`;
    const event = sweepEvent(Date.now());
    return [
        { name: `${name}, settled`, scene: { groups, leaders }, event, outcome: "kept", unavoidable: pages },
        { name: `${name}, vacant`, scene: { groups, leaders: [] }, event, outcome: "elected", unavoidable: pages + 2 },
    ];
}

/** Holds an election, and sees to it that it came out as it should. */
async function elect(container: Container, endpoint: BenchEndpoint, { name, scene, event, outcome }: Case) {
    endpoint.show(scene);
    const { reports, millis, cpuMillis } = await container.run([event]);
    const other = reports.find((report) => report.outcome !== outcome);
    if (other || reports.length !== scene.groups.length) {
        throw new Error(`${name}: ${reports.length} elections, ${JSON.stringify(other)}`);
    }
    return { millis, cpuMillis };
}

async function measureCases(endpoint: BenchEndpoint, { functionText }: Program): Promise<string[][]> {
    const container = await startContainerProcess(functionText);
    for (let run = 0; run < warmUps; run++) {
        for (const each of groupCases(3)) {
            await elect(container, endpoint, each);
        }
    }
    const rows: string[][] = [];
    const cases = [...[1, 3, 100, 1000].flatMap(groupCases), ...departureCases(), ...[1, 50, 500].flatMap(sweepCases)];
    for (const each of cases) {
        rows.push(await measureCase(container, endpoint, each));
    }
    await container.stop();
    return rows;
}

async function measureCase(container: Container, endpoint: BenchEndpoint, each: Case): Promise<string[]> {
    endpoint.callMillis = countingMillis;
    await elect(container, endpoint, each);
    const counts = [endpoint.calls.length, endpoint.roundTrips(), each.unavoidable];

    endpoint.callMillis = callMillis;
    const runs: Awaited<ReturnType<typeof elect>>[] = [];
    const start = performance.now();
    const { most, least, millis } = repetitions;
    while (runs.length < least || (runs.length < most && performance.now() < start + millis)) {
        runs.push(await elect(container, endpoint, each));
    }
    const ratio = median(runs.map((run) => run.millis)) / (each.unavoidable * callMillis);
    const cpu = median(runs.map((run) => run.cpuMillis));
    return [each.name, ...counts.map(String), ratio.toFixed(2), `${cpu.toFixed(0)} ms`];
}

async function measureFreshContainers(endpoint: BenchEndpoint, { functionText }: Program): Promise<string[][]> {
    const [, deadLeader] = groupCases(3);
    const [, largestSweep] = sweepCases(500);
    const seen: { load: number; first: number; second: number; peak: number; sweepPeak: number }[] = [];
    for (let fresh = 0; fresh < freshProcesses; fresh++) {
        const container = await startContainerProcess(functionText);
        const { millis: first } = await elect(container, endpoint, deadLeader);
        const { millis: second } = await elect(container, endpoint, deadLeader);
        const peak = await container.peakMegabytes();
        await elect(container, endpoint, largestSweep);
        const sweepPeak = await container.peakMegabytes();
        seen.push({ load: container.loadMillis, first, second, peak, sweepPeak });
        await container.stop();
    }
    const middle = (key: keyof (typeof seen)[number]) => median(seen.map((one) => one[key]));
    return [
        ["load of the function's text, with the SDK", `${middle("load").toFixed(0)} ms`],
        ["first election (3 members, leader dead)", `${middle("first").toFixed(0)} ms`],
        ["second election", `${middle("second").toFixed(0)} ms`],
        ["peak memory after them, Node.js included", `${middle("peak").toFixed(0)} MB`],
        ["peak memory after a sweep over 500 vacant groups", `${middle("sweepPeak").toFixed(0)} MB`],
    ];
}

/** The size of a zip archive with one file in it. */
function archiveSize({ members: [name, ...others], functionText }: Program): number {
    if (others.length > 0) {
        throw new Error(`the archive has other files: ${others}`);
    }
    return 30 + 46 + 22 + 2 * name.length + deflateRawSync(functionText).length; // two headers and an end
}

const count = (size: number, what: string) => `${size.toLocaleString("en")} ${what}${size === 1 ? "" : "s"}`;

const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;

function median(numbers: number[]): number {
    return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function table(head: string[], rows: string[][]): string {
    const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
    const padded = (cell: string, column: number) =>
        column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
    const line = (cells: string[]) => `| ${cells.map(padded).join(" | ")} |`;
    const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
    return [line(head), line(rule), ...rows.map(line)].join("\n");
}

async function main(): Promise<void> {
    const programs: Awaited<ReturnType<typeof evaluateProgram>>[] = [];
    for (let fresh = 0; fresh < freshProcesses; fresh++) {
        programs.push(await evaluateProgram(scope));
    }
    const [program] = programs;
    const endpoint = new BenchEndpoint();
    await endpoint.open();
    try {
        const elections = await measureCases(endpoint, program);
        const containers = await measureFreshContainers(endpoint, program);
        const evaluation = median(programs.map(({ millis }) => millis)) / 1000;
        console.log(table(["election", "calls", "round trips", "unavoidable", "time", "CPU"], elections));
        console.log(`
Calls and round trips are the same on every machine. Time and CPU are medians in a warm container and depend on it: time
is a multiple of what the unavoidable round trips take at ${callMillis} ms a call, over HTTP without TLS.
`);
        const sizes = [
            ["archive", kilobytes(archiveSize(program))],
            ["the function's text in it", kilobytes(Buffer.byteLength(program.functionText))],
        ];
        const evaluations = [["evaluation of the Pulumi program", `${evaluation.toFixed(1)} s`]];
        console.log(table(["packaged function", ""], [...sizes, ...containers, ...evaluations]));
        console.log(`
Sizes are the same on every machine. Times and memory depend on it and are medians of ${freshProcesses} fresh
processes, here with Node.js ${process.version} on ${process.arch}, ${count(availableParallelism(), "core")}.`);
    } finally {
        endpoint.close();
    }
}

main();
