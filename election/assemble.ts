// Puts together what was read: groups, or electorates, with their instances; and finds orphans among the rest.
import { groupedBy } from "./aws/answers";
import type { Member, Tagged, View } from "./aws/describe";
import type { Batch, Trigger } from "./events";
import { electorateName, isEnded, isEnding, type ObservedGroup, type ObservedInstance } from "./group";

/** Leaders whose own tag names a group that does not list them, unless Auto Scaling was asked for them, or they end anyway. */
export const unlistedLeaders = (view: View, isAbout: (group: string) => boolean): Tagged[] => {
    const members = memberIds(view);
    return [...view.tagged.values()].filter(({ id, group, leads, state }) => {
        const isUnlisted = group !== undefined && isAbout(group) && !members.has(id) && !view.homes.has(id);
        return leads && !isEnding({ state }) && isUnlisted;
    });
};

const memberIds = ({ groups }: View): Set<string> =>
    new Set([...groups.values()].flatMap(({ members }) => members.map(({ id }) => id)));

/** The instance with this id, if it is in no group at all and led one of the stack's. */
export const findOrphan = (batch: Batch, view: View, id: string): ObservedInstance | undefined => {
    const { tagged, homes } = view;
    const instance = tagged.get(id);
    // The two lists of Auto Scaling may differ for a moment.
    const isInNone = homes.has(id) && homes.get(id) === undefined && !memberIds(view).has(id);
    if (!instance?.leads || isEnded(instance) || !isInNone) {
        return undefined;
    }
    const { group, since } = instance;
    const left = batch.detached.get(id) ?? [];
    // Its own tag may lag and name the group that it left. If it names another one, it has led there since.
    const hasLed = group === undefined ? left.length > 0 || since !== undefined : left.includes(group);
    return hasLed ? observed(batch, view, id) : undefined;
};

/** Puts together what belongs together: a group, or all groups of an electorate, with their instances. */
export const assemble = (
    electorateTag: string,
    batch: Batch,
    view: View,
    triggers: Map<string, Trigger[]>,
    orphans: ObservedInstance[],
): ObservedGroup[] => {
    const nameOf = (group: string) => {
        const electorate = view.groups.get(group)?.electorate;
        return electorate === undefined ? group : electorateName(electorateTag, electorate);
    };
    const sorted = [...view.groups.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const groupsByName = groupedBy(sorted, ({ name }) => nameOf(name));
    const known = new Set([...memberIds(view), ...orphans.map(({ id }) => id)]);
    const unlisted = [...view.tagged.values()].filter(({ id }) => !known.has(id));
    // Where an instance belongs is what Auto Scaling lists; its own tag may lag, and counts only if no group lists it.
    const groupOf = ({ id, group = "" }: Tagged) => view.homes.get(id)?.group ?? group;
    const unlistedByName = groupedBy(unlisted, (instance) => nameOf(groupOf(instance)));
    const triggersByName = groupedBy([...triggers], ([group]) => nameOf(group));
    return [...triggersByName].map(([name, named]) => {
        const listed = groupsByName.get(name) ?? [];
        const names = listed.map((group) => group.name);
        const isElectorate = !named.some(([group]) => group === name); // no group has an electorate's name
        return {
            name,
            ...(isElectorate ? { groups: names } : {}),
            exists: listed.length > 0,
            desired: listed.reduce((sum, { desired }) => sum + desired, 0),
            paused: listed.some(({ paused }) => paused),
            instances: [
                ...listed.flatMap(({ members }) => members.map((member) => observed(batch, view, member.id, member))),
                ...(unlistedByName.get(name) ?? []).map(({ id }) => observed(batch, view, id, memberAt(view, id))),
            ],
            orphans: orphans.filter(({ id }) => batch.detached.get(id)?.some((left) => names.includes(left))),
            triggers: [...new Set(named.flatMap(([, events]) => events))],
            protecting: listed.filter(({ protectsNew }) => protectsNew).map((group) => group.name),
            emptying: listed.filter(({ desired }) => desired === 0).map((group) => group.name),
        };
    });
};

// The two lists of Auto Scaling may differ for a moment. In a warm pool an instance is no member.
const memberAt = ({ homes }: View, id: string): Member | undefined => {
    const home = homes.get(id);
    const isMember = home && !home.lifecycleState.startsWith("Warmed:");
    return isMember ? home : undefined;
};

/** An instance by its tags; one without any of the stack's tags was not read. */
const observed = ({ launched }: Batch, { tagged }: View, id: string, listed?: Member): ObservedInstance => {
    const { state, since, leads = false, vetoed = false } = tagged.get(id) ?? {};
    return { id, launched: launched.has(id), listed, state, leads, since, vetoed };
};
