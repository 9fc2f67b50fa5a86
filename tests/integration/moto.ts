import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { AutoScaling } from "@aws-sdk/client-auto-scaling";
import { EC2, paginateDescribeInstances } from "@aws-sdk/client-ec2";
import { EventBridge } from "@aws-sdk/client-eventbridge";
import { SQS } from "@aws-sdk/client-sqs";
import { invoke, pointSdkAt, type Reports } from "../simulator/aws/endpoint";
import { type BusEvent, sweepEvent } from "../simulator/aws/events";
import type { Tuple } from "../simulator/lists";
import { type Handler, startContainer } from "../simulator/stack/packaged";
import type { Program } from "../simulator/stack/program";
import { wiringOf } from "../simulator/stack/registered";

export const groupKey = "aws:autoscaling:groupName";

const startSeconds = 60;
const launchConfiguration = "instances";

/** An instance as EC2 describes it. */
export interface Instance {
    id: string;
    state: string;
    tags: Record<string, string>;
}

export function motoIsInstalled(): boolean {
    return spawnSync("sh", ["-c", "command -v moto_server"]).status === 0;
}

/** A region on a moto_server of our own; this process's SDK clients call it until it is stopped. */
export class Moto {
    readonly ec2 = new EC2();
    readonly autoScaling = new AutoScaling();
    readonly eventBridge = new EventBridge();
    readonly sqs = new SQS();

    private constructor(
        private readonly endpoint: string,
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
        const moto = new Moto(endpoint, server, restoreEnvironment);
        try {
            await moto.untilItAnswers();
        } catch (error) {
            await moto.stop();
            throw error;
        }
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

    private async untilItAnswers(): Promise<void> {
        const deadline = Date.now() + startSeconds * 1000;
        for (;;) {
            try {
                await fetch(this.endpoint);
                return;
            } catch (cause) {
                if (Date.now() > deadline) {
                    throw new Error(`moto_server does not answer at ${this.endpoint}`, { cause });
                }
                await sleep(50);
            }
        }
    }

    // What operators and other services do.

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

    /** Scales a group; the ids of its new members. */
    async scale(name: string, size: number): Promise<string[]> {
        const before = await this.members(name);
        await this.autoScaling.setDesiredCapacity({ AutoScalingGroupName: name, DesiredCapacity: size });
        return (await this.members(name)).filter((id) => !before.includes(id));
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
        const answer = await this.eventBridge.putEvents({ Entries });
        if (answer.Entries?.some(({ ErrorCode }) => ErrorCode)) {
            throw new Error(`the bus refuses events: ${JSON.stringify(answer.Entries)}`);
        }
    }

    // What AWS answers.

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
                groups[tags[groupKey] ?? ""] = [...(groups[tags[groupKey] ?? ""] ?? []), id];
            }
        }
        return groups;
    }
}

/** What a program registered, as far as moto can hold it, and a container with the function that it packaged. */
export class Stack {
    private constructor(
        private readonly moto: Moto,
        private readonly queueUrl: string,
        private readonly batchSize: number,
        private readonly timeoutSeconds: number,
        private readonly sweepGroupId: string,
        private readonly handler: Handler,
    ) {}

    /**
     * Creates the queue, the rules and their targets as they are registered, and starts a container.
     *
     * @param name keeps the stack's resources apart from those of another, as Pulumi's random names would
     */
    static async deploy(moto: Moto, program: Program, name = "dev"): Promise<Stack> {
        const { rules, queue, batchSize, functionTimeoutSeconds } = wiringOf(program);
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

        let sweepGroupId = "";
        for (const { physicalName, eventPattern, scheduleExpression, targetArn, messageGroupId } of rules) {
            const Rule = `${name}-${physicalName}`;
            await moto.eventBridge.putRule({
                Name: Rule,
                EventPattern: eventPattern,
                ScheduleExpression: scheduleExpression,
            });
            if (scheduleExpression) {
                sweepGroupId = messageGroupId;
                continue; // moto takes a rule without a pattern for one that matches everything, so it gets no target
            }
            const target = { Id: "queue", Arn: named(targetArn), SqsParameters: { MessageGroupId: messageGroupId } };
            await moto.eventBridge.putTargets({ Rule, Targets: [target] });
        }

        const handler = startContainer(program);
        return new Stack(moto, QueueUrl as string, batchSize, functionTimeoutSeconds, sweepGroupId, handler);
    }

    /** Puts events on the bus, then pumps. */
    async receive(...events: BusEvent[]): Promise<Reports[]> {
        for (let place = 0; place < events.length; place += 10) {
            await this.moto.put(...events.slice(place, place + 10));
        }
        return this.pump();
    }

    /** Sends what the schedule would send, for moto's schedules don't fire, then pumps. */
    async sweep(): Promise<Reports[]> {
        await this.moto.sqs.sendMessage({
            QueueUrl: this.queueUrl,
            MessageBody: JSON.stringify(sweepEvent(Date.now())),
            MessageGroupId: this.sweepGroupId,
        });
        return this.pump();
    }

    /** Does what the event source mapping does, until the queue is empty: receive, invoke, delete. Returns the reports of each batch. */
    async pump(): Promise<Reports[]> {
        const batches: Reports[] = [];
        for (;;) {
            const { Messages = [] } = await this.moto.sqs.receiveMessage({
                QueueUrl: this.queueUrl,
                MaxNumberOfMessages: this.batchSize,
                WaitTimeSeconds: 0,
            });
            if (Messages.length === 0) {
                return batches;
            }
            const bodies = Messages.map(({ Body }) => Body as string);
            batches.push(await invoke(this.handler, bodies, this.timeoutSeconds));
            await this.moto.sqs.deleteMessageBatch({
                QueueUrl: this.queueUrl,
                Entries: Messages.map(({ MessageId, ReceiptHandle }) => ({ Id: MessageId, ReceiptHandle })),
            });
        }
    }
}

function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const server = createServer().once("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const { port } = server.address() as AddressInfo;
            server.close(() => resolve(port));
        });
    });
}
