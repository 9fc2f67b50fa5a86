// `npm run bench`: what elections, sweeps and floods of events cost, by the packaged function in a process of its own.
// Arguments name the parts to measure, if not all. Takes about four minutes, and needs no AWS account. Fails if a sweep takes
// more than half of the function's time at the CPU share that its memory gives it in Lambda. Calls, round trips and sizes are
// the same on every machine; time, CPU and memory depend on it.
import { aligned } from "../../election/stack/operator";
import { pointSdkAt } from "../simulator/aws/endpoint";
import { AwsServer } from "../simulator/aws/http";
import { Region } from "../simulator/aws/region";
import { roundTripsIn } from "../simulator/changes";
import { Timeline } from "../simulator/clock";
import { firstTwo, found } from "../simulator/lists";
import { archiveBytes, type Program, runProgram } from "../simulator/stack/program";
import { wiringOf } from "../simulator/stack/registered";
import { type Container, startContainerProcess } from "./container";
import { measureLooks } from "./looks";
import { type Case, departureCases, foreignDepartures, groupCases, scope, sweepCase } from "./scenes";

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

async function measureElections(subject: Subject): Promise<void> {
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
    print(["election", "calls", "round trips", "unavoidable", "time", "CPU"], rows);
    note(`Time and CPU are medians in a warm container: time is a multiple of what the unavoidable round trips take
at ${callMillis} ms a call, over HTTP without TLS.`);
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

/** Sweeps by containers that have just started. */
async function measureSweeps(subject: Subject): Promise<void> {
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
    for (const each of cases) {
        const cpu: number[] = [];
        for (let fresh = 0; fresh < freshProcesses; fresh++) {
            const container = await startContainerProcess(program.functionText, patience);
            cpu.push((await elect(container, subject, each)).cpuMillis / 1000);
            await container.stop();
        }
        const seconds = median(cpu) / share;
        if (seconds > mostOfTime * timeoutSeconds) {
            note(`A sweep takes more than ${100 * mostOfTime} % of the function's time.`);
            process.exitCode = 1;
        }
        const times = [`${median(cpu).toFixed(2)} s`, `${seconds.toFixed(2)} s`];
        rows.push([
            each.name,
            String(aws.calls.length),
            ...times,
            `${((100 * seconds) / timeoutSeconds).toFixed(0)} %`,
        ]);
    }
    print(["first sweep of a container", "calls", "CPU", "at Lambda's share", "of its time"], rows);
    note(`CPU is the median of ${freshProcesses} fresh processes, without the load of the SDK. Lambda's share is ${share.toFixed(2)} of a processor,
by the function's memory; its time is the timeout of ${timeoutSeconds} s.`);
}

/** What a flood of events costs that are about no instance of ours, and how long the election behind it waits. */
async function measureFlood(subject: Subject): Promise<void> {
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
    print([`${flood.events.toLocaleString("en")} foreign instances end at once`, ""], rows);
    note(`Times are for calls of ${callMillis} ms, at Lambda's share of a processor, with two calls of Lambda's own to the queue
for each batch.`);
}

/** Sizes and memory, which is the median of fresh processes. */
async function measurePackage(subject: Subject): Promise<void> {
    const { aws, program } = subject;
    const [, deadLeader] = firstTwo(groupCases(3));
    aws.latency = callMillis;
    const peaks: { elections: number; sweep: number }[] = [];
    for (let fresh = 0; fresh < freshProcesses; fresh++) {
        const container = await startContainerProcess(program.functionText, patience);
        await elect(container, subject, deadLeader);
        await elect(container, subject, deadLeader);
        const elections = await container.peakMegabytes();
        await elect(container, subject, sweepCase(500, 3, false));
        peaks.push({ elections, sweep: await container.peakMegabytes() });
        await container.stop();
    }
    const megabytes = (key: "elections" | "sweep") => `${median(peaks.map((one) => one[key])).toFixed(0)} MB`;
    const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
    print(
        ["packaged function", ""],
        [
            ["archive", kilobytes(archiveBytes(program))],
            ["the function's text in it", kilobytes(Buffer.byteLength(program.functionText))],
            ["peak memory after two elections, with Node.js", megabytes("elections")],
            ["peak memory after a sweep over 500 vacant groups", megabytes("sweep")],
        ],
    );
}

/** What `leader-while` costs the instances, with everything that it starts. */
async function measureLeaderOnly(): Promise<void> {
    const rows: string[][] = [];
    for (const leads of [false, true]) {
        const { cpuMillis, requests } = await measureLooks(leads);
        const part = `${(cpuMillis / 10 / workerEverySeconds).toFixed(2)} %`;
        const name = leads ? "on the leader, beside its worker" : "on another instance";
        rows.push([name, requests.toFixed(2), `${cpuMillis.toFixed(1)} ms`, part]);
    }
    print(["a look of leader-while", "requests", "CPU", `of a core, every ${workerEverySeconds} s`], rows);
}

function median(numbers: number[]): number {
    return found(numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]);
}

function print(head: string[], rows: string[][]): void {
    note(aligned([head, ...rows]).join("\n"));
}

const note = (text: string) => process.stdout.write(`${text}\n\n`);

const parts: Record<string, (subject: Subject) => Promise<void>> = {
    elections: measureElections,
    sweeps: measureSweeps,
    flood: measureFlood,
    package: measurePackage,
    looks: measureLeaderOnly,
};

async function main(asked: string[]): Promise<void> {
    const unknown = asked.filter((part) => !Object.hasOwn(parts, part));
    if (unknown.length > 0) {
        throw new Error(`no such part: ${unknown.join(", ")}; there are: ${Object.keys(parts).join(", ")}`);
    }
    const program = await runProgram({ config: scope });
    const lambda = program.resources.find(({ type }) => type === "aws:lambda/function:Function");
    const aws = await AwsServer.open(new Region(new Timeline()));
    const restore = pointSdkAt(aws.url);
    const share = Math.min(1, lambda?.inputs.memorySize / fullShareMegabytes);
    const subject = { program, aws, share, timeoutSeconds: wiringOf(program).functionTimeoutSeconds };
    try {
        for (const [part, measure] of Object.entries(parts)) {
            if (asked.length === 0 || asked.includes(part)) {
                await measure(subject);
            }
        }
    } finally {
        restore();
        aws.close();
    }
}

void main(process.argv.slice(2));
