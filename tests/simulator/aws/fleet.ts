import { type Tuple, times } from "../lists";
import { scalingEvent, spotEvent, stateEvent } from "./events";
import type { Region } from "./region";

/** How long things take, in milliseconds, as they do in AWS. */
export const usualPace = {
    /** Until a new instance runs. */
    boot: 15_000,
    /** From then until its group takes it into service. */
    intoService: 20_000,
    /** How long a lifecycle hook holds an instance, either way. */
    hook: 30_000,
    /** From shutting-down to terminated, or from stopping to stopped. */
    shutdown: 30_000,
    /** Until a group notices what became of an instance behind its back. */
    healthCheck: 60_000,
    /** From a Spot warning to the interruption. */
    spotWarning: 120_000,
};

export type Pace = typeof usualPace;

const pending = { state: "pending", lifecycleState: "Pending" };
const toWarmPool = { Origin: "AutoScalingGroup", Destination: "WarmPool" };

/** What Auto Scaling and EC2 do to the groups of a region, over time and with their events. */
export class Fleet {
    /** Names of groups whose health checks are suspended. */
    readonly suspended = new Set<string>();

    constructor(
        readonly region: Region,
        private readonly pace: Pace = usualPace,
    ) {}

    /** A group whose members are in service already; their ids. */
    addGroup<N extends number>(name: string, size: N, tags: Record<string, string> = {}): Tuple<string, N> {
        this.region.addGroup(name, tags).desired = size;
        return times(size, () => this.region.addInstance(name));
    }

    /** How many members a group wants: its desired capacity. */
    size(group: string): number {
        return this.region.groups.get(group)?.desired ?? 0;
    }

    members(group: string): string[] {
        return this.region.groups.get(group)?.members.map(({ id }) => id) ?? [];
    }

    /**
     * Changes a group's size: launches what is missing, terminates those that are too many and not protected, the oldest first.
     *
     * @param how.first goes before the oldest
     * @returns ids of the members that are terminated
     */
    scale(group: string, size: number, how: { hook?: boolean; first?: string } = {}): string[] {
        this.grow(group, size - this.size(group));
        const active = this.active(group);
        const leaving = active
            .flatMap((member) => (member.protected ? [] : member.id))
            .sort((a, b) => Number(b === how.first) - Number(a === how.first))
            .slice(0, Math.max(0, active.length - size));
        for (const id of leaving) {
            this.terminate(id, how);
        }
        this.replenish(group, how);
        return leaving;
    }

    /** Launches one instance into a group. */
    launch(group: string, how: { hook?: boolean } = {}): string {
        const id = this.region.addInstance(group, pending);
        this.laterIf(id, "pending", this.pace.boot, () => {
            this.region.setState(id, "running");
            if (!how.hook) {
                return this.later(this.pace.intoService, () => this.intoService(id, "Pending"));
            }
            this.move(id, "Pending", "Pending:Wait");
            this.emit("launch-lifecycle-action", group, id);
            this.later(this.pace.hook, () => this.move(id, "Pending:Wait", "Pending:Proceed"));
            this.later(this.pace.hook + this.pace.intoService, () => this.intoService(id, "Pending:Proceed"));
        });
        return id;
    }

    /** A launch that fails: with an instance that comes and goes, or without one. */
    failLaunch(group: string, withInstance: boolean): void {
        if (!withInstance) {
            this.emit("launch-unsuccessful-no-instance", group, "");
            return;
        }
        const id = this.region.addInstance(group, pending);
        this.later(this.pace.boot, () => {
            this.end(id);
            this.region.unlist(id);
            this.emit("launch-unsuccessful", group, id);
        });
    }

    /** The group terminates a member: on scaling in, or because it is unhealthy. */
    terminate(id: string, how: { hook?: boolean } = {}): void {
        const group = this.groupOf(id);
        if (!group || this.isLeaving(id)) {
            return;
        }
        const proceed = (lifecycleState: string) => {
            this.region.setMember(id, { lifecycleState });
            this.end(id);
            this.later(this.pace.shutdown, () => {
                this.region.unlist(id);
                this.emit("terminate-successful", group, id);
                this.replenish(group);
            });
        };
        if (how.hook) {
            this.region.setMember(id, { lifecycleState: "Terminating:Wait" });
            this.emit("terminate-lifecycle-action", group, id);
            this.later(this.pace.hook, () => this.groupOf(id) === group && proceed("Terminating:Proceed"));
        } else {
            proceed("Terminating");
        }
    }

    /** An operator has the group terminate a member, even a protected one, and launch no other for it. */
    retire(id: string): void {
        const group = this.groupOf(id);
        if (group && this.active(group).some((member) => member.id === id)) {
            this.grow(group, -1);
        }
        this.terminate(id);
    }

    /**
     * The instance ends behind its group's back, which notices later.
     *
     * @param shutdown milliseconds in which it is shutting down, and its work may go on; as long as usual if not given
     */
    crash(id: string, shutdown = this.pace.shutdown): void {
        this.end(id, shutdown);
        this.later(this.pace.healthCheck, () => this.suspended.has(this.groupOf(id) ?? "") || this.terminate(id));
    }

    /** A member goes to its group's warm pool, which gets smaller by one: running, or to be stopped. */
    toWarmPool(id: string, keepsRunning: boolean): void {
        const found = this.region.memberOf(id);
        if (found?.member.lifecycleState !== "InService") {
            return;
        }
        const { name, warm } = found.group;
        this.grow(name, -1);
        this.region.unlist(id);
        warm.push(id);
        this.emit("terminate-successful", name, id, toWarmPool);
        if (!keepsRunning) {
            this.halt(id);
        }
    }

    /** An instance of the warm pool comes into its group, which gets larger by one. */
    fromWarmPool(id: string): void {
        const group = [...this.region.groups.values()].find(({ warm }) => warm.includes(id));
        if (!group || !["running", "stopped"].includes(this.region.state(id))) {
            return;
        }
        group.warm = group.warm.filter((other) => other !== id);
        this.grow(group.name, 1);
        this.region.enlist(id, group.name, "Pending");
        const isStopped = this.region.state(id) === "stopped";
        if (isStopped) {
            this.changeState(id, "pending");
            this.laterIf(id, "pending", this.pace.boot, () => this.changeState(id, "running"));
        }
        this.later((isStopped ? this.pace.boot : 0) + this.pace.intoService, () => this.intoService(id, "Pending"));
    }

    /** An operator stops the instance; its group notices later, and terminates it. */
    stop(id: string): void {
        if (this.region.state(id) === "running") {
            this.halt(id);
            this.later(this.pace.healthCheck, () => this.isHalted(id) && this.terminate(id));
        }
    }

    /** A stopped instance runs again before its group has noticed. */
    start(id: string): void {
        if (this.isHalted(id) && !this.isLeaving(id)) {
            this.changeState(id, "running");
        }
    }

    /** A health check fails, without an event. The group replaces the instance after a while. */
    becomeUnhealthy(id: string): void {
        if (this.groupOf(id)) {
            this.region.setMember(id, { healthStatus: "Unhealthy" });
            const isUnhealthy = () => this.region.memberOf(id)?.member.healthStatus === "Unhealthy";
            this.later(this.pace.healthCheck, () => isUnhealthy() && this.terminate(id));
        }
    }

    recover(id: string): void {
        if (this.groupOf(id) && !this.isLeaving(id)) {
            this.region.setMember(id, { healthStatus: "Healthy" });
        }
    }

    /** A member goes to Standby, without an event. */
    enterStandby(id: string): void {
        const group = this.groupOf(id);
        if (group && this.move(id, "InService", "EnteringStandby")) {
            this.grow(group, -1);
            this.later(1000, () => this.move(id, "EnteringStandby", "Standby"));
        }
    }

    exitStandby(id: string): void {
        const group = this.groupOf(id);
        if (group && this.move(id, "Standby", "Pending")) {
            this.grow(group, 1);
            this.later(1000, () => this.intoService(id, "Pending"));
        }
    }

    /** The instance leaves its group and goes on alone. */
    detach(id: string): void {
        const group = this.groupOf(id);
        if (group && this.move(id, "InService", "Detaching")) {
            this.grow(group, -1);
            this.region.detach(id);
            this.emit("detach-successful", group, id);
        }
    }

    /** An instance in no group joins one. */
    attach(id: string, group: string): void {
        if (this.groupOf(id) || this.region.state(id) !== "running") {
            return;
        }
        this.grow(group, 1);
        this.region.enlist(id, group, "Pending");
        this.later(1000, () => this.intoService(id, "Pending"));
    }

    /** EC2 takes a Spot instance back in two minutes, and calls it running until then. */
    warn(id: string): void {
        this.region.emit(spotEvent(this.region.timeline.now, id));
        this.later(this.pace.spotWarning, () => this.crash(id));
    }

    private later(millis: number, act: () => void): void {
        this.region.timeline.at(this.region.timeline.now + millis, act);
    }

    /** Does something later, if the instance is in that state then. */
    private laterIf(id: string, state: string, millis: number, act: () => void): void {
        this.later(millis, () => this.region.state(id) === state && act());
    }

    private halt(id: string): void {
        this.changeState(id, "stopping");
        this.laterIf(id, "stopping", this.pace.shutdown, () => this.changeState(id, "stopped"));
    }

    private isHalted(id: string): boolean {
        return ["stopping", "stopped"].includes(this.region.state(id));
    }

    private groupOf(id: string): string | undefined {
        return this.region.memberOf(id)?.group.name;
    }

    private isLeaving(id: string): boolean {
        return this.region.memberOf(id)?.member.lifecycleState.startsWith("Terminating") ?? true;
    }

    /** Members that count towards the group's desired capacity. */
    private active(group: string) {
        const members = this.region.groups.get(group)?.members ?? [];
        return members.filter(({ lifecycleState }) => !/^Terminating|Standby/.test(lifecycleState));
    }

    private grow(group: string, by: number): void {
        Object.assign(this.region.groups.get(group) ?? {}, { desired: Math.max(0, this.size(group) + by) });
    }

    private replenish(group: string, how: { hook?: boolean } = {}): void {
        times(Math.max(0, this.size(group) - this.active(group).length), () => this.launch(group, how));
    }

    private intoService(id: string, from: string): void {
        const group = this.groupOf(id);
        if (group && this.region.state(id) === "running" && this.move(id, from, "InService")) {
            this.emit("launch-successful", group, id);
        }
    }

    /** Whether the member was in that state, and so has changed. */
    private move(id: string, from: string, to: string): boolean {
        const is = this.region.memberOf(id)?.member.lifecycleState === from;
        if (is) {
            this.region.setMember(id, { lifecycleState: to });
        }
        return is;
    }

    private end(id: string, shutdown = this.pace.shutdown): void {
        if (!["shutting-down", "terminated"].includes(this.region.state(id))) {
            for (const group of this.region.groups.values()) {
                group.warm = group.warm.filter((other) => other !== id);
            }
            this.changeState(id, "shutting-down");
            this.later(shutdown, () => this.changeState(id, "terminated"));
        }
    }

    private changeState(id: string, state: string): void {
        this.region.setState(id, state);
        this.region.emit(stateEvent(this.region.timeline.now, id, state));
    }

    private emit(sample: string, group: string, id: string, more?: object): void {
        this.region.emit(scalingEvent(sample, this.region.timeline.now, group, id, more));
    }
}
