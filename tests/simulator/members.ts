// Groups and members that tests start from.
import type { Region } from "./aws/region";
import { atFive, atFour, atHalfPastFive, isoTime } from "./clock";
import { found, times } from "./lists";
import { eligibleKey, shop, sinceKey, tagKey } from "./names";
import type { World } from "./world";

/** How an instance begins. */
export type Options = NonNullable<Parameters<Region["addInstance"]>[1]>;

export type Members = Record<string, Options>;

export const standby: Options = { lifecycleState: "Standby" };
export const unhealthy: Options = { healthStatus: "Unhealthy" };
export const vetoed: Options = { tags: { [eligibleKey]: "false" } };

/** Options of an instance that leads: since a time, or tagged by hand. */
export const leading = (since?: string, more: Options = {}, value = "true"): Options => ({
    ...more,
    tags: { [tagKey]: value, ...(since === undefined ? {} : { [sinceKey]: since }), ...more.tags },
});

/** Options of an instance that led once, and lost the tag alone. */
export const formerly = (since: string): Options => ({ tags: { [sinceKey]: since } });

/** Adds members to a group, by their ids; all of them are fit unless the options say otherwise. */
export function addMembers({ region }: World, members: Members, group = shop): void {
    for (const [id, options] of Object.entries(members)) {
        region.addInstance(group, { id, ...options });
    }
}

/** Adds a group whose oldest member leads since five; that member's id. */
export function addLedGroup({ region }: World, group: string, size: number): string {
    region.addGroup(group).desired = size;
    const [leader] = times(size, (index) => region.addInstance(group, index === 0 ? leading(atFive) : {}));
    return found(leader);
}

/** Adds groups of a size, each led by its oldest member since five or by none; their names. */
export function addGroups(world: World, count: number, size: number, led: "led" | "leaderless"): string[] {
    return times(count, (index) => {
        const name = `awseb-${index}`;
        led === "led" ? addLedGroup(world, name, size) : world.fleet.addGroup(name, size);
        return name;
    });
}

/** A group of ours with a leader, another that needs one, an orphan, and a foreign group with the tag; the ids that are ours. */
export function populate({ fleet, region }: World): string[] {
    const led = [leading(atFour), {}].map((options) => region.addInstance("awseb-led", options));
    const vacant = fleet.addGroup("awseb-vacant", 2);
    const orphan = region.addInstance(undefined, leading(atFive));
    region.addInstance("foreign", leading(atHalfPastFive));
    return [...led, ...vacant, orphan];
}

/** Takes the leader's tags off instances, as an operator may. */
export function untag({ region }: World, ...ids: string[]): void {
    for (const id of ids) {
        region.setTags(id, { [tagKey]: undefined, [sinceKey]: undefined });
    }
}

/** An operator hands over: tags an instance, with a `since` of now. */
export const tag = ({ region, timeline }: World, id: string): void =>
    region.setTags(id, { [tagKey]: "true", [sinceKey]: isoTime(timeline.now) });
