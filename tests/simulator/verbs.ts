// One table of verbs for what can happen to a fleet: histories, regressions and the rehearsal's day are made of them.
import { spotEvent } from "./aws/events";
import { groupKey, type Region } from "./aws/region";
import { hour, isoTime, second } from "./clock";
import type { Electorates, Franchise } from "./electorates";
import type { World } from "./world";

/** Where something happens: a world, and what its stack is responsible for. */
export interface Scene extends World {
    scope: Franchise;
    electorates: Electorates;
}

/** A value of the tag `since`, in relation to the leader's and to the time. */
export type Since = "none" | "earlier" | "now" | "same" | "soon" | "later" | "malformed" | "farFuture" | "edge";

type OfInstance = { id: string };
type OfGroup = { group: string };
type ForAWhile = { millis: number };
type List = keyof Region["leftOut"];

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
    endSlowly: ({ fleet }: Scene, { id, millis }: OfInstance & ForAWhile) => fleet.crash(id, millis),
    stop: ({ fleet }: Scene, { id }: OfInstance) => fleet.stop(id),
    start: ({ fleet }: Scene, { id }: OfInstance) => fleet.start(id),
    becomeUnhealthy: ({ fleet }: Scene, { id }: OfInstance) => fleet.becomeUnhealthy(id),
    recover: ({ fleet }: Scene, { id }: OfInstance) => fleet.recover(id),
    enterStandby: ({ fleet }: Scene, { id }: OfInstance) => fleet.enterStandby(id),
    exitStandby: ({ fleet }: Scene, { id }: OfInstance) => fleet.exitStandby(id),
    detach: ({ fleet }: Scene, { id }: OfInstance) => fleet.detach(id),
    attach: ({ fleet }: Scene, { id, group }: OfInstance & OfGroup) => fleet.attach(id, group),
    /** The instance is detached from its group, and attached to another one later. */
    move: ({ fleet, timeline }: Scene, { id, group, millis }: OfInstance & OfGroup & ForAWhile) => {
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
    protect: ({ region }: Scene, { id, on }: OfInstance & { on: boolean }) =>
        region.memberOf(id) && region.setMember(id, { protected: on }),
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
    joinElectorate: (scene: Scene, { group, electorate }: OfGroup & { electorate?: string }) =>
        tagGroup(scene, group, scene.scope.electorateTag, electorate),
    /** A group's tag pauses its elections, with a value in whatever case, or does no more. */
    pause: (scene: Scene, { group, value }: OfGroup & { value?: string }) =>
        tagGroup(scene, group, `${scene.scope.tagKey}:paused`, value),
    /** The instance's own tag names another group for a while, as it may after a move. */
    nameOldGroup: ({ region, timeline }: Scene, { id, group, millis }: OfInstance & OfGroup & ForAWhile) => {
        const own = region.tags(id)[groupKey];
        region.setTags(id, { [groupKey]: group });
        timeline.at(timeline.now + millis, () => region.setTags(id, { [groupKey]: own }));
    },
    /** One of Auto Scaling's two lists leaves a member out for a while. */
    leaveOut: ({ region, timeline }: Scene, { id, of, millis }: OfInstance & ForAWhile & { of: List }) => {
        region.leaveOut(id, of, true);
        timeline.at(timeline.now + millis, () => region.leaveOut(id, of, false));
    },
    /** A group that has no members is deleted. */
    remove: ({ fleet, region }: Scene, { group }: OfGroup) =>
        fleet.members(group).length === 0 && region.groups.delete(group),
};

/** A group's tag gets another value, or goes. */
function tagGroup({ region }: Scene, group: string, key: string, value: string | undefined): void {
    const tags = region.groups.get(group)?.tags ?? {};
    delete tags[key];
    Object.assign(tags, value === undefined ? {} : { [key]: value });
}

function sinceTag({ region, timeline: { now }, scope: { tagKey }, electorates }: Scene, id: string, since: Since) {
    const key = `${tagKey}:since`;
    const group = region.tags(id)[groupKey];
    const leader = group === undefined ? undefined : electorates.leaders(electorates.nameOf(group))[0];
    const leads = leader === undefined ? undefined : region.tags(leader)[key];
    const led = Date.parse(leads ?? "");
    const values: Record<Since, string | undefined> = {
        none: undefined,
        earlier: isoTime(now - hour),
        now: isoTime(now),
        same: leads,
        soon: isoTime((led <= now + 24 * hour ? led : now) + 1),
        later: isoTime(now + hour),
        malformed: "yesterday",
        farFuture: isoTime(now + 48 * hour),
        edge: isoTime(now + 24 * hour + 5 * second),
    };
    return values[since] === undefined ? {} : { [key]: values[since] };
}
