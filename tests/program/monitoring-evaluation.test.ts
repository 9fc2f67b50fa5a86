// That alarms are evaluated here as AWS documents it: its two tables, M of N, sliding windows, late data, metric math.
import { expect } from "chai";
import { firstOf } from "../simulator/lists";
import { type Alarm, type Conditions, changesOf, nextState, type State } from "../simulator/monitoring/alarms";
import { Metrics } from "../simulator/monitoring/metrics";

const minute = 60_000;
const metric = { namespace: "Test", metricName: "Bad", dimensions: { Stack: "a/b" } };
const worseMetric = { ...metric, metricName: "Worse" };

const alarm: Alarm = {
    ...metric,
    statistic: "Maximum",
    period: 60,
    comparisonOperator: "GreaterThanOrEqualToThreshold",
    threshold: 1,
    evaluationPeriods: 3,
};

/** Data points as AWS writes them: the latest on the right, 0 within the threshold, X breaching, - missing. */
const pointsOf = (text: string) => [...text.replaceAll(" ", "")].reverse().map((mark) => ({ "0": 0, X: 1 })[mark]);

describe("An alarm as CloudWatch evaluates it", () => {
    const treatments = ["missing", "ignore", "breaching", "notBreaching"];
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    const tables: [datapointsToAlarm: number, points: string, ...states: (State | "same")[]][] = [
        [3, "0 - X - X", "OK", "OK", "OK", "OK"],
        [3, "0 - - - -", "OK", "OK", "OK", "OK"],
        [3, "- - - - -", "INSUFFICIENT_DATA", "same", "ALARM", "OK"],
        [3, "0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"],
        [3, "- - X - -", "ALARM", "same", "ALARM", "OK"],
        [2, "0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"],
        [2, "0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"],
        [2, "0 - X - -", "OK", "OK", "ALARM", "OK"],
        [2, "- - - - 0", "OK", "OK", "ALARM", "OK"],
        [2, "- - - X -", "ALARM", "same", "ALARM", "OK"],
        // Not in the tables, but in the text below them: it does not go off too soon.
        [3, "- - - - X", "OK", "same", "ALARM", "OK"],
        [3, "- - - X -", "OK", "same", "ALARM", "OK"],
    ];
    for (const [datapointsToAlarm, points, ...states] of tables) {
        it(`goes to ${[...new Set(states)].join(" or ")} at ${points} and ${datapointsToAlarm} of 3, by how missing data are treated`, () => {
            treatments.forEach((treatMissingData, column) => {
                for (const before of ["OK", "ALARM", "INSUFFICIENT_DATA"] as const) {
                    const state = states[column] === "same" ? before : states[column];
                    const treated = { ...alarm, datapointsToAlarm, treatMissingData };
                    expect(nextState(treated, pointsOf(points), before), treatMissingData).to.equal(state);
                }
            });
        });
    }

    /** One value of each metric a minute, from minute 0 on, "-" for none; seen some milliseconds later. */
    function metricsOf(points: string[], delayMillis = 0): Metrics {
        const metrics = new Metrics();
        for (const [index, marks] of points.entries()) {
            for (const [at, mark] of [...marks].entries()) {
                if (mark !== "-") {
                    const id = index === 0 ? metric : worseMetric;
                    metrics.put(id, at * minute + 30_000, mark === "X" ? 1 : 0, delayMillis);
                }
            }
        }
        return metrics;
    }

    /** Has an alarm look at an expression of both metrics. */
    function of(expression: string, settings: Partial<Alarm> = {}): Partial<Alarm> {
        const query = (id: string, of: typeof metric) => ({ id, metric: { ...of, period: 60, stat: "Maximum" } });
        const result = { id: "result", expression, returnData: true };
        const metricQueries = [query("bad", metric), query("worse", worseMetric), result];
        return { evaluationPeriods: 1, metricQueries, ...settings };
    }

    const ignore = { treatMissingData: "ignore" };
    const sliding = { period: 300, evaluationPeriods: 1, treatMissingData: "notBreaching" };
    const threeOfFive = { evaluationPeriods: 5, datapointsToAlarm: 3, ...ignore };
    const filled = of("FILL(bad, 0) + 0 * worse", { comparisonOperator: "LessThanThreshold", ...ignore });
    const early = ["--X-------", "-XXXXXXXXX"];
    const largest = of("MAX([bad, worse])");
    const lasting = of("MAX([FILL(bad, REPEAT), FILL(worse, REPEAT)])");
    const gaps = ["00---X----", "---0"];
    const lastValues = "4 OK, 5 INSUFFICIENT_DATA, 6 ALARM, 7 INSUFFICIENT_DATA";
    const timelines: [string, Partial<Alarm>, string[], string, (Conditions & { delayMillis?: number })?][] = [
        ["begins with INSUFFICIENT_DATA, and changes once at a time", ignore, ["00XXX00"], "1 OK, 5 ALARM, 6 OK"],
        ["goes off when it is made if missing data breach", { treatMissingData: "breaching" }, ["-----"], "0 ALARM"],
        ["sees data when they arrive", ignore, ["00XXX00"], "2 OK, 6 ALARM, 7 OK", { delayMillis: 90_000 }],
        ["has periods of 5 minutes slide", sliding, ["0000000X0000000000"], "0 OK, 8 ALARM, 13 OK"],
        ["goes off at 3 of 5", threeOfFive, ["0X0X0X000"], "1 OK, 6 ALARM, 7 OK"],
        ["does not go off at 2 of 5", threeOfFive, ["0X0X0000"], "1 OK"],
        ["lacks a sum where one term lacks", of("bad + worse"), ["0--0", "XX"], "1 ALARM, 4 INSUFFICIENT_DATA"],
        ["FILLs also where there is nothing", filled, early, "2 ALARM, 3 OK, 4 ALARM", { fillsEmpty: true }],
        ["or FILLs only beside a value", filled, early, "3 OK, 4 ALARM", { fillsEmpty: false }],
        ["takes the MAX of what there is", largest, gaps, "1 OK, 6 ALARM, 9 INSUFFICIENT_DATA", { maxNeedsAll: false }],
        ["or has no MAX where one value lacks", largest, gaps, "", { maxNeedsAll: true }],
        ["FILLs with the last value in its range by REPEAT", lasting, gaps, lastValues, { maxNeedsAll: true }],
    ];
    for (const [what, settings, points, expected, { delayMillis, ...conditions } = {}] of timelines) {
        it(`${what}: ${points.join(" and ")}`, () => {
            const metrics = metricsOf(points, delayMillis);
            const changes = firstOf(changesOf({ ...alarm, ...settings }, metrics, 0, 18 * minute, [conditions]));
            expect(changes.map(({ at, state }) => `${at / minute} ${state}`).join(", ")).to.equal(expected);
        });
    }

    const unknown: Record<string, Partial<Alarm>> = {
        "an operator not known here: LessThanLowerThreshold": { comparisonOperator: "LessThanLowerThreshold" },
        "a statistic not known here: p99": { statistic: "p99" },
        "METRICS is not defined": of("MAX(METRICS())"),
    };
    for (const [message, settings] of Object.entries(unknown)) {
        it(`is not judged here with ${message}`, () => {
            expect(() => changesOf({ ...alarm, ...settings }, metricsOf(["0"]), 0, minute)).to.throw(message);
        });
    }
});
