// What the alarms say, and what the saved queries and the dashboard ask for.
import { expect } from "chai";
import type { Report } from "../../election/report";
import { dashboardBody, queries as queriesFor } from "../../election/stack/monitoring";
import { found, only } from "../simulator/lists";
import { programWith } from "../simulator/scenario";
import { physicalNames as names, project } from "../simulator/stack/program";
import { alarmsOf, alarmTopicArn } from "./outages";

const stack = `${project}/dev`;
const namespace = "AsgLeaderElection";
const registered = async (config: Record<string, string> = {}) =>
    alarmsOf(await programWith({ alarmTopicArn, ...config }));
const allAlarms = ["no-leader", "two-leaders", "function-failing", "no-sweep", "backlog", "flapping"];

describe("An alarm", () => {
    it("reports to the topic when it goes off and when it recovers", async () => {
        const found = await registered();
        expect(found).to.have.all.keys(allAlarms);
        for (const [name, { alarmActions, okActions }] of Object.entries(found)) {
            expect([alarmActions, okActions], name).to.deep.equal([[alarmTopicArn], [alarmTopicArn]]);
        }
    });

    it("is there without a topic if the stack is not without it, and reports to none", async () => {
        const found = await registered({ alarmTopicArn: "" });
        expect(found).to.have.all.keys("no-leader", "function-failing", "no-sweep");
        for (const [name, { alarmActions, okActions }] of Object.entries(found)) {
            expect([alarmActions, okActions], name).to.deep.equal([[], []]);
        }
    });

    it("spans no more than a day, which is all that CloudWatch evaluates for short periods", async () => {
        for (const sweepMinutes of ["1", "4", "5", "59", "60"]) {
            for (const [name, alarm] of Object.entries(await registered({ sweepMinutes }))) {
                const { period = 0, metricQueries = [], evaluationPeriods } = alarm;
                const longest = Math.max(period, ...metricQueries.map(({ metric }) => metric?.period ?? 0));
                expect(longest * evaluationPeriods, name).to.be.within(60, 24 * 60 * 60);
                expect(longest % 60, name).to.equal(0);
            }
        }
    });

    it("looks at sweeps in periods of sweepMinutes", async () => {
        const { "no-leader": alarm } = await registered({ sweepMinutes: "5" });
        const periods = alarm?.metricQueries?.flatMap(({ metric }) => metric?.period ?? []);
        expect(periods).to.deep.equal([300, 300]);
    });

    const choices: Record<string, string>[] = [
        {},
        { electorateTag: "elasticbeanstalk:environment-name" },
        { sweepMinutes: "60" },
    ];
    for (const name of allAlarms) {
        for (const options of choices) {
            it(`${name} says what it means, when it goes off, what to do first, and what stays all right: ${JSON.stringify(options)}`, async () => {
                const description = (await registered(options))[name]?.alarmDescription ?? "";
                expect(description).to.match(
                    new RegExp(
                        `^Stack ${stack}: .{30,}\\. It goes off \\d+ to \\d+ minutes after .{5,}\\. ` +
                            "First .{30,}\\. Meanwhile .{30,}\\.$",
                    ),
                );
                // As long as real names may make it: a function's has 64 characters at most, a queue's 80.
                const longer = 3 * 64 + 80;
                expect(description.length + longer).to.be.at.most(1024);
            });
        }
    }

    it("names the function, the queue, the rule and the log group that it sends an operator to", async () => {
        const found = await registered();
        const namesIn = (name: string) =>
            [...(found[name]?.alarmDescription ?? "").matchAll(/\S+-1234567(\.fifo)?/g)].map(([physical]) => physical);
        expect(namesIn("no-leader")).to.deep.equal([names.logGroupName]);
        expect(namesIn("function-failing")).to.deep.equal([names.functionName, names.logGroupName]);
        expect(namesIn("no-sweep")).to.deep.equal([
            names.ruleNames.sweep,
            names.queueName,
            names.functionName,
            names.logGroupName,
        ]);
        expect(namesIn("backlog")).to.deep.equal([names.queueName, names.functionName]);
    });

    it("no-leader names what a line of the log is about where groups elect together", async () => {
        const { "no-leader": alarm } = await registered({ electorateTag: "elasticbeanstalk:environment-name" });
        expect(alarm?.alarmDescription).to.include(
            "each group, or all groups with one value of elasticbeanstalk:environment-name,",
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
    const [, changed] = queries["leader-history"]?.match(/^\| filter (.*)$/m) ?? [];
    const parse = /parse @message \/(.*)\/$/m;
    const cause = (reason: string) => {
        const [, pattern = ""] = queries["changes-by-cause"]?.match(parse) ?? [];
        return line({ ...report, reason }).match(new RegExp(pattern))?.groups?.cause;
    };

    it("asks for fields only that the log line of a change has", () => {
        const ofChanges = [queries["leader-history"], queries["changes-by-cause"]];
        const names = ofChanges.flatMap((query) => query?.match(/message\.[a-z]+(\.\d)?/g) ?? []);
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
    const body = dashboardBody(stack, "eu-west-3", names);
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
            ...Object.values(names.ruleNames).map((name) => `Sum AWS/Events FailedInvocations RuleName ${name}`),
            "Maximum AWS/SQS ApproximateAgeOfOldestMessage QueueName events-1234567.fifo",
            "Sum AWS/Lambda Errors FunctionName election-1234567",
            "Sum AWS/Lambda Throttles FunctionName election-1234567",
            `Sum ${namespace} FailedReads Stack ${stack}`,
            "Maximum AWS/Lambda Duration FunctionName election-1234567",
        ]);
    });

    it("shows the last changes in a table, from the log group", () => {
        const { properties } = only(widgets.filter(({ type }) => type === "log"));
        const [source, ...commands] = properties.query.split(" | ");
        expect(source).to.equal("SOURCE '/aws/lambda/election-1234567'");
        expect(properties.view).to.equal("table");
        const history = found(queriesFor(1)["leader-history"]).replaceAll("| ", "").split("\n");
        expect(history).to.include.members(commands.slice(0, 3));
        expect(commands.slice(3)).to.deep.equal(["limit 20"]);
    });

    it("reads every widget from the stack's own region, and gives it a title of its own", () => {
        expect(new Set(widgets.map(({ properties }) => properties.region))).to.deep.equal(new Set(["eu-west-3"]));
        expect(new Set(widgets.map(({ properties }) => properties.title))).to.have.property("size", widgets.length);
    });
});
