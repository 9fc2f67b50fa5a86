import { createHash } from "node:crypto";
import type { Context, SQSRecord } from "aws-lambda";
import { connect, withDeadline } from "./aws";
import { readBatch } from "./events";
import { warn } from "./log";
import { emptyMemory, learn, recall, remember } from "./memory";
import { observe } from "./observe";
import { type Decided, decideFor, planFor } from "./plan";
import { millisToReport, promote } from "./promote";
import { protect } from "./protect";
import { rank } from "./rank";
import { isShortOfTime, type Outcome, publish, type Report } from "./report";
import type { Scope } from "./scope";

/** The part of an SQS event, and of its records, that is read. */
interface Batch {
    Records: Pick<SQSRecord, "body">[];
}

/**
 * Makes the Lambda function's handler; called once per container, while it loads.
 *
 * The handler takes a batch of the queue's messages, each an EventBridge event, and holds one election in each group that
 * they are about. It returns a report of each. What AWS refuses or does not answer is reported, and never thrown: events
 * are hints, and the next sweep looks again.
 */
export function createHandler(
    scope: Scope,
): (event: Batch, context: Pick<Context, "getRemainingTimeInMillis">) => Promise<Report[]> {
    const clients = connect();
    const memory = emptyMemory();
    const clock = () => Date.now();
    const pauseMillis = scope.handoverSeconds * 1000;

    return async (event, context) => {
        const millisLeft = () => context.getRemainingTimeInMillis();
        const aws = withDeadline(clients, millisLeft() - millisToReport);
        const outcome: Outcome = { elections: [], unread: [], stripped: [], unprotected: 0 };
        const batch = readBatch(bodies(event), scope, clock());
        for (const sentence of batch.ignored) {
            warn("ignored", sentence);
        }
        learn(memory, batch, scope, clock());

        for await (const observed of observe(aws, scope, batch, memory.sweepFrom)) {
            const now = clock();
            const round = recall(memory, observed, pauseMillis, now);
            const decided = round.groups.map((group) => decideFor(group, now));
            const rankings = await rank(aws, decided.flatMap(vacancyIn(scope)), now, chance);
            const began = clock(); // an event that is older may report what the writes have changed
            const planned = decided.map((one) => ({ ...one, plan: planFor(one, rankings.get(one.group.name), began) }));
            const { written, stripped } = await promote(aws, scope, planned, round.orphans, millisLeft(), clock);
            if (!scope.dryRun) {
                remember(memory, written, { orphans: round.orphans, stripped }, { began, ended: clock() });
            }
            outcome.elections.push(...written);
            outcome.unread.push(...round.unread);
            outcome.stripped.push(stripped);
            if (scope.protectLeader && !scope.dryRun) {
                outcome.unprotected += await protect(aws, written, memory.protectedBefore, millisLeft());
            }
            outcome.left = isShortOfTime(millisLeft()) ? round.rest : undefined;
            if (outcome.left) {
                break;
            }
        }
        if (batch.sweep) {
            memory.sweepFrom = outcome.left?.nextToken;
        }
        return publish(scope, outcome, batch.sweep !== undefined, clock());
    };
}

function vacancyIn({ tagKey }: Scope) {
    return ({ group, decision, latest }: Decided) =>
        decision.outcome === "choose"
            ? [{ group: group.name, candidates: decision.candidates, tieBreak: `${latest} ${tagKey}` }]
            : [];
}

function bodies(event: Batch): unknown[] {
    if (!Array.isArray(event?.Records)) {
        warn("ignored", "an invocation without the queue's records");
        return [];
    }
    return event.Records.map((record) => record?.body);
}

/** Looks random, and is the same for every elector that asks with the same text. */
function chance(text: string): number {
    return createHash("sha256").update(text).digest().readUIntBE(0, 6);
}
