// A Lambda environment on this machine: AWS's own runtime client runs the packaged function in a process of its own, in a folder
// without node_modules, with the SDK found through NODE_PATH, and the log format and level that are registered.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { environmentFor } from "../../simulator/aws/endpoint";
import { newFolder } from "../../simulator/folder";
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

const addon = join(__dirname, "runtime-addon.cjs");

export class Lambda {
    private readonly child: ChildProcess;
    private readonly closed: Promise<unknown>;
    private stdout = "";
    private stderr = "";
    private count = 0;

    constructor({ program, awsUrl, node, client, sdk = root }: LambdaOptions) {
        const lambda = program.resources.find(({ type }) => type === "aws:lambda/function:Function");
        const { handler, memorySize, loggingConfig, runtime, environment } = lambda?.inputs ?? {};
        // As /var/task and /var/runtime: the runtime client, its addon, and an SDK that the function finds through NODE_PATH alone.
        const folder = newFolder();
        const task = join(folder, "task");
        const runtimeFolder = join(folder, "runtime");
        const modules = join(runtimeFolder, "node_modules");
        mkdirSync(task);
        mkdirSync(modules, { recursive: true });
        writeFileSync(join(task, "__index.js"), program.functionText);
        copyFileSync(join(client, "node_modules", "aws-lambda-ric", "index.mjs"), join(runtimeFolder, "index.mjs"));
        writeFileSync(join(runtimeFolder, "rapid-client.node"), "");
        symlinkSync(join(sdk, "node_modules", "@aws-sdk"), join(modules, "@aws-sdk"));
        this.child = spawn(node, ["--require", addon, join(runtimeFolder, "index.mjs")], {
            cwd: task,
            env: {
                PATH: process.env.PATH,
                _HANDLER: handler,
                LAMBDA_TASK_ROOT: task,
                LAMBDA_RUNTIME_DIR: runtimeFolder,
                NODE_PATH: modules,
                AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9", // called only if it can't start
                AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}`,
                AWS_LAMBDA_FUNCTION_NAME: "election",
                AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
                AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySize),
                AWS_LAMBDA_LOG_FORMAT: loggingConfig.logFormat,
                AWS_LAMBDA_LOG_LEVEL: loggingConfig.applicationLogLevel,
                AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/election",
                AWS_LAMBDA_LOG_STREAM_NAME: "2026/11/25/[$LATEST]0123456789abcdef0123456789abcdef",
                ...environmentFor(awsUrl),
                ...environment?.variables,
            },
            stdio: ["ignore", "pipe", "pipe", "ipc"],
        });
        this.closed = once(this.child, "close");
        for (const stream of ["stdout", "stderr"] as const) {
            this.child[stream]?.setEncoding("utf8").on("data", (chunk) => {
                this[stream] += chunk;
            });
        }
    }

    /**
     * Hands an event to the function, as JSON. Only when that has ended it may take another.
     *
     * @returns the id of the request
     * @throws if the function fails, or the environment ends first
     */
    async invoke(event: unknown): Promise<string> {
        const requestId = `00000000-0000-0000-0000-${String(++this.count).padStart(12, "0")}`;
        const headers = {
            "lambda-runtime-aws-request-id": requestId,
            "lambda-runtime-deadline-ms": String(Date.now() + 10_000),
            "lambda-runtime-invoked-function-arn": `arn:aws:lambda:us-east-1:${accountId}:function:election`,
            "lambda-runtime-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        };
        const ended = once(this.child, "message");
        this.child.send({ bodyJson: JSON.stringify(event), headers });
        const dies = this.closed.then(() => {
            throw new Error(`the environment has ended: ${this.stdout}${this.stderr}`);
        });
        const [{ id, error }] = await Promise.race([ended, dies]);
        expect({ id, error }).to.deep.equal({ id: requestId, error: undefined });
        return requestId;
    }

    /** Ends the environment; lines of its stdout, as CloudWatch Logs gets them, and what was on stderr. */
    async stop(): Promise<{ lines: string[]; stderr: string }> {
        this.child.kill("SIGKILL");
        await this.closed;
        return { lines: this.stdout.split("\n").filter((line) => line !== ""), stderr: this.stderr };
    }
}
