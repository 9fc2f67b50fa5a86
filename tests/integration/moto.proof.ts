// The packaged function against moto_server: the real SDK, over HTTP, from the event bus to the tags. Part of `npm run proof`.
import { expect } from "chai";
import { scalingEvent, stateEvent, sweepEvent, tagEvent } from "../simulator/aws/events";
import { isoTime } from "../simulator/clock";
import { found, only } from "../simulator/lists";
import { sinceKey, tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import { runProgram } from "../simulator/stack/program";
import { withTool } from "../tools";
import { Moto, Stack } from "./moto";

const group = "awseb-e-shop";

const declareTests = () =>
    describe("The packaged function, over HTTP", () => {
        let region: Moto;
        let stack: Stack;

        before(async () => {
            region = await Moto.start();
        });

        after(() => region?.stop());

        beforeEach(async () => {
            await region.reset();
            stack = await Stack.deploy(region, await programWith());
        });

        const launched = (name: string, id: string) => scalingEvent("launch-successful", Date.now(), name, id);
        const departing = (id: string, state: string) => stateEvent(Date.now(), id, state);
        const tagChanged = async (id: string) => tagEvent(Date.now(), id, [tagKey], await region.tags(id));
        const since = async (id: string) => Date.parse((await region.tags(id))[sinceKey] ?? "");

        /** The one instance of the group that carries the leader tag, with its since. */
        async function leaderOf(name: string): Promise<string> {
            const leader = only((await region.tagged(tagKey))[name] ?? []);
            const { [tagKey]: value, [sinceKey]: since = "" } = await region.tags(leader);
            expect(value).to.equal("true");
            expect(since).to.equal(isoTime(Date.parse(since)));
            return leader;
        }

        /** A group of three with a leader and other fit members. */
        async function groupWithLeader(): Promise<{ leader: string; others: string[] }> {
            const members = await region.addGroup(group, 3);
            await stack.sweep();
            const leader = await leaderOf(group);
            return { leader, others: members.filter((id) => id !== leader) };
        }

        describe("on a sweep", () => {
            it("finds groups and leaders on every page of AWS's answers, and gives a foreign group none", async () => {
                const names = Array.from({ length: 110 }, (_, place) => `awseb-${place}`);
                for (const name of names) {
                    await region.addGroup(name, 1);
                }
                await region.addGroup("other-awseb-group", 2);
                await stack.sweep();
                expect(await region.tagged(tagKey)).to.have.all.keys(names);
                expect(await region.tagged(sinceKey)).to.deep.equal(await region.tagged(tagKey));
            });

            it("finds a detached leader without an event, and takes both tags off it", async () => {
                const { leader, others } = await groupWithLeader();
                const detached = { AutoScalingGroupName: group, InstanceIds: [leader] };
                await region.autoScaling.detachInstances({ ...detached, ShouldDecrementDesiredCapacity: true });
                await stack.sweep();
                expect(others).to.include(await leaderOf(group));
                expect(await region.tags(leader)).to.not.have.any.keys(tagKey, sinceKey);
            });
        });

        describe("when an event comes", () => {
            it("replaces a leader that stops, though its group still lists it as InService, and keeps its since as a record", async () => {
                const { leader, others } = await groupWithLeader();
                await region.ec2.stopInstances({ InstanceIds: [leader] });
                expect(await stack.receive(departing(leader, "stopping"))).to.have.length(1);
                const successor = await leaderOf(group);
                expect(others).to.include(successor);
                expect(await since(successor)).to.be.above(await since(leader));
                expect(await region.tags(leader)).to.not.have.any.keys(tagKey);
            });

            it("has another member that gets the tag with a later since lead", async () => {
                const { leader, others } = await groupWithLeader();
                const heir = found(others[0]);
                const later = isoTime((await since(leader)) + 60_000);
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

            it("changes nothing beside another stack with its own prefix and tag", async () => {
                const config = { asgPrefix: "web-", tagKey: "web:leader" };
                const other = await Stack.deploy(region, await runProgram({ config, stack: "web" }), "web");
                const [member] = await region.addGroup(group, 1);
                const [otherMember] = await region.addGroup("web-shop", 1);
                await region.put(launched(group, member), launched("web-shop", otherMember));
                expect(await stack.pump()).to.have.length(1);
                expect(await region.tagged("web:leader")).to.deep.equal({});
                expect(await other.pump()).to.have.length(1);
                for (const one of [stack, other]) {
                    await one.sweep();
                }
                expect(await region.tagged(tagKey)).to.deep.equal({ [group]: [member] });
                expect(await region.tagged("web:leader")).to.deep.equal({ "web-shop": [otherMember] });
            });
        });

        it("elects in a group whatever it is called, and in no other that its name would match as a pattern", async () => {
            const names = ["awseb-*", "awseb-?", "awseb-\\", "awseb-[ab]", "awseb-a b&c", "awseb-a"];
            for (const [place, name] of names.entries()) {
                const [first] = await region.addGroup(name, 2);
                await stack.receive(launched(name, first));
                expect(await leaderOf(name)).to.equal(first);
                expect(await region.tagged(tagKey)).to.have.all.keys(names.slice(0, place + 1));
            }
        });
    });

withTool("moto_server", declareTests);
