// Each promotion and each demotion has its reason in what there was to be seen.
import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue } from "../../simulator/aws/region";
import type { Batch } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import {
    isAlive,
    isFitSight,
    isListedArriving,
    isReady,
    leadsIn,
    rankOfSight,
    type Sight,
    sinceIn,
    warnedIn,
} from "./model";

const mostRanked = 10;

/** A promoted instance may lead, and no better one was there. */
export function promotions(evidence: Evidence, note: Note): Checker {
    return {
        beforeCall: (call, batch) => {
            for (const id of call.action === "ec2:CreateTags" ? (call.input.Resources as string[]) : []) {
                checkCandidate(evidence, note, id, batch);
                checkPromotion(evidence, note, id, call, batch);
            }
        },
    };
}

function checkCandidate(evidence: Evidence, note: Note, id: string, batch: Batch): void {
    const { asgPrefix, exact } = evidence.expect;
    const sights = evidence.sightsOf(batch, id);
    const fails = (how: string) => note("only a member that may lead is promoted", `${id} ${how}`);
    if (!sights.some(({ group }) => group?.startsWith(asgPrefix))) {
        note("no other groups are touched", `promotion of ${id}, which no group of the stack lists`);
    }
    if (!sights.some((sight) => isReady(sight) || isListedArriving(sight))) {
        fails("is neither in service nor arriving");
    }
    if (exact && !sights.some(({ state }) => ["pending", "running"].includes(state))) {
        fails(`is ${sights[0]?.state}`);
    }
}

function checkPromotion(evidence: Evidence, note: Note, id: string, call: Call, batch: Batch): void {
    const { tagKey, refused, exact } = evidence.expect;
    const views = evidence.viewsOf(batch);
    const sights = evidence.sightsOf(batch, id);
    const homes = new Set(sights.flatMap(({ electorate }) => electorate ?? []));
    if (!exact || homes.size !== 1) {
        return;
    }
    const [home] = homes;
    const warned = warnedIn(batch.events);
    const remembered = evidence.remembered(call.by, batch.start).filter((write) => write.since === undefined);
    const demoted = new Set(remembered.map((write) => write.id));
    const always = (holds: (sight: Sight) => boolean) => (other: string) =>
        views.every((view) => {
            const sight = view.get(other);
            return sight !== undefined && sight.electorate === home && holds(sight);
        });
    const leads = leadsIn(home, tagKey);
    const everyone = [...views[0].keys()];
    const others = everyone.filter((other) => other !== id && !warned.has(other));
    const where = `promotion of ${id} in ${home}`;

    const reigning = others.filter(always((sight) => isFitSight(sight) && leads(sight)));
    if (reigning.some((other) => !demoted.has(other))) {
        note("a fit leader stays", `${where}: ${reigning.join(", ")} leads, and is fit`);
    }
    if (evidence.isDisturbed(batch)) {
        return;
    }
    if (sights.every(leads) && !demoted.has(id)) {
        note("an instance that leads is not promoted again", `${where}: it led already`);
    }
    const electable = others.filter((other) => always(isFitSight)(other) && !refused.has(other));
    if (!sights.some(isReady)) {
        const alive = everyone.filter(always((sight) => leads(sight) && isAlive(sight)));
        const better = [...electable, ...alive].find((other) => !demoted.has(other));
        if (better) {
            note("only a member that may lead is promoted", `${where}: it is only arriving, and ${better} is there`);
        }
        return;
    }
    const launched = batch.events.some(({ detail }) => detail.EC2InstanceId === id);
    const rank = Math.min(...sights.map(rankOfSight));
    const better = electable.filter((other) => views.every((view) => rankOfSight(view.get(other) as Sight) < rank));
    const unranked = Math.max(0, others.length + 1 - mostRanked);
    if (!launched && !refused.has(id) && better.length > unranked) {
        note("the successor is healthy and idle", `${where}: it was preferred to ${better.join(", ")}`);
    }
}

/** A demoted leader was unfit and had a successor, or there was a later one; or it was in no group any more. */
export function demotions(evidence: Evidence, note: Note): Checker {
    return {
        beforeCall: (call, batch) => {
            if (call.action === "ec2:DeleteTags" && evidence.expect.exact) {
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
    const memory = evidence.remembered(call.by, batch.start);
    const promoted = memory.filter((write) => write.since !== undefined).map((write) => write.id);
    const where = `demotion of ${id}`;
    if (!sights.some(({ tags }) => isTrue(tags[tagKey])) && !promoted.includes(id)) {
        note("only a leader is demoted", `${where}: it has no leader tag`);
    }
    if (sights.some(({ tags, group }) => tags[groupKey] === undefined && group === undefined)) {
        if (!sights.some(({ tags }) => tags[sinceKey] !== undefined) && !promoted.includes(id)) {
            note("only a leader is demoted", `${where}: it is in no group, and was not elected`);
        }
        return;
    }
    const home = sights[0]?.home;
    const warned = warnedIn(batch.events);
    const others = [...(views[0]?.keys() ?? [])].filter((other) => other !== id);
    const once = (other: string, holds: (sight: Sight) => boolean) =>
        promoted.includes(other) || views.some((view) => view.has(other) && holds(view.get(other) as Sight));
    const leads = leadsIn(home, tagKey);
    const fitHere = (sight: Sight) => isFitSight(sight) && sight.electorate === home;
    const fitThroughout = sights.every(fitHere) && !warned.has(id);
    const isLater = (other: string) =>
        views.some((view) => {
            const [mine, theirs] = [id, other].map((one) => sinceIn(view.get(one)?.tags ?? {}, tagKey, batch.start));
            return theirs > mine || (theirs === mine && other < id);
        });
    const rivals = others.filter((other) => once(other, (sight) => leads(sight) && fitHere(sight)));
    if (fitThroughout && !rivals.some((other) => isLater(other) || promoted.includes(other))) {
        note("a fit leader stays", `${where} of ${home}: no other came later`);
    }
    const successors = others.filter((other) => once(other, (s) => (leads(s) && isAlive(s)) || fitHere(s)));
    if (!fitThroughout && successors.length === 0) {
        note("a leader stays while no other member is fit", `${where} of ${home}`);
    }
}
