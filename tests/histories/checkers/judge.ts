import type { Reports } from "../../simulator/aws/endpoint";
import type { BusEvent } from "../../simulator/aws/events";
import type { Call } from "../../simulator/aws/faults";
import { groupKey, isTrue, type Region } from "../../simulator/aws/region";
import { running } from "../../simulator/clock";
import type { Electorates, Franchise } from "../../simulator/electorates";
import type { Invocation } from "../../simulator/stack/deployment";
import { isFit } from "./downtime";

/** When a rule was broken, and how. */
export interface Breach {
    at: number;
    rule: string;
    how: string;
}

const failure = ({ outcome, group, reason }: Reports[number]) =>
    outcome === "failed" ? `${group}: ${reason}` : undefined;

const mostRanked = 10; // of an electorate

/** Watches over the rules that every stack keeps, whatever happens. */
export class Judge {
    readonly breaches: Breach[] = [];
    /** Hears of each rule that is broken, the first time. */
    onBreach: (breach: Breach) => void = () => {};
    /** How often the region was found at rest, and compared with the decision table. */
    rests = 0;
    /** Ids of the instances that lead because the function says so. */
    private readonly promoted = new Set<string>();
    /** The latest `since` that the function wrote, by electorate, in milliseconds since 1970. */
    private readonly since = new Map<string, number>();
    /** When somebody other than the function last changed an instance, or an event told of it. */
    private readonly disturbed = new Map<string, number>();
    private tagsChanged = false;

    /** @param patience milliseconds in which an election may still not know what has changed: how long the function may run */
    constructor(
        private readonly region: Region,
        private readonly scope: Franchise,
        private readonly electorates: Electorates,
        private readonly patience: number,
    ) {
        region.onChange.push((id) => this.noteChange(id));
        region.onEvent.push((event) => this.noteEvent(event));
        region.afterWrite.push((call) => this.judgeWrite(call));
    }

    /** To be called when an invocation has ended. */
    judgeInvocation({ start, events, reports, error }: Invocation): void {
        for (const message of [error?.message, ...reports.map(failure)]) {
            if (message !== undefined) {
                this.breach("no election fails when nothing is wrong with AWS", message);
            }
        }
        const swept = events.some((event) => (event as BusEvent).source === "aws.events");
        if (swept && [...this.disturbed.values()].every((at) => at < start - 1000)) {
            this.rests++;
            this.judgeRest();
        }
    }

    /** After a sweep with nothing else going on, all is as the decision table says. */
    private judgeRest(): void {
        for (const name of this.electorates.names()) {
            const leaders = this.electorates.leaders(name);
            const members = this.electorates.members(name);
            const fit = members.filter(({ id }) => isFit(this.region, id)).map(({ id }) => id);
            if (leaders.length > 1) {
                this.breach("at rest a group has one leader", `${name} is led by ${leaders.join(", ")}`);
            } else if (fit.length > 0 && !leaders.some((id) => fit.includes(id))) {
                const who = leaders.length > 0 ? `is led by ${leaders}, who is not fit` : "has no leader";
                this.breach("a group with fit members has a fit leader", `${name} ${who}; fit: ${fit.join(", ")}`);
            } else if (leaders.length === 0 && members.some(({ id }) => this.isArriving(id))) {
                this.breach("while a group boots somebody leads", `${name} has no leader`);
            }
        }
        const carriers = [...this.region.instances.keys()].filter((id) => this.isStray(id));
        if (carriers.length > 0) {
            this.breach("who is in no group loses the tags", `${carriers.join(", ")} still carries them`);
        }
    }

    private breach(rule: string, how: string): void {
        const breach = { at: this.region.timeline.now, rule, how };
        if (!this.breaches.some((earlier) => earlier.rule === rule)) {
            this.onBreach(breach);
        }
        this.breaches.push(breach);
    }

    private judgeWrite({ action, input }: Call): void {
        const tagsChanged = this.tagsChanged;
        this.tagsChanged = false;
        if (!action.endsWith("Tags")) {
            this.judgeGroup(action, input.AutoScalingGroupName);
            return;
        }
        const ids: string[] = input.Resources;
        const tags: { Key: string; Value?: string }[] = input.Tags ?? [];
        this.judgeScope(action, ids, tags);
        if (!tagsChanged && !ids.some((id) => this.isDisturbed(id))) {
            this.breach("nothing is written when nothing changes", `${action} on ${ids.join(", ")}`);
        }
        if (action === "ec2:CreateTags") {
            for (const id of ids) {
                this.judgePromotion(id, tags.find(({ Key }) => Key === `${this.scope.tagKey}:since`)?.Value);
            }
        } else {
            for (const id of ids) {
                this.judgeDemotion(id);
            }
        }
    }

    private judgeScope(action: string, ids: string[], tags: { Key: string; Value?: string }[]): void {
        const { tagKey } = this.scope;
        const keys = tags.map(({ Key }) => Key);
        if (keys.length === 0 || keys.some((key) => key !== tagKey && key !== `${tagKey}:since`)) {
            this.breach(
                "no other tags are touched",
                `${action} of ${keys.join(", ") || "all keys"} on ${ids.join(", ")}`,
            );
        }
        for (const id of ids) {
            const group = this.region.memberOf(id)?.group.name ?? this.region.tags(id)[groupKey];
            if (group !== undefined || action === "ec2:CreateTags") {
                this.judgeGroup(action, group);
            }
        }
    }

    private judgeGroup(action: string, group = "no group"): void {
        if (!group.startsWith(this.scope.asgPrefix)) {
            this.breach("no other groups are touched", `${action} on an instance of ${group}`);
        }
    }

    private judgePromotion(id: string, since = "nothing"): void {
        if (this.promoted.has(id)) {
            this.breach("who leads is not promoted again", `${id} led already`);
        }
        this.promoted.add(id);
        const name = this.electorates.nameOf(this.region.tags(id)[groupKey] ?? "");
        const live = this.electorates.leaders(name).filter((leader) => this.promoted.has(leader));
        if (live.length > 1) {
            this.breach("no election makes a second leader", `${name} is led by ${live.join(", ")}`);
        }
        const latest = this.since.get(name) ?? 0;
        if (!(Date.parse(since) > latest)) {
            this.breach("since only grows", `${name} had ${new Date(latest).toISOString()}, ${id} got ${since}`);
        }
        this.since.set(name, Math.max(latest, Date.parse(since) || 0));
        const better = this.others(id).filter((other) => this.isBetter(other, id));
        const unranked = Math.max(0, this.others(id).length + 1 - mostRanked);
        if (better.length > unranked && !this.isDisturbed(id)) {
            this.breach("the successor is healthy and idle", `${id} was preferred to ${better.join(", ")}`);
        }
    }

    private judgeDemotion(id: string): void {
        this.promoted.delete(id);
        const { region } = this;
        const group = region.memberOf(id)?.group.name ?? "";
        const led = this.electorates.leaders(this.electorates.nameOf(group)).length > 0;
        if (!group || led || this.isDisturbed(id)) {
            return;
        }
        const others = this.others(id);
        if (isFit(region, id)) {
            this.breach("a fit leader stays", `${id} of ${group} was demoted`);
        } else if (!others.some((other) => isFit(region, other) || this.isDisturbed(other))) {
            this.breach("a leader stays while nobody is fit", `${id} of ${group} was demoted`);
        }
    }

    private noteChange(id: string): void {
        if (running.getStore()) {
            this.tagsChanged = true;
        } else {
            this.disturbed.set(id, this.region.timeline.now);
        }
    }

    private noteEvent({ source, resources }: BusEvent): void {
        const id = resources[0]?.split("/")[1];
        if (id && !running.getStore()) {
            this.disturbed.set(id, this.region.timeline.now);
            if (source === "aws.tag") {
                this.promoted.delete(id);
            }
        }
    }

    private isDisturbed(id: string): boolean {
        return this.region.timeline.now - (this.disturbed.get(id) ?? 0) < this.patience;
    }

    /** The other members of an instance's electorate. */
    private others(id: string): string[] {
        const name = this.electorates.nameOf(this.region.memberOf(id)?.group.name ?? "");
        return this.electorates
            .members(name)
            .map((member) => member.id)
            .filter((other) => other !== id);
    }

    /** Whether one is fit for long enough to be known, and less busy. */
    private isBetter(one: string, other: string): boolean {
        const [a, b] = [one, other].map((id) => this.region.instances.get(id));
        const step = (load = Number.MAX_VALUE) => Math.floor(load / 10);
        return (
            isFit(this.region, one) &&
            !this.isDisturbed(one) &&
            a?.checks === b?.checks &&
            step(a?.load) < step(b?.load)
        );
    }

    private isArriving(id: string): boolean {
        const { lifecycleState, healthStatus } = this.region.memberOf(id)?.member ?? {};
        const arrives = ["Pending", "Pending:Wait", "Pending:Proceed"].includes(lifecycleState ?? "");
        return arrives && healthStatus === "Healthy" && ["pending", "running"].includes(this.region.state(id));
    }

    private isStray(id: string): boolean {
        const tags = this.region.tags(id);
        const { tagKey } = this.scope;
        const marked = isTrue(tags[tagKey]) && tags[`${tagKey}:since`] !== undefined;
        return marked && tags[groupKey] === undefined && !this.region.memberOf(id);
    }
}
