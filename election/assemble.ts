// Puts together what was read: groups, or electorates, with their instances; and finds orphans among the rest.
import { groupedBy } from "./aws/answers";
import type { ListedGroup, Member, Tagged } from "./aws/describe";
import type { Batch, Trigger } from "./events";
import { electorateName, isEnded, isEnding, type ObservedGroup, type ObservedInstance } from "./group";

/** What was read so far. */
export interface View {
    groups: Map<string, ListedGroup>;
    tagged: Map<string, Tagged>;
    /** How Auto Scaling lists an instance that was asked for; undefined if it is in no group. */
    homes: Map<string, Member | undefined>;
}

/** Leaders whose own tag names a group that does not list them, unless Auto Scaling was asked for them, or they end anyway. */
export const unlistedLeaders = ({ groups, tagged, homes }: View, isAbout: (group: string) => boolean): Tagged[] => {
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
};

/** The instance with this id, if it is in no group at all and led one of the stack's. */
export const findOrphan = (view: View, batch: Batch, id: string): ObservedInstance | undefined => {
    const { groups, tagged, homes } = view;
    const instance = tagged.get(id);
    // The two lists of Auto Scaling may differ for a moment.
    const isListed = [...groups.values()].some(({ members }) => members.some((member) => member.id === id));
    const isInNone = homes.has(id) && homes.get(id) === undefined && !isListed;
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
    const groupsByName = groupedBy([...view.groups.values()].sort(byName), ({ name }) => nameOf(name));
    const known = new Set([...view.groups.values()].flatMap(({ members }) => members.map(({ id }) => id)));
    const strangers = [...view.tagged.values()].filter(
        ({ id }) => !known.has(id) && !orphans.some((one) => one.id === id),
    );
    // Where an instance belongs is what Auto Scaling lists; its own tag may lag, and counts only if no group lists it.
    const homeOf = ({ id, group = "" }: Tagged) => view.homes.get(id)?.group ?? group;
    const strangersByName = groupedBy(strangers, (instance) => nameOf(homeOf(instance)));
    const triggersByName = groupedBy([...triggers], ([group]) => nameOf(group));
    return [...triggersByName].map(([name, named]) => {
        const listed = groupsByName.get(name) ?? [];
        const names = listed.map((group) => group.name);
        const isElectorate = !named.some(([group]) => group === name);
        return {
            name,
            ...(isElectorate ? { groups: names } : {}),
            exists: listed.length > 0,
            desired: listed.reduce((sum, { desired }) => sum + desired, 0),
            paused: listed.some(({ paused }) => paused),
            instances: [
                ...listed.flatMap(({ members }) => members.map((member) => observed(batch, view, member.id, member))),
                ...(strangersByName.get(name) ?? []).map(({ id }) => observed(batch, view, id, strayMember(view, id))),
            ],
            orphans: orphans.filter(({ id }) => batch.detached.get(id)?.some((left) => names.includes(left))),
            triggers: [...new Set(named.flatMap(([, own]) => own))],
            protecting: listed.filter(({ protectsNew }) => protectsNew).map((group) => group.name),
            emptying: listed.filter(({ desired }) => desired === 0).map((group) => group.name),
        };
    });
};

const byName = (a: ListedGroup, b: ListedGroup) => (a.name < b.name ? -1 : 1);

// The two lists of Auto Scaling may differ for a moment. In a warm pool an instance is no member.
const strayMember = ({ homes }: View, id: string): Member | undefined => {
    const home = homes.get(id);
    const isMember = home && !home.lifecycleState.startsWith("Warmed:");
    return isMember ? home : undefined;
};

/** An instance by its tags; one without any of the stack's tags was not read. */
const observed = ({ launched }: Batch, { tagged }: View, id: string, listed?: Member): ObservedInstance => {
    const { state, since, leads = false, vetoed = false } = tagged.get(id) ?? {};
    return { id, launched: launched.has(id), listed, state, leads, since, vetoed };
};
