// An Elastic Beanstalk environment: groups that carry the same value of a tag, and what they and their leader go through.

import { expect } from "chai";
import { only } from "../simulator/lists";
import { inPermittedWorld, type Options, programWith, tagKey } from "../simulator/scenario";
import type { World } from "../simulator/world";

export const electorateTag = "elasticbeanstalk:environment-name";
/** The environment's group, and the one that an immutable update puts beside it. */
export const blue = "awseb-e-abc-stack-AWSEBAutoScalingGroup-1";
export const green = "awseb-e-abc-stack-AWSEBAutoScalingGroup-2";

export const environment = (value = "shop"): Record<string, string> => ({ [electorateTag]: value });

/** A test in a region of its own, whose stack elects by the tag; its policy must allow every call. */
export function environmentRule(name: string, act: (world: World) => Promise<void>): void {
    it(name, async () => inPermittedWorld(await programWith({ electorateTag }), act));
}

/** A group with members of given ids. */
export function addGroup(
    { region }: World,
    name: string,
    tags: Record<string, string>,
    members: Record<string, Options>,
): void {
    region.addGroup(name, tags);
    for (const [id, options] of Object.entries(members)) {
        region.addInstance(name, { id, ...options });
    }
}

/** Two groups with the same value of the tag. */
export function addElectorate(
    world: World,
    members: Record<string, Options>,
    others: Record<string, Options>,
    [first, second] = [blue, green],
): void {
    addGroup(world, first, environment(), members);
    addGroup(world, second, environment(), others);
}

/** Live leaders of all groups of the prefix. */
export function leadersOfAll({ region }: World): string[] {
    const ours = [...region.groups.keys()].filter((name) => name.startsWith("awseb-"));
    return ours.flatMap((name) => region.leaders(name, tagKey)).sort();
}

const isTagged = ({ tags }: { tags: Record<string, string> }): boolean => tags[electorateTag] === "shop";

/** The only live leader of the groups with the tag, one of those that may lead. */
export function expectLeaderOfShop({ region, fleet }: World, mayLead?: string[]): string {
    const tagged = [...region.groups.values()].filter(isTagged).map(({ name }) => name);
    const leaders = tagged.flatMap((name) => region.leaders(name, tagKey));
    expect(leaders, "live leaders").to.have.length(1);
    expect(mayLead ?? tagged.flatMap((name) => fleet.members(name)), "instances that may lead").to.include(leaders[0]);
    return only(leaders);
}

/** Notes writes that leave two live leaders in these groups, or none though the last one is still a fit member. */
export function watch(world: World): string[] {
    const { region } = world;
    const breaches: string[] = [];
    const current = () => {
        const listed = [...region.groups.values()]
            .filter(isTagged)
            .flatMap(({ members }) => members.map(({ id }) => id));
        const lives = (id: string) => !["shutting-down", "terminated"].includes(region.state(id));
        return listed.filter((id) => lives(id) && region.tags(id)[tagKey] === "true");
    };
    const isFit = (id: string) => {
        const { lifecycleState, healthStatus } = region.memberOf(id)?.member ?? {};
        return lifecycleState === "InService" && healthStatus === "Healthy" && region.state(id) === "running";
    };
    let before = current();
    region.afterWrite.push(({ action }) => {
        const leaders = current();
        if (leaders.length > 1 && leaders.length > before.length) {
            breaches.push(`${action} left ${leaders.join(" and ")} as leaders`);
        }
        if (leaders.length === 0 && before.some(isFit)) {
            breaches.push(`${action} left none, though ${before.filter(isFit).join()} was fit`);
        }
        before = leaders;
    });
    return breaches;
}
