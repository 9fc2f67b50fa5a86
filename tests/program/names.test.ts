// What a deployed stack has keeps its type, name and parent, or has an alias: an update replaces nothing.
import { expect } from "chai";
import { only } from "../simulator/lists";
import { programWith } from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";

/** The resources of a stack of version 1.0.0 with every option on, by type and name; the stack is the parent of all. */
const deployed = [
    "aws:cloudwatch/dashboard:Dashboard::election",
    "aws:cloudwatch/eventRule:EventRule::departures",
    "aws:cloudwatch/eventRule:EventRule::scaling",
    "aws:cloudwatch/eventRule:EventRule::sweep",
    "aws:cloudwatch/eventRule:EventRule::tags",
    "aws:cloudwatch/eventTarget:EventTarget::departures",
    "aws:cloudwatch/eventTarget:EventTarget::scaling",
    "aws:cloudwatch/eventTarget:EventTarget::sweep",
    "aws:cloudwatch/eventTarget:EventTarget::tags",
    "aws:cloudwatch/logGroup:LogGroup::election",
    "aws:cloudwatch/metricAlarm:MetricAlarm::backlog",
    "aws:cloudwatch/metricAlarm:MetricAlarm::flapping",
    "aws:cloudwatch/metricAlarm:MetricAlarm::function-failing",
    "aws:cloudwatch/metricAlarm:MetricAlarm::no-leader",
    "aws:cloudwatch/metricAlarm:MetricAlarm::no-sweep",
    "aws:cloudwatch/metricAlarm:MetricAlarm::two-leaders",
    "aws:cloudwatch/queryDefinition:QueryDefinition::changes-by-cause",
    "aws:cloudwatch/queryDefinition:QueryDefinition::downtime",
    "aws:cloudwatch/queryDefinition:QueryDefinition::leader-history",
    "aws:cloudwatch/queryDefinition:QueryDefinition::vacant-groups",
    "aws:iam/role:Role::election",
    "aws:iam/rolePolicy:RolePolicy::election",
    "aws:lambda/eventSourceMapping:EventSourceMapping::events",
    "aws:lambda/function:Function::election",
    "aws:sqs/queue:Queue::events",
    "aws:sqs/queuePolicy:QueuePolicy::events",
];

/** Inputs that AWS can't change in place; a resource that was deployed without one of them must not get it. */
const fixedInputs: Record<string, string[]> = {
    "aws:cloudwatch/eventRule:EventRule": ["name", "namePrefix", "eventBusName"],
    "aws:cloudwatch/eventTarget:EventTarget": ["targetId", "eventBusName"],
    "aws:cloudwatch/logGroup:LogGroup": ["namePrefix", "logGroupClass"],
    "aws:cloudwatch/metricAlarm:MetricAlarm": ["name"],
    "aws:iam/role:Role": ["name", "namePrefix", "path"],
    "aws:iam/rolePolicy:RolePolicy": ["name", "namePrefix"],
    "aws:lambda/function:Function": ["name", "packageType"],
    "aws:sqs/queue:Queue": ["name", "namePrefix"],
};

describe("An update of a deployed stack", () => {
    let program: Program;
    before(async () => {
        program = await programWith({ dashboard: "true", alarmTopicArn: "arn:aws:sns:us-east-1:123456789012:ops" });
    });

    for (const old of deployed) {
        it(`keeps ${old}`, () => {
            const heirs = program.resources.filter(
                ({ type, name, aliases }) => `${type}::${name}` === old || aliases.includes(old),
            );
            expect(heirs.map(({ parent }) => parent)).to.deep.equal([""]);
            const { type, inputs } = only(heirs);
            for (const input of fixedInputs[type] ?? []) {
                expect(inputs[input], input).to.equal(undefined);
            }
        });
    }

    it("has every resource on this list, so that the next update keeps it, too", () => {
        expect(program.resources.map(({ type, name }) => `${type}::${name}`)).to.have.members(deployed);
    });

    it("keeps the log group's name, which is that of the function", () => {
        const [logGroup] = program.resources.filter(({ type }) => type === "aws:cloudwatch/logGroup:LogGroup");
        expect(logGroup?.inputs.name).to.equal("/aws/lambda/election-1234567");
    });

    it("keeps the queue a FIFO queue, and each rule's target the queue", () => {
        const ofType = (type: string) =>
            program.resources.filter((one) => one.type === type).map(({ inputs }) => inputs);
        expect(ofType("aws:sqs/queue:Queue").map(({ fifoQueue }) => fifoQueue)).to.deep.equal([true]);
        const targets = ofType("aws:cloudwatch/eventTarget:EventTarget").map(({ rule }) => rule.replace(/-\w+$/, ""));
        expect(targets).to.include.members(["scaling", "departures", "tags", "sweep"]);
    });
});
