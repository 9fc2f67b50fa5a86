// Lists whose length is known, so that what is taken from them is there; and sets.

/** As many items as a number says; any number of them if that is known only later. */
export type Tuple<T, N extends number, Items extends T[] = []> = number extends N
    ? T[]
    : Items["length"] extends N
      ? Items
      : Tuple<T, N, [...Items, T]>;

/** Makes items, as many as a number says. */
export const times = <T, N extends number>(count: N, make: (index: number) => T): Tuple<T, N> =>
    Array.from({ length: count }, (_, index) => make(index)) as Tuple<T, N>;

/** The only item. @throws if there is none, or another */
export function only<T>(items: Iterable<T>): T {
    const [item, ...others] = items;
    if (item === undefined || others.length > 0) {
        throw new Error(`not one, but ${JSON.stringify([...items])}`);
    }
    return item;
}

/** The first item. @throws if there is none */
export const firstOf = <T>(items: readonly T[]): T => found(items[0]);

/** The first two items. @throws if there are fewer */
export const firstTwo = <T>(items: readonly T[]): [T, T] => [found(items[0]), found(items[1])];

/** An item that must be there. @throws if it is not, with a message */
export function found<T>(item: T | undefined | null, message = "what a test looked for is not there"): T {
    if (item === undefined || item === null) {
        throw new Error(message);
    }
    return item;
}

/** Puts an item into a set, or takes it out. */
export function mark<T>(set: Set<T>, item: T, isIn: boolean): void {
    if (isIn) {
        set.add(item);
    } else {
        set.delete(item);
    }
}
