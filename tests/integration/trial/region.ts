// A region in which the trial takes place: moto_server, the packaged function behind the program's own rules, and a proxy
// that the trial's clients call. What moto lacks is done here: it emits no events, so that they are made from
// what it changes; a group of moto's doesn't replace an unhealthy member; and no instance writes to a console.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { invoke } from "../../simulator/aws/endpoint";
import { type BusEvent, scalingEvent, stateEvent, sweepEvent, tagEvent } from "../../simulator/aws/events";
import { matches } from "../../simulator/aws/patterns";
import { parseRequest, renderError } from "../../simulator/aws/wire/protocols";
import { type Handler, startContainer } from "../../simulator/stack/packaged";
import type { Program } from "../../simulator/stack/program";
import { wiringOf } from "../../simulator/stack/registered";
import { groupKey, type Instance, Moto } from "../moto";

export const tagKey = "app:isLeader";
export const prefix = "awseb-";

/** A call of the trial, for example `ec2:StopInstances`; calls of the function and of the tests are not among them. */
export interface Call {
    action: string;
    // biome-ignore lint/suspicious/noExplicitAny: each action has its own input
    input: any;
}

/** An error instead of the region's answer. */
export interface Refusal {
    code: string;
    message: string;
    status?: number;
}

const tickMillis = 50;
const ticksToSweep = 6;
/** After so many ticks a group has ended an unhealthy member: later than the sweep finds it. */
const ticksToReplace = 10;

export class TrialRegion {
    calls: Call[] = [];
    /** What AWS refuses of the trial's calls. */
    refuses: (call: Call) => Refusal | undefined = () => undefined;
    /** Gets each call of the trial before it is answered. */
    onCall: (call: Call) => void = () => {};
    /** Whether there is a stack that elects leaders. */
    elects = true;
    /** Whether the account seems to have no default VPC. */
    hidesSubnets = false;
    /** What the group says of a launch that failed; then it lists no instances. */
    launchFailure = "";
    private readonly server = createServer((request, response) => this.forward(request, response));
    private before = new Map<string, Instance>();
    /** Ids, and after how many ticks they are ended. */
    private unhealthy = new Map<string, number>();
    private consoles: Record<string, string[]> = {};
    private ticking?: Promise<void>;
    /** The tick that is under way. */
    private tick = Promise.resolve();
    private paused = false;
    private closed = false;
    private failure?: Error;

    private constructor(
        readonly moto: Moto,
        private readonly motoUrl: string,
        private readonly patterns: object[],
        private readonly handler: Handler,
    ) {}

    static async open(program: Program): Promise<TrialRegion> {
        const moto = await Moto.start();
        const motoUrl = process.env.AWS_ENDPOINT_URL as string;
        const patterns = wiringOf(program).rules.flatMap(({ eventPattern }) => JSON.parse(eventPattern ?? "[]"));
        const region = new TrialRegion(moto, motoUrl, patterns, startContainer(program));
        await once(region.server.listen(0, "127.0.0.1"), "listening");
        process.env.AWS_ENDPOINT_URL = region.url;
        region.ticking = region.tickOn();
        return region;
    }

    get url(): string {
        return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    }

    async close(): Promise<void> {
        this.closed = true;
        await this.ticking;
        this.server.close();
        this.server.closeAllConnections();
        await this.moto.stop();
        if (this.failure) {
            throw this.failure;
        }
    }

    /** Forgets calls and faults. */
    calm(): void {
        this.calls = [];
        this.refuses = () => undefined;
        this.onCall = () => {};
        this.elects = true;
        this.hidesSubnets = false;
        this.launchFailure = "";
    }

    /** What the trial must not touch: a group with the prefix, and what others have called nearly like a run's. */
    async addForeign(): Promise<void> {
        this.paused = true;
        await this.tick;
        await this.moto.reset();
        this.before.clear();
        this.unhealthy.clear();
        this.paused = false;
        const { ec2 } = this.moto;
        const tag = { Key: "leader-trial", Value: "trial-0123abcd" };
        const tags = [tag];
        await this.moto.addGroup(`${prefix}shop`, 2);
        await this.moto.addGroup(`${prefix}trial-shop`, 1);
        await this.moto.autoScaling.createOrUpdateTags({
            Tags: [{ ...tag, ResourceId: `${prefix}trial-shop`, ResourceType: "auto-scaling-group" }],
        });
        const [member = ""] = await this.moto.members(`${prefix}shop`);
        await ec2.createTags({ Resources: [member], Tags: tags });
        await ec2.createLaunchTemplate({
            LaunchTemplateName: "leader-trial-shop",
            LaunchTemplateData: { InstanceType: "t3.nano" },
            TagSpecifications: [{ ResourceType: "launch-template", Tags: tags }],
        });
    }

    /** Everything that a trial could leave, by name or id; what is terminated doesn't count. */
    async everything(): Promise<string[]> {
        const { AutoScalingGroups = [] } = await this.moto.autoScaling.describeAutoScalingGroups({});
        const { LaunchTemplates = [] } = await this.moto.ec2.describeLaunchTemplates({});
        const { Volumes = [] } = await this.moto.ec2.describeVolumes({});
        const instances = (await this.moto.instances()).filter(({ state }) => state !== "terminated");
        return [
            ...AutoScalingGroups.map((group) => String(group.AutoScalingGroupName)),
            ...LaunchTemplates.map((template) => String(template.LaunchTemplateName)),
            ...instances.map(({ id }) => id),
            ...Volumes.map((volume) => String(volume.VolumeId)),
        ].sort();
    }

    private async tickOn(): Promise<void> {
        for (let count = 1; !this.closed; count++) {
            if (!this.paused) {
                this.tick = this.tickOnce(count % ticksToSweep === 0).catch((error) => {
                    this.failure ??= error;
                });
                await this.tick;
            }
            await sleep(tickMillis);
        }
    }

    /** Makes events from what has changed, invokes the function with them, and does what a group would. */
    private async tickOnce(sweeps: boolean): Promise<void> {
        const now = new Map((await this.moto.instances()).map((instance) => [instance.id, instance]));
        const events = [...now.values()].flatMap((instance) => this.eventsOf(instance));
        this.before = now;
        const batch = events.filter((event) => this.patterns.some((pattern) => matches(pattern, event)));
        batch.push(...(sweeps ? [sweepEvent(Date.now())] : []));
        if (this.elects && batch.length > 0) {
            await invoke(
                this.handler,
                batch.map((event) => JSON.stringify(event)),
            );
        }
        await this.replaceUnhealthy();
    }

    /** The events that AWS would send about what has changed of an instance. */
    private eventsOf({ id, state, tags }: Instance): BusEvent[] {
        const old = this.before.get(id);
        const now = Date.now();
        const group = tags[groupKey];
        const differs = (key: string) => old?.tags[key] !== tags[key];
        // A tag that was written and deleted since the last look shows in its since.
        const changed = [tagKey, `${tagKey}:eligible`].filter((key) => differs(key) || differs(`${key}:since`));
        if (changed.includes(tagKey)) {
            const line = `leader-trial ${new Date(now).toISOString().slice(0, 19)}Z ${tags[tagKey] ? "shown" : "absent"}`;
            this.consoles[id] = [...(this.consoles[id] ?? []), line];
        }
        return [
            ...(!old && group ? [scalingEvent("launch-successful", now, group, id)] : []),
            ...(old && state !== old.state
                ? [stateEvent(now, id, state === "stopped" ? "stopping" : "shutting-down")]
                : []),
            ...(old?.tags[groupKey] && !group && state === "running"
                ? [scalingEvent("detach-successful", now, old.tags[groupKey], id)]
                : []),
            ...(changed.length > 0 ? [tagEvent(now, id, changed, tags)] : []),
        ];
    }

    /** Ends members that were called unhealthy, as their group does; moto then replaces them. */
    private async replaceUnhealthy(): Promise<void> {
        for (const [id, ticks] of this.unhealthy) {
            this.unhealthy.set(id, ticks - 1);
            if (ticks === 0) {
                this.unhealthy.delete(id);
                await this.moto.ec2.terminateInstances({ InstanceIds: [id] });
            }
        }
    }

    private async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const body = await text(request);
        const headers = request.headers as Record<string, string>;
        if (!headers["user-agent"]?.includes("app/leader-trial")) {
            return this.answer(response, body, headers);
        }
        const parsed = parseRequest(body, undefined);
        const call = { action: `${parsed.service}:${parsed.action}`, input: parsed.input };
        this.calls.push(call);
        this.onCall(call);
        const refusal = this.refuses(call);
        if (parsed.action === "SetInstanceHealth" && !refusal) {
            this.unhealthy.set(call.input.InstanceId, ticksToReplace);
        }
        if (refusal) {
            response.writeHead(refusal.status ?? 400).end(renderError(parsed, refusal.code, refusal.message));
        } else if (parsed.action === "DescribeSubnets" && this.hidesSubnets) {
            response.end("<DescribeSubnetsResponse/>");
        } else if (parsed.action === "DescribeScalingActivities") {
            response.end(activitiesAnswer(this.launchFailure)); // moto keeps none
        } else if (parsed.action === "GetConsoleOutput") {
            response.end(consoleAnswer(call.input.InstanceId, this.consoles[call.input.InstanceId] ?? []));
        } else {
            await this.answer(response, body, headers);
        }
    }

    private async answer(response: ServerResponse, body: string, headers: Record<string, string>): Promise<void> {
        const { "content-length": _length, connection: _connection, host: _host, ...rest } = headers;
        const answer = await fetch(this.motoUrl, { method: "POST", body, headers: rest });
        const found = await answer.text();
        const shown = this.launchFailure ? found.replace(/<Instances>.*?<\/Instances>/gs, "<Instances/>") : found;
        response.writeHead(answer.status, { "content-type": "text/xml" }).end(shown);
    }
}

function consoleAnswer(id: string, lines: string[]): string {
    const output = Buffer.from(["[    1.0] Linux", ...lines, ""].join("\r\n")).toString("base64");
    return `<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instanceId>${id}</instanceId><output>${output}</output></GetConsoleOutputResponse>`;
}

function activitiesAnswer(message: string): string {
    const activity = `<member><StatusCode>Failed</StatusCode><StatusMessage>${message}</StatusMessage></member>`;
    const result = `<DescribeScalingActivitiesResult><Activities>${activity}</Activities></DescribeScalingActivitiesResult>`;
    return `<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">${result}</DescribeScalingActivitiesResponse>`;
}
