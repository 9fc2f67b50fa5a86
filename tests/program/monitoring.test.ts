// What the alarms say, and what the saved queries and the dashboard ask for.
import { expect } from "chai";
import type { Report } from "../../election/report";
import { alarms, dashboardBody, queries as queriesFor } from "../../election/stack/monitoring";
import { project } from "../simulator/stack/program";

const stack = `${project}/dev`;
const namespace = "AsgLeaderElection";

const electorateTag = "elasticbeanstalk:environment-name";
const topic = "arn:aws:sns:us-east-1:123456789012:on-call";
const names = { functionName: "election-1234567", queueName: "events-1234567.fifo" };

function alarmsOf({ sweepMinutes = 1, electorateTag = "", topics = [topic] } = {}) {
    return alarms({ stack, electorateTag }, { title: `${project}-dev`, sweepMinutes, topics }, names);
}

describe("An alarm", () => {
    it("reports to the topic when it goes off and when it recovers", () => {
        for (const [name, { alarmActions, okActions }] of Object.entries(alarmsOf())) {
            expect([alarmActions, okActions], name).to.deep.equal([[topic], [topic]]);
        }
    });

    it("is there without a topic if it costs no more than before, and reports to none", () => {
        const found = alarmsOf({ topics: [] });
        expect(Object.keys(found)).to.deep.equal(["no-leader", "function-failing", "no-sweep"]);
        expect(Object.values(found).flatMap(({ alarmActions, okActions }) => [alarmActions, okActions])).to.deep.equal(
            Array(6).fill([]),
        );
    });

    it("spans no more than a day, which is all that CloudWatch evaluates for short periods", () => {
        for (const sweepMinutes of [1, 5, 59, 60]) {
            for (const [name, { period, metricQueries, evaluationPeriods }] of Object.entries(
                alarmsOf({ sweepMinutes }),
            )) {
                const queries = (metricQueries ?? []) as { metric?: { period: number } }[];
                const longest = Math.max(Number(period ?? 0), ...queries.map(({ metric }) => metric?.period ?? 0));
                expect(longest * Number(evaluationPeriods), name).to.be.within(60, 24 * 60 * 60);
                expect(longest % 60, name).to.equal(0);
            }
        }
    });

    for (const name of Object.keys(alarmsOf())) {
        for (const options of [{}, { electorateTag }, { sweepMinutes: 60 }]) {
            it(`${name} says what it means, when it goes off, what to do first, and what stays all right: ${JSON.stringify(options)}`, () => {
                const { alarmDescription } = alarmsOf(options)[name];
                expect(alarmDescription).to.match(
                    new RegExp(
                        `^Stack ${stack}: .{30,}\\. It goes off \\d+ to \\d+ minutes after .{5,}\\. ` +
                            "First .{30,}\\. Meanwhile .{30,}\\.$",
                    ),
                );
                expect(String(alarmDescription).length).to.be.at.most(1024);
            });
        }
    }

    it("no-leader names what a line of the log is about where groups elect together", () => {
        expect(alarmsOf({ electorateTag })["no-leader"].alarmDescription).to.include(
            `each group, or all groups with one value of ${electorateTag},`,
        );
    });
});

/** The field of a log line that Logs Insights knows by a name: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html */
function discovered(line: string, name: string): unknown {
    // biome-ignore lint/suspicious/noExplicitAny: any JSON
    return name.split(".").reduce((value: any, key) => value?.[key], JSON.parse(line));
}

describe("A saved query", () => {
    const queries = queriesFor(1);
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
        const ofChanges = [queries["leader-history"], queries["changes-by-cause"]];
        const names = ofChanges.flatMap((query) => query.match(/message\.[a-z]+(\.\d)?/g) ?? []);
        expect(new Set(names)).to.include("message.group").and.to.include("message.leader");
        for (const name of names) {
            expect(discovered(line(report), name), name).to.be.a("string");
        }
    });

    it("takes the same lines for changes, whichever query it is", () => {
        for (const name of ["leader-history", "changes-by-cause"]) {
            expect(queries[name], name).to.contain(`filter ${changed}`);
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
        ["no instance can lead; i-0abc is stopping", "no instance can lead"],
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
    const body = dashboardBody(stack, "eu-west-3", {
        ...names,
        logGroupName: "/aws/lambda/election-1234567",
        ruleNames: ["scaling-1234567", "sweep-1234567"],
    });
    const { widgets }: { widgets: Widget[] } = JSON.parse(JSON.stringify(body));

    it("shows changes and their delay, vacant, contested and failed groups, lost events, the queue and the function", () => {
        const shown = widgets
            .filter(({ type }) => type === "metric")
            .flatMap(({ properties: { stat, metrics } }) => metrics.map((metric) => [stat, ...metric].join(" ")));
        expect(shown).to.have.members([
            `Sum ${namespace} LeaderChanges Stack ${stack}`,
            `Sum ${namespace} FlappingGroups Stack ${stack}`,
            `Maximum ${namespace} VacantGroups Stack ${stack}`,
            `Maximum ${namespace} ContestedGroups Stack ${stack}`,
            `Maximum ${namespace} FailedElections Stack ${stack}`,
            `Maximum ${namespace} ElectionDelay Stack ${stack}`,
            `Sum ${namespace} SweptLosses Stack ${stack}`,
            "Sum AWS/Events FailedInvocations RuleName scaling-1234567",
            "Sum AWS/Events FailedInvocations RuleName sweep-1234567",
            "Maximum AWS/SQS ApproximateAgeOfOldestMessage QueueName events-1234567.fifo",
            "Sum AWS/Lambda Errors FunctionName election-1234567",
            `Sum ${namespace} FailedReads Stack ${stack}`,
            "Maximum AWS/Lambda Duration FunctionName election-1234567",
        ]);
    });

    it("shows the last changes in a table, from the log group", () => {
        const [{ properties }] = widgets.filter(({ type }) => type === "log");
        const [source, ...commands] = properties.query.split(" | ");
        expect(source).to.equal("SOURCE '/aws/lambda/election-1234567'");
        expect(properties.view).to.equal("table");
        const history = queriesFor(1)["leader-history"].replaceAll("| ", "").split("\n");
        expect(history).to.include.members(commands.slice(0, 3));
        expect(commands.slice(3)).to.deep.equal(["limit 20"]);
    });

    it("reads every widget from the stack's own region, and gives it a title of its own", () => {
        expect(new Set(widgets.map(({ properties }) => properties.region))).to.deep.equal(new Set(["eu-west-3"]));
        expect(new Set(widgets.map(({ properties }) => properties.title))).to.have.property("size", widgets.length);
    });
});
