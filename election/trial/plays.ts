// The ways in which the trial takes the leader away, what is promised of each, and how calm is restored afterwards.
import { eligibleKey } from "../scope";
import type { Run } from "./fleet";
import type { Aws } from "./site";
import { type Instance, type Look, liveLeaders } from "./watch";

/** What a play has to work with. */
export interface Stage extends Aws {
    run: Run;
    tagKey: string;
    /** The leader that is taken away. */
    leader: Instance;
    /** Another member, which runs and does not lead. */
    other: Instance;
}

/** A way to take the leader away. */
export interface Play {
    /** Its name for `--only`. */
    name: string;
    what: string;
    /** What makes the function look: an event, within seconds, or only the next sweep. */
    by: "event" | "sweep";
    /** Which instance leads afterwards: another one, any with a later `since`, or the same one, alone. */
    leads: "another" | "any" | "same";
    /** Whether two may carry the tag for a while: where the function must first find the one that has it wrongly. */
    mayOverlap?: true;
    act(stage: Stage): Promise<unknown>;
    /** Makes the group whole again where it doesn't do so itself. It may be repeated. */
    restore?(stage: Stage): Promise<unknown>;
}

const member = ({ run, leader }: Stage) => ({ AutoScalingGroupName: run.group, InstanceIds: [leader.id] });
const tag = (id: string, key: string, value?: string) => ({
    Resources: [id],
    Tags: [{ Key: key, ...(value === undefined ? {} : { Value: value }) }],
});
const terminate = ({ ec2, leader }: Stage) => ec2.terminateInstances({ InstanceIds: [leader.id] });
const callUnhealthy = ({ autoScaling, leader }: Stage) =>
    autoScaling.setInstanceHealth({
        InstanceId: leader.id,
        HealthStatus: "Unhealthy",
        ShouldRespectGracePeriod: false,
    });

export const plays: Play[] = [
    {
        name: "terminated",
        what: "EC2 terminates it, and the group replaces it",
        by: "event",
        leads: "another",
        act: terminate,
    },
    {
        name: "stopped",
        what: "EC2 stops it",
        by: "event",
        leads: "another",
        act: ({ ec2, leader }) => ec2.stopInstances({ InstanceIds: [leader.id] }),
        restore: callUnhealthy, // the group would find out itself, minutes later
    },
    {
        name: "standby",
        what: "it goes into Standby, which no event reports",
        by: "sweep",
        leads: "another",
        act: (stage) => stage.autoScaling.enterStandby({ ...member(stage), ShouldDecrementDesiredCapacity: true }),
        restore: (stage) => stage.autoScaling.exitStandby(member(stage)),
    },
    {
        name: "detached",
        what: "it is detached from the group, and goes on running",
        by: "event",
        leads: "another",
        mayOverlap: true,
        act: (stage) => stage.autoScaling.detachInstances({ ...member(stage), ShouldDecrementDesiredCapacity: false }),
        restore: terminate,
    },
    {
        name: "vetoed",
        what: "it gets the tag that vetoes it",
        by: "event",
        leads: "another",
        act: ({ ec2, leader, tagKey }) => ec2.createTags(tag(leader.id, eligibleKey(tagKey), "false")),
        restore: ({ ec2, leader, tagKey }) => ec2.deleteTags(tag(leader.id, eligibleKey(tagKey))),
    },
    {
        name: "untagged",
        what: "its leader tag is deleted",
        by: "event",
        leads: "any",
        act: ({ ec2, leader, tagKey }) => ec2.deleteTags(tag(leader.id, tagKey)),
    },
    {
        name: "copied",
        what: "its leader tag is copied to another instance, which must lose it again",
        by: "event",
        leads: "same",
        mayOverlap: true,
        act: ({ ec2, other, tagKey }) => ec2.createTags(tag(other.id, tagKey, "true")),
    },
    {
        name: "unhealthy",
        what: "its health check is set to Unhealthy, which no event reports, and the group replaces it",
        by: "sweep",
        leads: "another",
        act: callUnhealthy,
    },
];

/** The instance that leads after a play, if a look shows it. */
export function successorIn(look: Look, { leads }: Play, former: Instance): Instance | undefined {
    const leaders = liveLeaders(look);
    switch (leads) {
        case "another":
            return leaders.find(({ id }) => id !== former.id);
        case "any":
            return leaders.find(({ since }) => Date.parse(since) > Date.parse(former.since));
        case "same":
            return leaders.length === 1 ? leaders.find(({ id }) => id === former.id) : undefined;
    }
}

/** Seconds within which a play is promised to be over. An event has a few for its way; nothing of AWS's promises how many. */
export function promisedSeconds({ by }: Play, { sweepMinutes, handoverSeconds }: Promises): number {
    return (by === "sweep" ? sweepMinutes * 60 : 0) + eventSeconds + handoverSeconds;
}

/** The settings of the stack on which its promises depend. */
export interface Promises {
    sweepMinutes: number;
    handoverSeconds: number;
}

const eventSeconds = 10;
