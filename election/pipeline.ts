// observe -> recall -> decide -> rank -> plan, a round at a time: what the handler writes, and what status only shows.
import { createHash } from "node:crypto";
import type { Aws } from "./aws/clients";
import { decide } from "./decide";
import type { Batch } from "./events";
import { type Memory, recall } from "./memory";
import { observe } from "./observe";
import { type PlannedRound, planFor } from "./plan";
import { rank } from "./rank";

/**
 * Plans the elections that a batch asks for; it reads from AWS, and writes nothing. The next round begins when it is asked for.
 *
 * @param memory what the container remembers; without it what was observed counts as it is
 */
export async function* plannedRounds(aws: Aws, batch: Batch, memory?: Memory): AsyncGenerator<PlannedRound> {
    for await (const observed of observe(aws, batch, memory?.sweepFrom)) {
        const now = Date.now();
        const round = memory ? recall(aws.scope, memory, observed, now) : observed;
        const decided = round.groups.map((group) => ({ group, decision: decide(group, now) }));
        const ranked = await rank(aws, decided, now, chance);
        const then = Date.now();
        yield { ...round, planned: ranked.map((election) => ({ ...election, plan: planFor(election, then) })) };
    }
}

/** Looks random, and is the same for every elector that asks with the same text. */
export const chance = (text: string): number => createHash("sha256").update(text).digest().readUIntBE(0, 6);
