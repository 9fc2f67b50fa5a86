// With handoverSeconds a successor comes only when its predecessor can have seen that it no longer leads, and no later.
import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch, Container } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import { detachesIn, type Evidence } from "./evidence";
import { writingOf } from "./only-ours";

/** A live leader was demoted, and no instance leads. */
interface Vacancy {
    id: string;
    at: number;
    by: unknown;
    events: object;
    /** It has not moved there since it was read: it was a leader there. */
    isSure: boolean;
}

/** Measures the pause before each promotion. */
export function handOver(evidence: Evidence, note: Note): Checker {
    const { electorates, expect, world } = evidence;
    const { region, timeline } = world;
    const { alone, handoverMillis, tagKey } = expect;
    const vacancies = new Map<string, Vacancy>();
    /** Batches that ended without an error. */
    const done = new WeakSet<object>();

    region.onEvent.push(({ source, detail }) => {
        // Once another instance leads, the next successor is not this one's.
        if (source === "aws.tag" && isTrue(detail.tags[tagKey]) && detail.tags[groupKey]) {
            vacancies.delete(electorates.nameOf(detail.tags[groupKey]));
        }
    });

    const lives = (id: string) => region.instances.has(id) && region.state(id) !== "terminated"; // while EC2 ends it, its work may go on
    const leads = (id: string) => isTrue(region.tags(id)[tagKey]) && lives(id);

    /** Where an instance leads if it has the tag, or led when it left, as a batch's events say. */
    const currentHome = (id: string, events: Batch["events"]): string | undefined => {
        const left = detachesIn(events).find((detach) => detach.id === id);
        const group: string | undefined = region.memberOf(id)?.group.name ?? region.tags(id)[groupKey] ?? left?.group;
        return group === undefined ? undefined : electorates.nameOf(group);
    };

    const noteVacancies = (call: Call, { events }: Batch) => {
        for (const id of call.input.Resources.filter(leads)) {
            const home = currentHome(id, events);
            const [seen] = evidence.sightsOf({ events }, id);
            const isSure = region.memberOf(id) === undefined || seen?.group !== undefined;
            const vacancy = { id, at: timeline.now, by: call.by, events, isSure };
            queueMicrotask(() => {
                if (home !== undefined && !leads(id) && !electorates.leaders(home).some(leads)) {
                    vacancies.set(home, vacancy);
                }
            });
        }
    };

    const checkPromotions = (call: Call, batch: Batch) => {
        const own = region.calls.filter(({ by, start }) => by === call.by && start >= batch.start - 3 * handoverMillis);
        const earlier = own.filter(({ end }) => end <= call.start);
        const waited = call.start - Math.max(batch.start, ...earlier.map(({ end }) => end));
        // What was tried before may be what it waits for, whether it was done or not.
        const demotions = own.filter(({ action }) => action === "ec2:DeleteTags");
        const demoted: string[] = demotions.flatMap(({ input }) => input.Resources);
        const needPause = new Set(demoted.map((id) => currentHome(id, batch.events)));
        for (const [home, { at }] of vacancies) {
            needPause.add(batch.start - at < handoverMillis ? home : undefined);
        }
        const isPause = handoverMillis > 0 && waited >= handoverMillis;
        const waitsForNothing = (home: string) =>
            isPause && !needPause.has(home) && evidence.isClear(call.by as Container, batch);
        for (const id of call.input.Resources) {
            const home = currentHome(id, []) ?? "";
            const where = `promotion of ${id} in ${home} at ${call.start}`;
            const vacancy = vacancies.get(home);
            const isKnown = vacancy?.isSure && (vacancy.by === call.by || !done.has(vacancy.events));
            if (alone && isKnown && call.start - vacancy.at < handoverMillis) {
                note("a hand-over takes its pause", `${where}: ${vacancy.id} was demoted alive at ${vacancy.at}`);
            } else if (waitsForNothing(home)) {
                note(
                    "no election waits for nothing",
                    `${where}: it waited for ${waited} ms, and none was demoted alive`,
                );
            }
        }
    };

    return {
        beforeCall: (call, batch) => {
            if (writingOf(call, tagKey) === "promotion") {
                checkPromotions(call, batch);
            } else if (call.action === "ec2:DeleteTags") {
                noteVacancies(call, batch);
            }
        },
        afterInvocation: ({ events, error }) => {
            if (!error) {
                done.add(events);
            }
        },
    };
}
