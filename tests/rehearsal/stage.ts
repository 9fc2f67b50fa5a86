// The stage of a rehearsal: a simulated region with two groups of the stack in it, and a foreign one.
import { Electorates, type Franchise, isOurs } from "../simulator/electorates";
import { firstOf, found } from "../simulator/lists";
import type { Scene } from "../simulator/verbs";
import type { World } from "../simulator/world";

/** A world with two groups of the stack in it, and one that is not the stack's. */
export interface Stage extends Scene {
    /** Group names by what they are called on the stage. */
    groups: Record<"shop" | "blog" | "jobs", string>;
}

/** Name of the group that an environment has beside its first while it is updated. */
export const secondOf = (group: string): string => `${group}-2`;

const visibleMillis = 15 * 60 * 1000; // EC2 shows a terminated instance for a while, up to an hour

/** How the groups are called in AWS. */
export function groupNames(scope: Pick<Franchise, "asgPrefixes">): Stage["groups"] {
    const asgPrefix = firstOf(scope.asgPrefixes);
    const foreign = found(["legacy-jobs", "nightly-jobs", "other-jobs"].find((name) => !isOurs(scope, name)));
    return { shop: `${asgPrefix}e-shop`, blog: `${asgPrefix}e-blog`, jobs: foreign };
}

/** Puts the groups on the stage, without members yet; the foreign one has a leader of its own. */
export function setStage(world: World, scope: Franchise): Stage {
    const { electorateTag } = scope;
    const { region, fleet, timeline } = world;
    region.onChange.push((id) => {
        if (region.state(id) === "terminated") {
            timeline.at(timeline.now + visibleMillis, () => region.instances.delete(id));
        }
    });
    const groups = groupNames(scope);
    const tags = (environment: string) => (electorateTag ? { [electorateTag]: environment } : undefined);
    fleet.addGroup(groups.shop, 0, tags("shop"));
    fleet.addGroup(groups.blog, 0, tags("blog"));
    const [first] = fleet.addGroup(groups.jobs, 2, tags("shop"));
    region.setTags(first, { [scope.tagKey]: "true", [`${scope.tagKey}:since`]: "2026-01-01T00:00:00.000Z" });
    return { ...world, scope, groups, electorates: new Electorates(region, scope) };
}
