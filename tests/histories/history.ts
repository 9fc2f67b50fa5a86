import * as fc from "fast-check";
import type { BusEvent } from "../simulator/aws/events";
import { awsError, type Call, type Fault } from "../simulator/aws/faults";
import type { Pace } from "../simulator/aws/fleet";
import { groupKey, isTrue } from "../simulator/aws/region";
import type { Container } from "../simulator/clock";
import { Electorates } from "../simulator/electorates";
import { Deployment } from "../simulator/stack/deployment";
import { type Program, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";
import { Referee, sinceIn, verdict } from "./checkers/oracle";
import type { Expectations } from "./expectations";

/** What an act is about: somebody of a group, if there is anybody. */
interface Pick {
    group: number;
    who: "leader" | "member" | "loose";
    n: number;
}

type Since = "none" | "earlier" | "same" | "soon" | "later" | "malformed" | "farFuture" | "edge";

type OneOf<T extends Record<string, object>> = { [K in keyof T]: { kind: K } & T[K] }[keyof T];

/** Something that happens. One that can't happen when its time comes doesn't. */
export type Act = OneOf<{
    launch: { group: number; hook: boolean };
    failLaunch: { group: number; withInstance: boolean };
    scale: { group: number; size: number; hook: boolean };
    terminate: { pick: Pick; hook: boolean };
    crash: { pick: Pick };
    stop: { pick: Pick };
    start: { pick: Pick };
    becomeUnhealthy: { pick: Pick };
    recover: { pick: Pick };
    enterStandby: { pick: Pick };
    exitStandby: { pick: Pick };
    detach: { pick: Pick };
    attach: { pick: Pick; group: number };
    /** The instance is detached from its group, and attached to another one later. */
    move: { pick: Pick; group: number; millis: number };
    /** Somebody gives a group another value of the electorates' tag, or takes the tag off. */
    franchise: { group: number; electorate?: string };
    /** Somebody deletes a group that has no members. */
    remove: { group: number };
    /** Somebody protects an instance from scaling in, or lays it bare. */
    protect: { pick: Pick; on: boolean };
    warn: { pick: Pick };
    /** Somebody takes tags off. */
    strip: { pick: Pick; what: "leader" | "since" | "both" };
    /** Somebody sets the leader tag, or copies it. */
    tag: { pick: Pick; value: string; since: Since };
    /** Somebody changes how long a leader has led. */
    date: { pick: Pick; since: Since };
    /** For some seconds somebody strips whoever is promoted. */
    rival: { group: number; seconds: number };
    condition: { pick: Pick; load: number | undefined; checks: string };
    sweep: object;
    /** An event comes again, under another id. */
    replay: { n: number };
    loseContainer: object;
    /** What is under way starts a second time, beside the first. */
    repeat: object;
    /** How long calls take from now on. */
    pace: { latency: number };
    /** What goes wrong with the next calls of a kind. */
    trouble: { calls: number; on: keyof typeof kinds; fault: keyof typeof faults; partly: number };
    /** EC2 refuses to tag the instance from now on. */
    curse: { pick: Pick; error: "TagLimitExceeded" | "UnauthorizedOperation" };
}>;

export type Fate = "onTime" | "lost" | "doubled" | number;

/** The stack's settings beside the defaults. */
export type Settings = Partial<Record<"electorateTag" | "handoverSeconds" | "protectLeader", string>>;

/** A world and what happens in it; what is not said happens as usual. */
export interface History {
    settings?: Settings;
    /** `electorate`: the value of a group's tag. */
    groups: { foreign?: boolean; size: number; electorate?: string }[];
    /** `wait`: milliseconds before it. */
    acts: { wait: number; act: Act }[];
    /** What becomes of the first events, in the order in which they come; a number: milliseconds of delay. */
    fates?: Fate[];
    pageSize?: number;
    /** By how many milliseconds EC2's reads lag, one after the other, and again. */
    lags?: number[];
    /** What happens to tags at the end, before the last sweep, without an event. */
    last?: Act[];
    /** How many stacks are responsible for the same groups. */
    electors?: number;
}

export const tagKey = "app:isLeader";
const sinceKey = `${tagKey}:since`;
export const asgPrefix = "awseb-";
export const electorateTag = "elasticbeanstalk:environment-name";
const ourNames = ["awseb-a", "awseb-a\\b", "awseb-a*", "awseb-ab", "awseb-"];
const foreignNames = ["other", "awseb", "xawseb-a", "Awseb-a", "awseb_a"];

// As in AWS, but quicker: less time is to pass before a fleet is at rest.
const pace: Pace = {
    boot: 2000,
    intoService: 3000,
    hook: 4000,
    shutdown: 3000,
    healthCheck: 15_000,
    spotWarning: 8000,
};
const millisToRest = 90_000;

const kinds = {
    any: /./,
    groups: /Groups$/,
    instances: /:DescribeInstances$/,
    rank: /Status$|Metric/,
    protect: /:SetInstanceProtection$/,
    create: /:CreateTags$/,
    delete: /:DeleteTags$/,
};

const faults = {
    throttled: () => ({ error: awsError("RequestLimitExceeded", "Request limit exceeded.", 503) }),
    timesOut: () => ({ error: awsError("TimeoutError", "socket hang up", 0) }),
    timesOutAfterEffect: () => ({ error: awsError("TimeoutError", "socket hang up", 0), afterEffect: true }),
    isHeldUp: () => ({ error: awsError("ConcurrentTagAccess", "Try again.") }),
    isRefused: () => ({ error: awsError("UnauthorizedOperation", "You are not authorized.", 403) }),
    isRefusedHalfWay: (call: Call, partly: number) => ({
        error: awsError("TagLimitExceeded", "The maximum number of tags has been reached."),
        partly: Math.min(partly, (call.input.Resources?.length ?? 1) - 1),
    }),
    breaksHalfWay: (_: Call, partly: number) => ({ error: awsError("InternalError", "An error.", 500), partly }),
    kills: () => ({ dies: true }),
    killsAfterEffect: () => ({ dies: true, afterEffect: true }),
} satisfies Record<string, (call: Call, partly: number) => Fault>;

/** What came of a history. */
export interface Outcome {
    /** What broke a rule. */
    violations: string[];
    /** What the function asked AWS to do. */
    actions: Set<string>;
}

/** Makes the program that a history's stack runs. */
export type Programs = (settings?: Settings) => Promise<Program>;

const programs = new Map<string, Promise<Program>>();

/** The program as it is, made once for the same settings. */
export const theProgram: Programs = (settings = {}) => {
    const key = JSON.stringify(settings);
    const program = programs.get(key) ?? runProgram({ config: { asgPrefix, tagKey, ...settings } });
    programs.set(key, program);
    return program;
};

/** Lives through a history, in a world of its own. */
export async function live(programs: Programs, history: History): Promise<Outcome> {
    const program = await programs(history.settings);
    const unhandled: string[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(`unhandled rejection: ${reason}`);
    process.on("unhandledRejection", onUnhandled);
    try {
        const outcome = await inWorld(program, (world) => new Life(world, program, history).live(), pace);
        return { ...outcome, violations: [...outcome.violations, ...unhandled] };
    } finally {
        process.off("unhandledRejection", onUnhandled);
    }
}

/** A history while it happens. */
class Life {
    private readonly stacks: Deployment[];
    private readonly referee: Referee;
    private readonly expect: Expectations;
    private readonly electorates: Electorates;
    private readonly names: string[];
    private readonly troubles: { left: number; on: RegExp; fault: (call: Call) => Fault }[] = [];
    private readonly past: BusEvent[] = [];
    private fates: Fate[];
    private copies = 0;

    constructor(
        private readonly world: World,
        program: Program,
        private readonly history: History,
    ) {
        const { region, fleet, timeline, stack } = world;
        const { settings = {}, electors = 1, lags, fates = [], pageSize = 1000, groups, acts } = history;
        const alone = electors === 1 && !acts.some(({ act: { kind } }) => kind === "repeat");
        this.expect = {
            tagKey,
            asgPrefix,
            electorateTag: settings.electorateTag ?? "",
            handoverMillis: Number(settings.handoverSeconds ?? 0) * 1000,
            protectLeader: settings.protectLeader === "true",
            alone,
            exact: alone && !lags,
            cursed: new Map(),
        };
        this.electorates = new Electorates(region, this.expect);
        this.referee = new Referee(world, program, this.expect);
        this.fates = [...fates];
        stack.onInvocation.push((invocation) =>
            this.referee.judgeElection(invocation, stack.lastContainer as Container),
        );
        this.stacks = [stack, ...Array.from({ length: electors - 1 }, () => new Deployment(program, region, timeline))];
        for (const one of this.stacks) {
            one.fate = (event) => this.fate(one, event);
        }
        region.onEvent.push((event) => this.past.push(event));
        region.pageSize = pageSize;
        region.fault = (call) => this.fault(call);
        let read = 0;
        region.lag = () => lags?.[read++ % lags.length] ?? 0;
        const [ours, foreign] = [[...ourNames], [...foreignNames]];
        this.names = groups.map(({ foreign: isForeign, size, electorate }) => {
            const name = (isForeign ? foreign : ours).shift() as string;
            fleet.addGroup(name, size, electorate === undefined ? {} : { [electorateTag]: electorate });
            return name;
        });
        region.addInstance(undefined);
    }

    async live(): Promise<Outcome> {
        const { timeline } = this.world;
        for (const { wait, act } of this.history.acts) {
            await timeline.pass(wait);
            this.act(act);
        }
        await this.rest();
        this.referee.judgeReports();
        const { violations } = this.referee;
        return { violations, actions: new Set(this.world.region.calls.map(({ action }) => action)) };
    }

    /** Nothing goes wrong any more, the fleet comes to rest, everything is delivered and forgotten; then a sweep, and one more. */
    private async rest(): Promise<void> {
        const { region, timeline } = this.world;
        this.fates = [];
        this.troubles.length = 0;
        region.lag = () => 0;
        region.latency = 20;
        await timeline.pass(millisToRest);
        await this.settle();
        await timeline.pass(this.millisToForget);
        for (const one of this.history.last ?? []) {
            this.fates = Array(10).fill("lost");
            this.act(one);
        }
        this.fates = [];
        const verdicts = this.electorates.names().map((home) => [home, verdict(region, home, this.expect)] as const);
        await this.sweep();
        if (this.stacks.length > 1) {
            await timeline.pass(this.millisToForget);
            await this.sweep();
        }
        for (const [home, before] of verdicts) {
            this.referee.judgeRest(home, before);
        }
        this.judgeStrays();
        const end = timeline.now;
        await this.sweep();
        const writes = this.referee.writesSince(end).filter(({ input }) => !this.isAboutCursed(input.Resources ?? []));
        if (writes.length > 0) {
            this.referee.violations.push(`at rest, there was still something to write: ${JSON.stringify(writes)}`);
        }
    }

    /** Until containers have forgotten what they wrote. */
    private get millisToForget(): number {
        return 31_000 + this.expect.handoverMillis;
    }

    private async sweep(): Promise<void> {
        for (const stack of this.stacks) {
            stack.sweep();
        }
        await this.settle();
    }

    private async settle(): Promise<void> {
        for (const stack of this.stacks) {
            await stack.settle();
        }
    }

    private isAboutCursed(ids: string[]): boolean {
        return ids.some((id) => this.expect.cursed.has(id));
    }

    private judgeStrays(): void {
        const { region } = this.world;
        for (const id of region.instances.keys()) {
            const tags = region.tags(id);
            const isLive = !["shutting-down", "terminated"].includes(region.state(id));
            const isStray = tags[groupKey] === undefined && isTrue(tags[tagKey]) && sinceKey in tags;
            const isLocked = this.expect.cursed.get(id) === "UnauthorizedOperation";
            if (isLive && isStray && !isLocked && !region.memberOf(id)) {
                this.referee.violations.push(`${id} is a stray, and was not stripped`);
            }
        }
    }

    private fate(stack: Deployment, event: BusEvent): number[] {
        const fate = this.fates.shift() ?? "onTime";
        if (fate === "lost") {
            return [];
        }
        if (fate === "doubled") {
            // The queue swallows what it has had before: another id makes it another event.
            this.fates.unshift("onTime");
            stack.hear({ ...event, id: `${event.id}-${++this.copies}` });
        }
        return [typeof fate === "number" ? 300 + fate : 300];
    }

    private fault(call: Call): Fault | undefined {
        const { region } = this.world;
        const promotes = call.action === "ec2:CreateTags";
        const tagging: string[] = /Tags$/.test(call.action) ? call.input.Resources : [];
        const cursed = tagging.map((id) => this.expect.cursed.get(id) ?? "");
        const refusal = cursed.find((error) => error === "UnauthorizedOperation" || (error && promotes));
        if (region.latency > 200) {
            this.referee.disturb(call, false); // little time remains
        }
        if (refusal) {
            this.referee.disturb(call, true);
            return { error: awsError(refusal, "Not this one.") };
        }
        const trouble = this.troubles.find(({ left, on }) => left > 0 && on.test(call.action));
        if (!trouble) {
            return undefined;
        }
        trouble.left--;
        const fault = trouble.fault(call);
        // A tag that is there already takes no more room.
        const isFull = promotes && tagging.some((id) => !(tagKey in region.tags(id)));
        if (fault.error?.name === "TagLimitExceeded" && !isFull) {
            return undefined;
        }
        this.referee.disturb(call, true);
        return fault;
    }

    private pick({ group, who, n }: Pick): string | undefined {
        const { region, fleet } = this.world;
        const name = this.groupName(group);
        const loose = () =>
            [...region.instances.keys()].filter((id) => !region.memberOf(id) && region.state(id) === "running");
        const leaders = () => this.electorates.leaders(this.electorates.nameOf(name));
        const found = who === "leader" ? leaders() : who === "member" ? fleet.members(name) : loose();
        return found[n % found.length];
    }

    private groupName(number: number): string {
        return this.names[number % this.names.length];
    }

    private act(act: Act): void {
        const { fleet, region, stack, timeline } = this.world;
        const id = "pick" in act ? this.pick(act.pick) : undefined;
        const group = "group" in act ? this.groupName(act.group) : "";
        if ("pick" in act && id === undefined) {
            return;
        }
        const one = id as string;
        switch (act.kind) {
            case "launch":
                fleet.launch(group, act);
                break;
            case "failLaunch":
                fleet.failLaunch(group, act.withInstance);
                break;
            case "scale":
                fleet.scale(group, act.size, act);
                break;
            case "terminate":
                fleet.terminate(one, act);
                break;
            case "attach":
                fleet.attach(one, group);
                break;
            case "move":
                fleet.detach(one);
                timeline.at(timeline.now + act.millis, () => fleet.attach(one, group));
                break;
            case "franchise": {
                const { tags } = region.groups.get(group) ?? { tags: {} as Record<string, string> };
                delete tags[electorateTag];
                Object.assign(tags, act.electorate === undefined ? {} : { [electorateTag]: act.electorate });
                this.referee.changeElectorates();
                break;
            }
            case "remove":
                if (fleet.members(group).length === 0) {
                    region.groups.delete(group);
                    this.referee.changeElectorates();
                }
                break;
            case "protect":
                if (region.memberOf(one)) {
                    region.setMember(one, { protected: act.on });
                }
                break;
            case "strip":
                region.setTags(one, {
                    ...(act.what === "since" ? {} : { [tagKey]: undefined }),
                    ...(act.what === "leader" ? {} : { [sinceKey]: undefined }),
                });
                break;
            case "tag":
                region.setTags(one, { [tagKey]: act.value, ...this.since(one, act.since) });
                break;
            case "date":
                region.setTags(one, this.since(one, act.since));
                break;
            case "rival":
                this.rival(group, timeline.now + act.seconds * 1000);
                break;
            case "condition":
                Object.assign(region.instances.get(one) ?? {}, { load: act.load, checks: act.checks });
                this.referee.changeUnseen();
                break;
            case "sweep":
                for (const each of this.stacks) {
                    each.sweep();
                }
                break;
            case "replay":
                if (this.past.length > 0) {
                    const event = this.past[act.n % this.past.length];
                    for (const each of this.stacks) {
                        each.hear({ ...event, id: `${event.id}-${++this.copies}` });
                    }
                }
                break;
            case "loseContainer":
                stack.loseContainer();
                break;
            case "repeat":
                void stack.repeat();
                break;
            case "pace":
                region.latency = act.latency;
                break;
            case "trouble":
                this.troubles.push({
                    left: act.calls,
                    on: kinds[act.on],
                    fault: (call) => faults[act.fault](call, act.partly),
                });
                break;
            case "curse":
                this.expect.cursed.set(one, act.error);
                break;
            default:
                fleet[act.kind](one);
        }
    }

    private since(id: string, since: Since): Record<string, string> {
        const { region, timeline } = this.world;
        const group = region.tags(id)[groupKey];
        const leader = group === undefined ? undefined : region.leaders(group, tagKey)[0];
        const tags = leader === undefined ? {} : region.tags(leader);
        const iso = (millis: number) => new Date(millis).toISOString();
        const hour = 60 * 60 * 1000;
        switch (since) {
            case "none":
                return {};
            case "earlier":
                return { [sinceKey]: iso(timeline.now - hour) };
            case "same":
                return sinceKey in tags ? { [sinceKey]: tags[sinceKey] } : {};
            case "soon":
                return { [sinceKey]: iso((sinceIn(tags, tagKey, timeline.now) || timeline.now) + 1) };
            case "later":
                return { [sinceKey]: iso(timeline.now + hour) };
            case "malformed":
                return { [sinceKey]: "yesterday" };
            case "farFuture":
                return { [sinceKey]: iso(timeline.now + 48 * hour) };
            case "edge":
                return { [sinceKey]: iso(timeline.now + 24 * hour + 5000) };
        }
    }

    private rival(group: string, until: number): void {
        const { region, timeline } = this.world;
        region.onEvent.push(({ source, resources, detail }) => {
            if (
                source === "aws.tag" &&
                detail.tags[groupKey] === group &&
                detail.tags[tagKey] &&
                timeline.now < until
            ) {
                const id = resources[0].split("/")[1];
                timeline.at(timeline.now + 100, () =>
                    region.setTags(id, { [tagKey]: undefined, [sinceKey]: undefined }),
                );
            }
        });
    }
}

// What fast-check draws histories from.

const pick: fc.Arbitrary<Pick> = fc.record({
    group: fc.nat(2),
    who: fc.constantFrom("leader", "leader", "member", "loose"),
    n: fc.nat(3),
});
const hook = fc.boolean();
const group = fc.nat(2);
const since: fc.Arbitrary<Since> = fc.constantFrom(
    "none",
    "earlier",
    "same",
    "soon",
    "later",
    "malformed",
    "farFuture",
    "edge",
);

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
    [1, act("condition", { pick, load: fc.constantFrom(undefined, 5, 55), checks: fc.constantFrom("ok", "impaired") })],
];
const tagActs: [number, fc.Arbitrary<Act>][] = [
    [2, act("strip", { pick, what: fc.constantFrom("leader", "since", "both") })],
    [4, act("tag", { pick, value: fc.constantFrom("true", "true", "True", "TRUE", "yes", "nope"), since })],
    [1, act("date", { pick, since })],
    [1, act("rival", { group, seconds: fc.integer({ min: 1, max: 20 }) })],
];
const curse = act("curse", { pick, error: fc.constantFrom("TagLimitExceeded", "UnauthorizedOperation") });
const last: typeof tagActs = [...tagActs.slice(0, 3), [2, curse]];
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
    [1, act("loseContainer")],
    [1, curse],
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
    [1, act("franchise", { group, electorate })],
    [1, act("remove", { group })],
];
const protectionActs: [number, fc.Arbitrary<Act>][] = [[2, act("protect", { pick, on: fc.boolean() })]];
const settings = { electorateTag, handoverSeconds: "5", protectLeader: "true" } as const;
const { handoverSeconds, protectLeader } = settings;
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
    "all three": histories(together, { settings: fc.constant(settings), ...electorates }),
    "all three, and reads that lag": histories(together, { settings: fc.constant(settings), ...electorates, lags }),
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
