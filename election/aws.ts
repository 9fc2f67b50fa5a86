import type * as AutoScaling from "@aws-sdk/client-auto-scaling";
import type * as CloudWatch from "@aws-sdk/client-cloudwatch";
import type * as Ec2 from "@aws-sdk/client-ec2";

/** The clients that an election works with, and what turns their pages. */
export interface Aws {
    ec2: Ec2.EC2;
    autoScaling: AutoScaling.AutoScaling;
    cloudWatch: CloudWatch.CloudWatch;
    pages: {
        instances: typeof Ec2.paginateDescribeInstances;
        groups: typeof AutoScaling.paginateDescribeAutoScalingGroups;
        metrics: typeof CloudWatch.paginateGetMetricData;
    };
}

/** Makes the clients; called once per container, while it loads. */
export function connect(): Aws {
    // Required here, not imported above: an import would be serialized as a path inside the package, which the Lambda runtime lacks.
    const ec2: typeof Ec2 = require("@aws-sdk/client-ec2");
    const autoScaling: typeof AutoScaling = require("@aws-sdk/client-auto-scaling");
    const cloudWatch: typeof CloudWatch = require("@aws-sdk/client-cloudwatch");
    const config = {
        maxAttempts: 4,
        requestHandler: { connectionTimeout: 1000, requestTimeout: 2000, throwOnRequestTimeout: true },
    };
    return {
        ec2: retryingConcurrentTagAccess(new ec2.EC2(config)),
        autoScaling: new autoScaling.AutoScaling(config),
        cloudWatch: new cloudWatch.CloudWatch(config),
        pages: {
            instances: ec2.paginateDescribeInstances,
            groups: autoScaling.paginateDescribeAutoScalingGroups,
            metrics: cloudWatch.paginateGetMetricData,
        },
    };
}

// EC2 refuses two commands on one resource's tags at once; the SDK doesn't know that it is worth another try.
// Of several resources, the others needn't wait for that: whoever writes them tells them apart.
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

/** Whether AWS says that an instance doesn't exist. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
export const isGone = ({ name }: Error): boolean => name.startsWith("InvalidInstanceID") || name === "InvalidID";

/** The ids of instances that an error's message names. */
export const idsIn = (error?: Error): string[] => error?.message.match(/\bi-\w+/g) ?? [];

/** All pages of an answer, or none: an error on any page is the error of the whole. */
export async function everyPage<T>(pages: AsyncIterable<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const page of pages) {
        all.push(page);
    }
    return all;
}

/** The instances that pass every filter, of all pages; `about` is named if AWS refuses. */
export async function describeInstances(aws: Aws, filters: Ec2.Filter[], about: string[]): Promise<Ec2.Instance[]> {
    const action = "ec2:DescribeInstances";
    const pages = aws.pages.instances({ client: aws.ec2, pageSize: 1000 }, { Filters: filters });
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
