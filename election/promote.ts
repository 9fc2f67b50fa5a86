// Writes what elections have planned: a schedule, then demotions, a pause, promotions.
import { isRefusal } from "./aws/answers";
import type { Aws } from "./aws/clients";
import { millisToDemote, millisToPromote } from "./aws/deadline";
import { type Gift, giveTags, type Outcomes, takeTags } from "./aws/tags";
import type { ObservedInstance } from "./group";
import type { PlannedRound } from "./pipeline";
import type { Planned } from "./plan";
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
export async function promote(aws: Aws, round: PlannedRound): Promise<WrittenRound> {
    const { steps, pauseMillis } = schedule(aws.scope, round.planned, aws.deadline.millisLeft());
    const signal = aws.deadline.before(pauseMillis + millisToPromote);
    const [demotions, stripped] = await Promise.all([
        take(aws, steps, "demote", signal),
        strip(aws, round.orphans, signal),
    ]);
    const demotedAt = Date.now();
    const going = steps.filter((step) => !resultOf(step, demotions).error);
    const waiting = going.filter(({ waits }) => waits);
    const others = going.filter(({ waits }) => !waits);
    const later = await Promise.all([
        promoteFirst(aws, others),
        ...(waiting.length > 0 ? [sleep(pauseMillis).then(() => promoteFirst(aws, waiting))] : []),
        adopt(aws, going),
        take(aws, steps, "retire", aws.deadline.signal),
    ]);
    const written = steps.map((step) => {
        const result = resultOf(step, demotions, ...later);
        return { ...step.election, result: step.error ? result : { ...result, demotedAt } };
    });
    return { ...round, written, stripped };
}

/** Writes nothing; says what would be written, if AWS did it all. */
export function pretend(round: PlannedRound): WrittenRound {
    const written = round.planned.map((election): Written => {
        const { demote, retire, promote, since } = election.plan;
        const [id] = promote;
        const promoted = id === undefined ? undefined : { id, since: isoTime(since), at: Date.now() };
        const pretended = { ...emptyResult(), demoted: [...demote, ...retire], promoted };
        return { ...election, result: emptyResult(), pretended };
    });
    return { ...round, written, stripped: emptyResult() };
}

/** What is written for an election, and when. */
interface Step {
    election: Planned;
    /** Ids that lose the tag first. */
    demote: string[];
    /** Ids of leaders that EC2 is ending, and that lose the tag beside the promotion. */
    retire: string[];
    /** Whether the successor waits for the pause: the former leader needs time to see that it leads no more. */
    waits: boolean;
    /** Why nothing is written. */
    error?: Error;
}

/**
 * Says what is written now, what after a pause, and for what it is too late. A leader that EC2 is ending loses its tag
 * with its successor's promotion, unless there is a pause or no successor. Pure.
 */
function schedule(
    { handoverSeconds }: Scope,
    elections: Planned[],
    millisLeft: number,
): { steps: Step[]; pauseMillis: number } {
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
            return { election, demote: [], retire: [], waits: false, error };
        }
        return promote.length > 0 && pauseMillis === 0
            ? { election, demote, retire, waits: false }
            : { election, demote: [...demote, ...retire], retire: [], waits: pauseMillis > 0 && handsOver(election) };
    });
    return { steps, pauseMillis };
}

/** What a kind of write adds to the results, by the group's name. */
type Parts = Map<string, Partial<Result>>;

const nameOf = ({ election }: Step): string => election.group.name;

/** Takes the leader tag off instances: those that lose it first, or those that retire beside the promotion. */
async function take(aws: Aws, steps: Step[], which: "demote" | "retire", signal: AbortSignal): Promise<Parts> {
    const ids = steps.flatMap((step) => step[which]);
    const outcomes = await takeTags(aws, ids, "leader", signal);
    return new Map(steps.map((step) => [nameOf(step), taken(step[which], outcomes, step.election.plan.retire)]));
}

async function strip(aws: Aws, orphans: ObservedInstance[], signal: AbortSignal): Promise<Result> {
    const ids = orphans.map(({ id }) => id);
    const outcomes = await takeTags(aws, ids, "all", signal);
    return { ...emptyResult(), ...taken(ids, outcomes, []) };
}

/** What became of demotions. A leader that EC2 is ending leads no longer, whatever its tag says: it holds up no promotion. */
function taken(
    ids: string[],
    outcomes: Outcomes,
    retired: string[],
): Pick<Result, "demoted" | "uncertain" | "warnings" | "error"> {
    const failures = ids.flatMap((id) => {
        const error = outcomes.get(id);
        return error ? [{ id, error }] : [];
    });
    return {
        demoted: ids.filter((id) => !outcomes.get(id)),
        uncertain: failures.filter(({ error }) => !isRefusal(error)).map(({ id }) => id),
        warnings: failures.filter(({ id }) => retired.includes(id)).map(({ error }) => error),
        error: failures.find(({ id }) => !retired.includes(id))?.error,
    };
}

/** Promotes the first instance of each plan that AWS lets be tagged, else gives the former leader its tag back. */
async function promoteFirst(aws: Aws, steps: Step[]): Promise<Parts> {
    const parts: Parts = new Map();
    const next = (step: Step, [gift, ...others]: Gift[]) => (gift ? [{ step, gift, others }] : []);
    let open = steps.flatMap((step) => next(step, giftsOf(step)));
    while (open.length > 0) {
        const at = Date.now();
        const gifts = open.map(({ gift }) => gift);
        const outcomes = await giveTags(aws, gifts, aws.deadline.signal);
        for (const { step, gift } of open) {
            parts.set(nameOf(step), withTry(parts.get(nameOf(step)), step, gift, outcomes.get(gift.id), at));
        }
        // Without an answer it may have been done: no other instance may get the tag now.
        const mayGoOn = (error?: Error) => error !== undefined && isRefusal(error) && !aws.tagging.isRefused;
        open = open.flatMap(({ step, gift, others }) => (mayGoOn(outcomes.get(gift.id)) ? next(step, others) : []));
    }
    return parts;
}

/** What may be given, one after the other. A tag given back goes with the `since` that is still there. */
function giftsOf({ election: { plan } }: Step): Gift[] {
    const since = isoTime(plan.since);
    return [
        ...plan.promote.map((id) => ({ id, leads: true, since })),
        ...(plan.giveBack === undefined ? [] : [{ id: plan.giveBack, leads: true }]),
    ];
}

/** What is known of a promotion after one more try. */
function withTry(
    before: Partial<Result> = {},
    { election }: Step,
    { id, since }: Gift,
    error: Error | undefined,
    at: number,
): Partial<Result> {
    if (error) {
        const refused = [...(before.refused ?? []), id];
        return { ...before, error, ...(isRefusal(error) ? { refused } : { uncertain: [id] }) };
    }
    return since === undefined
        ? { ...before, promoted: { id, since: sinceIn(election, id), at }, isGivenBack: true }
        : { ...before, promoted: { id, since, at }, error: undefined };
}

const sinceIn = ({ group }: Planned, id: string) => group.instances.find((instance) => instance.id === id)?.since;

/** Gives leaders that were tagged by hand a `since`; nothing else about them changes. */
async function adopt(aws: Aws, steps: Step[]): Promise<Parts> {
    const at = Date.now();
    const adoptions = steps.flatMap((step) => {
        const { adopt: id, since } = step.election.plan;
        return id === undefined ? [] : [{ name: nameOf(step), id, since: isoTime(since) }];
    });
    const gifts = adoptions.map(({ id, since }) => ({ id, leads: false, since }));
    const outcomes = await giveTags(aws, gifts, aws.deadline.signal);
    return new Map(
        adoptions.map(({ name, id, since }) => {
            const error = outcomes.get(id);
            return [name, error ? { warnings: [error] } : { adopted: { id, since, at } }];
        }),
    );
}

function resultOf(step: Step, ...kinds: Parts[]): Result {
    const parts = kinds.map((kind) => kind.get(nameOf(step)) ?? {});
    return {
        ...Object.assign({}, ...parts),
        demoted: parts.flatMap(({ demoted = [] }) => demoted),
        refused: parts.flatMap(({ refused = [] }) => refused),
        uncertain: parts.flatMap(({ uncertain = [] }) => uncertain),
        warnings: parts.flatMap(({ warnings = [] }) => warnings),
        error: [step, ...parts].find(({ error }) => error)?.error,
    };
}

const emptyResult = (): Result => ({ demoted: [], refused: [], uncertain: [], warnings: [] });

const isoTime = (millis: number): string => new Date(millis).toISOString();

function sleep(millis: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, millis));
}
