// That alarms are evaluated here as AWS documents it: its two tables, M of N, sliding windows, late data, metric math.
import { expect } from "chai";
import { type Alarm, changesOf, nextState, type State } from "../simulator/monitoring/alarms";
import { Metrics } from "../simulator/monitoring/metrics";

const minute = 60_000;
const metric = { namespace: "Test", metricName: "Bad", dimensions: { Stack: "a/b" } };

function alarmOf(settings: Partial<Alarm> = {}): Alarm {
    return {
        ...metric,
        statistic: "Maximum",
        period: 60,
        comparisonOperator: "GreaterThanOrEqualToThreshold",
        threshold: 1,
        evaluationPeriods: 3,
        ...settings,
    };
}

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
        treatments.forEach((treatMissingData, column) => {
            for (const before of ["OK", "ALARM", "INSUFFICIENT_DATA"] as const) {
                const state = states[column] === "same" ? before : states[column];
                it(`goes from ${before} to ${state} at ${points}, ${datapointsToAlarm} of 3, ${treatMissingData}`, () => {
                    const alarm = alarmOf({ datapointsToAlarm, treatMissingData });
                    expect(nextState(alarm, pointsOf(points), before)).to.equal(state);
                });
            }
        });
    }

    /** One value a minute from minute 0 on, "-" for none; seen some milliseconds later. */
    function metricsOf(text: string, delayMillis = 0): Metrics {
        const metrics = new Metrics();
        [...text].forEach((mark, at) => {
            if (mark !== "-") {
                metrics.put(metric, at * minute + 30_000, mark === "X" ? 1 : 0, delayMillis);
            }
        });
        return metrics;
    }
    const timeline = (alarm: Alarm, metrics: Metrics, minutes: number) =>
        changesOf(alarm, metrics, 0, minutes * minute).map(({ at, state }) => `${at / minute} ${state}`);

    it("begins with INSUFFICIENT_DATA, and changes once at a time", () => {
        expect(timeline(alarmOf({ treatMissingData: "ignore" }), metricsOf("00XXX00"), 7)).to.deep.equal([
            "1 OK",
            "5 ALARM",
            "6 OK",
        ]);
    });

    it("with missing data that breach goes off as soon as it is made", () => {
        expect(timeline(alarmOf({ treatMissingData: "breaching" }), metricsOf("-----"), 5)).to.deep.equal(["0 ALARM"]);
    });

    it("sees data when they arrive, at the time that they are of", () => {
        const alarm = alarmOf({ treatMissingData: "ignore" });
        expect(timeline(alarm, metricsOf("00XXX00"), 9)).to.include("5 ALARM");
        expect(timeline(alarm, metricsOf("00XXX00", 90_000), 9)).to.include("6 ALARM");
    });

    it("has periods longer than a minute slide with the minutes", () => {
        const alarm = alarmOf({ period: 300, evaluationPeriods: 1, treatMissingData: "notBreaching" });
        const changes = timeline(alarm, metricsOf("0000000X0000000000"), 18);
        expect(changes).to.deep.equal(["0 OK", "8 ALARM", "13 OK"]);
    });

    it("goes off at M of N, and not at fewer", () => {
        const alarm = alarmOf({ evaluationPeriods: 5, datapointsToAlarm: 3 });
        expect(timeline(alarm, metricsOf("0X0X0000"), 8)).to.deep.equal(["1 OK"]);
        expect(timeline(alarm, metricsOf("0X0X0X00"), 8)).to.include("6 ALARM");
    });

    it("adds metrics up, and lacks a value where one of them does", () => {
        const other = { ...metric, metricName: "Worse" };
        const metrics = metricsOf("0--0");
        metrics.put(other, 0, 1);
        metrics.put(other, minute, 1);
        const query = (id: string, of: typeof metric) => ({ id, metric: { ...of, period: 60, stat: "Maximum" } });
        const alarm = {
            ...alarmOf({ evaluationPeriods: 1, treatMissingData: "missing" }),
            metricQueries: [
                query("bad", metric),
                query("worse", other),
                { id: "sum", expression: "bad + worse", returnData: true },
            ],
        };
        expect(timeline(alarm, metrics, 6)).to.deep.equal(["1 ALARM", "4 INSUFFICIENT_DATA"]);
    });

    describe("fills what is missing where the expression says so", () => {
        const other = { ...metric, metricName: "Carrier" };
        const alarm = {
            ...alarmOf({ evaluationPeriods: 1, comparisonOperator: "LessThanThreshold", treatMissingData: "ignore" }),
            metricQueries: [
                { id: "bad", metric: { ...metric, period: 60, stat: "SampleCount" } },
                { id: "carrier", metric: { ...other, period: 60, stat: "Maximum" } },
                { id: "count", expression: "FILL(bad, 0) + 0 * carrier", returnData: true },
            ],
        };
        const changes = (fillsEmpty: boolean) => {
            const metrics = metricsOf("--0-------");
            for (let at = 1; at < 10; at++) {
                metrics.put(other, at * minute, 7);
            }
            return changesOf(alarm, metrics, 0, 10 * minute, { fillsEmpty }).map(
                ({ at, state }) => `${at / minute} ${state}`,
            );
        };

        it("also where there is nothing at all", () => {
            expect(changes(true)).to.deep.equal(["2 ALARM", "3 OK", "4 ALARM"]);
        });
        it("or not there", () => {
            expect(changes(false)).to.deep.equal(["3 OK", "4 ALARM"]);
        });
    });

    describe("takes the largest of several metrics", () => {
        const other = { ...metric, metricName: "Other" };
        const query = (id: string, of: typeof metric) => ({ id, metric: { ...of, period: 60, stat: "Maximum" } });
        const changes = (expression: string, maxNeedsAll: boolean) => {
            const metrics = metricsOf("00---X----");
            metrics.put(other, 3 * minute, 0);
            const alarm = alarmOf({
                evaluationPeriods: 1,
                treatMissingData: "missing",
                metricQueries: [
                    query("bad", metric),
                    query("other", other),
                    { id: "largest", expression, returnData: true },
                ],
            });
            return changesOf(alarm, metrics, 0, 9 * minute, { maxNeedsAll }).map(
                ({ at, state }) => `${at / minute} ${state}`,
            );
        };

        it("where one of them has a value", () => {
            expect(changes("MAX([bad, other])", false)).to.deep.equal(["1 OK", "6 ALARM", "9 INSUFFICIENT_DATA"]);
        });
        it("or only where each of them has one", () => {
            expect(changes("MAX([bad, other])", true)).to.deep.equal([]);
        });
        it("or has had one within what is read, where the expression says so", () => {
            const expression = "MAX([FILL(bad, REPEAT), FILL(other, REPEAT)])";
            expect(changes(expression, true)).to.deep.equal([
                "4 OK",
                "5 INSUFFICIENT_DATA",
                "6 ALARM",
                "7 INSUFFICIENT_DATA",
            ]);
        });
    });

    const unknown: Record<string, Partial<Alarm>> = {
        "an operator not known here: LessThanLowerThreshold": { comparisonOperator: "LessThanLowerThreshold" },
        "a statistic not known here: p99": { statistic: "p99" },
        "a term not known here: MAX(METRICS())": {
            metricQueries: [{ id: "e", expression: "MAX(METRICS())", returnData: true }],
        },
    };
    for (const [message, settings] of Object.entries(unknown)) {
        it(`is not judged here with ${message}`, () => {
            expect(() => changesOf(alarmOf(settings), metricsOf("0"), 0, minute)).to.throw(message);
        });
    }
});
