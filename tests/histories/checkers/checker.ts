import type { Call } from "../../simulator/aws/faults";
import type { Batch, Container } from "../../simulator/clock";
import type { Invocation } from "../../simulator/stack/deployment";
import type { Evidence } from "./evidence";
import type { Verdict } from "./model";

/** A rule that was broken, and how; `at`: milliseconds since 1970. */
export interface Violation {
    at: number;
    rule: string;
    how: string;
}

/** Notes a violation. */
export type Note = (rule: string, how: string) => void;

/** Checks one invariant. Each part is called when its name says; a checker has the parts that it needs. */
export interface Checker {
    /** A call of the function is about to take effect. */
    beforeCall?(call: Call, batch: Batch): void;
    /** A write of tags or protection took effect. */
    afterWrite?(call: Call): void;
    /** An invocation has ended in its container. */
    afterInvocation?(invocation: Invocation, by: Container): void;
    /** A sweep has ended with nothing else going on: for each electorate, with the verdict from before. */
    atRest?(home: string, verdict: Verdict): void;
    /** The same, once for the region. */
    afterRest?(): void;
    /** Another sweep has ended, and nothing has changed since `restedAt`. */
    atEnd?(restedAt: number): void;
}

export type MakeChecker = (evidence: Evidence, note: Note) => Checker;
