// The SDK's clients, how long they wait, and what every answer and error is read with.
import type * as AutoScaling from "@aws-sdk/client-auto-scaling";
import type * as CloudWatch from "@aws-sdk/client-cloudwatch";
import type * as Ec2 from "@aws-sdk/client-ec2";

/** The clients of one container, and the SDK's paginators. */
export interface Clients {
    ec2: Ec2.EC2;
    autoScaling: AutoScaling.AutoScaling;
    cloudWatch: CloudWatch.CloudWatch;
    pages: {
        instances: typeof Ec2.paginateDescribeInstances;
        statuses: typeof Ec2.paginateDescribeInstanceStatus;
        groups: typeof AutoScaling.paginateDescribeAutoScalingGroups;
        members: typeof AutoScaling.paginateDescribeAutoScalingInstances;
        metrics: typeof CloudWatch.paginateGetMetricData;
    };
    /** How many times longer than usual the next requests wait for an answer, as a power of two. */
    patience: { doublings: number };
}

/** What an invocation works with: the clients, and the signal that ends every call in time to report. */
export interface Aws extends Clients {
    signal: AbortSignal;
    /** Milliseconds until then. */
    millisLeft: () => number;
    /** Whether AWS refused so many tag writes, and allowed none, that it seems to refuse them all. */
    tagging: { isRefused: boolean };
}

const connectionMillis = 1000;
const answerMillis = 2000; // for the first attempt, and twice as long for each repeat
const mostDoublings = 3;

/** Makes the clients; called once per container, while it loads. */
export function connect(): Clients {
    // Required here, not imported above: an import would be serialized as a path inside the package, which the Lambda runtime lacks.
    const ec2: typeof Ec2 = require("@aws-sdk/client-ec2");
    const autoScaling: typeof AutoScaling = require("@aws-sdk/client-auto-scaling");
    const cloudWatch: typeof CloudWatch = require("@aws-sdk/client-cloudwatch");
    const patience = { doublings: 0 };
    const config = { maxAttempts: 10, requestHandler: timeouts(0) }; // the deadline comes first
    return {
        ec2: retryingConcurrentTagAccess(waitingLonger(new ec2.EC2(config), patience)),
        autoScaling: waitingLonger(new autoScaling.AutoScaling(config), patience),
        cloudWatch: waitingLonger(new cloudWatch.CloudWatch(config), patience),
        pages: {
            instances: ec2.paginateDescribeInstances,
            statuses: ec2.paginateDescribeInstanceStatus,
            groups: autoScaling.paginateDescribeAutoScalingGroups,
            members: autoScaling.paginateDescribeAutoScalingInstances,
            metrics: cloudWatch.paginateGetMetricData,
        },
        patience,
    };
}

/** The clients for one invocation, whose calls end after some milliseconds, whatever AWS does. */
export function withDeadline(clients: Clients, millis: number): Aws {
    clients.patience.doublings = 0;
    const end = Date.now() + millis;
    return { ...clients, signal: within(millis), millisLeft: () => end - Date.now(), tagging: { isRefused: false } };
}

/** A signal that aborts after some milliseconds. */
export function within(millis: number): AbortSignal {
    return AbortSignal.timeout(Math.max(0, millis));
}

// The socket's timeout ends an answer that stalls after its headers.
function timeouts(doublings: number) {
    const millis = answerMillis * 2 ** doublings;
    return {
        connectionTimeout: connectionMillis,
        requestTimeout: millis,
        socketTimeout: millis,
        throwOnRequestTimeout: true,
    };
}

// An API that is slow for a while must not stop every election: each attempt waits twice as long as the one before,
// and what one request has learned serves the others of the invocation.
function waitingLonger<T extends { config: { requestHandler: unknown } }>(client: T, patience: Clients["patience"]): T {
    type Handle = (request: { headers: Record<string, string> }, options: object) => Promise<unknown>;
    const first = client.config.requestHandler as { handle: Handle; constructor: unknown };
    const Handler = first.constructor as new (options: object) => { handle: Handle };
    const handle = first.handle.bind(first);
    const handlers = [{ handle }];
    first.handle = async (request, options) => {
        const attempt = Number(/attempt=(\d+)/.exec(request.headers["amz-sdk-request"] ?? "")?.[1] ?? 1);
        const doublings = Math.min(mostDoublings, Math.max(attempt - 1, patience.doublings));
        handlers[doublings] ??= new Handler(timeouts(doublings));
        try {
            return await handlers[doublings].handle(request, options);
        } catch (error) {
            if ((error as Error).name === "TimeoutError") {
                patience.doublings = Math.max(patience.doublings, doublings + 1);
            }
            throw error;
        }
    };
    return client;
}

// EC2 refuses two commands on one resource's tags at once, and the SDK doesn't retry that. A call about several
// resources is not repeated: the caller divides it, so that the others need not wait.
function retryingConcurrentTagAccess(client: Ec2.EC2): Ec2.EC2 {
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
}

/**
 * Waits for an answer, at most until the signal aborts: the SDK's pauses between attempts don't heed it.
 *
 * @throws an error with AWS's name for it that says what was asked of which resources; AWS's own is its cause
 */
export async function withContext<T>(
    action: string,
    resources: string[],
    answer: Promise<T>,
    signal: AbortSignal,
): Promise<T> {
    let abort!: () => void; // assigned at once
    const aborted = new Promise<never>((_, reject) => {
        abort = () => reject(Object.assign(new Error("no answer in time"), { name: "AbortError" }));
    });
    if (signal.aborted) {
        abort();
    }
    signal.addEventListener("abort", abort);
    try {
        return await Promise.race([answer, aborted]);
    } catch (cause) {
        const { name, message } = cause as Error;
        const named = resources.slice(0, 20).join(", ") + (resources.length > 20 ? ", …" : "");
        throw Object.assign(new Error(`${action} on ${named || "*"}: ${name}: ${message}`, { cause }), { name });
    } finally {
        signal.removeEventListener("abort", abort);
    }
}

/** Whether AWS says that an instance doesn't exist. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
export const isGone = ({ name }: Error): boolean => name.startsWith("InvalidInstanceID") || name === "InvalidID";

/** Whether AWS refused the call for what it asked, and not because of load or an outage. */
export const isRefusal = (error: Error): boolean => isGone(error) || (isAboutCall(error) && statusOf(error) < 500);

/** Whether AWS failed at this call, and not because of load: one of its resources may be the cause. */
export const isAboutCall = (error: Error): boolean =>
    statusOf(error) >= 400 && !/Throttl|^RequestLimitExceeded/.test(error.name);

function statusOf({ cause }: Error): number {
    return (cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode ?? 0;
}

/** The ids of instances that an error's message names. */
export const idsIn = (error?: Error): string[] => error?.message.match(/\bi-\w+/g) ?? [];

/** All pages of an answer, or none: an error on any page is the error of the whole. Empty pages may precede full ones. */
export async function collectPages<T>(pages: AsyncIterable<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const page of pages) {
        all.push(page);
    }
    return all;
}

/** A list in parts of at most `size`, as the API takes them. */
export function chunks<T>(list: T[], size: number): T[][] {
    return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
        list.slice(index * size, (index + 1) * size),
    );
}

/** A list in an answer, which AWS may leave out when it is empty. Throws if something else is there. */
export function requireList<T>(value: T[] | undefined | null, action: string): T[] {
    const list = value ?? [];
    if (!Array.isArray(list) || list.some((item) => item === null || typeof item !== "object")) {
        throw new Error(`${action}: AWS answered ${JSON.stringify(value)?.slice(0, 100)} where a list belongs`);
    }
    return list;
}

/** A string in an answer that can't be decided without it. Throws if it isn't there. */
export function requireString(value: string | undefined | null, action: string): string {
    if (typeof value !== "string" || value === "") {
        throw new Error(`${action}: AWS answered ${JSON.stringify(value)} where a string belongs`);
    }
    return value;
}
