// A Lambda environment on this machine: AWS's own runtime client runs the packaged function in a process of its own, in a folder
// without node_modules, with the SDK found through NODE_PATH, and the log format and level that are registered.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { accountId, type Program, root } from "../../simulator/stack/program";

/** What an environment is made of. */
export interface LambdaOptions {
    /** The program whose function runs. */
    program: Program;
    /** Where the SDK's calls go: the address of a stand-in for AWS. */
    awsUrl: string;
    /** The Node.js that runs it. */
    node: string;
    /** The folder that has AWS's runtime client in its node_modules. */
    client: string;
    /** The folder that has the SDK in its node_modules; the project's, if not given. */
    sdk?: string;
}

/** How an invocation ended: with the function's answer, or with the error that Lambda gets. */
export interface Invoked {
    requestId: string;
    answer?: unknown;
    error?: { errorType: string; errorMessage: string };
}

/** What a function left when its environment ended. */
export interface Logs {
    /** Lines of stdout, as CloudWatch Logs gets them. */
    lines: string[];
    stderr: string;
}

interface Invocation {
    requestId: string;
    body: string;
    deadline: number;
    end: (ended: Invoked) => void;
}

const addon = join(__dirname, "runtime-addon.cjs");
const api = "/2018-06-01/runtime";

export class Lambda {
    private readonly folder = mkdtempSync(join(tmpdir(), "lambda-"));
    private readonly server: Server = createServer((request, response) => this.serve(request, response));
    private readonly waiting: Invocation[] = [];
    private readonly under = new Map<string, Invocation>();
    private poll?: ServerResponse;
    private child?: ChildProcess;
    private stdout = "";
    private stderr = "";
    private count = 0;
    private failure?: string;

    /** Starts an environment; `handler` other than the program's own text stands in its file. */
    static async start(options: LambdaOptions, handlerText = options.program.functionText): Promise<Lambda> {
        const lambda = new Lambda();
        await once(lambda.server.listen(0, "127.0.0.1"), "listening");
        lambda.spawn(options, handlerText);
        return lambda;
    }

    /**
     * Hands an event to the function, as JSON.
     *
     * @param seconds how long it may take, as the function is informed
     * @throws if the environment ends first
     */
    async invoke(event: unknown, seconds = 10): Promise<Invoked> {
        const requestId = `00000000-0000-0000-0000-${String(++this.count).padStart(12, "0")}`;
        return new Promise((resolve, reject) => {
            if (this.failure !== undefined) {
                reject(new Error(this.failure));
                return;
            }
            const deadline = Date.now() + seconds * 1000;
            this.waiting.push({ requestId, body: JSON.stringify(event), deadline, end: resolve });
            this.child?.once("exit", () =>
                reject(new Error(`the environment has ended: ${this.stdout}${this.stderr}`)),
            );
            this.handOut();
        });
    }

    /** The error that the environment could not start for. */
    async initError(): Promise<string> {
        if (this.child?.exitCode === null) {
            await once(this.child, "exit");
        }
        return this.failure ?? "";
    }

    /** Ends the environment. */
    async stop(): Promise<Logs> {
        if (this.child && this.child.exitCode === null && this.child.signalCode === null) {
            const ended = once(this.child, "close");
            this.child.kill("SIGKILL");
            await ended;
        }
        this.server.close();
        this.server.closeAllConnections();
        rmSync(this.folder, { recursive: true, force: true });
        return { lines: this.stdout.split("\n").filter((line) => line !== ""), stderr: this.stderr };
    }

    private spawn({ program, awsUrl, node, client, sdk = root }: LambdaOptions, handlerText: string): void {
        const lambda = program.resources.find(({ type }) => type === "aws:lambda/function:Function");
        const { handler, memorySize, loggingConfig, runtime, environment } = lambda?.inputs ?? {};
        // As /var/task and /var/runtime: the runtime client, its addon, and an SDK that the function finds through NODE_PATH alone.
        const task = join(this.folder, "task");
        const runtimeFolder = join(this.folder, "runtime");
        const modules = join(runtimeFolder, "node_modules");
        mkdirSync(task);
        mkdirSync(modules, { recursive: true });
        writeFileSync(join(task, "__index.js"), handlerText);
        copyFileSync(join(client, "node_modules", "aws-lambda-ric", "index.mjs"), join(runtimeFolder, "index.mjs"));
        writeFileSync(join(runtimeFolder, "rapid-client.node"), "");
        symlinkSync(join(sdk, "node_modules", "@aws-sdk"), join(modules, "@aws-sdk"));
        const child = spawn(node, ["--require", addon, join(runtimeFolder, "index.mjs")], {
            cwd: task,
            env: {
                PATH: process.env.PATH,
                LANG: "en_US.UTF-8",
                TZ: ":UTC",
                _HANDLER: handler,
                LAMBDA_TASK_ROOT: task,
                LAMBDA_RUNTIME_DIR: runtimeFolder,
                NODE_PATH: modules,
                AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(this.server.address() as AddressInfo).port}`,
                AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}`,
                AWS_LAMBDA_FUNCTION_NAME: "election",
                AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
                AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySize),
                AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
                AWS_LAMBDA_LOG_FORMAT: loggingConfig.logFormat,
                AWS_LAMBDA_LOG_LEVEL: loggingConfig.applicationLogLevel,
                AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/election",
                AWS_LAMBDA_LOG_STREAM_NAME: "2026/11/25/[$LATEST]0123456789abcdef0123456789abcdef",
                AWS_REGION: "us-east-1",
                AWS_DEFAULT_REGION: "us-east-1",
                AWS_ACCESS_KEY_ID: "testing",
                AWS_SECRET_ACCESS_KEY: "testing",
                AWS_SESSION_TOKEN: "testing",
                AWS_ENDPOINT_URL: awsUrl,
                ...environment?.variables,
            },
            stdio: ["ignore", "pipe", "pipe"],
        });
        child.stdout.setEncoding("utf8").on("data", (chunk) => {
            this.stdout += chunk;
        });
        child.stderr.setEncoding("utf8").on("data", (chunk) => {
            this.stderr += chunk;
        });
        this.child = child;
    }

    // The Runtime API. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const { url = "" } = request;
        if (url === `${api}/invocation/next`) {
            this.poll = response;
            this.handOut();
            return;
        }
        const body = await text(request);
        response.writeHead(202, { "content-type": "application/json" }).end('{"status":"OK"}');
        if (url === `${api}/init/error`) {
            this.failure = body;
            return;
        }
        const [, requestId = "", kind] = url.match(/\/invocation\/([^/]+)\/(response|error)$/) ?? [];
        const content = JSON.parse(body);
        this.under.get(requestId)?.end({ requestId, ...(kind === "error" ? { error: content } : { answer: content }) });
        this.under.delete(requestId);
    }

    private handOut(): void {
        const next = this.poll && this.waiting.shift();
        if (!next) {
            return;
        }
        this.under.set(next.requestId, next);
        this.poll
            ?.writeHead(200, {
                "content-type": "application/json",
                "lambda-runtime-aws-request-id": next.requestId,
                "lambda-runtime-deadline-ms": next.deadline,
                "lambda-runtime-invoked-function-arn": `arn:aws:lambda:us-east-1:${accountId}:function:election`,
                "lambda-runtime-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
            })
            .end(next.body);
        this.poll = undefined;
    }
}
