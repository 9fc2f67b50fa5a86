import type { World } from "./world";

/** Which groups are the stack's, and what marks their leaders. */
export interface Scope {
    asgPrefix: string;
    tagKey: string;
}

/** A world with two groups of the stack in it, and one that is none of its business. */
export interface Stage extends World {
    scope: Scope;
    /** Group names by what they are called on the stage. */
    groups: Record<"shop" | "blog" | "jobs", string>;
}

const visibleMillis = 15 * 60 * 1000; // EC2 shows a terminated instance for a while, up to an hour

/** Puts the groups on the stage, without members yet; the foreign one has a leader of its own. */
export function setStage(world: World, scope: Scope): Stage {
    const { asgPrefix } = scope;
    const foreign = ["legacy-jobs", "nightly-jobs"].find((name) => !name.startsWith(asgPrefix)) as string;
    const { region, fleet, timeline } = world;
    region.watchers.push((id) => {
        if (region.state(id) === "terminated") {
            timeline.at(timeline.now + visibleMillis, () => region.instances.delete(id));
        }
    });
    const groups = { shop: `${asgPrefix}e-shop`, blog: `${asgPrefix}e-blog`, jobs: foreign };
    fleet.addGroup(groups.shop, 0);
    fleet.addGroup(groups.blog, 0);
    const [first] = fleet.addGroup(groups.jobs, 2);
    region.setTags(first, { [scope.tagKey]: "true", [`${scope.tagKey}:since`]: "2026-01-01T00:00:00.000Z" });
    return { ...world, scope, groups };
}
