// Each way of losing a leader that no event reports: which instance leads after the next sweep, and that two never lead.
import { expect } from "chai";
import { noteChanges } from "../simulator/changes";
import { minute, second } from "../simulator/clock";
import { shop, tagKey } from "../simulator/names";
import { expectOneLeader, leadersOf, orphansOf, shopRule, watchedRule } from "../simulator/scenario";
import { waysToLose } from "./ways";

const promptly = second; // from a loss that an event reports
const sweptMillis = minute + second; // where only the sweep finds it

describe("Losing a leader", () => {
    describe("that only the sweep finds", () => {
        const others = ["has its tag copied to another instance", "was the only member"];
        for (const [what, lose] of Object.entries(waysToLose).filter(([way]) => !others.includes(way))) {
            shopRule(
                `when it ${what}, and no event ever comes, a member that is fit leads after the next sweep`,
                3,
                async (world) => {
                    const { timeline, stack, leader, others } = world;
                    stack.fate = () => [];
                    stack.sweeping = true;
                    lose(world, leader, others);
                    // Nothing shows a Spot warning before the interruption.
                    await timeline.pass(what.includes("Spot") ? 2 * minute + sweptMillis : sweptMillis);
                    const successor = expectOneLeader(world, what.includes("tag") ? [leader, ...others] : others);

                    await timeline.pass(10 * minute);
                    expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([successor]);
                },
                {},
                watchedRule,
            );
        }
    });

    watchedRule(
        "an arriving leader gives way within a second to the first member in service, and stays out",
        async (world) => {
            const { timeline, region, fleet, stack } = world;
            const changes = noteChanges(world, tagKey);
            fleet.addGroup(shop, 0);
            const slow = fleet.launch(shop, { hook: true });
            stack.sweep();
            await timeline.pass(promptly);
            expectOneLeader(world, [slow]);

            const quick = fleet.launch(shop);
            await timeline.pass(35 * second - 1);
            expectOneLeader(world, [slow]);
            await timeline.pass(promptly);
            expectOneLeader(world, [quick]);

            stack.sweeping = true;
            await timeline.pass(5 * minute);
            expect(region.memberOf(slow)?.member.lifecycleState).to.equal("InService");
            expectOneLeader(world, [quick]);
            expect(changes.filter(({ leads }) => leads)).to.have.length(2);
        },
    );
});
