// What IAM makes of the policies that the program registers: what they allow, and that they allow nothing else.
import { expect } from "chai";
import type { Location } from "../../election/stack/permissions";
import { allows, type Policy, type Request, requestsOf, rolePolicyOf } from "../simulator/aws/iam";
import { sinceKey, tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import { accountId, runProgram } from "../simulator/stack/program";

const ours = [tagKey, sinceKey];
const roleWith = async (config: Record<string, string>) => rolePolicyOf(await programWith(config));

/** Another partition than that of all other tests; program.test.ts sees that ARNs name no other. */
const place: Location = { partition: "aws-us-gov", region: "us-gov-west-1", accountId };

describe("By the policies that are registered", () => {
    let role: Policy;
    let queue: Policy;
    let trust: Policy;
    before(async () => {
        const { partition, region } = place;
        const { resources } = await runProgram({ config: { asgPrefix: "awseb-", tagKey }, partition, region });
        const policyOf = (wanted: string, policy = "policy") =>
            JSON.parse(resources.find(({ type }) => type === wanted)?.inputs[policy]);
        trust = policyOf("aws:iam/role:Role", "assumeRolePolicy");
        role = policyOf("aws:iam/rolePolicy:RolePolicy");
        queue = policyOf("aws:sqs/queuePolicy:QueuePolicy");
    });

    const arn = (service: string, rest: string) =>
        `arn:${place.partition}:${service}:${place.region}:${accountId}:${rest}`;
    const call = (action: string, resource = "*"): Request[] => [{ action, resource, context: {} }];
    const tagging =
        (action: "ec2:CreateTags" | "ec2:DeleteTags") =>
        (groups: (string | undefined)[], keys: string[], elsewhere: Partial<Location> = {}) => {
            const ids = groups.map((_, number) => `i-${number}`);
            const groupOf = (id: string) => groups[ids.indexOf(id)];
            return requestsOf(action, ids, keys, groupOf, { ...place, ...elsewhere });
        };
    const create = tagging("ec2:CreateTags");
    const remove = tagging("ec2:DeleteTags");
    const inGroup = (name: string) => [...create([name], ours), ...remove([name], ours)];
    /** All writes that are allowed of our own tags: in a group of ours, and off an instance in none. */
    const everywhere = (keys: string[], elsewhere?: Partial<Location>) => [
        ...create(["awseb-e-shop"], keys, elsewhere),
        ...remove(["awseb-e-shop", undefined], keys, elsewhere),
    ];
    const onVolume = (requests: Request[]) =>
        requests.map((request) => ({ ...request, resource: arn("ec2", "volume/vol-1") }));

    const groupArn = (name: string) => arn("autoscaling", `autoScalingGroup:1-2:autoScalingGroupName/${name}`);
    const logStream = (group: string) => arn("logs", `log-group:${group}:log-stream:2026/11/23/[1]abc`);
    const ourQueue = arn("sqs", "events-1234567.fifo");
    const ourLogs = logStream("/aws/lambda/election-1234567");

    describe("the function may", () => {
        const cases: Record<string, Request[]> = {
            "promote an instance of our group": create(["awseb-e-shop"], ours),
            "promote instances of several of our groups at once": create(["awseb-e-shop", "awseb-x"], ours),
            "promote in a group that is called like the prefix": create(["awseb-"], ours),
            "demote an instance of our group": remove(["awseb-e-shop"], ours),
            "take one of the tags off an instance of our group": remove(["awseb-e-shop"], [tagKey]),
            "take both tags off an instance in no group": remove([undefined], ours),
            "take tags off orphans and members at once": remove([undefined, "awseb-e-shop"], ours),
            "describe groups": call("autoscaling:DescribeAutoScalingGroups"),
            "describe the groups' instances": call("autoscaling:DescribeAutoScalingInstances"),
            "describe instances": call("ec2:DescribeInstances"),
            "describe the status of instances": call("ec2:DescribeInstanceStatus"),
            "read metrics": call("cloudwatch:GetMetricData"),
            "receive from its queue": call("sqs:ReceiveMessage", ourQueue),
            "delete from its queue": call("sqs:DeleteMessage", ourQueue),
            "read its queue's attributes": call("sqs:GetQueueAttributes", ourQueue),
            "open a stream in its log group": call("logs:CreateLogStream", ourLogs),
            "log to its log group": call("logs:PutLogEvents", ourLogs),
        };
        for (const [what, requests] of Object.entries(cases)) {
            it(what, () => {
                // The queue has a policy, too, and its denials count for the role as well.
                const allowed = requests.map((request) => allows([role, queue], request));
                expect(allowed).to.not.include(false).and.to.not.be.empty;
            });
        }
        it("do nothing else", () => {
            const tried = Object.values(cases).flatMap((requests) => requests.map(({ action }) => action));
            expect(new Set(role.Statement.flatMap(({ Action }) => Action))).to.deep.equal(new Set(tried));
        });
    });

    describe("the function may not", () => {
        const cases: Record<string, Request[]> = {
            "write another tag": everywhere(["Name"]),
            "write another tag beside ours": everywhere([...ours, "Name"]),
            "write our tag in other case": everywhere(["APP:ISLEADER"]),
            "write a tag whose key begins like ours": everywhere([`${tagKey}:x`]),
            "take all tags off": remove(["awseb-e-shop", undefined], []),
            "write to a foreign group": inGroup("other-e-shop"),
            "write to a group that has the prefix inside": inGroup("my-awseb-e-shop"),
            "write to a group that has the prefix in capitals": inGroup("AWSEB-e-shop"),
            "tag an instance in no group": create([undefined], ours),
            "write to a volume": onVolume(everywhere(ours)),
            "write in another region": everywhere(ours, { region: "eu-west-1" }),
            "write in another account": everywhere(ours, { accountId: "999999999999" }),
            "write in another partition": everywhere(ours, { partition: "aws-other" }),
            "terminate an instance": call("ec2:TerminateInstances", arn("ec2", "instance/i-1")),
            "change a group": call("autoscaling:UpdateAutoScalingGroup", groupArn("awseb-e-shop")),
            "describe anything else": call("ec2:DescribeVolumes"),
            "receive from a foreign queue": call("sqs:ReceiveMessage", arn("sqs", "other.fifo")),
            "delete from a foreign queue": call("sqs:DeleteMessage", arn("sqs", "other.fifo")),
            "send to its queue": call("sqs:SendMessage", ourQueue),
            "empty its queue": call("sqs:PurgeQueue", ourQueue),
            "log to a foreign log group": call("logs:PutLogEvents", logStream("other")),
            "log to a log group whose name begins like its own": call(
                "logs:PutLogEvents",
                logStream("/aws/lambda/election-12345678"),
            ),
            "make a log group": call("logs:CreateLogGroup", ourLogs),
        };
        for (const [what, requests] of Object.entries(cases)) {
            it(what, () => {
                expect(requests).to.not.be.empty;
                expect(requests.filter((request) => allows(role, request))).to.deep.equal([]);
            });
        }
    });

    describe("into the queue may send", () => {
        const send = (source?: string, changes: Partial<Request> = {}, service = "events.amazonaws.com"): Request => ({
            action: "sqs:SendMessage",
            resource: ourQueue,
            context: { "aws:PrincipalServiceName": service, "aws:SourceArn": source },
            ...changes,
        });
        const ruleArn = (name: string) => arn("events", `rule/${name}`);
        const scaling = ruleArn("scaling-1234567");

        for (const name of ["scaling", "departures", "tags", "sweep"]) {
            it(`EventBridge for the rule ${name}`, () => {
                expect(allows(queue, send(ruleArn(`${name}-1234567`)))).to.equal(true);
            });
        }
        const refused: Record<string, Request> = {
            "EventBridge for a foreign rule": send(ruleArn("other")),
            "EventBridge for a rule whose name begins like ours": send(`${scaling}8`),
            "EventBridge for another account": send(scaling.replace(accountId, "999999999999")),
            "EventBridge for another region": send(scaling.replace(place.region, "eu-west-1")),
            "EventBridge for no rule": send(),
            "another service for our rule": send(scaling, {}, "sns.amazonaws.com"),
            "another caller for our rule": send(undefined, { context: { "aws:SourceArn": scaling } }),
            "EventBridge into a foreign queue": send(scaling, { resource: arn("sqs", "other.fifo") }),
            "EventBridge to receive": send(scaling, { action: "sqs:ReceiveMessage" }),
        };
        for (const [caller, request] of Object.entries(refused)) {
            it(`not ${caller}`, () => {
                expect(allows(queue, request)).to.equal(false);
            });
        }

        // Policies of the account's other roles count beside the queue's, so it must deny what they allow.
        const administrator = { Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
        const denied: Record<string, Request> = {
            "an administrator": send(undefined, { context: {} }),
            "a rule with a role of its own": send(ruleArn("other")),
            "another service for a resource of its own": send(arn("sns", "topic"), {}, "sns.amazonaws.com"),
        };
        for (const [what, request] of Object.entries(denied)) {
            it(`not ${what}, though its own policy allows everything`, () => {
                expect(allows(administrator, request)).to.equal(true);
                expect(allows([administrator, queue], request)).to.equal(false);
            });
        }
        it("and an administrator may still read it, empty it and change its policy", () => {
            for (const action of ["sqs:ReceiveMessage", "sqs:PurgeQueue", "sqs:SetQueueAttributes"]) {
                expect(allows([administrator, queue], send(undefined, { action, context: {} })), action).to.equal(true);
            }
        });
    });

    it("the role may be taken by Lambda for a function of this account, and by nothing else", () => {
        const anywhere = { Statement: trust.Statement.map((statement) => ({ ...statement, Resource: "*" })) };
        const mayTake = (service: string, account?: string) => {
            const context = { "aws:PrincipalServiceName": service, "aws:SourceAccount": account };
            return allows(anywhere, { action: "sts:AssumeRole", resource: "*", context });
        };
        expect(mayTake("lambda.amazonaws.com", accountId)).to.equal(true);
        expect(mayTake("lambda.amazonaws.com", "999999999999")).to.equal(false);
        expect(mayTake("lambda.amazonaws.com")).to.equal(false);
        expect(mayTake("ec2.amazonaws.com", accountId)).to.equal(false);
    });
});

describe("As IAM reads a policy, it", () => {
    const thing = "arn:aws:s:r:1:thing/t";
    const evaluate = (statement: object, request: Partial<Request> = {}) =>
        allows(
            { Statement: [{ Effect: "Allow", Action: "s:Do", Resource: "*", ...statement }] },
            { action: "s:Do", resource: thing, context: {}, ...request },
        );
    const like = (...values: string[]) => ({ Condition: { StringLike: { "aws:ResourceTag/Team": values } } });

    // What the policies above do not show, as each of their statements names one ARN and one service.
    const cases: [what: string, isAllowed: boolean, statement: object, request?: Partial<Request>][] = [
        ["takes an action in any case", true, { Action: "S:DO" }],
        ["lets no wildcard reach over a colon", false, { Resource: "arn:aws:s:r*/t" }],
        ["takes a dot as itself", false, { Resource: "arn:aws:s:r:1:thing.t" }],
        ["takes a resource in its own case only", false, { Resource: thing.toUpperCase() }],
        ["takes a key in any case", true, like("a"), { context: { "AWS:resourcetag/TEAM": "a" } }],
        ["wants a value where it compares one", false, like("*")],
    ];
    for (const [what, isAllowed, statement, request] of cases) {
        it(what, () => {
            expect(evaluate(statement, request)).to.equal(isAllowed);
        });
    }

    const unknown: Record<string, object> = {
        "not an Allow or a Deny": { Effect: "Audit" },
        NotAction: { NotAction: "s:Other" },
        principals: { Principal: "123456789012" },
        AWS: { Principal: { AWS: "*" } },
        "a Deny with Action": { Action: undefined },
        StringLikeIfExists: { Condition: { StringLikeIfExists: { key: "value" } } },
        "ForAnyValue:StringLike": { Condition: { "ForAnyValue:StringLike": { key: "value" } } },
        "StringLike is for keys with one value": like("a"),
        variables: { Resource: "arn:aws:s:r:1:thing/$" + "{aws:username}" },
    };
    for (const [named, statement] of Object.entries(unknown)) {
        it(`can't be judged here with ${named}, whatever the request`, () => {
            const context = { "aws:ResourceTag/Team": ["a", "b"] };
            expect(() => evaluate(statement, { action: "s:Other", context })).to.throw(named);
        });
    }
    it("can't be judged here with other elements than a version and statements", () => {
        const policy = { Id: "x", Statement: [] };
        expect(() => allows(policy, { action: "s:Do", resource: thing, context: {} })).to.throw("Id");
    });
});

const changeTopicArn = `arn:aws:sns:us-east-1:${accountId}:changes`;
const groupArn = (group: string, where = `us-east-1:${accountId}`) =>
    `arn:aws:autoscaling:${where}:autoScalingGroup:1-2:autoScalingGroupName/${group}`;

/** What the function may do in addition, where, and where not. */
const rights: [config: Record<string, string>, action: string, where: string[], notWhere: string[]][] = [
    [
        { protectLeader: "true" },
        "autoscaling:SetInstanceProtection",
        ["awseb-e-abc-stack-AWSEBAutoScalingGroup-1ABC", "awseb-", "awseb-a/b"].map((group) => groupArn(group)),
        [
            ...["other", "my-awseb-shop", "my/awseb-shop"].map((group) => groupArn(group)),
            ...[`eu-west-1:${accountId}`, "us-east-1:999999999999"].map((where) => groupArn("awseb-shop", where)),
        ],
    ],
    [
        { changeTopicArn },
        "sns:Publish",
        [changeTopicArn],
        [`${changeTopicArn}-2`, changeTopicArn.replace("us-east-1", "eu-west-1")],
    ],
];
for (const [config, action, where, notWhere] of rights) {
    it(`With ${Object.keys(config)} the function may use ${action} on what the stack names, and nothing else`, async () => {
        const role = await roleWith(config);
        const mayOn = (resource: string) => allows(role, { action, resource, context: {} });
        expect(where.filter(mayOn)).to.deep.equal(where);
        expect(notWhere.filter(mayOn)).to.deep.equal([]);
        const others = role.Statement.filter(({ Action }) => Action !== action);
        expect(others).to.have.length(role.Statement.length - 1);
        expect(others).to.deep.equal((await roleWith({})).Statement);
    });
}

describe("With dryRun, protectLeader and changeTopicArn, too,", () => {
    const config = { dryRun: "true", protectLeader: "true", changeTopicArn };
    const actionsOf = ({ Statement }: Policy) => Statement.flatMap(({ Action }) => Action);

    it("the function has every right to read that it has without", async () => {
        const reads = actionsOf(await roleWith({})).filter((action) => /:(Describe|Get)/.test(action));
        expect(reads).to.include("ec2:DescribeInstances");
        expect(actionsOf(await roleWith(config))).to.include.members(reads);
    });

    it("and none to write to an instance or a group, or to report a change", async () => {
        const writes = /^(ec2|autoscaling|sns):(?!Describe)|\*/;
        expect(actionsOf(await roleWith(config)).filter((action) => writes.test(action))).to.deep.equal([]);
    });
});
