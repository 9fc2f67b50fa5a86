// Messages: each change of a leader is published once where a topic is set, beside what matters, and nothing of it elsewhere.
import Module from "node:module";
import { expect } from "chai";
import { denied, type Fault, failing } from "../simulator/aws/faults";
import { callsOf, loggedAt, metricIn, writesIn } from "../simulator/changes";
import { atFive, atFour, second } from "../simulator/clock";
import { firstOf, found, only } from "../simulator/lists";
import {
    addGroups,
    addMembers,
    leading,
    type Members,
    standby,
    tag,
    unhealthy,
    untag,
    vetoed,
} from "../simulator/members";
import { a, b, c, pausedKey, shop, sinceKey } from "../simulator/names";
import { eventOf, inOwnRegion, leadersOf, receive, rule, sinceOf, sweep } from "../simulator/scenario";
import { accountId } from "../simulator/stack/program";
import type { World } from "../simulator/world";

const topic = `arn:aws:sns:us-east-1:${accountId}:leaders`;
const publish = "sns:Publish";
const millisToSend = 1500;

/** A test in a region of its own, whose stack has a topic for changes. */
function topicRule(name: string, act: (world: World) => Promise<void>, config: Record<string, string> = {}): void {
    const withTopic = async (world: World) => {
        world.region.topics.set(topic, []);
        await act(world);
    };
    rule(name, withTopic, { changeTopicArn: topic, ...config });
}

/** What was published: the subjects, and the texts as JSON. */
const messagesIn = ({ region }: World) =>
    found(region.topics.get(topic)).map(({ at, subject, text }) => ({ at, subject, report: JSON.parse(text) }));

const subjectsIn = (world: World) => messagesIn(world).map(({ subject }) => subject);

const failedMessages = (world: World) => metricIn(world, "FailedMessages");

describe("A message", () => {
    topicRule("says which instance leads on a phone, and holds the report as it is logged", async (world) => {
        addMembers(world, { [a]: leading(atFive, standby), [b]: {} });
        await receive(world, eventOf(world, "terminate-unsuccessful", a));
        const { subject, report, at } = only(messagesIn(world));
        expect(subject).to.equal(`${shop}: ${b} leads`);
        expect(report).to.deep.equal(JSON.parse(JSON.stringify(firstOf(world.stack.invocations).reports[0])));
        expect(report).to.deep.include({ group: shop, outcome: "elected", leader: b, formerLeader: a });
        expect(report.since).to.equal(sinceOf(world, b));
        expect(report.delay).to.be.a("number");
        expect(report.reason).to.include("Standby");
        expect(at, "after the tag").to.be.above(Date.parse(report.since));
    });

    const changes: Record<string, { members: Members; untaggable?: string[]; subject: string; report: object }> = {
        "a first promotion": {
            members: { [a]: {} },
            subject: `${shop}: ${a} leads`,
            report: { outcome: "elected", leader: a, demoted: [] },
        },
        "a demotion without a successor": {
            members: { [a]: leading(atFive, { state: "shutting-down" }), [b]: standby },
            subject: `${shop} has no leader`,
            report: { outcome: "vacant", demoted: [a], formerLeader: a },
        },
        "a demotion of one leader of two": {
            members: { [a]: leading(atFour), [b]: leading(atFive) },
            subject: `${shop}: ${b} leads`,
            report: { outcome: "kept", leader: b, demoted: [a], formerLeader: a },
        },
        "a tag given back": {
            members: { [a]: leading(atFive, standby), [b]: {} },
            untaggable: [b],
            subject: `${shop}: ${a} leads`,
            report: { outcome: "failed", leader: a, demoted: [a] },
        },
        "a promotion that is refused after the demotion": {
            members: { [a]: leading(atFive, vetoed), [b]: {} },
            untaggable: [a, b],
            subject: `${shop} has no leader`,
            report: { outcome: "failed", demoted: [a], formerLeader: a },
        },
    };
    for (const [change, { members, untaggable = [], subject, report }] of Object.entries(changes)) {
        topicRule(`goes out for ${change}, once`, async (world) => {
            addMembers(world, members);
            world.region.fault = failing("ec2:CreateTags", denied, untaggable);
            world.stack.fate = () => []; // no echo: an election that is refused would be tried again
            await sweep(world);
            expect(subjectsIn(world)).to.deep.equal([subject]);
            expect(firstOf(messagesIn(world)).report).to.deep.include(report);
        });
    }

    topicRule("names the former leader, even if it was tagged by hand, is detached, or hands over", async (world) => {
        addMembers(world, {
            [a]: leading(undefined, standby),
            [b]: { tags: { [sinceKey]: atFour }, load: 10 },
            [c]: { load: 90 },
        });
        await sweep(world);
        tag(world, c);
        await world.stack.settle();
        world.fleet.detach(c);
        await world.stack.settle();
        const changes = messagesIn(world).map(({ report }) => [report.formerLeader, report.leader]);
        expect(changes).to.deep.equal([
            [a, b],
            [b, c],
            [c, b],
        ]);
    });

    topicRule(
        "goes out for nothing else: a leader kept, an adoption, a group that is empty, paused or vacant as before",
        async (world) => {
            addMembers(world, { [a]: leading(atFive) });
            addMembers(world, { [b]: leading() }, "awseb-adopted");
            world.region.addGroup("awseb-empty");
            world.region.addInstance("awseb-vacant", standby);
            world.region.addGroup("awseb-paused", { [pausedKey]: "true" });
            addMembers(world, { [c]: {} }, "awseb-paused");
            await sweep(world);
            await sweep(world);
            expect(sinceOf(world, b)).to.be.a("string");
            expect(callsOf(world, publish)).to.deep.equal([]);
        },
    );

    topicRule(
        "goes out for nothing with dryRun",
        async (world) => {
            addMembers(world, { [a]: leading(atFive, standby), [b]: {} });
            expect(await sweep(world)).to.have.length(1);
            expect(callsOf(world, publish)).to.deep.equal([]);
        },
        { dryRun: "true" },
    );

    topicRule(
        "of an electorate has its tag's key and value as the subject, and its groups in the report",
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
    );

    const [longest, spaced] = [`awseb-${"x".repeat(249)}`, `awseb-${" x".repeat(100)}`];
    const signs = "awseb- !\"#$%&'()*+,-./;<=>?@[\\]^_`{|}~";
    const names: [what: string, group: string, shown: string][] = [
        ["a name that just fits", longest.slice(0, 72), longest.slice(0, 72)],
        ["a name that is one character too long", longest.slice(0, 73), `${longest.slice(0, 69)}...`],
        ["the longest name", longest, `${longest.slice(0, 69)}...`],
        ["a name with every sign", signs, signs],
        ["a name that is cut within a space", spaced, `${spaced.slice(0, 69)}...`],
    ];
    for (const [what, group, shown] of names) {
        topicRule(`has a subject that SNS takes, for ${what}`, async (world) => {
            addMembers(world, { [a]: {} }, group);
            await sweep(world);
            const { subject, report } = only(messagesIn(world));
            expect(subject).to.equal(`${shown}: ${a} leads`).and.to.have.length.at.most(99);
            expect(report.group).to.equal(group);
        });
    }

    describe("holds up nothing:", () => {
        /** When each call was sent but those of SNS, in a first sweep over three pages of groups. */
        const timesOfSweep = (config: Record<string, string>, fault: Fault = {}) =>
            inOwnRegion(async (world) => {
                const { region, stack } = world;
                region.topics.set(topic, []);
                region.fault = failing(publish, fault);
                addGroups(world, 250, 1, "leaderless");
                stack.fate = () => [];
                await sweep(world);
                const others = region.calls.filter(({ action }) => action !== publish);
                expect(writesIn(others)).to.have.length(3);
                expect(callsOf(world, publish)).to.have.length("changeTopicArn" in config ? 250 : 0);
                return others.map(({ action, start }) => [action, start]);
            }, config);

        for (const [what, fault] of Object.entries({ "that is sent": undefined, "that stalls": { stalls: true } })) {
            it(`every read and write of later rounds comes when it would without a message ${what}`, async () => {
                const without = await timesOfSweep({});
                expect(await timesOfSweep({ changeTopicArn: topic }, fault)).to.deep.equal(without);
            });
        }

        topicRule(
            "protection is set at the same time",
            async (world) => {
                world.fleet.addGroup(shop, 1);
                await sweep(world);
                const sent = only(callsOf(world, publish));
                const set = only(callsOf(world, "autoscaling:SetInstanceProtection"));
                expect([set.start, set.end]).to.deep.equal([sent.start, sent.end]);
            },
            { protectLeader: "true" },
        );
    });

    describe("that can't be sent", () => {
        for (const [why, fault] of Object.entries<Fault>({
            "because it isn't allowed": { error: denied },
            "because there is no answer": { stalls: true },
        })) {
            topicRule(`${why} is a warning and a count, and the election stands`, async (world) => {
                const { region, stack, fleet } = world;
                fleet.addGroup(shop, 2);
                region.fault = failing(publish, fault);
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
            });
        }

        topicRule("of one group leaves those of the others alone", async (world) => {
            const [first, refused, last] = addGroups(world, 3, 1, "leaderless");
            world.region.fault = ({ action, input }) =>
                action === publish && input.Subject.startsWith(refused) ? { error: denied } : undefined;
            await sweep(world);
            expect(messagesIn(world).map(({ report }) => report.group)).to.deep.equal([first, last]);
            expect(failedMessages(world)).to.deep.equal([1]);
        });

        topicRule(
            "in what is left of the function's time: the election is reported before that is over",
            async (world) => {
                addMembers(world, { [a]: leading(atFive, unhealthy), [b]: {} });
                world.stack.fate = () => [];
                // Reading, ranking, demoting and promoting take nine of ten seconds.
                world.region.latency = 2250;
                expect(only(await sweep(world))).to.include({ outcome: "elected", leader: b });
                expect(leadersOf(world)).to.deep.equal([b]);
                expect(failedMessages(world)).to.deep.equal([1]);
            },
        );
    });
});

describe("The client of SNS", () => {
    /** Packages of the SDK that are loaded while something happens. */
    async function loadedDuring(act: () => Promise<unknown>): Promise<string[]> {
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

    rule("is not loaded without a topic, whatever changes", async (world) => {
        addMembers(world, { [a]: leading(atFive, standby), [b]: {} });
        expect(await loadedDuring(() => sweep(world))).to.have.members(always);
        expect(leadersOf(world)).to.deep.equal([b]);
    });

    topicRule("is not loaded with a topic while nothing changes, and once there is a change", async (world) => {
        addMembers(world, { [a]: leading(atFive), [b]: {} });
        expect(await loadedDuring(() => sweep(world))).to.have.members(always);
        untag(world, a);
        expect(await loadedDuring(() => world.stack.settle())).to.deep.equal(["@aws-sdk/client-sns"]);
        expect(subjectsIn(world)).to.have.length(1);
    });
});
