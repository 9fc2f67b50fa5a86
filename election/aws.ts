import type * as AutoScalingSdk from "@aws-sdk/client-auto-scaling";
import type * as CloudWatchSdk from "@aws-sdk/client-cloudwatch";
import type * as Ec2Sdk from "@aws-sdk/client-ec2";

/** The clients that an election works with, each beside the SDK module that its paginators come from. */
export interface Aws {
    ec2: Ec2Sdk.EC2;
    autoScaling: AutoScalingSdk.AutoScaling;
    cloudWatch: CloudWatchSdk.CloudWatch;
    sdk: typeof Ec2Sdk & typeof AutoScalingSdk & typeof CloudWatchSdk;
}

/** Makes the clients; called once per container, while it loads. */
export function connect(): Aws {
    // Required here, not imported above: an import would be serialized as a path inside the package, which the Lambda runtime lacks.
    const sdk = {
        ...require("@aws-sdk/client-ec2"),
        ...require("@aws-sdk/client-auto-scaling"),
        ...require("@aws-sdk/client-cloudwatch"),
    };
    const config = {
        maxAttempts: 4,
        requestHandler: { connectionTimeout: 1000, requestTimeout: 2000, throwOnRequestTimeout: true },
    };
    const ec2: Ec2Sdk.EC2 = new sdk.EC2(config);
    retryConcurrentTagAccess(ec2);
    return { ec2, autoScaling: new sdk.AutoScaling(config), cloudWatch: new sdk.CloudWatch(config), sdk };
}

// EC2 refuses two commands on one resource's tags at once; the SDK doesn't know that it is worth another try.
function retryConcurrentTagAccess(ec2: Ec2Sdk.EC2): void {
    ec2.middlewareStack.addRelativeTo(
        (next) => async (args) => {
            try {
                return await next(args);
            } catch (error) {
                if ((error as Error).name === "ConcurrentTagAccess") {
                    Object.assign(error as Error, { $retryable: { throttling: true } });
                }
                throw error;
            }
        },
        { name: "retryConcurrentTagAccess", relation: "after", toMiddleware: "retryMiddleware" },
    );
}

/** Says what was asked of which resources when AWS refuses; the error keeps its name, and what AWS said is its cause. */
export async function asking<T>(action: string, resources: string[], answer: Promise<T>): Promise<T> {
    try {
        return await answer;
    } catch (cause) {
        const { name, message } = cause as Error;
        const named = resources.slice(0, 20).join(", ") + (resources.length > 20 ? ", …" : "");
        throw Object.assign(new Error(`${action} on ${named || "*"}: ${name}: ${message}`, { cause }), { name });
    }
}

/** All pages of an answer, or none: an error on any page is the error of the whole. */
export async function everyPage<T>(pages: AsyncIterable<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const page of pages) {
        all.push(page);
    }
    return all;
}

/** The instances that pass every filter, of all pages; `about` is named if AWS refuses. */
export async function describeInstances(
    aws: Aws,
    filters: Ec2Sdk.Filter[],
    about: string[],
): Promise<Ec2Sdk.Instance[]> {
    const action = "ec2:DescribeInstances";
    const pages = aws.sdk.paginateDescribeInstances({ client: aws.ec2, pageSize: 1000 }, { Filters: filters });
    const answers = await asking(action, about, everyPage(pages));
    return answers
        .flatMap((answer) => listed(answer.Reservations, action))
        .flatMap((reservation) => listed(reservation.Instances, action));
}

/** The list at a place of an answer, which AWS may leave out when it is empty. Throws if something else is there. */
export function listed<T>(value: T[] | undefined | null, place: string): T[] {
    const list = value ?? [];
    if (!Array.isArray(list) || list.some((item) => item === null || typeof item !== "object")) {
        throw new Error(`${place}: AWS answered ${JSON.stringify(value)?.slice(0, 100)} where a list belongs`);
    }
    return list;
}

/** The text at a place of an answer that can't be decided without it. Throws if it isn't there. */
export function text(value: string | undefined | null, place: string): string {
    if (typeof value !== "string" || value === "") {
        throw new Error(`${place}: AWS answered ${JSON.stringify(value)} where a text belongs`);
    }
    return value;
}

/** A list in parts of at most `size`, as the API takes them. */
export function inParts<T>(list: T[], size: number): T[][] {
    return Array.from({ length: Math.ceil(list.length / size) }, (_, part) =>
        list.slice(part * size, (part + 1) * size),
    );
}
