import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { AutoScaling } from "@aws-sdk/client-auto-scaling";
import { EC2, paginateDescribeInstances } from "@aws-sdk/client-ec2";
import { EventBridge } from "@aws-sdk/client-eventbridge";
import { SQS } from "@aws-sdk/client-sqs";
import { until } from "../instance/processes";
import { invoke, pointSdkAt, type Reports } from "../simulator/aws/endpoint";
import { type BusEvent, sweepEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import type { Tuple } from "../simulator/lists";
import { type Handler, startContainer } from "../simulator/stack/packaged";
import type { Program } from "../simulator/stack/program";
import { type Wiring, wiringOf } from "../simulator/stack/registered";

const launchConfiguration = "instances";

/** An instance as EC2 describes it. */
export interface Instance {
    id: string;
    state: string;
    tags: Record<string, string>;
}

/** A region on a moto_server of our own; this process's SDK clients call it until it is stopped. */
export class Moto {
    readonly endpoint = process.env.AWS_ENDPOINT_URL as string; // as start() has set it
    readonly ec2 = new EC2({ endpoint: this.endpoint });
    readonly autoScaling = new AutoScaling({ endpoint: this.endpoint });
    readonly eventBridge = new EventBridge({ endpoint: this.endpoint });
    readonly sqs = new SQS({ endpoint: this.endpoint });

    private constructor(
        private readonly server: ChildProcess,
        private readonly restoreEnvironment: () => void,
    ) {}

    static async start(): Promise<Moto> {
        const port = await freePort();
        const endpoint = `http://127.0.0.1:${port}`;
        const restoreEnvironment = pointSdkAt(endpoint); // before the server starts: a profile would stop it, too
        // However this process ends, its end of the pipe closes; then `cat` ends, and the server is killed.
        const server = spawn("sh", ["-c", 'moto_server -p "$0" & cat; kill $!; wait', String(port)], {
            stdio: ["pipe", "ignore", "ignore"],
            detached: true, // an interrupt from the keyboard is left to this process
        });
        const moto = new Moto(server, restoreEnvironment);
        const answers = () => fetch(endpoint).then(Boolean, () => false);
        await until(answers, () => `moto_server at ${endpoint}`).catch(async (error) => {
            await moto.stop();
            throw error;
        });
        return moto;
    }

    async stop(): Promise<void> {
        this.restoreEnvironment();
        const ended = once(this.server, "exit");
        this.server.stdin?.end();
        await ended;
    }

    /** Empties the region, but for what groups launch their instances from. */
    async reset(): Promise<void> {
        await fetch(`${this.endpoint}/moto-api/reset`, { method: "POST" });
        await this.autoScaling.createLaunchConfiguration({
            LaunchConfigurationName: launchConfiguration,
            ImageId: "ami-12c6146b",
            InstanceType: "t3.micro",
        });
    }

    /** A new group; its members' ids. */
    async addGroup<N extends number>(name: string, size: N): Promise<Tuple<string, N>> {
        await this.autoScaling.createAutoScalingGroup({
            AutoScalingGroupName: name,
            LaunchConfigurationName: launchConfiguration,
            AvailabilityZones: ["us-east-1a"],
            MinSize: 0,
            MaxSize: 100,
            DesiredCapacity: size,
        });
        return (await this.members(name)) as Tuple<string, N>;
    }

    async tag(id: string, tags: Record<string, string>): Promise<void> {
        await this.ec2.createTags({
            Resources: [id],
            Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
        });
    }

    /** Puts events, 10 at most, on the region's bus; the rules that match send them to their targets. */
    async put(...events: BusEvent[]): Promise<void> {
        const Entries = events.map(({ source, "detail-type": type, time, resources, detail }) => ({
            Source: source,
            DetailType: type,
            Time: new Date(time),
            Resources: resources,
            Detail: JSON.stringify(detail),
        }));
        const { FailedEntryCount } = await this.eventBridge.putEvents({ Entries });
        if (FailedEntryCount) {
            throw new Error(`the bus refuses events: ${JSON.stringify(Entries)}`);
        }
    }

    /** Ids of the instances that a group lists. */
    async members(name: string): Promise<string[]> {
        const answer = await this.autoScaling.describeAutoScalingGroups({ AutoScalingGroupNames: [name] });
        return (answer.AutoScalingGroups?.[0]?.Instances ?? []).map(({ InstanceId }) => InstanceId as string);
    }

    async instances(): Promise<Instance[]> {
        const all: Instance[] = [];
        for await (const { Reservations = [] } of paginateDescribeInstances({ client: this.ec2 }, {})) {
            for (const { InstanceId, State, Tags = [] } of Reservations.flatMap(({ Instances = [] }) => Instances)) {
                const tags = Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value]));
                all.push({ id: InstanceId as string, state: State?.Name as string, tags });
            }
        }
        return all;
    }

    async tags(id: string): Promise<Record<string, string>> {
        return (await this.instances()).find((instance) => instance.id === id)?.tags ?? {};
    }

    /** Ids of the live instances with the tag, whatever its value, by group ("" for instances in none). */
    async tagged(key: string): Promise<Record<string, string[]>> {
        const groups: Record<string, string[]> = {};
        for (const { id, state, tags } of await this.instances()) {
            if (key in tags && state !== "terminated") {
                const group = tags[groupKey] ?? "";
                groups[group] = [...(groups[group] ?? []), id];
            }
        }
        return groups;
    }
}

/** What a program registered, as far as moto can hold it, and a container with the function that it packaged. */
export class Stack {
    private constructor(
        private readonly moto: Moto,
        private readonly wiring: Wiring,
        private readonly QueueUrl: string,
        private readonly handler: Handler,
    ) {}

    /**
     * Creates the queue, the rules and their targets as they are registered, and starts a container.
     *
     * @param name keeps the stack's resources apart from those of another, as Pulumi's random names would
     */
    static async deploy(moto: Moto, program: Program, name = "dev"): Promise<Stack> {
        const wiring = wiringOf(program);
        const { queue } = wiring;
        const named = (arn: string) => arn.replace(/[^:]+$/, (physical) => `${name}-${physical}`);
        const { QueueUrl } = await moto.sqs.createQueue({
            QueueName: named(queue.arn).split(":").at(-1),
            Attributes: {
                FifoQueue: String(queue.fifoQueue),
                ContentBasedDeduplication: String(queue.contentBasedDeduplication),
                VisibilityTimeout: String(queue.visibilityTimeoutSeconds),
                MessageRetentionPeriod: String(queue.messageRetentionSeconds),
            },
        });
        // moto takes a rule without a pattern for one that matches everything, so the sweep's rule is left out
        for (const { physicalName, eventPattern, targetArn, messageGroupId } of wiring.rules) {
            if (eventPattern) {
                const Rule = `${name}-${physicalName}`;
                await moto.eventBridge.putRule({ Name: Rule, EventPattern: eventPattern });
                const SqsParameters = { MessageGroupId: messageGroupId };
                const target = { Id: "queue", Arn: named(targetArn), SqsParameters };
                await moto.eventBridge.putTargets({ Rule, Targets: [target] });
            }
        }
        return new Stack(moto, wiring, QueueUrl as string, startContainer(program));
    }

    /** Puts events, 10 at most, on the bus, then pumps. */
    async receive(...events: BusEvent[]): Promise<Reports[]> {
        await this.moto.put(...events);
        return this.pump();
    }

    /** Sends what the schedule would send, then pumps. */
    async sweep(): Promise<Reports[]> {
        const { QueueUrl, wiring } = this;
        await this.moto.sqs.sendMessage({
            QueueUrl,
            MessageBody: JSON.stringify(sweepEvent(Date.now())),
            MessageGroupId: wiring.rules.find(({ scheduleExpression }) => scheduleExpression)?.messageGroupId,
        });
        return this.pump();
    }

    /** Does what the event source mapping does, until the queue is empty: receive, invoke, delete. Returns the reports of each batch. */
    async pump(): Promise<Reports[]> {
        const { QueueUrl, wiring } = this;
        const batches: Reports[] = [];
        for (;;) {
            const asked = { QueueUrl, MaxNumberOfMessages: wiring.batchSize, WaitTimeSeconds: 0 };
            const { Messages = [] } = await this.moto.sqs.receiveMessage(asked);
            if (Messages.length === 0) {
                return batches;
            }
            const bodies = Messages.map(({ Body }) => Body as string);
            batches.push(await invoke(this.handler, bodies, wiring.functionTimeoutSeconds));
            const Entries = Messages.map(({ MessageId, ReceiptHandle }) => ({ Id: MessageId, ReceiptHandle }));
            await this.moto.sqs.deleteMessageBatch({ QueueUrl, Entries });
        }
    }
}

async function freePort(): Promise<number> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return port;
}
