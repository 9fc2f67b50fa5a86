// Faults in the decision table, in ranking and in plans.
import type { Mutation } from "../mutations";

const memory = "tests/election/memory.test.ts";
const ranking = "tests/election/ranking.test.ts";
const since = "tests/election/since.test.ts";

export const deciding: Record<string, Mutation> = {
    "retain a leader that EC2 calls stopped": [
        'if (state !== "running") {\n        return `is $',
        'if (!["running", "stopping", "stopped"].includes(state)) {\n        return `is $',
    ],
    "a veto doesn't bar a leader": [".listed === undefined || leader.vetoed ||", ".listed === undefined ||"],
    "a leader that no group lists may stay": ["leader.listed === undefined || leader.vetoed ||", "leader.vetoed ||"],
    "a leader that EC2 is ending may stay": ["leader.vetoed || (0, exports.isEnding)(leader)", "leader.vetoed"],
    "a vetoed instance is fit": ['if (vetoed) {\n        return "is vetoed', 'if (false) {\n        return "is vetoed'],
    "a warned leader is fit": ['return warned ? "has a Spot interruption warning" : undefined;', "return undefined;"],
    "choose a vetoed instance": ["!instance.leads && !instance.vetoed &&", "!instance.leads &&"],
    "choose an instance with a Spot warning": ["isReady)(instance) && !instance.warned)", "isReady)(instance))"],
    "choose an instance that an event calls stopping": [' && instance.state !== "stopping");', ");", memory],
    "an arriving member replaces a leader that may stay": ['tier === "fit"', 'tier === "fit" || tier === "arriving"'],
    "no instance leads while a group boots": ["arriving = others.filter(group_1.isArriving);", "arriving = [];"],
    "the earliest leader stays": ["(b, now) - (0, exports.sinceOf)(a, now)", "(a, now) - (0, exports.sinceOf)(b, now)"],
    "the highest id stays": ["(a.id < b.id ? -1 : 1)", "(a.id < b.id ? 1 : -1)"],
    "a value of the tag in capitals doesn't mark a leader": ["/^true$/i.test(value)", "/^true$/.test(value)"],
    "a veto in capitals doesn't count": ["/^false$/i.test(value)", "/^false$/.test(value)"],
    "demote no other leader": ["other !== leader && (!isUnsure || (0, group_1.isBarred)(other))", "false"],
    "demote a fit leader for one that memory alone shows": [
        "other !== leader && (!isUnsure || (0, group_1.isBarred)(other))",
        "other !== leader",
        memory,
    ],
    "leave the tag to an instance that a read shows with it": ["[...leaders, ...shown]", "[...leaders]", memory],
    "a group that wants none is vacant": ['desired > 0 ? "vacant" : "empty"', '"vacant"'],
    "demote none if no candidate will do": [
        "group, fallback, since",
        "group, { ...fallback, demote: [] }, since",
        "the leader is vetoed, and the other stopped",
    ],
    "choose without EC2's state": ['status instanceof Error || states.includes(status?.state ?? "");', "true;"],
    "promote though a candidate's state can't be read": [
        "if (error) {\n        return { ids: [], error };",
        "if (false) {\n        return { ids: [], error };",
        ranking,
    ],
    "status checks don't count": ["|| checks(a) - checks(b) ||", "||"],
    "a scheduled retirement doesn't count": ["if (isScheduled || results", "if (results"],
    "a retirement that is over counts": ["!/^\\[(Completed|Canceled)\\]/.test(", "!/^nothing$/.test(", ranking],
    "load counts before a launch": [
        "Number(b.launched) - Number(a.launched) || steps(a) - steps(b)",
        "steps(a) - steps(b) || Number(b.launched) - Number(a.launched)",
        ranking,
    ],
    "the busiest leads": ["steps(a) - steps(b)", "steps(b) - steps(a)"],
    "unknown load comes first": ["load.get(id) ?? Number.MAX_VALUE", "load.get(id) ?? 0"],
    "load counts to the point": ["/ loadStep)", "/ 1)", ranking],
    "never rank the eleventh member": ["candidates.length > 0 && isEmpty(rankings.get(group))", "false"],
    "rank all members of a large group": ["one.candidates.slice(0, perGroup)", "one.candidates", ranking],
    "all tag keys elect the same instance": [
        "const { tagKey } = aws.scope;\n    const vacancies",
        'const tagKey = "";\n    const vacancies',
        ranking,
    ],
    "no chance between elections": ["const since = (0, group_1.latestSince)(group, now);", "const since = 0;", ranking],
    "since from the clock alone": ["since = Math.max(now, (0, group_1.latestSince)(group, now) + 1);", "since = now;"],
    "a since far ahead counts": ["at <= now + 24 * 60 * 60 * 1000 ? at : 0", "at"],
    "a since that is half a day ahead doesn't count": ["now + 24 * 60 * 60 * 1000", "now + 0 * 60 * 60 * 1000"],
    "former leaders' since doesn't count for the fence": [
        "[...instances, ",
        "[...instances.filter(({ leads }) => leads), ",
    ],
    "orphans' since doesn't count for the fence": ["[...instances, ...orphans].map(", "[...instances].map("],
    "write when nothing changed": ["promote: [], adopt, since", "promote: leader ? [leader.id] : [], adopt, since"],
    "adopt a leader at any event": ["lacksSince && (0, group_1.isSwept)(group)", "lacksSince"],
    "adopt a leader that is not fit": ["isFit)(leader) && (0, group_1.sinceOf", "sinceOf", since],
    "adopt a leader that has a since": ["isFit)(leader) && (0, group_1.sinceOf)(leader, now) === 0", "isFit)(leader)"],
    "adopt no leader": ["lacksSince && (0, group_1.isSwept)(group)", "false"],
    "give the tag back to a leader that may not stay": [
        'const giveBack = fallback.outcome === "kept" ? fallback.leader.id : undefined;',
        "const giveBack = decision.demote[0]?.id;",
    ],
    "never give a tag back": [
        'const giveBack = fallback.outcome === "kept" ? fallback.leader.id : undefined;',
        "const giveBack = undefined;",
    ],

    // Paused groups.
    "write in a paused group": ["if (!group.paused) {", "if (true) {"],
    "adopt in a paused group": [
        'return { outcome: "paused", demote: [],',
        'if (decision.outcome === "kept") { return decision; } return { outcome: "paused", demote: [],',
    ],
    "demote in a paused group": ['{ outcome: "paused", demote: [],', '{ outcome: "paused", demote: decision.demote,'],
    "protect in a paused group": ["?? plan.keep;", "?? plan.keep ?? group.instances.find(({ leads }) => leads)?.id;"],
    "pause only the group that is named, not its electorate": ["listed.some(({ paused })", "listed.every(({ paused })"],
    "a pause in capitals doesn't count": ["paused: (0, scope_1.isTrue)(", 'paused: ((value) => value === "true")('],
    "any value pauses a group": ["paused: (0, scope_1.isTrue)(tags.get(", "paused: Boolean(tags.get("],
};
