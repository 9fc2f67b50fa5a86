import type { Call } from "../../simulator/aws/faults";
import { isTrue } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import { Electorates } from "../../simulator/electorates";
import type { Invocation } from "../../simulator/stack/deployment";
import type { World } from "../../simulator/world";
import { type Expectations, rememberedMillis } from "../expectations";

const keeping = ["InService", "EnteringStandby", "Standby"];

/** Notes leaders that are not protected from scaling in as they should be, and others whose protection was meddled with. */
export class ProtectionReferee {
    private readonly electorates: Electorates;
    /** Who was demoted in a batch. */
    private readonly demoted = new WeakMap<object, Set<string>>();
    /** Batches in which protection has been set. */
    private readonly begun = new WeakSet<object>();

    constructor(
        private readonly world: World,
        private readonly expect: Expectations,
        private readonly note: (violation: string) => void,
    ) {
        this.electorates = new Electorates(world.region, expect);
        world.region.afterWrite.push((call) => call.by?.batch && this.judgeWrite(call, call.by.batch));
    }

    /** Judges what an undisturbed invocation left behind. */
    judgeElection({ events, reports }: Pick<Invocation, "events" | "reports">): void {
        if (!this.expect.protectLeader) {
            return;
        }
        const swept = events.some((event) => event["detail-type"] === "Scheduled Event");
        for (const { group, outcome, leader, demoted } of reports) {
            if (leader !== undefined && (outcome === "elected" || swept) && this.lacks(leader)) {
                this.note(`${group}: ${leader} leads, is in service, and is not protected`);
            }
            for (const id of demoted.filter((one) => this.isProtected(one))) {
                this.note(`${group}: ${id} was demoted, and is still protected`);
            }
        }
    }

    /** Judges who leads an electorate, or a group on its own, after a sweep. */
    judgeRest(home: string): void {
        const unprotected = this.electorates.leaders(home).filter((id) => this.lacks(id));
        if (this.expect.protectLeader && unprotected.length > 0) {
            this.note(`${home} at rest: ${unprotected} is not protected`);
        }
    }

    private judgeWrite({ action, input }: Call, { start, events }: Batch): void {
        const { timeline } = this.world;
        if (action !== "autoscaling:SetInstanceProtection") {
            if (this.begun.has(events)) {
                this.note(`${action} at ${timeline.now} came after protection was set`);
            }
            const demoted = this.demoted.get(events) ?? new Set();
            this.demoted.set(events, demoted);
            for (const id of action === "ec2:DeleteTags" ? input.Resources : []) {
                demoted.add(id);
            }
            return;
        }
        this.begun.add(events);
        if (!this.expect.protectLeader) {
            this.note("protection was set, though the setting is off");
        }
        for (const id of input.InstanceIds as string[]) {
            const on: boolean = input.ProtectedFromScaleIn;
            if (on ? !this.ledSince(id, start) : !this.demoted.get(events)?.has(id)) {
                const what = on ? "protected, and does not lead" : "laid bare, and not demoted";
                this.note(`${id} at ${timeline.now} was ${what}`);
            }
        }
    }

    /** Whether an instance leads, or can be remembered to lead. */
    private ledSince(id: string, start: number): boolean {
        const remembered = start - rememberedMillis - this.expect.handoverMillis;
        const { versions } = this.world.region.instance(id);
        return versions.some(
            ({ tags }, place) => isTrue(tags[this.expect.tagKey]) && (versions[place + 1]?.at ?? start) >= remembered,
        );
    }

    private lacks(id: string): boolean {
        const member = this.world.region.memberOf(id)?.member;
        return member?.lifecycleState === "InService" && !member.protected;
    }

    private isProtected(id: string): boolean {
        const member = this.world.region.memberOf(id)?.member;
        return member !== undefined && keeping.includes(member.lifecycleState) && member.protected;
    }
}
