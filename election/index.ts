// The handler of the Lambda function: a batch of events in, a report of each election out.
import type { Context, SQSRecord } from "aws-lambda";
import { type Aws, connect } from "./aws/clients";
import { deadlineOf, millisToPromote } from "./aws/deadline";
import { readBatch } from "./events";
import { emptyMemory, learn, type Memory, remember } from "./memory";
import { announce } from "./messages";
import { plannedRounds } from "./pipeline";
import { pretend, promote, type WrittenRound } from "./promote";
import { protect } from "./protect";
import { type Finished, publish, type Report, reportOf } from "./report";
import type { Scope } from "./scope";

/** The part of an SQS event, and of its records, that is read. */
type QueueEvent = { Records: Pick<SQSRecord, "body">[] };

/**
 * Makes the Lambda function's handler; called once per container, while it loads.
 *
 * The handler takes a batch of the queue's messages, each an EventBridge event, and holds one election in each group that
 * they are about. It returns a report of each. What AWS refuses or does not answer is reported, and never thrown: events
 * are hints, and the next sweep looks again.
 *
 * Not guaranteed: that an instance has stopped its work when another one gets the tag, since it learns of its loss when it
 * next looks; that there is a leader at every moment; and a single leader while another elector with the same tag key
 * writes in the same groups. The fencing token `since` grows as far as Lambda's clock does not go back.
 */
export const createHandler = (scope: Scope) => {
    const connected = connect();
    const memory = emptyMemory();

    return async (event: QueueEvent, context: Pick<Context, "getRemainingTimeInMillis">): Promise<Report[]> => {
        const deadline = deadlineOf(() => context.getRemainingTimeInMillis());
        const aws = connected(scope, deadline);
        const batch = learn(memory, readBatch(scope, bodies(event), Date.now()), Date.now());
        const finishing: Promise<Finished>[] = [];
        for await (const round of plannedRounds(aws, batch, memory)) {
            const began = Date.now(); // an event that is older may report what the writes have changed
            const written = scope.dryRun ? pretend(round) : await promote(aws, round);
            remember(memory, written, { began, ended: Date.now() });
            finishing.push(finish(aws, memory, written)); // the next round's writes don't wait for it
            if (round.rest && deadline.millisLeft() < millisToPromote) {
                break;
            }
        }
        return publish(scope, batch, await Promise.all(finishing), Date.now());
    };
};

/** Does what may be left out, once a round is written. */
const finish = async (aws: Aws, memory: Memory, round: WrittenRound): Promise<Finished> => {
    const written = round.written.map((election) => ({ ...election, report: reportOf(election, Date.now()) }));
    const real = aws.scope.dryRun ? [] : written;
    const [unprotected, unsent] = await Promise.all([protect(aws, memory, real), announce(aws, real)]);
    return { ...round, written, unprotected, unsent };
};

/** Throws if the function was invoked with anything else than a batch of the queue: a payload was mistyped. */
const bodies = (event: QueueEvent): unknown[] => {
    if (!Array.isArray(event?.Records) || event.Records.length === 0) {
        const payload = JSON.stringify(event)?.slice(0, 500);
        throw new Error(`Not a batch of the queue, {"Records":[{"body":"<an event in JSON>"}]}: ${payload}`);
    }
    return event.Records.map((record) => record?.body);
};
