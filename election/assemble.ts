// Puts together what was read: groups, or electorates, with their instances; and finds orphans among the rest.
import type { Aws } from "./aws";
import { type Group, type Instance, isEnding } from "./decide";
import { type ListedGroup, type Member, readHomes, type Tagged } from "./describe";
import type { Batch, Trigger } from "./events";
import type { Scope } from "./scope";

/** What was read so far. */
export interface View {
    groups: Map<string, ListedGroup>;
    tagged: Map<string, Tagged>;
    /** How Auto Scaling lists an instance that was asked for; undefined if it is in no group. */
    homes: Map<string, Member | undefined>;
}

export const homeNamed = ({ group }: Tagged): string => group as string;

/** Leaders whose own tag names a group that does not list them, unless Auto Scaling was asked for them, or they end anyway. */
export function unlistedLeaders({ groups, tagged, homes }: View, isAbout: (group: string) => boolean): Tagged[] {
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

export async function addHomes(aws: Aws, { homes }: View, instances: { id: string }[]): Promise<void> {
    const ids = instances.map(({ id }) => id);
    const found = await readHomes(aws, ids);
    for (const id of ids) {
        homes.set(id, found.get(id));
    }
}

/** The instance with this id, if it is in no group at all and led one of the stack's. */
export function findOrphan({ tagged, homes }: View, batch: Batch, id: string): Instance | undefined {
    const instance = tagged.get(id);
    const isInNone = homes.has(id) && homes.get(id) === undefined;
    if (!instance?.leads || instance.state === "terminated" || !isInNone) {
        return undefined;
    }
    const { group, since } = instance;
    const left = batch.detached.get(id) ?? [];
    // Its own tag may lag and name the group that it left. If it names another one, it has led there since.
    const hasLed = group === undefined ? left.length > 0 || since !== undefined : left.includes(group);
    return hasLed ? toInstance(instance, batch) : undefined;
}

/** Puts together what belongs together: a group, or all groups of an electorate, with their instances. */
export function assemble(
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
            emptying: listed.filter(({ desired }) => desired === 0).map((one) => one.name),
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
