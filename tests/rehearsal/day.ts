// What happens in a day: what may happen to a group, when it does, and in which words it is printed.
import fc from "fast-check";
import { isFit } from "../simulator/aws/region";
import { firstOf } from "../simulator/lists";
import { type Since, verbs } from "../simulator/verbs";
import { type Stage, secondOf } from "./stage";

/** Something that happens to a group: gives the words for it, instances by their ids, or undefined if it can't happen now. */
type Deed = (stage: Stage, group: string) => string | undefined;

interface Moment {
    /** Seconds since the day began. */
    at: number;
    group: keyof Stage["groups"];
    what: string;
}

/** Ids of a group's leaders. */
function leadersOf({ electorates }: Stage, group: string): string[] {
    return electorates.leaders(electorates.nameOf(group));
}

/** Ids of all members of a group's electorate. */
function membersOf({ electorates }: Stage, group: string): string[] {
    return electorates.members(electorates.nameOf(group)).map(({ id }) => id);
}

/** Ids of the fit ones that don't lead. */
function others(stage: Stage, group: string): string[] {
    const leaders = leadersOf(stage, group);
    return membersOf(stage, group).filter((id) => isFit(stage.region, id) && !leaders.includes(id));
}

/** Something that happens to a group's leader, if that is fit. */
const leaderIs =
    (deed: (stage: Stage, leader: string, group: string) => string | undefined): Deed =>
    (stage, group) => {
        const [leader] = leadersOf(stage, group);
        return leader && isFit(stage.region, leader) ? deed(stage, leader, group) : undefined;
    };

/** Something that can always happen to a fit leader; LEADER stands for it in the words. */
const befalls = (words: string, happens: (stage: Stage, leader: { id: string; group: string }) => unknown): Deed =>
    leaderIs((stage, id, group) => {
        happens(stage, { id, group });
        return words.replace("LEADER", `${id}, the leader`);
    });

/** Another instance gets the leader tag, the oldest or the youngest; OTHER stands for it. */
const tagsAnother = (place: 0 | -1, since: Since, words: string): Deed =>
    leaderIs((stage, leader, group) => {
        const id = others(stage, group).at(place);
        if (!id) {
            return undefined;
        }
        verbs.tag(stage, { id, value: "true", since });
        return words.replace("LEADER", `${leader}, the leader`).replace("OTHER", id);
    });

const tenMinutes = 10 * 60 * 1000;
const tenMinutesLater = ({ timeline }: Stage, act: () => void) => timeline.at(timeline.now + tenMinutes, act);

const launch =
    (hook: boolean): Deed =>
    (stage, group) => {
        if (stage.fleet.members(group).length > 0) {
            return undefined;
        }
        verbs.scale(stage, { group, size: 3, hook });
        return `${stage.fleet.members(group).join(", ")} arrive${hook ? ", held by a lifecycle hook" : ""}`;
    };

const scaleIn = (hook: boolean): Deed =>
    leaderIs((stage, leader, group) => {
        const size = stage.fleet.size(group) - 1;
        if (size < 1) {
            return undefined;
        }
        const leaving = verbs.scaleIn(stage, { id: leader, hook });
        const which = leaving.map((id) => (id === leader ? `${id}, the leader,` : id)).join(" and ") || "none";
        return `to ${size}: ${which} goes${hook ? ", held by a lifecycle hook" : ""}`;
    });

const deeds: Record<string, Deed> = {
    launch: launch(false),
    "launch, hook": launch(true),
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
    crash: befalls("LEADER, ends behind its group's back", verbs.crash),
    stop: befalls("an operator stops LEADER", verbs.stop),
    unhealthy: befalls("LEADER, fails its health check, no event", verbs.becomeUnhealthy),
    Standby: befalls("LEADER, goes to Standby for ten minutes, no event", (stage, leader) => {
        verbs.enterStandby(stage, leader);
        tenMinutesLater(stage, () => verbs.exitStandby(stage, leader));
    }),
    Detach: befalls("LEADER, is detached with its tags for ten minutes", (stage, leader) =>
        verbs.move(stage, { ...leader, millis: tenMinutes }),
    ),
    "Spot warning": befalls("LEADER, has two minutes left", verbs.warn),
    "tag stripped": befalls("an operator takes the tag off LEADER", (stage, leader) =>
        verbs.strip(stage, { ...leader, what: "leader" }),
    ),
    "tag copied": tagsAnother(0, "same", "an operator copies the tags of LEADER, to OTHER"),
    // The leaders of the next hour must come after a time that is still to come.
    "hand-over": tagsAnother(-1, "later", "an operator tags OTHER beside LEADER, with a since an hour ahead"),
    veto: befalls("an operator vetoes LEADER, for ten minutes", (stage, leader) => {
        verbs.veto(stage, { ...leader, on: true });
        tenMinutesLater(stage, () => verbs.veto(stage, { ...leader, on: false }));
    }),
    "event lost": befalls("LEADER, ends, and the event is lost", (stage, leader) => {
        const { fate } = stage.stack;
        stage.stack.fate = (event) => (event.detail["instance-id"] === leader.id ? [] : fate(event));
        verbs.crash(stage, leader);
    }),
    "busy or idle": leaderIs((stage, leader, group) => {
        const loadOf = (id: string) => stage.region.instance(id).load ?? 50;
        const candidates = others(stage, group).sort((a, b) => loadOf(b) - loadOf(a));
        if (candidates.length < 2) {
            return undefined;
        }
        for (const [place, id] of candidates.entries()) {
            verbs.condition(stage, { id, load: place === 0 ? 4 : 91, checks: "ok" });
        }
        verbs.crash(stage, { id: leader });
        return `${leader}, the leader, ends; ${candidates[0]} is idle, the others are busy`;
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

/** An environment is updated, as Elastic Beanstalk's immutable updates do it: where groups elect together. */
const update: Deed = (stage, group) => {
    const { fleet, region, timeline } = stage;
    const second = secondOf(group);
    const old = fleet.members(group);
    if (old.length === 0 || region.groups.has(second)) {
        return undefined;
    }
    fleet.addGroup(second, 0, region.groups.get(group)?.tags);
    verbs.scale(stage, { group: second, size: old.length, hook: false });
    const young = fleet.members(second);
    for (const [place, id] of young.entries()) {
        const at = timeline.now + tenMinutes / 2 + place * 5000;
        timeline.at(at, () => verbs.move(stage, { id, group, millis: 3000 }));
    }
    tenMinutesLater(stage, () => {
        verbs.remove(stage, { group: second });
        for (const id of old) {
            verbs.retire(stage, { id });
        }
    });
    return `a second group brings ${young.join(", ")}, which join the first and replace ${old.join(", ")}`;
};

/** What may happen, by name. */
export const deedsOf = (together: boolean): Record<string, Deed> => (together ? { ...deeds, update } : deeds);

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
16:28:44 shop busy or idle
17:20:44 shop busy or idle
18:30:31 shop all crash
19:40:15 blog veto
22:00:10 blog scale to zero
05:00:10 blog launch
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
    const lines = `${script}${together ? "12:05:10 shop update" : ""}`.matchAll(/^(\S+) (\w+) (.+)$/gm);
    return [...lines]
        .map(([, time = "", group, what = ""]) => ({
            at: secondsSinceDawn(time),
            group: group as Moment["group"],
            what,
        }))
        .sort((a, b) => a.at - b.at);
}

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
    const sequels = moments
        .filter(({ what }) => what === "scale to zero")
        .map(({ at, group }) => ({ at: at + 30 * 60, group, what: "launch" }));
    return [...scriptedDay().slice(0, 2), ...moments, ...sequels].sort((a, b) => a.at - b.at);
}
