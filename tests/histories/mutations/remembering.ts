// Faults in memory: each thing remembered has a beginning, an end, and something that is truer.
import type { Mutation } from "../mutations";

const flapping = "tests/failover/flapping.test.ts";
const handOver = "tests/failover/hand-over.test.ts";
const memory = "tests/election/memory.test.ts";

const without = (what: string): [sound: string, faulty: string] => [
    "for (const known of [writes, states, warnings, refusals]) {",
    `for (const known of [writes, states, warnings, refusals].filter((known) => known !== ${what})) {`,
];

export const remembering: Record<string, Mutation> = {
    // Writes.
    "forget what this container wrote": [
        "if (tagged.some((event) => event.id === id && contradicts(event, write, now))) {",
        "if (true) {",
    ],
    "writes are remembered for ever": without("writes"),
    "writes are remembered for 20 seconds": ["until: ended + writeMillis", "until: ended + (writeMillis * 2) / 3"],
    "writes are remembered for five minutes": ["until: ended + writeMillis", "until: ended + writeMillis * 10"],
    "count memory from the writing's beginning": ["until: ended + writeMillis", "until: began + writeMillis"],
    "no tag event is truer than memory": [
        "if (tagged.some((event) => event.id === id && contradicts(event, write, now))) {",
        "if (false) {",
    ],
    "a tag event of the same second is older": ["(isEarlier ? 0 : 1000)", "0"],
    "an earlier write's event is truer": ["(isEarlier ? 0 : 1000)", "1000"],
    "ignore a later since in a read": [
        "(0, group_1.sinceOf)(instance, now) > (0, group_1.sinceOf)(write, now)",
        "false",
    ],
    "forget demotions": ["(const id of demoted) {\n        writes.set(", "(const id of []) {\n        writes.set("],
    "forget promotions": ["of [promoted ?? [], adopted ?? []].flat()", "of [adopted ?? []].flat()"],
    "take a remembered leader for running": ['state: state ?? (arriving ? "pending" : "running")', 'state: "running"'],
    "the fence forgets what this container wrote": ["latestWritten: Math.max(0, ...", "latestWritten: Math.min(0, ..."],

    "no election where a leader departs that memory alone shows": [
        "write?.leads && write.group !== undefined",
        "false",
        memory,
    ],

    // States.
    "shutting-down in a read is not remembered": ['(read ?? { state }).state === "shutting-down"', "false", memory],
    "shutting-down in a read counts for five minutes": ["began + endingMillis", "began + 300_000", memory],
    "a late stopping is truer than shutting-down": ['states.get(id)?.state !== "shutting-down"', "true", memory],
    "states are remembered for ever": without("states"),
    "shutting-down in an event is not remembered": [
        'learnState(memory, id, state, state === "stopping"',
        'state === "stopping" && learnState(memory, id, state, state === "stopping"',
    ],
    "stopping counts for an hour": ["at + stoppingMillis :", "at + 360 * stoppingMillis :", memory],
    "stopping counts for three seconds": ["at + stoppingMillis :", "at + 0.3 * stoppingMillis :", memory],
    "stopping counts from its arrival": ["at + stoppingMillis :", "now + stoppingMillis :", memory],
    "stopping in an event is not remembered": ["at + stoppingMillis :", "0 :", memory],
    "shutting-down is truer than terminated": ['", "shutting-down", "terminated"', '", "terminated", "shutting-down"'],

    // Spot warnings.
    "a warning counts for the next batch only": ["Math.max(at + events_1.warningMillis,", "Math.max(at + 1000,"],
    "a warning of an hour ago counts": ["if (now - at > exports.warningMillis) {", "if (false) {", memory],

    // Refusals.
    "refusals are remembered for ever": [...without("refusals"), "tests/election/changes.test.ts"],
    "choose an instance at once again that AWS refused to tag": [
        "refusals.set(id, { until: ended + refusalMillis });",
        "",
        "tests/election/changes.test.ts",
    ],
    "a refused instance is never chosen again": [
        'candidates.filter(({ tier }) => isLeaderless || tier === "fit");',
        'candidates.filter(({ tier }) => tier === "fit" || tier === "arriving");',
        "tests/election/changes.test.ts",
    ],
    "a refused instance replaces a leader that may stay": [
        'candidates.filter(({ tier }) => isLeaderless || tier === "fit");',
        "candidates;",
        "tests/election/changes.test.ts",
    ],
    "a refusal ranks before none": ["tier: refused ? `", "tier: false ? `", "tests/election/changes.test.ts"],

    // Flapping.
    "no flapping guard": ["flapping: ", "flapping: false && "],
    "the flapping guard holds for sweeps and launches": [
        "group.triggers.every(({ type }) => type === events_1.tagType)",
        "true",
    ],
    "a sweep doesn't end the flapping guard": ["batch.sweep ? memory.promotions : []", "[]", flapping],
    "three promotions in 40 s are no flapping": ["[0] ?? 0) <= flappingMillis", "[0] ?? 0) <= 20_000", flapping],
    "a tag given back is no promotion for flapping": ["times = changed", "times = isGivenBack || changed", flapping],
    "the flapping guard counts promotions of any time": [
        "(times.at(-1) ?? 0) - (times[0] ?? 0) <= flappingMillis",
        "true",
        flapping,
    ],

    // Hand-overs.
    "forget a leader that has just left": ["(memory, corrected, now - pauseMillis)", "(memory, corrected, now)"],
    "a hand-over is never over": ["(memory, corrected, now - pauseMillis)", "(memory, corrected, 0)"],
    "no hand-over from an orphan": ["return orphans.length > 0 || (at > since", "return (at > since"],
    "a hand-over from an orphan is forgotten if it was too late to promote": [
        "if (ids.length > 0) {\n                memory.pendingHandovers",
        "if (result.demotedAt !== undefined && ids.length > 0) {\n                memory.pendingHandovers",
        "a detached leader loses its tags when it is too late to promote its successor",
    ],
    "a hand-over from a leader that still carries the tag": [".some((id) => !carriesTag(id))", ".length > 0", handOver],

    // Protection.
    "take protection that was there before": ["memory.protectedBefore.set(id, wasProtected);", ""],
    "a term's own protection lasts": ["if (!isGivenBack) {", "if (true) {", "a leader in Standby gets its tag back"],
    "what was protected before one term was before the next": [
        "set(id, wasProtected)",
        "set(id, memory.protectedBefore.get(id) || wasProtected)",
    ],
    "an uncertain write is remembered": ["uncertain) {\n        writes.delete(id)", "[]) {\n        writes.delete(id)"],
    "an orphan known as stripped is stripped whatever since it shows": [
        "write?.leads === false && (0, group_1.sinceOf)(orphan, now) <= (0, group_1.sinceOf)(write, now)",
        "write?.leads === false",
    ],
    "strip an orphan again while reads lag": [
        "write?.leads === false && (0, group_1.sinceOf)(orphan, now) <= (0, group_1.sinceOf)(write, now)",
        "false",
        "tests/histories/regressions.test.ts",
    ],
    "shutting-down is forgotten after five minutes": ["now + endingMillis, now);", "now + endingMillis / 12, now);"],
    "warnings are remembered for ever": without("warnings"),
    "a warning counts from its arrival": [".max(at + events_1.warningMillis,", ".max(now + events_1.warningMillis,"],
    "an older warning shortens a later one": [
        "Math.max(at + events_1.warningMillis, memory.warnings.get(id)?.until ?? 0)",
        "at + events_1.warningMillis",
    ],
};
