// Outages and quiet times of a stack with two groups: what happens, how it is cured, and which alarms go off meanwhile.
// They are played with the packaged function, the alarms as they are registered, and CloudWatch's rules for them.
import { stateEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { minute, second } from "../simulator/clock";
import { type Alarm, type Change, type Conditions, changesOf } from "../simulator/monitoring/alarms";
import type { Metrics } from "../simulator/monitoring/metrics";
import { type Delays, type Names, record } from "../simulator/monitoring/recorder";
import { eligibleKey, tagKey } from "../simulator/names";
import { leadersOf, programWith } from "../simulator/scenario";
import { Deployment } from "../simulator/stack/deployment";
import { type Program, physicalNames } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

export const alarmTopicArn = "arn:aws:sns:us-east-1:123456789012:on-call";
export const names: Names = { ...physicalNames, ruleName: physicalNames.ruleNames.sweep };
const shop = "awseb-e-shop";
const blog = "awseb-e-blog";

/** An alarm as it is registered. */
export type Registered = Alarm & { alarmDescription: string; alarmActions: string[]; okActions: string[] };

/** The alarms that a program registers, by name. */
export function alarmsOf({ resources }: Program): Record<string, Registered> {
    const found = resources.filter(({ type }) => type === "aws:cloudwatch/metricAlarm:MetricAlarm");
    return Object.fromEntries(found.map(({ name, inputs }) => [name, inputs as Registered]));
}

/** Ways in which CloudWatch may read what its documents leave open. */
const readings: Conditions[] = [
    { fillsEmpty: true, maxNeedsAll: false, morePeriods: 0 },
    { fillsEmpty: true, maxNeedsAll: true },
    { fillsEmpty: false, maxNeedsAll: false },
    { fillsEmpty: false, maxNeedsAll: true },
];

/** The changes of each alarm's state from a time to another, in each reading. */
export function statesOf(program: Program, metrics: Metrics, from: number, to: number): Record<string, Change[]>[] {
    return readings.map((reading) =>
        Object.fromEntries(
            Object.entries(alarmsOf(program)).map(([name, alarm]) => [
                name,
                changesOf(alarm, metrics, from, to, reading),
            ]),
        ),
    );
}

/** Something happens in a world with a program's stack; what it gives ends it. The other program elects one leader for both groups. */
type Happening = (world: World, program: Program, another: Program) => (() => void) | undefined;

/** Does something again and again from now on, until what it gives is called. */
function every({ timeline }: World, millis: number, act: () => void): () => void {
    let goesOn = true;
    const again = () => {
        if (goesOn) {
            act();
            timeline.at(timeline.now + millis, again);
        }
    };
    again();
    return () => {
        goesOn = false;
    };
}

function refuse({ region }: World, ...actions: string[]): () => void {
    const error = awsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403);
    return put(region, { fault: ({ action }) => (actions.includes(action) ? { error } : undefined) });
}

/** Sets something's properties; what it gives puts them back. */
function put<T extends object>(target: T, values: Partial<T>): () => void {
    const before = Object.fromEntries(Object.keys(values).map((key) => [key, target[key as keyof T]]));
    Object.assign(target, values);
    return () => Object.assign(target, before);
}

function crashLeader(world: World): void {
    for (const id of leadersOf(world, shop).slice(0, 1)) {
        world.fleet.crash(id);
    }
}

function tagAnother(world: World): void {
    const other = world.fleet.members(shop).find((id) => !leadersOf(world, shop).includes(id));
    if (other) {
        world.region.setTags(other, { [tagKey]: "true" });
    }
}

/** Three leaders end, one each quarter of an hour. */
function endLeaders(world: World): undefined {
    for (let count = 0; count < 3; count++) {
        world.timeline.at(world.timeline.now + (15 * count + 1) * minute, () => crashLeader(world));
    }
}

/** A group's launches fail. */
function launchNone({ fleet }: World): () => void {
    const cure = put(fleet, { launch: () => "" });
    return () => {
        cure();
        fleet.scale(shop, 3);
    };
}

function crashAll({ fleet }: World): undefined {
    for (const id of fleet.members(shop)) {
        fleet.crash(id);
    }
}

/** The leader tag, or another of the stack's, is written to instances of a group, or taken off. */
function tagAll({ region }: World, ids: string[], value?: string, key = tagKey): undefined {
    for (const id of ids) {
        region.setTags(id, { [key]: value });
    }
}

/** All instances of a group get a Spot warning, and end two minutes later. */
function interrupt({ fleet, timeline }: World): undefined {
    for (const id of fleet.members(shop)) {
        fleet.warn(id);
        timeline.at(timeline.now + 2 * minute, () => fleet.crash(id));
    }
}

/** What happens, how it is cured, and which alarms it must set off, if sweeps are rare perhaps others. */
export const outages: Record<string, { happens: Happening; alarms: string[]; ifRare?: string[] }> = {
    "a group wants instances and gets none": {
        happens: (world) => {
            const cure = launchNone(world);
            crashAll(world);
            return cure;
        },
        alarms: ["no-leader"],
    },
    "no instance of a group can lead": {
        happens: ({ region, fleet }) => {
            const members = fleet.members(shop);
            for (const id of members) {
                region.setMember(id, { lifecycleState: "Standby" });
                region.setTags(id, { [tagKey]: undefined });
            }
            return () => {
                for (const id of members) {
                    region.setMember(id, { lifecycleState: "InService" });
                }
            };
        },
        alarms: ["no-leader"],
    },
    "all instances of a group are vetoed": {
        happens: (world) => {
            const members = world.fleet.members(shop);
            tagAll(world, members, "false", eligibleKey);
            return () => tagAll(world, members, undefined, eligibleKey);
        },
        alarms: ["no-leader"],
    },
    "all instances of a group are Spot instances that are interrupted, and it gets no others": {
        happens: (world) => {
            const cure = launchNone(world);
            interrupt(world);
            return cure;
        },
        alarms: ["no-leader"],
    },
    "tags can't be written, and a leader ends": {
        happens: (world) => {
            crashLeader(world);
            return refuse(world, "ec2:CreateTags", "ec2:DeleteTags");
        },
        alarms: ["no-leader"],
    },
    "groups can't be listed": {
        happens: (world) => refuse(world, "autoscaling:DescribeAutoScalingGroups"),
        alarms: ["no-sweep"],
    },
    "EC2 can't be read": {
        happens: (world) => refuse(world, "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"),
        alarms: ["no-sweep"],
    },
    "every call of AWS fails": {
        happens: ({ region }) =>
            put(region, { fault: () => ({ error: awsError("ServiceUnavailable", "Service Unavailable", 503) }) }),
        alarms: ["no-sweep"],
    },
    "the tag is taken off a leader every 2 minutes": {
        happens: (world) => every(world, 2 * minute, () => tagAll(world, leadersOf(world, shop))),
        alarms: ["flapping"],
    },
    "a second leader can't be demoted": {
        happens: (world) => {
            const cure = refuse(world, "ec2:DeleteTags");
            tagAnother(world);
            return cure;
        },
        alarms: ["two-leaders", "no-leader"],
    },
    "a second leader is tagged again and again, and no event reports it": {
        happens: (world) => {
            world.stack.fate = () => [];
            return every(world, 20 * second, () => tagAnother(world));
        },
        alarms: ["two-leaders"],
    },
    "the function runs out of time": {
        happens: ({ region }) =>
            put(region, { fault: ({ action }) => (action.includes("Describe") ? { dies: true } : undefined) }),
        alarms: ["function-failing", "backlog", "no-sweep"],
    },
    "the function is throttled": {
        happens: ({ stack }) => put(stack, { throttled: true }),
        alarms: ["backlog", "no-sweep"],
    },
    "the event source mapping is disabled, or it, the function or its role is deleted": {
        happens: ({ stack }) => {
            stack.polling = false; // Lambda reads the queue with the role, and for the function
            return () => {
                stack.polling = true;
            };
        },
        alarms: ["backlog", "no-sweep"],
    },
    "the sweep's rule is disabled or deleted": {
        happens: ({ stack }) => put(stack, { sweeping: false }),
        alarms: ["no-sweep"],
    },
    "the queue is deleted": {
        happens: ({ stack }) => {
            stack.deleteQueue();
            return () => {
                stack.hasQueue = true;
            };
        },
        alarms: ["no-sweep"],
    },
    "the queue's policy is gone": {
        happens: ({ stack }) => put(stack, { sending: false }),
        alarms: ["no-sweep"],
    },
    "the log group is gone": {
        happens: ({ lines }) => put(lines as { push(): number }, { push: () => lines.length }), // no line arrives any more
        alarms: ["no-sweep"],
    },
    "a second stack has one leader elected for both groups": {
        happens: ({ region, timeline }, _, another) => {
            const second = new Deployment(another, region, timeline);
            second.sweeping = true;
            return () => {
                second.sweeping = false;
                second.deleteQueue();
            };
        },
        alarms: ["flapping"],
        ifRare: [], // after three changes both wait for the next sweep
    },
    "6,000 foreign instances end at once, while AWS is slow": {
        happens: ({ stack, timeline, region }) => {
            const cure = put(region, { latency: 600 });
            for (let count = 0; count < 6000; count++) {
                stack.send(stateEvent(timeline.now, `i-f${String(count).padStart(16, "0")}`, "shutting-down"));
            }
            return cure;
        },
        alarms: ["backlog"],
    },
};

/** Times that no alarm may go off in. */
export const quietTimes: Record<string, { minutes: number; happens: Happening }> = {
    "nothing happens": { minutes: 60, happens: () => undefined },
    "both groups are scaled in to zero, and out again in the morning": {
        minutes: 120,
        happens: ({ fleet, timeline }) => {
            fleet.scale(shop, 0);
            fleet.scale(blog, 0, { hook: true });
            timeline.at(timeline.now + 90 * minute, () => {
                fleet.scale(shop, 3);
                fleet.scale(blog, 2, { hook: true });
            });
        },
    },
    "all instances of a group crash": {
        minutes: 60,
        happens: crashAll,
    },
    "all instances of a group get a Spot warning and end, and others come": { minutes: 60, happens: interrupt },
    "a leader works badly, and is vetoed": {
        minutes: 60,
        happens: (world) => tagAll(world, leadersOf(world, shop), "false", eligibleKey),
    },
    "a group is paused, and its leader's tag is taken off": {
        minutes: 60,
        happens: (world) => {
            Object.assign(world.region.groups.get(shop)?.tags ?? {}, { [`${tagKey}:paused`]: "true" });
            tagAll(world, leadersOf(world, shop));
        },
    },
    "a deployment replaces instance after instance": {
        minutes: 60,
        happens: (world) => {
            world.fleet.members(shop).forEach((id, position) => {
                world.timeline.at(world.timeline.now + position * 90 * second, () => world.fleet.terminate(id));
            });
        },
    },
    "the event about a leader that ended never comes": {
        minutes: 60,
        happens: (world) => {
            world.stack.fate = () => [];
            crashLeader(world);
        },
    },
    "the rule for departures is disabled, and leaders end": {
        minutes: 60,
        happens: (world) => {
            world.stack.fate = ({ source }) => (source === "aws.tag" ? [300] : []);
            return endLeaders(world);
        },
    },
    "a second stack with the same settings looks after the same groups, and leaders end": {
        minutes: 60,
        happens: (world, program) => {
            new Deployment(program, world.region, world.timeline).sweeping = true;
            return endLeaders(world);
        },
    },
    "no group has the prefix": {
        minutes: 60,
        happens: ({ region }) => {
            region.groups.clear();
            region.instances.clear();
        },
    },
    "sweeps come up to 25 seconds early or late, and one in four comes twice": {
        minutes: 90,
        happens: ({ stack, timeline }) => {
            stack.sweeping = false;
            for (let at = 1; at <= 110; at++) {
                const jitter = ((at * 7919) % 51) - 25;
                const sweep = () => stack.sweep();
                timeline.at(timeline.now + at * minute + jitter * second, sweep);
                if (at % 4 === 0) {
                    timeline.at(timeline.now + at * minute + (jitter + 3) * second, sweep);
                }
            }
        },
    },
    "two sweeps in a row stay away": {
        minutes: 60,
        happens: ({ stack, timeline }) => {
            stack.sweeping = false;
            timeline.at(timeline.now + 2 * minute, () => {
                stack.sweeping = true;
            });
        },
    },
};

/** How late metrics may be seen without a false alarm. */
export const delays: Record<string, Delays> = {
    "seen soon": { own: 5 * second, aws: 60 * second },
    "of the function seen six minutes late, and AWS's own at once": { own: 6 * minute, aws: 0 },
    "of AWS seen three minutes late": { own: 30 * second, aws: 3 * minute },
};

/** What a time leaves behind. */
export interface Played {
    /** Minutes until each alarm went off, in each reading; alarms that did not are not among them. */
    alarms: Record<string, number>[];
    /** The state of each alarm after the cure, in each reading. */
    afterwards: Record<string, string | undefined>[];
    /** Names of the metrics that there are. */
    metrics: string[];
    /** Log lines of the time, each with its level before it. */
    lines: string[];
}

/** Plays a time in a stack with two groups that have been led for a while. */
export async function play(
    happens: Happening,
    { before, minutes, delay, sweepMinutes }: { before: number; minutes: number; delay?: Delays; sweepMinutes: number },
): Promise<Played> {
    const program = await programWith({ alarmTopicArn, sweepMinutes: String(sweepMinutes) });
    const another = await programWith({ electorateTag: "site", sweepMinutes: String(sweepMinutes) });
    return inWorld(program, async (world) => {
        const { timeline, stack, fleet } = world;
        const metrics = record(world, names, delay);
        fleet.addGroup(shop, 3, { site: "shop" });
        fleet.addGroup(blog, 2, { site: "shop" });
        const from = timeline.now;
        stack.sweeping = true;
        await timeline.pass(before);
        const since = timeline.now;
        const earlier = world.lines.length;
        const cure = happens(world, program, another);
        await timeline.pass(minutes * minute);
        const until = timeline.now;
        const there = ["AsgLeaderElection", "AWS/Events", "AWS/Lambda", "AWS/SQS"].flatMap((namespace) =>
            metrics.names(namespace),
        );
        const lines = world.lines.slice(earlier).map(({ level, entry }) => `${level} ${JSON.stringify(entry)}`);
        if (cure && sweepMinutes === 1) {
            cure();
            await timeline.pass(40 * minute); // as long as flapping looks back, and some more
        }
        const states = statesOf(program, metrics, from, timeline.now);
        return {
            alarms: states.map((changes) => firstAlarms(changes, since, until)),
            afterwards: states.map((changes) =>
                Object.fromEntries(Object.entries(changes).map(([name, all]) => [name, all.at(-1)?.state])),
            ),
            metrics: there,
            lines,
        };
    });
}

/** Minutes from a time until each alarm first goes off; alarms that don't are not among them. */
export function firstAlarms(changes: Record<string, Change[]>, since: number, until: number): Record<string, number> {
    return Object.fromEntries(
        Object.entries(changes).flatMap(([name, all]) => {
            const first = all.find(({ state, at }) => state === "ALARM" && at <= until);
            return first ? [[name, Math.ceil((first.at - since) / minute)]] : [];
        }),
    );
}

/** Moments at which outages begin, in milliseconds since the first deployment. */
export const moments = {
    "just after": (period: number) => 3 * period + 10 * second,
    "just before": (period: number) => 4 * period - 10 * second,
};

const plays = new Map<string, Promise<Played>>();

/** Plays an outage, once for the same question. */
export function outage(what: string, sweepMinutes: number, moment: keyof typeof moments): Promise<Played> {
    const happens = outages[what]?.happens ?? (() => undefined);
    const times = { before: moments[moment](sweepMinutes * minute), minutes: 4 * sweepMinutes + 30, sweepMinutes };
    return once([what, sweepMinutes, moment], () => play(happens, times));
}

/** Plays a quiet time, once for the same question. */
export function quietTime(what: string, seen = "seen soon"): Promise<Played> {
    const { happens, minutes } = quietTimes[what] ?? { happens: () => undefined, minutes: 0 };
    const times = { before: 3 * minute, minutes: minutes + 10, delay: delays[seen], sweepMinutes: 1 };
    return once([what, seen], () => play(happens, times));
}

function once(question: unknown[], act: () => Promise<Played>): Promise<Played> {
    const key = JSON.stringify(question);
    const played = plays.get(key) ?? act();
    plays.set(key, played);
    return played;
}
