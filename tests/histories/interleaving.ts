import { type BusEvent, scalingEvent, sweepEvent } from "../simulator/aws/events";
import type { Call } from "../simulator/aws/faults";
import { type Container, idle, running } from "../simulator/clock";
import { Electorates } from "../simulator/electorates";
import { firstTwo, found } from "../simulator/lists";
import { batchOf, type Handler, startContainer } from "../simulator/stack/packaged";
import type { Program } from "../simulator/stack/program";
import { inRegion, type Place } from "../simulator/world";
import { agrees, inWords, leadersIn, type Verdict, verdict, viewOf } from "./checkers/model";

/** How an instance of the group is found. */
interface Condition {
    tag: (typeof tags)[number];
    being: (typeof beings)[number];
}

/** How the two elections begin. */
type Beginning = "at once, with a sweep" | "a millisecond apart, with a sweep" | "at once, one with a launch";

type Start = [Condition, Condition, Beginning];

export interface Found {
    runs: number;
    /** The first schedule that did not come to rest as the decision table says, in words. */
    failure?: string;
}

const tags = ["none", "older", "newer", "no since"] as const;
/** EC2's state, and what the group says. */
const beings = [
    "running InService Healthy",
    "running InService Unhealthy",
    "running Pending Healthy",
    "stopped InService Healthy",
    "stopped InService Unhealthy",
    "shutting-down InService Healthy",
] as const;

/** Every condition that an instance may be in. */
const conditions: Condition[] = tags.flatMap((tag) => beings.map((being) => ({ tag, being })));

const beginnings: Beginning[] = [
    "at once, with a sweep",
    "a millisecond apart, with a sweep",
    "at once, one with a launch",
];

/** Every way in which two electors may find a group of two instances. */
export const starts: Start[] = conditions.flatMap((first) =>
    conditions.flatMap((second) => beginnings.map((beginning): Start => [first, second, beginning])),
);

const group = "awseb-a";
const tagKey = "app:isLeader";
const expectations = { tagKey, asgPrefixes: ["awseb-"], electorateTag: "", refused: new Map() };
const mostSteps = 60;
const millisToQueue = 300;

/** A step that an elector can take. Steps of two electors that may as well be taken in the other order are independent. */
type Kind = "begins" | "reads" | "writes";

/** A place in a schedule where either elector could go on. */
interface Choice {
    able: Map<number, Kind>;
    taken: number;
    /** Electors that need not be tried here: that comes to the same as a schedule that has been. */
    asleep: Set<number>;
}

/**
 * Lets two electors hold an election over one group of two instances, and as many as their tag events ask for, in every order
 * of their calls that can make a difference: what an election reads beside the tags doesn't change, and is answered at once.
 */
export async function explore(program: Program, starts: Iterable<Start>): Promise<Found> {
    return inRegion(async (world) => {
        const duel = new Duel(world, program);
        const found: Found = { runs: 0 };
        for (const start of starts) {
            found.failure ??= await duel.exhaust(start, found);
        }
        return found;
    });
}

/** Two electors and their group. */
class Duel {
    private readonly electors: Elector[];
    private readonly zero: number;

    constructor(
        private readonly world: Place,
        program: Program,
    ) {
        this.zero = world.timeline.now;
        this.electors = [1, 2].map(() => new Elector(program, world));
        world.region.gate = (call) => this.gate(call);
        world.region.onEvent.push((event) => {
            if (event.source === "aws.tag" && event.detail["changed-tag-keys"].includes(tagKey)) {
                for (const { received } of this.electors) {
                    received.push(event);
                }
            }
        });
    }

    /** Tries every schedule that differs. @returns what came of the first that ended wrongly */
    async exhaust(start: Start, found: Found): Promise<string | undefined> {
        let schedule: Choice[] | undefined = [];
        while (schedule) {
            found.runs++;
            const before = await this.prepare(start);
            schedule = await this.run(schedule);
            const failure = this.judge(before, schedule);
            if (failure) {
                const taken = schedule.map(({ taken: elector, able }) => `${elector + 1} ${able.get(elector)}`);
                return `${JSON.stringify(start)}: ${taken.join(", ")}: ${failure}`;
            }
            schedule = next(schedule, start[2] === "at once, with a sweep" ? 1 : 0);
        }
        return undefined;
    }

    private async prepare([first, second, beginning]: Start): Promise<Verdict> {
        const { region, timeline } = this.world;
        await this.forget();
        timeline.now = this.zero;
        region.addGroup(group);
        for (const [place, { tag, being }] of [first, second].entries()) {
            const [state, lifecycleState, healthStatus] = being.split(" ");
            region.addInstance(group, {
                id: `i-${place + 1}`,
                state,
                lifecycleState,
                healthStatus,
                tags: tagsOf(tag, this.zero),
            });
        }
        const before = verdict(region, group, expectations);
        const [firstElector, secondElector] = firstTwo(this.electors);
        const sweep = sweepEvent(timeline.now);
        const launch = scalingEvent("launch-successful", timeline.now, group, "i-2");
        firstElector.begin([beginning === "at once, one with a launch" ? launch : sweep]);
        timeline.now += beginning === "a millisecond apart, with a sweep" ? 1 : 0;
        secondElector.begin([sweep]);
        await idle();
        return before;
    }

    /** The containers are used again: an empty region and two hours later they know nothing any more. */
    private async forget(): Promise<void> {
        const { region, timeline } = this.world;
        await Promise.all(this.electors.map((elector) => elector.finish()));
        const wrote = region.calls.some((call) => kindOf(call) === "writes");
        region.instances.clear();
        region.groups.clear();
        region.calls.length = 0;
        this.world.lines.length = 0;
        timeline.clear(); // deadlines of invocations that have ended
        timeline.now += 2 * 60 * 60 * 1000;
        for (const elector of this.electors) {
            await elector.forget(wrote ? timeline.now : undefined);
        }
    }

    /** Goes on along a schedule, and from its end on as it comes, until none can go on. */
    private async run(schedule: Choice[]): Promise<Choice[]> {
        const done: Choice[] = [];
        for (let step = 0; step < mostSteps; step++) {
            const able = this.able(done.at(-1)?.taken);
            const asleep = schedule[step]?.asleep ?? fallAsleep(done.at(-1), able);
            const taken = schedule[step]?.taken ?? [...able.keys()].find((number) => !asleep.has(number));
            if (taken === undefined) {
                return done; // all are done, or the rest has been tried in another order
            }
            done.push({ able, taken, asleep });
            this.world.timeline.now += able.get(taken) === "begins" ? millisToQueue : 0;
            this.electors[taken]?.goOn();
            await idle();
        }
        return done;
    }

    /** Which electors can go on; once both first elections are over it may be one after the other, in turns. */
    private able(last?: number): Map<number, Kind> {
        const able = new Map<number, Kind>();
        const echo = this.electors.every(({ isFirst }) => !isFirst);
        for (const number of last === 0 ? [1, 0] : [0, 1]) {
            const kind = this.electors[number]?.able();
            if (kind && !(echo && able.size > 0)) {
                able.set(number, kind);
            }
        }
        return able;
    }

    private judge(before: Verdict, schedule: Choice[]): string | undefined {
        if (this.electors.some((elector) => elector.able())) {
            return schedule.length >= mostSteps ? "it never comes to rest" : undefined;
        }
        const { region } = this.world;
        const view = viewOf(region, new Electorates(region, expectations));
        const leaders = leadersIn(view, group, tagKey).map(([id]) => id);
        return agrees(before, leaders) ? undefined : inWords(before, leaders);
    }

    private gate(call: Call): Promise<void> {
        const elector = this.electors.find(({ container }) => container === call.by);
        const kind = kindOf(call);
        return kind && elector && !elector.forgetting ? elector.wait(kind) : Promise.resolve();
    }
}

/** One elector: a container of its own. */
class Elector {
    readonly container: Container = { dead: false };
    /** Tag events that it has not looked at yet. */
    readonly received: BusEvent[] = [];
    forgetting = false;
    isFirst = true;
    private readonly handler: Handler;
    private waiting: { kind: Kind; release: () => void }[] = [];
    private busy = false;

    constructor(program: Program, { timeline }: Place) {
        this.handler = running.run(this.container, () => startContainer(program));
        this.container.batch = { start: timeline.now, events: [] };
    }

    begin(events: BusEvent[]): void {
        this.busy = true;
        void this.invoke(events).then(() => {
            this.busy = false;
            this.isFirst = false;
        });
    }

    wait(kind: Kind): Promise<void> {
        return new Promise((release) => this.waiting.push({ kind, release }));
    }

    able(): Kind | undefined {
        if (this.busy) {
            return this.waiting[0]?.kind;
        }
        return this.received.length > 0 ? "begins" : undefined;
    }

    goOn(): void {
        if (this.busy) {
            this.waiting.shift()?.release();
        } else {
            this.begin(this.received.splice(0));
        }
    }

    /** Ends what is under way, whatever comes of it. */
    async finish(): Promise<void> {
        this.forgetting = true;
        for (const { release } of this.waiting.splice(0)) {
            release();
        }
        while (this.busy) {
            await idle();
        }
    }

    /** @param now when there is a sweep, so that it forgets what it has written */
    async forget(now?: number): Promise<void> {
        this.received.length = 0;
        if (now !== undefined) {
            await this.invoke([sweepEvent(now)]);
        }
        this.forgetting = false;
        this.isFirst = true;
    }

    private invoke(events: BusEvent[]): Promise<unknown> {
        return running.run(this.container, () =>
            this.handler(batchOf(...events), { getRemainingTimeInMillis: () => 9000 }),
        );
    }
}

function tagsOf(tag: Condition["tag"], now: number): Record<string, string> {
    const hours = tag === "older" ? 2 : 1;
    return {
        ...(tag === "none" ? {} : { [tagKey]: "true" }),
        ...(tag === "older" || tag === "newer"
            ? { [`${tagKey}:since`]: new Date(now - hours * 60 * 60 * 1000).toISOString() }
            : {}),
    };
}

/** What a call is to the other elector; undefined if it makes no difference when it comes. */
function kindOf({ action, input }: Call): Kind | undefined {
    if (/Tags$/.test(action)) {
        return "writes";
    }
    const isAboutTags = input.Filters?.some(({ Name }: { Name: string }) => Name.startsWith("tag"));
    return action === "ec2:DescribeInstances" && isAboutTags ? "reads" : undefined;
}

function fallAsleep(before: Choice | undefined, able: Map<number, Kind>): Set<number> {
    if (!before) {
        return new Set();
    }
    const { able: ableBefore, taken, asleep } = before;
    const other = [...asleep].filter((number) => {
        const kinds = [ableBefore.get(number), ableBefore.get(taken)];
        // Reads don't disturb each other; what a batch holds depends on the writes before it begins.
        return number !== taken && able.has(number) && kinds.includes("reads") && !kinds.includes("writes");
    });
    return new Set(other);
}

/**
 * The next schedule: the same up to the last place where another elector might have gone on.
 *
 * @param fixed how many first steps stay: as long as the electors are alike it doesn't matter which is first
 */
function next(schedule: Choice[], fixed: number): Choice[] | undefined {
    for (let place = schedule.length - 1; place >= fixed; place--) {
        const { able, taken, asleep } = found(schedule[place]);
        const tried = new Set([...asleep, taken]);
        const other = [...able.keys()].find((number) => !tried.has(number));
        if (other !== undefined) {
            return [...schedule.slice(0, place), { able, taken: other, asleep: tried }];
        }
    }
    return undefined;
}
