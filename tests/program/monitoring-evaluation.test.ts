// That alarms are evaluated here as AWS documents it: its two tables, M of N, sliding windows, late data, metric math.
import { expect } from "chai";
import { firstOf } from "../simulator/lists";
import { type Alarm, type Conditions, changesOf, nextState, type State } from "../simulator/monitoring/alarms";
import { Metrics } from "../simulator/monitoring/metrics";

const minute = 60_000;
const metric = { namespace: "Test", metricName: "Bad", dimensions: { Stack: "a/b" } };
const another = { ...metric, metricName: "Worse" };

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
        it(`goes to ${[...new Set(states)].join(" or ")} at ${points} and ${datapointsToAlarm} of 3, by how missing data are treated`, () => {
            treatments.forEach((treatMissingData, column) => {
                for (const before of ["OK", "ALARM", "INSUFFICIENT_DATA"] as const) {
                    const state = states[column] === "same" ? before : states[column];
                    const alarm = alarmOf({ datapointsToAlarm, treatMissingData });
                    expect(nextState(alarm, pointsOf(points), before), treatMissingData).to.equal(state);
                }
            });
        });
    }

    /** One value a minute from minute 0 on, "-" for none; seen some milliseconds later. */
    function metricsOf(text: string, { delayMillis = 0, other = "" } = {}): Metrics {
        const metrics = new Metrics();
        for (const [id, marks] of [
            [metric, text],
            [another, other],
        ] as const) {
            [...marks].forEach((mark, at) => {
                if (mark !== "-") {
                    metrics.put(id, at * minute + 30_000, mark === "X" ? 1 : 0, delayMillis);
                }
            });
        }
        return metrics;
    }
    const timeline = (alarm: Alarm, metrics: Metrics, minutes: number, conditions: Conditions = {}) =>
        firstOf(changesOf(alarm, metrics, 0, minutes * minute, [conditions])).map(
            ({ at, state }) => `${at / minute} ${state}`,
        );

    it("begins with INSUFFICIENT_DATA, and changes once at a time", () => {
        const changes = timeline(alarmOf({ treatMissingData: "ignore" }), metricsOf("00XXX00"), 7);
        expect(changes).to.deep.equal(["1 OK", "5 ALARM", "6 OK"]);
    });

    it("with missing data that breach goes off as soon as it is made", () => {
        expect(timeline(alarmOf({ treatMissingData: "breaching" }), metricsOf("-----"), 5)).to.deep.equal(["0 ALARM"]);
    });

    it("sees data when they arrive, at the time that they are of", () => {
        const alarm = alarmOf({ treatMissingData: "ignore" });
        expect(timeline(alarm, metricsOf("00XXX00"), 9)).to.include("5 ALARM");
        expect(timeline(alarm, metricsOf("00XXX00", { delayMillis: 90_000 }), 9)).to.include("6 ALARM");
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

    const fewer = { comparisonOperator: "LessThanThreshold", treatMissingData: "ignore" };
    const filled = ["FILL(bad, 0) + 0 * other", "--X-------", "-XXXXXXXXX"] as const;
    const largest = ["MAX([bad, other])", "00---X----", "---0"] as const;
    const lasting = ["MAX([FILL(bad, REPEAT), FILL(other, REPEAT)])", "00---X----", "---0"] as const;
    const math: [
        what: string,
        query: readonly [expression: string, bad: string, other: string],
        changes: string,
        conditions?: Conditions,
        settings?: Partial<Alarm>,
    ][] = [
        ["a sum lacks a value where one term does", ["bad + other", "0--0", "XX"], "1 ALARM, 4 INSUFFICIENT_DATA"],
        ["FILL fills also where there is nothing", filled, "2 ALARM, 3 OK, 4 ALARM", { fillsEmpty: true }, fewer],
        ["or FILL fills only beside a value", filled, "3 OK, 4 ALARM", { fillsEmpty: false }, fewer],
        ["MAX takes what there is", largest, "1 OK, 6 ALARM, 9 INSUFFICIENT_DATA", { maxNeedsAll: false }],
        ["or MAX lacks a value where one is lacking", largest, "", { maxNeedsAll: true }],
        [
            "REPEAT fills with the last value in the range",
            lasting,
            "4 OK, 5 INSUFFICIENT_DATA, 6 ALARM, 7 INSUFFICIENT_DATA",
            { maxNeedsAll: true },
        ],
    ];
    for (const [what, [expression, bad, other], changes, conditions, settings] of math) {
        it(`of several metrics: ${what}`, () => {
            const query = (id: string, of: typeof metric) => ({ id, metric: { ...of, period: 60, stat: "Maximum" } });
            const result = { id: "result", expression, returnData: true };
            const metricQueries = [query("bad", metric), query("other", another), result];
            const alarm = alarmOf({ evaluationPeriods: 1, ...settings, metricQueries });
            expect(timeline(alarm, metricsOf(bad, { other }), 10, conditions).join(", ")).to.equal(changes);
        });
    }

    const unknown: Record<string, Partial<Alarm>> = {
        "an operator not known here: LessThanLowerThreshold": { comparisonOperator: "LessThanLowerThreshold" },
        "a statistic not known here: p99": { statistic: "p99" },
        "METRICS is not defined": {
            metricQueries: [
                { id: "m", metric: { ...metric, period: 60, stat: "Maximum" } },
                { id: "e", expression: "MAX(METRICS())", returnData: true },
            ],
        },
    };
    for (const [message, settings] of Object.entries(unknown)) {
        it(`is not judged here with ${message}`, () => {
            expect(() => changesOf(alarmOf(settings), metricsOf("0"), 0, minute)).to.throw(message);
        });
    }
});
