// A call to the region, and what may go wrong with it.
import type { Container } from "../clock";

/** A call to AWS, with its times on the timeline. */
export interface Call {
    action: string;
    // biome-ignore lint/suspicious/noExplicitAny: each action has its own input
    input: any;
    /** The container that made it. */
    by: Container | undefined;
    start: number;
    end: number;
}

/** Whether a call changes something. */
export const isWrite = ({ action }: Call): boolean => /:(Create|Delete|Set)/.test(action);

/** What goes wrong with a call. */
export interface Fault {
    /** Happens instead of the call, or, with `afterEffect`, instead of its answer. */
    error?: Error;
    afterEffect?: boolean;
    /** Only this many of the resources are written before the error. */
    partly?: number;
    /** The caller's container ends: it gets no answer, and does nothing more. */
    dies?: boolean;
    /** The answer never comes whole, whether it stalls or trickles: only an abort signal ends the call. */
    stalls?: boolean;
    /** The answer comes this many milliseconds late. */
    late?: number;
    /** Makes another answer of the one that the caller would get. */
    answer?: (answer: object) => object;
}

/** The actions of an AWS service: each takes the command's input and gives the answer, or throws as AWS does. */
// biome-ignore lint/suspicious/noExplicitAny: each action has its own input
export type Actions = Record<string, (input: any) => object>;

/** An error as the SDK throws it after its own retries. */
export const awsError = (name: string, message: string, httpStatusCode = 400): Error =>
    Object.assign(new Error(message), { name, $fault: "client", $metadata: { httpStatusCode } });

export const denied = awsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403);
export const timedOut = awsError("TimeoutError", "socket hang up", 0);

/** A fault of every call of an action, or of those that name one of some instances. */
export function failing(action: string, fault: Fault | Error, ids?: string[]): (call: Call) => Fault | undefined {
    const isMeant = ({ input }: Call) => !ids || ids.some((id) => input.Resources?.includes(id));
    const happening = fault instanceof Error ? { error: fault } : fault;
    return (call) => (call.action === action && isMeant(call) ? happening : undefined);
}

/** A fault of the first call of an action, and of no later one. */
export function failOnce(action: string, fault: Fault): (call: Call) => Fault | undefined {
    const faults = [fault];
    return (call) => (call.action === action ? faults.pop() : undefined);
}

/** Refuses a request, as AWS does in such a case. */
export function refuseIf(isSo: boolean, ...error: Parameters<typeof awsError>): void {
    if (isSo) {
        throw awsError(...error);
    }
}

/** Refuses a request that asks for more than AWS allows. */
export const limit = (what: string, size: number, most: number): void =>
    refuseIf(size > most, "ValidationError", `${what} is ${size}, at most ${most} are allowed`);

/** An answer that never comes. */
export const never = (): Promise<never> => new Promise(() => {});
