// The handler of the Lambda function: the story of an election, stage by stage.
import { createHash } from "node:crypto";
import type { Context, SQSRecord } from "aws-lambda";
import { connect, withDeadline } from "./aws";
import { decide } from "./decide";
import { readBatch } from "./events";
import { emptyMemory, learn, recall, remember } from "./memory";
import { observe } from "./observe";
import { planFor } from "./plan";
import { millisToPromote, millisToReport, promote } from "./promote";
import { protect } from "./protect";
import { rank } from "./rank";
import { type Finished, publish, type Report } from "./report";
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

    return async (event, context) => {
        const millisLeft = () => context.getRemainingTimeInMillis();
        const aws = withDeadline(clients, millisLeft() - millisToReport);
        const batch = readBatch(bodies(event), scope, clock());
        learn(memory, batch, scope, clock());
        const finished: Finished[] = [];
        for await (const observed of observe(aws, scope, batch, memory.sweepFrom)) {
            const now = clock();
            const round = recall(memory, observed, scope, now);
            const decided = round.groups.map((group) => ({ group, decision: decide(group, now) }));
            const ranked = await rank(aws, decided, scope.tagKey, now, chance);
            const began = clock(); // an event that is older may report what the writes have changed
            const planned = ranked.map((election) => ({ ...election, plan: planFor(election, began) }));
            const { written, stripped } = await promote(aws, scope, planned, round.orphans, millisLeft(), clock);
            remember(memory, scope, { ...round, written, stripped }, { began, ended: clock() });
            const unprotected = await protect(aws, scope, written, memory.protectedBefore, millisLeft());
            finished.push({ ...round, written, stripped, unprotected });
            if (round.rest && millisLeft() < millisToPromote) {
                break;
            }
        }
        return publish(scope, batch, finished, clock());
    };
}

/** Throws if the function was invoked with anything else than a batch of the queue: a payload was mistyped. */
function bodies(event: Batch): unknown[] {
    if (!Array.isArray(event?.Records) || event.Records.length === 0) {
        const payload = JSON.stringify(event)?.slice(0, 500);
        throw new Error(`Not a batch of the queue, {"Records":[{"body":"<an event in JSON>"}]}: ${payload}`);
    }
    return event.Records.map((record) => record?.body);
}

/** Looks random, and is the same for every elector that asks with the same text. */
export function chance(text: string): number {
    return createHash("sha256").update(text).digest().readUIntBE(0, 6);
}
