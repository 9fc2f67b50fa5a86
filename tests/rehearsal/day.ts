// What happens in a day: what may happen to a group, when it does, and in which words it is printed.
import fc from "fast-check";
import { isFit } from "../simulator/aws/region";
import { firstOf } from "../simulator/lists";
import { verbs } from "../simulator/verbs";
import { type Stage, secondOf } from "./stage";

/** Something that happens to a group: gives the words for it, instances by their ids, or undefined if it can't happen now. */
type Deed = (stage: Stage, group: string) => string | undefined;

export interface Moment {
    /** Seconds since the day began. */
    at: number;
    group: keyof Stage["groups"];
    what: string;
}

/** Ids of a group's leaders. */
function leadersOf({ electorates }: Stage, group: string): string[] {
    return electorates.leaders(electorates.nameOf(group));
}

/** Something that happens to a group's leader, if that is fit. */
const leaderIs =
    (deed: (stage: Stage, leader: string, group: string) => string | undefined): Deed =>
    (stage, group) => {
        const [leader] = leadersOf(stage, group);
        return leader && isFit(stage.region, leader) ? deed(stage, leader, group) : undefined;
    };

/** Something that happens to a fit leader alone; LEADER stands for it in the words. */
const befalls = (verb: "crash" | "stop" | "becomeUnhealthy" | "warn", words: string): Deed =>
    leaderIs((stage, leader) => {
        verbs[verb](stage, { id: leader });
        return words.replace("LEADER", `${leader}, the leader${words.endsWith("LEADER") ? "" : ","}`);
    });

/** Ids of all members of a group's electorate. */
function membersOf({ electorates }: Stage, group: string): string[] {
    return electorates.members(electorates.nameOf(group)).map(({ id }) => id);
}

/** Ids of the fit ones that don't lead. */
function others(stage: Stage, group: string): string[] {
    const leaders = leadersOf(stage, group);
    return membersOf(stage, group).filter((id) => isFit(stage.region, id) && !leaders.includes(id));
}

function launch(stage: Stage, group: string, hook: boolean): string | undefined {
    if (stage.fleet.members(group).length > 0) {
        return undefined;
    }
    verbs.scale(stage, { group, size: 3, hook });
    return `${stage.fleet.members(group).join(", ")} arrive${hook ? ", held by a lifecycle hook" : ""}`;
}

function scaleIn(hook: boolean): Deed {
    return leaderIs((stage, leader, group) => {
        const size = stage.fleet.size(group) - 1;
        if (size < 1) {
            return undefined;
        }
        const leaving = verbs.scaleIn(stage, { id: leader, hook });
        const which = leaving.map((id) => (id === leader ? `${id}, the leader,` : id)).join(" and ") || "none";
        return `to ${size}: ${which} goes${hook ? ", held by a lifecycle hook" : ""}`;
    });
}

const deeds: Record<string, Deed> = {
    launch: (stage, group) => launch(stage, group, false),
    "launch, hook": (stage, group) => launch(stage, group, true),
    "scale out": (stage, group) => {
        const { fleet } = stage;
        const size = fleet.size(group) + 1;
        if (fleet.members(group).length === 0 || size > 6) {
            return undefined;
        }
        verbs.scale(stage, { group, size, hook: false });
        return `to ${size}: ${fleet.members(group).at(-1)} arrives`;
    },
    "scale in": scaleIn(false),
    "scale in, hook": scaleIn(true),
    "scale to zero": (stage, group) => {
        const leaving = verbs.scale(stage, { group, size: 0, hook: false });
        return leaving.length > 0 ? `${leaving.join(", ")} go` : undefined;
    },
    crash: befalls("crash", "LEADER ends behind its group's back"),
    stop: befalls("stop", "an operator stops LEADER"),
    unhealthy: befalls("becomeUnhealthy", "LEADER fails its health check, no event"),
    Standby: leaderIs((stage, leader) => {
        verbs.enterStandby(stage, { id: leader });
        stage.timeline.at(stage.timeline.now + 10 * 60 * 1000, () => verbs.exitStandby(stage, { id: leader }));
        return `${leader}, the leader, goes to Standby for ten minutes, no event`;
    }),
    Detach: leaderIs((stage, leader, group) => {
        verbs.move(stage, { id: leader, group, millis: 10 * 60 * 1000 });
        return `${leader}, the leader, is detached with its tags for ten minutes`;
    }),
    "Spot warning": befalls("warn", "LEADER has two minutes left"),
    "tag stripped": leaderIs((stage, leader) => {
        verbs.strip(stage, { id: leader, what: "leader" });
        return `an operator takes the tag off ${leader}, the leader`;
    }),
    "tag copied": leaderIs((stage, leader, group) => {
        const copy = others(stage, group)[0];
        if (!copy) {
            return undefined;
        }
        verbs.tag(stage, { id: copy, value: "true", since: "same" });
        return `an operator copies the tags of ${leader}, the leader, to ${copy}`;
    }),
    "hand-over": leaderIs((stage, leader, group) => {
        const heir = others(stage, group).at(-1);
        if (!heir) {
            return undefined;
        }
        verbs.tag(stage, { id: heir, value: "true", since: "now" });
        return `an operator tags ${heir} beside ${leader}, with a later since`;
    }),
    veto: leaderIs((stage, leader) => {
        verbs.veto(stage, { id: leader, on: true });
        stage.timeline.at(stage.timeline.now + 10 * 60 * 1000, () => {
            if (stage.region.instances.has(leader)) {
                verbs.veto(stage, { id: leader, on: false });
            }
        });
        return `an operator vetoes ${leader}, the leader, for ten minutes`;
    }),
    "event lost": leaderIs((stage, leader) => {
        const { fate } = stage.stack;
        stage.stack.fate = (event) => (event.detail["instance-id"] === leader ? [] : fate(event));
        verbs.crash(stage, { id: leader });
        return `${leader}, the leader, ends, and the event is lost`;
    }),
    "busy or idle": leaderIs((stage, leader, group) => {
        const candidates = others(stage, group);
        if (candidates.length < 2) {
            return undefined;
        }
        const [idle] = candidates.sort((a, b) => loadOf(stage, b) - loadOf(stage, a));
        for (const id of candidates) {
            verbs.condition(stage, { id, load: id === idle ? 4 : 91, checks: "ok" });
        }
        verbs.crash(stage, { id: leader });
        return `${leader}, the leader, ends; ${idle} is idle, the others are busy`;
    }),
    "all crash": (stage, group) => {
        const members = membersOf(stage, group);
        for (const id of members) {
            verbs.crash(stage, { id });
        }
        return members.length > 0 ? `${members.join(", ")} end at once` : undefined;
    },
    "not ours": (stage) => {
        const group = stage.groups.jobs;
        const first = firstOf(stage.fleet.members(group));
        verbs.crash(stage, { id: first });
        verbs.scale(stage, { group, size: 3, hook: false });
        return `${first}, with a leader tag of its own, crashes; the group grows`;
    },
};

/** What happens when an environment is updated, as Elastic Beanstalk's immutable updates do it. */
const updates: Record<string, Deed> = {
    "update begins": (stage, group) => {
        const { fleet, region, replaced } = stage;
        const second = secondOf(group);
        const size = fleet.size(group);
        if (size === 0 || region.groups.has(second) || replaced.has(group)) {
            return undefined;
        }
        fleet.addGroup(second, 0, region.groups.get(group)?.tags);
        verbs.scale(stage, { group: second, size, hook: false });
        return `a second group appears beside the first, with ${fleet.members(second).join(", ")}`;
    },
    "instances move": (stage, group) => {
        const { fleet, region, replaced } = stage;
        const second = secondOf(group);
        if (!region.groups.has(second) || replaced.has(group)) {
            return undefined;
        }
        replaced.set(group, fleet.members(group));
        const moving = fleet.members(second).join(", ");
        move(stage, second, group);
        return `from the second group to the first, one by one: ${moving}`;
    },
    "update ends": (stage, group) => {
        const { fleet, region, replaced } = stage;
        if (region.groups.has(secondOf(group))) {
            return undefined;
        }
        const old = fleet.members(group).filter((id) => replaced.get(group)?.includes(id));
        replaced.delete(group);
        if (old.length === 0) {
            return undefined;
        }
        const leads = leadersOf(stage, group).some((id) => old.includes(id));
        for (const id of old) {
            verbs.retire(stage, { id });
        }
        return `the old ones go${leads ? ", the leader among them" : ""}: ${old.join(", ")}`;
    },
};

/** Moves a group's instances to another, one after the other, each as soon as it is fit; then the group is deleted. */
function move(stage: Stage, from: string, to: string): void {
    const { region, fleet, timeline } = stage;
    const members = fleet.members(from);
    if (members.length === 0) {
        verbs.remove(stage, { group: from });
        return;
    }
    const next = members.find((id) => isFit(region, id));
    if (next) {
        verbs.move(stage, { id: next, group: to, millis: 3000 });
    }
    timeline.at(timeline.now + 5000, () => move(stage, from, to));
}

/** What may happen, by name; updates only where the groups of an environment elect together. */
export function deedsOf(together: boolean): Record<string, Deed> {
    return together ? { ...deeds, ...updates } : deeds;
}

function loadOf({ region }: Stage, id: string): number {
    return region.instance(id).load ?? 50;
}

const script = `
06:00:00 shop launch
06:20:10 blog launch, hook
07:05:23 shop scale out
07:40:05 shop scale in
08:10:41 blog scale out
08:45:30 blog scale in, hook
09:30:12 shop scale out
10:02:23 shop crash
10:50:48 blog stop
11:25:09 jobs not ours
11:45:23 shop unhealthy
12:30:34 blog Standby
13:15:02 shop Detach
14:00:16 blog Spot warning
14:40:50 shop tag stripped
15:05:27 blog tag copied
15:30:20 shop hand-over
16:10:23 blog event lost
17:00:44 shop busy or idle
17:20:44 shop busy or idle
18:30:31 shop all crash
19:40:15 blog veto
22:00:10 blog scale to zero
05:00:10 blog launch
`;

const updateScript = `
12:05:10 shop update begins
12:10:10 shop instances move
12:15:10 shop update ends
`;

/** In seconds. */
export const dayLength = 24 * 60 * 60;
const dawn = 6 * 60 * 60;

/** When in the day it is a time of the form HH:MM:SS. */
export function secondsSinceDawn(time: string): number {
    const [h = 0, m = 0, s = 0] = time.split(":").map(Number);
    return ((h * 60 + m) * 60 + s - dawn + dayLength) % dayLength;
}

/** The day that was written by hand; with an update where the groups of an environment elect together. */
export function scriptedDay(together = false): Moment[] {
    const lines = `${script}${together ? updateScript : ""}`.match(/.+/g) ?? [];
    return lines
        .map((line) => {
            const [, time = "", group, what = ""] = line.match(/^(\S+) (\w+) (.+)$/) ?? [];
            return { at: secondsSinceDawn(time), group: group as Moment["group"], what };
        })
        .sort((a, b) => a.at - b.at);
}

/** What follows on something in a random day, whatever happens in between. */
const sequelsOf: Record<string, { minutes: number; what: string }[]> = {
    "scale to zero": [{ minutes: 30, what: "launch" }],
    "update begins": [
        { minutes: 20, what: "instances move" },
        { minutes: 40, what: "update ends" },
    ],
};

/** A day of random events, the same for the same seed. */
export function randomDay(seed: number, together = false): Moment[] {
    const moment: fc.Arbitrary<Moment> = fc.record({
        at: fc.integer({ min: 10 * 60, max: dayLength - 60 * 60 }),
        group: fc.constantFrom("shop", "blog"),
        what: fc.constantFrom(...Object.keys(deedsOf(together))),
    });
    const moments = firstOf(
        fc.sample(fc.noBias(fc.array(moment, { minLength: 40, maxLength: 40 })), { seed, numRuns: 1 }),
    );
    const sequels = moments.flatMap(({ at, group, what }) =>
        (sequelsOf[what] ?? []).map((sequel) => ({ at: at + sequel.minutes * 60, group, what: sequel.what })),
    );
    return [...scriptedDay().slice(0, 2), ...moments, ...sequels].sort((a, b) => a.at - b.at);
}
