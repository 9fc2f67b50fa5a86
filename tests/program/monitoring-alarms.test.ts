// Which alarm goes off in which outage, how many minutes after its cause, and that the others stay quiet: with the packaged
// function, the alarms as they are registered, and CloudWatch's rules for them.
import { expect } from "chai";
import { codeIn, Document } from "../integration/readme/document";
import { rehearse } from "../rehearsal/rehearsal";
import { stateEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import { type Alarm, changesOf } from "../simulator/monitoring/alarms";
import type { Metrics } from "../simulator/monitoring/metrics";
import { type Delays, type Names, record } from "../simulator/monitoring/recorder";
import { leadersOf, minute, programWith, second, tagKey } from "../simulator/scenario";
import { Deployment } from "../simulator/stack/deployment";
import type { Program } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const alarmTopicArn = "arn:aws:sns:us-east-1:123456789012:on-call";
const names: Names = { functionName: "election-1234567", queueName: "events-1234567.fifo" };
const [shop, blog] = ["awseb-e-shop", "awseb-e-blog"];

/** The alarms that a program registers, by name. */
function alarmsOf({ resources }: Program): Record<string, Alarm> {
    const found = resources.filter(({ type }) => type === "aws:cloudwatch/metricAlarm:MetricAlarm");
    return Object.fromEntries(found.map(({ name, inputs }) => [name, inputs as Alarm]));
}

/**
 * Minutes from a time until each alarm first goes off; alarms that never do are not among them.
 * Once for each of the two ways in which AWS may fill a metric that has no data at all.
 */
function goingOff(
    program: Program,
    metrics: Metrics,
    { from, since, to }: { from: number; since: number; to: number },
) {
    return [true, false].map((fillsEmpty) =>
        Object.fromEntries(
            Object.entries(alarmsOf(program)).flatMap(([name, alarm]) => {
                const changes = changesOf(alarm, metrics, from, to, { fillsEmpty });
                const first = changes.find(({ state }) => state === "ALARM");
                return first ? [[name, Math.ceil((first.at - since) / minute)]] : [];
            }),
        ),
    );
}

/** Does something again and again, from now on. */
function every({ timeline }: World, millis: number, act: () => void): void {
    act();
    timeline.at(timeline.now + millis, () => every({ timeline } as World, millis, act));
}

const refuse = (world: World, ...actions: string[]) => {
    const error = awsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403);
    world.region.fault = ({ action }) => (actions.includes(action) ? { error } : undefined);
};

const unfit = (world: World) => {
    for (const id of world.fleet.members(shop)) {
        world.region.setMember(id, { lifecycleState: "Standby" });
        world.region.setTags(id, { [tagKey]: undefined });
    }
};

const tagAnother = (world: World) => {
    const other = world.fleet.members(shop).find((id) => !leadersOf(world, shop).includes(id));
    if (other) {
        world.region.setTags(other, { [tagKey]: "true" });
    }
};

/** Three leaders end, one each quarter of an hour. */
const endLeaders = (world: World) => {
    const { timeline, fleet } = world;
    for (let count = 0; count < 3; count++) {
        timeline.at(timeline.now + (15 * count + 1) * minute, () => fleet.crash(leadersOf(world, shop)[0]));
    }
};

/** A group's instances end, and launching others fails. */
const starve = ({ fleet }: World) => {
    fleet.launch = () => "";
    for (const id of fleet.members(shop)) {
        fleet.crash(id);
    }
};

/** Something happens in a world with a program's stack; the other program elects one leader for both groups. */
type Happening = (world: World, program: Program, another: Program) => void;

/** What happens, and which alarms it must set off, if sweeps are rare perhaps others. */
const outages: Record<string, { happens: Happening; alarms: string[]; ifRare?: string[] }> = {
    "a group wants instances and gets none": { happens: starve, alarms: ["no-leader"] },
    "no instance of a group can lead": { happens: unfit, alarms: ["no-leader"] },
    "tags can't be written, and a leader ends": {
        happens: (world) => {
            refuse(world, "ec2:CreateTags", "ec2:DeleteTags");
            world.fleet.crash(leadersOf(world, shop)[0]);
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
    "the tag is taken off a leader every 2 minutes": {
        happens: (world) => {
            every(world, 2 * minute, () => {
                for (const id of leadersOf(world, shop)) {
                    world.region.setTags(id, { [tagKey]: undefined });
                }
            });
        },
        alarms: ["flapping"],
    },
    "a second leader can't be demoted": {
        happens: (world) => {
            refuse(world, "ec2:DeleteTags");
            tagAnother(world);
        },
        alarms: ["two-leaders", "no-leader"],
    },
    "a second leader is tagged again and again, and no event reports it": {
        happens: (world) => {
            world.stack.fate = () => [];
            every(world, 20 * second, () => tagAnother(world));
        },
        alarms: ["two-leaders"],
    },
    "the function runs out of time": {
        happens: ({ region }) => {
            region.fault = ({ action }) => (action.includes("Describe") ? { dies: true } : undefined);
        },
        alarms: ["function-failing", "backlog", "no-sweep"],
    },
    "the sweep's rule is disabled": {
        happens: ({ stack }) => {
            stack.sweeping = false;
        },
        alarms: ["no-sweep"],
    },
    "the event source mapping is disabled": {
        happens: ({ stack }) => {
            stack.polling = false;
        },
        alarms: ["backlog", "no-sweep"],
    },
    "the queue's policy is gone": {
        happens: ({ stack }) => {
            stack.sending = false;
        },
        alarms: ["no-sweep"],
    },
    "the log group is gone": {
        happens: ({ lines }) => {
            lines.push = () => lines.length; // no line arrives any more
        },
        alarms: ["no-sweep"],
    },
    "a second stack has one leader elected for both groups": {
        happens: ({ region, timeline }, _, another) => {
            new Deployment(another, region, timeline).sweeping = true;
        },
        alarms: ["flapping"],
        ifRare: [], // after three changes both wait for the next sweep
    },
    "6,000 foreign instances end at once, while AWS is slow": {
        happens: ({ stack, timeline, region }) => {
            region.latency = 600;
            for (let count = 0; count < 6000; count++) {
                stack.hear(stateEvent(timeline.now, `i-f${String(count).padStart(16, "0")}`, "shutting-down"));
            }
        },
        alarms: ["backlog"],
    },
};

/** Times that no alarm may go off in. */
const quietTimes: Record<string, { minutes: number; happens: Happening }> = {
    "nothing happens": { minutes: 60, happens: () => {} },
    "both groups are scaled in to zero, and out again in the morning": {
        minutes: 120,
        happens: (world) => {
            world.fleet.scale(shop, 0);
            world.fleet.scale(blog, 0, { hook: true });
            world.timeline.at(world.timeline.now + 90 * minute, () => {
                world.fleet.scale(shop, 3);
                world.fleet.scale(blog, 2, { hook: true });
            });
        },
    },
    "all instances of a group crash": {
        minutes: 60,
        happens: ({ fleet }) => {
            for (const id of fleet.members(shop)) {
                fleet.crash(id);
            }
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
            const [leader] = leadersOf(world, shop);
            world.stack.fate = () => [];
            world.fleet.crash(leader);
        },
    },
    "the rule for departures is disabled, and leaders end": {
        minutes: 60,
        happens: (world) => {
            world.stack.fate = ({ source }) => (source === "aws.tag" ? [300] : []);
            endLeaders(world);
        },
    },
    "a second stack with the same settings looks after the same groups, and leaders end": {
        minutes: 60,
        happens: (world, program) => {
            new Deployment(program, world.region, world.timeline).sweeping = true;
            endLeaders(world);
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

const delays: Record<string, Delays> = {
    "seen soon": { own: 5 * second, aws: 60 * second },
    "seen two minutes late": { own: 2 * minute, aws: 30 * second },
    "of AWS seen three minutes late": { own: 30 * second, aws: 3 * minute },
};

/** Plays a time in a stack with two groups that have been led for a while. */
async function play(
    program: Program,
    happens: Happening,
    {
        before,
        minutes,
        delay,
        sweepMinutes = 1,
    }: { before: number; minutes: number; delay?: Delays; sweepMinutes?: number },
): Promise<{ found: Record<string, number>[] } & Traces> {
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
        happens(world, program, another);
        await timeline.pass(minutes * minute);
        const to = timeline.now;
        const there = ["AsgLeaderElection", "AWS/Events", "AWS/SQS"].flatMap((namespace) => metrics.names(namespace));
        const lines = world.lines.slice(earlier).map(({ level, entry }) => `${level} ${JSON.stringify(entry)}`);
        return { found: goingOff(program, metrics, { from, since, to }), metrics: there, lines };
    });
}

/** What is played above of each failure in the runbook. */
const runbook: Record<string, string[]> = {
    "a permission to write was taken away": ["tags can't be written, and a leader ends"],
    "groups or instances can't be read": ["groups can't be listed", "EC2 can't be read"],
    "the queue's policy is gone": ["the queue's policy is gone"],
    "the rule `sweep` is disabled": ["the sweep's rule is disabled"],
    "another rule is disabled, events get lost": ["the rule for departures is disabled, and leaders end"],
    "the event source mapping is disabled": ["the event source mapping is disabled"],
    "the function crashes or runs out of time": ["the function runs out of time"],
    "a group is vacant": ["a group wants instances and gets none", "no instance of a group can lead"],
    "a group has two leaders again and again": ["a second leader is tagged again and again, and no event reports it"],
    "tags are deleted again and again": ["the tag is taken off a leader every 2 minutes"],
    "the prefix is wrong": ["no group has the prefix"],
    "two stacks with the same settings": [
        "a second stack with the same settings looks after the same groups, and leaders end",
    ],
    "two stacks with different settings": ["a second stack has one leader elected for both groups"],
    "the log group is gone": ["the log group is gone"],
    "a flood of events": ["6,000 foreign instances end at once, while AWS is slow"],
};

/** What a time leaves behind. */
interface Traces {
    /** Names of the metrics that there are. */
    metrics: string[];
    /** Log lines of the time, each with its level before it. */
    lines: string[];
}

/** What was seen with a sweep every minute, by what happened. */
const traced: Record<string, Traces> = {};

/** Minutes until alarms went off, as they are measured below: by outage, then by minutes between sweeps. */
const measured: Record<string, Record<number, Record<string, number[]>>> = {};

for (const sweepMinutes of [1, 60]) {
    describe(`With a sweep every ${sweepMinutes} min`, () => {
        let program: Program;
        before(async () => {
            program = await programWith({ alarmTopicArn, sweepMinutes: String(sweepMinutes) });
        });
        const period = sweepMinutes * minute;

        for (const [what, { happens, ...expected }] of Object.entries(outages)) {
            const alarms = (sweepMinutes === 60 && expected.ifRare) || expected.alarms;
            for (const [when, before] of [
                ["just after", 3 * period + 10 * second],
                ["just before", 4 * period - 10 * second],
            ] as const) {
                it(`${what}, ${when} a sweep: ${alarms.join(" and ") || "no alarm"}, as soon as described, and no other`, async () => {
                    const minutes = 4 * sweepMinutes + 30;
                    const { found, ...traces } = await play(program, happens, { before, minutes, sweepMinutes });
                    for (const each of found) {
                        expect(Object.keys(each)).to.have.members(alarms);
                    }
                    measured[what] ??= { 1: {}, 60: {} };
                    if (sweepMinutes === 1) {
                        traced[what] = traces;
                    }
                    for (const [name, after] of found.flatMap((each) => Object.entries(each))) {
                        const ofAlarm = measured[what][sweepMinutes];
                        ofAlarm[name] = [...(ofAlarm[name] ?? []), after];
                        const described = alarmsOf(program)[name] as { alarmDescription?: string };
                        // These two count from the first event that fails or waits, and the next sweep is one.
                        const wait = ["function-failing", "backlog"].includes(name) ? sweepMinutes : 0;
                        const [, least, most] = (
                            described.alarmDescription?.match(/(\d+) to (\d+) minutes after/) ?? []
                        ).map(Number);
                        expect(after, name).to.be.within(least, most + wait);
                    }
                });
            }
        }
        if (sweepMinutes === 1) {
            for (const [what, { happens, minutes }] of Object.entries(quietTimes)) {
                for (const [seen, delay] of Object.entries(delays)) {
                    it(`no alarm goes off while ${what}, with metrics ${seen}`, async () => {
                        const times = { before: 3 * minute, minutes: minutes + 10, delay };
                        const { found, ...traces } = await play(program, happens, times);
                        expect(found).to.deep.equal([{}, {}]);
                        traced[what] = traces;
                    });
                }
            }
        }
        for (const [seen, delay] of Object.entries(delays)) {
            it(`no alarm goes off at the first deployment, with metrics ${seen}`, async () => {
                const minutes = 3 * sweepMinutes + 10;
                const { found } = await play(program, () => {}, { before: 0, minutes, delay });
                expect(found).to.deep.equal([{}, {}]);
            });
        }
    });
}

/** Follows the longest time that a group wanted instances and had no leader, in milliseconds. */
function longestVacancy({ region, fleet, timeline }: World): { millis: number } {
    const longest = { millis: 0 };
    const since = new Map<string, number>();
    region.onChange.push(() => {
        for (const group of region.groups.keys()) {
            const isOurs = group.startsWith("awseb-");
            if (isOurs && fleet.size(group) > 0 && region.leaders(group, tagKey).length === 0) {
                since.set(group, since.get(group) ?? timeline.now);
            } else if (since.has(group)) {
                longest.millis = Math.max(longest.millis, timeline.now - Number(since.get(group)));
                since.delete(group);
            }
        }
    });
    return longest;
}

describe("While a whole day passes", () => {
    for (const seed of [undefined, 1, 2]) {
        const day = seed === undefined ? "the rehearsed day" : `the random day ${seed}`;
        it(`no alarm goes off on ${day}, unless a group was without a leader for minutes`, async () => {
            const program = await programWith({ alarmTopicArn });
            let watched: { metrics: Metrics; world: World; from: number; vacancy: { millis: number } } | undefined;
            await rehearse(program, {
                seed,
                onWorld: (world) => {
                    const metrics = record(world, names);
                    watched = { metrics, world, from: world.timeline.now, vacancy: longestVacancy(world) };
                },
            });
            const { metrics, world, from, vacancy } = watched as NonNullable<typeof watched>;
            const to = world.timeline.now;
            expect(to - from).to.be.at.least(6 * 60 * minute);
            const mayPage = seed !== undefined && vacancy.millis >= 2 * minute ? ["no-leader"] : [];
            for (const found of goingOff(program, metrics, { from, since: from, to })) {
                expect(mayPage).to.include.members(Object.keys(found));
            }
        });
    }
});

describe("The table of outages in election/stack/README.md", () => {
    it("says what was measured here", () => {
        const cell = (found: Record<string, number[]>) =>
            Object.entries(found)
                .map(([name, minutes]): [string, number, number] => [name, Math.min(...minutes), Math.max(...minutes)])
                .sort(([a, at], [b, bt]) => at - bt || (a < b ? -1 : 1))
                .map(([name, least, most]) => `\`${name}\` ${least === most ? least : `${least} to ${most}`}`)
                .join(", ") || "none";
        const rows = Object.entries(measured).map(([what, found]) => [what, cell(found[1]), cell(found[60])]);
        expect(rows).to.have.length(Object.keys(outages).length);
        expect(new Document("election/stack/README.md").namedTable("outages")).to.deep.equal(rows);
    });

    it("says in which times no alarm goes off", () => {
        const { text } = new Document("election/stack/README.md");
        const [, listed] = text.match(/<!-- quiet -->\n+((?:[-` ].*\n)+)/) ?? [];
        expect(
            listed
                .replaceAll(/\n {2}/g, " ")
                .trim()
                .split("\n"),
        ).to.have.members(Object.keys(quietTimes).map((what) => `- ${what}`));
    });
});

describe("The runbook in election/stack/README.md", () => {
    const rows = new Document("election/stack/README.md").namedTable("runbook");
    const lookups = ["vacant-groups", "leader-history", "npm run status"];

    it("has a row for each failure that is played here", () => {
        expect(rows.map(([failure]) => failure)).to.deep.equal(Object.keys(runbook));
    });

    it("knows two stacks by two changes for each loss", () => {
        const changesIn = (failure: string) =>
            traced[runbook[failure][0]].lines.filter((line) => line.includes("LeaderChanges")).length;
        expect(changesIn("another rule is disabled, events get lost")).to.equal(3);
        expect(changesIn("two stacks with the same settings")).to.equal(6);
    });

    for (const [failure, cell, remedy] of rows) {
        it(`says of this what is seen, after how long, and what to do: ${failure}`, () => {
            expect(remedy).to.have.length.above(10);
            const sets = [...cell.matchAll(/((?:`[a-z-]+`(?:, | and )?)+) in about (\d+) minutes/g)];
            const said = sets.flatMap(([, alarms, minutes]) => codeIn(alarms).map((alarm) => [alarm, Number(minutes)]));
            for (const what of runbook[failure]) {
                const after = Object.entries(measured[what]?.[1] ?? {});
                expect(said).to.have.deep.members(after.map(([alarm, minutes]) => [alarm, Math.max(...minutes)]));
                expect(cell.includes("no alarm")).to.equal(after.length === 0);
                const { metrics, lines } = traced[what];
                expect(cell.includes("no lines")).to.equal(what === "the log group is gone" && lines.length === 0);
                const others = codeIn(cell).filter((code) => !said.some(([alarm]) => alarm === code));
                for (const code of others.filter((one) => !lookups.includes(one))) {
                    const isSeen =
                        metrics.includes(code) ||
                        lines.some((line) => line.startsWith(`${code.toLowerCase()} `)) ||
                        lines.some(
                            (line) => line.includes(`"outcome":"${code}"`) && /(ec2|autoscaling):\w+ on/.test(line),
                        );
                    expect(isSeen, code).to.equal(true);
                }
            }
        });
    }
});
