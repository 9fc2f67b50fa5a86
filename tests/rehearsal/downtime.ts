import { isFit, type Region } from "../simulator/aws/region";
import type { Electorates } from "../simulator/electorates";

/** How an electorate stands; a leader counts as long as EC2 calls it pending or running. */
type Standing = "led" | "leaderless" | "none fit" | "empty";

/** A time without a leader, in milliseconds. */
export interface Gap {
    start: number;
    /** How much of it there was a fit instance. */
    leaderless: number;
    /** How much of it there was none. */
    noneFit: number;
}

interface Watched {
    at: number;
    standing: Standing;
    leaders: number;
    gap?: Gap;
    /** Since when there have been several leaders. */
    contested?: number;
}

/** Measures how long each electorate of the stack is without a leader, or has several. */
export class Downtime {
    /** In milliseconds, of all electorates. */
    readonly totals = { leaderless: 0, noneFit: 0, contested: 0 };
    /** How often an electorate had several leaders. */
    contests = 0;
    /** The gap in which a fit instance waited longest. */
    longest?: { electorate: string; gap: Gap };
    private readonly watched = new Map<string, Watched>();
    private readonly over = new Map<string, { gap?: Gap; contested?: number }>();

    constructor(
        private readonly region: Region,
        private readonly electorates: Electorates,
    ) {
        region.onChange.push(() => this.look());
    }

    /** The gap, and the milliseconds with several leaders, that have ended in an electorate since this was last asked. */
    ended(electorate: string): { gap?: Gap; contested?: number } {
        const ended = this.over.get(electorate) ?? {};
        this.over.delete(electorate);
        return ended;
    }

    /** Looks at every electorate of the stack; called whenever anything changes. */
    look(): void {
        for (const name of this.electorates.names()) {
            this.lookAt(name);
        }
    }

    private lookAt(electorate: string): void {
        const { now } = this.region.timeline;
        const leaders = this.electorates.leaders(electorate);
        const before = this.watched.get(electorate);
        const standing = this.standing(electorate, leaders);
        const watched: Watched = {
            at: now,
            standing,
            leaders: leaders.length,
            gap: before && this.prolonged(before, electorate, now - before.at),
            contested: leaders.length > 1 ? (before?.contested ?? now) : undefined,
        };
        this.watched.set(electorate, watched);
        if (watched.contested !== undefined && before?.contested === undefined) {
            this.contests++;
        }
        if (watched.contested === undefined && before?.contested !== undefined) {
            this.totals.contested += now - before.contested;
            this.over.set(electorate, { ...this.over.get(electorate), contested: now - before.contested });
        }
        if (watched.standing === "led" && watched.gap) {
            this.over.set(electorate, { ...this.over.get(electorate), gap: watched.gap });
            watched.gap = undefined;
        }
    }

    private standing(electorate: string, leaders: string[]): Standing {
        const { region } = this;
        const runs = (id: string) => ["pending", "running"].includes(region.state(id));
        if (leaders.some(runs)) {
            return "led";
        }
        const members = this.electorates.members(electorate);
        return members.length === 0 ? "empty" : members.some(({ id }) => isFit(region, id)) ? "leaderless" : "none fit";
    }

    /** The gap so far, some milliseconds longer. */
    private prolonged({ at, standing, gap }: Watched, electorate: string, millis: number): Gap | undefined {
        if (standing === "led" || standing === "empty") {
            return millis > 0 ? undefined : gap; // an empty group misses no leader
        }
        const longer = { ...(gap ?? { start: at, leaderless: 0, noneFit: 0 }) };
        const part = standing === "leaderless" ? "leaderless" : "noneFit";
        longer[part] += millis;
        this.totals[part] += millis;
        if (longer.leaderless > (this.longest?.gap.leaderless ?? 0)) {
            this.longest = { electorate, gap: longer };
        }
        return longer;
    }
}
