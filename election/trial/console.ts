// What the instances' own metadata showed, read from the lines that their first script writes to the console.
import { setTimeout as sleep } from "node:timers/promises";
import type { Aws } from "./site";

/**
 * Seconds from a leader's `since` until its own metadata showed the tag, to the second.
 *
 * @param text of the console
 * @param since ISO 8601
 * @returns undefined if the console doesn't show it
 */
export function secondsUntilShown(text: string, since: string): number | undefined {
    const start = Math.floor(Date.parse(since) / 1000); // the console's times are whole seconds
    const times = [...text.matchAll(/leader-trial (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) shown/g)].map(
        ([, time = ""]) => Date.parse(time) / 1000,
    );
    const shown = times.find((time) => time >= start);
    return shown === undefined ? undefined : shown - start;
}

/**
 * Reads the console of a leader until it shows the tag.
 *
 * @returns seconds; undefined if it doesn't show it in time, or AWS refuses to show it
 */
export async function readSecondsUntilShown(
    { ec2 }: Aws,
    leader: { id: string; since: string },
    pace: { everyMillis: number; millis: number },
    signal: AbortSignal,
): Promise<number | undefined> {
    const end = performance.now() + pace.millis;
    for (;;) {
        try {
            const { Output = "" } = await ec2.getConsoleOutput(
                { InstanceId: leader.id, Latest: true },
                { abortSignal: signal },
            );
            const seconds = secondsUntilShown(Buffer.from(Output, "base64").toString("utf8"), leader.since);
            if (seconds !== undefined) {
                return seconds;
            }
        } catch (error) {
            signal.throwIfAborted();
            if ((error as Error).name !== "RequestLimitExceeded") {
                return undefined; // one figure less
            }
        }
        if (performance.now() > end) {
            return undefined;
        }
        await sleep(pace.everyMillis, undefined, { signal });
    }
}
