// Demote before promote: within a group no election makes a second leader that is alive.
import { instanceIn } from "../../simulator/aws/events";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";

/** Counts the leaders that the function made, after every write. */
export function oneLeader(evidence: Evidence, note: Note): Checker {
    const { electorates, expect, world } = evidence;
    const { region } = world;
    /** Leaders that the function tagged, each with its electorate, until others change that. */
    const made = new Map<string, string>();
    region.onEvent.push(({ source, resources, detail }) => {
        const id = instanceIn(resources);
        const { tags } = detail;
        if (source === "aws.tag" && (!isTrue(tags[expect.tagKey]) || evidence.homeNamedBy(tags) !== made.get(id))) {
            made.delete(id);
        }
    });
    return {
        afterWrite: ({ action, input, by }) => {
            const tagged = input.Tags?.some(({ Key }: { Key: string }) => Key === expect.tagKey);
            for (const id of action === "ec2:CreateTags" && tagged ? (input.Resources as string[]) : []) {
                const tags = region.tags(id);
                const home = evidence.homeNamedBy(tags);
                // One that has moved since it was read may be promoted for the group that it left.
                const sights = by?.batch ? evidence.sightsOf(by.batch, id) : [];
                const hasMoved = sights.some((sight) => sight.tags[groupKey] !== tags[groupKey]);
                if (home !== undefined && isTrue(tags[expect.tagKey]) && !hasMoved) {
                    made.set(id, home);
                }
            }
            for (const home of expect.exact ? new Set(made.values()) : []) {
                const leaders = electorates.leaders(home).filter((id) => made.get(id) === home);
                if (leaders.length > 1) {
                    note("no election makes a second leader", `${home} is led by ${leaders.join(" and ")}`);
                }
            }
        },
    };
}
