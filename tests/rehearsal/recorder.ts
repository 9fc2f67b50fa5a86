// Records how every instance and electorate of a stage fares: for the words, the numbers and the picture of a day.
import { groupKey, isFit, isTrue } from "../simulator/aws/region";
import { isOurs } from "../simulator/electorates";
import type { Stage } from "./stage";

/** How an instance is: `arriving` until it is in service, `ending` from when EC2 or its group begins to end it, `unfit` else. */
export type Condition = "arriving" | "fit" | "unfit" | "ending";

/** How an electorate is while it doesn't have one leader that lives: a fit instance leads only from the next election on. */
type Trouble = "leaderless" | "noneFit" | "two leaders";

/** A stretch of time, in milliseconds since 1970. */
export interface Stretch<T extends string> {
    start: number;
    /** Not yet, if undefined. */
    end?: number;
    what: T;
}

/** An instance's life, in a group of the stack. */
export interface Life {
    id: string;
    electorate: string;
    conditions: Stretch<Condition>[];
    /** When it had the leader tag, and EC2 had not begun to end it. */
    leads: Stretch<"leads">[];
}

/** A time in which an electorate had instances and no leader; how many milliseconds of it there was a fit one, and none. */
export interface Gap extends Stretch<"no leader"> {
    electorate: string;
    leaderless: number;
    noneFit: number;
}

/** Watches a stage from now on. */
export class Recorder {
    readonly lives = new Map<string, Life>();
    private readonly troubles = new Map<string, Stretch<Trouble>[]>();

    constructor(private readonly stage: Stage) {
        stage.region.onChange.push((id) => {
            this.recordInstance(id);
            for (const electorate of stage.electorates.names()) {
                const troubles = this.troubles.get(electorate) ?? [];
                this.troubles.set(electorate, troubles);
                this.note(troubles, this.troubleOf(electorate));
            }
        });
    }

    /** The times without a leader. */
    gaps(): Gap[] {
        const gaps: Gap[] = [];
        for (const { electorate, start, end, what } of this.stretchesOf("leaderless", "noneFit")) {
            const last = gaps.at(-1);
            const goesOn = last?.electorate === electorate && last.end === start;
            const gap: Gap = goesOn ? last : { electorate, what: "no leader", start, leaderless: 0, noneFit: 0 };
            gap.end = end;
            gap[what] += (end ?? this.stage.timeline.now) - start;
            gaps.push(...(goesOn ? [] : [gap]));
        }
        return gaps;
    }

    /** The times with two leaders. */
    contests() {
        return this.stretchesOf("two leaders");
    }

    private stretchesOf<T extends Trouble>(...kinds: T[]): (Stretch<T> & { electorate: string })[] {
        return [...this.troubles].flatMap(([electorate, stretches]) =>
            stretches
                .filter((one): one is Stretch<T> => kinds.includes(one.what as T))
                .map((one) => ({ ...one, electorate })),
        );
    }

    private recordInstance(id: string): void {
        const { region, scope, electorates } = this.stage;
        const group = region.tags(id)[groupKey];
        if (!this.lives.has(id) && group !== undefined && isOurs(scope, group)) {
            this.lives.set(id, { id, electorate: electorates.nameOf(group), conditions: [], leads: [] });
        }
        const life = this.lives.get(id);
        if (life) {
            this.note(life.conditions, this.conditionOf(id));
            this.note(life.leads, isTrue(region.tags(id)[scope.tagKey]) && this.isUp(id) ? "leads" : undefined);
        }
    }

    private troubleOf(electorate: string): Trouble | undefined {
        const { electorates, region } = this.stage;
        const leaders = electorates.leaders(electorate).filter((id) => this.isUp(id));
        const members = electorates.members(electorate);
        if (leaders.length === 1 || members.length === 0) {
            return undefined; // an empty group misses no leader
        }
        if (leaders.length > 1) {
            return "two leaders";
        }
        return members.some(({ id }) => isFit(region, id)) ? "leaderless" : "noneFit";
    }

    private isUp(id: string): boolean {
        return ["pending", "running"].includes(this.stage.region.state(id));
    }

    private conditionOf(id: string): Condition | undefined {
        const { region } = this.stage;
        const listed = region.memberOf(id)?.member.lifecycleState ?? "";
        const state = region.state(id);
        if (state === "terminated") {
            return undefined;
        }
        if (listed.startsWith("Terminating") || ["shutting-down", "stopping", "stopped"].includes(state)) {
            return "ending";
        }
        return isFit(region, id) ? "fit" : listed.startsWith("Pending") ? "arriving" : "unfit";
    }

    /** Ends the last stretch and begins another one, unless that goes on. */
    private note<T extends string>(stretches: Stretch<T>[], what: T | undefined): void {
        const { now } = this.stage.timeline;
        const current = stretches.findLast(({ end }) => end === undefined);
        if (current?.what === what) {
            return;
        }
        if (current) {
            current.end = now;
        }
        if (what) {
            stretches.push({ start: now, what });
        }
    }
}
