import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import { Electorates } from "../../simulator/electorates";
import type { World } from "../../simulator/world";
import { type Expectations, mostLagMillis } from "../expectations";

/** A live leader was demoted, and nobody leads. */
interface Vacancy {
    id: string;
    at: number;
    by: unknown;
    events: object;
}

/** Notes a successor that comes before its predecessor can have seen that it no longer leads, and who waits for nothing. */
export class PauseReferee {
    private readonly electorates: Electorates;
    private readonly vacancies = new Map<string, Vacancy>();
    /** Batches of which the queue was told that they were done. */
    private readonly done = new WeakSet<object>();
    private electoratesChangedAt = Number.NEGATIVE_INFINITY;

    constructor(
        private readonly world: World,
        private readonly expect: Expectations,
        private readonly note: (violation: string) => void,
    ) {
        const { region, stack } = world;
        this.electorates = new Electorates(region, expect);
        region.beforeCall.push((call) => {
            if (call.by?.batch && call.action === "ec2:CreateTags") {
                this.judgePromotions(call, call.by.batch);
            } else if (call.by?.batch && call.action === "ec2:DeleteTags") {
                this.expectDemotions(call, call.by.batch);
            }
        });
        stack.onInvocation.push(({ events, error }) => !error && this.done.add(events));
        region.onEvent.push(({ source, detail }) => {
            // Whoever leads now, the next successor is not this one's.
            if (source === "aws.tag" && isTrue(detail.tags[expect.tagKey]) && detail.tags[groupKey]) {
                this.vacancies.delete(this.electorates.nameOf(detail.tags[groupKey]));
            }
        });
    }

    /** Groups belong together in another way: who came after whom can't be told for a while. */
    changeElectorates(): void {
        this.vacancies.clear();
        this.electoratesChangedAt = this.world.timeline.now;
    }

    private expectDemotions(call: Call, { events, start }: Batch): void {
        const { region, timeline } = this.world;
        const leads = (id: string) => isTrue(region.tags(id)[this.expect.tagKey]) && this.isAlive(id);
        // Who joins a group while it is taken for a stray is nobody's predecessor there.
        const joins = (id: string) => {
            const seen = region.instance(id).versions.findLast(({ at }) => at <= start - mostLagMillis);
            const group = region.tags(id)[groupKey];
            return group !== undefined && group !== seen?.tags[groupKey];
        };
        for (const id of call.input.Resources.filter((one: string) => leads(one) && !joins(one))) {
            const home = this.currentHome(id, events);
            const vacancy = { id, at: timeline.now, by: call.by, events };
            queueMicrotask(() => {
                if (home !== undefined && !leads(id) && this.electorates.leaders(home).length === 0) {
                    this.vacancies.set(home, vacancy);
                }
            });
        }
    }

    private judgePromotions(call: Call, batch: Batch): void {
        const { region } = this.world;
        const { alone, handoverMillis } = this.expect;
        if (this.electoratesChangedAt > batch.start - mostLagMillis) {
            return;
        }
        const own = region.calls.filter(({ by, start }) => by === call.by && start >= batch.start - 3 * handoverMillis);
        const earlier = own.filter(({ end }) => end <= call.start);
        const waited = call.start - Math.max(batch.start, ...earlier.map(({ end }) => end));
        // What was tried before may be what it waits for, whether it was done or not.
        const demotions = own.filter(({ action }) => action === "ec2:DeleteTags");
        const demoted: string[] = demotions.flatMap(({ input }) => input.Resources);
        const needPause = new Set(demoted.flatMap((id) => this.allHomes(id)));
        const remembers = demotions.some(({ start }) => start < batch.start);
        const waitsForNothing = (id: string) =>
            handoverMillis > 0 &&
            waited >= handoverMillis &&
            !remembers &&
            !this.allHomes(id).some((home) => needPause.has(home));
        for (const id of call.input.Resources) {
            const home = this.currentHome(id, []) ?? "";
            const where = `promotion of ${id} in ${home} at ${call.start}`;
            const vacancy = this.vacancies.get(home);
            if (vacancy) {
                const known = vacancy.by === call.by || !this.done.has(vacancy.events);
                const isDue = known && vacancy.id !== id && this.isAlive(vacancy.id);
                if (alone && isDue && call.start - vacancy.at < handoverMillis) {
                    this.note(`${where}: ${vacancy.id} was alive, and demoted at ${vacancy.at}`);
                }
            } else if (waitsForNothing(id)) {
                this.note(`${where}: it waited for ${waited} ms, though nobody alive was demoted`);
            }
        }
    }

    /** Whose leader an instance is if it has the tag, or was when it left, as a batch's events say. */
    private currentHome(id: string, events: Batch["events"]): string | undefined {
        const { region } = this.world;
        const left = events.find(
            (event) => event["detail-type"] === "EC2 Instance Detach Successful" && event.detail.EC2InstanceId === id,
        );
        const group: string | undefined =
            region.memberOf(id)?.group.name ?? region.tags(id)[groupKey] ?? left?.detail.AutoScalingGroupName;
        return group === undefined ? undefined : this.electorates.nameOf(group);
    }

    /** Whose leader it can be taken for, now or by whoever sees what was. */
    private allHomes(id: string): string[] {
        const groups = this.world.region.instance(id).versions.flatMap(({ tags }) => tags[groupKey] ?? []);
        return groups.map((group) => this.electorates.nameOf(group));
    }

    private isAlive(id: string): boolean {
        return !["shutting-down", "terminated"].includes(this.world.region.state(id));
    }
}
