// A region inside this process: its groups and instances, and what happens to a call.
import { running, type Timeline } from "../clock";
import { found, mark } from "../lists";
import { connectClients } from "../sdk";
import { autoScalingActions } from "./auto-scaling";
import { cloudWatchActions } from "./cloudwatch";
import { ec2Actions } from "./ec2";
import { type BusEvent, tagEvent } from "./events";
import { type Actions, type Call, type Fault, isWrite, never, refuseIf } from "./faults";
import { type Message, snsActions } from "./sns";

export const groupKey = "aws:autoscaling:groupName";

/** Whether a tag's value marks a leader. */
export const isTrue = (value: string | undefined): boolean => /^true$/i.test(value ?? "");

/** A version of what EC2 says of an instance. */
export interface Version {
    at: number;
    state: string;
    tags: Record<string, string>;
}

export interface Instance {
    id: string;
    /** Oldest first; a read that lags shows an older one. */
    versions: Version[];
    /** CPU utilization in percent; undefined: CloudWatch has no data. */
    load?: number;
    /** Status of EC2's checks. */
    checks: string;
    /** Descriptions of scheduled events. */
    scheduled?: string[];
}

export interface Member {
    id: string;
    lifecycleState: string;
    healthStatus: string;
    protected: boolean;
}

/** How an instance begins: running, in service and healthy, if nothing else is said. */
type Beginning = Partial<Omit<Version, "at"> & Omit<Member, "protected"> & Pick<Instance, "load" | "checks">>;

export interface Group {
    name: string;
    tags: Record<string, string>;
    /** How many instances it wants; undefined: as many as it has. */
    desired?: number;
    /** Whether it protects all new instances from scaling in. */
    protectsNew?: boolean;
    members: Member[];
    /** Ids of the instances in its warm pool, which it does not list. */
    warm: string[];
}

/**
 * A region behind the SDK's clients: EC2, Auto Scaling, CloudWatch and SNS as far as an election uses them.
 * It refuses what AWS refuses; any other action is an error.
 */
export class Region {
    readonly groups = new Map<string, Group>();
    readonly instances = new Map<string, Instance>();
    /** What was published to each topic, by its ARN. */
    readonly topics = new Map<string, Message[]>();
    readonly calls: Call[] = [];
    /** Called with each event of the region. */
    readonly onEvent: ((event: BusEvent) => void)[] = [];
    /** Called with the id of each instance that changes, or whose entry in its group does, whatever the cause. */
    readonly onChange: ((id: string) => void)[] = [];
    /** Called after each write took effect. */
    readonly afterWrite: ((call: Call) => void)[] = [];
    /** Called when a call, even one that reads, is about to take effect. */
    readonly beforeCall: ((call: Call) => void)[] = [];
    /** Whether the caller may make a call; EC2 refuses a call that is not allowed on all of its resources. */
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
    /** Whether AWS sends an empty page before each, tag events without its own tags, and no group for an instance in a warm pool. */
    meagre = false;
    /** Ids of members that one of Auto Scaling's two lists leaves out for a while. */
    readonly leftOut = { groups: new Set<string>(), instances: new Set<string>() };

    private ids = 0;
    private readonly actions: Actions = {
        ...ec2Actions(this),
        ...autoScalingActions(this),
        ...cloudWatchActions(this),
        ...snsActions(this),
    };

    constructor(readonly timeline: Timeline) {
        connectClients(this);
    }

    /** The SDK's clients call AWS again. */
    close(): void {
        connectClients(undefined);
    }

    // What happens in the region, without an event unless it says so.

    addGroup(name: string, tags: Record<string, string> = {}): Group {
        const group: Group = { name, tags, members: [], warm: [] };
        this.groups.set(name, group);
        return group;
    }

    /** A new instance, a member of a group unless that is undefined. */
    addInstance(group: string | undefined, options: Beginning = {}): string {
        const id = options.id ?? `i-${(++this.ids).toString(16).padStart(17, "0")}`;
        const tags = { ...(group === undefined ? {} : { [groupKey]: group }), ...options.tags };
        const versions = [{ at: Number.NEGATIVE_INFINITY, state: options.state ?? "running", tags }];
        this.instances.set(id, { id, versions, load: options.load, checks: options.checks ?? "ok" });
        if (group !== undefined) {
            const { lifecycleState = "InService", healthStatus = "Healthy" } = options;
            const { members, protectsNew = false } = this.groups.get(group) ?? this.addGroup(group);
            members.push({ id, lifecycleState, healthStatus, protected: protectsNew });
        }
        callAll(this.onChange, id);
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
        Object.assign(found(this.memberOf(id)).member, change);
        callAll(this.onChange, id);
    }

    /** The group lists the instance no more; its tags stay as they are. */
    unlist(id: string): void {
        const group = this.memberOf(id)?.group;
        if (group) {
            group.members = group.members.filter((member) => member.id !== id);
            callAll(this.onChange, id);
        }
    }

    /** One of Auto Scaling's two lists leaves a member out, or shows it again. */
    leaveOut(id: string, of: keyof Region["leftOut"], isLeftOut: boolean): void {
        mark(this.leftOut[of], id, isLeftOut);
        callAll(this.onChange, id);
    }

    /** A group lists an instance that was in none. */
    enlist(id: string, group: string, lifecycleState: string): void {
        const { members } = this.groups.get(group) ?? this.addGroup(group);
        members.push({ id, lifecycleState, healthStatus: "Healthy", protected: false });
        callAll(this.onChange, id);
        this.setTags(id, { [groupKey]: group });
    }

    /** An instance leaves its group and goes on alone; it keeps every tag but the group's. */
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
        this.instance(id).versions.push({ ...this.current(id), at: this.timeline.now, state });
        callAll(this.onChange, id);
    }

    /** Sets tags, or removes them where the value is undefined, and emits the tag event. */
    setTags(id: string, change: Record<string, string | undefined>): void {
        const before = this.current(id);
        const changed = Object.keys(change).filter((key) => before.tags[key] !== change[key]);
        if (changed.length === 0) {
            return;
        }
        const entries = Object.entries({ ...before.tags, ...change }).filter(([, value]) => value !== undefined);
        const tags = Object.fromEntries(entries) as Record<string, string>;
        this.instance(id).versions.push({ ...before, at: this.timeline.now, tags });
        callAll(this.onChange, id);
        const shown = Object.entries(tags).filter(([key]) => !this.meagre || !key.startsWith("aws:"));
        this.emit(tagEvent(this.timeline.now, id, changed, Object.fromEntries(shown)));
    }

    emit(event: BusEvent): void {
        callAll(this.onEvent, event);
    }

    /** Ids of the live instances of a group that carry the tag with the value true. */
    leaders(group: string | undefined, tagKey: string): string[] {
        return [...this.instances.keys()].filter((id) => {
            const { state, tags } = this.current(id);
            const isLive = !["shutting-down", "terminated"].includes(state);
            return isLive && tags[groupKey] === group && isTrue(tags[tagKey]);
        });
    }

    /** Throws, as EC2 does, if there is no such instance. */
    instance(id: string): Instance {
        const instance = this.instances.get(id);
        refuseIf(!instance, "InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
        return found(instance);
    }

    private current(id: string): Version {
        return this.instance(id).versions.at(-1) as Version;
    }

    // What the region answers.

    /** Answers a client's command, unless its signal aborts before. */
    answer(action: string, input: object, abortSignal?: AbortSignal): Promise<object> {
        const answer = this.answerInTime(action, input, abortSignal);
        // Behind a gate no time passes, so that no call is aborted.
        if (!abortSignal || this.gate) {
            return answer;
        }
        return Promise.race([answer, aborted(abortSignal)]);
    }

    private async answerInTime(action: string, input: object, abortSignal?: AbortSignal): Promise<object> {
        const by = running.getStore();
        if (by?.dead) {
            return never();
        }
        // A copy: the SDK goes through pages with one and the same object.
        const call: Call = { action, input: { ...input }, by, start: this.timeline.now, end: Number.NaN };
        this.calls.push(call);
        const fault = this.fault(call) ?? {};
        await (this.gate ? this.gate(call) : this.timeline.after(this.latency / 2));
        if (abortSignal?.aborted) {
            return never(); // aborted before it took effect
        }
        const result = this.effect(call, fault);
        if (fault.stalls) {
            return never();
        }
        if (!this.gate) {
            await this.timeline.after(this.latency - this.latency / 2 + (fault.late ?? 0));
        }
        call.end = this.timeline.now;
        if (by && fault.dies && !abortSignal?.aborted) {
            by.dead = true;
        }
        // A call that was under way when its container ended took effect, without an answer.
        if (by?.dead) {
            return never();
        }
        return result instanceof Error ? Promise.reject(result) : result;
    }

    private effect(call: Call, fault: Fault): object | Error {
        const input = { ...call.input, Resources: call.input.Resources?.slice(0, fault.partly) };
        if ((fault.error || fault.dies) && !fault.afterEffect && fault.partly === undefined) {
            return fault.error ?? {};
        }
        callAll(this.beforeCall, call);
        try {
            const message = "You are not authorized to perform this operation.";
            refuseIf(!this.permits(call), "UnauthorizedOperation", message, 403);
            const perform = this.actions[call.action];
            refuseIf(!perform, "InvalidAction", `${call.action} is not known here`);
            const result = found(perform)(input);
            callAll(isWrite(call) ? this.afterWrite : [], call);
            return fault.error ?? fault.answer?.(result) ?? result;
        } catch (error) {
            return error as Error;
        }
    }

    /** One page of an answer: at most `size` items from the token on. */
    page(key: string, all: object[], size: number, token = ""): object {
        const [start, isNext] = [Number.parseInt(token || "0", 10), token.endsWith("+")];
        if (this.meagre && !isNext) {
            return { [key]: [], NextToken: `${start}+` };
        }
        const end = start + Math.min(size, this.pageSize);
        return { [key]: all.slice(start, end), ...(end < all.length ? { NextToken: String(end) } : {}) };
    }
}

function callAll<T>(listeners: ((about: T) => void)[], about: T): void {
    for (const listener of listeners) {
        listener(about);
    }
}

/** Fails as the SDK does when its signal aborts. */
function aborted(signal: AbortSignal): Promise<never> {
    const by = running.getStore();
    return new Promise((_, reject) => {
        // A container that has ended aborts nothing.
        const abort = () => by?.dead || reject(Object.assign(new Error("Request aborted"), { name: "AbortError" }));
        if (signal.aborted) {
            abort();
        }
        signal.addEventListener("abort", abort);
    });
}

/** Whether a group lists an instance as InService and Healthy, and EC2 says that it runs. */
export function isFit(region: Region, id: string): boolean {
    const { lifecycleState, healthStatus }: Partial<Member> = region.memberOf(id)?.member ?? {};
    return lifecycleState === "InService" && healthStatus === "Healthy" && region.state(id) === "running";
}
