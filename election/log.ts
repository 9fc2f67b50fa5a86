/** Logs a problem that does not stop an election. */
export const warn = (message: string, about: unknown): void =>
    console.warn({ message, about: about instanceof Error ? about.message : about });
