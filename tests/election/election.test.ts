// The packaged function in a region inside this process: each row of the decision table, each rule of an election.
import { createHash } from "node:crypto";
import { expect } from "chai";
import type { Reports } from "../simulator/aws/endpoint";
import { type BusEvent, scalingEvent, spotEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { awsError, type Call } from "../simulator/aws/faults";
import { groupKey, type Region } from "../simulator/aws/region";
import { type Program, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const tagKey = "app:isLeader";
const sinceKey = `${tagKey}:since`;
const shop = "awseb-shop";
const [a, b, c] = ["a", "b", "c"].map((end) => `i-1${end.padStart(16, "0")}`);

const start = Date.parse("2026-11-23T06:00:00.000Z");
const minute = 60 * 1000;
const hour = 60 * minute;
const isoTime = (at: number) => new Date(at).toISOString();
const earlier = isoTime(start - 2 * hour);
const later = isoTime(start - hour);

type Options = NonNullable<Parameters<Region["addInstance"]>[1]>;

/** Options of an instance that leads: since a time, or tagged by hand. */
const leading = (since?: string, value = "true"): Options => ({
    tags: { [tagKey]: value, ...(since === undefined ? {} : { [sinceKey]: since }) },
});

/** Adds members to the shop, by their ids; all of them fit unless the options say otherwise. */
function addMembers(region: Region, members: Record<string, Options>): void {
    for (const [id, options] of Object.entries(members)) {
        region.addInstance(shop, { id, ...options });
    }
}

const leaders = ({ region }: Pick<World, "region">, group = shop) => region.leaders(group, tagKey);
const tagsOf = ({ region }: World, id: string) => region.tags(id);
const writes = ({ region }: World) => region.calls.filter(({ action }) => /:(Create|Delete|Set)/.test(action));
const callsOf = ({ region }: World, action: string) => region.calls.filter((call) => call.action === action);

/** Lets a sweep happen, and all that follows from it; what the sweep reported. */
async function sweep(world: World): Promise<Reports> {
    const before = world.stack.invocations.length;
    world.stack.sweep();
    await world.stack.settle();
    return world.stack.invocations[before]?.reports ?? [];
}

/** Lets an event about an instance of the shop be heard, and all that follows from it. */
async function hear(world: World, sample: string, id: string, group = shop): Promise<Reports> {
    const before = world.stack.invocations.length;
    world.stack.hear(scalingEvent(sample, world.timeline.now, group, id));
    await world.stack.settle();
    return world.stack.invocations[before]?.reports ?? [];
}

/** Lets events be heard in one batch, and all that follows from them; the batch's reports. */
async function hearTogether(world: World, events: BusEvent[]): Promise<Reports> {
    const { stack, timeline } = world;
    const before = stack.invocations.length;
    // They come together if the function is at work when they come: here at a departure that is none of ours.
    stack.hear(stateEvent(timeline.now, "i-fffffffffffffffff", "stopping"));
    for (const event of events) {
        stack.hear(event);
    }
    await stack.settle();
    expect(stack.invocations[before + 1].events).to.deep.equal(events);
    return stack.invocations[before + 1].reports;
}

/** Tells after every write how many live leaders the shop has. */
function countLeaders(world: World): number[] {
    const counts: number[] = [];
    world.region.afterWrite.push(() => counts.push(leaders(world).length));
    return counts;
}

/** Ids that a call is about: its resources, its instances, the dimensions of its metrics. */
const idsIn = ({ input }: Call): string[] => [...new Set(JSON.stringify(input).match(/\bi-\w+/g))];

/** Whether a call reads the states of those who may be chosen. */
const readsStates = ({ action, input }: Call): boolean =>
    action === "ec2:DescribeInstances" && input.Filters.some(({ Name }: { Name: string }) => Name === "instance-id");

const denied = awsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403);

describe("An election", function () {
    this.timeout(30_000);

    let program: Program;
    before(async () => {
        program = await runProgram({ config: { asgPrefix: "awseb-", tagKey } });
    });

    /** A test in a region of its own, which has this stack and nothing else in it. */
    function rule(name: string, act: (world: World) => Promise<void>): void {
        it(name, () => inWorld(program, act));
    }

    describe("with a fit leader", () => {
        const cases: [rule: string, members: Record<string, Options>, stays: string][] = [
            ["keeps it", { [a]: {}, [b]: leading(later), [c]: {} }, b],
            ["keeps one that was tagged by hand", { [a]: {}, [b]: leading() }, b],
            ["keeps one that was tagged in capitals", { [a]: {}, [b]: leading(undefined, "TRUE") }, b],
            ["keeps the one with the latest since", { [a]: leading(earlier), [b]: leading(later), [c]: leading() }, b],
            ["keeps the one with the lowest id, if since is the same", { [b]: leading(later), [a]: leading(later) }, a],
            ["keeps the one with the lowest id, if none has since", { [b]: leading(), [a]: leading() }, a],
            [
                "takes a since of the day after tomorrow for the oldest",
                { [a]: leading(isoTime(start + 48 * hour)), [b]: leading(earlier) },
                b,
            ],
            ["takes a malformed since for the oldest", { [a]: leading("yesterday"), [b]: leading(earlier) }, b],
            [
                "demotes one that is not fit, in spite of its later since",
                { [a]: leading(earlier), [b]: { ...leading(later), lifecycleState: "Standby" } },
                a,
            ],
        ];
        for (const [name, members, stays] of cases) {
            rule(name, async (world) => {
                addMembers(world.region, members);
                const before = tagsOf(world, stays);
                const [report] = await sweep(world);
                expect(leaders(world)).to.deep.equal([stays]);
                expect(tagsOf(world, stays)).to.deep.equal(before);
                expect(report).to.include({ outcome: "kept", leader: stays });
            });
        }
    });

    describe("without a fit leader, but with fit members", () => {
        rule("gives a group that has none a leader", async (world) => {
            addMembers(world.region, { [a]: {}, [b]: {} });
            const [report] = await sweep(world);
            expect(report.outcome).to.equal("elected");
            expect(leaders(world)).to.deep.equal([report.leader]);
        });

        const unfit: Record<string, Options> = {
            "is unhealthy": { healthStatus: "Unhealthy" },
            "goes to standby": { lifecycleState: "EnteringStandby" },
            "is in standby": { lifecycleState: "Standby" },
            "is terminated by its group": { lifecycleState: "Terminating" },
            "waits for a hook to let it go": { lifecycleState: "Terminating:Wait" },
            "is being detached": { lifecycleState: "Detaching" },
            "is arriving": { lifecycleState: "Pending" },
            "is stopping": { state: "stopping" },
            "is stopped": { state: "stopped" },
            "is starting": { state: "pending" },
        };
        for (const [what, options] of Object.entries(unfit)) {
            rule(`replaces a leader that ${what}`, async (world) => {
                addMembers(world.region, { [a]: { ...options, ...leading(later) }, [b]: {} });
                const [report] = await sweep(world);
                expect(leaders(world)).to.deep.equal([b]);
                expect(tagsOf(world, a)).to.deep.equal({ [groupKey]: shop });
                expect(report).to.deep.include({ outcome: "elected", leader: b, leaders: [a], demoted: [a] });
            });
        }

        rule("replaces a leader that its group no longer lists", async (world) => {
            addMembers(world.region, { [a]: leading(later), [b]: {} });
            world.region.unlist(a);
            await sweep(world);
            expect(leaders(world)).to.deep.equal([b]);
        });

        rule("replaces a leader that a Spot warning names, while EC2 still calls it running", async (world) => {
            addMembers(world.region, { [a]: leading(later), [b]: {} });
            world.stack.hear(spotEvent(start, a));
            await world.stack.settle();
            expect(leaders(world)).to.deep.equal([b]);
        });

        for (const state of ["shutting-down", "terminated"]) {
            rule(`replaces a leader that is ${state}, and leaves its tags as they are`, async (world) => {
                addMembers(world.region, { [a]: { ...leading(later), state }, [b]: {} });
                const [report] = await sweep(world);
                expect(leaders(world)).to.deep.equal([b]);
                expect(tagsOf(world, a)).to.include({ [tagKey]: "true", [sinceKey]: later });
                expect(report).to.deep.include({ outcome: "elected", leader: b, leaders: [], demoted: [] });
            });
        }

        rule("replaces all of several leaders", async (world) => {
            const standby = { lifecycleState: "Standby" };
            addMembers(world.region, {
                [a]: { ...standby, ...leading(later) },
                [b]: { ...standby, ...leading() },
                [c]: {},
            });
            await sweep(world);
            expect(leaders(world)).to.deep.equal([c]);
        });

        rule("chooses nobody but members that are InService, Healthy and running", async (world) => {
            for (const lifecycleState of ["Pending", "Standby", "Terminating", "Quarantined", "RootVolumeReplaced"]) {
                world.region.addInstance(shop, { lifecycleState });
            }
            for (const state of ["pending", "stopping", "stopped", "shutting-down", "terminated"]) {
                world.region.addInstance(shop, { state });
            }
            world.region.addInstance(shop, { healthStatus: "Unhealthy" });
            const fit = world.region.addInstance(shop);
            await sweep(world);
            expect(leaders(world)).to.deep.equal([fit]);
        });
    });

    describe("without a fit member, but with a live leader", () => {
        const cases: [rule: string, members: Record<string, Options>][] = [
            ["keeps one in standby", { [a]: { ...leading(later), lifecycleState: "Standby" } }],
            ["keeps one that is stopped", { [a]: { ...leading(later), state: "stopped" } }],
            [
                "keeps one that is unhealthy, beside others like it",
                {
                    [a]: { ...leading(later), healthStatus: "Unhealthy" },
                    [b]: { healthStatus: "Unhealthy" },
                },
            ],
            [
                "keeps one that is terminated by its group, while others arrive",
                { [a]: { ...leading(later), lifecycleState: "Terminating" }, [b]: { lifecycleState: "Pending" } },
            ],
            [
                "keeps one that is arriving, beside others like it",
                { [a]: { ...leading(later), lifecycleState: "Pending" }, [b]: { lifecycleState: "Pending" } },
            ],
            [
                "keeps one if EC2 calls nobody running whom the group calls fit",
                { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: { state: "stopped" } },
            ],
            [
                "keeps the one with the latest since",
                {
                    [a]: { ...leading(later), lifecycleState: "Standby" },
                    [b]: { ...leading(earlier), lifecycleState: "Standby" },
                    [c]: { ...leading(), lifecycleState: "Standby" },
                },
            ],
        ];
        for (const [name, members] of cases) {
            rule(name, async (world) => {
                addMembers(world.region, members);
                const [report] = await sweep(world);
                expect(leaders(world)).to.deep.equal([a]);
                expect(tagsOf(world, a)).to.include({ [sinceKey]: later });
                expect(report).to.include({ outcome: "kept", leader: a });
            });
        }
    });

    describe("without a fit member and without a leader", () => {
        for (const lifecycleState of ["Pending", "Pending:Wait", "Pending:Proceed"]) {
            for (const state of ["pending", "running"]) {
                rule(`promotes one that is ${lifecycleState} and ${state}`, async (world) => {
                    addMembers(world.region, { [a]: { lifecycleState, state } });
                    await sweep(world);
                    expect(leaders(world)).to.deep.equal([a]);
                });
            }
        }

        rule("promotes one that is arriving, if EC2 calls nobody running whom the group calls fit", async (world) => {
            addMembers(world.region, { [a]: { lifecycleState: "Pending" }, [b]: { state: "stopped" } });
            await sweep(world);
            expect(leaders(world)).to.deep.equal([a]);
        });

        rule("has whoever arrived first give way as soon as somebody is fit", async (world) => {
            addMembers(world.region, { [a]: { lifecycleState: "Pending" } });
            await sweep(world);
            world.region.addInstance(shop, { id: b });
            await hear(world, "launch-successful", b);
            expect(leaders(world)).to.deep.equal([b]);
        });

        rule("has whoever arrived first stay if it is the first who is fit", async (world) => {
            addMembers(world.region, { [a]: { lifecycleState: "Pending" } });
            await sweep(world);
            const before = tagsOf(world, a);
            addMembers(world.region, { [b]: { lifecycleState: "Pending" } });
            world.region.setMember(a, { lifecycleState: "InService" });
            await hear(world, "launch-successful", a);
            expect(leaders(world)).to.deep.equal([a]);
            expect(tagsOf(world, a)).to.deep.equal(before);
        });

        const nobody: [rule: string, outcome: string, members: Record<string, Options>][] = [
            ["there are no members", "empty", {}],
            ["everybody leaves", "vacant", { [a]: { lifecycleState: "Terminating" }, [b]: { state: "shutting-down" } }],
            [
                "whoever arrives is unhealthy",
                "vacant",
                { [a]: { lifecycleState: "Pending", healthStatus: "Unhealthy" } },
            ],
            ["whoever arrives has ended", "vacant", { [a]: { lifecycleState: "Pending", state: "terminated" } }],
            ["members are in the warm pool", "vacant", { [a]: { lifecycleState: "Warmed:Running" } }],
        ];
        for (const [name, outcome, members] of nobody) {
            rule(`writes nothing if ${name}`, async (world) => {
                world.region.addGroup(shop);
                addMembers(world.region, members);
                const [report] = await sweep(world);
                expect(report.outcome).to.equal(outcome);
                expect(report.leader).to.equal(undefined);
                expect(leaders(world)).to.deep.equal([]);
                expect(writes(world)).to.deep.equal([]);
            });
        }
    });

    describe("that finds what it would write (rule 1)", () => {
        rule("writes nothing, and so ends the echo of its own tag events", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {}, [c]: {} });
            await sweep(world);
            const written = writes(world).length;
            const tags = [a, b, c].map((id) => tagsOf(world, id));
            expect(world.stack.invocations.length).to.be.within(2, 3);
            await sweep(world);
            await hear(world, "launch-successful", c);
            world.stack.hear(tagEvent(world.timeline.now, b, [tagKey], tagsOf(world, b)));
            await world.stack.settle();
            expect(writes(world)).to.have.length(written);
            expect([a, b, c].map((id) => tagsOf(world, id))).to.deep.equal(tags);
        });
    });

    describe("chooses (rule 2)", () => {
        /** The shop's leader, after all of its members but the first have been reported as launched in one batch. */
        async function chosen(world: World, members: Record<string, Options>): Promise<string[]> {
            addMembers(world.region, members);
            const launched = Object.keys(members).slice(1);
            await hearTogether(
                world,
                launched.map((id) => scalingEvent("launch-successful", start, shop, id)),
            );
            return leaders(world);
        }

        rule("whoever has been launched, however busy", async (world) => {
            expect(await chosen(world, { [a]: { load: 1 }, [b]: { load: 99, checks: "initializing" } })).to.deep.equal([
                b,
            ]);
        });

        rule("the least busy of several who have been launched", async (world) => {
            expect(await chosen(world, { [a]: { load: 1 }, [b]: { load: 99 }, [c]: { load: 50 } })).to.deep.equal([c]);
        });

        rule("another, if those who have been launched are not fit", async (world) => {
            const members = { [a]: { load: 99 }, [b]: { lifecycleState: "Standby" }, [c]: { state: "stopping" } };
            expect(await chosen(world, members)).to.deep.equal([a]);
        });

        rule("whoever ranks first, if those who were launched came in an earlier batch", async (world) => {
            addMembers(world.region, { [a]: { load: 1 }, [b]: { load: 99 } });
            world.region.setMember(a, { lifecycleState: "Pending" });
            await hear(world, "launch-successful", b);
            world.region.setMember(a, { lifecycleState: "InService" });
            world.region.setState(b, "shutting-down");
            addMembers(world.region, { [c]: { load: 50 } });
            await sweep(world);
            expect(leaders(world)).to.deep.equal([a]);
        });
    });

    describe("ranks (rule 3)", () => {
        type Two = [Options, Options];

        /** Which of two fit members leads in the end, in a region of their own. */
        async function winner([ofA, ofB]: Two, prepare: (world: World) => void = () => {}): Promise<string> {
            return inWorld(program, async (world) => {
                addMembers(world.region, { [a]: ofA, [b]: ofB });
                prepare(world);
                await sweep(world);
                expect(leaders(world)).to.have.length(1);
                return leaders(world)[0];
            });
        }

        const orders: [rule: string, first: Options, second: Options][] = [
            ["ok before initializing", { checks: "ok" }, { checks: "initializing" }],
            ["initializing before impaired", { checks: "initializing" }, { checks: "impaired" }],
            ["ok before impaired, however busy", { checks: "ok", load: 99 }, { checks: "impaired", load: 1 }],
            ["less load before more, from step to step", { load: 49 }, { load: 50 }],
            ["no load before some", { load: 0 }, { load: 11 }],
            ["any load before an unknown one", { load: 100 }, {}],
        ];
        for (const [name, first, second] of orders) {
            it(name, async () => {
                expect(await winner([first, second])).to.equal(a);
                expect(await winner([second, first])).to.equal(b);
            });
        }

        const ties: [rule: string, one: Options, other: Options][] = [
            ["by chance those who differ by less than a step", { load: 41 }, { load: 49 }],
            ["by chance those of whom no load is known", {}, {}],
        ];
        for (const [name, one, other] of ties) {
            it(name, async () => {
                const byChance = await winner([{ load: 45 }, { load: 45 }]);
                expect(await winner([one, other])).to.equal(byChance);
                expect(await winner([other, one])).to.equal(byChance);
            });
        }

        it("by the average of the last 15 minutes", async () => {
            await inWorld(program, async (world) => {
                addMembers(world.region, { [a]: { load: 1 }, [b]: { load: 2 } });
                await sweep(world);
                const [{ input, start: askedAt }] = callsOf(world, "cloudwatch:GetMetricData");
                expect(input.EndTime - input.StartTime).to.equal(15 * minute);
                expect(askedAt - input.EndTime).to.be.within(0, 1000);
                for (const { MetricStat } of input.MetricDataQueries) {
                    expect(MetricStat).to.deep.nested.include({
                        "Metric.MetricName": "CPUUtilization",
                        Stat: "Average",
                    });
                }
            });
        });

        it("by the same chance for every elector, in whatever order it sees the members", async () => {
            const ids = Array.from({ length: 30 }, (_, place) => `i-2${String(place).padStart(16, "0")}`);
            const elect = (members: string[], since: string) =>
                inWorld(program, async (world) => {
                    world.region.addInstance(shop, { ...leading(since), state: "terminated" });
                    addMembers(world.region, Object.fromEntries(members.map((id) => [id, {}])));
                    await sweep(world);
                    return leaders(world)[0];
                });
            const sinces = Array.from({ length: 8 }, (_, hours) => isoTime(start - (hours + 1) * hour));
            const chosen = [];
            for (const since of sinces) {
                const first = await elect(ids, since);
                expect(await elect([...ids].reverse(), since)).to.equal(first);
                chosen.push(first);
            }
            expect(new Set(chosen).size, `chosen: ${chosen}`).to.be.greaterThan(1);
        });

        const optional: [what: string, action: string, ofA: Options, ofB: Options][] = [
            ["status checks", "ec2:DescribeInstanceStatus", { checks: "impaired", load: 1 }, { load: 99 }],
            ["load", "cloudwatch:GetMetricData", { load: 99 }, { checks: "impaired", load: 1 }],
        ];
        for (const [what, action, ofA, ofB] of optional) {
            rule(`without ${what}, with a warning, if AWS refuses to tell`, async (world) => {
                addMembers(world.region, { [a]: ofA, [b]: ofB });
                world.region.fault = (call) => (call.action === action ? { error: denied } : undefined);
                await sweep(world);
                expect(leaders(world)).to.deep.equal([a]);
                const warnings = world.lines.filter(({ level }) => level === "warn");
                expect(JSON.stringify(warnings)).to.contain(action).and.to.contain("UnauthorizedOperation");
            });
        }

        rule("nobody if EC2's state can't be read: the group's election has failed", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {} });
            world.region.fault = (call) => (readsStates(call) ? { error: denied } : undefined);
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "failed", leader: a });
            expect(writes(world)).to.deep.equal([]);
            expect(leaders(world)).to.deep.equal([a]);
        });
    });

    describe("of a large group (rule 4)", () => {
        const ranked = (world: World) => callsOf(world, "ec2:DescribeInstanceStatus").flatMap(idsIn);

        rule("ranks ten of its members", async (world) => {
            for (let count = 0; count < 300; count++) {
                world.region.addInstance(shop);
            }
            await sweep(world);
            expect(leaders(world)).to.have.length(1);
            expect(ranked(world)).to.have.length(10).and.to.include(leaders(world)[0]);
            expect(callsOf(world, "cloudwatch:GetMetricData").flatMap(idsIn)).to.have.members(ranked(world));
        });

        rule("ranks the next ones if none of them will do", async (world) => {
            const ids = Array.from({ length: 60 }, () => world.region.addInstance(shop));
            for (const id of ids) {
                world.region.setState(id, "stopped");
            }
            world.region.setState(ids[37], "running");
            await sweep(world);
            expect(leaders(world)).to.deep.equal([ids[37]]);
        });

        rule("keeps the leader if none of all its members will do", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" } });
            for (let count = 0; count < 40; count++) {
                world.region.addInstance(shop, { state: "stopped" });
            }
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "kept", leader: a });
            expect(leaders(world)).to.deep.equal([a]);
            expect(writes(world)).to.deep.equal([]);
        });

        rule("ranks a thousand in all, and some of every group", async (world) => {
            const groups = Array.from({ length: 101 }, (_, place) => `awseb-${place}`);
            for (const group of groups) {
                for (let count = 0; count < 10; count++) {
                    world.region.addInstance(group);
                }
            }
            world.stack.fate = () => []; // no echo
            await sweep(world);
            expect(groups.map((group) => leaders(world, group).length)).to.deep.equal(groups.map(() => 1));
            expect(ranked(world).length).to.be.within(groups.length, 1000);
        });
    });

    describe("demotes before it promotes (rule 5)", () => {
        rule("so that there is no moment with two leaders", async (world) => {
            addMembers(world.region, {
                [a]: { ...leading(later), lifecycleState: "Standby" },
                [b]: { ...leading(), lifecycleState: "Terminating:Wait" },
                [c]: {},
            });
            const counts = countLeaders(world);
            await sweep(world);
            expect(counts).to.deep.equal([0, 1]);
            expect(leaders(world)).to.deep.equal([c]);
        });

        rule("so that there is no moment with two leaders in any of many groups", async (world) => {
            const groups = Array.from({ length: 30 }, (_, place) => `awseb-${place}`);
            for (const group of groups) {
                world.region.addInstance(group, { ...leading(later), healthStatus: "Unhealthy" });
                world.region.addInstance(group);
            }
            const most: number[] = [];
            world.region.afterWrite.push(() => most.push(...groups.map((group) => leaders(world, group).length)));
            const reports = await sweep(world);
            expect(Math.max(...most)).to.equal(1);
            expect(groups.map((group) => leaders(world, group))).to.deep.equal(
                reports.map(({ leader }) => [leader as string]),
            );
            expect(reports.map(({ outcome }) => outcome)).to.deep.equal(groups.map(() => "elected"));
        });

        rule("and promotes nobody if it can't demote", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {} });
            world.region.fault = ({ action }) => (action === "ec2:DeleteTags" ? { error: denied } : undefined);
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "failed", leader: a });
            expect(report.reason).to.contain("ec2:DeleteTags");
            expect(leaders(world)).to.deep.equal([a]);
        });

        rule("and demotes nobody if too little time remains to promote", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {} });
            world.region.latency = 4500; // of the ten seconds that it may take, one is left after reading
            world.stack.sweep();
            await world.timeline.pass(20_000);
            expect(world.stack.invocations[0].reports[0]).to.include({ outcome: "failed", leader: a });
            expect(leaders(world)).to.deep.equal([a]);
            expect(tagsOf(world, a)).to.include({ [sinceKey]: later });
            world.region.latency = 20;
            await sweep(world);
            expect(leaders(world)).to.deep.equal([b]);
        });
    });

    describe("whose choice is gone when it is tagged (rule 6)", () => {
        /** Takes the first of the ids that are to be tagged away, so often. */
        function takeAway({ region }: World, action: string, times: number): string[] {
            const gone: string[] = [];
            region.fault = (call) => {
                if (call.action === action && gone.length < times) {
                    const [id] = call.input.Resources;
                    gone.push(id);
                    region.unlist(id);
                    region.instances.delete(id);
                }
                return undefined;
            };
            return gone;
        }

        rule("tags the next in rank", async (world) => {
            addMembers(world.region, { [a]: { load: 50 }, [b]: { load: 10 }, [c]: { load: 30 } });
            takeAway(world, "ec2:CreateTags", 1);
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "elected", leader: c });
            expect(leaders(world)).to.deep.equal([c]);
        });

        rule("tags the last in rank if the others are gone as well", async (world) => {
            addMembers(world.region, { [a]: { load: 50 }, [b]: { load: 10 }, [c]: { load: 30 } });
            takeAway(world, "ec2:CreateTags", 2);
            await sweep(world);
            expect(leaders(world)).to.deep.equal([a]);
        });

        rule("has failed if nobody is left", async (world) => {
            addMembers(world.region, { [a]: {}, [b]: {} });
            takeAway(world, "ec2:CreateTags", 2);
            const [report] = await sweep(world);
            expect(report.outcome).to.equal("failed");
            expect(leaders(world)).to.deep.equal([]);
        });

        rule("leaves the groups alone whose choice is still there", async (world) => {
            addMembers(world.region, { [a]: { load: 10 }, [b]: { load: 30 } });
            const others = ["awseb-blog", "awseb-wiki"];
            const [blogger, writer] = others.map((group) => world.region.addInstance(group));
            takeAway(world, "ec2:CreateTags", 1);
            await sweep(world);
            expect(leaders(world)).to.deep.equal([b]);
            expect(leaders(world, "awseb-blog")).to.deep.equal([blogger]);
            expect(leaders(world, "awseb-wiki")).to.deep.equal([writer]);
        });

        rule("promotes a successor even if the leader that it demotes is gone", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Terminating" }, [b]: {} });
            takeAway(world, "ec2:DeleteTags", 1);
            await sweep(world);
            expect(leaders(world)).to.deep.equal([b]);
        });
    });

    describe("that can't read everything (rule 7)", () => {
        const unreadable: [what: string, action: string, secondPage: boolean][] = [
            ["the groups", "autoscaling:DescribeAutoScalingGroups", false],
            ["a page of the groups", "autoscaling:DescribeAutoScalingGroups", true],
            ["the leaders", "ec2:DescribeInstances", false],
            ["a page of the leaders", "ec2:DescribeInstances", true],
        ];
        for (const [what, action, secondPage] of unreadable) {
            rule(`writes nothing without ${what}, and its batch comes back`, async (world) => {
                addMembers(world.region, { [a]: {}, [b]: {} });
                for (const group of ["awseb-blog", "awseb-wiki", "awseb-zoo"]) {
                    world.region.addInstance(group, leading(later));
                    world.region.addInstance(group);
                }
                const before = [...world.region.instances.keys()].map((id) => tagsOf(world, id));
                world.region.pageSize = 2;
                const error = awsError("InternalError", "An internal error has occurred", 500);
                world.region.fault = (call) =>
                    call.action === action && Boolean(call.input.NextToken) === secondPage ? { error } : undefined;
                world.stack.sweep();
                await world.timeline.pass(30_000);
                expect(world.stack.invocations).to.have.length(1);
                expect(world.stack.invocations[0].error?.message).to.contain(action).and.to.contain("InternalError");
                expect([...world.region.instances.keys()].map((id) => tagsOf(world, id))).to.deep.equal(before);

                world.region.fault = () => undefined;
                await world.stack.settle();
                expect(leaders(world)).to.have.length(1);
                expect(world.stack.invocations[1].error).to.equal(undefined);
            });
        }

        rule("decides from all pages", async (world) => {
            const groups = Array.from({ length: 7 }, (_, place) => `awseb-${place}`);
            const old = groups.slice(2).map((group) => world.region.addInstance(group, leading(later)));
            for (const group of groups) {
                world.region.addInstance(group);
            }
            world.region.pageSize = 2;
            await sweep(world);
            expect(groups.map((group) => leaders(world, group).length)).to.deep.equal(groups.map(() => 1));
            expect(groups.slice(2).flatMap((group) => leaders(world, group))).to.deep.equal(old);
        });
    });

    describe("whose writes fail in one group (rule 7)", () => {
        const failures = [denied, awsError("OperationNotPermitted", "no"), awsError("InternalError", "no", 500)];
        for (const error of failures) {
            rule(`gives the other groups their leaders in spite of ${error.name}`, async (world) => {
                addMembers(world.region, { [a]: {} });
                const blogger = world.region.addInstance("awseb-blog");
                const writer = world.region.addInstance("awseb-wiki");
                world.region.fault = ({ action, input }) =>
                    action === "ec2:CreateTags" && input.Resources.includes(a) ? { error } : undefined;
                const reports = await sweep(world);
                expect(leaders(world)).to.deep.equal([]);
                expect(leaders(world, "awseb-blog")).to.deep.equal([blogger]);
                expect(leaders(world, "awseb-wiki")).to.deep.equal([writer]);
                const failed = reports.filter(({ outcome }) => outcome === "failed");
                expect(failed.map(({ group }) => group)).to.deep.equal([shop]);
                expect(failed[0].reason).to.contain("ec2:CreateTags").and.to.contain(error.name);
            });

            rule(`replaces the other groups' leaders in spite of ${error.name}`, async (world) => {
                addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {} });
                world.region.addInstance("awseb-blog", { ...leading(later), lifecycleState: "Standby" });
                const blogger = world.region.addInstance("awseb-blog");
                world.region.fault = ({ action, input }) =>
                    action === "ec2:DeleteTags" && input.Resources.includes(a) ? { error } : undefined;
                await sweep(world);
                expect(leaders(world)).to.deep.equal([a]);
                expect(leaders(world, "awseb-blog")).to.deep.equal([blogger]);
            });
        }

        rule("comes to rest if a write took effect although its answer was an error", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {}, [c]: {} });
            world.region.fault = ({ action }) =>
                action === "ec2:CreateTags"
                    ? { error: awsError("InternalError", "no", 500), afterEffect: true }
                    : undefined;
            const counts = countLeaders(world);
            await sweep(world);
            world.region.fault = () => undefined;
            await sweep(world);
            expect(leaders(world)).to.have.length(1).and.not.to.include(a);
            expect(Math.max(...counts)).to.equal(1);
        });
    });

    describe("while EC2's reads lag (rule 8)", () => {
        const lagging = 20_000;

        rule("counts its own promotion as read", async (world) => {
            addMembers(world.region, { [a]: {}, [b]: {} });
            world.region.lag = () => lagging;
            const [{ leader }] = await sweep(world);
            await hear(world, "launch-successful", a);
            await hear(world, "launch-successful", b);
            expect(leaders(world)).to.deep.equal([leader]);
            expect(writes(world)).to.have.length(1);
        });

        rule("counts its own demotion as read", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {} });
            world.region.lag = () => lagging;
            await sweep(world);
            world.region.setMember(a, { lifecycleState: "InService" });
            await hear(world, "launch-successful", a);
            expect(leaders(world)).to.deep.equal([b]);
            expect(writes(world)).to.have.length(2);
        });

        rule("replaces the leader that it has promoted if the group no longer lists it", async (world) => {
            addMembers(world.region, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            world.region.detach(a);
            await hear(world, "detach-successful", a);
            expect(leaders(world)).to.deep.equal([b]);
            await world.timeline.pass(minute);
            await sweep(world);
            expect(tagsOf(world, a)).to.deep.equal({});
            expect(leaders(world)).to.deep.equal([b]);
        });

        rule("elects again at once if a tag event says that its leader has lost the tag", async (world) => {
            addMembers(world.region, { [a]: {}, [b]: {} });
            const [{ leader }] = await sweep(world);
            await world.timeline.pass(5000);
            world.region.setTags(leader as string, { [tagKey]: undefined, [sinceKey]: undefined });
            expect(leaders(world)).to.deep.equal([]);
            await world.stack.settle();
            expect(leaders(world)).to.have.length(1);
        });

        rule("elects again after 30 seconds if no event has told that its leader has lost the tag", async (world) => {
            addMembers(world.region, { [a]: {}, [b]: {} });
            const [{ leader }] = await sweep(world);
            world.stack.fate = () => [];
            world.region.setTags(leader as string, { [tagKey]: undefined, [sinceKey]: undefined });
            await world.timeline.pass(20_000);
            const [report] = await sweep(world);
            expect(report).to.include({ outcome: "kept", leader });
            expect(leaders(world)).to.deep.equal([]);
            await world.timeline.pass(11_000);
            await sweep(world);
            expect(leaders(world)).to.have.length(1);
        });

        rule("is not misled by a tag event from before its promotion", async (world) => {
            addMembers(world.region, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            world.stack.hear(tagEvent(start - 5000, a, [tagKey], { [groupKey]: shop }));
            await world.stack.settle();
            expect(leaders(world)).to.deep.equal([a]);
            expect(writes(world)).to.have.length(1);
        });

        rule("comes to rest after another elector's write that it could not see", async (world) => {
            addMembers(world.region, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            world.region.setTags(b, { [tagKey]: "true", [sinceKey]: isoTime(world.timeline.now) });
            await world.stack.settle();
            await world.timeline.pass(minute);
            await sweep(world);
            expect(leaders(world)).to.deep.equal([b]);
        });
    });

    describe("of what is not ours (rule 9)", () => {
        /** Whatever the stack does, nothing is written for the groups of these names. */
        async function leavesAlone(world: World, groups: string[]): Promise<void> {
            const ids = groups.flatMap((group) => [
                world.region.addInstance(group),
                world.region.addInstance(group, { ...leading(later), lifecycleState: "Standby" }),
                world.region.addInstance(group, { ...leading(later), state: "terminated" }),
            ]);
            const before = ids.map((id) => tagsOf(world, id));
            await sweep(world);
            for (const [place, id] of ids.entries()) {
                const group = groups[Math.floor(place / 3)];
                world.stack.hear(scalingEvent("launch-successful", world.timeline.now, group, id));
                world.stack.hear(stateEvent(world.timeline.now, id, "stopping"));
                world.stack.hear(spotEvent(world.timeline.now, id));
                world.stack.hear(tagEvent(world.timeline.now, id, [tagKey], tagsOf(world, id)));
            }
            await world.stack.settle();
            await sweep(world);
            expect(world.stack.invocations.length).to.be.greaterThan(2);
            expect(ids.map((id) => tagsOf(world, id))).to.deep.equal(before);
        }

        rule("leaves groups alone that have another prefix", async (world) => {
            await leavesAlone(world, ["shop", "my-awseb-shop", "Awseb-shop", "awseb", " awseb-shop"]);
            addMembers(world.region, { [a]: {} });
            await sweep(world);
            expect(leaders(world)).to.deep.equal([a]);
        });

        rule("leaves other tags alone, with whatever key", async (world) => {
            const others = {
                Name: "shop",
                isLeader: "true",
                "app:isleader": "true",
                [`${tagKey}:sinc`]: "x",
                since: "x",
            };
            addMembers(world.region, {
                [a]: { lifecycleState: "Standby", tags: { ...leading(later).tags, ...others } },
                [b]: { tags: others },
            });
            await sweep(world);
            expect(leaders(world)).to.deep.equal([b]);
            expect(tagsOf(world, a)).to.deep.equal({ ...others, [groupKey]: shop });
            expect(tagsOf(world, b)).to.include(others);
        });

        for (const value of ["false", "yes", "", "1", "true ", "truth", "untrue", "tru?", "TRUE\n"]) {
            rule(
                `takes nobody for a leader whose tag says ${JSON.stringify(value)}, and leaves that tag`,
                async (world) => {
                    addMembers(world.region, {
                        [a]: { ...leading(later, value), healthStatus: "Unhealthy" },
                        [b]: {},
                    });
                    const before = tagsOf(world, a);
                    await sweep(world);
                    expect(leaders(world)).to.deep.equal([b]);
                    expect(tagsOf(world, a)).to.deep.equal(before);
                },
            );
        }

        rule("does not take one group's leader for another's whose name looks like a pattern", async (world) => {
            const names = ["awseb-*", "awseb-?", "awseb-\\*", "awseb-b", "awseb-", "awseb-*b"];
            const ids = names.map((name) => world.region.addInstance(name));
            const old = names.map((name) => world.region.addInstance(name, leading(later)));
            world.region.setMember(old[0], { healthStatus: "Unhealthy" });
            await hear(world, "launch-successful", ids[0], names[0]);
            expect(leaders(world, names[0])).to.deep.equal([ids[0]]);
            for (const name of names) {
                await hear(world, "launch-successful", ids[0], name);
            }
            expect(names.slice(1).flatMap((name) => leaders(world, name))).to.deep.equal(old.slice(1));
        });
    });

    describe("of a stray (rule 9)", () => {
        const others = { Name: "stray" };

        rule("takes both tags off it, and no other, when a Detach event names it", async (world) => {
            addMembers(world.region, { [a]: { tags: { ...leading(later).tags, ...others } }, [b]: {} });
            world.region.detach(a);
            await hear(world, "detach-successful", a);
            expect(tagsOf(world, a)).to.deep.equal(others);
            expect(leaders(world)).to.deep.equal([b]);
        });

        rule("takes both tags off it when a tag event names it", async (world) => {
            const id = world.region.addInstance(undefined);
            world.region.setTags(id, { ...leading(later).tags, ...others });
            await world.stack.settle();
            expect(tagsOf(world, id)).to.deep.equal(others);
        });

        rule("takes both tags off it when the sweep finds it, off many at once", async (world) => {
            const ids = Array.from({ length: 120 }, () =>
                world.region.addInstance(undefined, { tags: { ...leading(later).tags, ...others } }),
            );
            await sweep(world);
            expect(ids.map((id) => tagsOf(world, id))).to.deep.equal(ids.map(() => others));
        });

        rule("leaves one alone that has no since: somebody else tagged it", async (world) => {
            const id = world.region.addInstance(undefined, leading());
            await hear(world, "detach-successful", id);
            world.stack.hear(tagEvent(world.timeline.now, id, [tagKey], tagsOf(world, id)));
            await sweep(world);
            expect(tagsOf(world, id)).to.deep.equal(leading().tags);
        });

        rule("leaves one alone whose tag has another value", async (world) => {
            const id = world.region.addInstance(undefined, leading(later, "false"));
            await hear(world, "detach-successful", id);
            await sweep(world);
            expect(tagsOf(world, id)).to.deep.equal(leading(later, "false").tags);
        });

        rule("never strips a member because of an old Detach event", async (world) => {
            addMembers(world.region, { [a]: leading(later), [b]: {} });
            const before = tagsOf(world, a);
            await hear(world, "detach-successful", a);
            expect(tagsOf(world, a)).to.deep.equal(before);
        });

        rule("never strips a member whose tags don't name its group yet", async (world) => {
            const id = world.region.addInstance(undefined, leading(later));
            const before = tagsOf(world, id);
            world.region.addGroup(shop).members.push({
                id,
                lifecycleState: "InService",
                healthStatus: "Healthy",
                protected: false,
            });
            await hear(world, "detach-successful", id, "awseb-blog");
            expect(tagsOf(world, id)).to.include(before);
        });

        rule("never strips the member of a group with another prefix", async (world) => {
            const id = world.region.addInstance("my-shop", leading(later));
            const before = tagsOf(world, id);
            await hear(world, "detach-successful", id);
            await sweep(world);
            expect(tagsOf(world, id)).to.deep.equal(before);
        });
    });

    describe("that promotes says since when", () => {
        rule("in the same call as the tag, in ISO 8601 with milliseconds, UTC", async (world) => {
            addMembers(world.region, { [a]: {} });
            const [{ since }] = await sweep(world);
            const { [tagKey]: value, [sinceKey]: written } = tagsOf(world, a);
            expect(value).to.equal("true");
            expect(written)
                .to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
                .and.to.equal(since);
            expect(Date.parse(written)).to.be.within(start, start + 1000);
            const tagging = callsOf(world, "ec2:CreateTags").map(({ input }) => input);
            expect(tagging).to.deep.equal([
                {
                    Resources: [a],
                    Tags: [
                        { Key: tagKey, Value: "true" },
                        { Key: sinceKey, Value: written },
                    ],
                },
            ]);
        });

        const seen: [what: string, options: Options][] = [
            ["a live leader that it replaces", { lifecycleState: "Standby" }],
            ["a dead leader", { state: "terminated" }],
        ];
        for (const [what, options] of seen) {
            rule(`later than ${what} does, even if that is in the future`, async (world) => {
                const ahead = isoTime(start + 3 * hour);
                addMembers(world.region, { [a]: { ...leading(ahead), ...options }, [b]: {} });
                await sweep(world);
                expect(leaders(world)).to.deep.equal([b]);
                expect(Date.parse(tagsOf(world, b)[sinceKey])).to.be.greaterThan(Date.parse(ahead));
            });
        }

        for (const since of [isoTime(start + 25 * hour), "yesterday", "9999", ""]) {
            rule(`as it is, in spite of a leader since ${JSON.stringify(since)}`, async (world) => {
                addMembers(world.region, { [a]: { ...leading(since), lifecycleState: "Standby" }, [b]: {} });
                await sweep(world);
                expect(Date.parse(tagsOf(world, b)[sinceKey])).to.be.within(start, start + 1000);
            });
        }

        rule("later each time, however often the leader changes", async (world) => {
            addMembers(world.region, { [a]: {}, [b]: {}, [c]: {} });
            const sinces: string[] = [];
            for (let change = 0; change < 6; change++) {
                await sweep(world);
                const [leader] = leaders(world);
                sinces.push(tagsOf(world, leader)[sinceKey]);
                for (const id of [a, b, c]) {
                    world.region.setMember(id, { healthStatus: id === leader ? "Unhealthy" : "Healthy" });
                }
            }
            expect(sinces).to.deep.equal([...new Set(sinces)].sort());
            expect(leaders(world)).to.have.length(1);
        });

        rule("so that an operator can hand over by tagging another fit instance with a later since", async (world) => {
            addMembers(world.region, { [a]: {}, [b]: {} });
            const [{ leader }] = await sweep(world);
            const other = leader === a ? b : a;
            await world.timeline.pass(minute);
            const since = isoTime(world.timeline.now);
            world.region.setTags(other, { [tagKey]: "true", [sinceKey]: since });
            await world.stack.settle();
            expect(leaders(world)).to.deep.equal([other]);
            expect(tagsOf(world, other)).to.include({ [sinceKey]: since });
            expect(tagsOf(world, leader as string)).to.deep.equal({ [groupKey]: shop });
        });
    });

    describe("comes to rest as the table says (rule 10), with events that", () => {
        /** From 0 to 1, as if at random, but the same in every run. */
        const draw = ({ time, detail }: BusEvent) =>
            createHash("sha256")
                .update(time + JSON.stringify(detail))
                .digest()
                .readUInt8() / 255;
        const fates: [how: string, fate: World["stack"]["fate"] | undefined, lag: number][] = [
            ["come in time", undefined, 0],
            ["come in time, while EC2's reads lag", undefined, 5000],
            ["never come", () => [], 0],
            ["come three times", () => [300, 400, 2500], 0],
            ["come late", () => [90_000], 0],
            ["come in any order", (event) => [300 + 30_000 * draw(event)], 0],
            [
                "come sometimes, or doubled, while EC2's reads lag",
                (event) => (draw(event) < 0.5 ? [] : [300, 40_000]),
                5000,
            ],
        ];

        async function live({ fleet, timeline }: World, group: string): Promise<void> {
            const happenings: ((ids: string[]) => void)[] = [
                () => fleet.scale(group, 4, { hook: true }),
                ([first]) => fleet.crash(first),
                ([first]) => fleet.becomeUnhealthy(first),
                ([first, second]) => {
                    fleet.enterStandby(first);
                    fleet.enterStandby(second);
                },
                ([first, second]) => {
                    fleet.exitStandby(first);
                    fleet.exitStandby(second);
                },
                () => fleet.scale(group, 0, { hook: true }),
                () => fleet.failLaunch(group, true),
                () => fleet.scale(group, 3),
                ([first]) => fleet.detach(first),
                ([, second]) => fleet.warn(second),
                ([first]) => fleet.stop(first),
            ];
            for (const happening of happenings) {
                happening(fleet.members(group));
                await timeline.pass(50_000);
            }
        }

        function expectRest(world: World): void {
            const { region } = world;
            const [leader] = leaders(world);
            expect(leaders(world)).to.deep.equal([leader]);
            expect(region.memberOf(leader)?.member).to.include({
                lifecycleState: "InService",
                healthStatus: "Healthy",
            });
            expect(region.state(leader)).to.equal("running");
            const live = [...region.instances.keys()].filter((id) => !/shutting|terminated/.test(region.state(id)));
            expect(live.filter((id) => region.tags(id)[tagKey] !== undefined)).to.deep.equal([leader]);
        }

        for (const [how, fate, lag] of fates) {
            rule(how, async (world) => {
                const { fleet, stack, timeline, region } = world;
                fleet.addGroup(shop, 2);
                stack.fate = fate ?? stack.fate;
                stack.sweeping = true;
                region.lag = () => lag;
                await live(world, shop);
                await timeline.pass(6 * minute);
                expectRest(world);
                const before = writes(world).length;
                await timeline.pass(3 * minute);
                expect(writes(world)).to.have.length(before);
            });
        }
    });

    describe("reports", () => {
        const launched = "EC2 Instance Launch Successful";
        const electionLines = ({ lines }: World) => lines.filter(({ entry }) => entry?.group !== undefined);

        rule("what an event caused in one JSON object at info, and returns the same", async (world) => {
            addMembers(world.region, {
                [a]: { ...leading(later), lifecycleState: "Standby" },
                [b]: { load: 10 },
                [c]: { load: 30 },
            });
            await hear(world, "launch-successful", b);
            const [{ level, entry }] = electionLines(world);
            expect(level).to.equal("info");
            expect(entry).to.deep.include({
                group: shop,
                outcome: "elected",
                leader: b,
                candidates: [b, c],
                leaders: [a],
                demoted: [a],
                triggers: [launched],
            });
            expect(entry.reason).to.contain(a).and.to.contain("Standby");
            expect(JSON.parse(JSON.stringify(entry))).to.deep.equal(entry);
            expect(world.stack.invocations[0].reports).to.deep.equal([entry]);
            expect(leaders(world)).to.deep.equal([b]);
        });

        rule("what an event found in order at info", async (world) => {
            addMembers(world.region, { [a]: leading(later) });
            await hear(world, "launch-successful", a);
            const [{ level, entry }, ...others] = electionLines(world);
            expect(others).to.deep.equal([]);
            expect(level).to.equal("info");
            expect(entry).to.deep.include({
                group: shop,
                outcome: "kept",
                leader: a,
                candidates: [a],
                leaders: [a],
                demoted: [],
                triggers: [launched],
            });
            expect(entry.reason).to.be.a("string").that.is.not.empty;
        });

        rule("every kind of event that asked for the election, and each group once", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), state: "shutting-down" }, [b]: {} });
            const reports = await hearTogether(world, [
                scalingEvent("launch-successful", start, shop, b),
                scalingEvent("launch-successful", start + 1000, shop, b),
                scalingEvent("terminate-successful", start, shop, a),
                tagEvent(start, a, [tagKey], tagsOf(world, a)),
                stateEvent(start, a, "shutting-down"),
            ]);
            expect(reports.map(({ group }) => group)).to.deep.equal([shop]);
            expect(reports[0].triggers).to.have.members([
                launched,
                "EC2 Instance Terminate Successful",
                "Tag Change on Resource",
                "EC2 Instance State-change Notification",
            ]);
            expect(leaders(world)).to.deep.equal([b]);
        });

        rule("a departure as the reason for the election", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), state: "shutting-down" }, [b]: {} });
            world.stack.hear(stateEvent(start, a, "shutting-down"));
            await world.stack.settle();
            const [{ entry }] = electionLines(world);
            expect(entry.triggers).to.deep.equal(["EC2 Instance State-change Notification"]);
            expect(entry).to.include({ outcome: "elected", leader: b });
            expect(leaders(world)).to.deep.equal([b]);
        });

        rule("of a sweep what it changed at info, and the rest at debug", async (world) => {
            addMembers(world.region, { [a]: {} });
            world.region.addInstance("awseb-blog", leading(later));
            world.region.addGroup("awseb-empty");
            world.region.addInstance("awseb-vacant", { lifecycleState: "Standby" });
            world.region.addInstance("awseb-wiki", leading(earlier));
            world.region.addInstance("awseb-wiki", leading(later));
            world.stack.fate = () => [];
            const reports = await sweep(world);
            const levels = electionLines(world).map(({ level, entry }) => [entry.group, entry.outcome, level]);
            expect(levels).to.have.deep.members([
                [shop, "elected", "info"],
                ["awseb-blog", "kept", "debug"],
                ["awseb-empty", "empty", "debug"],
                ["awseb-vacant", "vacant", "debug"],
                ["awseb-wiki", "kept", "info"],
            ]);
            expect(electionLines(world).map(({ entry }) => entry)).to.deep.equal(reports);
            expect(leaders(world)).to.deep.equal([a]);
        });

        rule("a failure at error", async (world) => {
            addMembers(world.region, { [a]: {} });
            world.region.fault = ({ action }) => (action === "ec2:CreateTags" ? { error: denied } : undefined);
            await sweep(world);
            const [{ level, entry }] = electionLines(world);
            expect(level).to.equal("error");
            expect(entry).to.include({ group: shop, outcome: "failed" });
            expect(entry.reason).to.contain("ec2:CreateTags").and.to.contain(a).and.to.contain("UnauthorizedOperation");
            expect(leaders(world)).to.deep.equal([]);
        });

        rule("at most 20 candidates and leaders", async (world) => {
            const ids = Array.from({ length: 30 }, () => world.region.addInstance(shop, leading(later)));
            const [{ candidates, leaders: seen, demoted }] = await sweep(world);
            expect(ids).to.include.members(candidates);
            expect(ids).to.include.members(seen);
            expect([candidates.length, seen.length, demoted.length]).to.deep.equal([20, 20, 29]);
            expect(leaders(world)).to.deep.equal([ids[0]]);
        });
    });

    describe("costs", () => {
        /** How often an election waited for AWS, and how often it asked. */
        async function cost(world: World, act: () => void): Promise<{ roundTrips: number; calls: number }> {
            act();
            await world.stack.settle();
            const [{ start: from, end }] = world.stack.invocations;
            const calls = world.region.calls.filter((call) => call.start >= from && call.end <= end);
            return { roundTrips: (end - from) / world.region.latency, calls: calls.length };
        }

        for (const size of [3, 1000]) {
            rule(`one round trip and two calls to keep the leader of ${size}`, async (world) => {
                addMembers(world.region, { [a]: leading(later) });
                for (let count = 1; count < size; count++) {
                    world.region.addInstance(shop);
                }
                const launch = () => world.stack.hear(scalingEvent("launch-successful", start, shop, a));
                expect(await cost(world, launch)).to.deep.equal({ roundTrips: 1, calls: 2 });
                expect(leaders(world)).to.deep.equal([a]);
            });

            rule(`three round trips to give a group of ${size} a leader`, async (world) => {
                for (let count = 0; count < size; count++) {
                    world.region.addInstance(shop);
                }
                const { roundTrips } = await cost(world, () => world.stack.sweep());
                expect(roundTrips).to.equal(3);
                expect(leaders(world)).to.have.length(1);
            });
        }

        rule("four round trips to hand over", async (world) => {
            addMembers(world.region, { [a]: { ...leading(later), lifecycleState: "Standby" }, [b]: {}, [c]: {} });
            const { roundTrips } = await cost(world, () => world.stack.sweep());
            expect(roundTrips).to.equal(4);
            expect(leaders(world)).to.not.include(a);
        });

        rule("one read for a batch of departures that are none of ours", async (world) => {
            addMembers(world.region, { [a]: leading(later), [b]: {}, [c]: {} });
            const others = Array.from({ length: 8 }, () => world.region.addInstance("my-shop", leading(later)));
            const depart = () => {
                for (const id of [...others, b]) {
                    world.stack.hear(stateEvent(start, id, "stopping"));
                }
            };
            expect(await cost(world, depart)).to.deep.equal({ roundTrips: 1, calls: 1 });
            expect(leaders(world)).to.deep.equal([a]);
        });

        rule("no more calls for a sweep over 90 groups than for one over 3", async (world) => {
            const calls: number[] = [];
            for (const count of [3, 90]) {
                for (let place = world.region.groups.size; place < count; place++) {
                    world.region.addInstance(`awseb-${place}`, leading(later));
                }
                const before = world.region.calls.length;
                await sweep(world);
                calls.push(world.region.calls.length - before);
            }
            expect(calls).to.deep.equal([2, 2]);
            expect(leaders(world, "awseb-89")).to.have.length(1);
        });
    });
});
