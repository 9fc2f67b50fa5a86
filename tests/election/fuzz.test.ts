// Settings, events and answers from AWS that may be anything: what is said of them, and that nothing else is written.
import * as pulumi from "@pulumi/pulumi";
import { expect } from "chai";
import * as fc from "fast-check";
import { readSettings } from "../../election/stack/settings";
import { samples, scalingEvent, stateEvent } from "../simulator/aws/events";
import { awsError } from "../simulator/aws/faults";
import type { Region } from "../simulator/aws/region";
import { running } from "../simulator/clock";
import { startContainer } from "../simulator/stack/packaged";
import { configuration, type Program, project, runProgram } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const tagKey = "app:isLeader";
const sinceKey = "app:isLeader:since";
const json = fc.jsonValue({ maxDepth: 2 });
const huge = fc.integer({ min: 1, max: 20_000 }).map((size) => "x".repeat(size));
const anything = fc.oneof(json, huge, fc.constantFrom(null, "", 0, -1, [], {}, [null], [{}], true));

/** A value with one of its parts, however deep, replaced by something else or taken away. */
function damaged(value: unknown, path: number[], other: unknown): unknown {
    const [step, ...rest] = path;
    if (value === null || typeof value !== "object" || step === undefined) {
        return other;
    }
    const keys = Object.keys(value);
    if (keys.length === 0) {
        return other;
    }
    const key = keys[step % keys.length] as keyof typeof value;
    const part = damaged(value[key], rest, other);
    return Array.isArray(value)
        ? value.map((item, place) => (String(place) === key ? part : item))
        : { ...value, [key]: part };
}

const path = fc.array(fc.nat(9), { minLength: 1, maxLength: 5 });

/** Notes every write to tags that the rules don't allow: to foreign instances, or of other keys. */
function watch(region: Region, ours: string[]): string[] {
    const wrong: string[] = [];
    region.afterWrite.push(({ action, input }) => {
        const keys: string[] = input.Tags?.map(({ Key }: { Key: string }) => Key) ?? [];
        const foreign = input.Resources.filter((id: string) => !ours.includes(id));
        if (foreign.length > 0 || keys.join() !== `${tagKey},${sinceKey}`) {
            wrong.push(`${action} of ${keys.join()} on ${input.Resources.join()}`);
        }
    });
    return wrong;
}

/** A group of ours with a leader, another that needs one, a stray, and a foreign group with the tag. */
function populate({ fleet, region }: World): { ours: string[]; leader: string } {
    const since = (hour: number) => ({ [tagKey]: "true", [sinceKey]: `2026-11-23T0${hour}:00:00.000Z` });
    const leader = region.addInstance("awseb-led", { tags: since(1) });
    const led = [leader, region.addInstance("awseb-led")];
    const vacant = fleet.addGroup("awseb-vacant", 2);
    const stray = region.addInstance(undefined, { tags: since(2) });
    region.addInstance("foreign", { tags: since(3) });
    return { ours: [...led, ...vacant, stray], leader };
}

describe("Whatever it is,", () => {
    let program: Program;
    before(async () => {
        program = await runProgram();
    });

    it("a setting is taken as it is, or refused in one sentence with its key", () => {
        const keys = Object.keys(readSettings((key) => configuration()[`${project}:${key}`]));
        const text = fc.oneof(
            fc.string(),
            fc.string({ unit: "binary" }),
            huge,
            fc.integer().map(String),
            json.map(String),
        );
        fc.assert(
            fc.property(fc.constantFrom(...keys), fc.option(text, { nil: undefined }), (key, value) => {
                const get = (name: string) => (name === key ? value : configuration()[`${project}:${name}`]);
                try {
                    const settings = readSettings(get);
                    expect(String(settings[key as keyof typeof settings])).to.equal(value);
                } catch (error) {
                    if (!pulumi.RunError.isInstance(error)) {
                        throw error;
                    }
                    const found = value === undefined ? "missing" : JSON.stringify(value);
                    expect(error.message.startsWith(`Setting ${key} is ${found}, but it must be `)).to.equal(true);
                }
            }),
        );
    });

    it("an event leads to no error and to no write that the rules don't allow", async function () {
        this.timeout(60_000);
        const event = fc
            .tuple(fc.constantFrom(...Object.values(samples)), path, anything)
            .map(([sample, place, other]) => damaged(sample, place, other));
        const bodies = fc.array(
            fc.oneof(
                event.map((one) => JSON.stringify(one)),
                fc.string(),
                json.map((one) => JSON.stringify(one)),
            ),
            { minLength: 1, maxLength: 10 },
        );
        await fc.assert(
            fc.asyncProperty(bodies, (some) =>
                inWorld(program, async (world) => {
                    const { ours } = populate(world);
                    const wrong = watch(world.region, ours);
                    const container = { dead: false };
                    const election = running.run(container, () =>
                        startContainer(program)(
                            { Records: some.map((body) => ({ body })) },
                            { getRemainingTimeInMillis: () => 10_000 },
                        ),
                    );
                    expect(await world.timeline.until(election)).to.be.an("array");
                    expect(wrong).to.deep.equal([]);
                }),
            ),
            { numRuns: 200 },
        );
    });

    it("an answer from AWS leads to a report or an error, and to no write that the rules don't allow", async function () {
        this.timeout(60_000);
        const unhandled: unknown[] = [];
        const note = (reason: unknown) => unhandled.push(reason);
        process.on("unhandledRejection", note);
        const action = fc.constantFrom(
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "ec2:DescribeInstances",
            "ec2:DescribeInstanceStatus",
            "cloudwatch:GetMetricData",
        );
        await fc.assert(
            fc.asyncProperty(action, fc.nat(1), path, anything, (which, nth, place, other) =>
                inWorld(program, async (world) => {
                    const { ours } = populate(world);
                    const wrong = watch(world.region, ours);
                    let seen = 0;
                    world.region.fault = (call) =>
                        call.action === which && seen++ === nth
                            ? { answer: (answer) => damaged(answer, place, other) as object }
                            : undefined;
                    world.stack.sweep();
                    await world.timeline.pass(5000);
                    expect(world.stack.invocations.length).to.be.at.least(1);
                    expect(wrong).to.deep.equal([]);
                }),
            ),
            { numRuns: 300 },
        );
        process.off("unhandledRejection", note);
        expect(unhandled).to.deep.equal([]);
    });
});

describe("What AWS answers is named when it can't be used:", () => {
    let program: Program;
    before(async () => {
        program = await runProgram();
    });

    for (const [action, what, answer] of [
        ["autoscaling:DescribeAutoScalingGroups", "a list that is none", { AutoScalingGroups: "none" }],
        ["autoscaling:DescribeAutoScalingGroups", "a group without a name", { AutoScalingGroups: [{}] }],
        ["ec2:DescribeInstances", "a reservation that is null", { Reservations: [null] }],
    ] as const) {
        it(what, async () => {
            await inWorld(program, async (world) => {
                populate(world);
                world.region.fault = (call) => (call.action === action ? { answer: () => answer } : undefined);
                world.stack.sweep();
                await world.timeline.pass(2000);
                expect(world.stack.invocations[0].error?.message).to.contain(`${action}: AWS answered`);
                expect(world.region.calls.filter((call) => /Tags$/.test(call.action))).to.deep.equal([]);
            });
        });
    }

    it("a state that can't be read fails its own election, and nothing is written", async () => {
        await inWorld(program, async (world) => {
            populate(world);
            world.region.fault = ({ action, input }) =>
                action === "ec2:DescribeInstances" && input.Filters[0].Name === "instance-id"
                    ? { error: awsError("InternalError", "no", 500) }
                    : undefined;
            world.stack.hear(scalingEvent("launch-successful", world.timeline.now, "awseb-vacant", "i-1"));
            await world.stack.settle();
            expect(world.stack.invocations[0].reports[0].outcome).to.equal("failed");
            expect(world.region.leaders("awseb-vacant", tagKey)).to.deep.equal([]);
        });
    });

    it("an instance that EC2 doesn't know keeps nobody else's status checks from counting", async () => {
        await inWorld(program, async (world) => {
            const { region, stack } = world;
            const unknown = region.addInstance("awseb-shop");
            region.addInstance("awseb-shop", { checks: "impaired", load: 0 });
            const sound = region.addInstance("awseb-shop");
            region.fault = ({ action, input }) =>
                action === "ec2:DescribeInstanceStatus" && input.InstanceIds.includes(unknown)
                    ? { error: awsError("InvalidInstanceID.NotFound", `The instance ID '${unknown}' does not exist`) }
                    : undefined;
            stack.sweep();
            await stack.settle();
            expect(region.leaders("awseb-shop", tagKey)).to.deep.equal([sound]);
        });
    });

    it("a stray that can't be looked up keeps its tags, and no group waits for it", async () => {
        await inWorld(program, async (world) => {
            const { ours } = populate(world);
            world.region.fault = ({ action }) =>
                action === "autoscaling:DescribeAutoScalingInstances"
                    ? { error: awsError("Throttling", "no") }
                    : undefined;
            world.stack.sweep();
            await world.stack.settle();
            expect(world.region.leaders("awseb-vacant", tagKey)).to.have.length(1);
            expect(world.region.tags(ours[ours.length - 1])).to.include.keys(tagKey, sinceKey);
            expect(world.lines.map(({ entry }) => entry.message)).to.include("strays keep their tags");
        });
    });

    it("a stray that can't be stripped is told of, and no group waits for it", async () => {
        await inWorld(program, async (world) => {
            populate(world);
            world.region.fault = ({ action }) =>
                action === "ec2:DeleteTags" ? { error: awsError("UnauthorizedOperation", "no", 403) } : undefined;
            world.stack.sweep();
            await world.stack.settle();
            expect(world.region.leaders("awseb-vacant", tagKey)).to.have.length(1);
            const errors = world.lines.filter(({ level }) => level === "error").map(({ entry }) => entry.reason);
            expect(errors.join()).to.contain("ec2:DeleteTags on i-");
        });
    });

    it("a policy that refuses everything is asked some 60 times, not for each of 500 groups", async () => {
        await inWorld(program, async (world) => {
            for (let group = 0; group < 500; group++) {
                world.fleet.addGroup(`awseb-${group}`, 1);
            }
            world.region.fault = ({ action }) =>
                action === "ec2:CreateTags" ? { error: awsError("UnauthorizedOperation", "no", 403) } : undefined;
            world.stack.sweep();
            await world.stack.settle();
            expect(world.region.calls.filter(({ action }) => action === "ec2:CreateTags").length).to.be.below(130);
            const [{ reports }] = world.stack.invocations;
            expect(new Set(reports.map(({ outcome }) => outcome))).to.deep.equal(new Set(["failed"]));
            expect(reports[0].reason).to.contain("UnauthorizedOperation");
        });
    });

    it("a departure in the batch of a sweep is named among what asked for the election", async () => {
        await inWorld(program, async (world) => {
            const { leader } = populate(world);
            world.stack.sweep();
            await world.timeline.pass(10); // what comes now waits until that sweep is over
            world.stack.hear(stateEvent(world.timeline.now, leader, "stopping"));
            world.stack.sweep();
            await world.stack.settle();
            const report = world.stack.invocations[1].reports.find(({ group }) => group === "awseb-led");
            expect(report?.triggers).to.have.members(["Scheduled Event", "EC2 Instance State-change Notification"]);
            expect(report?.leader).to.equal(leader);
        });
    });
});
