// Pulumi's engine, as far as a program meets it: the CLI's language host runs the program in a process of its own, with its
// settings as text in the environment, and this engine answers its gRPC calls as an update, or a preview, of an empty stack does.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { callbackify, promisify } from "node:util";
import type { Server, ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { found } from "../simulator/lists";
import { answersIn, computed, configuration, project, root } from "../simulator/stack/program";

/** A resource as the engine is asked to register it. */
export interface Registration {
    /** Type and name of the resource and its parents, as the engine names it. */
    urn: string;
    type: string;
    // biome-ignore lint/suspicious/noExplicitAny: each type of resource has its own inputs
    inputs: any;
}

/** What came of a run. */
export interface Run {
    /** Exit status of the program: 0 if it ended well. */
    status: number | null;
    registrations: Registration[];
    outputs: Record<string, unknown>;
    /** What the program reported as errors, and wrote to stderr. */
    errors: string;
}

const pulumi = createRequire(require.resolve("@pulumi/pulumi/package.json"));
const grpc: typeof import("@grpc/grpc-js") = pulumi("@grpc/grpc-js");
const struct = pulumi("google-protobuf/google/protobuf/struct_pb.js");
const empty = pulumi("google-protobuf/google/protobuf/empty_pb.js");
const monitorMessages = pulumi("./proto/resource_pb.js");
const providerMessages = pulumi("./proto/provider_pb.js");
const engineMessages = pulumi("./proto/engine_pb.js");
const { ResourceMonitorService } = pulumi("./proto/resource_grpc_pb.js");
const { EngineService } = pulumi("./proto/engine_grpc_pb.js");

// Without what is undefined, which a Struct can't hold.
const structOf = (value: object) => struct.Struct.fromJavaScript(JSON.parse(JSON.stringify(value)));
const region = "us-east-1";
const stack = "dev";

/**
 * Runs the program as `pulumi up`, or `pulumi preview`, of a new stack does.
 *
 * @param options.config settings as the CLI reads them from the stack's file: text, by key, with or without a namespace
 * @param options.folder where the program is
 * @param options.node the Node.js that runs it
 */
export async function runAsCli(options: {
    config: Record<string, string>;
    preview?: boolean;
    folder?: string;
    node?: string;
}): Promise<Run> {
    const { config, preview = false, folder = root, node = process.execPath } = options;
    const run: Run = { status: null, registrations: [], outputs: {}, errors: "" };
    const server = serve(run, preview);
    const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
    const address = `127.0.0.1:${port}`;
    const host = join(folder, "node_modules", "@pulumi", "pulumi", "cmd", "run");
    const flags = [
        `--monitor=${address}`,
        `--engine=${address}`,
        "--organization=organization",
        `--project=${project}`,
        `--stack=${stack}`,
        `--root-directory=${folder}`,
        `--pwd=${folder}`,
        "--parallel=16",
        ...(preview ? ["--dry-run"] : []),
    ];
    const ambient = Object.entries(process.env).filter(([key]) => !/^(AWS|PULUMI|TS_NODE)/.test(key));
    const child = spawn(node, [host, ...flags, "."], {
        cwd: folder,
        env: {
            ...Object.fromEntries(ambient),
            AWS_REGION: region,
            PULUMI_NODEJS_TYPESCRIPT: "true",
            PULUMI_CONFIG: JSON.stringify(configuration(config)),
            PULUMI_CONFIG_SECRET_KEYS: "[]",
        },
        stdio: ["ignore", "ignore", "pipe"],
        timeout: 60_000,
        killSignal: "SIGKILL",
    });
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, "close")]);
    server.forceShutdown();
    run.status = status;
    run.errors += stderr;
    return run;
}

/** The text of the function's only file, as it is registered. */
export function functionTextOf({ registrations }: Run): string {
    const lambda = registrations.find(({ type }) => type === "aws:lambda/function:Function");
    return lambda?.inputs.code.assets["__index.js"].text;
}

export const urnsIn = ({ registrations }: Run): string[] => registrations.map(({ urn }) => urn);

// biome-ignore lint/suspicious/noExplicitAny: messages have no types apart from Pulumi's own
type Handle = (request: any) => unknown;

function serve(run: Run, preview: boolean): Server {
    const answer = (handle: Handle) => (call: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<unknown>) =>
        callbackify(async () => handle(call.request))((error: Error | null, value) => done(error, value));
    const urnOf = (type: string, name: string, parent: string): string => {
        const parentType = parent && !parent.includes("pulumi:pulumi:Stack") ? `${parent.split("::")[2]}$` : "";
        return `urn:pulumi:${stack}::${project}::${parentType}${type}::${name}`;
    };
    let rootUrn = "";
    const server = new grpc.Server();
    server.addService(ResourceMonitorService, {
        supportsFeature: answer((request) => {
            const isSupported = ["secrets", "resourceReferences", "outputValues"].includes(request.getId());
            return new monitorMessages.SupportsFeatureResponse().setHassupport(isSupported);
        }),
        invoke: answer((request) => {
            const answered = found(answersIn("aws", region)[request.getTok()]);
            return new providerMessages.InvokeResponse().setReturn(structOf(answered));
        }),
        registerResource: answer((request) => {
            const [type, name] = [request.getType(), request.getName()];
            const inputs = request.getObject()?.toJavaScript() ?? {};
            const urn = urnOf(type, name, request.getParent());
            run.registrations.push({ urn, type, inputs });
            const isMade = request.getCustom() && !preview;
            const outputs = isMade ? computed(type, name, "aws", region, inputs.name) : {};
            return new monitorMessages.RegisterResourceResponse()
                .setUrn(urn)
                .setId(isMade ? `${name}-id` : "")
                .setObject(structOf({ ...inputs, ...outputs }));
        }),
        registerResourceOutputs: answer((request) => {
            if (request.getUrn() === rootUrn) {
                run.outputs = request.getOutputs()?.toJavaScript() ?? {};
            }
            return new empty.Empty();
        }),
        signalAndWaitForShutdown: answer(() => new empty.Empty()),
    });
    server.addService(EngineService, {
        log: answer((request) => {
            if (request.getSeverity() === engineMessages.LogSeverity.ERROR) {
                run.errors += `${request.getMessage()}\n`;
            }
            return new empty.Empty();
        }),
        getRootResource: answer(() => new engineMessages.GetRootResourceResponse().setUrn(rootUrn)),
        setRootResource: answer((request) => {
            rootUrn = request.getUrn();
            return new engineMessages.SetRootResourceResponse();
        }),
    });
    return server;
}
