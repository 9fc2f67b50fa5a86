// What every answer and error of AWS is read with.

/**
 * Waits for an answer, at most until the signal aborts: the SDK's pauses between attempts ignore it.
 *
 * @throws an error with AWS's name for it that says what was asked of which resources; AWS's own is its cause
 */
export const withContext = async <T>(
    action: string,
    resources: string[],
    answer: Promise<T>,
    signal: AbortSignal,
): Promise<T> => {
    let abort!: () => void; // assigned at once
    const aborted = new Promise<never>((_, reject) => {
        abort = () => reject(Object.assign(new Error("no answer in time"), { name: "AbortError" }));
    });
    if (signal.aborted) {
        abort();
    }
    signal.addEventListener("abort", abort);
    try {
        return await Promise.race([answer, aborted]);
    } catch (cause) {
        const { name, message } = cause as Error;
        const named = resources.slice(0, 20).join(", ") + (resources.length > 20 ? ", …" : "");
        throw Object.assign(new Error(`${action} on ${named || "*"}: ${name}: ${message}`, { cause }), { name });
    } finally {
        signal.removeEventListener("abort", abort);
    }
};

/** Whether AWS says that an instance doesn't exist. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html */
export const isGone = ({ name }: Error): boolean => name.startsWith("InvalidInstanceID") || name === "InvalidID";

/** Whether AWS refused the call for what it asked, and not because of load or an outage. */
export const isRefusal = (error: Error): boolean => isAboutCall(error) && httpStatusOf(error) < 500;

/** Whether AWS failed at this call, and not because of load: one of its resources may be the cause. */
export const isAboutCall = (error: Error): boolean =>
    httpStatusOf(error) >= 400 && !/Throttl|^RequestLimitExceeded/.test(error.name);

const httpStatusOf = ({ cause }: Error): number =>
    (cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode ?? 0;

/** The ids of instances that an error's message names. */
export const idsIn = (error?: Error): string[] => error?.message.match(/\bi-\w+/g) ?? [];

/** A list in parts of at most `size`, as the API takes them. */
export const chunks = <T>(list: T[], size: number): T[][] =>
    Array.from({ length: Math.ceil(list.length / size) }, (_, index) => list.slice(index * size, (index + 1) * size));

/** The items of a list by what they have in common, in the order of the list. */
export const groupedBy = <T>(list: T[], keyOf: (item: T) => string): Map<string, T[]> => {
    const groups = new Map<string, T[]>();
    for (const item of list) {
        const group = groups.get(keyOf(item)) ?? [];
        groups.set(keyOf(item), group);
        group.push(item);
    }
    return groups;
};

/** A list in an answer, which AWS may leave out when it is empty. Throws if something else is there. */
export const requireList = <T>(value: T[] | undefined | null, action: string): T[] => {
    const list = value ?? [];
    if (!Array.isArray(list) || list.some((item) => item === null || typeof item !== "object")) {
        throw new Error(`${action}: AWS answered ${JSON.stringify(value)?.slice(0, 100)} where a list belongs`);
    }
    return list;
};

/** A string in an answer that can't be decided without it. Throws if it isn't there. */
export const requireString = (value: string | undefined | null, action: string): string => {
    if (typeof value !== "string" || value === "") {
        throw new Error(`${action}: AWS answered ${JSON.stringify(value)} where a string belongs`);
    }
    return value;
};
