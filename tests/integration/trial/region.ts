// A region in which the trial takes place: moto_server with the stack, and a proxy that the trial's clients call. What moto lacks
// is done here: it emits no events, so that they are made from what it changes; a group of moto's doesn't replace an unhealthy
// member; and no instance writes to a console.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { invoke } from "../../simulator/aws/endpoint";
import { type BusEvent, scalingEvent, stateEvent, sweepEvent, tagEvent } from "../../simulator/aws/events";
import { matches } from "../../simulator/aws/patterns";
import { groupKey } from "../../simulator/aws/region";
import { parseRequest, renderError } from "../../simulator/aws/wire/protocols";
import { isoTime } from "../../simulator/clock";
import { eligibleKey, sinceKey, tagKey } from "../../simulator/names";
import { startContainer } from "../../simulator/stack/packaged";
import type { Program } from "../../simulator/stack/program";
import { wiringOf } from "../../simulator/stack/registered";
import { type Instance, Moto } from "../moto";

export const prefix = "awseb-";

/** A call of the trial, for example `ec2:StopInstances`; calls of the function and of the tests are not among them. */
export interface Call {
    action: string;
    // biome-ignore lint/suspicious/noExplicitAny: each action has its own input
    input: any;
}

/** What the trial gets instead of the region's answer: an error, or another body. */
type Instead = { code: string; message: string; status?: number } | { body: string };

const tickMillis = 50;
const ticksToSweep = 6;
/** After so many ticks a group has ended an unhealthy member: later than the sweep finds it. */
const ticksToReplace = 10;

export class TrialRegion {
    calls: Call[] = [];
    /** Gets each call of the trial, which is answered after that. */
    onCall: (call: Call) => void | Promise<void> = () => {};
    /** What is answered in the region's place. */
    instead: (call: Call) => Instead | undefined = () => undefined;
    /** Whether there is a stack that elects leaders. */
    elects = true;
    private readonly server = createServer((request, response) => this.forward(request, response));
    private before = new Map<string, Instance>();
    /** Ids, and after how many ticks they are ended. */
    private unhealthy = new Map<string, number>();
    private consoles: Record<string, string[]> = {};
    private ticking = Promise.resolve();
    /** The election that is under way, or the last one. */
    private election: Promise<unknown> = Promise.resolve();
    private ended = false;

    private constructor(
        readonly moto: Moto,
        private readonly program: Program,
    ) {}

    static async open(program: Program): Promise<TrialRegion> {
        const region = new TrialRegion(await Moto.start(), program);
        await once(region.server.listen(0, "127.0.0.1"), "listening");
        process.env.AWS_ENDPOINT_URL = region.url;
        return region;
    }

    get url(): string {
        return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    }

    async close(): Promise<void> {
        this.server.close();
        this.server.closeAllConnections();
        await this.moto.stop();
    }

    /** Forgets calls and faults. */
    calm(): void {
        this.calls = [];
        this.onCall = () => {};
        this.instead = () => undefined;
        this.elects = true;
    }

    /** Begins anew, with what the trial must not touch: a group with the prefix, and what others have called nearly like a run's. */
    async begin(): Promise<void> {
        this.calm();
        await this.moto.reset();
        this.before.clear();
        this.unhealthy.clear();
        const { ec2 } = this.moto;
        const tag = { Key: "leader-trial", Value: "trial-0123abcd" };
        await this.moto.addGroup(`${prefix}shop`, 2);
        await this.moto.addGroup(`${prefix}trial-shop`, 1);
        await this.moto.autoScaling.createOrUpdateTags({
            Tags: [{ ...tag, ResourceId: `${prefix}trial-shop`, ResourceType: "auto-scaling-group" }],
        });
        const [member = ""] = await this.moto.members(`${prefix}shop`);
        await ec2.createTags({ Resources: [member], Tags: [tag] });
        await ec2.createLaunchTemplate({
            LaunchTemplateName: "leader-trial-shop",
            LaunchTemplateData: { InstanceType: "t3.nano" },
            TagSpecifications: [{ ResourceType: "launch-template", Tags: [tag] }],
        });
        this.ended = false;
        this.ticking = this.tickOn();
    }

    /** From now on no leader is elected, not even by an election that is under way. */
    async stopElecting(): Promise<void> {
        this.elects = false;
        await this.election;
    }

    /** From now on nothing happens. @throws what has failed in a tick */
    async end(): Promise<void> {
        this.ended = true;
        await this.ticking;
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

    /** Makes events from what has changed, invokes the function with those that it listens to, and does what a group would. */
    private async tickOn(): Promise<void> {
        const handler = startContainer(this.program);
        const patterns = wiringOf(this.program).rules.flatMap(({ eventPattern }) => JSON.parse(eventPattern ?? "[]"));
        for (let count = 1; !this.ended; count++) {
            const now = new Map((await this.moto.instances()).map((instance) => [instance.id, instance]));
            const events = [...now.values()].flatMap((instance) => this.eventsOf(instance));
            this.before = now;
            const batch = events.filter((event) => patterns.some((pattern) => matches(pattern, event)));
            batch.push(...(count % ticksToSweep === 0 ? [sweepEvent(Date.now())] : []));
            if (this.elects && batch.length > 0) {
                const bodies = batch.map((event) => JSON.stringify(event));
                this.election = invoke(handler, bodies);
                await this.election;
            }
            await this.replaceUnhealthy();
            await sleep(tickMillis);
        }
    }

    /** The events that AWS would send about what has changed of an instance. */
    private eventsOf({ id, state, tags }: Instance): BusEvent[] {
        const old = this.before.get(id);
        const now = Date.now();
        const group = tags[groupKey];
        const differs = (key: string) => old?.tags[key] !== tags[key];
        // A tag that was written and deleted since the last look shows in its since.
        const changed = [tagKey, eligibleKey].filter((key) => differs(key) || (key === tagKey && differs(sinceKey)));
        if (changed.includes(tagKey)) {
            const line = `leader-trial ${isoTime(now).slice(0, 19)}Z ${tags[tagKey] ? "shown" : "absent"}`;
            this.consoles[id] = [...(this.consoles[id] ?? []), line];
        }
        const left = old?.tags[groupKey];
        return [
            ...(!old && group ? [scalingEvent("launch-successful", now, group, id)] : []),
            ...(old && state !== old.state
                ? [stateEvent(now, id, state === "stopped" ? "stopping" : "shutting-down")]
                : []),
            ...(left && !group && state === "running" ? [scalingEvent("detach-successful", now, left, id)] : []),
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
        await this.onCall(call);
        const instead = this.instead(call) ?? this.own(call);
        if (!instead) {
            await this.answer(response, body, headers);
        } else if ("code" in instead) {
            response.writeHead(instead.status ?? 400).end(renderError(parsed, instead.code, instead.message));
        } else {
            response.end(instead.body);
        }
    }

    /** What is answered here because moto keeps no console. */
    private own({ action, input }: Call): Instead | undefined {
        if (action === "autoscaling:SetInstanceHealth") {
            this.unhealthy.set(input.InstanceId, ticksToReplace);
        }
        if (action !== "ec2:GetConsoleOutput") {
            return undefined;
        }
        const lines = ["[    1.0] Linux", ...(this.consoles[input.InstanceId] ?? []), ""].join("\r\n");
        return { body: `<Answer><output>${Buffer.from(lines).toString("base64")}</output></Answer>` };
    }

    private async answer(response: ServerResponse, body: string, headers: Record<string, string>): Promise<void> {
        const { "content-length": _length, connection: _connection, host: _host, ...rest } = headers;
        const answer = await fetch(this.moto.endpoint, { method: "POST", body, headers: rest });
        response.writeHead(answer.status, { "content-type": "text/xml" }).end(await answer.text());
    }
}
