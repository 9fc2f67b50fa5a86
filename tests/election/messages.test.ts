// Messages: each change of a leader is published once where a topic is set, beside what matters, and nothing of it elsewhere.

import Module from "node:module";
import { expect } from "chai";
import { invoke, pointSdkAt } from "../simulator/aws/endpoint";
import { sweepEvent } from "../simulator/aws/events";
import { awsError, type Fault } from "../simulator/aws/faults";
import { AwsServer, type HttpFault, refusal } from "../simulator/aws/http";
import { Region } from "../simulator/aws/region";
import { loggedAt, metricIn, writesIn } from "../simulator/changes";
import { Timeline } from "../simulator/clock";
import { firstOf, found, only } from "../simulator/lists";
import {
    a,
    addLedGroup,
    addMembers,
    atFive,
    atFour,
    b,
    c,
    denied,
    eligibleKey,
    eventOf,
    failing,
    inPermittedWorld,
    leadersOf,
    leading,
    pausedKey,
    programWith,
    receive,
    second,
    shop,
    sinceKey,
    sinceOf,
    sweep,
    tag,
    tagKey,
    untag,
} from "../simulator/scenario";
import { startContainer } from "../simulator/stack/packaged";
import { accountId } from "../simulator/stack/program";
import type { World } from "../simulator/world";

const topic = `arn:aws:sns:us-east-1:${accountId}:leaders`;
const publish = "sns:Publish";
const millisToSend = 1500;

/** A world with a topic for changes; the program's policy allows every call. */
async function inWorldWithTopic(
    act: (world: World) => Promise<void>,
    config: Record<string, string> = {},
): Promise<void> {
    await inPermittedWorld(await programWith({ changeTopicArn: topic, ...config }), async (world) => {
        world.region.topics.set(topic, []);
        await act(world);
    });
}

/** What was published: the subjects, and the texts as JSON. */
const messagesIn = ({ region }: World) =>
    found(region.topics.get(topic)).map(({ at, subject, text }) => ({ at, subject, report: JSON.parse(text) }));

const subjectsIn = (world: World) => messagesIn(world).map(({ subject }) => subject);

const publishes = ({ region }: World) => region.calls.filter(({ action }) => action === publish);

const failedMessages = (world: World) => metricIn(world, "FailedMessages");

describe("A message", () => {
    it("says who leads on a phone, and holds the report as it is logged", () =>
        inWorldWithTopic(async (world) => {
            addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
            await receive(world, eventOf(world, "terminate-unsuccessful", a));
            const { subject, report, at } = only(messagesIn(world));
            expect(subject).to.equal(`${shop}: ${b} leads`);
            expect(report).to.deep.equal(JSON.parse(JSON.stringify(firstOf(world.stack.invocations).reports[0])));
            expect(report).to.deep.include({ group: shop, outcome: "elected", leader: b, formerLeader: a });
            expect(report.since).to.equal(sinceOf(world, b));
            expect(report.delay).to.be.a("number");
            expect(report.reason).to.include("Standby");
            expect(at, "after the tag").to.be.above(Date.parse(report.since));
        }));

    const changes: Record<string, { arrange: (world: World) => void; subject: string; report: object }> = {
        "a first promotion": {
            arrange: (world) => addMembers(world, { [a]: {} }),
            subject: `${shop}: ${a} leads`,
            report: { outcome: "elected", leader: a, demoted: [] },
        },
        "a demotion without a successor": {
            arrange: (world) =>
                addMembers(world, {
                    [a]: { ...leading(atFive), state: "shutting-down" },
                    [b]: { lifecycleState: "Standby" },
                }),
            subject: `${shop} has no leader`,
            report: { outcome: "vacant", demoted: [a], formerLeader: a },
        },
        "a demotion of one leader of two": {
            arrange: (world) => addMembers(world, { [a]: leading(atFour), [b]: leading(atFive) }),
            subject: `${shop}: ${b} leads`,
            report: { outcome: "kept", leader: b, demoted: [a], formerLeader: a },
        },
        "a tag given back": {
            arrange: (world) => {
                addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
                world.region.fault = failing("ec2:CreateTags", denied, [b]);
            },
            subject: `${shop}: ${a} leads`,
            report: { outcome: "failed", leader: a, demoted: [a] },
        },
        "a promotion that is refused after the demotion": {
            arrange: (world) => {
                addMembers(world, {
                    [a]: { ...leading(atFive), tags: { ...leading(atFive).tags, [eligibleKey]: "false" } },
                    [b]: {},
                });
                world.region.fault = failing("ec2:CreateTags", denied);
            },
            subject: `${shop} has no leader`,
            report: { outcome: "failed", demoted: [a], formerLeader: a },
        },
    };
    for (const [change, { arrange, subject, report }] of Object.entries(changes)) {
        it(`goes out for ${change}, once`, () =>
            inWorldWithTopic(async (world) => {
                arrange(world);
                world.stack.fate = () => []; // no echo: an election that is refused would be tried again
                await sweep(world);
                expect(subjectsIn(world)).to.deep.equal([subject]);
                expect(firstOf(messagesIn(world)).report).to.deep.include(report);
            }));
    }

    it("names the instance that led before, even if it was tagged by hand, is detached, or hands over", () =>
        inWorldWithTopic(async (world) => {
            const { fleet } = world;
            addMembers(world, {
                [a]: { ...leading(), lifecycleState: "Standby" },
                [b]: { tags: { [sinceKey]: atFour }, load: 10 },
                [c]: { load: 90 },
            });
            await sweep(world);
            tag(world, c);
            await world.stack.settle();
            fleet.detach(c);
            await world.stack.settle();
            const changes = messagesIn(world).map(({ report }) => [report.formerLeader, report.leader]);
            expect(changes).to.deep.equal([
                [a, b],
                [b, c],
                [c, b],
            ]);
        }));

    it("goes out for nothing else: a leader kept, an adoption, a group that is empty, paused or vacant as before", () =>
        inWorldWithTopic(async (world) => {
            addMembers(world, { [a]: leading(atFive) });
            addMembers(world, { [b]: leading() }, "awseb-adopted");
            world.region.addGroup("awseb-empty");
            world.region.addInstance("awseb-vacant", { lifecycleState: "Standby" });
            world.region.addGroup("awseb-paused", { [pausedKey]: "true" });
            addMembers(world, { [c]: {} }, "awseb-paused");
            await sweep(world);
            await sweep(world);
            expect(sinceOf(world, b)).to.not.equal(undefined);
            expect(publishes(world)).to.deep.equal([]);
        }));

    it("goes out for nothing with dryRun", () =>
        inWorldWithTopic(
            async (world) => {
                addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
                expect(await sweep(world)).to.have.length(1);
                expect(publishes(world)).to.deep.equal([]);
            },
            { dryRun: "true" },
        ));

    it("of an electorate has its tag's key and value as the subject, and its groups in the report", () =>
        inWorldWithTopic(
            async (world) => {
                const names = ["awseb-blue", "awseb-green"];
                for (const name of names) {
                    world.region.addGroup(name, { environment: "Laden für Öl" });
                }
                addMembers(world, { [a]: {} }, names[0]);
                await sweep(world);
                const { subject, report } = only(messagesIn(world));
                expect(subject).to.equal(`environment=Laden f?r ?l: ${a} leads`);
                expect(report).to.deep.include({ group: "environment=Laden für Öl", groups: names });
            },
            { electorateTag: "environment" },
        ));

    const longest = `awseb-${"x".repeat(249)}`;
    const names: [what: string, group: string, subject: string][] = [
        ["a name that just fits", longest.slice(0, 72), `${longest.slice(0, 72)}: ${a} leads`],
        ["a name that is one character too long", longest.slice(0, 73), `${longest.slice(0, 69)}...: ${a} leads`],
        ["a name of 255 characters", longest, `${longest.slice(0, 69)}...: ${a} leads`],
        [
            "a name with every sign",
            "awseb- !\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~",
            `awseb- !"#$%&'()*+,-./;<=>?@[\\]^_\`{|}~: ${a} leads`,
        ],
        [
            "a name that is cut within a space",
            `awseb-${" x".repeat(100)}`,
            `${`awseb-${" x".repeat(100)}`.slice(0, 69)}...: ${a} leads`,
        ],
    ];
    for (const [what, group, subject] of names) {
        it(`has a subject that SNS takes, for ${what}`, () =>
            inWorldWithTopic(async (world) => {
                addMembers(world, { [a]: {} }, group);
                await sweep(world);
                expect(subject).to.have.length.at.most(99);
                expect(subjectsIn(world)).to.deep.equal([subject]);
                expect(firstOf(messagesIn(world)).report.group).to.equal(group);
            }));
    }

    it("goes out for each of the 100 changes of a first sweep", () =>
        inWorldWithTopic(async (world) => {
            const groups = Array.from({ length: 100 }, (_, index) => `awseb-${index}`);
            for (const group of groups) {
                world.fleet.addGroup(group, 2);
            }
            await sweep(world);
            await sweep(world);
            expect(messagesIn(world).map(({ report }) => report.group)).to.have.members(groups);
        }));

    it("goes out again for a later change in the same container", () =>
        inWorldWithTopic(async (world) => {
            world.fleet.addGroup(shop, 3);
            await sweep(world);
            const [first] = leadersOf(world);
            world.fleet.crash(found(first));
            await world.stack.settle();
            expect(messagesIn(world).map(({ report }) => report.leader)).to.deep.equal([first, ...leadersOf(world)]);
            expect(messagesIn(world)[1]?.report.formerLeader).to.equal(first);
        }));

    describe("holds up nothing:", () => {
        it("an election that keeps its leader costs two calls, and none of SNS", () =>
            inWorldWithTopic(async (world) => {
                const leader = addLedGroup(world, shop, 3);
                await world.stack.settle();
                const before = world.region.calls.length;
                await receive(world, eventOf(world, "launch-successful", leader));
                expect(world.region.calls.slice(before)).to.have.length(2);
            }));

        /** When each call was sent but those of SNS, in a first sweep over three pages of groups. */
        async function timesOfSweep(config: Record<string, string>, fault?: Fault): Promise<unknown[]> {
            const times: unknown[] = [];
            await inPermittedWorld(await programWith(config), async (world) => {
                const { region, fleet, stack } = world;
                region.topics.set(topic, []);
                region.fault = ({ action }) => (action === publish ? fault : undefined);
                for (let index = 0; index < 250; index++) {
                    fleet.addGroup(`awseb-${index}`, 1);
                }
                stack.fate = () => [];
                await sweep(world);
                const others = region.calls.filter(({ action }) => action !== publish);
                expect(writesIn(others)).to.have.length(3);
                expect(publishes(world)).to.have.length("changeTopicArn" in config ? 250 : 0);
                times.push(...others.map(({ action, start }) => [action, start]));
            });
            return times;
        }

        for (const [what, fault] of Object.entries({ "that is sent": undefined, "that stalls": { stalls: true } })) {
            it(`every read and write of later rounds comes when it would without a message ${what}`, async () => {
                const without = await timesOfSweep({});
                expect(await timesOfSweep({ changeTopicArn: topic }, fault)).to.deep.equal(without);
            });
        }

        it("protection is set at the same time", () =>
            inWorldWithTopic(
                async (world) => {
                    world.fleet.addGroup(shop, 1);
                    await sweep(world);
                    const [sent] = publishes(world);
                    const [set] = world.region.calls.filter(({ action }) => /SetInstanceProtection/.test(action));
                    expect([set?.start, set?.end]).to.deep.equal([sent?.start, sent?.end]);
                },
                { protectLeader: "true" },
            ));
    });

    describe("that can't be sent", () => {
        const faults: Record<string, Fault> = {
            "because it isn't allowed": { error: awsError("AuthorizationErrorException", "not authorized", 403) },
            "because the topic is gone": { error: awsError("NotFoundException", "Topic does not exist", 404) },
            "because SNS is asked too often": { error: awsError("ThrottledException", "Rate exceeded", 429) },
            "because SNS fails": { error: awsError("InternalErrorException", "an internal error", 500) },
            "because there is no answer": { stalls: true },
        };
        for (const [why, fault] of Object.entries(faults)) {
            it(`${why} is a warning and a count, and the election stands`, () =>
                inWorldWithTopic(async (world) => {
                    const { region, stack, fleet } = world;
                    fleet.addGroup(shop, 2);
                    region.fault = ({ action }) => (action === publish ? fault : undefined);
                    const reports = await sweep(world);
                    const leader = only(leadersOf(world));
                    expect(only(reports)).to.include({ outcome: "elected", leader });
                    const warning = only(loggedAt("warn", world));
                    expect(warning.message).to.include(shop);
                    expect(warning.about).to.include(publish).and.to.include(topic);
                    expect(failedMessages(world)).to.deep.equal([1]);
                    const { start, end, error } = firstOf(stack.invocations);
                    expect(error).to.equal(undefined);
                    expect(end - start).to.be.at.most(millisToSend + second);

                    region.fault = () => undefined;
                    fleet.crash(leader);
                    await stack.settle();
                    expect(subjectsIn(world).at(-1)).to.equal(`${shop}: ${only(leadersOf(world))} leads`);
                    expect(failedMessages(world), "nothing failed in the second election").to.have.length(1);
                }));
        }

        it("of one group leaves those of the others alone", () =>
            inWorldWithTopic(async (world) => {
                const names = ["awseb-1", "awseb-2", "awseb-3"];
                for (const name of names) {
                    world.fleet.addGroup(name, 1);
                }
                world.region.fault = ({ action, input }) =>
                    action === publish && input.Subject.startsWith(names[1]) ? { error: denied } : undefined;
                await sweep(world);
                expect(messagesIn(world).map(({ report }) => report.group)).to.deep.equal([names[0], names[2]]);
                expect(failedMessages(world)).to.deep.equal([1]);
            }));

        it("in what is left of the function's time: the election is reported before that is over", () =>
            inWorldWithTopic(async (world) => {
                const { region, stack, timeline } = world;
                addMembers(world, { [a]: { ...leading(atFive), healthStatus: "Unhealthy" }, [b]: {} });
                stack.fate = () => [];
                // Reading, ranking, demoting and promoting take nine of ten seconds.
                region.latency = 2250;
                stack.sweep();
                await timeline.pass(12 * second);
                expect(leadersOf(world)).to.deep.equal([b]);
                const { error, reports } = only(stack.invocations);
                expect(error).to.equal(undefined);
                expect(only(reports)).to.include({ outcome: "elected", leader: b });
                expect(failedMessages(world)).to.deep.equal([1]);
            }));

        it("because the container ends: the group keeps its leader, and the message is lost", () =>
            inWorldWithTopic(async (world) => {
                const { region, fleet, stack } = world;
                fleet.addGroup(shop, 2);
                let happened = false;
                region.fault = ({ action }) => {
                    const dies = action === publish && !happened;
                    happened ||= dies;
                    return dies ? { dies } : undefined;
                };
                stack.sweep();
                await stack.settle();
                const leader = only(leadersOf(world));
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([leader]);
                expect(messagesIn(world)).to.deep.equal([]);
            }));
    });
});

describe("The client of SNS", () => {
    /** Packages of the SDK that are loaded while something happens. */
    async function loadedDuring(act: () => Promise<void>): Promise<string[]> {
        const internals = Module as unknown as { _load: (request: string, ...rest: unknown[]) => unknown };
        const load = internals._load;
        const loaded: string[] = [];
        internals._load = (request, ...rest) => {
            loaded.push(...(request.startsWith("@aws-sdk/client-") ? [request] : []));
            return load(request, ...rest);
        };
        try {
            await act();
        } finally {
            internals._load = load;
        }
        return [...new Set(loaded)];
    }
    const always = ["@aws-sdk/client-ec2", "@aws-sdk/client-auto-scaling", "@aws-sdk/client-cloudwatch"];

    it("is not loaded without a topic, whatever changes", async () => {
        const program = await programWith();
        const loaded = await loadedDuring(() =>
            inPermittedWorld(program, async (world) => {
                addMembers(world, { [a]: { ...leading(atFive), lifecycleState: "Standby" }, [b]: {} });
                await sweep(world);
                expect(leadersOf(world)).to.deep.equal([b]);
            }),
        );
        expect(loaded).to.have.members(always);
    });

    it("is not loaded with a topic while nothing changes, and once there is a change", async () => {
        await programWith({ changeTopicArn: topic });
        await inWorldWithTopic(async (world) => {
            const settled = await loadedDuring(async () => {
                addMembers(world, { [a]: leading(atFive), [b]: {} });
                await sweep(world);
            });
            expect(settled).to.have.members(always);
            const changed = await loadedDuring(async () => {
                untag(world, a);
                await world.stack.settle();
            });
            expect(changed).to.deep.equal(["@aws-sdk/client-sns"]);
            expect(subjectsIn(world)).to.have.length(1);
        });
    });

    describe("over HTTP", () => {
        let aws: AwsServer;
        let restoreEnvironment = () => {};
        before(async () => {
            aws = await AwsServer.open(new Region(new Timeline()));
            restoreEnvironment = pointSdkAt(aws.url);
        });
        after(() => {
            restoreEnvironment();
            aws.close();
        });

        /** A sweep that elects the only member, with faults of the messages; how many attempts there were, and what arrived. */
        async function attemptsWith(fault: (before: number) => HttpFault | undefined) {
            const region = new Region(new Timeline());
            region.topics.set(topic, []);
            region.addInstance(shop, { id: a });
            aws.show(region);
            aws.fault = ({ action }, before) => (action === "Publish" ? fault(before) : undefined);
            const handler = startContainer(await programWith({ changeTopicArn: topic }));
            const deadline = performance.now() + 10 * second;
            const reports = await invoke(handler, [JSON.stringify(sweepEvent(Date.now()))]);
            expect(performance.now(), "the end").to.be.below(deadline);
            expect(region.leaders(shop, tagKey)).to.deep.equal([a]);
            expect(only(reports)).to.include({ outcome: "elected", leader: a });
            return { attempts: aws.callsOf("Publish").length, arrived: found(region.topics.get(topic)) };
        }

        it("speaks SNS's protocol", async () => {
            const { attempts, arrived } = await attemptsWith(() => undefined);
            expect(attempts).to.equal(1);
            const { subject, text } = only(arrived);
            expect(subject).to.equal(`${shop}: ${a} leads`);
            expect(JSON.parse(text)).to.include({ group: shop, leader: a });
        });

        it("tries again when it is throttled", async () => {
            const { attempts, arrived } = await attemptsWith((before) =>
                before === 0 ? refusal("Throttled", 429, "Rate exceeded") : undefined,
            );
            expect([attempts, arrived.length]).to.deep.equal([2, 1]);
        });

        it("does not try again what is refused, and gives up what hangs or stalls", async () => {
            const refused = await attemptsWith(() => refusal("AuthorizationError", 403));
            expect([refused.attempts, refused.arrived.length]).to.deep.equal([1, 0]);
            expect((await attemptsWith(() => "hangs")).attempts).to.be.at.least(1);
            expect((await attemptsWith(() => ({ stallsAfter: 20 }))).attempts).to.be.at.least(1);
        });
    });
});
