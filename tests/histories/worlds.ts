// What fast-check draws histories from, and the kinds of worlds that they happen in.
import * as fc from "fast-check";
import type { Since } from "../simulator/verbs";
import {
    type Act,
    electorateTag,
    type Fate,
    type History,
    live,
    type Pick,
    type Programs,
    twoPrefixes,
} from "./history";
import { faults, kinds } from "./trouble";

const pick: fc.Arbitrary<Pick> = fc.record({
    group: fc.nat(2),
    who: fc.constantFrom("leader", "leader", "member", "loose"),
    n: fc.nat(3),
});
const hook = fc.boolean();
const group = fc.nat(2);
const steady: Since[] = ["none", "earlier", "same", "soon", "later", "malformed", "farFuture"];
/** "edge" comes to count a few seconds later. */
const since = fc.constantFrom<Since>(...steady, "edge");

const act = <K extends Act["kind"]>(kind: K, model: object = {}): fc.Arbitrary<Act> =>
    fc.record({ kind: fc.constant(kind), ...model }) as unknown as fc.Arbitrary<Act>;

const fleetActs: [number, fc.Arbitrary<Act>][] = [
    [3, act("launch", { group, hook })],
    [1, act("failLaunch", { group, withInstance: fc.boolean() })],
    [2, act("scale", { group, size: fc.nat(4), hook })],
    [1, act("terminate", { pick, hook })],
    [3, act("crash", { pick })],
    [2, act("stop", { pick })],
    [1, act("start", { pick })],
    [2, act("becomeUnhealthy", { pick })],
    [1, act("recover", { pick })],
    [2, act("enterStandby", { pick })],
    [1, act("exitStandby", { pick })],
    [2, act("detach", { pick })],
    [2, act("attach", { pick: fc.record({ group, who: fc.constant("loose"), n: fc.nat(3) }), group })],
    [1, act("move", { pick, group, millis: fc.nat(3000) })],
    [2, act("warn", { pick })],
    [2, act("endSlowly", { pick, millis: fc.integer({ min: 5000, max: 60_000 }) })],
    [1, act("toWarmPool", { pick, running: fc.boolean() })],
    [1, act("fromWarmPool", { pick: fc.record({ group, who: fc.constant("loose"), n: fc.nat(3) }) })],
    [1, act("schedule", { pick, on: fc.boolean() })],
    [1, act("pause", { group, value: fc.constantFrom("true", "True", "false", undefined, undefined) })],
    [1, act("leaveOut", { pick, of: fc.constantFrom("groups", "instances"), millis: fc.nat(20_000) })],
    [1, act("condition", { pick, load: fc.constantFrom(undefined, 5, 55), checks: fc.constantFrom("ok", "impaired") })],
];
const tagActsWith = (since: fc.Arbitrary<Since>): [number, fc.Arbitrary<Act>][] => [
    [2, act("strip", { pick, what: fc.constantFrom("leader", "since", "both") })],
    [4, act("tag", { pick, value: fc.constantFrom("true", "true", "True", "TRUE", "yes", "nope"), since })],
    [1, act("date", { pick, since })],
    [2, act("veto", { pick, on: fc.constantFrom(true, true, false) })],
    [1, act("fill", { pick })],
];
const tagActs: [number, fc.Arbitrary<Act>][] = [
    ...tagActsWith(since),
    [1, act("rival", { group, seconds: fc.integer({ min: 1, max: 20 }) })],
];
const refuse = act("refuse", { pick, what: fc.constantFrom("create", "create and delete") });
const last: typeof tagActs = [...tagActsWith(fc.constantFrom(...steady)), [2, refuse]];
const eventActs: [number, fc.Arbitrary<Act>][] = [
    [5, act("sweep")],
    [2, act("replay", { n: fc.nat(30) })],
];
const troubleActs: [number, fc.Arbitrary<Act>][] = [
    [
        6,
        act("trouble", {
            calls: fc.integer({ min: 1, max: 3 }),
            on: fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[])),
            fault: fc.constantFrom(...(Object.keys(faults) as (keyof typeof faults)[])),
            partly: fc.nat(2),
        }),
    ],
    [1, act("pace", { latency: fc.constantFrom(20, 200, 1500, 3500) })],
    [1, act("hurry", { millis: fc.constantFrom(0, 0, 4000, 7000, 9000) })],
    [1, act("loseContainer")],
    [1, refuse],
];

const wait = fc.oneof(
    fc.nat(80),
    fc.integer({ min: 250, max: 500 }),
    fc.integer({ min: 500, max: 5000 }),
    fc.integer({ min: 5000, max: 40_000 }),
);
const fate: fc.Arbitrary<Fate> = fc.oneof(
    { weight: 4, arbitrary: fc.constant<Fate>("onTime") },
    { weight: 2, arbitrary: fc.constant<Fate>("lost") },
    { weight: 1, arbitrary: fc.constant<Fate>("doubled") },
    { weight: 2, arbitrary: fc.nat(20_000) },
);

function histories(acts: [number, fc.Arbitrary<Act>][], more: object = {}): fc.Arbitrary<History> {
    const arbitrary = fc.oneof(...acts.map(([weight, arbitrary]) => ({ weight, arbitrary })));
    return fc.record({
        groups: fc
            .array(fc.record({ size: fc.nat(4) }, { requiredKeys: ["size"] }), { minLength: 1, maxLength: 2 })
            .chain((ours) => fc.boolean().map((foreign) => (foreign ? [...ours, { foreign: true, size: 2 }] : ours))),
        acts: fc.array(fc.record({ wait, act: arbitrary }), { minLength: 1, maxLength: 14 }),
        fates: fc.array(fate, { maxLength: 24 }),
        pageSize: fc.constantFrom(1000, 1, 2),
        meagre: fc.boolean(),
        last: fc.array(fc.oneof(...last.map(([weight, arbitrary]) => ({ weight, arbitrary }))), { maxLength: 4 }),
        ...more,
    }) as fc.Arbitrary<History>;
}

const all = [...fleetActs, ...tagActs, ...eventActs, ...troubleActs];
const lags = fc.array(fc.oneof(fc.constant(0), fc.nat(5000)), { minLength: 1, maxLength: 5 });
const sometimesLags = { lags: fc.option(lags, { nil: undefined }) };

// What is there with a setting only.
const electorate = fc.constantFrom("shop", "shop", "shop", "blog", "", undefined);
const electorates = {
    groups: fc.array(fc.record({ size: fc.nat(3), electorate, foreign: fc.constantFrom(false, false, false, true) }), {
        minLength: 2,
        maxLength: 3,
    }),
};
const electorateActs: [number, fc.Arbitrary<Act>][] = [
    [4, act("move", { pick, group, millis: fc.nat(3000) })],
    [1, act("joinElectorate", { group, electorate })],
    [1, act("remove", { group })],
];
const protectionActs: [number, fc.Arbitrary<Act>][] = [[2, act("protect", { pick, on: fc.boolean() })]];
const settings = { electorateTag, handoverSeconds: "5", protectLeader: "true" } as const;
const { handoverSeconds, protectLeader } = settings;
/** Each setting that changes what the function does, with each other one. */
const pairs = [
    { asgPrefix: twoPrefixes },
    { electorateTag },
    { handoverSeconds },
    { protectLeader },
    { dryRun: "true" },
].flatMap((one, index, singles) => singles.slice(index + 1).map((other) => ({ ...one, ...other })));
const together = [...all, ...electorateActs, ...protectionActs];

/** The kinds of worlds that histories are drawn from. */
export const worlds = {
    "reads that are up to date": histories(all),
    "reads that lag": histories(all, { lags }),
    "two electors": histories([...all, [4, act("repeat")]], { electors: fc.constantFrom(1, 2, 2), ...sometimesLags }),
    electorates: histories([...all, ...electorateActs], {
        settings: fc.constant({ electorateTag }),
        ...electorates,
        ...sometimesLags,
    }),
    "pauses at hand-overs": histories(all, { settings: fc.constant({ handoverSeconds }), ...sometimesLags }),
    "protected leaders": histories([...all, ...protectionActs], {
        settings: fc.constant({ protectLeader }),
        ...sometimesLags,
    }),
    "two prefixes": histories(all, { settings: fc.constant({ asgPrefix: twoPrefixes }), ...sometimesLags }),
    "a dry run": histories(all, { settings: fc.constant({ dryRun: "true" }), ...sometimesLags }),
    "all three": histories(together, { settings: fc.constant(settings), ...electorates, ...sometimesLags }),
    "two settings": histories(together, { settings: fc.constantFrom(...pairs), ...electorates, ...sometimesLags }),
    "all three, and two electors": histories([...together, [4, act("repeat")]], {
        settings: fc.constant(settings),
        electors: fc.constantFrom(1, 2, 2),
        ...electorates,
        ...sometimesLags,
    }),
};

/**
 * Draws histories from one kind of world and lives through them, until one breaks a rule; that one is made as short as may be.
 *
 * @param options.seed,options.path what fast-check printed, to see the same again
 * @param options.shrink whether to make it short, which takes a while
 * @returns what fast-check found, and every action that the function asked for
 */
export async function checkHistories(
    programs: Programs,
    world: keyof typeof worlds,
    options: { runs: number; seed?: number; path?: string; shrink?: boolean },
): Promise<{ found: fc.RunDetails<[History]>; actions: Set<string> }> {
    const actions = new Set<string>();
    const property = fc.asyncProperty(worlds[world], async (history) => {
        const outcome = await live(programs, history);
        for (const action of outcome.actions) {
            actions.add(action);
        }
        if (outcome.violations.length > 0) {
            throw new Error(outcome.violations.join("\n"));
        }
    });
    const { runs: numRuns, seed, path, shrink = true } = options;
    return { found: await fc.check(property, { numRuns, seed, path, endOnFailure: !shrink }), actions };
}
