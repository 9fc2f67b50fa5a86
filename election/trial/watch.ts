// Looks at the run's instances a few times a second, and reads off what a play came to.
import { setTimeout as sleep } from "node:timers/promises";
import { paginateDescribeInstances } from "@aws-sdk/client-ec2";
import { eligibleKey, isTrue, marksVeto, sinceKey } from "../scope";
import { type Run, runKey } from "./fleet";
import type { Aws } from "./site";

/** An instance of the run, as EC2 describes it. */
export interface Instance {
    id: string;
    image: string;
    state: string;
    /** Whether it carries the leader tag. */
    leads: boolean;
    /** Value of the tag `<tagKey>:since`; empty without it. */
    since: string;
    vetoed: boolean;
}

/** What one read showed, and when its answer came: milliseconds of a clock that only goes forward. */
export interface Look {
    at: number;
    instances: Instance[];
}

/** The instances of a run, with one filtered read. */
export async function look({ ec2 }: Aws, run: Run, tagKey: string, signal: AbortSignal): Promise<Look> {
    const instances: Instance[] = [];
    const input = { Filters: [{ Name: `tag:${runKey}`, Values: [run.name] }] };
    for await (const { Reservations = [] } of paginateDescribeInstances({ client: ec2 }, input, {
        abortSignal: signal,
    })) {
        for (const { InstanceId, ImageId, State, Tags = [] } of Reservations.flatMap((one) => one.Instances ?? [])) {
            const tags = Object.fromEntries(Tags.map(({ Key, Value = "" }) => [Key, Value]));
            instances.push({
                id: String(InstanceId),
                image: String(ImageId),
                state: String(State?.Name),
                leads: isTrue(tags[tagKey]),
                since: tags[sinceKey(tagKey)] ?? "",
                vetoed: marksVeto(tags[eligibleKey(tagKey)]),
            });
        }
    }
    return { at: performance.now(), instances };
}

/**
 * Looks again and again until something holds, or time is up.
 *
 * @param pace.everyMillis from one look to the next, if the answer comes that fast
 * @param pace.millis after which it gives up
 * @returns all looks
 * @throws what AWS says, or an AbortError
 */
export async function watch(
    read: () => Promise<Look>,
    holds: (looks: Look[]) => boolean,
    pace: { everyMillis: number; millis: number },
    signal: AbortSignal,
): Promise<Look[]> {
    const looks: Look[] = [];
    const end = performance.now() + pace.millis;
    for (;;) {
        const began = performance.now();
        looks.push(await read());
        if (holds(looks) || performance.now() > end) {
            return looks;
        }
        await sleep(Math.max(0, began + pace.everyMillis - performance.now()), undefined, { signal });
    }
}

/** Leaders that EC2 has not begun to end: only these count when there are two. */
export const liveLeaders = ({ instances }: Look): Instance[] =>
    instances.filter(({ leads, state }) => leads && state !== "shutting-down" && state !== "terminated");

/** The longest time between two answers: nothing that is measured is known more exactly. */
export const resolutionOf = (start: number, looks: Look[]): number =>
    Math.max(0, ...looks.map(({ at }, index) => at - (looks[index - 1]?.at ?? start)));

/** Milliseconds from the first to the last look of each time that two leaders were seen, each lengthened by the gap before it. */
export function millisOfTwo(start: number, looks: Look[]): number {
    const gaps = looks.map((one, index) =>
        liveLeaders(one).length > 1 ? one.at - (looks[index - 1]?.at ?? start) : 0,
    );
    return gaps.reduce((sum, gap) => sum + gap, 0);
}
