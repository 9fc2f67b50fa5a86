// A leader that is lost without any event: a member that is fit leads after the next sweep, and two never lead.
import { expect } from "chai";
import { minute, second } from "../simulator/clock";
import { expectOneLeader, leadersOf, orphansOf, type Shop, shopRule, watchedRule } from "../simulator/scenario";
import { waysToLose } from "./ways";

const sweptMillis = minute + second; // a loss is found by the next sweep

describe("A leader that is lost, though no event ever comes, has a fit successor after the next sweep", () => {
    const others = ["has its tag copied to another instance", "was the only member"];
    for (const [what, lose] of Object.entries(waysToLose).filter(([way]) => !others.includes(way))) {
        const swept = async (world: Shop) => {
            const { timeline, stack, leader, others } = world;
            stack.fate = () => [];
            stack.sweeping = true;
            lose(world, leader, others);
            // Nothing shows a Spot warning before the interruption.
            await timeline.pass(what.includes("Spot") ? 2 * minute + sweptMillis : sweptMillis);
            const successor = expectOneLeader(world, what.includes("tag") ? [leader, ...others] : others);

            await timeline.pass(10 * minute);
            expect([...leadersOf(world), ...orphansOf(world)]).to.deep.equal([successor]);
        };
        shopRule(`when it ${what}`, 3, swept, {}, watchedRule);
    }
});
