// What the alarms say, how a saved query names causes, and what the dashboard asks for.
import { expect } from "chai";
import { dashboardBody, queries } from "../../election/stack/monitoring";
import { found, only } from "../simulator/lists";
import { runQuery } from "../simulator/monitoring/insights";
import { programWith } from "../simulator/scenario";
import { physicalNames as names, project } from "../simulator/stack/program";
import { alarmsOf, alarmTopicArn } from "./outages";

const stack = `${project}/dev`;
const namespace = "AsgLeaderElection";
const registered = async (config: Record<string, string> = {}) =>
    alarmsOf(await programWith({ alarmTopicArn, ...config }));

const electorateTag = "elasticbeanstalk:environment-name";
const choices: Record<string, string>[] = [{}, { electorateTag }, { sweepMinutes: "60" }];

describe("An alarm", () => {
    it("spans no more than a day, which is all that CloudWatch evaluates for short periods", async () => {
        for (const options of choices) {
            for (const [name, alarm] of Object.entries(await registered(options))) {
                const { period = 0, metricQueries = [], evaluationPeriods } = alarm;
                const longest = Math.max(period, ...metricQueries.map(({ metric }) => metric?.period ?? 0));
                expect(longest * evaluationPeriods, name).to.be.within(60, 24 * 60 * 60);
                expect(longest % 60, name).to.equal(0);
            }
        }
    });

    const when = "It goes off \\d+ to \\d+ minutes after .{5,}";
    const sentences = [`Stack ${stack}: .{30,}`, when, "First .{30,}", "Meanwhile .{30,}"];
    const { functionName, queueName, logGroupName, ruleNames } = names;
    const named: Record<string, string[]> = {
        "no-leader": [logGroupName],
        "two-leaders": [],
        "function-failing": [functionName, logGroupName],
        "no-sweep": [ruleNames.sweep, queueName, functionName, logGroupName],
        backlog: [queueName, functionName],
        flapping: [],
    };
    for (const [name, physicalNames] of Object.entries(named)) {
        it(`${name} says what it means, when it goes off, what to do first and where, and what stays all right`, async () => {
            for (const options of choices) {
                const description = (await registered(options))[name]?.alarmDescription ?? "";
                expect(description).to.match(new RegExp(`^${sentences.join("\\. ")}\\.$`));
                expect(description.match(/\S+-1234567(\.fifo)?/g) ?? []).to.deep.equal(physicalNames);
                // As long as real names may make it: a function's has 64 characters at most, a queue's 80.
                expect(description.length + 3 * 64 + 80).to.be.at.most(1024);
            }
        });
    }

    it("no-leader names what a line of the log is about where groups elect together", async () => {
        const { "no-leader": alarm } = await registered({ electorateTag });
        expect(alarm?.alarmDescription).to.include(`each group, or all groups with one value of ${electorateTag},`);
    });
});

describe("The saved query changes-by-cause", () => {
    const query = found(queries(1)["changes-by-cause"]);
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
        it(`counts "${reason}" under "${expected}"`, () => {
            // As Lambda's JSON log format writes console.info(report).
            const line = { timestamp: "2026-01-01T00:00:01.000Z", message: { group: "a", outcome: "elected", reason } };
            expect(only(runQuery(query, [JSON.stringify(line)])).cause).to.equal(expected);
            expect(runQuery(query, [JSON.stringify({ message: { ...line.message, dryRun: true } })])).to.have.length(0);
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
        const history = found(queries(1)["leader-history"]).replaceAll("| ", "").split("\n");
        expect(history).to.include.members(commands.slice(0, 3));
        expect(commands.slice(3)).to.deep.equal(["limit 20"]);
    });

    it("reads every widget from the stack's own region, and gives it a title of its own", () => {
        expect(new Set(widgets.map(({ properties }) => properties.region))).to.deep.equal(new Set(["eu-west-3"]));
        expect(new Set(widgets.map(({ properties }) => properties.title))).to.have.property("size", widgets.length);
    });
});
