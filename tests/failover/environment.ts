// An Elastic Beanstalk environment: groups that carry the same value of a tag, and what they and their leader go through.
import { expect } from "chai";
import { only } from "../simulator/lists";
import { addMembers, type Members } from "../simulator/members";
import { leadersOf, rule } from "../simulator/scenario";
import type { World } from "../simulator/world";

export const electorateTag = "elasticbeanstalk:environment-name";
/** The environment's group, and the one that an immutable update puts beside it. */
export const blue = "awseb-e-abc-stack-AWSEBAutoScalingGroup-1";
export const green = "awseb-e-abc-stack-AWSEBAutoScalingGroup-2";

export const environment = (value = "shop"): Record<string, string> => ({ [electorateTag]: value });

/** A test in a region of its own, whose stack elects by the tag. */
export const environmentRule = (name: string, act: (world: World) => Promise<void>): void =>
    rule(name, act, { electorateTag });

/** A group with members of given ids. */
export function addGroup(world: World, name: string, tags: Record<string, string>, members: Members): void {
    world.region.addGroup(name, tags);
    addMembers(world, members, name);
}

/** Two groups with the same value of the tag. */
export function addElectorate(world: World, members: Members, others: Members, [first, second] = [blue, green]): void {
    addGroup(world, first, environment(), members);
    addGroup(world, second, environment(), others);
}

/** Live leaders of all groups of the prefix. */
export function leadersOfAll(world: World): string[] {
    const ours = [...world.region.groups.keys()].filter((name) => name.startsWith("awseb-"));
    return ours.flatMap((name) => leadersOf(world, name)).sort();
}

/** The only live leader of the groups with the tag, one of those that may lead. */
export function expectLeaderOfShop(world: World, mayLead?: string[]): string {
    const tagged = [...world.region.groups.values()].filter(({ tags }) => tags[electorateTag] === "shop");
    const leader = only(tagged.flatMap(({ name }) => leadersOf(world, name)));
    const members = tagged.flatMap(({ name }) => world.fleet.members(name));
    expect(mayLead ?? members, "instances that may lead").to.include(leader);
    return leader;
}

/** Notes each promotion that leaves more than one live leader in all groups of the prefix. */
export function noteOverlaps(world: World): string[] {
    const overlaps: string[] = [];
    world.region.afterWrite.push(({ action }) => {
        const leaders = leadersOfAll(world);
        if (action === "ec2:CreateTags" && leaders.length > 1) {
            overlaps.push(leaders.join(" and "));
        }
    });
    return overlaps;
}
