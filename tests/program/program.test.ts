// What the program registers, under Pulumi's mocks, and which events its rules take.
import { expect } from "chai";
import { listLeaders } from "../../election/stack/leaders-command";
import { dashboardBody } from "../../election/stack/monitoring";
import { readSettings } from "../../election/stack/settings";
import { type BusEvent, samples } from "../simulator/aws/events";
import { matches } from "../simulator/aws/patterns";
import { found, only } from "../simulator/lists";
import {
    archiveBytes,
    configuration,
    idOf,
    type Program,
    physicalNames,
    project,
    type Resource,
    runProgram,
    shapeOf,
} from "../simulator/stack/program";

const region = "eu-central-1";
const asgPrefix = "awseb-";
const tagKey = "app:isLeader";
const config = { asgPrefix, tagKey, sweepMinutes: "1", logRetentionDays: "7" };
const run = (options: Parameters<typeof runProgram>[0] = {}) =>
    runProgram({ region, ...options, config: { ...config, ...options.config } });

// As the mocks make them up.
const arn = (service: string, name: string) => `arn:aws:${service}:${region}:123456789012:${name}`;
const queueArn = arn("sqs", "events-1234567.fifo");
const functionArn = arn("lambda", "function:election-1234567");

const role = "aws:iam/role:Role::election";
const rolePolicy = "aws:iam/rolePolicy:RolePolicy::election";
const logGroup = "aws:cloudwatch/logGroup:LogGroup::election";
const lambda = "aws:lambda/function:Function::election";
const queue = "aws:sqs/queue:Queue::events";
const queuePolicy = "aws:sqs/queuePolicy:QueuePolicy::events";
const mapping = "aws:lambda/eventSourceMapping:EventSourceMapping::events";
const rule = (name: string) => `aws:cloudwatch/eventRule:EventRule::${name}`;
const target = (name: string) => `aws:cloudwatch/eventTarget:EventTarget::${name}`;
const rules = ["scaling", "departures", "tags", "sweep"];
const alarm = (name: string) => `aws:cloudwatch/metricAlarm:MetricAlarm::${name}`;
const moreAlarms = ["two-leaders", "backlog", "flapping"].map(alarm);
const query = (name: string) => `aws:cloudwatch/queryDefinition:QueryDefinition::${name}`;
const queryNames = ["leader-history", "changes-by-cause", "vacant-groups", "downtime"];
const dashboard = "aws:cloudwatch/dashboard:Dashboard::election";
const alarmTopicArn = "arn:aws:sns:eu-central-1:123456789012:ops";

/** A resource's inputs but for those that have tests of their own. */
function declared({ inputs }: Resource): object {
    const { tags, code, assumeRolePolicy, policy, eventPattern, alarmDescription, queryString, ...rest } = inputs;
    return rest;
}

describe("The program", () => {
    let program: Program;
    /** With every option on. */
    let full: Program;
    /** As well, in a stack of another name. */
    let other: Program;
    const everything = { alarmTopicArn, dashboard: "true" };
    before(async () => {
        program = await run();
        full = await run({ config: everything });
        other = await run({ config: everything, stack: "eu.prod_1-b" });
    });

    const resource = (id: string) => only(program.resources.filter((one) => idOf(one) === id));

    type Expected = [what: string, id: string, inputs: object, after: string[]];
    /** What each resource is, its inputs, and what must be there before. */
    const resources: Expected[] = [
        ["a role", role, {}, []],
        ["an inline policy of the role", rolePolicy, { role: "election-id" }, [queue, logGroup, role]],
        [
            "a log group by the function's name that keeps lines as long as is set",
            logGroup,
            { name: "/aws/lambda/election-1234567", retentionInDays: 7 },
            [lambda],
        ],
        [
            "a function that logs in JSON to the log group of its name",
            lambda,
            {
                handler: "__index.handler",
                role: "arn:aws:iam::123456789012:role/election-89abcde",
                runtime: "nodejs24.x",
                architectures: ["arm64"],
                memorySize: 1769,
                timeout: 10,
                loggingConfig: { logFormat: "JSON", applicationLogLevel: "INFO" },
            },
            [queue, role],
        ],
        [
            "a FIFO queue that forgets after five minutes",
            queue,
            {
                fifoQueue: true,
                contentBasedDeduplication: true,
                visibilityTimeoutSeconds: 15,
                messageRetentionSeconds: 300,
                sqsManagedSseEnabled: true,
            },
            [],
        ],
        [
            "a policy of the queue",
            queuePolicy,
            { queueUrl: `https://sqs.${region}.amazonaws.com/123456789012/events-1234567.fifo` },
            [queue, ...rules.map(rule)],
        ],
        [
            "a mapping from queue to function, not before the role may read the queue and the log group is there",
            mapping,
            { eventSourceArn: queueArn, functionName: functionArn, batchSize: 10 },
            [rolePolicy, queue, lambda],
        ],
        // Without a state, the provider leaves a rule disabled that was disabled by hand.
        ...["scaling", "departures", "tags"].map(
            (name): Expected => [`a rule for ${name}`, rule(name), { state: "ENABLED" }, []],
        ),
        ["a rule for the sweep", rule("sweep"), { state: "ENABLED", scheduleExpression: "rate(1 minute)" }, []],
        ...rules.map(
            (name): Expected => [
                `the queue as the target of ${name}, for whole events in one message group`,
                target(name),
                {
                    rule: `${name}-1234567`,
                    arn: queueArn,
                    sqsTarget: { messageGroupId: "election" },
                    retryPolicy: { maximumEventAgeInSeconds: 300, maximumRetryAttempts: 185 },
                },
                [queue, rule(name)],
            ],
        ),
        ...queryNames.map(
            (name): Expected => [
                `a saved query of the log group: ${name}`,
                query(name),
                { name: `${project}-dev/${name}`, logGroupNames: ["/aws/lambda/election-1234567"] },
                [logGroup],
            ],
        ),
    ];
    for (const [what, id, inputs, after] of resources) {
        it(`registers ${what}`, () => {
            expect(declared(resource(id))).to.deep.equal(inputs);
            expect(resource(id).dependencies).to.have.members(after);
        });
    }
    it("deploys one file, of at most 22 KB in the archive", () => {
        expect(program.members).to.deep.equal(["__index.js"]);
        expect(program.functionText).to.contain("exports.handler");
        expect(archiveBytes(program)).to.be.at.most(22 * 1024);
    });

    it("registers a dashboard and more alarms only if they are wanted; names.test.ts has the list of all", () => {
        const [without, all] = [program.resources.map(idOf), full.resources.map(idOf)];
        expect(all).to.have.members([...without, ...moreAlarms, dashboard]);
        const { inputs, dependencies } = full.resources.find((one) => idOf(one) === dashboard) as Resource;
        expect(inputs.dashboardName).to.equal(`${project}-dev`);
        const body = dashboardBody(`${project}/dev`, region, physicalNames);
        expect(inputs.dashboardBody).to.equal(JSON.stringify(body));
        expect(dependencies).to.have.members([lambda, logGroup, queue, ...rules.map(rule)]);
    });

    it("names nothing itself but what people find by its name, so that any number of stacks fit into an account", () => {
        const named = other.resources.flatMap(({ type, inputs: { name, namePrefix, dashboardName } }) =>
            [name, namePrefix, dashboardName].filter((one) => one !== undefined).map((one) => `${type} ${one}`),
        );
        expect(named).to.have.members([
            // CloudWatch takes no dots in a dashboard's name.
            ...queryNames.map(
                (name) => `aws:cloudwatch/queryDefinition:QueryDefinition ${project}-eu_prod_1-b/${name}`,
            ),
            `aws:cloudwatch/dashboard:Dashboard ${project}-eu_prod_1-b`,
            "aws:cloudwatch/logGroup:LogGroup /aws/lambda/election-1234567",
        ]);
    });

    it("tags whatever can be tagged with its project and stack", () => {
        // Some partitions refuse tags of a mapping.
        const untagged = [rolePolicy, queuePolicy, mapping, dashboard, ...rules.map(target), ...queryNames.map(query)];
        const tags = { "pulumi:project": project, "pulumi:stack": "dev" };
        for (const one of full.resources) {
            expect(one.inputs.tags, idOf(one)).to.deep.equal(untagged.includes(idOf(one)) ? undefined : tags);
        }
    });

    it("registers the same under another stack's name, but for what carries that name", () => {
        const text = (program: Program, stack: string, title: string) =>
            JSON.stringify(shapeOf(program))
                .replaceAll(`${project}/${stack}`, "PROJECT/STACK")
                .replaceAll(`${project}-${title}`, "PROJECT-STACK")
                .replaceAll(`"pulumi:stack":"${stack}"`, '"pulumi:stack":"STACK"');
        const others = text(other, "eu.prod_1-b", "eu_prod_1-b");
        expect(JSON.parse(others)).to.deep.equal(JSON.parse(text(full, "dev", "dev")));
    });

    it("puts out its version, names of the function, the log group and the role, and how to list the leaders", () => {
        const { leadersCommand, version, ...names } = program.outputs;
        expect(names).to.deep.equal({
            functionName: "election-1234567",
            logGroupName: "/aws/lambda/election-1234567",
            roleArn: "arn:aws:iam::123456789012:role/election-89abcde",
        });
        expect(version).to.match(/^\d+\.\d+\.\d+$/);
        const settings = readSettings(configuration({ asgPrefix, tagKey }), project);
        expect(leadersCommand).to.equal(listLeaders(settings, region));
    });

    it("names resources of its own partition and region only", async () => {
        const [partition, region] = ["aws-cn", "cn-north-1"];
        const alarmTopicArn = `arn:${partition}:sns:${region}:123456789012:ops`;
        const config = { alarmTopicArn, dashboard: "true" };
        const { resources, outputs, functionText } = await run({ partition, region, config });
        const inputs = resources.map(({ inputs: { code, ...rest } }) => rest);
        const text = JSON.stringify([inputs, outputs, functionText]);
        const found = [...text.matchAll(/arn:([\w-]*):\w+:([\w-]*):/g)].map(([, ...named]) => named.join(" "));
        expect(new Set(found)).to.deep.equal(new Set([`${partition} ${region}`, `${partition} `]));
    });

    describe("has rules, of which", () => {
        /** The rules that take an event. */
        function onEvent(event: object): string[] {
            return rules.filter((name) => {
                const { eventPattern } = resource(rule(name)).inputs;
                return eventPattern !== undefined && matches(JSON.parse(eventPattern), event);
            });
        }
        // The sweep has no pattern, and no other rule takes its event.
        const takers: Record<string, string[]> = {
            "aws.autoscaling": ["scaling"],
            "aws.ec2": ["departures"],
            "aws.tag": ["tags"],
            "aws.events": [],
        };
        for (const [sample, event] of Object.entries(samples)) {
            it(`${takers[event.source]?.join() || "none"} takes ${sample}`, () => {
                expect(onEvent(event)).to.deep.equal(takers[event.source]);
            });
        }

        const launch = "launch-successful";
        const departure = "state-change-shutting-down";
        const state = (value: string) => ({ detail: { state: value } });
        const keys = (...changed: string[]) => ({ detail: { "changed-tag-keys": changed } });
        const ofGroup = (name: string) => ({ detail: { AutoScalingGroupName: name } });
        const kind = (name: string) => ({ "detail-type": name });
        const variants: [string, string, Partial<BusEvent>, string[]][] = [
            ["an instance that stops", departure, state("stopping"), ["departures"]],
            ["an instance that runs", departure, state("running"), []],
            ["an instance that is pending", departure, state("pending"), []],
            ["an instance long gone", departure, state("terminated"), []],
            ["the leader tag among others", "tag-change", keys("Name", tagKey, "x"), ["tags"]],
            ["other tags only", "tag-change", keys("Name", `${tagKey}:since`), []],
            ["the tags of another service", "tag-change", { detail: { service: "rds" } }, []],
            ["the tags of a volume", "tag-change", { detail: { "resource-type": "volume" } }, []],
            ["a group with another prefix", launch, ofGroup("other"), []],
            ["a group with the prefix inside", launch, ofGroup(`my-${asgPrefix}x`), []],
            ["a group with the prefix in capitals", launch, ofGroup("AWSEB-x"), []],
            ["another event of a group", launch, kind("EC2 Auto Scaling Instance Refresh Started"), []],
            ["a recommendation", "spot-interruption-warning", kind("EC2 Instance Rebalance Recommendation"), []],
        ];
        for (const [what, sample, { detail, ...changes }, expected] of variants) {
            it(`${expected.join() || "none"} takes ${what}`, () => {
                const event = found(samples[sample]);
                const changed = { ...event, ...changes, detail: { ...event.detail, ...detail } };
                expect(onEvent(changed)).to.deep.equal(expected);
            });
        }
        it("none takes an event of another source, whatever it says", () => {
            for (const sample of Object.keys(samples)) {
                expect(onEvent({ ...samples[sample], source: "my.app" }), sample).to.deep.equal([]);
            }
        });
    });
});

describe("An event pattern", () => {
    const event = { a: "one", n: 1, detail: { tags: [{ k: "b", v: 1 }] } };

    const unknown: [object, string][] = [
        [{ a: ["one", { "anything-but": "x" }] }, "anything-but"],
        [{ a: ["two"], detail: { tags: { k: [{ wildcard: "*" }] } } }, "wildcard"],
        [{ missing: { deep: [{ numeric: ["=", 1] }] } }, "numeric"],
        [{ a: [{ prefix: "o", exists: true }] }, "exists"],
        [{ a: [["one"]] }, "one"],
        [{ a: "one" }, "one"],
        [{ a: [] }, "[]"],
        [{ $or: [{ a: ["one"] }, { a: [{ prefix: "t" }] }] }, "one"],
    ];
    for (const [pattern, named] of unknown) {
        it(`is refused for what is not known here: ${JSON.stringify(pattern)}`, () => {
            expect(() => matches(pattern, event)).to.throw(named);
        });
    }
});
