// Waits for a calm start: the group is whole, and exactly one of its members leads.
import { setTimeout as sleep } from "node:timers/promises";
import { paginateDescribeAutoScalingGroups } from "@aws-sdk/client-auto-scaling";
import type { Run } from "./fleet";
import type { Aws } from "./site";
import { size } from "./site";
import { type Instance, type Look, liveLeaders } from "./watch";

/** The group at a calm moment. */
export interface Calm {
    leader: Instance;
    /** Another member. */
    other: Instance;
}

/** What is still missing, in words, and whether it is the leader alone. */
interface Missing {
    missing: string;
    isWhole: boolean;
}

/**
 * Waits until the group has all its instances in service, running and not vetoed, and one of them leads.
 *
 * @param options.restore what makes the group whole; repeated until AWS accepts it, because a member that is
 * about to change its state refuses it
 * @param options.millis after which it gives up; `leaderMillis` counts from when only the leader is missing
 * @throws an error that says what is missing; what AWS says; an AbortError
 */
export async function calm(
    aws: Aws,
    run: Run,
    read: () => Promise<Look>,
    options: {
        millis: number;
        leaderMillis: number;
        everyMillis: number;
        signal: AbortSignal;
        onMissing: (missing: Missing) => void;
        restore?: () => Promise<unknown>;
    },
): Promise<Calm> {
    const began = performance.now();
    let { restore } = options;
    let refused = "";
    let wholeSince: number | undefined;
    for (;;) {
        try {
            await restore?.();
            restore = undefined;
            refused = "";
        } catch (error) {
            refused = `, ${(error as Error).name}: ${(error as Error).message}`;
        }
        const finding = find(await listed(aws, run, options.signal), await read());
        if ("leader" in finding) {
            return finding;
        }
        options.onMissing(finding);
        const now = performance.now();
        wholeSince = finding.isWhole ? (wholeSince ?? now) : undefined;
        if (wholeSince !== undefined ? now - wholeSince > options.leaderMillis : now - began > options.millis) {
            throw Object.assign(new Error(finding.missing + refused), { isWhole: finding.isWhole });
        }
        await sleep(options.everyMillis, undefined, { signal: options.signal });
    }
}

/** The group's members as it lists them. */
async function listed({ autoScaling }: Aws, run: Run, signal: AbortSignal) {
    const input = { AutoScalingGroupNames: [run.group] };
    for await (const { AutoScalingGroups: [group] = [] } of paginateDescribeAutoScalingGroups(
        { client: autoScaling },
        input,
        { abortSignal: signal },
    )) {
        return group?.Instances ?? [];
    }
    return [];
}

function find(members: Awaited<ReturnType<typeof listed>>, seen: Look): Calm | Missing {
    const ready = members.filter((one) => one.LifecycleState === "InService" && one.HealthStatus === "Healthy");
    const ids = ready.map(({ InstanceId }) => InstanceId);
    const running = seen.instances.filter(
        ({ id, state, vetoed }) => ids.includes(id) && state === "running" && !vetoed,
    );
    if (members.length !== size || running.length !== size) {
        return { missing: `${running.length} of ${size} instances are in service`, isWhole: false };
    }
    const leaders = liveLeaders(seen);
    const [leader] = leaders;
    const other = running.find(({ id }) => id !== leader?.id);
    return leader && other && leaders.length === 1 && running.includes(leader) && leader.since !== ""
        ? { leader, other }
        : { missing: leaders.length === 0 ? "no instance leads" : `${leaders.length} lead`, isWhole: true };
}
