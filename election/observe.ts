// What to look at: first the groups that events name, then, in a sweep, all others, a page at a time.
import { assemble, findOrphan, unlistedLeaders } from "./assemble";
import { chunks, isRefusal } from "./aws/answers";
import type { Aws } from "./aws/clients";
import { readElectorates, readGroupPages, readGroups, readHomes, readTagged, type View } from "./aws/describe";
import { addOurs, type Batch, detachType, type Trigger } from "./events";
import { isEnded, isEnding, labelOf, type ObservedGroup, type ObservedInstance } from "./group";
import { warn } from "./log";
import { isOurs, type Scope } from "./scope";

/** Groups that are observed, decided, ranked and written together. */
export interface Round {
    groups: ObservedGroup[];
    /** Instances in no group at all that still carry the leader's tags. */
    orphans: ObservedInstance[];
    /** What could not be read, and the groups whose election has failed for that. */
    unread: { groups: string[]; error: Error }[];
    /** What a sweep has not looked at yet: groups by name, and those on further pages. The first page has no token. */
    rest?: { names: string[]; hasPages: boolean; nextToken?: string };
}

const groupsInRound = 100;

/**
 * Looks at the groups of a batch: first at those that events name, then, in a sweep, at all others.
 *
 * @param startingToken where a sweep begins; one that ran out of time left it
 * @returns rounds; what can't be read fails for its own groups
 */
export async function* observe(aws: Aws, batch: Batch, startingToken?: string): AsyncGenerator<Round> {
    const seen = new Set<string>();
    if (batch.triggers.size + batch.departing.size + batch.detached.size + batch.unplaced.size > 0) {
        const round = await observeNamed(aws, batch);
        for (const name of round.groups.flatMap(({ name, groups }) => groups ?? [name])) {
            seen.add(name);
        }
        yield batch.sweep ? { ...round, rest: { names: [], hasPages: true, nextToken: startingToken } } : round;
    }
    if (batch.sweep) {
        yield* sweep(aws, batch, seen, startingToken);
    }
}

/** Looks at the groups that events name, directly or by an instance: reads until nothing that is named is unread. */
const observeNamed = async (aws: Aws, batch: Batch): Promise<Round> => {
    const { scope } = aws;
    let asked = new Set(batch.triggers.keys());
    let reading = await readFirst(aws, batch);
    while (true) {
        const triggers = triggersOf(scope, batch, reading);
        const names = [...triggers.keys()].filter((name) => !asked.has(name));
        // Before all groups are read, a leader's group may only seem not to list it.
        const isAbout = (group: string) => names.length === 0 && (triggers.has(group) || reading.groups.has(group));
        const lost = unlistedLeaders(reading, isAbout).filter(({ id }) => !asked.has(id));
        if (names.length + lost.length === 0) {
            break;
        }
        const ids = lost.map(({ id }) => id);
        const suspected = lost.flatMap(({ group = [] }) => group);
        const homes = await orUnread(suspected, () => readHomes(aws, ids));
        reading = joined(reading, homes, ...(await readNamed(aws, names)));
        asked = new Set([...asked, ...names, ...ids]);
    }
    const failed = new Set(reading.unread.flatMap(({ groups }) => groups));
    // Its successor must wait for the pause, which no election of its group would know of.
    const waits = (id: string) => scope.handoverSeconds > 0 && batch.detached.get(id)?.some((left) => failed.has(left));
    const orphans = mentioned(batch).flatMap((id) => (waits(id) ? [] : (findOrphan(batch, reading, id) ?? [])));
    const groups = assemble(scope.electorateTag, batch, reading, triggersOf(scope, batch, reading), orphans);
    const isRead = ({ name, groups: names = [name] }: ObservedGroup) => !names.some((group) => failed.has(group));
    return { groups: groups.filter(isRead), orphans, unread: reading.unread };
};

/** What was read, and what could not be. */
interface Reading extends View {
    /** Instances of our groups that depart, as they were read first. */
    departing: View["tagged"];
    unread: Round["unread"];
}

/** Instances that events mention without saying where they belong. */
const mentioned = ({ detached, unplaced }: Batch): string[] => [...new Set([...detached.keys(), ...unplaced.keys()])];

/** What can be asked at once, in one round trip: groups, and instances that depart or are mentioned. */
const readFirst = async (aws: Aws, batch: Batch): Promise<Reading> => {
    const ids = mentioned(batch);
    // Most state changes concern other instances; one filtered read finds ours.
    const ours = { ids: [...batch.departing.keys()], prefixes: aws.scope.asgPrefixes };
    const answers = await Promise.all([
        orUnread([], async () => ({ departing: (await readTagged(aws, ours)).tagged })),
        orUnread([], () => readTagged(aws, { ids })),
        orUnread([], () => readHomes(aws, ids)),
        readNamed(aws, [...batch.triggers.keys()]),
    ]);
    return joined(...answers.flat());
};

/** Reads groups by their names, what their instances' tags say, and the other groups of their electorates. */
const readNamed = async (aws: Aws, names: string[]): Promise<Partial<Reading>[]> => {
    if (names.length === 0) {
        return [];
    }
    // An electorate's leader may be in any of its groups, and the tags of one that has just moved may lag.
    const among = aws.scope.electorateTag ? {} : { groups: names };
    const named = await orUnread(names, async () => {
        const [groups, tagged] = await Promise.all([readGroups(aws, names), readTagged(aws, among)]);
        return { ...groups, ...tagged };
    });
    const together = [...(named.groups?.values() ?? [])].filter(({ electorate }) => electorate !== undefined);
    const electorates = [...new Set(together.map(({ electorate = "" }) => electorate))];
    const ofThem = together.map(({ name }) => name);
    return [named, await orUnread(ofThem, () => readElectorates(aws, electorates))];
};

/** What can't be read fails for the groups that need it. */
const orUnread = (groups: string[], read: () => Promise<Partial<Reading>>): Promise<Partial<Reading>> =>
    read().catch((error: Error) => ({ unread: [{ groups, error }] }));

/** What was read, taken together: what was read later replaces what was read earlier. */
const joined = (...readings: Partial<Reading>[]): Reading => ({
    groups: new Map(readings.flatMap(({ groups = [] }) => [...groups])),
    tagged: new Map(readings.flatMap(({ tagged = [] }) => [...tagged])),
    homes: new Map(readings.flatMap(({ homes = [] }) => [...homes])),
    departing: new Map(readings.flatMap(({ departing = [] }) => [...departing])),
    unread: readings.flatMap(({ unread = [] }) => unread),
});

/** The groups that the batch asks for, as far as is known from what was read, each with the events that ask. */
const triggersOf = (scope: Scope, batch: Batch, { tagged, homes, departing }: Reading): Map<string, Trigger[]> => {
    const triggers = new Map(batch.triggers);
    const homeOf = (id: string) => homes.get(id)?.group;
    for (const { id, group, leads } of departing.values()) {
        addOurs(scope, triggers, leads ? group : undefined, batch.departing.get(id));
    }
    for (const [id, trigger] of batch.unplaced) {
        addOurs(scope, triggers, homeOf(id), trigger);
    }
    const leaders = [...tagged.values()].filter(({ leads }) => leads);
    for (const { id } of leaders) {
        addOurs(scope, triggers, homeOf(id), batch.detached.has(id) ? { type: detachType } : undefined);
    }
    // A leader that went to another group asks for an election there, too.
    for (const { id, group = "", state } of leaders) {
        const isNamed = batch.detached.has(id) || batch.unplaced.has(id);
        if (!isEnding({ state }) && group !== homeOf(id) && !isNamed) {
            addOurs(scope, triggers, homeOf(id), triggers.get(group)?.[0]);
        }
    }
    for (const name of [...triggers.keys()]) {
        addOurs(scope, triggers, name, batch.sweep);
    }
    return triggers;
};

/** Looks at every group that is not seen yet, a page at a time, then at electorates, whose groups may be on any page. */
async function* sweep(aws: Aws, batch: Batch, seen: Set<string>, startingToken?: string): AsyncGenerator<Round> {
    const triggers = (names: string[]) => new Map(names.map((name) => [name, [batch.sweep as Trigger]]));
    const reading = readTagged(aws).then((tagged) => withSuspects(aws, joined(tagged)));
    reading.catch(() => {}); // awaited with the first page
    const later: string[] = []; // electorates' groups
    let view = joined();
    let rest: Round["rest"] = { names: later, hasPages: true, nextToken: startingToken };
    try {
        for await (const page of pagesFrom(aws, startingToken)) {
            const fresh = [...page.groups.values()].filter(({ name }) => !seen.has(name));
            for (const { name } of fresh) {
                seen.add(name); // the last page may have been looked at from the token on
            }
            later.push(...fresh.flatMap(({ name, electorate }) => (electorate ? [name] : [])));
            const names = fresh.flatMap(({ name, electorate }) => (electorate ? [] : [name]));
            view = await withHomesOf(aws, joined(await reading, view, page), names);
            rest = { names: later, hasPages: page.hasMore, nextToken: page.hasMore ? page.nextToken : undefined };
            yield {
                groups: assemble(aws.scope.electorateTag, batch, view, triggers(names), []),
                // A group on any page may list one.
                orphans: page.hasMore ? [] : [...view.homes.keys()].flatMap((id) => findOrphan(batch, view, id) ?? []),
                unread: [],
                rest,
            };
        }
        // A leader's own tag may name a group that is gone.
        const gone = unlistedLeaders(view, (group) => isOurs(aws.scope, group) && !view.groups.has(group));
        later.push(...new Set(gone.flatMap(({ group = "" }) => (seen.has(group) ? [] : [group]))));
        view = await withHomesOf(aws, view, later);
    } catch (error) {
        yield { groups: [], orphans: [], unread: [{ groups: [], error: error as Error }], rest };
        return;
    }
    const groups = assemble(aws.scope.electorateTag, batch, view, triggers(later), []);
    for (const [index, round] of chunks(groups, groupsInRound).entries()) {
        const names = groups.slice((index + 1) * groupsInRound).map(labelOf);
        yield { groups: round, orphans: [], unread: [], rest: { names, hasPages: false } };
    }
}

/** Adds which groups list the leaders that groups of these names don't list, though their own tags name them. */
const withHomesOf = async (aws: Aws, reading: Reading, names: string[]): Promise<Reading> => {
    const ids = unlistedLeaders(reading, (group) => names.includes(group)).map(({ id }) => id);
    return joined(reading, await readHomes(aws, ids));
};

/** Adds which groups list the leaders that name no group: those that none lists are orphans. */
const withSuspects = async (aws: Aws, reading: Reading): Promise<Reading> => {
    const suspects = [...reading.tagged.values()].filter(
        ({ leads, since, group, state }) => leads && since !== undefined && group === undefined && !isEnded({ state }),
    );
    const ids = suspects.map(({ id }) => id);
    try {
        return joined(reading, await readHomes(aws, ids));
    } catch (error) {
        warn("orphans keep their tags", error); // no group needs to wait for that
        return reading;
    }
};

/** The pages of all groups from a token on, and then those before it. */
async function* pagesFrom(aws: Aws, startingToken?: string) {
    let names: string[] = [];
    if (startingToken !== undefined) {
        try {
            for await (const page of readGroupPages(aws, startingToken)) {
                names = [...names, ...page.groups.keys()];
                yield { ...page, hasMore: true };
            }
        } catch (error) {
            if (names.length > 0 || !isRefusal(error as Error)) {
                throw error;
            }
            warn("the sweep starts over", error); // the token is too old
        }
    }
    for await (const page of readGroupPages(aws)) {
        const hasMore = page.nextToken !== undefined && !names.some((name) => page.groups.has(name));
        yield { ...page, hasMore };
        if (!hasMore) {
            break;
        }
    }
}
