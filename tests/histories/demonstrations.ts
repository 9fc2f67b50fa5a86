// Histories that chance seldom makes: each shows what one fault, or a few that are alike, would do. See mutations/.
import { electorateTag, type History, twoPrefixes } from "./history";

export const leader = { group: 0, who: "leader", n: 0 } as const;
export const otherLeader = { group: 1, who: "leader", n: 0 } as const;
export const loose = { group: 0, who: "loose", n: 0 } as const;
export const member = (n: number, group = 0) => ({ group, who: "member", n }) as const;
const sweep = { kind: "sweep" } as const;

export const demonstrations: Record<string, History> = {
    // What is read.
    "eleven groups of ten members have no leader": {
        groups: Array(11).fill({ size: 10 }),
        acts: [{ wait: 0, act: sweep }],
    },
    "fifty-one leaders go to their group's warm pool at once": {
        groups: [{ size: 52, tagged: true }],
        acts: [
            ...Array.from(
                { length: 51 },
                () => ({ wait: 0, act: { kind: "toWarmPool", pick: member(0), running: true } }) as const,
            ),
            { wait: 500, act: sweep },
        ],
        fates: Array(102).fill("lost"),
    },
    "one of Auto Scaling's lists leaves the leader out, then the other": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 40_000, act: { kind: "leaveOut", pick: leader, of: "groups", millis: 4000 } },
            { wait: 100, act: sweep },
            { wait: 2000, act: { kind: "failLaunch", group: 0, withInstance: false } },
            { wait: 10_000, act: { kind: "leaveOut", pick: leader, of: "instances", millis: 4000 } },
            { wait: 100, act: sweep },
        ],
    },
    "a leader has come back to its group, one of the lists doesn't show it yet, and its Detach event comes late": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 40_000, act: { kind: "detach", pick: leader } },
            { wait: 100, act: { kind: "attach", pick: loose, group: 0 } },
            { wait: 18_000, act: { kind: "leaveOut", pick: leader, of: "instances", millis: 10_000 } },
        ],
        fates: ["onTime", 20_000],
    },
    "a leader's own tag names another group, and one of the lists leaves it out": {
        groups: [{ size: 2 }, { size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 40_000, act: { kind: "leaveOut", pick: otherLeader, of: "groups", millis: 10_000 } },
            { wait: 0, act: { kind: "nameOldGroup", pick: otherLeader, group: 0, millis: 10_000 } },
            { wait: 500, act: sweep },
        ],
        fates: ["onTime", "onTime", "lost"],
    },
    "a sweep comes with an event about a group that can't be read": {
        groups: [{ size: 1 }, { size: 1 }],
        acts: [
            { wait: 0, act: { kind: "failLaunch", group: 1, withInstance: false } },
            { wait: 20, act: { kind: "failLaunch", group: 0, withInstance: false } },
            { wait: 0, act: sweep },
            { wait: 290, act: { kind: "trouble", calls: 1, on: "groups", fault: "throttled", partly: 0 } },
            { wait: 2000, act: sweep },
        ],
    },
    "a sweep can read no group": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "trouble", calls: 1, on: "groups", fault: "throttled", partly: 0 } },
            { wait: 0, act: sweep },
            { wait: 2000, act: sweep },
        ],
    },
    "a candidate's state can't be read": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "trouble", calls: 2, on: "rank", fault: "throttled", partly: 0 } },
            { wait: 0, act: sweep },
            { wait: 2000, act: sweep },
        ],
    },
    "two events about a group come together, one of them late": {
        groups: [{ size: 1 }, { size: 1 }],
        acts: [
            { wait: 0, act: { kind: "failLaunch", group: 0, withInstance: false } },
            { wait: 5000, act: { kind: "failLaunch", group: 1, withInstance: false } },
            { wait: 30, act: { kind: "failLaunch", group: 0, withInstance: false } },
        ],
        fates: [5020, "onTime"],
    },
    "a leader that was tagged by hand, without a since, is detached": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "none" } },
            { wait: 2000, act: { kind: "detach", pick: leader } },
        ],
    },
    "a leader of a group with the second prefix gets a Spot warning": {
        settings: { asgPrefix: twoPrefixes },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 40_000, act: { kind: "warn", pick: leader } },
        ],
    },
    "the leader of a group that is gone is in no group": {
        groups: [{ size: 1 }, { size: 1 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "toWarmPool", pick: leader, running: true } },
            { wait: 0, act: { kind: "remove", group: 0 } },
            { wait: 1000, act: sweep },
        ],
        fates: ["onTime", "onTime", "lost"],
    },
    "a sweep is cut short, and the next one has time": {
        groups: Array(5).fill({ size: 1 }),
        acts: [
            { wait: 0, act: { kind: "pace", latency: 1200 } },
            { wait: 0, act: sweep },
            { wait: 20_000, act: { kind: "strip", pick: leader, what: "both" } },
            { wait: 0, act: { kind: "pace", latency: 20 } },
            { wait: 100, act: sweep },
        ],
        pageSize: 1,
        fates: ["onTime", "lost"].concat(Array(20).fill("lost")) as History["fates"],
    },
    "a leader is detached, and its group can't be read": {
        settings: { handoverSeconds: "5" },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "detach", pick: leader } },
            { wait: 0, act: { kind: "trouble", calls: 1, on: "groups", fault: "throttled", partly: 0 } },
            { wait: 1500, act: sweep },
        ],
    },

    // What is remembered.
    "EC2 shows six minutes after a leader began to end that it runs": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "suspend", group: 0 } },
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "endSlowly", pick: leader, millis: 30 * 60_000 } },
            { wait: 360_000, act: { kind: "lag", millis: 362_000 } },
            { wait: 0, act: sweep },
            { wait: 1000, act: { kind: "lag", millis: 0 } },
        ],
    },
    "an instance in no group is tagged by another tool": {
        groups: [{ size: 0 }],
        acts: [{ wait: 0, act: { kind: "tag", pick: loose, value: "true", since: "none" } }],
    },
    "an orphan that lost its tags is tagged again": {
        groups: [{ size: 0 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: loose, value: "true", since: "earlier" } },
            { wait: 100, act: sweep },
            { wait: 2000, act: { kind: "tag", pick: loose, value: "true", since: "now" } },
            { wait: 100, act: sweep },
        ],
        fates: ["lost", "onTime", "lost"],
    },
    "an earlier Spot warning comes after a later one": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "warnInVain", pick: leader } },
            { wait: 30_000, act: { kind: "warnInVain", pick: leader } },
            { wait: 165_000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: sweep },
        ],
        fates: ["onTime", 60_000],
    },
    "a demotion has no answer, and the leader recovers": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 2000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "trouble", calls: 1, on: "delete", fault: "timesOutAfterEffect", partly: 0 } },
            { wait: 0, act: sweep },
            { wait: 2000, act: { kind: "recover", pick: member(0) } },
            { wait: 0, act: { kind: "recover", pick: member(1) } },
            { wait: 0, act: sweep },
        ],
        fates: ["onTime", "lost"],
    },
    "a leader whose since lies ahead is detached": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 40_000, act: { kind: "date", pick: leader, since: "later" } },
            { wait: 2000, act: { kind: "detach", pick: leader } },
        ],
    },

    "a leader loses its since five minutes after it was elected": {
        groups: [{ size: 0 }],
        acts: [{ wait: 0, act: { kind: "launch", group: 0, hook: false } }],
        last: [{ kind: "strip", pick: leader, what: "since" }],
    },
    "leaders are stopped and started, and one of them is vetoed": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "stop", pick: leader } },
            { wait: 4000, act: { kind: "start", pick: member(0) } },
            { wait: 0, act: { kind: "start", pick: member(1) } },
            { wait: 7000, act: { kind: "veto", pick: leader, on: true } },
            { wait: 1000, act: sweep },
        ],
    },
    "a successor's promotion stalls, and long after it there is another election": {
        settings: { handoverSeconds: "5" },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "veto", pick: leader, on: true } },
            { wait: 0, act: { kind: "trouble", calls: 1, on: "create", fault: "stallsBeforeEffect", partly: 0 } },
            { wait: 0, act: sweep },
            { wait: 40_000, act: sweep },
        ],
        fates: ["onTime", "lost", "lost"],
    },

    // Settings.
    "events name the groups of an electorate, one after the other": {
        settings: { electorateTag },
        groups: Array(2).fill({ size: 1, electorate: "shop" }),
        acts: [
            { wait: 0, act: sweep },
            { wait: 40_000, act: { kind: "failLaunch", group: 0, withInstance: false } },
            { wait: 5000, act: { kind: "failLaunch", group: 1, withInstance: false } },
        ],
    },
    "a member leads a second time, and was protected before the first time only": {
        settings: { protectLeader: "true" },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "protect", pick: member(0), on: true } },
            { wait: 0, act: { kind: "veto", pick: member(1), on: true } },
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "veto", pick: member(1), on: false } },
            { wait: 0, act: { kind: "veto", pick: member(0), on: true } },
            { wait: 5000, act: { kind: "protect", pick: member(0), on: false } },
            { wait: 0, act: { kind: "veto", pick: member(0), on: false } },
            { wait: 0, act: { kind: "veto", pick: member(1), on: true } },
            { wait: 5000, act: { kind: "veto", pick: member(1), on: false } },
            { wait: 0, act: { kind: "veto", pick: member(0), on: true } },
        ],
    },
    "a leader's protection is taken off": {
        settings: { protectLeader: "true" },
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "protect", pick: leader, on: false } },
            { wait: 0, act: sweep },
        ],
    },
    "a stack that only tries meets a group without a leader, and one whose leader is not fit": {
        settings: { dryRun: "true", protectLeader: "true" },
        groups: [{ size: 2 }, { size: 2 }, { size: 1 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: member(0, 2), value: "true", since: "earlier" } },
            { wait: 0, act: { kind: "tag", pick: member(0, 1), value: "true", since: "earlier" } },
            { wait: 0, act: { kind: "becomeUnhealthy", pick: member(0, 1) } },
            { wait: 1000, act: sweep },
        ],
    },
    "a leader in Standby gets its tag back": {
        settings: { protectLeader: "true" },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "earlier" } },
            { wait: 0, act: { kind: "refuse", pick: member(1), what: "create" } },
            { wait: 1000, act: sweep },
            { wait: 1000, act: { kind: "enterStandby", pick: leader } },
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "launch", group: 0, hook: false } },
        ],
    },
    "a protected leader fails its health check": {
        settings: { protectLeader: "true" },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: sweep },
        ],
    },
    "a group is paused while its leader is not fit, and resumed": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "pause", group: 0, value: "True" } },
            { wait: 0, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 1000, act: sweep },
            { wait: 1000, act: { kind: "strip", pick: leader, what: "since" } },
            { wait: 5000, act: { kind: "pause", group: 0 } },
            { wait: 1000, act: sweep },
        ],
    },

    // Refusals about several.
    "no tag of one group can be written, and one of the next group neither": {
        groups: [{ size: 60, tagged: true }, { size: 2 }, { size: 3 }],
        acts: [
            ...Array.from(
                { length: 60 },
                (_, n) => ({ wait: 0, act: { kind: "refuse", pick: member(n), what: "create and delete" } }) as const,
            ),
            { wait: 0, act: { kind: "refuse", pick: member(0, 2), what: "create" } },
            { wait: 0, act: { kind: "refuse", pick: member(1, 2), what: "create" } },
            { wait: 0, act: sweep },
        ],
        pageSize: 2,
    },
    "a leader without a since leads a paused group": {
        settings: { protectLeader: "true" },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "pause", group: 0, value: "true" } },
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "none" } },
            { wait: 0, act: { kind: "tag", pick: member(1), value: "true", since: "none" } },
            { wait: 1000, act: sweep },
            { wait: 1000, act: { kind: "strip", pick: leader, what: "leader" } },
            { wait: 1000, act: sweep },
            { wait: 1000, act: { kind: "pause", group: 0, value: "no" } },
            { wait: 0, act: { kind: "strip", pick: leader, what: "leader" } },
            { wait: 1000, act: sweep },
        ],
    },

    // The table.
    "the leader is vetoed, and the other stopped": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "stop", pick: leader } },
            { wait: 12_000, act: { kind: "veto", pick: leader, on: true } },
        ],
    },
    "a member arrives while the leader is not fit": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: sweep },
            { wait: 5000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "launch", group: 0, hook: false } },
            { wait: 100, act: sweep },
        ],
    },
};
