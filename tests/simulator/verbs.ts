// One table of verbs for what can happen to a fleet: histories, regressions and the rehearsal's day are made of them.
import { spotEvent } from "./aws/events";
import { groupKey } from "./aws/region";
import type { Electorates, Franchise } from "./electorates";
import type { World } from "./world";

/** Where something happens: a world, and what its stack is responsible for. */
export interface Scene extends World {
    scope: Franchise;
    electorates: Electorates;
}

/** A value of the tag `since`, in relation to the leader's and to the time. */
export type Since = "none" | "earlier" | "now" | "same" | "soon" | "later" | "malformed" | "farFuture" | "edge";

interface OfInstance {
    id: string;
}

interface OfGroup {
    group: string;
}

const hourMillis = 60 * 60 * 1000;

/** What can't happen at the time doesn't. */
export const verbs = {
    launch: ({ fleet }: Scene, { group, hook }: OfGroup & { hook: boolean }) => fleet.launch(group, { hook }),
    failLaunch: ({ fleet }: Scene, { group, withInstance }: OfGroup & { withInstance: boolean }) =>
        fleet.failLaunch(group, withInstance),
    scale: ({ fleet }: Scene, { group, size, hook }: OfGroup & { size: number; hook: boolean }) =>
        fleet.scale(group, size, { hook }),
    /** The instance's group gets smaller by one, and terminates this instance first, if it is not protected. */
    scaleIn: ({ fleet, region }: Scene, { id, hook }: OfInstance & { hook: boolean }) => {
        const group = region.memberOf(id)?.group.name ?? "";
        return fleet.size(group) > 0 ? fleet.scale(group, fleet.size(group) - 1, { hook, first: id }) : [];
    },
    terminate: ({ fleet }: Scene, { id, hook }: OfInstance & { hook: boolean }) => fleet.terminate(id, { hook }),
    retire: ({ fleet }: Scene, { id }: OfInstance) => fleet.retire(id),
    crash: ({ fleet }: Scene, { id }: OfInstance) => fleet.crash(id),
    /** It is shutting down for a while, and works on. */
    endSlowly: ({ fleet }: Scene, { id, millis }: OfInstance & { millis: number }) => fleet.crash(id, millis),
    stop: ({ fleet }: Scene, { id }: OfInstance) => fleet.stop(id),
    start: ({ fleet }: Scene, { id }: OfInstance) => fleet.start(id),
    becomeUnhealthy: ({ fleet }: Scene, { id }: OfInstance) => fleet.becomeUnhealthy(id),
    recover: ({ fleet }: Scene, { id }: OfInstance) => fleet.recover(id),
    enterStandby: ({ fleet }: Scene, { id }: OfInstance) => fleet.enterStandby(id),
    exitStandby: ({ fleet }: Scene, { id }: OfInstance) => fleet.exitStandby(id),
    detach: ({ fleet }: Scene, { id }: OfInstance) => fleet.detach(id),
    attach: ({ fleet }: Scene, { id, group }: OfInstance & OfGroup) => fleet.attach(id, group),
    /** The instance is detached from its group, and attached to another one later. */
    move: ({ fleet, timeline }: Scene, { id, group, millis }: OfInstance & OfGroup & { millis: number }) => {
        fleet.detach(id);
        timeline.at(timeline.now + millis, () => fleet.attach(id, group));
    },
    toWarmPool: ({ fleet }: Scene, { id, running }: OfInstance & { running: boolean }) => fleet.toWarmPool(id, running),
    fromWarmPool: ({ fleet }: Scene, { id }: OfInstance) => fleet.fromWarmPool(id),
    warn: ({ fleet }: Scene, { id }: OfInstance) => fleet.warn(id),
    /** EC2 warns, and the interruption doesn't come. */
    warnInVain: ({ region, timeline }: Scene, { id }: OfInstance) => region.emit(spotEvent(timeline.now, id)),
    /** The group's health checks are suspended: it doesn't notice what becomes of its members. */
    suspend: ({ fleet }: Scene, { group }: OfGroup) => fleet.suspended.add(group),
    /** The instance's protection from scaling in is set or removed. */
    protect: ({ region }: Scene, { id, on }: OfInstance & { on: boolean }) => {
        if (region.memberOf(id)) {
            region.setMember(id, { protected: on });
        }
    },
    /** CPU load in percent, and the status of EC2's checks. */
    condition: ({ region }: Scene, { id, load, checks }: OfInstance & { load: number | undefined; checks: string }) =>
        Object.assign(region.instance(id), { load, checks }),
    strip: ({ region, scope: { tagKey } }: Scene, { id, what }: OfInstance & { what: "leader" | "since" | "both" }) =>
        region.setTags(id, {
            ...(what === "since" ? {} : { [tagKey]: undefined }),
            ...(what === "leader" ? {} : { [`${tagKey}:since`]: undefined }),
        }),
    /** The instance gets the leader tag, as an operator sets it or a copy brings it. */
    tag: (scene: Scene, { id, value, since }: OfInstance & { value: string; since: Since }) =>
        scene.region.setTags(id, { [scene.scope.tagKey]: value, ...sinceTag(scene, id, since) }),
    /** The operator vetoes the instance, or takes the veto back. */
    veto: ({ region, scope: { tagKey } }: Scene, { id, on }: OfInstance & { on: boolean }) =>
        region.setTags(id, { [`${tagKey}:eligible`]: on ? "False" : undefined }),
    /** The instance gets as many tags as it may have. */
    fill: ({ region }: Scene, { id }: OfInstance) => {
        const count = Object.keys(region.tags(id)).filter((key) => !key.startsWith("aws:")).length;
        const more = Array.from({ length: 50 - count }, (_, index) => [`more-${count + index}`, ""]);
        region.setTags(id, Object.fromEntries(more));
    },
    /** EC2 schedules the instance's retirement, or does no more. */
    schedule: ({ region }: Scene, { id, on }: OfInstance & { on: boolean }) => {
        region.instance(id).scheduled = on ? ["The instance is running on degraded hardware"] : [];
    },
    /** The time since which a leader leads is changed. */
    date: (scene: Scene, { id, since }: OfInstance & { since: Since }) =>
        scene.region.setTags(id, sinceTag(scene, id, since)),
    /** A group gets another value of the electorates' tag, or loses the tag. */
    joinElectorate: (
        { region, scope: { electorateTag } }: Scene,
        { group, electorate }: OfGroup & { electorate?: string },
    ) => {
        const tags = region.groups.get(group)?.tags;
        if (tags) {
            delete tags[electorateTag];
            Object.assign(tags, electorate === undefined ? {} : { [electorateTag]: electorate });
        }
    },
    /** A group's tag pauses its elections, with a value in whatever case, or does no more. */
    pause: ({ region, scope: { tagKey } }: Scene, { group, value }: OfGroup & { value?: string }) => {
        const tags = region.groups.get(group)?.tags;
        if (tags) {
            delete tags[`${tagKey}:paused`];
            Object.assign(tags, value === undefined ? {} : { [`${tagKey}:paused`]: value });
        }
    },
    /** The instance's own tag names no group for a while, as it may just after an instance was attached. */
    nameNoGroup: ({ region, timeline }: Scene, { id, millis }: OfInstance & { millis: number }) => {
        const group = region.tags(id)[groupKey];
        region.setTags(id, { [groupKey]: undefined });
        timeline.at(timeline.now + millis, () => region.setTags(id, { [groupKey]: group }));
    },
    /** It names another group for a while, as it may after a move. */
    nameOldGroup: ({ region, timeline }: Scene, { id, group, millis }: OfInstance & OfGroup & { millis: number }) => {
        const own = region.tags(id)[groupKey];
        region.setTags(id, { [groupKey]: group });
        timeline.at(timeline.now + millis, () => region.setTags(id, { [groupKey]: own }));
    },
    /** One of Auto Scaling's two lists leaves a member out for a while. */
    leaveOut: (
        { region, timeline }: Scene,
        { id, of, millis }: OfInstance & { of: "groups" | "instances"; millis: number },
    ) => {
        region.leaveOut(id, of, true);
        timeline.at(timeline.now + millis, () => region.leaveOut(id, of, false));
    },
    /** A group that has no members is deleted. */
    remove: ({ fleet, region }: Scene, { group }: OfGroup) => {
        if (fleet.members(group).length === 0) {
            region.groups.delete(group);
        }
    },
};

export type Verb = keyof typeof verbs;

/** What a verb takes beside the scene: the instance or the group that it is about, and more. */
export type Args<V extends Verb> = Parameters<(typeof verbs)[V]>[1];

function sinceTag({ region, timeline, scope: { tagKey }, electorates }: Scene, id: string, since: Since) {
    const key = `${tagKey}:since`;
    const group = region.tags(id)[groupKey];
    const leader = group === undefined ? undefined : electorates.leaders(electorates.nameOf(group))[0];
    const leads = leader === undefined ? undefined : region.tags(leader)[key];
    const led = Date.parse(leads ?? "");
    const at = (millis: number): Record<string, string> => ({ [key]: new Date(millis).toISOString() });
    switch (since) {
        case "none":
            return {};
        case "earlier":
            return at(timeline.now - hourMillis);
        case "now":
            return at(timeline.now);
        case "same":
            return leads === undefined ? {} : { [key]: leads };
        case "soon":
            return at((led <= timeline.now + 24 * hourMillis ? led : timeline.now) + 1);
        case "later":
            return at(timeline.now + hourMillis);
        case "malformed":
            return { [key]: "yesterday" };
        case "farFuture":
            return at(timeline.now + 48 * hourMillis);
        case "edge":
            return at(timeline.now + 24 * hourMillis + 5000);
    }
}
