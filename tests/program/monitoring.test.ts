// When the alarms go off and stop, and what the saved queries and the dashboard ask for.
import { expect } from "chai";
import type { Report } from "../../election/report";
import { alarms, dashboardBody, queries } from "../../election/stack/monitoring";
import { project } from "../simulator/stack/program";

const stack = `${project}/dev`;
const namespace = "AsgLeaderElection";

/** What a metric was told at a time, in seconds. */
type Samples = Record<string, [at: number, value: number][]>;
type State = "OK" | "ALARM" | "INSUFFICIENT_DATA";

/** The alarm's inputs that CloudWatch reads, as plain data. */
interface Alarm {
    alarmDescription: string;
    metricName?: string;
    statistic?: string;
    period?: number;
    metricQueries?: {
        id: string;
        expression?: string;
        metric?: { metricName: string; stat: string; period: number };
    }[];
    comparisonOperator: string;
    threshold: number;
    evaluationPeriods: number;
    datapointsToAlarm?: number;
    treatMissingData: string;
}

const electorateTag = "elasticbeanstalk:environment-name";

function alarmOf(name: string, options: { sweepMinutes?: number; retrySeconds?: number; electorateTag?: string } = {}) {
    const { sweepMinutes = 1, retrySeconds = 60, electorateTag = "" } = options;
    return alarms({ stack, electorateTag }, { sweepMinutes, retrySeconds }, "election-1234567")[
        name
    ] as unknown as Alarm;
}

const names = Object.keys(alarms({ stack, electorateTag: "" }, { sweepMinutes: 1, retrySeconds: 60 }, "f"));

const statistics: Record<string, (values: number[]) => number> = {
    Minimum: (values) => Math.min(...values),
    Sum: (values) => values.reduce((sum, value) => sum + value, 0),
    SampleCount: (values) => values.length,
};

function periodOf({ period, metricQueries }: Alarm): number {
    return period ?? metricQueries?.[0].metric?.period ?? Number.NaN;
}

/** What the alarm sees of the period that ends at a time: undefined if there is no data. */
function datapoint(alarm: Alarm, samples: Samples, end: number): number | undefined {
    const statistic = (metric: string, name: string) => {
        const inside = samples[metric].filter(([at]) => at >= end - periodOf(alarm) && at < end);
        return inside.length > 0 ? statistics[name](inside.map(([, value]) => value)) : undefined;
    };
    if (!alarm.metricQueries) {
        return statistic(alarm.metricName as string, alarm.statistic as string);
    }
    const metrics = alarm.metricQueries.filter(({ metric }) => metric);
    const expression = alarm.metricQueries.find((query) => query.expression)?.expression;
    expect(expression).to.equal(metrics.map(({ id }) => id).join(" + "));
    const values = metrics.map(({ metric }) => metric && statistic(metric.metricName, metric.stat));
    return values.some((value) => value === undefined) ? undefined : statistics.Sum(values as number[]);
}

/**
 * Evaluates an alarm at the end of each period, as CloudWatch does: it takes two periods more than it evaluates, the latest real data
 * points among them, and fills what then still lacks.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 */
function history(alarm: Alarm, samples: Samples, periods: number): State[] {
    const states: State[] = ["INSUFFICIENT_DATA"];
    const period = periodOf(alarm);
    const { evaluationPeriods: wanted, datapointsToAlarm = wanted, treatMissingData, threshold } = alarm;
    const breaches = (value: number) =>
        alarm.comparisonOperator === "LessThanThreshold" ? value < threshold : value >= threshold;
    for (let latest = 1; latest <= periods; latest++) {
        const real = Array.from({ length: wanted + 2 }, (_, back) => (latest - back) * period)
            .map((end) => datapoint(alarm, samples, end))
            .filter((value) => value !== undefined)
            .slice(0, wanted);
        const missing = wanted - real.length;
        const bad = real.filter(breaches).length + (treatMissingData === "breaching" ? missing : 0);
        const unknown = treatMissingData === "ignore" && missing > 0 && real.every(breaches);
        const state = bad >= datapointsToAlarm ? "ALARM" : unknown ? states[states.length - 1] : "OK";
        states.push(state);
    }
    return states.slice(1);
}

/** Sweeps at the middle of each period: "." finds all well, "v" a vacant group, "f" a failed election, "-" doesn't take place. */
function sweeps(text: string, period = 60): Samples {
    return at([...text].flatMap((found, place) => (found === "-" ? [] : [[(place + 0.5) * period, found]])));
}

function at(found: (number | string)[][]): Samples {
    const metric = (mark: string) =>
        found.map(([time, sweep]): [number, number] => [Number(time), sweep === mark ? 1 : 0]);
    return { Groups: metric("."), VacantGroups: metric("v"), FailedElections: metric("f"), Errors: metric("e") };
}

const short = (states: State[]) => states.map((state) => state[0]).join("");

describe("An alarm", () => {
    // I: insufficient data, O: OK, A: alarm; one letter for each period.
    const cases: [alarm: string, rule: string, sweeps: string, states: string][] = [
        ["no-leader", "stays quiet while all groups have leaders", "......", "OOOOOO"],
        ["no-leader", "stays quiet when one or two sweeps find a vacant group", "..vv.v.", "OOOOOOO"],
        ["no-leader", "goes off at the third sweep in a row, and stops at the first good one", "..vvv..", "OOOOAOO"],
        ["no-leader", "counts failed elections like vacant groups", "..vfv.", "OOOOAO"],
        ["no-leader", "goes off in a new stack that finds no leader", "vvv", "IIA"],
        ["no-leader", "counts on over a sweep that didn't take place", ".vv-v.", "OOOOAO"],
        ["no-leader", "doesn't call the end of the sweeps a recovery", "vvv---------", "IIAAAAAAAAAA"],
        ["no-sweep", "stays quiet while sweeps take place, whatever they find", "..vvfv..", "OOOOOOOO"],
        ["no-sweep", "stays quiet when four sweeps stay away", "..----..", "OOOOOOOO"],
        ["no-sweep", "goes off when sweeps stay away, and stops when they come back", ".--------..", "OOOOOOOAAOO"],
        ["no-sweep", "goes off in a stack that never sweeps", "-----", "AAAAA"],
        ["function-failing", "stays quiet while the function works", "......", "OOOOOO"],
        ["function-failing", "stays quiet when the second try works", "..e.e...", "OOOOOOOO"],
        ["function-failing", "goes off when the second try fails too, and stops later", "..eee.....", "OOOOAAAOOO"],
        ["function-failing", "goes off though a failed batch comes back a bit late", "..ee-e....", "OOOOOAAAOO"],
        [
            "function-failing",
            "doesn't call the time between rare sweeps a recovery",
            "eeeee--------.",
            "IIAAAAAAAAAAAO",
        ],
    ];
    for (const [name, rule, found, states] of cases) {
        it(`${name} ${rule}`, () => {
            const alarm = alarmOf(name);
            expect(short(history(alarm, sweeps(found), found.length))).to.equal(states);
        });
    }

    it("no-leader takes two sweeps in one period for good if one of them is", () => {
        const shaken = at([
            [30, "v"],
            [90, "v"],
            [121, "."],
            [179, "v"],
            [210, "v"],
        ]);
        expect(short(history(alarmOf("no-leader"), shaken, 4))).to.equal("IIOO");
    });

    it("no-leader takes two sweeps in one period for bad if both are, and the empty period beside it for nothing", () => {
        const shaken = at([
            [1, "v"],
            [59, "v"],
            [125, "v"],
            [185, "v"],
        ]);
        expect(short(history(alarmOf("no-leader"), shaken, 4))).to.equal("IIIA");
    });

    for (const minutes of [5, 60]) {
        it(`knows that sweeps come every ${minutes} minutes`, () => {
            const bad = sweeps("..vvv.", 60 * minutes);
            expect(short(history(alarmOf("no-leader", { sweepMinutes: minutes }), bad, 6))).to.equal("OOOOAO");
            expect(short(history(alarmOf("no-sweep", { sweepMinutes: minutes }), bad, 6))).to.equal("OOOOOO");
            const none = sweeps(".-------", 60 * minutes);
            expect(short(history(alarmOf("no-sweep", { sweepMinutes: minutes }), none, 8))).to.equal("OOOOOOOA");
        });
    }

    for (const [seconds, period] of [
        [60, 60],
        [66, 120],
        [120, 120],
        [240, 240],
    ]) {
        it(`function-failing goes off when a batch fails that comes back after ${seconds} s each time, and not at two failures`, () => {
            const alarm = alarmOf("function-failing", { retrySeconds: seconds });
            expect(periodOf(alarm)).to.equal(period);
            const failures = (count: number): Samples =>
                at(Array.from({ length: count }, (_, n) => [n * seconds + 1, "e"]));
            expect(history(alarm, failures(60), 20).at(-1)).to.equal("ALARM");
            expect(history(alarm, failures(2), 20)).to.not.include("ALARM");
        });
    }

    it("no-leader looks at a whole electorate where groups elect together", () => {
        expect(alarmOf("no-leader").alarmDescription).to.include(": a group that it leaves out has no leader.");
        const { alarmDescription } = alarmOf("no-leader", { electorateTag });
        expect(alarmDescription).to.include(
            `: if it leaves out a group, and all with the same ${electorateTag}, these have`,
        );
    });

    it("spans no more than a day, which is all that CloudWatch evaluates", () => {
        for (const name of names) {
            const alarm = alarmOf(name, { sweepMinutes: 60, retrySeconds: 240 });
            expect(periodOf(alarm) * alarm.evaluationPeriods, name).to.be.at.most(24 * 60 * 60);
        }
    });

    for (const [name, options] of names.flatMap((name) => [[name, {}] as const, [name, { electorateTag }] as const])) {
        const where = "electorateTag" in options ? " where groups elect together" : "";
        it(`${name} says which stack it is about, what it means and what to do first, in at most 1,024 characters${where}`, () => {
            const { alarmDescription } = alarmOf(name, options);
            expect(alarmDescription).to.match(new RegExp(`^Stack ${stack}: .{30,}\\. First .{30,}\\.$`));
            expect(alarmDescription).to.match(/the stack's output (leadersCommand|logGroupName|functionName)/);
            expect(alarmDescription.length).to.be.at.most(1024);
        });
    }
});

/** The field of a log line that Logs Insights knows by a name: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html */
function discovered(line: string, name: string): unknown {
    // biome-ignore lint/suspicious/noExplicitAny: any JSON
    return name.split(".").reduce((value: any, key) => value?.[key], JSON.parse(line));
}

describe("A saved query", () => {
    const report: Report = {
        group: "awseb-e-x",
        outcome: "elected",
        leader: "i-0b",
        since: "2026-01-01T00:00:00.000Z",
        candidates: ["i-0b"],
        leaders: ["i-0a"],
        demoted: ["i-0a"],
        triggers: ["EC2 Instance Terminate Successful"],
        reason: "i-0a is stopping; i-0c is terminated",
    };
    // As Lambda's JSON log format writes console.info(report).
    const line = (message: object) =>
        JSON.stringify({ timestamp: "2026-01-01T00:00:01.000Z", level: "INFO", requestId: "r", message });
    const [, changed] = queries["leader-history"].match(/^\| filter (.*)$/m) as string[];
    const parse = /parse @message \/(.*)\/$/m;
    const cause = (reason: string) => {
        const [, pattern] = queries["changes-by-cause"].match(parse) as string[];
        return line({ ...report, reason }).match(new RegExp(pattern))?.groups?.cause;
    };

    it("asks for fields only that the log line of a change has", () => {
        const names = Object.values(queries).flatMap((query) => query.match(/message\.[a-z]+(\.\d)?/g) ?? []);
        expect(new Set(names)).to.include("message.group").and.to.include("message.leader");
        for (const name of names) {
            expect(discovered(line(report), name), name).to.be.a("string");
        }
    });

    it("takes the same lines for changes, whichever query it is", () => {
        for (const [name, query] of Object.entries(queries)) {
            expect(query, name).to.contain(`filter ${changed}`);
        }
        expect(changed).to.equal(
            'ispresent(message.group) and (message.outcome = "elected" or ispresent(message.demoted.0))',
        );
    });

    it("runs as it stands: a comment fills its line, and pipes join the rest", () => {
        for (const [name, query] of Object.entries(queries)) {
            const [first, ...others] = query.split("\n").filter((text) => !text.startsWith("#"));
            expect(first, name).to.match(/^(fields|filter) /);
            expect(others).to.not.have.length(0);
            for (const text of others) {
                expect(text, name).to.match(/^\| (filter|parse|stats|sort|limit) /);
            }
            expect(query, name).to.match(/^# /);
        }
    });

    it("leader-history is of one group as soon as a comment is taken away", () => {
        expect(queries["leader-history"]).to.match(/^# \| filter message\.group = "NAME"$/m);
    });

    const causes: [reason: string, cause: string][] = [
        ["i-0abc is terminated", "is terminated"],
        ["i-0abc is stopping; i-0def is terminated", "is stopping"],
        ["i-0abc has a Spot interruption warning", "has a Spot interruption warning"],
        ["i-0abc is listed as Standby and Healthy", "is listed as Standby and Healthy"],
        ["no leader", "no leader"],
        ["fit, and the first by since", "fit, and the first by since"],
        ["nobody is fit; i-0abc is stopping", "nobody is fit"],
    ];
    for (const [reason, expected] of causes) {
        it(`changes-by-cause counts "${reason}" under "${expected}"`, () => {
            expect(cause(reason)).to.equal(expected);
        });
    }
});

describe("The dashboard", () => {
    interface Widget {
        type: string;
        properties: { title: string; region: string; stat: string; metrics: string[][]; query: string; view: string };
    }
    const body = dashboardBody(stack, "eu-west-3", "election-1234567", "election-7654321");
    const { widgets }: { widgets: Widget[] } = JSON.parse(JSON.stringify(body));

    it("shows changes, vacant, contested and failed groups, and errors and duration of the function", () => {
        const shown = widgets
            .filter(({ type }) => type === "metric")
            .flatMap(({ properties: { stat, metrics } }) => metrics.map((metric) => [stat, ...metric].join(" ")));
        expect(shown).to.have.members([
            `Sum ${namespace} LeaderChanges Stack ${stack}`,
            `Maximum ${namespace} VacantGroups Stack ${stack}`,
            `Maximum ${namespace} ContestedGroups Stack ${stack}`,
            `Maximum ${namespace} FailedElections Stack ${stack}`,
            "Sum AWS/Lambda Errors FunctionName election-1234567",
            "Maximum AWS/Lambda Duration FunctionName election-1234567",
        ]);
    });

    it("shows the last changes in a table, from the log group", () => {
        const [{ properties }] = widgets.filter(({ type }) => type === "log");
        const [source, ...commands] = properties.query.split(" | ");
        expect(source).to.equal("SOURCE 'election-7654321'");
        expect(properties.view).to.equal("table");
        const history = queries["leader-history"].replaceAll("| ", "").split("\n");
        expect(history).to.include.members(commands.slice(0, 3));
        expect(commands.slice(3)).to.deep.equal(["limit 20"]);
    });

    it("reads every widget from the stack's own region", () => {
        expect(widgets.map(({ properties }) => properties.region)).to.deep.equal(Array(5).fill("eu-west-3"));
    });

    it("gives every widget a title of its own", () => {
        expect(new Set(widgets.map(({ properties }) => properties.title))).to.have.property("size", 5);
    });
});
