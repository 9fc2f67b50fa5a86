// What every stage logs in the same way.
/** Logs a problem that does not stop the election. */
export function warn(message: string, about: unknown): void {
    console.warn({ message, about: about instanceof Error ? about.message : about });
}

/** The first ids of a list: as many as a log line holds. */
export const firstIds = (instances: { id: string }[]): string[] => instances.slice(0, 20).map(({ id }) => id);
