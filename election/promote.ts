// Writes what elections have planned: a schedule, then demotions, a pause, promotions.
import { isRefusal } from "./aws/answers";
import type { Aws } from "./aws/clients";
import { millisToDemote, millisToPromote } from "./aws/deadline";
import { type Gift, giveTags, type Outcomes, takeTags } from "./aws/tags";
import type { ObservedInstance } from "./group";
import type { Plan, Planned, PlannedRound } from "./plan";
import type { Scope } from "./scope";

/** A group's election, and what was written for it. */
export interface Written extends Planned {
    result: Result;
    /** What would have been written, if the stack only tries: then the result is empty. */
    pretended?: Result;
}

/** What was written. Times are in milliseconds since 1970. */
export interface Result {
    /** Ids that lost the leader tag. */
    demoted: string[];
    /** When demoting had been tried, if it was. */
    demotedAt?: number;
    /** The instance that got the leader tag, with the `since` that it has, and when the write was sent. */
    promoted?: { id: string; since?: string; at: number };
    /** Whether that is the former leader, because no other instance could be promoted. */
    isGivenBack?: boolean;
    /** The leader that got a `since`. */
    adopted?: { id: string; since: string; at: number };
    /** Ids that AWS refused to tag. */
    refused: string[];
    /** Ids that may or may not have been written. */
    uncertain: string[];
    /** Why something was not written. */
    error?: Error;
    /** What AWS did not do, although the election went on. */
    warnings: Error[];
}

/** What a round has written. */
export interface WrittenRound extends PlannedRound {
    written: Written[];
    /** What was written for orphans. */
    stripped: Result;
}

/**
 * Writes a round's plans together: demotions, the hand-over pause, then promotions. Orphans lose their tags beside the
 * demotions. What fails for one group leaves the others alone.
 */
export const promote = async (aws: Aws, round: PlannedRound): Promise<WrittenRound> => {
    const { deadline } = aws;
    const { steps, pauseMillis } = schedule(aws.scope, round.planned, deadline.millisLeft());
    const signal = deadline.within(deadline.millisLeft() - pauseMillis - millisToPromote);
    const [, stripped] = await Promise.all([take(aws, steps, "demote", signal), strip(aws, round.orphans, signal)]);
    const going = steps.filter(({ result }) => !result.error);
    const ready = going.filter(({ waits }) => !waits);
    const waiting = going.filter(({ waits }) => waits);
    const pause = () => new Promise((resolve) => setTimeout(resolve, pauseMillis));
    await Promise.all([
        promoteFirst(aws, ready),
        waiting.length > 0 ? pause().then(() => promoteFirst(aws, waiting)) : undefined,
        adopt(aws, going),
        take(aws, steps, "retire", deadline.signal),
    ]);
    return { ...round, written: steps.map(({ election, result }) => ({ ...election, result })), stripped };
};

/** Writes nothing; says what would be written, if AWS did it all. */
export const pretend = (round: PlannedRound): WrittenRound => {
    const written = round.planned.map((election): Written => {
        const { demote, retire, promote, adopt, since } = election.plan;
        const given = (id?: string) => (id === undefined ? undefined : { id, since: isoTime(since), at: Date.now() });
        const [promoted, adopted] = [given(promote[0]), given(adopt)];
        const pretended = { ...emptyResult(), demoted: [...demote, ...retire], promoted, adopted };
        return { ...election, result: emptyResult(), pretended };
    });
    return { ...round, written, stripped: emptyResult() };
};

/** What is written for an election, and when, and what became of it. */
interface Step {
    election: Planned;
    /** Ids that lose the tag first. */
    demote: string[];
    /** Ids of leaders that EC2 is ending, and that lose the tag beside the promotion. */
    retire: string[];
    /** Whether the successor waits for the pause: the former leader needs time to see that it leads no more. */
    waits: boolean;
    result: Result;
}

/**
 * Says what is written now, what after a pause, and for what it is too late. A leader that EC2 is ending loses its tag
 * with its successor's promotion, unless there is a pause or no successor. Pure.
 */
const schedule = ({ handoverSeconds }: Scope, elections: Planned[], millisLeft: number) => {
    const settingMillis = handoverSeconds * 1000;
    const handsOver = ({ group, plan }: Planned) =>
        plan.promote.length > 0 &&
        (plan.demote.length > 0 || (settingMillis > 0 && (plan.retire.length > 0 || group.handingOver === true)));
    const wantedMillis = elections.some(handsOver) ? settingMillis : 0;
    const isTooLate = millisLeft < millisToDemote + wantedMillis + millisToPromote;
    const pauseMillis = isTooLate ? 0 : wantedMillis;
    const steps = elections.map((election): Step => {
        const { demote, retire, promote } = election.plan;
        if (isTooLate && handsOver(election)) {
            const error = new Error(`nothing was written: ${millisLeft} ms are too few to demote and promote`);
            return { election, demote: [], retire: [], waits: false, result: { ...emptyResult(), error } };
        }
        const isLater = promote.length > 0 && pauseMillis === 0;
        return {
            election,
            demote: isLater ? demote : [...demote, ...retire],
            retire: isLater ? retire : [],
            waits: pauseMillis > 0 && handsOver(election),
            result: emptyResult(),
        };
    });
    return { steps, pauseMillis };
};

/** Takes the leader tag off instances: those that lose it first, or those that retire beside the promotion. */
const take = async (aws: Aws, steps: Step[], which: "demote" | "retire", signal: AbortSignal): Promise<void> => {
    const ids = steps.flatMap((step) => step[which]);
    const outcomes = await takeTags(aws, ids, "leader", signal);
    for (const { [which]: taken, election, result } of steps) {
        if (which === "demote" && !result.error) {
            result.demotedAt = Date.now();
        }
        noteTaken(result, taken, outcomes, election.plan.retire);
    }
};

const strip = async (aws: Aws, orphans: ObservedInstance[], signal: AbortSignal): Promise<Result> => {
    const result = emptyResult();
    const ids = orphans.map(({ id }) => id);
    noteTaken(result, ids, await takeTags(aws, ids, "all", signal), []);
    return result;
};

/** Notes what became of demotions. A leader that EC2 is ending leads no longer, whatever its tag says: it holds up no promotion. */
const noteTaken = (result: Result, ids: string[], outcomes: Outcomes, retired: string[]): void => {
    for (const id of ids) {
        const error = outcomes.get(id);
        if (!error) {
            result.demoted.push(id);
            continue;
        }
        if (!isRefusal(error)) {
            result.uncertain.push(id);
        }
        if (retired.includes(id)) {
            result.warnings.push(error);
        } else {
            result.error ??= error;
        }
    }
};

/** Promotes the first instance of each plan that AWS lets be tagged, else gives the former leader its tag back. */
const promoteFirst = async (aws: Aws, steps: Step[]): Promise<void> => {
    const next = (step: Step, [gift, ...others]: Gift[]) => (gift ? [{ step, gift, others }] : []);
    let open = steps.flatMap((step) => next(step, giftsOf(step.election.plan)));
    while (open.length > 0) {
        const at = Date.now();
        const gifts = open.map(({ gift }) => gift);
        const outcomes = await giveTags(aws, gifts, aws.deadline.signal);
        // Without an answer it may have been done: no other instance may get the tag now.
        open = open.flatMap(({ step, gift, others }) =>
            noteGiven(step, gift, outcomes.get(gift.id), at) && !aws.tagging.isRefused ? next(step, others) : [],
        );
    }
};

/** What may be given, one after the other. A tag given back goes with the `since` that is still there. */
const giftsOf = ({ promote, giveBack, since }: Plan): Gift[] => [
    ...promote.map((id) => ({ id, leads: true, since: isoTime(since) })),
    ...(giveBack === undefined ? [] : [{ id: giveBack, leads: true }]),
];

/** Notes what became of a promotion; returns whether AWS refused it. */
const noteGiven = ({ election, result }: Step, { id, since }: Gift, error: Error | undefined, at: number): boolean => {
    if (error) {
        const isRefused = isRefusal(error);
        result.error = error;
        result[isRefused ? "refused" : "uncertain"].push(id);
        return isRefused;
    }
    result.isGivenBack = since === undefined;
    result.promoted = { id, since: since ?? election.group.instances.find((one) => one.id === id)?.since, at };
    result.error = result.isGivenBack ? result.error : undefined;
    return false;
};

/** Gives leaders that were tagged by hand a `since`; nothing else about them changes. */
const adopt = async (aws: Aws, steps: Step[]): Promise<void> => {
    const at = Date.now();
    const adoptions = steps.flatMap(({ election: { plan }, result }) =>
        plan.adopt === undefined ? [] : [{ id: plan.adopt, leads: false, since: isoTime(plan.since), result }],
    );
    const outcomes = await giveTags(aws, adoptions, aws.deadline.signal);
    for (const { id, since, result } of adoptions) {
        const error = outcomes.get(id);
        if (error) {
            result.warnings.push(error);
        } else {
            result.adopted = { id, since, at };
        }
    }
};

const emptyResult = (): Result => ({ demoted: [], refused: [], uncertain: [], warnings: [] });

const isoTime = (millis: number): string => new Date(millis).toISOString();
