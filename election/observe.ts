import { type Aws, chunks, isRefusal } from "./aws";
import { type Group, type Instance, isEnding } from "./decide";
import {
    inGroups,
    type ListedGroup,
    literally,
    type Member,
    readGroupPages,
    readGroups,
    readHomes,
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

/** What was read so far. */
interface View {
    groups: Map<string, ListedGroup>;
    tagged: Map<string, Tagged>;
    /** How Auto Scaling lists an instance that was asked for; undefined if it is in no group. */
    homes: Map<string, Member | undefined>;
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
    const mentioned = [...batch.detached.keys(), ...batch.unplaced.keys()];
    const [departing] = await Promise.all([
        // Most state changes concern other instances; one filtered read finds ours.
        orUnread([], readTagged(aws, scope, withIds([...batch.departing.keys()]), inGroups([`${scope.asgPrefix}*`]))),
        readNamed(named),
        orUnread([], readTagged(aws, scope, withIds(mentioned)).then(addTagged)),
        orUnread(
            [],
            addHomes(
                aws,
                view,
                mentioned.map((id) => ({ id })),
            ),
        ),
    ]);

    const triggers: Batch = { ...batch, triggers: new Map(batch.triggers) };
    for (const { id, group } of (departing ?? []).filter(({ leads }) => leads)) {
        addTrigger(triggers, scope, group, batch.departing.get(id) as Trigger);
    }
    for (const [id, trigger] of batch.unplaced) {
        addTrigger(triggers, scope, view.homes.get(id)?.group, trigger);
    }
    for (const id of batch.detached.keys()) {
        if (view.tagged.get(id)?.leads) {
            addTrigger(triggers, scope, view.homes.get(id)?.group, { type: detachType });
        }
    }
    await readNamed([...triggers.triggers.keys()].filter((name) => !named.includes(name)));

    const before = new Set(triggers.triggers.keys());
    const lost = unlistedLeaders(view, (group) => view.groups.has(group) || before.has(group));
    await orUnread(lost.map(homeNamed), addHomes(aws, view, lost));
    for (const leader of lost) {
        const home = view.homes.get(leader.id)?.group;
        const [trigger] = triggers.triggers.get(homeNamed(leader)) ?? [];
        if (home !== homeNamed(leader) && trigger) {
            addTrigger(triggers, scope, home, trigger);
        }
    }
    await readNamed([...triggers.triggers.keys()].filter((name) => !before.has(name)));

    if (batch.sweep) {
        for (const name of [...triggers.triggers.keys()]) {
            addTrigger(triggers, scope, name, batch.sweep);
        }
    }
    const orphans = mentioned.flatMap((id) => findOrphan(view, batch, id) ?? []);
    const failed = new Set(unread.flatMap(({ groups }) => groups));
    const groups = assemble(scope, batch, view, triggers.triggers, orphans);
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
        const reading = Promise.all([
            readGroups(aws, scope, { names }).then(addGroups),
            readTagged(aws, scope, ...filters).then(addTagged),
        ]);
        await orUnread(
            names,
            reading.then(async () => {
                const electorates = new Set(names.flatMap((name) => view.groups.get(name)?.electorate ?? []));
                addGroups(await readGroups(aws, scope, { electorates: [...electorates] }));
            }),
        );
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
            return;
        }
    }
}

const homeNamed = ({ group }: Tagged): string => group as string;

/** Leaders whose own tag names a group that does not list them, unless Auto Scaling was asked for them, or they end anyway. */
function unlistedLeaders({ groups, tagged, homes }: View, isAbout: (group: string) => boolean): Tagged[] {
    const members = new Set([...groups.values()].flatMap((group) => group.members.map(({ id }) => id)));
    return [...tagged.values()].filter(
        ({ id, group, leads, state }) =>
            leads &&
            !isEnding({ state }) &&
            group !== undefined &&
            isAbout(group) &&
            !members.has(id) &&
            !homes.has(id),
    );
}

async function addHomes(aws: Aws, { homes }: View, instances: { id: string }[]): Promise<void> {
    const ids = instances.map(({ id }) => id);
    const found = await readHomes(aws, ids);
    for (const id of ids) {
        homes.set(id, found.get(id));
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

/** The instance with this id, if it is in no group at all and led one of the stack's. */
function findOrphan({ tagged, homes }: View, batch: Batch, id: string): Instance | undefined {
    const instance = tagged.get(id);
    const isInNone = homes.has(id) && homes.get(id) === undefined;
    if (!instance?.leads || instance.state === "terminated" || !isInNone) {
        return undefined;
    }
    const hasLed = batch.detached.has(id) || (instance.since !== undefined && instance.group === undefined);
    return hasLed ? toInstance(instance, batch) : undefined;
}

/** Puts together what belongs together: a group, or all groups of an electorate, with their instances. */
function assemble(
    scope: Scope,
    batch: Batch,
    view: View,
    triggers: Map<string, Trigger[]>,
    orphans: Instance[],
): Group[] {
    const nameOf = (group: string) => {
        const electorate = view.groups.get(group)?.electorate;
        // No group's name has a colon.
        return electorate === undefined ? group : `:${scope.electorateTag}=${electorate}`;
    };
    const members = new Map([...view.groups.values()].flatMap((group) => group.members.map((one) => [one.id, one])));
    // Where an instance belongs is what Auto Scaling lists; its own tag may lag, and counts only if no group lists it.
    const homeOf = ({ id, group = "" }: Tagged) => nameOf(members.get(id)?.group ?? view.homes.get(id)?.group ?? group);
    const isOrphan = (id: string) => orphans.some((orphan) => orphan.id === id);
    const strangers = [...view.tagged.values()].filter(({ id }) => !members.has(id) && !isOrphan(id));
    const strangersByName = groupedBy(strangers, homeOf);
    const groupsByName = groupedBy([...view.groups.keys()].sort(), nameOf);

    const groups = new Map<string, Group>();
    for (const [group, ownTriggers] of triggers) {
        const name = nameOf(group);
        const names = groupsByName.get(name) ?? [];
        const listed = names.flatMap((one) => view.groups.get(one) ?? []);
        groups.set(name, {
            name,
            ...(name === group ? {} : { groups: names }),
            exists: listed.length > 0,
            desired: listed.reduce((sum, { desired }) => sum + desired, 0),
            instances: [
                ...listed.flatMap((one) =>
                    one.members.map((member) => ({
                        ...toInstance(
                            view.tagged.get(member.id) ?? { id: member.id, leads: false, vetoed: false },
                            batch,
                        ),
                        listed: member,
                    })),
                ),
                ...(strangersByName.get(name) ?? []).map((instance) => {
                    const home = view.homes.get(instance.id);
                    // The two lists of Auto Scaling may differ for a moment. In a warm pool an instance is no member.
                    const isMember = home && !home.lifecycleState.startsWith("Warmed:");
                    return { ...toInstance(instance, batch), ...(isMember ? { listed: home } : {}) };
                }),
            ],
            orphans: orphans.filter(({ id }) => batch.detached.get(id)?.some((left) => names.includes(left))),
            triggers: [...new Set([...(groups.get(name)?.triggers ?? []), ...ownTriggers])],
            protecting: listed.filter(({ protectsNew }) => protectsNew).map((one) => one.name),
            latestWritten: 0,
            flapping: false,
            handingOver: false,
        });
    }
    return [...groups.values()];
}

function toInstance(
    { id, state, leads, since, vetoed }: Pick<Tagged, "id" | "leads" | "vetoed"> & Partial<Tagged>,
    { launched }: Batch,
): Instance {
    return {
        id,
        ...(state === undefined ? {} : { state }),
        leads,
        ...(since === undefined ? {} : { since }),
        vetoed,
        launched: launched.has(id),
        warned: false,
        refused: false,
    };
}

function groupedBy<T>(list: T[], nameOf: (item: T) => string): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of list) {
        const group = groups.get(nameOf(item)) ?? [];
        groups.set(nameOf(item), group);
        group.push(item);
    }
    return groups;
}
