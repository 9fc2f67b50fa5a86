// Records how every instance and electorate of a stage fares, so that a picture can be drawn of it.
import { groupKey, isFit, isTrue } from "../simulator/aws/region";
import { isOurs } from "../simulator/electorates";
import type { Stage } from "./stage";

/** How an instance is: `arriving` until it is in service, `ending` from when EC2 or its group begins to end it, `unfit` else. */
export type Condition = "arriving" | "fit" | "unfit" | "ending";

/** How an electorate is while it doesn't have one leader that lives. */
export type Trouble = "no leader" | "two leaders";

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

/** Watches a stage from now on. */
export class Recorder {
    readonly lives = new Map<string, Life>();
    readonly troubles = new Map<string, Stretch<Trouble>[]>();

    constructor(private readonly stage: Stage) {
        stage.region.onChange.push((id) => {
            this.recordInstance(id);
            for (const electorate of this.stage.electorates.names()) {
                this.recordElectorate(electorate);
            }
        });
    }

    private recordInstance(id: string): void {
        const { region, scope, electorates } = this.stage;
        const group = region.tags(id)[groupKey];
        if (!this.lives.has(id) && group !== undefined && isOurs(scope, group)) {
            this.lives.set(id, { id, electorate: electorates.nameOf(group), conditions: [], leads: [] });
        }
        const life = this.lives.get(id);
        if (life) {
            const isGone = region.state(id) === "terminated";
            this.note(life.conditions, isGone ? undefined : this.conditionOf(id));
            this.note(life.leads, isTrue(region.tags(id)[scope.tagKey]) && this.isUp(id) ? "leads" : undefined);
        }
    }

    private recordElectorate(electorate: string): void {
        const { electorates } = this.stage;
        const leaders = electorates.leaders(electorate).filter((id) => this.isUp(id));
        const isEmpty = electorates.members(electorate).length === 0;
        const troubles = this.troubles.get(electorate) ?? [];
        this.troubles.set(electorate, troubles);
        const trouble = leaders.length > 1 ? "two leaders" : leaders.length === 0 && !isEmpty ? "no leader" : undefined;
        this.note(troubles, trouble);
    }

    private isUp(id: string): boolean {
        return ["pending", "running"].includes(this.stage.region.state(id));
    }

    private conditionOf(id: string): Condition {
        const { region } = this.stage;
        const state = region.memberOf(id)?.member.lifecycleState ?? "";
        if (state.startsWith("Terminating") || ["shutting-down", "stopping", "stopped"].includes(region.state(id))) {
            return "ending";
        }
        return isFit(region, id) ? "fit" : state.startsWith("Pending") ? "arriving" : "unfit";
    }

    /** Ends the last stretch and begins another one, unless that goes on. */
    private note<T extends string>(stretches: Stretch<T>[], what: T | undefined): void {
        const { now } = this.stage.timeline;
        const last = stretches.at(-1);
        const goesOn = last && last.end === undefined;
        if (goesOn && last.what === what) {
            return;
        }
        if (goesOn) {
            last.end = now;
        }
        if (what) {
            stretches.push({ start: now, what });
        }
    }
}
