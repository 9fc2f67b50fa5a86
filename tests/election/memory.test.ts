// Memory: what a container wrote itself counts before what EC2 answers, and gives way to what is newer.
import { expect } from "chai";
import { spotEvent, stateEvent, tagEvent } from "../simulator/aws/events";
import { groupKey } from "../simulator/aws/region";
import { countLeaders, writesIn } from "../simulator/changes";
import { atFive, minute, second, start } from "../simulator/clock";
import { found, only } from "../simulator/lists";
import { addMembers, formerly, leading, standby, untag } from "../simulator/members";
import { a, b, c, shop, sinceKey, tagKey } from "../simulator/names";
import { eventOf, leadersOf, quietRule, receive, rule, sweep } from "../simulator/scenario";

describe("An election", () => {
    describe("while EC2's reads lag", () => {
        const lagging = 20_000;

        quietRule("counts its own promotion as read", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            world.region.lag = () => lagging;
            const { leader } = only(await sweep(world));
            await receive(world, eventOf(world, "launch-successful", a));
            await receive(world, eventOf(world, "launch-successful", b));
            expect(leadersOf(world)).to.deep.equal([leader]);
            expect(writesIn(world.region.calls)).to.have.length(1);
        });

        quietRule("counts its own demotion as read", async (world) => {
            addMembers(world, { [a]: leading(atFive, standby), [b]: {} });
            world.region.lag = () => lagging;
            await sweep(world);
            world.region.setMember(a, { lifecycleState: "InService" });
            const report = only(await receive(world, eventOf(world, "launch-successful", a)));
            expect(report.leaders).to.deep.equal([b]);
            expect(leadersOf(world)).to.deep.equal([b]);
            expect(writesIn(world.region.calls)).to.have.length(2);
        });

        rule("elects again after 30 seconds if no event reports that its leader has lost the tag", async (world) => {
            addMembers(world, { [a]: {}, [b]: {} });
            const { leader } = only(await sweep(world));
            world.stack.fate = () => [];
            untag(world, found(leader));
            await world.timeline.pass(20_000);
            expect(only(await sweep(world))).to.include({ outcome: "kept", leader });
            expect(leadersOf(world)).to.deep.equal([]);
            await world.timeline.pass(11_000);
            await sweep(world);
            expect(leadersOf(world)).to.have.length(1);
        });

        rule("is not misled by a tag event from before its promotion", async (world) => {
            addMembers(world, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            world.stack.send(tagEvent(start - 5000, a, [tagKey], { [groupKey]: shop }));
            await world.stack.settle();
            expect(leadersOf(world)).to.deep.equal([a]);
            expect(writesIn(world.region.calls)).to.have.length(1);
        });
    });

    describe("while memory may be wrong", () => {
        const lagging = 5000;

        quietRule("demotes an instance again that got the tag back after its demotion", async (world) => {
            addMembers(world, { [a]: leading(atFive, standby), [b]: {}, [c]: {} });
            const { leader } = only(await sweep(world));
            world.region.setTags(a, { [tagKey]: "true", [sinceKey]: atFive });
            world.region.setState(found(leader), "terminated");
            const counts = countLeaders(world);
            await sweep(world);
            expect(leadersOf(world)).to.have.length(1).and.to.not.include(a);
            expect(counts.at(-1)).to.equal(1);
            expect(Math.max(...counts), "most leaders after a write").to.equal(1);
        });

        quietRule("demotes no leader that a read shows for one that memory alone shows", async (world) => {
            addMembers(world, { [a]: {}, [b]: {}, [c]: {} });
            const { leader } = only(await sweep(world));
            const other = leader === a ? b : a;
            // An operator moves the tag, with an older since, and no event comes.
            untag(world, found(leader));
            world.region.setTags(other, { [tagKey]: "true", [sinceKey]: atFive });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([other]);
            await world.timeline.pass(minute);
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([other]);
        });

        rule(
            "replaces a leader at once that an event reports as ending, while reads call it running",
            async (world) => {
                for (const [index, state] of ["shutting-down", "stopping"].entries()) {
                    const [leader, other] = [`i-${index}1`, `i-${index}2`];
                    const group = `awseb-${index}`;
                    addMembers(world, { [leader]: leading(atFive), [other]: {} }, group);
                    await world.timeline.pass(10 * second);
                    world.region.lag = () => lagging;
                    world.region.setState(leader, state);
                    await receive(world, stateEvent(world.timeline.now, leader, state));
                    expect(leadersOf(world, group), state).to.deep.equal([other]);
                }
            },
        );

        rule("replaces a leader that ends before EC2 shows that it was promoted", async (world) => {
            addMembers(world, { [a]: { load: 10 }, [b]: { load: 30 } });
            world.region.lag = () => lagging;
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
            world.region.setState(a, "shutting-down");
            await receive(world, stateEvent(world.timeline.now, a, "shutting-down"));
            expect(leadersOf(world)).to.deep.equal([b]);
        });

        rule("replaces a leader that ends, though only the first of two reads shows its tag", async (world) => {
            addMembers(world, { [a]: { load: 10, ...formerly(atFive) }, [b]: { load: 30 } });
            await sweep(world);
            expect(leadersOf(world)).to.deep.equal([a]);
            world.stack.loseContainer();
            world.region.setState(a, "shutting-down");
            const lags = [0];
            world.region.lag = () => lags.shift() ?? lagging;
            await receive(world, stateEvent(world.timeline.now, a, "shutting-down"));
            expect(leadersOf(world)).to.deep.equal([b]);
        });

        for (const source of ["an event", "a read"]) {
            rule(`never chooses an instance that ${source} called shutting down within the hour`, async (world) => {
                const { region, timeline } = world;
                addMembers(world, { [a]: leading(atFive), [b]: {} });
                const events = ["shutting-down", "stopping"].map((state) => stateEvent(timeline.now, a, state));
                region.setState(a, source === "a read" ? "shutting-down" : "running");
                await (source === "a read" ? sweep(world) : receive(world, ...events));
                expect(leadersOf(world)).to.deep.equal([b]);
                region.setState(a, "running"); // as reads that lag may call it
                await timeline.pass(58 * minute);
                region.setMember(b, standby);
                expect(only(await sweep(world))).to.include({ outcome: "kept", leader: b });
                expect(leadersOf(world)).to.deep.equal([b]);
            });
        }

        rule(
            "takes a read that a leader is shutting down for newer than an event that it is stopping",
            async (world) => {
                addMembers(world, { [a]: leading(atFive), [b]: standby });
                world.region.setState(a, "shutting-down");
                await receive(world, stateEvent(world.timeline.now, a, "stopping"));
                expect(world.region.tags(a)[tagKey], "a leader that may stay, if it were stopping").to.equal(undefined);
            },
        );

        rule("takes a stopping event for a fact for ten seconds, of leaders and candidates", async (world) => {
            addMembers(world, { [a]: leading(atFive, { load: 1 }), [b]: { load: 50 }, [c]: { load: 99 } });
            await receive(world, stateEvent(world.timeline.now - 11 * second, a, "stopping"));
            expect(leadersOf(world), "after eleven seconds").to.deep.equal([a]);
            await receive(world, stateEvent(world.timeline.now - 6 * second, a, "stopping"));
            expect(leadersOf(world), "after six seconds").to.deep.equal([b]);
            world.region.setMember(b, standby);
            expect(only(await sweep(world)).leader).to.equal(c);
        });
    });

    describe("of a Spot warning", () => {
        rule("lasts three minutes: no later election chooses that instance", async (world) => {
            const { region, timeline } = world;
            addMembers(world, { [a]: leading(atFive), [b]: { load: 1 }, [c]: { load: 99 } });
            await receive(world, spotEvent(timeline.now, a));
            expect(leadersOf(world)).to.deep.equal([b]);
            await timeline.pass(20 * second);
            await receive(world, spotEvent(timeline.now, b));
            expect(leadersOf(world)).to.deep.equal([c]);
            await timeline.pass(minute);
            region.setMember(c, standby);
            await sweep(world);
            expect(leadersOf(world), "none of the warned ones").to.deep.equal([c]);
        });

        rule("is none when it is older than three minutes", async (world) => {
            addMembers(world, { [a]: leading(atFive), [b]: {} });
            await receive(world, spotEvent(world.timeline.now - 3 * minute - second, a));
            expect(leadersOf(world)).to.deep.equal([a]);
        });
    });
});
