// Whatever events come, in any order, doubled, late or never, each group ends up with one leader, and then nothing is written.
import { createHash } from "node:crypto";
import { expect } from "chai";
import type { BusEvent } from "../simulator/aws/events";
import { writesIn } from "../simulator/changes";
import { only } from "../simulator/lists";
import { leadersOf, minute, rule, shop, tagKey } from "../simulator/scenario";
import type { World } from "../simulator/world";

describe("A group ends up as the table says, with events that", () => {
    /** From 0 to 1, as if at random, but the same in every run. */
    const draw = ({ time, detail }: BusEvent) =>
        createHash("sha256")
            .update(time + JSON.stringify(detail))
            .digest()
            .readUInt8() / 255;
    const fates: [how: string, fate: World["stack"]["fate"] | undefined, lag: number][] = [
        ["come in time", undefined, 0],
        ["come in time, while EC2's reads lag", undefined, 5000],
        ["never come", () => [], 0],
        ["come three times", () => [300, 400, 2500], 0],
        ["come late", () => [90_000], 0],
        ["come in any order", (event) => [300 + 30_000 * draw(event)], 0],
        [
            "come sometimes, or doubled, while EC2's reads lag",
            (event) => (draw(event) < 0.5 ? [] : [300, 40_000]),
            5000,
        ],
    ];

    async function live({ fleet, timeline }: World, group: string): Promise<void> {
        const happenings: ((first: string, second: string) => void)[] = [
            () => fleet.scale(group, 4, { hook: true }),
            (first) => fleet.crash(first),
            (first) => fleet.becomeUnhealthy(first),
            (first, second) => {
                fleet.enterStandby(first);
                fleet.enterStandby(second);
            },
            (first, second) => {
                fleet.exitStandby(first);
                fleet.exitStandby(second);
            },
            () => fleet.scale(group, 0, { hook: true }),
            () => fleet.failLaunch(group, true),
            () => fleet.scale(group, 3),
            (first) => fleet.detach(first),
            (_, second) => fleet.warn(second),
            (first) => fleet.stop(first),
        ];
        for (const happening of happenings) {
            happening(fleet.members(group)[0] ?? "", fleet.members(group)[1] ?? "");
            await timeline.pass(50_000);
        }
    }

    function expectRest(world: World): void {
        const { region } = world;
        const leader = only(leadersOf(world));
        expect(region.memberOf(leader)?.member).to.include({
            lifecycleState: "InService",
            healthStatus: "Healthy",
        });
        expect(region.state(leader)).to.equal("running");
        const live = [...region.instances.keys()].filter((id) => !/shutting|terminated/.test(region.state(id)));
        expect(live.filter((id) => region.tags(id)[tagKey] !== undefined)).to.deep.equal([leader]);
    }

    for (const [how, fate, lag] of fates) {
        rule(how, async (world) => {
            const { fleet, stack, timeline, region } = world;
            fleet.addGroup(shop, 2);
            stack.fate = fate ?? stack.fate;
            stack.sweeping = true;
            region.lag = () => lag;
            await live(world, shop);
            await timeline.pass(6 * minute);
            expectRest(world);
            const before = writesIn(world.region.calls).length;
            await timeline.pass(3 * minute);
            expect(writesIn(world.region.calls)).to.have.length(before);
        });
    }
});
