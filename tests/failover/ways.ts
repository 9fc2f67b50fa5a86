// The ways of losing a leader, by the words of election/README.md, whose table a test holds against them.
import { atFour } from "../simulator/clock";
import { firstOf } from "../simulator/lists";
import { sinceKey, tagKey } from "../simulator/names";
import type { World } from "../simulator/world";

/** Has a group lose its leader. */
export type Way = (world: World, leader: string, others: string[]) => void;

export const waysToLose: Record<string, Way> = {
    "is scaled in, terminated or replaced, or crashes": ({ fleet }, leader) => fleet.crash(leader),
    "is scaled in through a lifecycle hook": ({ fleet }, leader) => fleet.terminate(leader, { hook: true }),
    "is stopped": ({ fleet }, leader) => fleet.stop(leader),
    "gets a Spot interruption warning": ({ fleet }, leader) => fleet.warn(leader),
    "is detached from its group": ({ fleet }, leader) => fleet.detach(leader),
    "loses its tag, or gets another value": ({ region }, leader) => region.setTags(leader, { [tagKey]: "false" }),
    "is vetoed": ({ region }, leader) => region.setTags(leader, { [`${tagKey}:eligible`]: "false" }),
    "moves into another group with the prefix": ({ fleet }, leader) => {
        fleet.addGroup("awseb-blog", 2);
        fleet.detach(leader);
        fleet.attach(leader, "awseb-blog");
    },
    "has its tag copied to another instance": ({ region }, _, others) =>
        region.setTags(firstOf(others), { [tagKey]: "true", [sinceKey]: atFour }),
    "becomes unhealthy, or goes to Standby": ({ fleet }, leader) => fleet.enterStandby(leader),
    "is lost in any of these ways, and the event never comes": ({ fleet, stack }, leader) => {
        stack.fate = () => [];
        fleet.crash(leader);
    },
    "was the only member": ({ fleet }, leader, others) => {
        for (const id of [leader, ...others]) {
            fleet.crash(id);
        }
    },
};
