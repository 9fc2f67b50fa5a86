import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import { EC2Client } from "@aws-sdk/client-ec2";
import { mockClient } from "aws-sdk-client-mock";
import { type Container, running, type Timeline } from "../clock";
import { type BusEvent, tagEvent } from "./events";

export const groupKey = "aws:autoscaling:groupName";

/** Whether a tag's value marks a leader. */
export const isTrue = (value: string | undefined): boolean => /^true$/i.test(value ?? "");

/** A version of what EC2 says of an instance. */
interface Version {
    at: number;
    state: string;
    tags: Record<string, string>;
}

export interface Instance {
    id: string;
    /** Oldest first; readers who lag see an older one. */
    versions: Version[];
    /** CPU utilization in percent; undefined: CloudWatch has no data. */
    load?: number;
    /** Status of EC2's checks. */
    checks: string;
}

export interface Member {
    id: string;
    lifecycleState: string;
    healthStatus: string;
    protected: boolean;
}

export interface Group {
    name: string;
    tags: Record<string, string>;
    members: Member[];
}

/** A call that somebody made, with its times on the timeline. */
export interface Call {
    action: string;
    // biome-ignore lint/suspicious/noExplicitAny: each action has its own input
    input: any;
    /** The container that made it. */
    by: Container | undefined;
    start: number;
    end: number;
}

/** What may go wrong with a call. */
export interface Fault {
    /** Happens instead of the call, or, with `afterEffect`, instead of its answer. */
    error?: Error;
    afterEffect?: boolean;
    /** Only this many of the resources are written before the error. */
    partly?: number;
    /** The caller's container ends: it gets no answer, and does nothing more. */
    dies?: boolean;
    /** Makes another answer of the one that the caller would get. */
    answer?: (answer: object) => object;
}

/** An error as the SDK throws it after its own retries. */
export function awsError(name: string, message: string, status = 400): Error {
    return Object.assign(new Error(message), { name, $fault: "client", $metadata: { httpStatusCode: status } });
}

/**
 * A region inside this process, behind the SDK's clients: EC2, Auto Scaling and CloudWatch as far as an election uses them,
 * as strict about what they are asked as AWS is. Whatever else is asked of it is an error.
 */
export class Region {
    readonly groups = new Map<string, Group>();
    readonly instances = new Map<string, Instance>();
    readonly calls: Call[] = [];
    /** Who hears of the region's events. */
    readonly onEvent: ((event: BusEvent) => void)[] = [];
    /** Who is told of every instance that changes, or whose group says something else of it, by whoever did it. */
    readonly onChange: ((id: string) => void)[] = [];
    /** Who looks at the region after every write to tags. */
    readonly afterWrite: ((call: Call) => void)[] = [];
    /** Who looks at the region when a call, even one that reads, is about to take effect. */
    readonly beforeCall: ((call: Call) => void)[] = [];
    /** Whether whoever makes a call may do so; EC2 refuses a call if it may not be made on all of its resources. */
    permits: (call: Call) => boolean = () => true;
    /** Milliseconds that a call takes; its effect comes half-way. */
    latency = 20;
    /** Milliseconds by which EC2's reads lag behind its writes. */
    lag: () => number = () => 0;
    /** What goes wrong with a call. */
    fault: (call: Call) => Fault | undefined = () => undefined;
    /** Awaited before a call takes effect, instead of half its latency. */
    gate?: (call: Call) => Promise<void>;
    /** EC2 answers in pages of this size at most, Auto Scaling too. */
    pageSize = 1000;

    private ids = 0;

    constructor(readonly timeline: Timeline) {
        current = this;
    }

    /** Gives the SDK's clients back. */
    close(): void {
        current = undefined;
        for (const mock of mocks) {
            mock.resetHistory();
        }
    }

    // What happens in the region, without an event unless it says so.

    addGroup(name: string, tags: Record<string, string> = {}): Group {
        const group = { name, tags, members: [] };
        this.groups.set(name, group);
        return group;
    }

    /** A new instance, a member of a group unless that is undefined. */
    addInstance(
        group: string | undefined,
        options: {
            id?: string;
            state?: string;
            lifecycleState?: string;
            healthStatus?: string;
            tags?: Record<string, string>;
            load?: number;
            checks?: string;
        } = {},
    ): string {
        const id = options.id ?? `i-${(++this.ids).toString(16).padStart(17, "0")}`;
        const tags = { ...(group === undefined ? {} : { [groupKey]: group }), ...options.tags };
        const versions = [{ at: Number.NEGATIVE_INFINITY, state: options.state ?? "running", tags }];
        this.instances.set(id, { id, versions, load: options.load, checks: options.checks ?? "ok" });
        if (group !== undefined) {
            const { lifecycleState = "InService", healthStatus = "Healthy" } = options;
            (this.groups.get(group) ?? this.addGroup(group)).members.push({
                id,
                lifecycleState,
                healthStatus,
                protected: false,
            });
        }
        this.changed(id);
        return id;
    }

    /** The group that lists an instance, and what it says of it. */
    memberOf(id: string): { group: Group; member: Member } | undefined {
        for (const group of this.groups.values()) {
            const member = group.members.find((one) => one.id === id);
            if (member) {
                return { group, member };
            }
        }
        return undefined;
    }

    setMember(id: string, change: Partial<Member>): void {
        const found = this.memberOf(id);
        if (!found) {
            throw new Error(`no group lists ${id}`);
        }
        Object.assign(found.member, change);
        this.changed(id);
    }

    /** The group lists the instance no more; its tags stay as they are. */
    unlist(id: string): void {
        const found = this.memberOf(id);
        if (found) {
            found.group.members = found.group.members.filter((member) => member.id !== id);
            this.changed(id);
        }
    }

    /** A group lists an instance that was in none. */
    enlist(id: string, group: string, lifecycleState: string): void {
        const { members } = this.groups.get(group) ?? this.addGroup(group);
        members.push({ id, lifecycleState, healthStatus: "Healthy", protected: false });
        this.setTags(id, { [groupKey]: group });
    }

    /** An instance leaves its group and goes on alone: it keeps every tag but the group's. */
    detach(id: string): void {
        this.unlist(id);
        this.setTags(id, { [groupKey]: undefined });
    }

    state(id: string): string {
        return this.current(id).state;
    }

    tags(id: string): Record<string, string> {
        return this.current(id).tags;
    }

    setState(id: string, state: string): void {
        const { versions } = this.instance(id);
        versions.push({ ...this.current(id), at: this.timeline.now, state });
        this.changed(id);
    }

    /** Sets tags, or takes them off where the value is undefined; whoever listens hears of it. */
    setTags(id: string, change: Record<string, string | undefined>): void {
        const before = this.current(id);
        const changed = Object.keys(change).filter((key) => before.tags[key] !== change[key]);
        if (changed.length === 0) {
            return;
        }
        const tags = Object.fromEntries(
            Object.entries({ ...before.tags, ...change }).filter(
                (entry): entry is [string, string] => entry[1] !== undefined,
            ),
        );
        this.instance(id).versions.push({ ...before, at: this.timeline.now, tags });
        this.changed(id);
        this.emit(tagEvent(this.timeline.now, id, changed, tags));
    }

    emit(event: BusEvent): void {
        for (const listener of this.onEvent) {
            listener(event);
        }
    }

    /** Ids of the live instances of a group that carry the tag with the value true. */
    leaders(group: string, tagKey: string): string[] {
        return [...this.instances.keys()].filter((id) => {
            const { state, tags } = this.current(id);
            const live = state !== "shutting-down" && state !== "terminated";
            return live && tags[groupKey] === group && isTrue(tags[tagKey]);
        });
    }

    private changed(id: string): void {
        for (const watcher of this.onChange) {
            watcher(id);
        }
    }

    /** Throws, as EC2 does, if there is no such instance. */
    instance(id: string): Instance {
        const instance = this.instances.get(id);
        if (!instance) {
            throw awsError("InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
        }
        return instance;
    }

    private current(id: string): Version {
        return this.instance(id).versions.at(-1) as Version;
    }

    // What the region answers.

    /** What a client gets that sends a command, unless it gives up before. */
    answer(action: string, input: object, abortSignal?: AbortSignal): Promise<object> {
        const answer = this.answerInTime(action, input, abortSignal);
        // Behind a gate no time passes, and nobody gives up.
        if (!abortSignal || this.gate) {
            return answer;
        }
        answer.catch(() => {}); // nobody may be waiting any more
        return Promise.race([answer, aborted(abortSignal)]);
    }

    private async answerInTime(action: string, input: object, abortSignal?: AbortSignal): Promise<object> {
        const by = running.getStore();
        if (by?.dead) {
            return never();
        }
        const call: Call = { action, input, by, start: this.timeline.now, end: Number.NaN };
        this.calls.push(call);
        const fault = this.fault(call) ?? {};
        await (this.gate ? this.gate(call) : this.timeline.after(this.latency / 2));
        if (abortSignal?.aborted) {
            return never(); // it was given up before it took effect
        }
        const result = this.effect(call, fault);
        if (!this.gate) {
            await this.timeline.after(this.latency - this.latency / 2);
        }
        call.end = this.timeline.now;
        if (by && fault.dies) {
            by.dead = true;
        }
        // What was under way when its container ended took effect, but nobody hears of it.
        if (by?.dead) {
            return never();
        }
        if (result instanceof Error) {
            throw result;
        }
        return result;
    }

    private effect(call: Call, fault: Fault): object | Error {
        const writes = /:(Create|Delete|Set)/.test(call.action);
        const input =
            fault.partly === undefined
                ? call.input
                : { ...call.input, Resources: call.input.Resources?.slice(0, fault.partly) };
        if ((fault.error || fault.dies) && !fault.afterEffect && fault.partly === undefined) {
            return fault.error ?? {};
        }
        for (const witness of this.beforeCall) {
            witness(call);
        }
        try {
            if (!this.permits(call)) {
                throw awsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403);
            }
            const perform = this.actions[call.action];
            if (!perform) {
                throw awsError("InvalidAction", `${call.action} is not known here`);
            }
            const result = perform(input);
            if (writes) {
                for (const observer of this.afterWrite) {
                    observer(call);
                }
            }
            const answer = structuredClone(result);
            return fault.error ?? fault.answer?.(answer) ?? answer;
        } catch (error) {
            return error as Error;
        }
    }

    // biome-ignore lint/suspicious/noExplicitAny: each action has its own input
    private readonly actions: Record<string, (input: any) => object> = {
        "autoscaling:DescribeAutoScalingGroups": ({
            AutoScalingGroupNames: names = [],
            Filters,
            MaxRecords = 50,
            NextToken,
        }) => {
            limit("MaxRecords", MaxRecords, 100);
            const groups = [...this.groups.values()].filter(
                ({ name, tags }) => (names.length === 0 || names.includes(name)) && passesTagFilters(tags, Filters),
            );
            const answers = groups.map(({ name, tags, members }) => ({
                AutoScalingGroupName: name,
                Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
                Instances: members.map((member) => ({
                    InstanceId: member.id,
                    LifecycleState: member.lifecycleState,
                    HealthStatus: member.healthStatus,
                    ProtectedFromScaleIn: member.protected,
                })),
            }));
            return this.page("AutoScalingGroups", answers, MaxRecords, NextToken);
        },
        "autoscaling:DescribeAutoScalingInstances": ({ InstanceIds: ids = [] }) => {
            limit("InstanceIds", ids.length, 50);
            const listed = [...this.groups.values()].flatMap(({ name, members }) =>
                members.map(({ id }) => ({ id, name })),
            );
            const asked = listed.filter(({ id }) => ids.length === 0 || ids.includes(id));
            return {
                AutoScalingInstances: asked.map(({ id, name }) => ({ InstanceId: id, AutoScalingGroupName: name })),
            };
        },
        "autoscaling:SetInstanceProtection": ({ AutoScalingGroupName, InstanceIds: ids, ProtectedFromScaleIn }) => {
            limit("InstanceIds", ids.length, 50);
            const members = this.groups.get(AutoScalingGroupName)?.members ?? [];
            for (const id of ids) {
                const member = members.find((one) => one.id === id);
                if (!["InService", "EnteringStandby", "Standby"].includes(member?.lifecycleState ?? "")) {
                    throw awsError(
                        "ValidationError",
                        `The instance ${id} is not part of Auto Scaling group ${AutoScalingGroupName}, ` +
                            "or is not in InService or EnteringStandby or Standby.",
                    );
                }
            }
            for (const member of members.filter(({ id }) => ids.includes(id))) {
                member.protected = ProtectedFromScaleIn;
            }
            return {};
        },
        "ec2:DescribeInstances": ({ InstanceIds, Filters = [], MaxResults = 1000, NextToken }) => {
            if (InstanceIds) {
                throw awsError("InvalidParameterCombination", "instances are asked for by filters here");
            }
            limit("MaxResults", MaxResults, 1000);
            const seen = this.now(Filters);
            const reservations = seen.map(({ id, state, tags }) => ({
                Instances: [
                    {
                        InstanceId: id,
                        State: { Name: state },
                        Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
                    },
                ],
            }));
            return this.page("Reservations", reservations, MaxResults, NextToken);
        },
        "ec2:DescribeInstanceStatus": ({ InstanceIds: ids, IncludeAllInstances }) => {
            limit("InstanceIds", ids.length, 100);
            const unknown = ids.filter((id: string) => !this.instances.has(id));
            if (ids.length === 0 || unknown.length > 0) {
                throw awsError("InvalidInstanceID.NotFound", `The instance IDs '${unknown.join(", ")}' do not exist`);
            }
            const shown = ids.filter((id: string) => IncludeAllInstances || this.state(id) === "running");
            return {
                InstanceStatuses: shown.map((id: string) => ({
                    InstanceId: id,
                    InstanceStatus: {
                        Status: this.state(id) === "running" ? this.instance(id).checks : "not-applicable",
                    },
                    SystemStatus: { Status: this.state(id) === "running" ? "ok" : "not-applicable" },
                })),
            };
        },
        "ec2:CreateTags": ({ Resources, Tags }) => {
            this.mayTag(Resources);
            for (const id of Resources) {
                this.setTags(
                    id,
                    Object.fromEntries(Tags.map(({ Key, Value }: { Key: string; Value: string }) => [Key, Value])),
                );
            }
            return {};
        },
        "ec2:DeleteTags": ({ Resources, Tags }) => {
            this.mayTag(Resources);
            for (const id of Resources) {
                // Without keys, all of the user's tags go.
                const keys: string[] = Tags?.map(({ Key }: { Key: string }) => Key) ?? Object.keys(this.tags(id));
                this.setTags(
                    id,
                    Object.fromEntries(keys.filter((key) => !key.startsWith("aws:")).map((key) => [key, undefined])),
                );
            }
            return {};
        },
        "cloudwatch:GetMetricData": ({ MetricDataQueries: queries }) => {
            limit("MetricDataQueries", queries.length, 500);
            return {
                // biome-ignore lint/suspicious/noExplicitAny: as CloudWatch defines it
                MetricDataResults: queries.map(({ Id, MetricStat }: any) => {
                    const load = this.instances.get(MetricStat.Metric.Dimensions[0].Value)?.load;
                    return { Id, Timestamps: [], Values: load === undefined ? [] : [load, load, load] };
                }),
            };
        },
    };

    private mayTag(ids: string[]): void {
        limit("Resources", ids.length, 1000);
        const unknown = ids.filter((id) => !this.instances.has(id));
        if (unknown.length > 0) {
            throw awsError("InvalidInstanceID.NotFound", `The instance IDs '${unknown.join(", ")}' do not exist`);
        }
    }

    /** What EC2 says now, some time late, of the instances that pass every filter. */
    private now(filters: { Name: string; Values: string[] }[]): (Version & { id: string })[] {
        const at = this.timeline.now - this.lag();
        const seen = [...this.instances.values()].map(({ id, versions }) => ({
            ...(versions.findLast((version) => version.at <= at) ?? versions[0]),
            id,
        }));
        for (const { Name, Values } of filters) {
            limit(`values of ${Name}`, Values.length, 200);
            if (!["instance-id", "instance-state-name"].includes(Name) && !Name.startsWith("tag:")) {
                throw awsError("InvalidParameterValue", `The filter '${Name}' is invalid`);
            }
        }
        const wanted = filters.map(({ Name, Values }) => ({ Name, fits: oneOf(Values) }));
        return seen.filter(({ id, state, tags }) =>
            wanted.every(({ Name, fits }) => {
                const value =
                    Name === "instance-id" ? id : Name === "instance-state-name" ? state : tags[Name.slice(4)];
                return value !== undefined && fits(value);
            }),
        );
    }

    private page(key: string, all: object[], size: number, token = "0"): object {
        const start = Number(token);
        const end = start + Math.min(size, this.pageSize);
        return { [key]: all.slice(start, end), ...(end < all.length ? { NextToken: String(end) } : {}) };
    }
}

/** The region behind the SDK's clients; without one they speak to AWS. */
let current: Region | undefined;

// Made once, not for each region: the library holds on to every stub.
const mocks = Object.entries({ ec2: EC2Client, autoscaling: AutoScalingClient, cloudwatch: CloudWatchClient }).map(
    ([service, client]) => {
        const { send } = client.prototype;
        const mock = mockClient(client as typeof EC2Client);
        // biome-ignore lint/suspicious/noExplicitAny: the mock's stub gets whatever command is sent
        (mock as any).send.callsFake(function (this: unknown, command: any, ...rest: never[]) {
            return current
                ? current.answer(
                      `${service}:${command.constructor.name.replace("Command", "")}`,
                      command.input,
                      (rest[0] as { abortSignal?: AbortSignal } | undefined)?.abortSignal,
                  )
                : Reflect.apply(send, this, [command, ...rest]);
        });
        return mock;
    },
);

/** Fails as the SDK does when whoever asked gives up. */
function aborted(signal: AbortSignal): Promise<never> {
    const by = running.getStore();
    return new Promise((_, reject) => {
        // Where its container has ended, nobody gives up any more.
        const abort = () => by?.dead || reject(Object.assign(new Error("Request aborted"), { name: "AbortError" }));
        if (signal.aborted) {
            abort();
        }
        signal.addEventListener("abort", abort);
    });
}

function never(): Promise<never> {
    return new Promise(() => {});
}

function limit(what: string, size: number, most: number): void {
    if (size > most) {
        throw awsError("ValidationError", `${what} is ${size}, at most ${most} are allowed`);
    }
}

/** Whether a value fits one of a filter's values. */
function oneOf(values: string[]): (value: string) => boolean {
    const literals = new Set(values.filter((pattern) => !/[*?\\]/.test(pattern)));
    const patterns = values.filter((pattern) => !literals.has(pattern)).map(wildcard);
    return (value) => literals.has(value) || patterns.some((pattern) => pattern.test(value));
}

/** A filter's value: * is anything, ? is one character, a backslash takes the next one literally. */
function wildcard(pattern: string): RegExp {
    const parts = pattern.match(/\\.|[^\\]|\\$/gs) ?? [];
    const source = parts.map((part) =>
        part === "*" ? ".*" : part === "?" ? "." : part.slice(-1).replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
    );
    return new RegExp(`^${source.join("")}$`, "s");
}

function passesTagFilters(tags: Record<string, string>, filters: { Name: string; Values: string[] }[] = []): boolean {
    return filters.every(({ Name, Values }) => {
        if (!Name.startsWith("tag:")) {
            throw awsError("ValidationError", `The filter '${Name}' is not known here`);
        }
        return Values.includes(tags[Name.slice(4)]);
    });
}
