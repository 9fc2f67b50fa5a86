// What to look at: first the groups that events name, then, in a sweep, all others, a page at a time.
import { assemble, findOrphan, unlistedLeaders, type View } from "./assemble";
import { chunks, isRefusal } from "./aws/answers";
import type { Aws } from "./aws/clients";
import {
    inGroups,
    inOurGroups,
    type ListedGroup,
    type Member,
    readElectorates,
    readGroupPages,
    readGroups,
    readHomes,
    readTagged,
    type Tagged,
    withIds,
} from "./aws/describe";
import { addTrigger, type Batch, detachType, type Trigger } from "./events";
import { isEnded, isEnding, type ObservedGroup, type ObservedInstance } from "./group";
import { warn } from "./log";
import { isOurs, type Scope } from "./scope";

/** Groups that are observed, decided, ranked and written together. */
export interface Round {
    groups: ObservedGroup[];
    /** Instances in no group at all that still carry the leader's tags. */
    orphans: ObservedInstance[];
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
interface Rest {
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
async function observeNamed(aws: Aws, batch: Batch): Promise<Round> {
    let reading: Reading = { ...nothingRead(), departing: [], asked: new Set(), unread: [] };
    for (let open = openQuestions(aws.scope, batch, reading); open.length > 0; ) {
        reading = await answered(aws, reading, open);
        open = openQuestions(aws.scope, batch, reading);
    }
    const { electorateTag, handoverSeconds } = aws.scope;
    const failed = new Set(reading.unread.flatMap(({ groups }) => groups));
    // Its successor must wait for the pause, which no election of its group would know of.
    const waits = (id: string) => handoverSeconds > 0 && batch.detached.get(id)?.some((left) => failed.has(left));
    const orphans = mentioned(batch).flatMap((id) => (waits(id) ? [] : (findOrphan(reading, batch, id) ?? [])));
    const groups = assemble(electorateTag, batch, reading, triggersOf(aws.scope, batch, reading), orphans);
    const isRead = ({ name, groups: names = [name] }: ObservedGroup) => !names.some((group) => failed.has(group));
    return { groups: groups.filter(isRead), orphans, unread: reading.unread };
}

/** What was read of the groups that events name. */
interface Reading extends View {
    /** Leaders among the instances that depart. */
    departing: Tagged[];
    /** Questions that were asked, whatever came of them. */
    asked: Set<string>;
    unread: Unread[];
}

/** What is asked: about a group, the groups of an electorate, a departing instance, an instance's tags or its group. */
interface Question {
    of: "group" | "electorate" | "departure" | "tags" | "home";
    name: string;
}

const keyOf = ({ of, name }: Question) => `${of} ${name}`;

const nothingRead = (): View => ({ groups: new Map(), tagged: new Map(), homes: new Map() });

/** Instances that events mention without saying where they belong. */
const mentioned = ({ detached, unplaced }: Batch): string[] => [...new Set([...detached.keys(), ...unplaced.keys()])];

/** What has to be asked, as far as is known from what was read. */
function openQuestions(scope: Scope, batch: Batch, reading: Reading): Question[] {
    const about = (of: Question["of"], names: Iterable<string>) =>
        [...new Set(names)].map((name): Question => ({ of, name })).filter((one) => !reading.asked.has(keyOf(one)));
    const triggers = triggersOf(scope, batch, reading);
    const electorates = [...triggers.keys()].flatMap((name) => reading.groups.get(name)?.electorate ?? []);
    const open = [
        ...about("departure", batch.departing.keys()),
        ...about("tags", mentioned(batch)),
        ...about("home", mentioned(batch)),
        ...about("group", triggers.keys()),
        ...about("electorate", electorates),
    ];
    // Before all groups are read, a leader's group may only seem not to list it.
    const isListed = !open.some(({ of }) => of === "group" || of === "electorate");
    const lost = unlistedLeaders(reading, (group) => triggers.has(group) || reading.groups.has(group));
    return isListed
        ? [
              ...open,
              ...about(
                  "home",
                  lost.map(({ id }) => id),
              ),
          ]
        : open;
}

/** Adds the answers to what was read; what can't be read fails for the groups that need it. */
async function answered(aws: Aws, reading: Reading, open: Question[]): Promise<Reading> {
    const namesOf = (of: Question["of"]) => open.filter((question) => question.of === of).map(({ name }) => name);
    const [groups, electorates, homes] = [namesOf("group"), namesOf("electorate"), namesOf("home")];
    const together = [...reading.groups.values()].filter(({ electorate = "" }) => electorates.includes(electorate));
    const ownGroups = homes.flatMap((id) => reading.tagged.get(id)?.group ?? []);
    const answers = await Promise.all([
        // Most state changes concern other instances; one filtered read finds ours.
        orUnread([], readTagged(aws, withIds(namesOf("departure")), inOurGroups(aws)).then(leadersAmong)),
        orUnread(
            [],
            readTagged(aws, withIds(namesOf("tags"))).then((tagged) => ({ tagged })),
        ),
        orUnread(
            ownGroups,
            readHomes(aws, homes).then((found) => ({ homes: withMissing(homes, found) })),
        ),
        orUnread(groups, readNamed(aws, groups)),
        orUnread(
            together.map(({ name }) => name),
            readElectorates(aws, electorates).then((listed) => ({ groups: listed })),
        ),
    ]);
    return {
        ...added(reading, answers),
        departing: [...reading.departing, ...answers.flatMap(({ departing = [] }) => departing)],
        asked: new Set([...reading.asked, ...open.map(keyOf)]),
        unread: [...reading.unread, ...answers.flatMap(({ unread = [] }) => unread)],
    };
}

/** What one reading adds. */
interface Answer {
    groups?: ListedGroup[];
    tagged?: Tagged[];
    homes?: [string, Member | undefined][];
    departing?: Tagged[];
    unread?: Unread[];
}

/** A view with what answers add; later reads replace earlier ones. */
function added(view: View, answers: Answer[]): View {
    return {
        groups: new Map([
            ...view.groups,
            ...byKey(
                answers.flatMap(({ groups = [] }) => groups),
                ({ name }) => name,
            ),
        ]),
        tagged: new Map([
            ...view.tagged,
            ...byKey(
                answers.flatMap(({ tagged = [] }) => tagged),
                ({ id }) => id,
            ),
        ]),
        homes: new Map([...view.homes, ...answers.flatMap(({ homes = [] }) => homes)]),
    };
}

const byKey = <T>(list: T[], keyOf: (item: T) => string): [string, T][] => list.map((item) => [keyOf(item), item]);

const orUnread = (groups: string[], reading: Promise<Answer>): Promise<Answer> =>
    reading.catch((error: Error) => ({ unread: [{ groups, error }] }));

const leadersAmong = (tagged: Tagged[]): Answer => ({ departing: tagged.filter(({ leads }) => leads) });

const withMissing = (ids: string[], found: Map<string, Member>): [string, Member | undefined][] =>
    ids.map((id) => [id, found.get(id)]);

/** Reads groups by their names, and what their instances' tags say. */
async function readNamed(aws: Aws, names: string[]): Promise<Answer> {
    // An electorate's leader may be in any of its groups, and the tags of one that has just moved may lag.
    const filters = aws.scope.electorateTag && names.length > 0 ? [] : [inGroups(names)];
    const [groups, tagged] = await Promise.all([readGroups(aws, names), readTagged(aws, ...filters)]);
    return { groups, tagged };
}

/** The groups that the batch asks for, as far as is known from what was read, each with the events that ask. */
function triggersOf(scope: Scope, batch: Batch, { tagged, homes, departing }: Reading): Map<string, Trigger[]> {
    const triggers = new Map(batch.triggers);
    const add = (group?: string, trigger?: Trigger) =>
        trigger && isOurs(scope, group) ? addTrigger(triggers, group, trigger) : undefined;
    const homeOf = (id: string) => homes.get(id)?.group;
    for (const { id, group } of departing) {
        add(group, batch.departing.get(id));
    }
    for (const [id, trigger] of batch.unplaced) {
        add(homeOf(id), trigger);
    }
    const leads = (id: string) => tagged.get(id)?.leads;
    for (const id of [...batch.detached.keys()].filter(leads)) {
        add(homeOf(id), { type: detachType });
    }
    // A leader that went to another group asks for an election there, too.
    const isMoved = ({ id, group, state }: Tagged) => leads(id) && !isEnding({ state }) && group !== homeOf(id);
    for (const { id, group = "" } of [...tagged.values()].filter(isMoved)) {
        if (!batch.detached.has(id) && !batch.unplaced.has(id)) {
            add(homeOf(id), triggers.get(group)?.[0]);
        }
    }
    for (const name of [...triggers.keys()]) {
        add(name, batch.sweep);
    }
    return triggers;
}

/** Looks at every group that is not seen yet, a page at a time, then at electorates, whose groups may be on any page. */
async function* sweep(aws: Aws, batch: Batch, seen: Set<string>, startingToken?: string): AsyncGenerator<Round> {
    const triggers = (names: string[]) => new Map(names.map((name) => [name, [batch.sweep as Trigger]]));
    const reading = readTagged(aws);
    reading.catch(() => {}); // awaited with the first page
    const later: string[] = []; // electorates' groups
    let view = nothingRead();
    let orphans: ObservedInstance[] | undefined;
    let rest: Rest = { names: later, hasPages: true, nextToken: startingToken };
    try {
        for await (const page of pagesFrom(aws, startingToken)) {
            if (orphans === undefined) {
                view = await withSuspects(aws, added(view, [{ tagged: await reading }]));
                orphans = [...view.homes.keys()].flatMap((id) => findOrphan(view, batch, id) ?? []);
            }
            const fresh = page.groups.filter(({ name }) => !seen.has(name));
            later.push(...fresh.flatMap(({ name, electorate }) => (electorate ? [name] : [])));
            const names = fresh.flatMap(({ name, electorate }) => (electorate ? [] : [name]));
            view = await withHomesOf(aws, added(view, [{ groups: page.groups }]), names);
            rest = { names: later, hasPages: page.hasMore, nextToken: page.nextToken };
            yield {
                groups: assemble(aws.scope.electorateTag, batch, view, triggers(names), []),
                orphans,
                unread: [],
                rest,
            };
            orphans = [];
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
        const names = groups.slice((index + 1) * groupsInRound).map(({ name }) => name);
        yield { groups: round, orphans: [], unread: [], rest: { names, hasPages: false } };
    }
}

/** Adds how Auto Scaling lists the leaders that groups of these names don't list, though their own tags name them. */
async function withHomesOf(aws: Aws, view: View, names: string[]): Promise<View> {
    return withHomes(
        aws,
        view,
        unlistedLeaders(view, (group) => names.includes(group)),
    );
}

async function withHomes(aws: Aws, view: View, instances: { id: string }[]): Promise<View> {
    const ids = instances.map(({ id }) => id);
    return added(view, [{ homes: withMissing(ids, await readHomes(aws, ids)) }]);
}

/** Adds how Auto Scaling lists the leaders that name no group: those that it lists nowhere are orphans. */
async function withSuspects(aws: Aws, view: View): Promise<View> {
    const suspects = [...view.tagged.values()].filter(
        ({ leads, since, group, state }) => leads && since !== undefined && group === undefined && !isEnded({ state }),
    );
    try {
        return await withHomes(aws, view, suspects);
    } catch (error) {
        warn("orphans keep their tags", error); // no group needs to wait for that
        return view;
    }
}

/** The pages of all groups from a token on, and then those before it. */
async function* pagesFrom(
    aws: Aws,
    startingToken?: string,
): AsyncGenerator<{ groups: ListedGroup[]; hasMore: boolean; nextToken?: string }> {
    const names = new Set<string>();
    if (startingToken !== undefined) {
        try {
            for await (const page of readGroupPages(aws, startingToken)) {
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
    for await (const page of readGroupPages(aws)) {
        const hasMore = page.nextToken !== undefined && !page.groups.some(({ name }) => names.has(name));
        yield { ...page, hasMore };
        if (!hasMore) {
            break;
        }
    }
}
