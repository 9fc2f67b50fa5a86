// What a run of mocha came to, by what it printed.

/** Counts of tests. A run without mocha counts as one. */
export interface Outcome {
    passing: number;
    /** A pending test has failed. A run may end badly without a test that has failed, for instance when it is killed. */
    failing: number;
    /** What was said of the tests that failed. */
    failure?: string;
}

export function outcomeOf(output: string, status: number | null | undefined): Outcome {
    const count = (kind: string) =>
        Number([...output.matchAll(new RegExp(`^ *(\\d+) ${kind}\\b`, "gm"))].at(-1)?.[1] ?? 0);
    const passing = count("passing");
    const failing = Math.max(count("failing") + count("pending"), status === 0 ? 0 : 1);
    const [, failure] = output.split(/^ *\d+ failing$/m);
    return { passing: Math.max(passing, failing === 0 ? 1 : 0), failing, failure };
}
