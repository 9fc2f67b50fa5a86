// How long an invocation may work, and what later stages need of that time. All times are in milliseconds.

/** What an invocation keeps for its report. No call may use it. */
const millisToReport = 500;
/** What promoting needs: one attempt at its time-out. Demotions end before it begins, and without it no round is begun. */
export const millisToPromote = 2000;
/** What demoting needs. With less than this and the time to promote, nothing is written: a group must not stay without a leader. */
export const millisToDemote = 1500;
/** What reading load may take of the time: candidates can be ranked without it. */
export const millisForLoad = 1500;
/** What protecting may take: the next sweep protects a leader that lacks it. */
export const millisToProtect = 1500;
/** What sending messages may take, with loading their client: they are hints, and the next event waits for the invocation's end. */
export const millisToSend = 1500;

/** Until when an invocation may call AWS. */
export type Deadline = ReturnType<typeof deadlineOf>;

/** The deadline of an invocation that may run for so many milliseconds more; `remaining` says how many at any time. */
export const deadlineOf = (remaining: () => number) => {
    /** Time until then. */
    const millisLeft = () => remaining() - millisToReport;
    /** A signal that aborts after so much time, or at the deadline. */
    const within = (millis: number) => AbortSignal.timeout(Math.max(0, Math.min(millis, millisLeft())));
    /** Aborts whatever is under way at the deadline: only the report is left to do. */
    const signal = within(millisLeft());
    return { signal, millisLeft, within };
};
