import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { found, only } from "../lists";
import { pulumisDebugger } from "./debugger";

export const root = join(__dirname, "../../..");

/** A resource as the program registers it. */
export interface Resource {
    type: string;
    name: string;
    // biome-ignore lint/suspicious/noExplicitAny: each type of resource has its own inputs
    inputs: any;
    /** Types and names (`type::name`) of the resources that must be there before. */
    dependencies: string[];
    /** Type and name of the resource that it belongs to; empty: the stack. */
    parent: string;
}

/** Type and name of a resource, by which a stack knows it. */
export const idOf = ({ type, name }: Pick<Resource, "type" | "name">): string => `${type}::${name}`;

/** What the program comes to: everything it registers, and its outputs. */
export interface Program {
    resources: Resource[];
    outputs: Record<string, string>;
    /** The files of the function's archive. */
    members: string[];
    /** The text of the function's only file, as it would be deployed. */
    functionText: string;
}

export const accountId = "123456789012";

/** Everything that a setting can add to a stack. */
export const everything = {
    asgPrefix: "awseb-",
    electorateTag: "environment",
    handoverSeconds: "5",
    protectLeader: "true",
    dashboard: "true",
    alarmTopicArn: "arn:aws:sns:us-east-1:123456789012:alarms",
    changeTopicArn: "arn:aws:sns:us-east-1:123456789012:leaders",
};

/** What resources are called in AWS, as the mocks make it up. */
export const physicalNames = {
    functionName: "election-1234567",
    roleName: "election-89abcde",
    logGroupName: "/aws/lambda/election-1234567",
    queueName: "events-1234567.fifo",
    ruleNames: {
        scaling: "scaling-1234567",
        departures: "departures-1234567",
        tags: "tags-1234567",
        sweep: "sweep-1234567",
    },
};

/** A setting as Pulumi.yaml declares it. */
interface Declaration {
    type: string;
    description: string;
    default: string | number | boolean;
}

interface Project {
    name: string;
    config: Record<string, Partial<Declaration> & { value?: unknown }>;
}

const { name, config: projectConfig }: Project = parse(readFileSync(join(root, "Pulumi.yaml"), "utf8"));

/** The project's name, which is another one in a copy that `pulumi new` made. */
export const project = name;

/** The project's settings by their keys. A key with a namespace, like `pulumi:tags`, is none. */
export const declarations = Object.fromEntries(
    Object.entries(projectConfig).filter(([key]) => !key.includes(":")),
) as Record<string, Declaration>;

/** The configuration that the CLI hands to the program, as text: the defaults of Pulumi.yaml, then these. null takes a key away. */
export function configuration(overrides: Record<string, string | null> = {}): Record<string, string> {
    const defaults = Object.entries(projectConfig).map(([key, one]) => [key, one.default ?? one.value]);
    const given: [string, unknown][] = Object.entries({ ...Object.fromEntries(defaults), ...overrides });
    const texts = given.flatMap(([key, value = null]) => {
        const text = typeof value === "object" ? JSON.stringify(value) : String(value);
        return value === null ? [] : [[key.includes(":") ? key : `${project}:${key}`, text]];
    });
    return Object.fromEntries(texts);
}

/**
 * Runs the program under Pulumi's runtime mocks, each time anew.
 *
 * @param options.config settings beside the defaults
 * @param options.region the stack's region, us-east-1 if not given
 * @param options.registered gets every resource at once, for when the program throws
 * @throws what the program throws
 */
export async function runProgram(
    options: {
        config?: Record<string, string | null>;
        stack?: string;
        partition?: string;
        region?: string;
        registered?: Resource[];
    } = {},
): Promise<Program> {
    const { stack = "dev", partition = "aws", region = "us-east-1", registered = [] } = options;
    pulumi.runtime.setAllConfig(configuration({ "aws:region": region, ...options.config }));
    const answers = answersIn(partition, region);
    let request: Registration;
    await pulumi.runtime.setMocks(
        {
            newResource: ({ type, name, inputs }) => {
                const dependencies = request.getDependenciesList().map(typeAndName);
                registered.push({ type, name, inputs, dependencies, parent: typeAndName(request.getParent()) });
                const state = { ...inputs, ...computed(type, name, partition, region, inputs.name) };
                return { id: `${name}-id`, state };
            },
            call: ({ token, inputs }) => ({ ...inputs, ...found(answers[token]) }),
        },
        project,
        stack,
        false,
        "organization",
    );
    // The mocks don't learn what a resource waits for, so it is read from what the monitor is asked.
    const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (asked, callback) => {
        request = asked;
        return register(asked, callback);
    };

    const { attach, detach } = await pulumisDebugger;
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 1; // Pulumi writes down a stack trace for each of its many promises
    try {
        const exported = loadEntry();
        attach(); // not earlier: it takes time, and a refused setting needs none
        return await programOf(exported, registered);
    } finally {
        detach();
        Error.stackTraceLimit = stackTraceLimit;
    }
}

/** What a program comes to, in an order of its own, without the code, of which the function's text is a part. */
export function shapeOf({ resources, ...rest }: Program): object {
    const shapes = resources.map((one) => JSON.stringify({ ...one, inputs: { ...one.inputs, code: undefined } }));
    return { ...rest, resources: shapes.sort().map((shape) => JSON.parse(shape)) };
}

/** The size of a zip archive of the function: with two headers of its only file, and an end. @throws if it has other files */
export function archiveBytes({ members, functionText }: Pick<Program, "members" | "functionText">): number {
    return 30 + 46 + 22 + 2 * only(members).length + deflateRawSync(functionText).length;
}

/** Waits for all that the program exports and registers. */
async function programOf(exported: Record<string, pulumi.Input<string>>, registered: Resource[]): Promise<Program> {
    await pulumi.runtime.disconnect();
    const outputs = new Promise<Record<string, string>>((resolve) => pulumi.output(exported).apply(resolve));
    const code = await registered.find(({ type }) => type === "aws:lambda/function:Function")?.inputs.code.assets;
    return {
        resources: registered,
        outputs: await outputs,
        members: Object.keys(code),
        functionText: await code["__index.js"].text,
    };
}

/** Runs the entry point anew. Throws what the program throws. */
function loadEntry(): Record<string, pulumi.Input<string>> {
    const entry = require.resolve("../../../index");
    delete require.cache[entry];
    const exported = require(entry);
    module.children.pop(); // Node.js does so itself if it throws
    return exported;
}

/** What the provider answers to what the program asks, by the names of its functions. */
export const answersIn = (partition: string, region: string): Record<string, object> => ({
    "aws:index/getPartition:getPartition": { partition },
    "aws:index/getCallerIdentity:getCallerIdentity": { accountId },
    "aws:index/getRegion:getRegion": { region },
});

/** What the provider knows of a resource once it is there; `given` is its physical name, if the program says it. */
export function computed(type: string, name: string, partition: string, region: string, given?: string): object {
    const suffix = type === "aws:iam/role:Role" ? "89abcde" : "1234567";
    const physical = given ?? `${name}-${suffix}${type === "aws:sqs/queue:Queue" ? ".fifo" : ""}`;
    const local = `${region}:${accountId}:`;
    const places: Record<string, string> = {
        "aws:cloudwatch/eventRule:EventRule": `events:${local}rule/`,
        "aws:cloudwatch/logGroup:LogGroup": `logs:${local}log-group:`,
        "aws:iam/role:Role": `iam::${accountId}:role/`,
        "aws:lambda/function:Function": `lambda:${local}function:`,
        "aws:sqs/queue:Queue": `sqs:${local}`,
    };
    return {
        name: physical,
        arn: type in places ? `arn:${partition}:${places[type]}${physical}` : undefined,
        url: `https://sqs.${region}.amazonaws.com/${accountId}/${physical}`,
    };
}

interface Monitor {
    registerResource(request: Registration, callback: unknown): Promise<void>;
}

/** The part of a resource's registration that the mocks leave out. */
interface Registration {
    getDependenciesList(): string[];
    getParent(): string;
}

const typeAndName = (urn: string): string => urn.split("::").slice(2).join("::");
