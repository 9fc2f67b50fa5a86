// Whatever the queue hands over: each sample event whole, doubled and broken in every field, and what else may come.
import { expect } from "chai";
import type { Reports } from "../simulator/aws/endpoint";
import { type BusEvent, samples as oldSamples, scalingEvent, spotEvent, stateEvent } from "../simulator/aws/events";
import type { Call } from "../simulator/aws/faults";
import { groupKey, type Region } from "../simulator/aws/region";
import { loggedAt } from "../simulator/changes";
import { type Container, hour, isoTime, type Line, running, start } from "../simulator/clock";
import { found } from "../simulator/lists";
import { leading, standby } from "../simulator/members";
import { tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import { startContainer } from "../simulator/stack/packaged";
import { inRegion } from "../simulator/world";

/** The sample events, as if they had just happened. */
const samples: Record<string, BusEvent> = Object.fromEntries(
    Object.entries(oldSamples).map(([name, event]) => [name, { ...event, time: isoTime(start) }]),
);
const sample = (name: string): BusEvent => found(samples[name]);
const launch = sample("launch-successful");
const shop: string = launch.detail.AutoScalingGroupName;
/** The instance that the samples name. It is the busier one of the shop's: an election chooses it only after a hint. */
const named: string = launch.detail.EC2InstanceId;
const rival = "i-0fedcba9876543210";
const blogger = "i-00000000000000b10";
const ours = [named, rival, blogger];
const unknown = "i-00000000000000bad";
const ledFor = (hours: number) => leading(isoTime(start - hours * hour)).tags;

// biome-ignore lint/suspicious/noExplicitAny: the point is that it may be anything
type Anything = any;

/** What came of a batch. */
interface Aftermath {
    region: Region;
    reports: Reports;
    lines: Line[];
}

/** Hands a batch to the function, in a region that a sample's event has something to change in, or in what it left. */
type Invoke = (batch: Anything, sample?: string) => Promise<Aftermath>;

/** A test in which each batch gets a container of its own: what one remembers is no matter here. */
function rule(name: string, act: (invoke: Invoke) => Promise<void>): void {
    it(name, async () => {
        const program = await programWith();
        await inRegion(({ timeline, region, lines }) =>
            act(async (batch, sample) => {
                const container: Container = { dead: false };
                const handler = running.run(container, () => startContainer(program));
                lines.length = 0;
                region.calls.length = 0;
                timeline.now = start;
                if (sample !== undefined) {
                    arrange(region, sample);
                }
                const context = { getRemainingTimeInMillis: () => 10_000 };
                const reports = await timeline.until(running.run(container, () => handler(batch, context)));
                return { region, reports, lines };
            }),
        );
    });
}

const batchOf = (...events: Anything[]) => ({ Records: events.map((event) => ({ body: JSON.stringify(event) })) });

function arrange(region: Region, sample: string): void {
    region.instances.clear();
    region.groups.clear();
    const led = ["detach-successful", "spot-interruption-warning", "state-change-shutting-down", "tag-change"];
    const tags = led.includes(sample) ? ledFor(1) : {};
    const state = sample === "state-change-shutting-down" ? "shutting-down" : "running";
    region.addInstance(shop, { id: named, load: 90, tags, state });
    region.addInstance(shop, { id: rival, load: 10, tags: sample === "tag-change" ? ledFor(2) : {} });
    if (sample === "detach-successful") {
        region.detach(named);
    }
    region.addInstance("awseb-blog", { id: blogger });
    // None of these is ours.
    region.addInstance("my-shop", { tags: ledFor(1), ...standby });
    region.addInstance("my-shop", { tags: ledFor(2) });
    region.addInstance("my-shop");
    region.addInstance(undefined, { tags: { [tagKey]: "true" } });
    region.addInstance(undefined);
}

/** What the events of a batch are to come to, going by what is right in them. */
interface Meaning {
    /** The shop is looked at, because an event names it or an instance that led it. */
    looks: boolean;
    /** What the event says of its instance is believed; undefined: it may or may not be. */
    hint: boolean | undefined;
    sweeps: boolean;
    /** There is a warning; undefined: there may be or not. */
    warns: boolean | undefined;
}

const isFields = (value: Anything) => value !== null && typeof value === "object" && !Array.isArray(value);
const isId = (value: Anything) => typeof value === "string" && /^i-[0-9a-f]{8,17}$/.test(value);

const instanceOf = (resources: Anything) => {
    const arn = Array.isArray(resources) ? resources[0] : undefined;
    return typeof arn === "string" ? arn.split(":instance/")[1] : undefined;
};

/** Says what an event means that was made from a sample by changing one field: what is essential in it is right, or isn't. */
function meaning(name: string, event: Anything): Meaning {
    const whole = sample(name);
    const detail = isFields(event.detail) ? event.detail : {};
    const isKnown =
        event.source === whole.source && event["detail-type"] === whole["detail-type"] && isFields(event.detail);
    const names = detail.AutoScalingGroupName === shop || detail.tags?.[groupKey] === shop;
    const looking = (isRight: boolean): Meaning => ({ looks: names, hint: false, sweeps: false, warns: !isRight });
    switch (whole["detail-type"]) {
        case "Scheduled Event":
            return { looks: isKnown, hint: false, sweeps: isKnown, warns: !isKnown };
        case "Tag Change on Resource": {
            const isRight = isKnown && isFields(detail.tags) && isId(instanceOf(event.resources));
            const group = isRight && detail.tags[groupKey];
            // Without its group's name the instance is looked up by its id.
            return { ...looking(isRight), looks: names || (isRight && (typeof group !== "string" || group === "")) };
        }
        case "EC2 Spot Instance Interruption Warning":
        case "EC2 Instance State-change Notification": {
            const departs = !("state" in whole.detail) || ["stopping", "shutting-down"].includes(detail.state);
            const isRight = isKnown && isId(detail["instance-id"]) && departs;
            return { looks: isRight, hint: isRight, sweeps: false, warns: !isRight };
        }
        case "EC2 Instance Detach Successful":
        case "EC2 Instance Launch Successful": {
            const isRight = isKnown && names;
            const named = isId(detail.EC2InstanceId);
            const joins = [undefined, "AutoScalingGroup", "EC2"].includes(detail.Destination) || undefined;
            const inWarmPool = detail.Destination === "WarmPool";
            return {
                ...looking(isRight),
                hint: isRight && named && (inWarmPool ? false : joins),
                warns: !isRight || (named || !inWarmPool ? !named : undefined),
            };
        }
        default:
            return looking(isKnown && names);
    }
}

/** The instances of ours that have the leader tag in the end. */
function leadersAfter(sample: string, { looks, hint, sweeps }: Meaning): string[] {
    const blog = sweeps ? [blogger] : [];
    switch (sample) {
        case "launch-successful":
        case "launch-successful-warm-pool":
            return [...(looks ? [hint ? named : rival] : []), ...blog];
        case "detach-successful":
            return [...(hint ? [] : [named]), ...(looks ? [rival] : []), ...blog];
        case "tag-change":
            return looks ? [named] : [named, rival];
        case "spot-interruption-warning":
            return [hint ? rival : named];
        case "state-change-shutting-down":
            return looks ? [rival] : [named];
        default:
            return [...(looks ? [rival] : []), ...blog];
    }
}

function expectMeaning(sample: string, expected: Meaning, after: Aftermath, what: string): void {
    const { region, reports, lines } = after;
    if (expected.hint === undefined) {
        const outcomes = reports.map(({ outcome }) => outcome);
        expect(outcomes, what).to.deep.equal(["elected"]);
    } else {
        const leaders = ours.filter((id) => region.tags(id)[tagKey] !== undefined);
        expect(leaders, what).to.deep.equal(ours.filter((id) => leadersAfter(sample, expected).includes(id)));
    }
    const groups = reports.map(({ group }) => group);
    const asked = [...(expected.looks ? [shop] : []), ...(expected.sweeps ? ["awseb-blog"] : [])];
    expect(groups, what).to.have.members(asked);
    expectNoHarm(after, expected.sweeps, what);
    if (expected.warns !== undefined) {
        expect(loggedAt("warn", { lines }).length > 0, `${what}: a warning`).to.equal(expected.warns);
    }
}

/** Nothing was written but to what is ours, and nothing read without a filter, unless everything was to be looked at. */
function expectNoHarm({ region, lines }: Aftermath, sweeps: boolean, what: string): void {
    const others = [...region.instances.values()].filter(({ id }) => !ours.includes(id));
    const written = others.flatMap(({ versions }) => versions.slice(1));
    expect(written, `${what}: writes to others`).to.deep.equal([]);
    if (!sweeps) {
        expect(region.calls.filter(isUnfiltered), `${what}: unfiltered reads`).to.deep.equal([]);
    }
    expect(loggedAt("error", { lines }), `${what}: errors`).to.deep.equal([]);
}

function isUnfiltered({ action, input }: Call): boolean {
    const given = (list?: Anything[]) => (list?.length ?? 0) > 0;
    switch (action) {
        case "autoscaling:DescribeAutoScalingGroups":
            return !given(input.AutoScalingGroupNames);
        case "autoscaling:DescribeAutoScalingInstances":
            return !given(input.InstanceIds);
        case "ec2:DescribeInstances":
            // The leader tag alone would be every leader's.
            return !input.Filters?.some(
                ({ Name, Values }: { Name: string; Values: string[] }) =>
                    (Name === "instance-id" || Name === `tag:${groupKey}`) && given(Values) && !Values.includes("*"),
            );
        default:
            return false;
    }
}

/** Where each field of an event is, those of lists too. */
function pathsIn(value: Anything): string[][] {
    if (value === null || typeof value !== "object") {
        return [];
    }
    return Object.keys(value).flatMap((key) => [[key], ...pathsIn(value[key]).map((path) => [key, ...path])]);
}

/** Makes something of a field's value. */
type Remake = (value: Anything, key: string) => Anything;

/** A copy of an event in which something is made of the field at a path. */
function changed(event: BusEvent, path: string[], remake: Remake): Anything {
    const copy = structuredClone(event);
    const holder = path.slice(0, -1).reduce((place: Anything, key) => place[key], copy);
    const key = found(path.at(-1));
    holder[key] = remake(holder[key], key);
    return copy;
}

const mutations: Record<string, Remake> = {
    missing: () => undefined, // JSON leaves it out
    null: () => null,
    empty: (value) => (Array.isArray(value) ? [] : isFields(value) ? {} : typeof value === "string" ? "" : 0),
    "of another type": (value) => (typeof value === "string" ? 7 : "text"),
    "in a list": (value) => [value],
    "in an object": (value, key) => ({ [key]: value }),
};

describe("An event from the queue", () => {
    for (const [sample, event] of Object.entries(samples)) {
        describe(`like ${sample}`, () => {
            for (const batch of [[event], [event, event]]) {
                rule(
                    `means what it says, ${batch.length === 1 ? "once" : "and the same twice in a batch"}`,
                    async (invoke) => {
                        const expected = meaning(sample, event);
                        expect(expected.warns).to.equal(false);
                        expectMeaning(sample, expected, await invoke(batchOf(...batch), sample), sample);
                    },
                );
            }

            rule("changes nothing when it comes again", async (invoke) => {
                const { region } = await invoke(batchOf(event), sample);
                const tags = [...region.instances.keys()].map((id) => region.tags(id));
                await invoke(batchOf(event));
                expect([...region.instances.keys()].map((id) => region.tags(id))).to.deep.equal(tags);
            });

            for (const [how, remake] of Object.entries(mutations)) {
                rule(`does no harm with any field ${how}`, async (invoke) => {
                    for (const path of pathsIn(event)) {
                        const broken = changed(event, path, remake);
                        const after = await invoke(batchOf(broken), sample);
                        expectMeaning(sample, meaning(sample, broken), after, `${path.join(".")} ${how}`);
                    }
                });

                rule(`leaves the other events their effect with any field ${how}`, async (invoke) => {
                    const broken = pathsIn(event).map((path) => changed(event, path, remake));
                    const sound = scalingEvent("terminate-unsuccessful", start, "awseb-blog", blogger);
                    const after = await invoke(batchOf(...broken, sound), sample);
                    expect(after.region.leaders("awseb-blog", tagKey)).to.deep.equal([blogger]);
                    expect(after.region.leaders(shop, tagKey).length).to.be.lessThan(2);
                });
            }
        });
    }

    describe("that is odd", () => {
        const of = (event: BusEvent, change: object, detail: object = {}) => ({
            ...event,
            ...change,
            detail: { ...event.detail, ...detail },
        });
        const retyped = { "detail-type": "EC2 Instance Rebooted" };

        /** Events that nothing good comes of, and whether they name the shop and are worth a warning. */
        const odd: [what: string, event: Anything, looks: boolean, warns: boolean][] = [
            ["from an unknown source", of(launch, { source: "my.app" }), true, true],
            ["of an unknown type", of(launch, retyped), true, true],
            ["of an unknown type from EC2", { ...samples["state-change-shutting-down"], ...retyped }, false, true],
            ["of a type that another source has", of(launch, { source: "aws.ec2" }), true, true],
            ["with no instance id, but something else", of(launch, {}, { EC2InstanceId: "*" }), true, true],
            ["with an unknown instance id", of(launch, {}, { EC2InstanceId: unknown }), true, false],
            ["of an instance that starts", stateEvent(start, named, "running"), false, true],
            ["of an unknown instance's end", stateEvent(start, unknown, "stopping"), false, false],
            ["of an unknown instance's interruption", spotEvent(start, unknown), false, false],
            ["that is empty", {}, false, true],
            ["that is a list", [launch], false, true],
            ["that is null", null, false, true],
            ["that is a number", 7, false, true],
            ["that is a text", "launch", false, true],
        ];
        for (const [what, event, looks, warns] of odd) {
            rule(`is no hint, alone or beside one that is right: one ${what}`, async (invoke) => {
                const name = "launch-successful";
                const expected = { looks, warns, hint: false, sweeps: false };
                expectMeaning(name, expected, await invoke(batchOf(event), name), what);
                const right = scalingEvent("terminate-successful", start, shop, unknown);
                expectMeaning(name, { ...expected, looks: true }, await invoke(batchOf(event, right), name), what);
            });
        }

        rule("finds nothing to write in a group that is no more, and says that it isn't there", async (invoke) => {
            const event = scalingEvent("terminate-successful", start, "awseb-gone", named);
            const after = await invoke(batchOf(event), "spot-interruption-warning");
            expect(after.reports).to.have.length(1);
            expect(after.reports[0]).to.include({ group: "awseb-gone", outcome: "empty" });
            expect(after.region.leaders(shop, tagKey)).to.deep.equal([named]);
            expectNoHarm(after, false, "a deleted group");
        });

        rule("demotes a leader whose group is no more, and that no group lists", async (invoke) => {
            const { region } = await invoke(batchOf(samples.scheduled), "spot-interruption-warning");
            region.groups.delete(shop);
            const after = await invoke(batchOf(scalingEvent("terminate-successful", start, shop, rival)));
            expect(region.tags(named)).to.not.include.keys(tagKey);
            expectNoHarm(after, false, "a deleted group");
        });
    });
});

describe("An invocation", () => {
    const sound = JSON.stringify(launch);
    const bodies: [what: string, body: Anything][] = [
        ["half an event", sound.slice(0, -5)],
        ["an empty text", ""],
        ["no text", samples["launch-successful"]],
        ["missing", undefined],
        ["null", null],
        ["a text in JSON", JSON.stringify(sound)],
        ["very long", "x".repeat(200_000)],
        ["nested deeply", "[".repeat(100_000)],
        ["a prototype in disguise", '{"__proto__":{"detail":{"AutoScalingGroupName":"awseb-blog"}}}'],
    ];
    for (const [what, body] of bodies) {
        rule(`with a record whose body is ${what} warns, and the others count`, async (invoke) => {
            const after = await invoke({ Records: [{ body }, { body: sound }, { body }] }, "launch-successful");
            expect(after.region.leaders(shop, tagKey)).to.deep.equal([named]);
            expect(after.region.leaders("awseb-blog", tagKey)).to.deep.equal([]);
            expectNoHarm(after, false, what);
            const warnings = loggedAt("warn", after);
            expect(warnings).to.not.be.empty;
            expect(JSON.stringify(warnings)).to.have.length.below(10_000);
        });
    }

    const noBatches: [what: string, payload: Anything][] = [
        ["without records", {}],
        ["with no records", { Records: [] }],
        ["with null for records", { Records: null }],
        ["with a text for records", { Records: sound }],
        ["that is null", null],
        ["that is undefined", undefined],
        ["that is an event itself", samples.scheduled],
        ["that is a list", [samples.scheduled]],
    ];
    for (const [what, payload] of noBatches) {
        rule(`${what} is refused by name, and reads nothing`, async (invoke) => {
            const refusal = await invoke(payload, "launch-successful").then(String, ({ message }: Error) => message);
            expect(refusal).to.match(/^Not a batch of the queue, .*: /);
            expect(refusal).to.contain(JSON.stringify(payload)?.slice(0, 500) ?? "undefined");
        });
    }
});
