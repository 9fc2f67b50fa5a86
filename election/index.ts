import { createHash } from "node:crypto";
import { connect } from "./aws";
import { type Decision, decide, type Group, isLive, isReady, type Leader, latestSince } from "./decide";
import { readBatch, type Scope } from "./events";
import {
    brakes,
    departingLeaders,
    emptyMemory,
    forget,
    hasLost,
    isDemoted,
    latestWritten,
    recall,
    release,
    remember,
} from "./memory";
import { observe } from "./observe";
import { type Plan, promote, type Written } from "./promote";
import { protect } from "./protect";
import { type Ranking, rank } from "./rank";
import { type Report, seen, tell, warn } from "./report";

export { eventPatterns } from "./events";
export { electionStatements } from "./stack/permissions";

/** The part of an SQS event that is read. */
interface QueueEvent {
    Records?: { body?: unknown }[];
}

/** The part of Lambda's context that is read. */
interface Context {
    getRemainingTimeInMillis(): number;
}

/**
 * Makes the Lambda function's handler; called once per container, while it loads.
 *
 * The handler takes a batch of the queue's messages, each an EventBridge event, and holds one election in each group that
 * they are about. It returns a report of each. It throws, so that the batch comes back, if groups or leaders can't be read.
 */
export function createHandler(scope: Scope): (event: QueueEvent, context: Context) => Promise<Report[]> {
    const aws = connect();
    const memory = emptyMemory();
    const clock = () => Date.now();
    const pauseMillis = scope.handoverSeconds * 1000;

    return async (event, context) => {
        const now = clock();
        const batch = readBatch(bodies(event), scope);
        for (const sentence of batch.odd) {
            warn("ignored", sentence);
        }
        forget(memory, batch, now);

        const { groups, states, ...found } = await observe(aws, scope, batch, departingLeaders(memory, batch));
        const strays = found.strays.filter((stray) => !isDemoted(memory, stray));
        if (batch.sweep) {
            release(memory, now);
        }
        const elections = groups.map((observed) => {
            const group = recall(memory, observed, states);
            const decision = decide(group, batch, now);
            return {
                group,
                latest: Math.max(latestSince(group, now), latestWritten(memory, group.name, now)),
                decision: brakes(memory, group) ? brake(decision) : decision,
            };
        });

        const vacancies = elections.flatMap(({ group, latest, decision }) =>
            decision.outcome === "choose" ? [{ group: group.name, nominees: decision.nominees, salt: latest }] : [],
        );
        const rankings = await rank(aws, vacancies, now, chance);
        const plans = elections.map(({ group, latest, decision }): Plan & Settled => ({
            ...settle(decision, rankings.get(group.name)),
            group: group.name,
            follows: pauseMillis > 0 && (group.strays.length > 0 || hasLost(memory, group, now - pauseMillis)),
            since: Math.max(now, latest + 1),
        }));

        const began = clock(); // whatever an event says that is older may be what the writes have changed
        const strayIds = strays.map(({ id }) => id);
        const millisLeft = context.getRemainingTimeInMillis();
        const { written, stripped } = await promote(aws, scope, plans, strayIds, millisLeft, clock);
        const times = { began, ended: clock() };
        for (const [place, { group }] of elections.entries()) {
            remember(memory, written[place], group, plans[place].demote, times);
        }
        remember(memory, stripped, { leaders: strays, members: [], strays: [] }, [], times);

        const reports = elections.map(({ group }, place) => report(group, plans[place], written[place]));
        const held = () =>
            elections.map(({ group }, place) => ({ group, written: written[place], leader: reports[place].leader }));
        const unprotected = scope.protectLeader ? await protect(aws, held(), context.getRemainingTimeInMillis()) : 0;
        const swept = batch.sweep ? reports.filter((_, place) => groups[place].exists) : undefined;
        tell(scope.stack, { reports, stripped, unprotected, swept }, times.ended);
        return reports;
    };
}

/** What an election wants written, and what it comes to if that can be written. */
type Settled = Pick<Plan, "demote" | "promote"> & { outcome: Report["outcome"]; leader?: Leader; reason: string };

function settle(decision: Decision, ranking?: Ranking): Settled {
    if (decision.outcome !== "choose") {
        return { ...decision, promote: [] };
    }
    if (!ranking || "error" in ranking) {
        return { outcome: "failed", demote: [], promote: [], reason: `${ranking?.error.message}; ${decision.reason}` };
    }
    return ranking.ids.length > 0
        ? { outcome: "elected", demote: decision.demote, promote: ranking.ids, reason: decision.reason }
        : settle(decision.otherwise);
}

function brake(decision: Decision): Decision {
    return decision.outcome === "choose"
        ? { ...decision.otherwise, reason: `left to the next sweep after many changes; ${decision.reason}` }
        : decision;
}

function report({ name, groups, members, leaders, triggers }: Group, plan: Plan & Settled, written: Written): Report {
    const live = leaders.filter(isLive);
    const leader: Pick<Leader, "id" | "since"> | undefined =
        written.promoted ?? plan.leader ?? live.find(({ id }) => !written.demoted.includes(id));
    return {
        group: groups ? name.slice(1) : name,
        ...(groups ? { groups } : {}),
        outcome: written.error ? "failed" : plan.outcome,
        leader: leader?.id,
        since: leader?.since,
        candidates: seen(members.filter(isReady)),
        leaders: seen(live),
        demoted: written.demoted,
        triggers,
        reason: written.error ? `${written.error.message}; ${plan.reason}` : plan.reason,
    };
}

function bodies(event: QueueEvent): unknown[] {
    if (!Array.isArray(event?.Records)) {
        warn("ignored", "an invocation without the queue's records");
        return [];
    }
    return event.Records.map((record) => record?.body);
}

/** Looks random, and is the same for whoever asks with the same text. */
function chance(text: string): number {
    return createHash("sha256").update(text).digest().readUIntBE(0, 6);
}
