// What to look at: first the groups that events name, then, in a sweep, all others, a page at a time.

import { addHomes, assemble, findOrphan, homeNamed, unlistedLeaders, type View } from "./assemble";
import { type Aws, chunks, isRefusal } from "./aws";
import type { Group, Instance } from "./decide";
import {
    inGroups,
    type ListedGroup,
    literally,
    readGroupPages,
    readGroups,
    readTagged,
    type Tagged,
    withIds,
} from "./describe";
import { addTrigger, type Batch, detachType, type Trigger } from "./events";
import { warn } from "./log";
import type { Scope } from "./scope";

/** Groups that are observed, decided, ranked and written together. */
export interface Round {
    groups: Group[];
    /** Instances in no group at all that still carry the leader's tags. */
    orphans: Instance[];
    /** What could not be read, and the groups whose election has failed for that. */
    unread: Unread[];
    /** What a sweep has not looked at yet; missing without a sweep. */
    rest?: Rest;
}

interface Unread {
    groups: string[];
    error: Error;
}

/** The rest of a sweep: groups by name, and those on further pages, whose names are not known yet. */
export interface Rest {
    names: string[];
    hasPages: boolean;
    /** Token of the next page; missing for the first one. */
    nextToken?: string;
}

const groupsInRound = 100;

/**
 * Looks at the groups of a batch: first at those that events name, then, in a sweep, at all others.
 *
 * @param startingToken where a sweep begins; one that ran out of time left it
 * @returns rounds; what can't be read fails for its own groups
 */
export async function* observe(aws: Aws, scope: Scope, batch: Batch, startingToken?: string): AsyncGenerator<Round> {
    const seen = new Set<string>();
    if (batch.triggers.size + batch.departing.size + batch.detached.size + batch.unplaced.size > 0) {
        const round = await observeNamed(aws, scope, batch);
        for (const { name, groups } of round.groups) {
            for (const group of groups ?? [name]) {
                seen.add(group);
            }
        }
        yield batch.sweep ? { ...round, rest: { names: [], hasPages: true, nextToken: startingToken } } : round;
    }
    if (batch.sweep) {
        yield* sweep(aws, scope, batch, seen, startingToken);
    }
}

/** Looks at the groups that events name, directly or by an instance. */
async function observeNamed(aws: Aws, scope: Scope, batch: Batch): Promise<Round> {
    const view: View = { groups: new Map(), tagged: new Map(), homes: new Map() };
    const unread: Unread[] = [];
    const named = [...batch.triggers.keys()];
    const mentioned = [...new Set([...batch.detached.keys(), ...batch.unplaced.keys()])];
    const mentionedInstances = mentioned.map((id) => ({ id }));
    const [departing] = await Promise.all([
        // Most state changes concern other instances; one filtered read finds ours.
        orUnread([], readTagged(aws, scope, withIds([...batch.departing.keys()]), inGroups([`${scope.asgPrefix}*`]))),
        readNamed(named),
        orUnread([], readTagged(aws, scope, withIds(mentioned)).then(addTagged)),
        orUnread([], addHomes(aws, view, mentionedInstances)),
    ]);

    const triggers = new Map(batch.triggers);
    for (const { id, group } of (departing ?? []).filter(({ leads }) => leads)) {
        addTrigger(triggers, scope, group, batch.departing.get(id));
    }
    for (const [id, trigger] of batch.unplaced) {
        addTrigger(triggers, scope, view.homes.get(id)?.group, trigger);
    }
    for (const id of batch.detached.keys()) {
        if (view.tagged.get(id)?.leads) {
            addTrigger(triggers, scope, view.homes.get(id)?.group, { type: detachType });
        }
    }
    await readNamed([...triggers.keys()].filter((name) => !named.includes(name)));

    const before = new Set(triggers.keys());
    const lost = unlistedLeaders(view, (group) => view.groups.has(group) || before.has(group));
    await orUnread(lost.map(homeNamed), addHomes(aws, view, lost));
    for (const leader of lost) {
        const home = view.homes.get(leader.id)?.group;
        if (home !== homeNamed(leader)) {
            addTrigger(triggers, scope, home, triggers.get(homeNamed(leader))?.[0]);
        }
    }
    await readNamed([...triggers.keys()].filter((name) => !before.has(name)));

    if (batch.sweep) {
        for (const name of [...triggers.keys()]) {
            addTrigger(triggers, scope, name, batch.sweep);
        }
    }
    const failed = new Set(unread.flatMap(({ groups }) => groups));
    // Its successor must wait for the pause, which no election of its group would know of.
    const waits = (id: string) => scope.handoverSeconds > 0 && batch.detached.get(id)?.some((left) => failed.has(left));
    const orphans = mentioned.flatMap((id) => (waits(id) ? [] : (findOrphan(view, batch, id) ?? [])));
    const groups = assemble(scope, batch, view, triggers, orphans);
    const isRead = ({ name, groups: names = [name] }: Group) => !names.some((group) => failed.has(group));
    return { groups: groups.filter(isRead), orphans, unread };

    async function orUnread<T>(groups: string[], reading: Promise<T>): Promise<T | undefined> {
        try {
            return await reading;
        } catch (error) {
            unread.push({ groups, error: error as Error });
            return undefined;
        }
    }

    function addTagged(tagged: Tagged[]): void {
        for (const instance of tagged) {
            view.tagged.set(instance.id, instance);
        }
    }

    /** Reads groups, those of their electorates, and what their instances' tags say. */
    async function readNamed(names: string[]): Promise<void> {
        if (names.length === 0) {
            return;
        }
        const addGroups = (groups: ListedGroup[]) => {
            for (const group of groups) {
                view.groups.set(group.name, group);
            }
        };
        // An electorate's leader may be in any of its groups, and the tags of one that has just moved may lag.
        const filters = scope.electorateTag ? [] : [inGroups(names.map(literally))];
        await orUnread(
            names,
            Promise.all([
                readGroups(aws, scope, { names }).then(addGroups),
                readTagged(aws, scope, ...filters).then(addTagged),
            ]),
        );
        const together = names.filter((name) => view.groups.get(name)?.electorate !== undefined);
        const electorates = new Set(together.map((name) => view.groups.get(name)?.electorate as string));
        await orUnread(together, readGroups(aws, scope, { electorates: [...electorates] }).then(addGroups));
    }
}

/** Looks at every group that is not seen yet, a page at a time, then at electorates, whose groups may be on any page. */
async function* sweep(
    aws: Aws,
    scope: Scope,
    batch: Batch,
    seen: Set<string>,
    startingToken?: string,
): AsyncGenerator<Round> {
    const view: View = { groups: new Map(), tagged: new Map(), homes: new Map() };
    const triggers = (names: string[]) => new Map(names.map((name) => [name, [batch.sweep as Trigger]]));
    const reading = readTagged(aws, scope);
    reading.catch(() => {}); // awaited with the first page
    const later: string[] = []; // electorates' groups
    let orphans: Instance[] | undefined;
    let rest: Rest = { names: later, hasPages: true, nextToken: startingToken };
    try {
        for await (const page of pagesFrom(aws, scope, startingToken)) {
            if (orphans === undefined) {
                view.tagged = new Map((await reading).map((instance) => [instance.id, instance]));
                orphans = await findOrphans(aws, view, batch);
            }
            for (const group of page.groups) {
                view.groups.set(group.name, group);
            }
            const fresh = page.groups.filter(({ name }) => !seen.has(name));
            later.push(...fresh.flatMap(({ name, electorate }) => (electorate ? [name] : [])));
            const names = fresh.flatMap(({ name, electorate }) => (electorate ? [] : [name]));
            await addHomesOf(names);
            rest = { names: later, hasPages: page.hasMore, nextToken: page.nextToken };
            yield {
                groups: assemble(scope, batch, view, triggers(names), []),
                orphans: orphans.splice(0),
                unread: [],
                rest,
            };
        }
        // A leader's own tag may name a group that is gone.
        const gone = unlistedLeaders(view, (group) => group.startsWith(scope.asgPrefix)).map(homeNamed);
        later.push(...new Set(gone.filter((name) => !view.groups.has(name) && !seen.has(name))));
        await addHomesOf(later);
    } catch (error) {
        yield { groups: [], orphans: [], unread: [{ groups: [], error: error as Error }], rest };
        return;
    }
    const groups = assemble(scope, batch, view, triggers(later), []);
    for (const round of chunks(groups, groupsInRound)) {
        const names = groups.slice(groups.indexOf(round[0]) + round.length).map(({ name }) => name);
        yield { groups: round, orphans: [], unread: [], rest: { names, hasPages: false } };
    }

    async function addHomesOf(names: string[]): Promise<void> {
        await addHomes(
            aws,
            view,
            unlistedLeaders(view, (group) => names.includes(group)),
        );
    }
}

/** The pages of all groups from a token on, and then those before it. */
async function* pagesFrom(
    aws: Aws,
    scope: Scope,
    startingToken?: string,
): AsyncGenerator<{ groups: ListedGroup[]; hasMore: boolean; nextToken?: string }> {
    const names = new Set<string>();
    if (startingToken !== undefined) {
        try {
            for await (const page of readGroupPages(aws, scope, startingToken)) {
                for (const { name } of page.groups) {
                    names.add(name);
                }
                yield { ...page, hasMore: true };
            }
        } catch (error) {
            if (names.size > 0 || !isRefusal(error as Error)) {
                throw error;
            }
            warn("the sweep starts over", error); // the token is too old
        }
    }
    for await (const page of readGroupPages(aws, scope)) {
        const hasMore = page.nextToken !== undefined && !page.groups.some(({ name }) => names.has(name));
        yield { ...page, hasMore };
        if (!hasMore) {
            break;
        }
    }
}

/** The orphans among the leaders that name no group. */
async function findOrphans(aws: Aws, view: View, batch: Batch): Promise<Instance[]> {
    const suspects = [...view.tagged.values()].filter(
        ({ leads, since, group, state }) =>
            leads && since !== undefined && group === undefined && state !== "terminated",
    );
    try {
        await addHomes(aws, view, suspects);
    } catch (error) {
        warn("orphans keep their tags", error); // no group needs to wait for that
        return [];
    }
    return suspects.flatMap(({ id }) => findOrphan(view, batch, id) ?? []);
}
