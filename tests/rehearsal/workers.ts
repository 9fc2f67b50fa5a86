// A worker on each instance of the stage, started and ended by the rules of `leader-while`: `npm start -- --workers`.
import { createHash } from "node:crypto";
import { groupKey, isTrue } from "../simulator/aws/region";
import { running } from "../simulator/clock";
import { isOurs } from "../simulator/electorates";
import { mark } from "../simulator/lists";
import type { Stretch } from "./recorder";
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

/** A time in which a worker ran. */
interface Shift extends Stretch<"works"> {
    id: string;
    electorate: string;
    /** TERM was sent. */
    stopping?: boolean;
}

/** A time in which a second worker of an electorate ran beside the first. */
export interface Overlap extends Stretch<"two at work"> {
    electorate: string;
    first: string;
    second: string;
    /** An operator wrote or deleted one of their leader tags; no pause can protect from that. */
    byOperator: boolean;
}

/** Runs the workers of a stage. */
export class Workers {
    readonly shifts: Shift[] = [];
    readonly overlaps: Overlap[] = [];
    /** Instances that run, and look at their metadata. */
    private readonly looking = new Set<string>();
    private readonly leaders = new Set<string>();
    /** Instances whose leader tag was last written or deleted by an operator. */
    private readonly operated = new Set<string>();

    /** @param onOverlap is called when a worker starts beside another */
    constructor(
        private readonly stage: Stage,
        private readonly onOverlap: (overlap: Overlap) => void,
    ) {
        stage.region.onChange.push((id) => this.changed(id));
    }

    private changed(id: string): void {
        const { region, scope } = this.stage;
        const [tags, state] = [region.tags(id), region.state(id)];
        const leads = isTrue(tags[scope.tagKey]);
        if (leads !== this.leaders.has(id)) {
            mark(this.leaders, id, leads);
            mark(this.operated, id, !running.getStore()); // a container is the function's
        }
        if (state === "running" && isOurs(scope, tags[groupKey]) && !this.looking.has(id)) {
            this.looking.add(id);
            this.look(id);
        }
        const shift = this.shiftOf(id);
        if (shift && ["stopped", "terminated"].includes(state)) {
            this.end(shift);
        } else if (shift && state !== "running") {
            this.stop(shift); // the operating system stops its services
        }
    }

    /** Looks at the instance's metadata, and looks again until the instance stops. */
    private look(id: string): void {
        const { region, timeline } = this.stage;
        if (region.state(id) !== "running") {
            this.looking.delete(id);
            return;
        }
        // As `autoscaling/target-lifecycle-state` says, too; in Standby the tag decides.
        const state = region.memberOf(id)?.member.lifecycleState ?? "Detached";
        const leads = this.leaders.has(id) && !/^(Terminat|Detach|Warmed)/.test(state);
        const takes = 50 + this.chance(id) * (workerRule.look * 1000 - 50);
        timeline.at(timeline.now + takes, () => this.decide(id, leads));
        timeline.at(timeline.now + workerRule.every * 1000, () => this.look(id));
    }

    private decide(id: string, leads: boolean): void {
        const { region, electorates, timeline } = this.stage;
        const running = this.shiftOf(id);
        if (!leads && running) {
            this.stop(running);
        }
        if (!leads || running || region.state(id) !== "running") {
            return;
        }
        const electorate = electorates.nameOf(region.tags(id)[groupKey] ?? "");
        const start = timeline.now;
        const shift: Shift = { id, electorate, what: "works", start };
        const others = this.shifts.filter((one) => one.end === undefined && one.electorate === electorate);
        this.shifts.push(shift);
        for (const { id: first } of others) {
            const byOperator = [id, first].some((each) => this.operated.has(each));
            const overlap: Overlap = { electorate, first, second: id, what: "two at work", start, byOperator };
            this.overlaps.push(overlap);
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
        const overlaps = this.overlaps.filter(({ first, second }) => [first, second].includes(shift.id));
        for (const one of [shift, ...overlaps]) {
            one.end ??= this.stage.timeline.now;
        }
    }

    private shiftOf(id: string): Shift | undefined {
        return this.shifts.findLast((shift) => shift.id === id && shift.end === undefined);
    }

    /** Between 0 and 1; looks random, and is the same in each rehearsal of a day. */
    private chance(id: string): number {
        const hash = createHash("sha256").update(`${id} ${this.stage.timeline.now}`).digest();
        return hash.readUInt32BE() / 2 ** 32;
    }
}
