import { demonstrations, leader, loose, member, otherLeader } from "./demonstrations";
import { electorateTag, type History } from "./history";

const handoverSeconds = "5";

/** Histories that chance seldom makes: those that once broke a rule, and what each rule is there for. */
export const regressions: Record<string, History> = {
    "the answer to a promotion is lost while every leader loses its tag": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "none" } },
            { wait: 500, act: { kind: "rival", group: 0, seconds: 2 } },
            { wait: 250, act: { kind: "trouble", calls: 1, on: "create", fault: "timesOutAfterEffect", partly: 0 } },
            { wait: 500, act: { kind: "stop", pick: leader } },
            { wait: 380, act: { kind: "tag", pick: leader, value: "true", since: "none" } },
        ],
    },
    "an orphan ends before the next election": {
        groups: [{ size: 0 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: loose, value: "true", since: "edge" } },
            { wait: 0, act: { kind: "crash", pick: loose } },
        ],
        fates: ["lost"],
    },
    "a leader can't be demoted when another group has none": {
        groups: [{ size: 2 }, { size: 2 }],
        acts: [{ wait: 0, act: { kind: "sweep" } }],
        last: [
            { kind: "refuse", pick: leader, what: "create and delete" },
            { kind: "tag", pick: member(0), value: "true", since: "later" },
            { kind: "tag", pick: member(1), value: "true", since: "later" },
            { kind: "strip", pick: otherLeader, what: "both" },
        ],
    },
    "no instance of a group can be tagged when another has no leader": {
        groups: [{ size: 2 }, { size: 2 }],
        acts: [],
        last: [
            { kind: "fill", pick: member(0) },
            { kind: "fill", pick: member(1) },
        ],
    },
    "the leader gets a Spot warning, and one of the others is busier": {
        groups: [{ size: 3 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "condition", pick: member(0), load: 55, checks: "ok" } },
            { wait: 0, act: { kind: "condition", pick: member(1), load: 5, checks: "ok" } },
            { wait: 10, act: { kind: "warn", pick: leader } },
        ],
    },
    "a leader of a time to come leaves before EC2 shows that it leads": {
        groups: [{ size: 3 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 9000, act: { kind: "date", pick: leader, since: "later" } },
            { wait: 9000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 600, act: { kind: "detach", pick: leader } },
        ],
        lags: [4000],
    },
    "a leader loses the tag, but the answer is lost, and the next election is to wait for it": {
        settings: { handoverSeconds },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "trouble", calls: 1, on: "delete", fault: "timesOutAfterEffect", partly: 0 } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 20_000, act: { kind: "sweep" } },
        ],
    },
    "a leader is detached, and an older event says that it was detached from another group": {
        settings: { handoverSeconds },
        groups: [{ size: 1 }, { size: 1 }],
        acts: [
            { wait: 0, act: { kind: "move", pick: member(0, 1), group: 0, millis: 0 } },
            { wait: 5000, act: { kind: "failLaunch", group: 0, withInstance: false } },
            { wait: 310, act: { kind: "detach", pick: leader } },
            { wait: 48, act: { kind: "replay", n: 0 } },
            { wait: 252, act: { kind: "loseContainer" } },
        ],
        fates: [5311],
    },

    // What the checkers excuse.
    "a batch comes back while its election is under way": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 300, act: { kind: "repeat" } },
        ],
    },
    "a leader loses its tags, and no event says so": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "strip", pick: leader, what: "both" } },
            { wait: 1000, act: { kind: "sweep" } },
        ],
        fates: ["onTime", "lost"],
    },
    "a successor is detached in the pause before its promotion, and comes back": {
        settings: { handoverSeconds },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "veto", pick: member(0), on: true } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "veto", pick: member(0), on: false } },
            { wait: 0, act: { kind: "terminate", pick: leader, hook: false } },
            { wait: 5000, act: { kind: "move", pick: member(0), group: 0, millis: 1249 } },
        ],
    },
    "a member is vetoed in the second in which it is promoted": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 0, act: { kind: "veto", pick: member(0), on: true } },
            { wait: 500, act: { kind: "failLaunch", group: 0, withInstance: false } },
        ],
        lags: [1000],
    },
    "a rival takes the tag off each leader, and then an event comes": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "rival", group: 0, seconds: 3 } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "failLaunch", group: 0, withInstance: false } },
        ],
    },
    "the only successor can't be tagged once, and the leader is looked at again": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "trouble", calls: 1, on: "create", fault: "isRefused", partly: 0 } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "sweep" } },
        ],
    },

    // What each rule of the field is there for.
    "an eleventh member of a group is the only one that runs": {
        groups: [{ size: 40 }, { size: 40 }],
        acts: [
            ...[0, 1].flatMap((group) =>
                Array.from(
                    { length: 39 },
                    (_, n) => ({ wait: 0, act: { kind: "stop", pick: member(n, group) } }) as const,
                ),
            ),
            { wait: 5000, act: { kind: "sweep" } },
        ],
        fates: Array(160).fill("lost"),
    },
    "the answer to a promotion stalls": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "trouble", calls: 1, on: "create", fault: "stalls", partly: 0 } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 20_000, act: { kind: "sweep" } },
        ],
    },
    "a demotion stalls, and has no effect": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "trouble", calls: 1, on: "delete", fault: "stallsBeforeEffect", partly: 0 } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 15_000, act: { kind: "sweep" } },
        ],
    },
    "a group joins an electorate between two reads of one election": {
        settings: { electorateTag },
        groups: [{ size: 2 }, { size: 2, electorate: "shop" }, { size: 1 }],
        acts: [
            { wait: 0, act: { kind: "failLaunch", group: 2, withInstance: false } },
            { wait: 10, act: { kind: "failLaunch", group: 0, withInstance: false } },
            { wait: 0, act: { kind: "failLaunch", group: 1, withInstance: false } },
            { wait: 370, act: { kind: "joinElectorate", group: 0, electorate: "shop" } },
        ],
    },
    "a new leader ends before EC2 shows that it leads": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 1000, act: { kind: "endSlowly", pick: leader, millis: 20_000 } },
            { wait: 1000, act: { kind: "sweep" } },
        ],
        lags: [4000],
    },
    "EC2 shows a promotion half a minute late, and there was a pause before it": {
        settings: { handoverSeconds },
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "enterStandby", pick: leader } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 32_000, act: { kind: "sweep" } },
            { wait: 2000, act: { kind: "sweep" } },
        ],
        lags: [29_000],
    },
    "an operator hands over by a later since, and its event is lost": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "tag", pick: member(0), value: "true", since: "later" } },
            { wait: 1000, act: { kind: "tag", pick: member(1), value: "true", since: "later" } },
            { wait: 1000, act: { kind: "sweep" } },
            { wait: 1000, act: { kind: "date", pick: member(0), since: "later" } },
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "later" } },
            { wait: 1000, act: { kind: "sweep" } },
        ],
        fates: ["onTime", "lost", "lost", "onTime", "lost", "lost"],
    },
    "a member whose retirement is scheduled has just been launched": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "launch", group: 0, hook: false } },
            { wait: 100, act: { kind: "schedule", pick: member(2), on: true } },
            { wait: 4800, act: { kind: "stop", pick: leader } },
        ],
    },
    "the only member goes to its warm pool, and runs on": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "toWarmPool", pick: leader, running: true } },
        ],
    },
    "events of tags leave out AWS's own": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "strip", pick: leader, what: "both" } },
        ],
        meagre: true,
    },
    "the successor can't be tagged, and the leader gets its tag back": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "earlier" } },
            { wait: 5000, act: { kind: "refuse", pick: member(1), what: "create" } },
            { wait: 0, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 2000, act: { kind: "sweep" } },
        ],
    },
    "neither the successor nor the leader can be tagged": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "earlier" } },
            { wait: 5000, act: { kind: "refuse", pick: member(0), what: "create" } },
            { wait: 0, act: { kind: "refuse", pick: member(1), what: "create" } },
            { wait: 0, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "sweep" } },
        ],
    },
    "six electorates in one batch": {
        settings: { electorateTag },
        groups: Array.from("abcdef", (electorate) => ({ size: 1, electorate })),
        acts: Array.from(
            { length: 7 },
            (_, n) =>
                ({ wait: n === 0 ? 0 : 5, act: { kind: "failLaunch", group: n % 6, withInstance: false } }) as const,
        ),
    },
    "a leader was tagged by hand, without a since": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "tag", pick: member(0), value: "true", since: "farFuture" } },
            { wait: 5000, act: { kind: "sweep" } },
        ],
    },
    "the container ends between a demotion and the promotion, and the since lay ahead": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "date", pick: leader, since: "later" } },
            { wait: 1000, act: { kind: "becomeUnhealthy", pick: leader } },
            { wait: 0, act: { kind: "trouble", calls: 1, on: "create", fault: "kills", partly: 0 } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 30_000, act: { kind: "sweep" } },
        ],
    },
    "a group is to be empty while its leader is protected": {
        settings: { protectLeader: "true" },
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "scale", group: 0, size: 0, hook: false } },
            { wait: 1000, act: { kind: "sweep" } },
        ],
    },
    "the leader is vetoed, and then the only other member, too": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "veto", pick: leader, on: true } },
            { wait: 5000, act: { kind: "veto", pick: leader, on: true } },
        ],
    },
    "a thousand copies of the leader's tag are taken off in one election": {
        groups: [{ size: 1002, tagged: true }],
        acts: [
            { wait: 5000, act: { kind: "sweep" } },
            { wait: 3000, act: { kind: "sweep" } },
        ],
        fates: Array(1002).fill("lost"),
    },
    "a demotion is aborted, and so little time is left that the promotion must be, too": {
        groups: [{ size: 1 }, { size: 1 }],
        acts: [
            { wait: 5000, act: { kind: "tag", pick: member(0, 1), value: "true", since: "none" } },
            { wait: 500, act: { kind: "pace", latency: 3500 } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 250, act: { kind: "crash", pick: otherLeader } },
            { wait: 9300, act: { kind: "sweep" } },
        ],
    },
    "a leader shuts down in the group that it has moved into, and an old Detach comes with the news": {
        groups: [{ size: 0 }, { size: 0 }],
        acts: [
            { wait: 0, act: { kind: "launch", group: 1, hook: true } },
            { wait: 0, act: { kind: "hurry", millis: 7000 } },
            { wait: 11_037, act: { kind: "move", pick: otherLeader, group: 0, millis: 0 } },
            { wait: 4997, act: { kind: "endSlowly", pick: leader, millis: 20_417 } },
            { wait: 346, act: { kind: "loseContainer" } },
            { wait: 0, act: { kind: "endSlowly", pick: leader, millis: 5000 } },
        ],
        settings: { handoverSeconds },
    },
    "a promotion is tried again, and the event of the first one comes last": {
        groups: Array(2).fill({ size: 1, electorate: "shop" }),
        acts: [
            { wait: 500, act: { kind: "sweep" } },
            { wait: 500, act: { kind: "trouble", calls: 2, on: "create", fault: "timesOutAfterEffect", partly: 0 } },
            { wait: 5000, act: { kind: "move", pick: leader, group: 0, millis: 0 } },
            { wait: 5000, act: { kind: "launch", group: 0, hook: false } },
            { wait: 900, act: { kind: "move", pick: leader, group: 0, millis: 0 } },
        ],
        pageSize: 1,
        settings: { electorateTag, handoverSeconds, protectLeader: "true" },
        lags: [431],
    },
    "one leader can't be demoted while another shuts down": {
        groups: [{ size: 2 }],
        acts: [
            { wait: 5000, act: { kind: "attach", pick: loose, group: 0 } },
            { wait: 5000, act: { kind: "trouble", calls: 1, on: "any", fault: "throttled", partly: 0 } },
            { wait: 250, act: { kind: "enterStandby", pick: leader } },
            { wait: 0, act: { kind: "endSlowly", pick: member(1), millis: 5000 } },
            { wait: 500, act: { kind: "refuse", pick: leader, what: "create and delete" } },
            { wait: 250, act: { kind: "tag", pick: member(1), value: "true", since: "none" } },
        ],
        settings: { protectLeader: "true" },
    },
    "a detached leader loses its tags when it is too late to promote its successor": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 0, act: { kind: "launch", group: 0, hook: true } },
            { wait: 5000, act: { kind: "detach", pick: leader } },
            { wait: 0, act: { kind: "pace", latency: 3500 } },
            { wait: 5589, act: { kind: "protect", pick: leader, on: false } },
        ],
        settings: { handoverSeconds },
    },
    "a tag with a later since is overwritten, and its event comes in the second of that": {
        groups: [{ size: 1 }],
        acts: [
            { wait: 250, act: { kind: "tag", pick: member(0), value: "true", since: "later" } },
            { wait: 500, act: { kind: "sweep" } },
        ],
        fates: ["doubled"],
        lags: [391],
    },
    ...demonstrations,
};
