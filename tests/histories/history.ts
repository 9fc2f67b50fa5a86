// A history: a world, and what happens in it while the function runs. The checkers watch it from its beginning to its end.
import { type BusEvent, instanceIn } from "../simulator/aws/events";
import { awsError, type Call, type Fault } from "../simulator/aws/faults";
import type { Pace } from "../simulator/aws/fleet";
import { groupKey } from "../simulator/aws/region";
import { Electorates } from "../simulator/electorates";
import { found } from "../simulator/lists";
import { programWith } from "../simulator/scenario";
import { Deployment } from "../simulator/stack/deployment";
import type { Program } from "../simulator/stack/program";
import { type Args, type Scene, type Verb, verbs } from "../simulator/verbs";
import { inWorld, type World } from "../simulator/world";
import { Referee } from "./checkers";
import type { Expectations } from "./checkers/evidence";
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

type FleetAct = { [V in Verb]: { kind: V } & Picked<Args<V>> }[Verb];

type OneOf<T extends Record<string, object>> = { [K in keyof T]: { kind: K } & T[K] }[keyof T];

/** Something that happens beside what happens to the fleet. */
type OtherAct = OneOf<{
    /** For some seconds each instance that is promoted loses its tags again. */
    rival: { group: number; seconds: number };
    sweep: object;
    /** An event comes again, under another id. */
    replay: { n: number };
    loseContainer: object;
    /** By how many milliseconds all of EC2's reads lag from now on. */
    lag: { millis: number };
    /** What is under way starts a second time, beside the first. */
    repeat: object;
    /** How long calls take from now on. */
    pace: { latency: number };
    /** What goes wrong with the next calls of a kind. */
    trouble: { calls: number; on: keyof typeof kinds; fault: keyof typeof faults; partly: number };
    /** EC2 refuses to write the instance's tags from now on, as a policy says. */
    refuse: { pick: Pick; what: Refusal };
    /** How many milliseconds of each invocation pass before the handler begins, from now on. */
    hurry: { millis: number };
}>;

/** Something that happens. What can't happen when its time comes doesn't. */
export type Act = FleetAct | OtherAct;

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

export const tagKey = "app:isLeader";
const sinceKey = `${tagKey}:since`;
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
export const theProgram: Programs = (settings) => programWith(settings);

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
    private readonly scene: Scene;
    private readonly stacks: Deployment[];
    private readonly referee: Referee;
    private readonly expect: Expectations;
    private readonly names: string[];
    private readonly troubles: { left: number; on: RegExp; fault: (call: Call) => Fault }[] = [];
    private readonly past: BusEvent[] = [];
    private fates: Fate[];
    private copies = 0;
    /** Until when invocations have begun that may be short of time still. */
    private shortUntil = -1;

    constructor(
        world: World,
        program: Program,
        private readonly history: History,
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
        const alone = electors === 1 && !acts.some(({ act: { kind } }) => kind === "repeat");
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
            exact: alone && !lags && !acts.some(({ act: { kind } }) => kind === "lag"),
            refused: new Map(),
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
        region.emptyPages = meagre;
        region.bareTagEvents = meagre;
        region.listsWarm = !meagre;
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
        this.slow(20);
        for (const stack of this.stacks) {
            this.hurry(stack, 0);
        }
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

    /** Whether invocations that begin now may run short of time. */
    private isShortOfTime(): boolean {
        return this.scene.region.latency > 200 || this.scene.stack.startMillis > 0;
    }

    private hurry(stack: Deployment, millis: number): void {
        this.noteShortage();
        stack.startMillis = millis;
    }

    private slow(latency: number): void {
        this.noteShortage();
        this.scene.region.latency = latency;
    }

    private noteShortage(): void {
        if (this.isShortOfTime()) {
            this.shortUntil = this.scene.timeline.now;
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
            stack.send({ ...event, id: `${event.id}-${++this.copies}` });
        }
        return [typeof fate === "number" ? 300 + fate : 300];
    }

    private fault(call: Call): Fault | undefined {
        const { evidence } = this.referee;
        const tagging: string[] = /Tags$/.test(call.action) ? call.input.Resources : [];
        const refusals = tagging.map((id) => this.expect.refused.get(id));
        if (this.isShortOfTime() || (call.by?.batch?.start ?? 0) <= this.shortUntil) {
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
        const { stack, timeline } = this.scene;
        const id = "pick" in act ? this.pick(act.pick) : undefined;
        const group = "group" in act ? this.groupName(act.group) : "";
        if ("pick" in act && id === undefined) {
            return;
        }
        switch (act.kind) {
            case "rival":
                this.rival(group, timeline.now + act.seconds * 1000);
                break;
            case "sweep":
                for (const each of this.stacks) {
                    each.sweep();
                }
                break;
            case "replay":
                for (const each of this.past.length > 0 ? this.stacks : []) {
                    const event = found(this.past[act.n % this.past.length]);
                    each.send({ ...event, id: `${event.id}-${++this.copies}` });
                }
                break;
            case "lag":
                this.scene.region.lag = () => act.millis;
                break;
            case "loseContainer":
                if (stack.lastContainer) {
                    this.referee.evidence.kill(stack.lastContainer);
                }
                stack.loseContainer();
                break;
            case "repeat":
                void stack.repeat();
                break;
            case "pace":
                this.slow(act.latency);
                break;
            case "trouble":
                this.troubles.push({
                    left: act.calls,
                    on: kinds[act.on],
                    fault: (call) => faults[act.fault](call, act.partly),
                });
                break;
            case "refuse":
                this.expect.refused.set(id as string, act.what);
                this.referee.evidence.changeUnseen();
                break;
            case "hurry":
                for (const each of this.stacks) {
                    this.hurry(each, act.millis);
                }
                break;
            default: {
                const happen = verbs[act.kind] as (scene: Scene, args: object) => unknown;
                happen(this.scene, { ...act, id, group });
                if (act.kind === "joinElectorate" || act.kind === "remove") {
                    this.referee.changeElectorates();
                } else if (
                    act.kind === "condition" ||
                    act.kind === "schedule" ||
                    act.kind === "scale" ||
                    act.kind === "pause"
                ) {
                    this.referee.evidence.changeUnseen();
                }
            }
        }
    }

    private rival(group: string, until: number): void {
        const { region, timeline } = this.scene;
        region.onEvent.push(({ source, resources, detail }) => {
            if (
                source === "aws.tag" &&
                detail.tags[groupKey] === group &&
                detail.tags[tagKey] &&
                timeline.now < until
            ) {
                const id = instanceIn(resources);
                timeline.at(timeline.now + 100, () =>
                    region.setTags(id, { [tagKey]: undefined, [sinceKey]: undefined }),
                );
            }
        });
    }
}
