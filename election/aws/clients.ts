// The SDK's clients, and how long they wait for an answer.
import type * as AutoScaling from "@aws-sdk/client-auto-scaling";
import type * as CloudWatch from "@aws-sdk/client-cloudwatch";
import type * as Ec2 from "@aws-sdk/client-ec2";
import type * as Sns from "@aws-sdk/client-sns";
import type { Scope } from "../scope";
import type { Deadline } from "./deadline";

/** What an invocation works with: the clients, for which stack they ask and write, and until when they may call. */
export type Aws = ReturnType<ReturnType<typeof connect>>;

/**
 * Makes the clients; called once per container, while it loads.
 *
 * @returns gives them to an invocation
 */
export const connect = () => {
    // Required here, not imported above: an import would be serialized as a path inside the package, which the Lambda runtime lacks.
    const ec2: typeof Ec2 = require("@aws-sdk/client-ec2");
    const autoScaling: typeof AutoScaling = require("@aws-sdk/client-auto-scaling");
    const cloudWatch: typeof CloudWatch = require("@aws-sdk/client-cloudwatch");
    const patience = createPatience();
    const config = { maxAttempts: 10, requestHandler: timeouts(0) }; // the deadline comes first
    let sns: Sns.SNS | undefined;
    const clients = {
        ec2: retryingConcurrentTagAccess(patience.give(new ec2.EC2(config))),
        autoScaling: patience.give(new autoScaling.AutoScaling(config)),
        cloudWatch: patience.give(new cloudWatch.CloudWatch(config)),
        /** Loaded when it is first asked for: few stacks send messages. */
        sns: () => {
            sns ??= patience.give<Sns.SNS>(new (require("@aws-sdk/client-sns").SNS)(config));
            return sns;
        },
        /** The SDK's paginators. */
        pages: {
            instances: ec2.paginateDescribeInstances,
            statuses: ec2.paginateDescribeInstanceStatus,
            groups: autoScaling.paginateDescribeAutoScalingGroups,
            members: autoScaling.paginateDescribeAutoScalingInstances,
        },
    };
    return (scope: Scope, deadline: Deadline) => {
        patience.forget();
        /** Whether AWS refused so many tag writes, and allowed none, that it seems to refuse them all. */
        const tagging = { isRefused: false };
        return { ...clients, scope, deadline, tagging };
    };
};

// The socket's timeout ends an answer that stalls after its headers.
const timeouts = (doublings: number) => {
    const millis = 2000 * 2 ** doublings; // the first attempt waits 2 s, each repeat twice as long
    return { connectionTimeout: 1000, requestTimeout: millis, socketTimeout: millis, throwOnRequestTimeout: true };
};

interface RequestHandler {
    handle(request: { headers: Record<string, string> }, options: object): Promise<unknown>;
    constructor: unknown;
}

/**
 * How long requests wait for an answer. An API that is slow for a while must not stop every election: each attempt waits
 * twice as long as the one before, and what one request has learned serves the others, until it is forgotten.
 */
const createPatience = () => {
    let learned = 0; // doublings
    return {
        forget() {
            learned = 0;
        },
        give<T extends { config: { requestHandler: unknown } }>(client: T): T {
            const first = client.config.requestHandler as RequestHandler;
            const Handler = first.constructor as new (options: object) => RequestHandler;
            const handlers: Pick<RequestHandler, "handle">[] = [{ handle: first.handle.bind(first) }];
            first.handle = async (request, options) => {
                const attempt = Number(/attempt=(\d+)/.exec(request.headers["amz-sdk-request"] ?? "")?.[1] ?? 1);
                const doublings = Math.min(3, Math.max(attempt - 1, learned)); // 16 s at most
                const handler = handlers[doublings] ?? new Handler(timeouts(doublings));
                handlers[doublings] = handler;
                try {
                    return await handler.handle(request, options);
                } catch (error) {
                    if ((error as Error).name === "TimeoutError") {
                        learned = Math.max(learned, doublings + 1);
                    }
                    throw error;
                }
            };
            return client;
        },
    };
};

// EC2 refuses two commands on one resource's tags at once, and the SDK doesn't retry that. A call about several
// resources is not repeated: the caller divides it, so that the others need not wait.
const retryingConcurrentTagAccess = (client: Ec2.EC2): Ec2.EC2 => {
    client.middlewareStack.add(
        (next) => async (args) => {
            try {
                return await next(args);
            } catch (error) {
                const { Resources } = args.input as Ec2.CreateTagsRequest;
                if ((error as Error).name === "ConcurrentTagAccess" && Resources?.length === 1) {
                    Object.assign(error as Error, { $retryable: { throttling: true } });
                }
                throw error;
            }
        },
        { name: "retryConcurrentTagAccess", step: "deserialize", priority: "high" },
    );
    return client;
};
