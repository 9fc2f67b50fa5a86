import { expect } from "chai";
import * as fc from "fast-check";
import type { Region } from "../simulator/aws/region";
import { populate } from "../simulator/members";
import { sinceKey, tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import type { Program } from "../simulator/stack/program";
import { inWorld } from "../simulator/world";

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
        const isOurs = keys.length > 0 && keys.every((key) => [tagKey, sinceKey].includes(key));
        if (foreign.length > 0 || !isOurs) {
            wrong.push(`${action} of ${keys.join()} on ${input.Resources.join()}`);
        }
    });
    return wrong;
}

describe("Whatever it is,", () => {
    let program: Program;
    before(async () => {
        program = await programWith();
    });

    it("an answer from AWS leads to a report or an error, and to no write that the rules don't allow", async () => {
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
                    const ours = populate(world);
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
