// Outages and quiet times of a stack with two groups: what happens, how it is cured, and which alarms go off meanwhile.
// They are played with the packaged function, the alarms as they are registered, and CloudWatch's rules for them.
import { stateEvent } from "../simulator/aws/events";
import { awsError, denied } from "../simulator/aws/faults";
import { minute, second } from "../simulator/clock";
import { found } from "../simulator/lists";
import { type Alarm, type Change, type Conditions, changesOf } from "../simulator/monitoring/alarms";
import type { Metrics } from "../simulator/monitoring/metrics";
import { record } from "../simulator/monitoring/recorder";
import { eligibleKey, pausedKey, tagKey } from "../simulator/names";
import { leadersOf, programWith } from "../simulator/scenario";
import { Deployment } from "../simulator/stack/deployment";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

export const alarmTopicArn = "arn:aws:sns:us-east-1:123456789012:on-call";
const shop = "awseb-e-shop";
const blog = "awseb-e-blog";

/** The alarms that a program registers, by name. */
export function alarmsOf({ resources }: Program): Record<string, Alarm & { alarmDescription: string }> {
    const alarms = resources.filter(({ type }) => type === "aws:cloudwatch/metricAlarm:MetricAlarm");
    return Object.fromEntries(alarms.map(({ name, inputs }) => [name, inputs]));
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
    const changes = Object.entries(alarmsOf(program)).map(
        ([name, alarm]) => [name, changesOf(alarm, metrics, from, to, readings)] as const,
    );
    return readings.map((_, index) => Object.fromEntries(changes.map(([name, all]) => [name, all[index] ?? []])));
}

/** Something happens in a world with a program's stack; what it gives ends it. The other program elects one leader for both groups. */
type Happening = (world: World, program: Program, another: Program) => (() => void) | undefined;

/** Does something again and again from now on, until what it gives is called. */
function every({ timeline }: World, millis: number, act: () => void): () => void {
    act();
    return timeline.every(millis, act);
}

function refuse({ region }: World, ...actions: string[]): () => void {
    return put(region, { fault: ({ action }) => (actions.includes(action) ? { error: denied } : undefined) });
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

function crashAll({ fleet }: World): undefined {
    for (const id of fleet.members(shop)) {
        fleet.crash(id);
    }
}

/** A group loses all its instances, and its launches fail. */
function loseAll(world: World, lose: (world: World) => void): () => void {
    const cure = put(world.fleet, { launch: () => "" });
    lose(world);
    return () => {
        cure();
        world.fleet.scale(shop, 3);
    };
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

/** What happens, and how it is cured. monitoring.md says which alarms it sets off. */
export const outages: Record<string, Happening> = {
    "a group wants instances and gets none": (world) => loseAll(world, crashAll),
    "no instance of a group can lead": (world) => {
        const members = world.fleet.members(shop);
        const list = (lifecycleState: string) => {
            for (const id of members) {
                world.region.setMember(id, { lifecycleState });
            }
        };
        list("Standby");
        tagAll(world, members);
        return () => list("InService");
    },
    "all instances of a group are vetoed": (world) => {
        const members = world.fleet.members(shop);
        tagAll(world, members, "false", eligibleKey);
        return () => tagAll(world, members, undefined, eligibleKey);
    },
    "all instances of a group are Spot instances that are interrupted, and it gets no others": (world) =>
        loseAll(world, interrupt),
    "tags can't be written, and a leader ends": (world) => {
        crashLeader(world);
        return refuse(world, "ec2:CreateTags", "ec2:DeleteTags");
    },
    "groups can't be listed": (world) => refuse(world, "autoscaling:DescribeAutoScalingGroups"),
    "EC2 can't be read": (world) => refuse(world, "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"),
    "every call of AWS fails": ({ region }) =>
        put(region, { fault: () => ({ error: awsError("ServiceUnavailable", "Service Unavailable", 503) }) }),
    "the tag is taken off a leader every 2 minutes": (world) =>
        every(world, 2 * minute, () => tagAll(world, leadersOf(world, shop))),
    "a second leader can't be demoted": (world) => {
        tagAnother(world);
        return refuse(world, "ec2:DeleteTags");
    },
    "a second leader is tagged again and again, and no event reports it": (world) => {
        world.stack.fate = () => [];
        return every(world, 20 * second, () => tagAnother(world));
    },
    "the function runs out of time": ({ region }) =>
        put(region, { fault: ({ action }) => (action.includes("Describe") ? { dies: true } : undefined) }),
    "the function is throttled": ({ stack }) => put(stack, { throttled: true }),
    // Lambda reads the queue with the role, and for the function.
    "the event source mapping is disabled, or it, the function, its role or its policy is deleted": ({ stack }) =>
        put(stack, { polling: false }),
    "the sweep's rule is disabled or deleted": ({ stack }) => put(stack, { sweeping: false }),
    "the queue is deleted": ({ stack }) => put(stack, { hasQueue: false }),
    "the queue's policy is gone": ({ stack }) => put(stack, { sending: false }),
    // No line arrives any more.
    "the log group is gone": ({ lines }) => put(lines as { push(): number }, { push: () => lines.length }),
    "a second stack has one leader elected for both groups": ({ region, timeline }, _, another) => {
        const second = new Deployment(another, region, timeline);
        second.sweeping = true;
        return () => Object.assign(second, { polling: false });
    },
    "6,000 foreign instances end at once, while AWS is slow": ({ stack, timeline, region }) => {
        for (let count = 0; count < 6000; count++) {
            stack.send(stateEvent(timeline.now, `i-f${String(count).padStart(16, "0")}`, "shutting-down"));
        }
        return put(region, { latency: 600 });
    },
};

/** Times that no alarm may go off in. */
export const quietTimes: Record<string, Happening> = {
    "nothing happens": () => undefined,
    "both groups are scaled in to zero, and out again in the morning": ({ fleet, timeline }) => {
        const scale = (ofShop: number, ofBlog: number) => {
            fleet.scale(shop, ofShop);
            fleet.scale(blog, ofBlog, { hook: true });
        };
        scale(0, 0);
        timeline.at(timeline.now + 45 * minute, () => scale(3, 2));
    },
    "all instances of a group crash": crashAll,
    "all instances of a group get a Spot warning and end, and others come": interrupt,
    "a leader works badly, and is vetoed": (world) => tagAll(world, leadersOf(world, shop), "false", eligibleKey),
    "a group is paused, and its leader's tag is taken off": (world) => {
        Object.assign(world.region.groups.get(shop)?.tags ?? {}, { [pausedKey]: "true" });
        tagAll(world, leadersOf(world, shop));
    },
    "a deployment replaces instance after instance": ({ fleet, timeline }) => {
        for (const [position, id] of fleet.members(shop).entries()) {
            timeline.at(timeline.now + position * 90 * second, () => fleet.terminate(id));
        }
    },
    "the event about a leader that ended never comes": (world) => {
        world.stack.fate = () => [];
        crashLeader(world);
    },
    "the rule for departures is disabled, and leaders end": (world) => {
        world.stack.fate = ({ source }) => (source === "aws.tag" ? [300] : []);
        return endLeaders(world);
    },
    "a second stack with the same settings looks after the same groups, and leaders end": (world, program) => {
        new Deployment(program, world.region, world.timeline).sweeping = true;
        return endLeaders(world);
    },
    "no group has the prefix": ({ region }) => {
        region.groups.clear();
        region.instances.clear();
    },
    "sweeps come up to 25 seconds early or late, and one in four comes twice": ({ stack, timeline }) => {
        stack.sweeping = false;
        for (let at = 1; at <= 80; at++) {
            const jitter = ((at * 7919) % 51) - 25;
            for (const later of at % 4 === 0 ? [0, 3] : [0]) {
                timeline.at(timeline.now + at * minute + (jitter + later) * second, () => stack.sweep());
            }
        }
    },
    "two sweeps in a row stay away": ({ stack, timeline }) => {
        timeline.at(timeline.now + 2 * minute, put(stack, { sweeping: false }));
    },
};

/** How late metrics may be seen without a false alarm. */
export const delays = {
    "seen soon": { own: 5 * second, aws: 60 * second },
    "of the function seen six minutes late, and AWS's own at once": { own: 6 * minute, aws: 0 },
    "of AWS seen three minutes late": { own: 30 * second, aws: 3 * minute },
};

/** Moments at which something begins, in milliseconds since the first deployment. */
export const moments = {
    "just after": (period: number) => 3 * period + 10 * second,
    "just before": (period: number) => 4 * period - 10 * second,
};

/** What a time leaves behind. */
interface Played {
    /** Minutes until each alarm went off, in each reading; alarms that did not are not among them. */
    alarms: Record<string, number>[];
    /** Alarms that have not recovered after the cure, in any reading. */
    stuck: string[];
    /** Names of the metrics that there are. */
    metrics: string[];
    /** Log lines of the time, each with its level before it. */
    lines: string[];
}

interface Circumstances {
    sweepMinutes: number;
    moment: keyof typeof moments;
    seen: keyof typeof delays;
}
const usual: Circumstances = { sweepMinutes: 1, moment: "just after", seen: "seen soon" };

const plays: Record<string, Promise<Played>> = {};

/** Plays an outage or a quiet time, from the first deployment on, once in the same circumstances. */
export function play(what: string, circumstances: Partial<Circumstances> = {}): Promise<Played> {
    const all = { ...usual, ...circumstances };
    const key = JSON.stringify([what, all]);
    plays[key] ??= playOnce(what, all);
    return plays[key];
}

async function playOnce(what: string, { sweepMinutes, moment, seen }: Circumstances): Promise<Played> {
    const happens = found(outages[what] ?? quietTimes[what]);
    const program = await programWith({ alarmTopicArn, sweepMinutes: String(sweepMinutes) });
    const another = await programWith({ electorateTag: "site", sweepMinutes: String(sweepMinutes) });
    return inWorld(program, async (world) => {
        const { timeline, stack, fleet } = world;
        const metrics = record(world, delays[seen]);
        fleet.addGroup(shop, 3, { site: "shop" });
        fleet.addGroup(blog, 2, { site: "shop" });
        const from = timeline.now;
        stack.sweeping = true;
        await timeline.pass(moments[moment](sweepMinutes * minute));
        const since = timeline.now;
        const earlier = world.lines.length;
        const cure = happens(world, program, another);
        await timeline.pass((4 * sweepMinutes + (what in outages ? 30 : 66)) * minute);
        const until = timeline.now;
        const { names } = metrics;
        const lines = world.lines.slice(earlier).map(({ level, entry }) => `${level} ${JSON.stringify(entry)}`);
        if (cure && sweepMinutes === 1) {
            cure();
            await timeline.pass(40 * minute); // as long as flapping looks back, and some more
        }
        const states = statesOf(program, metrics, from, timeline.now);
        return {
            alarms: states.map((changes) => firstAlarms(changes, since, until)),
            stuck: states.flatMap((changes) =>
                Object.keys(changes).filter((name) => changes[name]?.at(-1)?.state === "ALARM"),
            ),
            metrics: names,
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
