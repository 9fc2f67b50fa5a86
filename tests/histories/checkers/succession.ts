// Each promotion and each demotion has its reason in what there was to be seen.
import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch, Container } from "../../simulator/clock";
import { isOurs } from "../../simulator/electorates";
import { firstOf } from "../../simulator/lists";
import type { Checker, Note } from "./checker";
import { detachesIn, type Evidence } from "./evidence";
import {
    isAlive,
    isBarred,
    isFitSight,
    isListedArriving,
    isReady,
    isVetoed,
    leadsIn,
    rankOfSight,
    type Sight,
    sinceIn,
} from "./model";
import { writingOf } from "./only-ours";

/** A promoted instance may lead, and no better one was there; a tag is given back to the leader that may stay. */
export function promotions(evidence: Evidence, note: Note): Checker {
    return {
        beforeCall: (call, batch) => {
            const writing = writingOf(call, evidence.expect.tagKey);
            for (const id of writing === undefined ? [] : (call.input.Resources as string[])) {
                if (writing === "promotion") {
                    checkCandidate(evidence, note, id, batch);
                    checkPromotion(evidence, note, id, call, batch);
                } else if (writing === "giving back") {
                    checkGivingBack(evidence, note, id, call, batch);
                } else if (writing === "adoption") {
                    checkAdoption(evidence, note, id, call, batch);
                }
            }
        },
    };
}

function checkCandidate(evidence: Evidence, note: Note, id: string, batch: Batch): void {
    const { exact, tagKey } = evidence.expect;
    const sights = evidence.sightsOf(batch, id);
    const fails = (how: string) => note("only a member that may lead is promoted", `${id} ${how}`);
    if (!sights.some(({ group }) => isOurs(evidence.expect, group))) {
        note("no other groups are touched", `promotion of ${id}, which no group of the stack lists`);
    }
    if (!sights.some((sight) => isReady(sight) || isListedArriving(sight))) {
        fails("is neither in service nor arriving");
    }
    if (exact && !sights.some(({ state }) => ["pending", "running"].includes(state))) {
        fails(`is ${sights[0]?.state}`);
    }
    if (exact && sights.length > 0 && sights.every((sight) => isVetoed(sight, tagKey))) {
        fails("is vetoed");
    }
}

/** The leader that row 3 would have kept gets its tag back, after it lost it in the same election. */
function checkGivingBack(evidence: Evidence, note: Note, id: string, { by }: Call, batch: Batch): void {
    const { tagKey } = evidence.expect;
    const fails = (how: string) => note("only a leader that may stay gets its tag back", `${id} ${how}`);
    if (
        !evidence.writes.some((write) => write.id === id && write.by === by && !write.leads && write.at >= batch.start)
    ) {
        fails("was not demoted in this election");
    }
    const sights = evidence.sightsOf(batch, id);
    if (sights.length > 0 && sights.every((sight) => isBarred(sight, tagKey))) {
        fails("is barred");
    }
}

/** A sweep gives a fit leader a `since` if it has none that counts. */
function checkAdoption(evidence: Evidence, note: Note, id: string, { by }: Call, batch: Batch): void {
    const { tagKey } = evidence.expect;
    if (!evidence.isClear(by as Container, batch)) {
        return;
    }
    const fails = (how: string) => note("only a fit leader without a since gets one", `${id} ${how}`);
    const sights = evidence.sightsOf(batch, id);
    if (!sights.some(({ tags }) => isTrue(tags[tagKey]))) {
        fails("does not lead");
    } else if (!sights.some((sight) => isFitSight(sight, tagKey))) {
        fails("is not fit");
    } else if (sights.every(({ tags }) => sinceIn(tags, tagKey, batch.start) > 0)) {
        fails("has one");
    }
    if (!batch.events.some((event) => event["detail-type"] === "Scheduled Event")) {
        fails("was not swept");
    }
}

function checkPromotion(evidence: Evidence, note: Note, id: string, call: Call, batch: Batch): void {
    const { tagKey } = evidence.expect;
    const by = call.by as Container;
    const views = evidence.viewsOf(batch);
    const sights = evidence.sightsOf(batch, id);
    const [home] = sights.flatMap(({ electorate }) => electorate ?? []);
    if (home === undefined || !evidence.isClear(by, batch)) {
        return;
    }
    const knowledge = evidence.knowledge(by, batch, true);
    const { warned, avoided, launched } = knowledge;
    const always = (holds: (sight: Sight) => boolean) => (other: string) =>
        views.every((view) => {
            const sight = view.get(other);
            return sight !== undefined && sight.electorate === home && holds(sight);
        });
    const leads = leadsIn(home, tagKey);
    const everyone = [...firstOf(views).keys()];
    const others = everyone.filter((other) => other !== id && !warned.has(other));
    const isFitHere = (sight: Sight) => isFitSight(sight, tagKey);
    const where = `promotion of ${id} in ${home}`;

    const reigning = others.filter(always((sight) => isFitHere(sight) && leads(sight)));
    if (reigning.length > 0) {
        note("a fit leader stays", `${where}: ${reigning.join(", ")} leads, and is fit`);
    }
    if (sights.every(leads)) {
        note("an instance that leads is not promoted again", `${where}: it led already`);
    }
    const canBeTagged = (other: string) => !evidence.refuses(other) && !avoided.has(other);
    const isCandidate = (sight: Sight) => isFitHere(sight) && !leads(sight);
    const electable = others.filter((other) => always(isCandidate)(other) && canBeTagged(other));
    if (!sights.some(isReady)) {
        const staying = everyone.filter(always((sight) => leads(sight) && !isBarred(sight, tagKey)));
        const [better] = [...electable, ...staying];
        if (better) {
            note("only a member that may lead is promoted", `${where}: it is only arriving, and ${better} is there`);
        }
        return;
    }
    const rankOf = (other: string) =>
        Math.min(...views.map((view) => rankOfSight(view.get(other) as Sight, launched.has(other))));
    const better = electable.filter((other) => rankOf(other) < rankOf(id));
    if (better.length > 0) {
        note("the successor is healthy and idle", `${where}: it was preferred to ${better.join(", ")}`);
    }
}

/** A demoted leader was unfit and had a successor, or there was a later one; or it was in no group any more. */
export function demotions(evidence: Evidence, note: Note): Checker {
    return {
        beforeCall: (call, batch) => {
            if (call.action === "ec2:DeleteTags" && evidence.isClear(call.by as Container, batch)) {
                for (const id of call.input.Resources) {
                    checkDemotion(evidence, note, id, call, batch);
                }
            }
        },
    };
}

function checkDemotion(evidence: Evidence, note: Note, id: string, call: Call, batch: Batch): void {
    const { tagKey } = evidence.expect;
    const sinceKey = `${tagKey}:since`;
    const views = evidence.viewsOf(batch);
    const sights = evidence.sightsOf(batch, id);
    const by = call.by as Container;
    const { warned } = evidence.knowledge(by, batch, true);
    const where = `demotion of ${id}`;
    if (!sights.some(({ tags }) => isTrue(tags[tagKey]))) {
        note("only a leader is demoted", `${where}: it has no leader tag`);
    }
    if (sights.some(({ tags, group }) => tags[groupKey] === undefined && group === undefined)) {
        const detached = detachesIn(batch.events).some((detach) => detach.id === id);
        if (!detached && !sights.some(({ tags }) => tags[sinceKey] !== undefined)) {
            note("only a leader is demoted", `${where}: it is in no group, and was not elected`);
        }
        return;
    }
    if (sights.some((sight) => isBarred(sight, tagKey))) {
        return;
    }
    const home = sights[0]?.home;
    const others = [...(views[0]?.keys() ?? [])].filter((other) => other !== id);
    const once = (other: string, holds: (sight: Sight) => boolean) =>
        views.some((view) => view.has(other) && holds(view.get(other) as Sight));
    const leads = leadsIn(home, tagKey);
    const fitHere = (sight: Sight) => isFitSight(sight, tagKey) && sight.electorate === home;
    const fitThroughout = sights.every(fitHere) && !warned.has(id);
    const isLater = (other: string) =>
        views.some((view) => {
            const sinceThere = (one: string) => sinceIn(view.get(one)?.tags ?? {}, tagKey, call.start);
            const [mine, theirs] = [sinceThere(id), sinceThere(other)];
            return theirs > mine || (theirs === mine && other < id);
        });
    const rivals = others.filter((other) => once(other, (sight) => leads(sight) && fitHere(sight)));
    if (fitThroughout && !rivals.some(isLater)) {
        note("a fit leader stays", `${where} of ${home}: no other came later`);
    }
    const successors = others.filter((other) => once(other, (s) => (leads(s) && isAlive(s)) || fitHere(s)));
    if (!fitThroughout && successors.length === 0) {
        note("a leader stays while no other member is fit", `${where} of ${home}`);
    }
}
