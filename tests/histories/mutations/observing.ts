// Faults in what is read, and in how what was read is put together.
import type { Mutation } from "../mutations";

const answers = "tests/election/answers.test.ts";
const memory = "tests/election/memory.test.ts";
const ownership = "tests/election/ownership.test.ts";
const ranking = "tests/election/ranking.test.ts";
const progress = "tests/election/progress.test.ts";
const sweptPages = "for await (const page of (0, describe_1.readGroupPages)(aws)) {";

export const observing: Record<string, Mutation> = {
    // Reads.
    "decide from half the pages": ["all.push(page);", "all.push(page); break;"],
    "stop paging at an empty page": [
        "all.push(page);",
        "if (Object.values(page).some((value) => Array.isArray(value) && value.length === 0)) { break; } all.push(page);",
    ],
    "name filter without escaping": ['name.replace(/[*?\\\\]/g, "\\\\$&")', "name"],
    "an id that EC2 doesn't know fails its group's election": ["known.length < ids.length", "false", answers],
    "read the statuses of running instances only": ["IncludeAllInstances: true", "IncludeAllInstances: false"],
    "ask for more than 100 statuses in a call": ["(0, answers_1.chunks)(ids, 100).", "(ids.length > 0 ? [ids] : [])."],
    "ask for more than five electorates in a call": ["(0, answers_1.chunks)(values, 5).map(", "[values].map("],
    "ask for the homes of more than 50 instances in a call": [
        "(0, answers_1.chunks)(ids, 50).map((InstanceIds)",
        "(ids.length > 0 ? [ids] : []).map((InstanceIds)",
    ],
    "ask for the load of more than 500 instances in a call": [
        "(0, answers_1.chunks)(ids, 500).map(",
        "(ids.length > 0 ? [ids] : []).map(",
        ranking,
    ],
    "a group's failed read fails all": ["({ unread: [{ groups, error }] })", "{ throw error; }"],
    "a later read replaces what showed that a departing instance leads": [
        "{ id, group, leads } of departing.values()",
        "{ id, group, leads } of [...departing.values()].map((one) => tagged.get(one.id) ?? one)",
        memory,
    ],
    "leave out a departing instance": [
        "(0, events_1.addOurs)(scope, triggers, leads ? group : undefined, batch.departing.get(id));",
        "",
    ],

    // The two lists of Auto Scaling.
    "don't understand health in capitals": ["/^healthy$/i.test(", "/^Healthy$/.test("],
    "no member that one list alone shows": ["return isMember ? home : undefined;", "return undefined;"],
    "a member of the warm pool is one of the group": ['home && !home.lifecycleState.startsWith("Warmed:");', "home;"],
    "don't ask for the home of a leader that its group leaves out": [
        "const lost = (0, assemble_1.unlistedLeaders)(reading, isAbout).filter(({ id }) => !asked.has(id));",
        "const lost = [];",
    ],
    "a sweep doesn't ask for the home of a leader that its group leaves out": [
        "(0, assemble_1.unlistedLeaders)(reading, (group) => names.includes(group)).map(({ id }) => id);",
        "[];",
    ],
    "strip an orphan that a group lists": ["(id) === undefined && !memberIds(view).has(id);", "(id) === undefined;"],

    // Where an instance belongs, and which groups are looked at.
    "strip on an old Detach": ["homes.has(id) && homes.get(id) === undefined && !memberIds(view).has(id);", "true;"],
    "strip an instance that has led elsewhere since": ["left.includes(group)", "true"],
    "strip an instance that another tool has tagged": ["left.length > 0 || since !== undefined", "true"],
    "an orphan that a Detach event names without since keeps its tag": ["left.length > 0 || since !==", "since !=="],
    "a sweep finds no orphans": [
        "leads && since !== undefined && group === undefined && !(0, group_1.isEnded)({ state })",
        "false",
    ],
    "each group of an electorate for itself": ["electorate === undefined ? group :", "true ? group :"],
    "an empty value of the electorates' tag makes an electorate": [
        "...(electorate ? { electorate } : {}),",
        "...(electorate === undefined ? {} : { electorate }),",
    ],
    "read the leaders of the group that an event names only": ["aws.scope.electorateTag ?", "false ?"],
    "leave a group's newer tags unseen": ["groups: new Map(readings.", "groups: new Map(readings.toReversed()."],
    "no election in the group that a leader moved into": [
        "(0, events_1.addOurs)(scope, triggers, homeOf(id), triggers.get(group)?.[0]);",
        "",
        ownership,
    ],
    "no election where an instance without a group's tag lost its own": ["of batch.unplaced) {", "of []) {"],
    "strip an orphan though its group can't be read": [
        "scope.handoverSeconds > 0 &&",
        "false &&",
        "a leader is detached, and its group can't be read",
    ],
    "an orphan doesn't delay its group's successor": [
        "orphans: orphans.filter(({ id }) => batch.detached.get(id)?.some((left) => names.includes(left))),",
        "orphans: [],",
    ],
    "a group's launches are not noted": ["launched: launched.has(id),", "launched: false,"],

    // Prefixes.
    "second prefix ignored": [".some((prefix) => name.startsWith(", ".slice(0, 1).some((prefix) => name.startsWith("],
    "second prefix ignored when an instance departs": ["aws.scope.asgPrefixes", "aws.scope.asgPrefixes.slice(0, 1)"],

    // Sweeps that go on.
    "pages before the token are never looked at": [
        sweptPages,
        "for await (const page of startingToken === undefined ? (0, describe_1.readGroupPages)(aws) : []) {",
    ],
    "a sweep ends with the page that it began with": ["page, hasMore: true };", "page, hasMore: false }; return;"],
    "a token that AWS refuses ends the sweep": [
        "names.length > 0 || !(0, answers_1.isRefusal)(error)",
        "true",
        progress,
    ],
    "the next sweep begins anew": ["rest.nextToken : undefined;", "undefined : undefined;", progress],
    "a token is kept after a failure that was no lack of time": [
        'unread.every(({ error }) => error.name === "AbortError")',
        "true",
        progress,
    ],
    "a sweep forgets electorates": [
        "later.push(...fresh.flatMap(({ name, electorate }) => (electorate ? [name] : [])));",
        "",
    ],
    "a sweep forgets leaders of groups that are gone": [
        "const gone = (0, assemble_1.unlistedLeaders)(",
        "const gone = ((...unused) => [])(",
    ],
    "a sweep looks at a group that an event named again": ["].filter(({ name }) => !seen.has(name));", "];"],
    "a sweep looks twice at the page where it began": [
        "seen.add(name);\n            }\n            later",
        "}\n            later",
        "a sweep is cut short, and the next one has time",
    ],
    "a sweep begins rounds without time": [
        "if (round.rest && deadline.millisLeft() < deadline_1.millisToPromote) {",
        "if (false) {",
        progress,
    ],
    "an instance's own tag counts before what Auto Scaling lists": [
        "=> view.homes.get(id)?.group ?? group;",
        "=> group || view.homes.get(id)?.group;",
    ],
    "decide for a group whose read has failed": ["!names.some((group) => failed.has(group))", "true"],
    "a sweep that fails has looked at all": [
        "yield { groups: [], orphans: [], unread: [{ groups: [], error: error }], rest };",
        "",
    ],
};
