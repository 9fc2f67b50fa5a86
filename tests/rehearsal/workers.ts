// A worker on each instance of the stage, started and ended by the rules of `leader-while`: `npm start -- --workers`.
import type { Violation } from "../histories/checkers/checker";
import { groupKey, isTrue } from "../simulator/aws/region";
import { isOurs } from "../simulator/electorates";
import type { Stage } from "./stage";

/** The defaults of `leader-while`, in seconds. */
export const workerRule = {
    /** From the start of one look at instance metadata to the next. */
    every: 5,
    /** A look takes at most this long. */
    look: 3,
    /** From TERM to KILL. */
    grace: 10,
};

/** A hand-over that takes as long is over before the next worker starts, in seconds. */
export const longestStop = workerRule.every + workerRule.grace + workerRule.look;

/** A time in which a worker ran, in milliseconds since 1970. */
export interface Shift {
    id: string;
    electorate: string;
    start: number;
    end?: number;
    /** TERM was sent. */
    stopping?: boolean;
}

/** Two workers of an electorate that ran at once. */
interface Overlap {
    shifts: [Shift, Shift];
    /** An operator wrote or deleted one of their leader tags; no pause can protect from that. */
    byOperator: boolean;
}

/** Runs the workers of a stage. */
export class Workers {
    readonly shifts: Shift[] = [];
    readonly overlaps: Overlap[] = [];
    /** Overlaps although the pause is long enough. */
    readonly violations: Violation[] = [];
    /** Called when a worker starts beside another. */
    onOverlap: (overlap: Overlap) => void = () => {};
    private readonly known = new Map<string, { runs: boolean; leads: boolean; looks: number }>();
    /** Instances whose leader tag was last written or deleted by an operator. */
    private readonly operated = new Set<string>();
    private functionWrites = false;

    constructor(
        private readonly stage: Stage,
        private readonly handoverSeconds: number,
    ) {
        const { region } = stage;
        region.beforeCall.push(() => {
            this.functionWrites = true;
            queueMicrotask(() => {
                this.functionWrites = false;
            });
        });
        region.onChange.push((id) => this.changed(id));
    }

    /** Milliseconds that two workers of an electorate ran at once, until now. */
    overlapMillis(): number {
        const { now } = this.stage.timeline;
        const millis = this.overlaps.map(
            ({ shifts: [one, other] }) => Math.min(one.end ?? now, other.end ?? now) - Math.max(one.start, other.start),
        );
        return millis.reduce((sum, each) => sum + each, 0);
    }

    private changed(id: string): void {
        const { region, scope } = this.stage;
        const group = region.tags(id)[groupKey];
        if (!this.known.has(id) && !isOurs(scope, group)) {
            return; // no worker is installed there
        }
        const before = this.known.get(id) ?? { runs: false, leads: false, looks: 0 };
        const state = region.state(id);
        const now = { ...before, runs: state === "running", leads: isTrue(region.tags(id)[scope.tagKey]) };
        this.known.set(id, now);
        if (now.leads !== before.leads) {
            this.operated[this.functionWrites ? "delete" : "add"](id);
        }
        if (now.runs && !before.runs) {
            this.look(id, ++now.looks);
        }
        const shift = this.shiftOf(id);
        if (shift && ["stopped", "terminated"].includes(state)) {
            this.end(shift);
        } else if (shift && !now.runs) {
            this.stop(shift); // the operating system stops its services
        }
    }

    /** Looks at the instance's metadata, and looks again until the instance stops. */
    private look(id: string, series: number): void {
        const { timeline } = this.stage;
        const known = this.known.get(id);
        if (!known?.runs || known.looks !== series) {
            return;
        }
        const leads = known.leads && this.isToStay(id);
        const takes = 50 + this.chance(id) * (workerRule.look * 1000 - 50);
        timeline.at(timeline.now + takes, () => this.decide(id, leads));
        timeline.at(timeline.now + workerRule.every * 1000, () => this.look(id, series));
    }

    private decide(id: string, leads: boolean): void {
        const shift = this.shiftOf(id);
        if (!leads && shift) {
            this.stop(shift);
        } else if (leads && !shift && this.known.get(id)?.runs) {
            this.start(id);
        }
    }

    private start(id: string): void {
        const { region, electorates, timeline } = this.stage;
        const shift: Shift = {
            id,
            electorate: electorates.nameOf(region.tags(id)[groupKey] ?? ""),
            start: timeline.now,
        };
        const others = this.shifts.filter((one) => one.end === undefined && one.electorate === shift.electorate);
        this.shifts.push(shift);
        for (const other of others) {
            const byOperator = [id, other.id].some((each) => this.operated.has(each));
            const overlap: Overlap = { shifts: [other, shift], byOperator };
            this.overlaps.push(overlap);
            if (this.handoverSeconds >= longestStop && !byOperator) {
                const how = `${id} starts while ${other.id} is at work in ${shift.electorate}`;
                this.violations.push({ at: timeline.now, rule: "no two workers at once", how });
            }
            this.onOverlap(overlap);
        }
    }

    /** TERM, and after the grace KILL. */
    private stop(shift: Shift): void {
        const { timeline } = this.stage;
        if (!shift.stopping) {
            shift.stopping = true;
            timeline.at(timeline.now + this.chance(shift.id) * workerRule.grace * 1000, () => this.end(shift));
        }
    }

    private end(shift: Shift): void {
        shift.end ??= this.stage.timeline.now;
    }

    private shiftOf(id: string): Shift | undefined {
        return this.shifts.findLast((shift) => shift.id === id && shift.end === undefined);
    }

    /** Whether `autoscaling/target-lifecycle-state` has no value that means leaving; in Standby the tag decides. */
    private isToStay(id: string): boolean {
        const state = this.stage.region.memberOf(id)?.member.lifecycleState ?? "Detached";
        return !/^(Terminat|Detach|Warmed)/.test(state);
    }

    /** Between 0 and 1; looks random, and is the same in each rehearsal of a day. */
    private chance(id: string): number {
        let hash = 2166136261;
        for (const character of `${id} ${this.stage.timeline.now}`) {
            hash = Math.imul(hash ^ character.charCodeAt(0), 16777619);
        }
        return (Math.imul(hash ^ (hash >>> 15), 2246822507) >>> 0) / 2 ** 32;
    }
}
