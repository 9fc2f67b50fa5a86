// A history: a world, and what happens in it while the function runs. The checkers watch it from its beginning to its end.
import { type BusEvent, instanceIn } from "../simulator/aws/events";
import { awsError, type Call, type Fault } from "../simulator/aws/faults";
import type { Pace } from "../simulator/aws/fleet";
import { groupKey } from "../simulator/aws/region";
import { Electorates } from "../simulator/electorates";
import { found } from "../simulator/lists";
import { sinceKey, tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import { Deployment } from "../simulator/stack/deployment";
import type { Program } from "../simulator/stack/program";
import { type Scene, verbs } from "../simulator/verbs";
import { inWorld, type World } from "../simulator/world";
import { Referee } from "./checkers";
import type { Excuse, Expectations } from "./checkers/evidence";
import { type Refusal, verdict } from "./checkers/model";
import { faults, kinds } from "./trouble";

/** Which instance an act is about: one of a group, or one in no group, if there is any. */
export interface Pick {
    group: number;
    who: "leader" | "member" | "loose";
    n: number;
}

/** A verb's arguments, with a pick in place of an instance's id, and a number in place of a group's name. */
type Picked<A> = Omit<A, "id" | "group"> &
    (A extends { id: string } ? { pick: Pick } : object) &
    (A extends { group: string } ? { group: number } : object);

type ActsOf<Table extends Record<string, (scene: never, args: never) => unknown>> = {
    [V in keyof Table]: { kind: V } & Picked<Parameters<Table[V]>[1]>;
}[keyof Table];

/** What happens beside what happens to the fleet. */
const otherVerbs = {
    /** For some seconds each instance that is promoted loses its tags again. */
    rival: ({ scene: { region, timeline } }: Life, { group, seconds }: { group: string; seconds: number }) => {
        const until = timeline.now + seconds * 1000;
        region.onEvent.push(({ source, resources, detail: { tags } }) => {
            if (source === "aws.tag" && tags[groupKey] === group && tags[tagKey] && timeline.now < until) {
                const taken = { [tagKey]: undefined, [sinceKey]: undefined };
                timeline.at(timeline.now + 100, () => region.setTags(instanceIn(resources), taken));
            }
        });
    },
    sweep: ({ stacks }: Life, _: object) => {
        for (const stack of stacks) {
            stack.sweep();
        }
    },
    /** An event comes again, under another id. */
    replay: (life: Life, { n }: { n: number }) => {
        for (const stack of life.past.length > 0 ? life.stacks : []) {
            stack.send(life.copyOf(found(life.past[n % life.past.length])));
        }
    },
    loseContainer: ({ referee, scene: { stack } }: Life, _: object) => {
        if (stack.lastContainer) {
            referee.evidence.kill(stack.lastContainer);
        }
        stack.loseContainer();
    },
    /** By how many milliseconds all of EC2's reads lag from now on. */
    lag: ({ scene: { region } }: Life, { millis }: { millis: number }) => {
        region.lag = () => millis;
    },
    /** What is under way starts a second time, beside the first. */
    repeat: ({ scene: { stack } }: Life, _: object) => void stack.repeat(),
    /** How long calls take from now on. */
    pace: (life: Life, { latency }: { latency: number }) => life.hurry({ latency }),
    /** How many milliseconds of each invocation pass before the handler begins, from now on. */
    hurry: (life: Life, { millis }: { millis: number }) => life.hurry({ millis }),
    /** What goes wrong with the next calls of a kind. */
    trouble: ({ troubles }: Life, { calls, on, fault, partly }: Trouble) => {
        troubles.push({ left: calls, on: kinds[on], fault: (call) => faults[fault](call, partly) });
    },
    /** EC2 refuses to write the instance's tags from now on, as a policy says. */
    refuse: ({ expect, referee }: Life, { id, what }: { id: string; what: Refusal }) => {
        expect.refused.set(id, what);
        referee.evidence.noteChange();
    },
};

interface Trouble {
    calls: number;
    on: keyof typeof kinds;
    fault: keyof typeof faults;
    partly: number;
}

/** Something that happens. What can't happen when its time comes doesn't. */
export type Act = ActsOf<typeof verbs> | ActsOf<typeof otherVerbs>;

export type Fate = "onTime" | "lost" | "doubled" | number;

/** The stack's settings beside the defaults. */
export type Settings = Partial<
    Record<"asgPrefix" | "electorateTag" | "handoverSeconds" | "protectLeader" | "dryRun", string>
>;

/** A world and what happens in it; what is not said happens as usual. */
export interface History {
    settings?: Settings;
    /** `electorate`: the value of a group's tag; `tagged`: all its members carry the leader tag. */
    groups: { foreign?: boolean; size: number; electorate?: string; tagged?: boolean }[];
    /** `wait`: milliseconds before it. */
    acts: { wait: number; act: Act }[];
    /** What becomes of the first events, in the order in which they come; a number: milliseconds of delay. */
    fates?: Fate[];
    pageSize?: number;
    /** By how many milliseconds EC2's reads lag, one after the other, and again. */
    lags?: number[];
    /** Whether AWS sends empty pages, tag events without its own tags, and no group for an instance in a warm pool. */
    meagre?: boolean;
    /** What happens to tags at the end, before the last sweep, without an event. */
    last?: Act[];
    /** How many stacks are responsible for the same groups. */
    electors?: number;
}

export const asgPrefix = "awseb-";
export const electorateTag = "elasticbeanstalk:environment-name";
export const twoPrefixes = `${asgPrefix} shop-`;
const ourNames = ["awseb-a", "awseb-a\\b", "awseb-a*", "awseb-ab", "awseb-", "awseb-?"];
const namesOfTwo = ["shop-a", "awseb-a", "shop-a\\b", "shop-a*", "awseb-?", "shop-"];
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

/** What came of a history. */
export interface Outcome {
    /** Each rule that was broken, and how. */
    violations: string[];
    /** What the function asked AWS to do. */
    actions: Set<string>;
}

/** Makes the program that a history's stack runs. */
export type Programs = (settings?: Settings) => Promise<Program>;

/** The program as it is, made once for the same settings. */
export const theProgram: Programs = programWith;

/** Lives through a history, in a world of its own; `withdrawn`: an excuse that doesn't count. */
export async function live(programs: Programs, history: History, withdrawn?: Excuse): Promise<Outcome> {
    const program = await programs(history.settings);
    const unhandled: string[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(`unhandled rejection: ${reason}`);
    process.on("unhandledRejection", onUnhandled);
    try {
        const outcome = await inWorld(program, (world) => new Life(world, program, history, withdrawn).live(), pace);
        return { ...outcome, violations: [...outcome.violations, ...unhandled] };
    } finally {
        process.off("unhandledRejection", onUnhandled);
    }
}

/** A history while it happens. */
class Life {
    readonly scene: Scene;
    readonly stacks: Deployment[];
    readonly referee: Referee;
    readonly expect: Expectations;
    private readonly names: string[];
    readonly troubles: { left: number; on: RegExp; fault: (call: Call) => Fault }[] = [];
    readonly past: BusEvent[] = [];
    private fates: Fate[];
    private copies = 0;
    /** Until when invocations have begun that may be short of time still. */
    private shortUntil = -1;

    constructor(
        world: World,
        program: Program,
        private readonly history: History,
        withdrawn?: Excuse,
    ) {
        const { region, fleet, timeline, stack } = world;
        const {
            settings = {},
            electors = 1,
            lags,
            fates = [],
            pageSize = 1000,
            meagre = false,
            groups,
            acts,
        } = history;
        const has = (kind: Act["kind"]) => acts.some(({ act }) => act.kind === kind);
        const alone = withdrawn === "company" || (electors === 1 && !has("repeat"));
        const asgPrefixes = (settings.asgPrefix ?? asgPrefix).split(" ");
        const dryRun = settings.dryRun === "true";
        this.expect = {
            tagKey,
            asgPrefixes,
            electorateTag: settings.electorateTag ?? "",
            handoverMillis: Number(settings.handoverSeconds ?? 0) * 1000,
            protectLeader: settings.protectLeader === "true" && !dryRun,
            dryRun,
            alone,
            exact: alone && (withdrawn === "lag" || (!lags && !has("lag"))),
            refused: new Map(),
            withdrawn,
        };
        const scope = { tagKey, asgPrefixes, electorateTag };
        this.scene = { ...world, scope, electorates: new Electorates(region, this.expect) };
        this.referee = new Referee(world, program, this.expect);
        this.fates = [...fates];
        this.stacks = [stack, ...Array.from({ length: electors - 1 }, () => new Deployment(program, region, timeline))];
        for (const one of this.stacks) {
            one.fate = (event) => this.fate(one, event);
        }
        region.onEvent.push((event) => this.past.push(event));
        region.pageSize = pageSize;
        region.meagre = meagre;
        region.fault = (call) => this.fault(call);
        let read = 0;
        region.lag = () => lags?.[read++ % lags.length] ?? 0;
        const [ours, foreign] = [[...(asgPrefixes.length > 1 ? namesOfTwo : ourNames)], [...foreignNames]];
        let more = 0;
        this.names = groups.map(({ foreign: isForeign, size, electorate, tagged }) => {
            const name = (isForeign ? foreign : ours).shift() ?? `${asgPrefix}${++more}`;
            const members = fleet.addGroup(name, size, electorate === undefined ? {} : { [electorateTag]: electorate });
            for (const id of tagged ? members : []) {
                region.tags(id)[tagKey] = "true"; // it began so, without an event
            }
            return name;
        });
        region.addInstance(undefined);
    }

    async live(): Promise<Outcome> {
        await this.anythingGoes();
        await this.calm();
        const violations = this.referee.violations.map(({ rule, how }) => `${rule}: ${how}`);
        return { violations, actions: new Set(this.scene.region.calls.map(({ action }) => action)) };
    }

    /** The first phase: whatever happens, the rules are kept. */
    private async anythingGoes(): Promise<void> {
        for (const { wait, act } of this.history.acts) {
            await this.scene.timeline.pass(wait);
            this.act(act);
        }
    }

    /** The second phase: nothing goes wrong any more, and a sweep brings each group where the table says; another finds nothing to do. */
    private async calm(): Promise<void> {
        const { region, timeline, electorates } = this.scene;
        this.fates = [];
        this.troubles.length = 0;
        region.lag = () => 0;
        this.hurry({ latency: 20, millis: 0 });
        await timeline.pass(millisToRest);
        await this.settle();
        await timeline.pass(this.millisToForget);
        for (const one of this.history.last ?? []) {
            this.fates = Array(10).fill("lost");
            this.act(one);
        }
        this.fates = [];
        const verdicts = new Map(electorates.names().map((home) => [home, verdict(region, home, this.expect)]));
        await this.sweep();
        if (this.stacks.length > 1) {
            await timeline.pass(this.millisToForget);
            await this.sweep();
        }
        this.referee.checkRest(verdicts);
        const restedAt = timeline.now;
        await this.sweep();
        this.referee.checkEnd(restedAt);
    }

    /** Until containers have forgotten what they wrote, and what AWS refused. */
    private get millisToForget(): number {
        return 3 * 60_000 + 31_000 + this.expect.handoverMillis;
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

    /** Calls take longer from now on, or what is left of each invocation is less: neither may leave enough time. */
    hurry({ latency = this.scene.region.latency, millis = this.scene.stack.startMillis }): void {
        this.scene.region.latency = latency;
        for (const stack of this.stacks) {
            stack.startMillis = millis;
        }
        this.shortUntil =
            latency > 200 || millis > 0 ? Number.POSITIVE_INFINITY : Math.min(this.shortUntil, this.scene.timeline.now);
    }

    private fate(stack: Deployment, event: BusEvent): number[] {
        const fate = this.fates.shift() ?? "onTime";
        if (fate === "lost") {
            return [];
        }
        if (fate === "doubled") {
            // The queue swallows what it has had before: another id makes it another event.
            this.fates.unshift("onTime");
            stack.send(this.copyOf(event));
        }
        return [typeof fate === "number" ? 300 + fate : 300];
    }

    /** The event under another id. */
    copyOf(event: BusEvent): BusEvent {
        return { ...event, id: `${event.id}-${++this.copies}` };
    }

    private fault(call: Call): Fault | undefined {
        const { evidence } = this.referee;
        const tagging: string[] = /Tags$/.test(call.action) ? call.input.Resources : [];
        const refusals = tagging.map((id) => this.expect.refused.get(id));
        if ((call.by?.batch?.start ?? 0) <= this.shortUntil) {
            evidence.disturb(call, false); // little time remains
        }
        if (refusals.some((what) => what === "create and delete" || (what && call.action === "ec2:CreateTags"))) {
            return { error: awsError("UnauthorizedOperation", "Not this one.", 403) };
        }
        const trouble = this.troubles.find(({ left, on }) => left > 0 && on.test(call.action));
        if (!trouble) {
            return undefined;
        }
        trouble.left--;
        const fault = trouble.fault(call);
        if (fault.dies && call.by) {
            evidence.kill(call.by);
        }
        evidence.disturb(call, fault.late === undefined);
        return fault;
    }

    private pick({ group, who, n }: Pick): string | undefined {
        const { region, fleet, electorates } = this.scene;
        const name = this.groupName(group);
        const loose = () =>
            [...region.instances.keys()].filter((id) => !region.memberOf(id) && region.state(id) === "running");
        const leaders = () => electorates.leaders(electorates.nameOf(name));
        const ids = who === "leader" ? leaders() : who === "member" ? fleet.members(name) : loose();
        return ids[n % ids.length];
    }

    private groupName(number: number): string {
        return this.names[number % this.names.length] ?? "";
    }

    private act(act: Act): void {
        const id = "pick" in act ? this.pick(act.pick) : undefined;
        const group = "group" in act ? this.groupName(act.group) : "";
        if ("pick" in act && id === undefined) {
            return;
        }
        const args = { ...act, id, group } as never;
        if (act.kind in otherVerbs) {
            otherVerbs[act.kind as keyof typeof otherVerbs](this, args);
            return;
        }
        verbs[act.kind as keyof typeof verbs](this.scene, args);
        this.referee.evidence.noteChange();
    }
}
