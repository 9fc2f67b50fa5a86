// `npm run bench`: what elections, sweeps and floods of events cost, by the packaged function in a process of its own.
// Fails if a sweep takes more than half of the function's time at the CPU share that its memory gives it in Lambda.
import { availableParallelism } from "node:os";
import { deflateRawSync } from "node:zlib";
import { pointSdkAt } from "../simulator/aws/endpoint";
import { AwsServer } from "../simulator/aws/http";
import { Region } from "../simulator/aws/region";
import { roundTripsIn } from "../simulator/changes";
import { Timeline } from "../simulator/clock";
import { readCommandLine, UsageError } from "../simulator/command-line";
import { firstOf, firstTwo, found } from "../simulator/lists";
import type { Program } from "../simulator/stack/program";
import { wiringOf } from "../simulator/stack/registered";
import { type Container, evaluateProgram, startContainerProcess } from "./container";
import { measureLooks } from "./looks";
import { type Case, count, departureCases, foreignDepartures, groupCases, scope, sweepCase } from "./scenes";

const help = `Usage: npm run bench -- [options]

Measures the packaged function against a stand-in for AWS on this machine, and prints tables for tests/README.md.
Takes about four minutes. Needs no AWS account.

Options:
  --only PART  elections, sweeps, flood, package or looks (of leader-while); may be repeated
  -h, --help   this text

Exit status: 0 if every sweep stays within half of the function's time, 1 if one doesn't, 2 if an option is not allowed.
`;

const parts = ["elections", "sweeps", "flood", "package", "looks"];

const callMillis = 20;
// So long that a slow machine has asked everything that it can ask at once before the first answer comes.
const countingMillis = 150;
const warmUps = 10;
const repetitions = { most: 11, least: 3, millis: 1000 };
const freshProcesses = 3;
const workerEverySeconds = 5; // the default of leader-while
const fullShareMegabytes = 1769; // https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const mostOfTime = 0.5;
// A busy machine must not cut a sweep short: what counts is its CPU.
const patience = { timeoutSeconds: 60 };
const pollerCalls = 2; // Lambda receives a batch from the queue, and deletes it
const flood = { events: 10_000, batch: 10 };

/** The program that is measured, and the stand-in that its function calls. */
interface Subject {
    program: Program;
    aws: AwsServer;
    timeoutSeconds: number;
    /** The part of a processor that Lambda gives the function. */
    share: number;
}

/** Runs a case in a container; throws if the region is not in order afterwards. */
async function elect(
    container: Container,
    { aws }: Subject,
    { name, region: newRegion, event, outcome, groups }: Case,
) {
    const region = newRegion();
    aws.show(region);
    const { reports, millis, cpuMillis } = await container.run([event]);
    const other = reports.find((report) => report.outcome !== outcome);
    const amiss = groups.find((group) => region.leaders(group, scope.tagKey).length !== 1);
    if (other || amiss || reports.length !== groups.length) {
        throw new Error(`${name}: ${reports.length} reports, ${JSON.stringify(other)}, not one leader: ${amiss}`);
    }
    return { millis, cpuMillis };
}

async function measureElections(subject: Subject): Promise<string> {
    const container = await startContainerProcess(subject.program.functionText, patience);
    for (let run = 0; run < warmUps; run++) {
        for (const each of groupCases(3)) {
            await elect(container, subject, each);
        }
    }
    const rows: string[][] = [];
    const sweeps = [1, 50, 500].flatMap((size) => [sweepCase(size, 3, true), sweepCase(size, 3, false)]);
    const named = sweeps.map((each) => ({ ...each, name: `sweep over ${each.name}` }));
    for (const each of [...[1, 3, 100, 1000].flatMap(groupCases), ...departureCases(), ...named]) {
        rows.push(await measureElection(container, subject, each));
    }
    await container.stop();
    return `${table(["election", "calls", "round trips", "unavoidable", "time", "CPU"], rows)}

Calls and round trips are the same on every machine. Time and CPU are medians in a warm container and depend on it: time
is a multiple of what the unavoidable round trips take at ${callMillis} ms a call, over HTTP without TLS.`;
}

async function measureElection(container: Container, subject: Subject, each: Case): Promise<string[]> {
    const { aws } = subject;
    aws.latency = countingMillis;
    await elect(container, subject, each);
    const counts = [aws.calls.length, roundTripsIn(aws.calls), each.unavoidable];

    aws.latency = callMillis;
    const runs: Awaited<ReturnType<typeof elect>>[] = [];
    const start = performance.now();
    const { most, least, millis } = repetitions;
    while (runs.length < least || (runs.length < most && performance.now() < start + millis)) {
        runs.push(await elect(container, subject, each));
    }
    const ratio = median(runs.map((run) => run.millis)) / (each.unavoidable * callMillis);
    const cpu = median(runs.map((run) => run.cpuMillis));
    return [each.name, ...counts.map(String), ratio.toFixed(2), `${cpu.toFixed(0)} ms`];
}

/** Sweeps by containers that have just started; and whether each stays within its part of the function's time. */
async function measureSweeps(subject: Subject): Promise<{ text: string; inTime: boolean }> {
    const { aws, program, timeoutSeconds, share } = subject;
    const cases = [
        sweepCase(500, 3, true),
        sweepCase(500, 3, false),
        sweepCase(500, 20, true),
        sweepCase(500, 20, false),
        sweepCase(20, 3, false, { groups: 480, size: 50 }),
    ];
    aws.latency = callMillis;
    const rows: string[][] = [];
    let inTime = true;
    for (const each of cases) {
        const cpu: number[] = [];
        for (let fresh = 0; fresh < freshProcesses; fresh++) {
            const container = await startContainerProcess(program.functionText, patience);
            cpu.push((await elect(container, subject, each)).cpuMillis / 1000);
            await container.stop();
        }
        const seconds = median(cpu) / share;
        inTime &&= seconds <= mostOfTime * timeoutSeconds;
        const part = `${((100 * seconds) / timeoutSeconds).toFixed(0)} %`;
        rows.push([
            each.name,
            String(aws.calls.length),
            `${median(cpu).toFixed(2)} s`,
            `${seconds.toFixed(2)} s`,
            part,
        ]);
    }
    const head = ["first sweep of a container", "calls", "CPU", "at Lambda's share", "of its time"];
    const text = `${table(head, rows)}

CPU is the median of ${freshProcesses} fresh processes, without the load of the SDK. Lambda's share is ${share.toFixed(2)} of a processor, by the
function's memory; its time is the timeout of ${timeoutSeconds} s, of which a sweep may take ${100 * mostOfTime} %.`;
    return { text, inTime };
}

/** What a flood of events costs that are about no instance of ours, and how long the election behind it waits. */
async function measureFlood(subject: Subject): Promise<string> {
    const { aws, program, share } = subject;
    const [, ours] = firstTwo(departureCases());
    aws.latency = callMillis;
    const container = await startContainerProcess(program.functionText, { ...patience, pauseSeconds: 0 });
    const region = ours.region();
    aws.show(region);
    const batches = flood.events / flood.batch;
    const runs: { millis: number; cpuMillis: number }[] = [];
    for (let batch = 0; batch < batches; batch++) {
        const { millis, cpuMillis, reports } = await container.run(foreignDepartures(batch, flood.batch));
        if (reports.length > 0) {
            throw new Error(`an election about foreign instances: ${JSON.stringify(reports)}`);
        }
        runs.push({ millis, cpuMillis });
    }
    const callsPerBatch = aws.calls.length / batches;
    await elect(container, subject, ours);
    const peak = await container.peakMegabytes();
    await container.stop();
    const total = runs.reduce((sum, { millis }) => sum + millis, 0);
    const cpu = runs.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0) / batches;
    // The CPU beyond what was measured that a smaller share would cost.
    const perBatch = total / batches + cpu * (1 / share - 1) + pollerCalls * callMillis;
    const tenths = [runs.slice(0, batches / 10), runs.slice(-batches / 10)].map((some) =>
        median(some.map(({ cpuMillis }) => cpuMillis)),
    );
    const rows = [
        ["invocations", `${batches.toLocaleString("en")}, each with ${flood.batch} events`],
        ["calls in each", callsPerBatch.toFixed(2)],
        ["time of each, in the time of a call", (perBatch / callMillis).toFixed(1)],
        ["CPU of each: the first tenth, the last tenth", tenths.map((millis) => `${millis.toFixed(1)} ms`).join(", ")],
        ["an election behind them waits for", `${((batches * perBatch) / 1000).toFixed(0)} s`],
        ["sustained", `${((1000 / perBatch) * flood.batch).toFixed(0)} events a second`],
        ["peak memory, Node.js included", `${peak.toFixed(0)} MB`],
    ];
    return `${table([`${flood.events.toLocaleString("en")} foreign instances end at once`, ""], rows)}

Counts are the same on every machine. Times are for calls of ${callMillis} ms, at Lambda's share of a processor, with two calls of
Lambda's own to the queue for each batch.`;
}

async function measurePackage(subject: Subject, evaluations: number[]): Promise<string> {
    const { aws, program } = subject;
    const [, deadLeader] = firstTwo(groupCases(3));
    const largestSweep = sweepCase(500, 3, false);
    aws.latency = callMillis;
    const seen: { load: number; first: number; second: number; peak: number; sweepPeak: number }[] = [];
    for (let fresh = 0; fresh < freshProcesses; fresh++) {
        const container = await startContainerProcess(program.functionText, patience);
        const { millis: first } = await elect(container, subject, deadLeader);
        const { millis: second } = await elect(container, subject, deadLeader);
        const peak = await container.peakMegabytes();
        await elect(container, subject, largestSweep);
        const sweepPeak = await container.peakMegabytes();
        seen.push({ load: container.loadMillis, first, second, peak, sweepPeak });
        await container.stop();
    }
    const middle = (key: keyof (typeof seen)[number]) => median(seen.map((one) => one[key]));
    const rows = [
        ["archive", kilobytes(archiveSize(program))],
        ["the function's text in it", kilobytes(Buffer.byteLength(program.functionText))],
        ["load of the function's text, with the SDK", `${middle("load").toFixed(0)} ms`],
        ["first election (3 members, leader dead)", `${middle("first").toFixed(0)} ms`],
        ["second election", `${middle("second").toFixed(0)} ms`],
        ["peak memory after them, Node.js included", `${middle("peak").toFixed(0)} MB`],
        ["peak memory after a sweep over 500 vacant groups", `${middle("sweepPeak").toFixed(0)} MB`],
        ["evaluation of the Pulumi program", `${(median(evaluations) / 1000).toFixed(1)} s`],
    ];
    return `${table(["packaged function", ""], rows)}

Sizes are the same on every machine. Times and memory depend on it and are medians of ${freshProcesses} fresh
processes, here with Node.js ${process.version} on ${process.arch}, ${count(availableParallelism(), "core")}.`;
}

/** What `leader-while` costs the instances. */
async function measureLeaderOnly(): Promise<string> {
    const rows: string[][] = [];
    for (const leads of [false, true]) {
        const { cpuMillis, requests } = await measureLooks(leads);
        const part = `${(cpuMillis / 10 / workerEverySeconds).toFixed(2)} %`;
        const name = leads ? "on the leader, beside its worker" : "on another instance";
        rows.push([name, requests.toFixed(2), `${cpuMillis.toFixed(1)} ms`, part]);
    }
    const head = ["a look of leader-while", "requests", "CPU", `of a core, every ${workerEverySeconds} s`];
    return `${table(head, rows)}

With everything that the script starts.`;
}

/** The size of a zip archive with one file in it. */
function archiveSize({ members: [name = "", ...others], functionText }: Program): number {
    if (others.length > 0) {
        throw new Error(`the archive has other files: ${others}`);
    }
    return 30 + 46 + 22 + 2 * name.length + deflateRawSync(functionText).length; // two headers and an end
}

const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;

function median(numbers: number[]): number {
    return found(numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]);
}

function table(head: string[], rows: string[][]): string {
    const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
    const padded = (cell: string, column: number) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
    const line = (cells: string[]) => `| ${cells.map(padded).join(" | ")} |`;
    const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
    return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** Reads the command line: the parts to measure; none: only help is asked for. */
function readParts(args: string[]): string[] {
    const { help: asked, only } = readCommandLine(args, {
        help: { type: "boolean", short: "h" },
        only: { type: "string", multiple: true, default: [] as string[] },
    });
    const unknown = only.find((part, index) => !parts.includes(part) || only.indexOf(part) < index);
    if (unknown !== undefined) {
        throw new UsageError(
            `--only is ${JSON.stringify(unknown)}, but it must be one of ${parts.join(", ")}, each once. See --help.`,
        );
    }
    return asked ? [] : only.length > 0 ? only : parts;
}

async function measure(asked: string[]): Promise<boolean> {
    const programs: Awaited<ReturnType<typeof evaluateProgram>>[] = [];
    for (let fresh = 0; fresh < (asked.includes("package") ? freshProcesses : 1); fresh++) {
        programs.push(await evaluateProgram(scope));
    }
    const program = firstOf(programs);
    const lambda = program.resources.find(({ type }) => type === "aws:lambda/function:Function");
    const aws = await AwsServer.open(new Region(new Timeline()));
    const restore = pointSdkAt(aws.url);
    const share = Math.min(1, lambda?.inputs.memorySize / fullShareMegabytes);
    const subject = { program, aws, share, timeoutSeconds: wiringOf(program).functionTimeoutSeconds };
    const print = (text: string) => process.stdout.write(`${text}\n\n`);
    let inTime = true;
    try {
        if (asked.includes("elections")) {
            print(await measureElections(subject));
        }
        if (asked.includes("sweeps")) {
            const sweeps = await measureSweeps(subject);
            print(sweeps.text);
            inTime = sweeps.inTime;
        }
        if (asked.includes("flood")) {
            print(await measureFlood(subject));
        }
        if (asked.includes("package")) {
            const evaluations = programs.map(({ millis }) => millis);
            print(await measurePackage(subject, evaluations));
        }
        if (asked.includes("looks")) {
            print(await measureLeaderOnly());
        }
    } finally {
        restore();
        aws.close();
    }
    return inTime;
}

/** Does what the command line asks for; gives the exit status. */
async function main(args: string[]): Promise<number> {
    try {
        const asked = readParts(args);
        if (asked.length === 0) {
            process.stdout.write(help);
            return 0;
        }
        if (await measure(asked)) {
            return 0;
        }
        process.stderr.write(`A sweep takes more than ${100 * mostOfTime} % of the function's time.\n`);
        return 1;
    } catch (error) {
        if (!(error instanceof UsageError)) {
            throw error;
        }
        process.stderr.write(`${error.message}\n`);
        return 2;
    }
}

main(process.argv.slice(2)).then((status) => {
    process.exitCode = status;
});
