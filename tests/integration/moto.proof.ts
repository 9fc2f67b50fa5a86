// The packaged function against moto_server: the real SDK, over HTTP, from the event bus to the tags. Part of `npm run proof`.
import { expect } from "chai";
import { scalingEvent, spotEvent, stateEvent, sweepEvent, tagEvent } from "../simulator/aws/events";
import { firstOf, found, only } from "../simulator/lists";
import { type Program, runProgram } from "../simulator/stack/program";
import { withTool } from "../tools";
import { Moto, Stack } from "./moto";

const tagKey = "app:isLeader";
const sinceKey = "app:isLeader:since";
const group = "awseb-e-shop";
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const declareTests = () =>
    describe("The packaged function, over HTTP", () => {
        let program: Program;
        let moto: Moto | undefined;
        let region: Moto;
        let stack: Stack;

        before(async () => {
            program = await runProgram({ config: { asgPrefix: "awseb-", tagKey } });
            moto = await Moto.start();
            region = moto;
        });

        after(() => moto?.stop());

        beforeEach(async () => {
            await region.reset();
            stack = await Stack.deploy(region, program);
        });

        const launched = (name: string, id: string) => scalingEvent("launch-successful", Date.now(), name, id);
        const departing = (id: string, state: string) => stateEvent(Date.now(), id, state);
        const tagChanged = async (id: string, key = tagKey) => tagEvent(Date.now(), id, [key], await region.tags(id));
        const since = async (id: string) => Date.parse((await region.tags(id))[sinceKey] ?? "");

        /** The one instance of the group that carries the leader tag, with its since. */
        async function leaderOf(name: string): Promise<string> {
            const leader = only((await region.tagged(tagKey))[name] ?? []);
            const tags = await region.tags(leader);
            expect(tags[tagKey]).to.equal("true");
            expect(tags[sinceKey]).to.match(isoTime);
            return leader;
        }

        /** A group with a leader and other fit members. */
        async function groupWithLeader(size = 3): Promise<{ leader: string; others: string[] }> {
            const members = await region.addGroup(group, size);
            await stack.sweep();
            const leader = await leaderOf(group);
            return { leader, others: members.filter((id) => id !== leader) };
        }

        describe("on a sweep", () => {
            it("gives every group of a new stack one of its members as the leader, and a foreign group none", async () => {
                const members: Record<string, string[]> = {};
                for (const [name, size] of Object.entries({ "awseb-one": 1, "awseb-two": 2, "awseb-three": 3 })) {
                    members[name] = await region.addGroup(name, size);
                }
                await region.addGroup("other-awseb-group", 2);
                await stack.sweep();
                for (const name of Object.keys(members)) {
                    expect(members[name]).to.include(await leaderOf(name));
                }
                expect(await region.tagged(tagKey)).to.have.all.keys(Object.keys(members));
                expect(await region.tagged(sinceKey)).to.deep.equal(await region.tagged(tagKey));
            });

            it("finds groups and leaders on every page of AWS's answers", async () => {
                const names = Array.from({ length: 110 }, (_, place) => `awseb-${place}`);
                for (const name of names) {
                    await region.addGroup(name, 1);
                }
                await stack.sweep();
                expect(await region.tagged(tagKey)).to.have.all.keys(names);
            });

            it("finds a detached leader without an event, and takes both tags off it", async () => {
                const { leader, others } = await groupWithLeader();
                await region.autoScaling.detachInstances({
                    AutoScalingGroupName: group,
                    InstanceIds: [leader],
                    ShouldDecrementDesiredCapacity: true,
                });
                await stack.sweep();
                expect(others).to.include(await leaderOf(group));
                expect(await region.tags(leader)).to.not.have.any.keys(tagKey, sinceKey);
            });

            it("takes the value tRuE for a leader's, leaves it as it is, and adds since", async () => {
                const [, second] = await region.addGroup(group, 3);
                await region.tag(second, { [tagKey]: "tRuE" });
                await stack.sweep();
                expect((await region.tagged(tagKey))[group]).to.deep.equal([second]);
                const tags = await region.tags(second);
                expect(tags[tagKey]).to.equal("tRuE");
                expect(tags[sinceKey]).to.match(isoTime);
                await stack.sweep();
                expect(await region.tags(second)).to.deep.equal(tags);
            });

            it("takes no other value for a leader's, and leaves such tags alone", async () => {
                const values = ["false", "yes!", " true"];
                const [healthy, ...others] = await region.addGroup(group, 4);
                for (const [place, id] of others.entries()) {
                    await region.tag(id, { [tagKey]: values[place] ?? "" });
                    await region.autoScaling.setInstanceHealth({ InstanceId: id, HealthStatus: "Unhealthy" });
                }
                await stack.sweep();
                const carried = await Promise.all(
                    [healthy, ...others].map(async (id) => (await region.tags(id))[tagKey]),
                );
                expect(carried).to.deep.equal(["true", ...values]);
            });
        });

        describe("when instances come", () => {
            it("keeps the leader when its group scales out, however many batches report it", async () => {
                const { leader } = await groupWithLeader(2);
                const before = await region.tags(leader);
                const arrivals = await region.scale(group, 14);
                const batches = await stack.receive(...arrivals.map((id) => launched(group, id)));
                expect(batches, "12 events, 10 to a batch").to.have.length(2);
                expect(await leaderOf(group)).to.equal(leader);
                expect(await region.tags(leader)).to.deep.equal(before);
            });
        });

        describe("when the leader goes", () => {
            it("elects a successor in the batch that reports its termination", async () => {
                const { leader } = await groupWithLeader();
                const first = await since(leader);
                await region.ec2.terminateInstances({ InstanceIds: [leader] });
                const batches = await stack.receive(departing(leader, "shutting-down"));
                expect(batches).to.have.length(1);
                const successor = await leaderOf(group);
                expect(await region.members(group)).to.include(successor);
                expect(await since(successor)).to.be.above(first);
            });

            it("demotes a leader that stops, though its group still lists it as InService, and keeps its since as a record", async () => {
                const { leader, others } = await groupWithLeader();
                await region.ec2.stopInstances({ InstanceIds: [leader] });
                await stack.receive(departing(leader, "stopping"));
                expect(others).to.include(await leaderOf(group));
                expect(await region.tags(leader)).to.include.keys(sinceKey);
                expect(await region.tags(leader)).to.not.have.any.keys(tagKey);
            });
        });

        describe("when the tags are changed", () => {
            it("another member that gets the tag with a later since leads", async () => {
                const { leader, others } = await groupWithLeader();
                const heir = found(others[0]);
                const later = new Date((await since(leader)) + 60_000).toISOString();
                await region.tag(heir, { [tagKey]: "true", [sinceKey]: later });
                await stack.receive(await tagChanged(heir));
                expect(await leaderOf(group)).to.equal(heir);
                expect(await region.tags(leader)).to.not.have.any.keys(tagKey);
            });
        });

        describe("for what is not ours", () => {
            it("receives no events", async () => {
                const [own] = await region.addGroup(group, 1);
                const [foreign] = await region.addGroup("other-group", 1);
                const tags = await region.tags(own);
                const ofVolume = tagEvent(Date.now(), own, [tagKey], tags);
                ofVolume.detail["resource-type"] = "volume";
                const batches = await stack.receive(
                    launched("other-group", foreign),
                    scalingEvent("detach-successful", Date.now(), "other-group", foreign),
                    departing(own, "pending"),
                    departing(own, "running"),
                    tagEvent(Date.now(), own, ["Name"], tags),
                    tagEvent(Date.now(), own, [sinceKey], tags),
                    ofVolume,
                    { ...launched(group, own), source: "another.source" },
                    sweepEvent(Date.now()),
                );
                expect(batches).to.deep.equal([]);
                expect(await region.tagged(tagKey)).to.deep.equal({});
            });

            it("changes nothing in a foreign group, whatever events name its leader", async () => {
                await region.addGroup(group, 2);
                const [foreign] = await region.addGroup("other-group", 2);
                await region.tag(foreign, { [tagKey]: "true", [sinceKey]: new Date().toISOString() });
                const before = await region.instances();
                const batches = await stack.receive(
                    await tagChanged(foreign),
                    departing(foreign, "stopping"),
                    spotEvent(Date.now(), foreign),
                );
                expect(batches, "one batch without an election").to.deep.equal([[]]);
                expect(await region.instances()).to.deep.equal(before);
            });

            it("leaves the tag of an instance in no group, if it has no since", async () => {
                const { Instances = [] } = await region.ec2.runInstances({
                    ImageId: "ami-12c6146b",
                    MinCount: 1,
                    MaxCount: 1,
                });
                const id = found(only(Instances).InstanceId);
                await region.tag(id, { [tagKey]: "true" });
                await stack.sweep();
                await stack.receive(await tagChanged(id));
                expect(await region.tags(id)).to.deep.equal({ [tagKey]: "true" });
            });

            it("changes nothing beside another stack with its own prefix and tag", async () => {
                const config = { asgPrefix: "web-", tagKey: "web:leader" };
                const other = await Stack.deploy(region, await runProgram({ config, stack: "web" }), "web");
                const members = await region.addGroup(group, 2);
                const otherMembers = await region.addGroup("web-shop", 2);
                await region.put(launched(group, members[1]));
                await region.put(launched("web-shop", otherMembers[1]));
                expect(await stack.pump()).to.have.length(1);
                expect(await region.tagged("web:leader")).to.deep.equal({});
                expect(await other.pump()).to.have.length(1);
                for (const one of [stack, other]) {
                    await one.sweep();
                    await one.receive(departing(members[0], "stopping"), departing(otherMembers[0], "stopping"));
                }
                expect(await region.tagged(tagKey)).to.deep.equal({ [group]: [members[1]] });
                expect(await region.tagged("web:leader")).to.deep.equal({ "web-shop": [otherMembers[1]] });
            });
        });

        describe("whatever a group is called", () => {
            const names = ["awseb-*", "awseb-?", "awseb-\\", "awseb-[ab]", "awseb-a b&c", "awseb-a"];

            it("elects in it, and in no other that its name would match as a pattern", async () => {
                for (const name of names) {
                    const [first] = await region.addGroup(name, 2);
                    await stack.receive(launched(name, first));
                    expect(await leaderOf(name)).to.equal(first);
                    expect(Object.keys(await region.tagged(tagKey))).to.have.members(
                        names.slice(0, names.indexOf(name) + 1),
                    );
                }
            });

            it("knows its leader again in a new container", async () => {
                const members = await Promise.all(names.map((name) => region.addGroup(name, 2)));
                await stack.sweep();
                const before = await region.instances();
                const newContainer = await Stack.deploy(region, program, "new");
                // moto takes an escaped backslash for two, and so can't show that group's leader.
                const shown = names.filter((name) => !name.includes("\\"));
                await newContainer.receive(
                    ...shown.map((name) => launched(name, firstOf(members[names.indexOf(name)] ?? []))),
                );
                expect(await region.instances()).to.deep.equal(before);
            });
        });
    });

withTool("moto_server", declareTests);
