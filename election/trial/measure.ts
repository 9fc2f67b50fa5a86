// Reads off the looks at a play what it came to, and whether that was as promised.
import { type Play, successorIn } from "./plays";
import { type Instance, type Look, liveLeaders, millisOfTwo, resolutionOf } from "./watch";

/** What a play came to. Times are seconds. */
export interface Result {
    play: string;
    by: Play["by"];
    promised: number;
    /** Ids of the leader that was taken away, and of the one after it. */
    former?: string;
    successor?: string;
    /** From the call's answer until the successor was seen to carry the tag. */
    seconds?: number;
    /** The longest time between two looks. */
    resolution?: number;
    /** How long two live leaders were seen. */
    twoLeaders?: number;
    since?: "grew" | "kept" | "did not grow";
    /** From the successor's `since` until its own metadata showed the tag. */
    metadata?: number;
    /** Why it was not as promised; missing if it was. */
    broken?: string;
    /** Why it could not be tried; missing if it was. */
    untried?: string;
}

/** A play that was begun, and what was seen since. */
export interface Observed {
    play: Play;
    /** The leader that was taken away, as it was before. */
    leader: Instance;
    /** When AWS had answered the call, on the looks' clock. */
    start: number;
    looks: Look[];
}

/** A read may lag: a copy counts as removed only after it was seen, or after some seconds in which it wasn't. */
const lagMillis = 5000;

/** Whether the last look shows the right leader, and no other. */
export function isOver({ play, leader, start, looks }: Observed): boolean {
    const last = looks.at(-1);
    if (!last) {
        return false;
    }
    const wasSeen = looks.some((one) => liveLeaders(one).length > 1) || last.at - start > lagMillis;
    const isAlone = liveLeaders(last).length === 1;
    return isAlone && successorIn(last, play, leader) !== undefined && (play.leads !== "same" || wasSeen);
}

/**
 * The figures of a play, and why it was not as promised, if it wasn't.
 *
 * @param promised seconds
 */
export function measured(observed: Observed, promised: number): Partial<Result> {
    const { play, leader, start, looks } = observed;
    const twoLeaders = seconds(millisOfTwo(start, looks));
    const figures = { former: leader.id, resolution: seconds(resolutionOf(start, looks)), twoLeaders };
    const lastOfTwo = looks.findLastIndex((one) => liveLeaders(one).length > 1);
    const first = looks.slice(play.leads === "same" ? lastOfTwo + 1 : 0).find((one) => successorIn(one, play, leader));
    const successor = first && successorIn(first, play, leader);
    if (!first || !successor) {
        const last = looks.at(-1) ?? { at: start, instances: [] };
        const what = liveLeaders(last).length > 1 ? "still two leaders after" : "no successor within";
        return { ...figures, broken: `${what} ${Math.round((last.at - start) / 1000)} s` };
    }
    const took = seconds(first.at - start);
    const since = sinceWord(leader.since, successor.since);
    const reasons = [
        ...(took > promised ? [`later than ${promised} s`] : []),
        ...(twoLeaders > 0 && !play.mayOverlap ? ["two leaders at once"] : []),
        ...(isOver(observed) ? [] : ["still two leaders"]),
        ...(since === (play.leads === "same" ? "kept" : "grew") ? [] : [`since ${since}`]),
    ];
    const broken = reasons.length > 0 ? { broken: reasons.join(", ") } : {};
    return { ...figures, successor: successor.id, seconds: took, since, ...broken };
}

const seconds = (millis: number): number => Math.round(millis / 10) / 100;

function sinceWord(before: string, after: string): Result["since"] {
    const [from, to] = [Date.parse(before), Date.parse(after)];
    return to > from ? "grew" : to === from ? "kept" : "did not grow";
}
