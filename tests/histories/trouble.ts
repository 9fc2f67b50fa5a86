// What goes wrong with calls in a history.
import { awsError, type Call, type Fault } from "../simulator/aws/faults";

/** Kinds of calls. */
export const kinds = {
    any: /./,
    groups: /Groups$/,
    instances: /:DescribeInstances$/,
    rank: /Status$|Metric/,
    protect: /:SetInstanceProtection$/,
    create: /:CreateTags$/,
    delete: /:DeleteTags$/,
};

/** What goes wrong with a call; `partly`: how many resources are written before. */
export const faults = {
    throttled: () => ({ error: awsError("RequestLimitExceeded", "Request limit exceeded.", 503) }),
    timesOut: () => ({ error: awsError("TimeoutError", "socket hang up", 0) }),
    timesOutAfterEffect: () => ({ error: awsError("TimeoutError", "socket hang up", 0), afterEffect: true }),
    isHeldUp: () => ({ error: awsError("ConcurrentTagAccess", "Try again.") }),
    isRefused: () => ({ error: awsError("UnauthorizedOperation", "You are not authorized.", 403) }),
    isRefusedHalfWay: (call: Call, partly: number) => ({
        error: awsError("TagLimitExceeded", "The maximum number of tags has been reached."),
        partly: Math.min(partly, (call.input.Resources?.length ?? 1) - 1),
    }),
    breaksHalfWay: (_: Call, partly: number) => ({ error: awsError("InternalError", "An error.", 500), partly }),
    isLate: (_: Call, partly: number) => ({ late: 1000 + 4000 * partly }),
    stalls: () => ({ stalls: true }),
    stallsBeforeEffect: () => ({ stalls: true, error: awsError("TimeoutError", "no answer", 0) }),
    kills: () => ({ dies: true }),
    killsAfterEffect: () => ({ dies: true, afterEffect: true }),
} satisfies Record<string, (call: Call, partly: number) => Fault>;
