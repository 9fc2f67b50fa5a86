import type { BusEvent } from "../../simulator/aws/events";
import type { Call } from "../../simulator/aws/faults";
import { allows, requestsIn, rolePolicyOf, type Statement } from "../../simulator/aws/iam";
import { groupKey, isTrue, type Region } from "../../simulator/aws/region";
import type { Batch, Container } from "../../simulator/clock";
import { Electorates, type Franchise } from "../../simulator/electorates";
import type { Invocation } from "../../simulator/stack/deployment";
import { accountId, type Program } from "../../simulator/stack/program";
import type { World } from "../../simulator/world";
import { type Expectations, mostLagMillis, rememberedMillis } from "../expectations";
import { PauseReferee } from "./pauses";
import { ProtectionReferee } from "./protections";

/** What there was to be seen of an instance. */
interface Sight {
    state: string;
    tags: Record<string, string>;
    /** The group that lists it. */
    group?: string;
    /** Whose leader it may become: that group's electorate, or the group if it is on its own. */
    electorate?: string;
    /** Whose leader it is if it has the tag: the same, or what its tags name if no group lists it. */
    home?: string;
    lifecycleState?: string;
    healthStatus?: string;
    checks: string;
    load?: number;
}

type View = Map<string, Sight>;

interface Write {
    at: number;
    id: string;
    /** The electorate, or the group if it is on its own. */
    home: string | undefined;
    by: unknown;
    /** When it promotes. */
    since?: number;
    /** Whether its container may not have heard that it was done. */
    unsure: boolean;
}

const day = 24 * 60 * 60 * 1000;
const agesAgo = Number.NEGATIVE_INFINITY;
const arrivingStates = ["Pending", "Pending:Wait", "Pending:Proceed"];

/** What the decision table says of a group: nobody leads, or exactly one of these does. */
export type Verdict = { row: string; oneOf: string[] };

type Known = Pick<Expectations, "tagKey" | "cursed">;

/** Reads the decision table for a group or an electorate off the region as it is, with no event in mind. */
export function verdict(region: Region, home: string, expect: Franchise & Known): Verdict {
    return verdictOn(look(region, new Electorates(region, expect)), home, region.timeline.now, expect, []);
}

function verdictOn(view: View, home: string, now: number, { tagKey, cursed }: Known, events: Batch["events"]): Verdict {
    const [warned, launched] = [warnedIn(events), launchedIn(events)];
    const members = [...view].filter(([, sight]) => sight.electorate === home);
    const leaders = [...view]
        .filter(([, sight]) => leadsIn(home, tagKey)(sight) && isAlive(sight))
        .sort(
            ([a, one], [b, other]) =>
                sinceIn(other.tags, tagKey, now) - sinceIn(one.tags, tagKey, now) || (a < b ? -1 : 1),
        )
        .map(([id]) => id);
    const fit = members.filter(([id, sight]) => isFit(sight) && !warned.has(id)).map(([id]) => id);
    const fitLeaders = leaders.filter((id) => fit.includes(id));
    if (fitLeaders.length > 0) {
        return { row: "a fit leader", oneOf: fitLeaders.slice(0, 1) };
    }
    const electable = members.filter(([id]) => !cursed.has(id));
    if (fit.length > 0) {
        const able = electable.filter(([id]) => fit.includes(id));
        return { row: "fit members", oneOf: best(able, (id) => (launched.has(id) ? 0 : 1)) };
    }
    if (leaders.length > 0) {
        return { row: "a leader alive", oneOf: leaders.slice(0, 1) };
    }
    const arriving = electable.filter(([, sight]) => isArriving(sight));
    return { row: arriving.length > 0 ? "arriving members" : "nobody", oneOf: best(arriving) };
}

/** Watches every call that the function makes, and notes whatever breaks a rule. */
export class Referee {
    readonly violations: string[] = [];
    /** Batches in which a call has gone wrong: what came of them is judged less closely. */
    readonly disturbed = new WeakSet<object>();

    private readonly electorates: Electorates;
    private readonly pauses: PauseReferee;
    private readonly protections: ProtectionReferee;
    /** Batches in which protection couldn't be set. */
    private readonly laidBare = new WeakSet<object>();
    private readonly policy: { Statement: Statement[] };
    private readonly views = new WeakMap<object, View[]>();
    private readonly writes: Write[] = [];
    private readonly sweeps: { at: number; by: unknown }[] = [];
    /** Leaders whom the function has tagged, each with whose, and nobody since has untagged or taken from there. */
    private readonly ours = new Map<string, string>();
    /** When instances last joined a group or left one. */
    private readonly moved = new Map<string, number>();
    /** Who else has changed an instance's tags since the function last wrote them: when, and the event that tells. */
    private readonly touched = new Map<string, { at: number; event: string }>();
    /** When others last changed an instance's tags, beside its group's. */
    private readonly edited = new Map<string, number>();
    /** Events that a container was handed; copies have longer ids. */
    private readonly received = new WeakMap<object, { at: number; event: BusEvent }[]>();
    /** Batches whose groups or leaders couldn't be read. */
    private readonly unread = new WeakSet<object>();
    private isWriting = false;
    private lastChangeByOthers = agesAgo;
    private electoratesChangedAt = agesAgo;

    constructor(
        private readonly world: World,
        program: Program,
        private readonly expect: Expectations,
    ) {
        const { region } = world;
        this.policy = rolePolicyOf(program);
        this.electorates = new Electorates(region, expect);
        const note = (violation: string) => this.note(violation);
        this.pauses = new PauseReferee(world, expect, note);
        this.protections = new ProtectionReferee(world, expect, note);
        region.permits = (call) => this.permits(call);
        region.beforeCall.push((call) => call.by?.batch && this.witness(call, call.by.batch));
        region.afterWrite.push((call) => this.afterWrite(call));
        region.onEvent.push((event) => event.source === "aws.tag" && this.hearOfTags(event));
        region.onChange.push(() => {
            if (!this.isWriting) {
                this.lastChangeByOthers = region.timeline.now;
            }
        });
    }

    /** Tells that a call will go wrong. */
    disturb(call: Call, fails: boolean): void {
        const events = call.by?.batch?.events as object;
        if (/Protection$/.test(call.action)) {
            this.laidBare.add(events);
            return; // no election depends on it
        }
        this.disturbed.add(events);
        if (fails && (/Groups$/.test(call.action) || isAboutTags(call))) {
            this.unread.add(events);
        }
    }

    /** Somebody changes what no event tells of, and no list: load, checks, protection, the tags of a group. */
    changeUnseen(): void {
        this.lastChangeByOthers = this.world.region.timeline.now;
    }

    /** Groups belong together in another way. */
    changeElectorates(): void {
        this.changeUnseen();
        this.electoratesChangedAt = this.world.region.timeline.now;
        this.ours.clear();
        this.pauses.changeElectorates();
    }

    /** Notes what the reports and the log lines of all invocations should not have said, or should have. */
    judgeReports(): void {
        const { stack, lines } = this.world;
        const logged = new Set(lines.map(({ entry }) => JSON.stringify(entry)));
        for (const { events, reports, start } of stack.invocations) {
            for (const report of reports) {
                const where = `${report.group} at ${start}`;
                if (
                    (report.outcome === "elected" || report.demoted.length > 0) &&
                    !logged.has(JSON.stringify(report))
                ) {
                    this.note(`${where}: a change was not logged`);
                }
                const statements = [...report.reason.matchAll(/(i-\w+) (is [^;]*|has a Spot[^;]*)/g)];
                if (this.expect.exact) {
                    for (const [, id, said] of statements) {
                        if (!this.isTrue(id, said.trim(), report.group, { start, events })) {
                            this.note(`${where}: the reason is not true: ${id} ${said}`);
                        }
                    }
                }
                const named = statements.map(([, id]) => id);
                for (const id of report.outcome === "elected" ? report.demoted : []) {
                    if (!named.includes(id)) {
                        this.note(`${where}: ${id} was replaced without a reason: ${report.reason}`);
                    }
                }
            }
        }
    }

    /** Compares an election that nobody has disturbed with the decision table. */
    judgeElection({ events, start, reports, error }: Invocation, by: Container): void {
        const { cursed, exact } = this.expect;
        const [view] = this.views.get(events) ?? [];
        if (this.unread.has(events) && !error) {
            this.note(`the invocation at ${start} went on without having read everything`);
        }
        if (!exact || !view || by.dead || this.disturbed.has(events) || this.lastChangeByOthers >= start) {
            return;
        }
        if (error) {
            this.note(`the invocation at ${start} failed: ${error.message}`);
        }
        for (const group of this.homesIn(events, view)) {
            if (!reports.some((report) => report.group === group)) {
                this.note(`${group} at ${start}: an event named it, but nobody looked`);
            }
        }
        const own = this.writes.filter((write) => write.by === by && write.at >= start - this.longestMemory - 1000);
        const unaware = (id: string) => {
            const touch = this.touched.get(id);
            const told = this.received.get(by)?.some(({ event }) => event.id.slice(0, 36) === touch?.event);
            return touch !== undefined && !told && own.some((write) => write.id === id);
        };
        for (const { group, outcome, reason } of reports) {
            const about = [...view].filter(([, sight]) => sight.home === group);
            const haste = this.writes.filter((write) => write.by === by && write.home === group && write.since);
            if (about.some(([id]) => cursed.has(id) || unaware(id)) || haste.length >= 3) {
                continue; // what is refused, unheard of or braked comes out otherwise
            }
            const { row, oneOf } = verdictOn(view, group, start, this.expect, events);
            const leaders = this.electorates.leaders(group);
            const right = leaders.length === Math.min(1, oneOf.length) && leaders.every((id) => oneOf.includes(id));
            if (!right || outcome === "failed") {
                const found = `${outcome}, and ${leaders.join(", ") || "nobody"} leads: ${reason}`;
                this.note(`${group} at ${start}: ${row}: one of ${oneOf.join(", ") || "none"}; found ${found}`);
            }
            if (!this.isOurs(group)) {
                this.note(`${group} at ${start}: it is a foreign group`);
            }
        }
        if (!this.laidBare.has(events)) {
            this.protections.judgeElection({ events, reports });
        }
    }

    /** Judges a group, or an electorate, after a sweep with nothing else going on; the verdict is from before. */
    judgeRest(home: string, { row, oneOf }: Verdict): void {
        const { region } = this.world;
        const { cursed } = this.expect;
        const leaders = this.electorates.leaders(home);
        const members = [...look(region, this.electorates)].filter(([, { electorate }]) => electorate === home);
        // What EC2 refuses to write for somebody may keep the group from what the table says.
        const hampered = members.some(([id]) => cursed.get(id) === "UnauthorizedOperation");
        const clung = leaders.filter((id) => cursed.get(id) !== "UnauthorizedOperation");
        const isRight = hampered
            ? clung.length <= 1
            : leaders.length === Math.min(1, oneOf.length) && leaders.every((id) => oneOf.includes(id));
        if (!isRight) {
            const found = leaders.join(", ") || "none";
            this.note(`${home} at rest: ${row}: one of ${oneOf.join(", ") || "none"}; found ${found}`);
        }
        if (!hampered) {
            this.protections.judgeRest(home);
        }
    }

    /** Writes since a time, whoever made them. */
    writesSince(at: number): Call[] {
        return this.world.region.calls.filter((call) => !isRead(call) && call.start >= at);
    }

    private note(violation: string): void {
        this.violations.push(violation);
    }

    private hearOfTags({ id: event, resources, detail }: BusEvent): void {
        const { now } = this.world.region.timeline;
        const id = resources[0].split("/")[1];
        const { tags } = detail;
        this.touched.set(id, { at: now, event });
        if (!this.isWriting && detail["changed-tag-keys"].some((key: string) => key !== groupKey)) {
            this.edited.set(id, now);
        }
        if (detail["changed-tag-keys"].includes(groupKey)) {
            this.moved.set(id, now);
        }
        if (!isTrue(tags[this.expect.tagKey]) || this.homeNamedBy(tags) !== this.ours.get(id)) {
            this.ours.delete(id);
        }
    }

    private witness(call: Call, batch: Batch): void {
        const { region } = this.world;
        const views = this.views.get(batch.events) ?? [];
        this.views.set(batch.events, views);
        if (views.length === 0) {
            const received = this.received.get(call.by as object) ?? [];
            this.received.set(call.by as object, received);
            received.push(...batch.events.map((event) => ({ at: batch.start, event })));
        }
        if (views.length === 0 && batch.events.some((event) => event["detail-type"] === "Scheduled Event")) {
            this.sweeps.push({ at: region.timeline.now, by: call.by });
        }
        if (call.action === "ec2:CreateTags") {
            this.judgePromotions(call, batch, views);
        } else if (call.action === "ec2:DeleteTags") {
            this.judgeDemotions(call, batch, views);
        } else if (isRead(call)) {
            views.push(look(region, this.electorates));
        }
        if (!isRead(call)) {
            this.isWriting = true;
            queueMicrotask(() => {
                this.isWriting = false;
            });
        }
    }

    private permits(call: Call): boolean {
        const { region } = this.world;
        const requests = requestsIn(call, region, { partition: "aws", region: "us-east-1", accountId });
        const refused = requests.filter((request) => !allows(this.policy, request));
        for (const { resource } of refused) {
            const id = resource.split("/")[1];
            // Who moves an instance to another group during an election may make its write forbidden.
            const start = (call.by?.batch?.start ?? 0) - (this.expect.exact ? 0 : mostLagMillis);
            if ((this.moved.get(id) ?? agesAgo) < start) {
                this.note(`the policy does not allow ${call.action} on ${resource}`);
            }
        }
        return refused.length === 0;
    }

    private judgePromotions(call: Call, batch: Batch, views: View[]): void {
        const { tagKey, asgPrefix } = this.expect;
        const { Resources, Tags } = call.input;
        const at = this.world.region.timeline.now;
        const since = Date.parse(Tags[1]?.Value);
        const written = [
            { Key: tagKey, Value: "true" },
            { Key: `${tagKey}:since`, Value: Number.isNaN(since) ? "" : new Date(since).toISOString() },
        ];
        if (JSON.stringify(Tags) !== JSON.stringify(written)) {
            this.note(`an odd promotion: ${JSON.stringify(Tags)}`);
        }
        for (const id of Resources) {
            const sights = views.flatMap((view) => view.get(id) ?? []);
            const homes = new Set(sights.flatMap(({ electorate }) => electorate ?? []));
            const [home] = homes;
            const where = `promotion of ${id} in ${home} at ${at}`;
            if (!sights.some(({ group }) => group?.startsWith(asgPrefix))) {
                this.note(`${where}: no group of ours lists it`);
            }
            if (!sights.some((sight) => isReady(sight) || isListedArriving(sight))) {
                this.note(`${where}: it is neither in service nor arriving`);
            }
            this.judgeMemory(where, id, home, call, batch);
            if (this.expect.exact && homes.size === 1) {
                this.judgePromotion(where, id, home, since, call, batch, views);
            }
        }
    }

    private judgePromotion(
        where: string,
        id: string,
        home: string,
        since: number,
        call: Call,
        batch: Batch,
        views: View[],
    ): void {
        const { tagKey, cursed } = this.expect;
        const warned = warnedIn(batch.events);
        const demoted = this.remembered(call, batch).filter((write) => write.since === undefined);
        const always = (holds: (sight: Sight) => boolean) => (other: string) =>
            views.every((view) => view.get(other)?.electorate === home && holds(view.get(other) as Sight));
        const leads = leadsIn(home, tagKey);
        const everybody = [...(views[0] ?? [])].map(([other]) => other);
        const others = everybody.filter((other) => other !== id && !warned.has(other));

        const sights = views.map((view) => view.get(id) as Sight);
        if (!sights.some(({ state }) => ["pending", "running"].includes(state))) {
            this.note(`${where}: it is ${sights[0]?.state}`);
        }
        const reigning = others.find(
            (other) =>
                always((sight) => isFit(sight) && leads(sight))(other) && !demoted.some((write) => write.id === other),
        );
        if (reigning) {
            this.note(`${where}: ${reigning} leads, and is fit`);
        }
        const electable = others.filter((other) => always(isFit)(other) && !cursed.has(other));
        if (!sights.some(isReady) && !this.disturbed.has(batch.events)) {
            const better = electable[0] ?? everybody.find((other) => always((s) => leads(s) && isAlive(s))(other));
            if (better && !demoted.some((write) => write.id === better)) {
                this.note(`${where}: it is only arriving, and ${better} is there`);
            }
        }
        if (sights.every(leads) && !this.disturbed.has(batch.events) && !demoted.some((write) => write.id === id)) {
            this.note(`${where}: it leads already`);
        }
        this.judgeSince(where, home, since, call, batch, views);
        this.judgeBrake(where, home, call, batch);
    }

    /** It comes after every `since` that there was to be seen, and after those that went before. */
    private judgeSince(where: string, home: string, since: number, call: Call, batch: Batch, views: View[]): void {
        const { tagKey } = this.expect;
        const times = [...(views[0] ?? [])].map(([id, { tags }]) => {
            const stays = views.every((view) => {
                const sight = view.get(id) as Sight;
                return leadsIn(home, tagKey)(sight) && sight.tags[`${tagKey}:since`] === tags[`${tagKey}:since`];
            });
            return stays ? sinceIn(tags, tagKey, batch.start) : 0;
        });
        const latest = Math.max(0, ...times);
        if (since <= latest || since < batch.start) {
            this.note(`${where}: its since is ${since}, after ${latest} at ${batch.start}`);
        }
        const isRetry = (write: Write) => write.by === call.by && write.at >= batch.start;
        const promotions = this.writes.filter((write) => write.home === home && write.since !== undefined);
        const last = promotions.filter((write) => !isRetry(write)).at(-1);
        // One that lies ahead was somebody's doing, and may be gone with its tag.
        if (last?.since !== undefined && last.since <= last.at && since <= last.since) {
            this.note(`${where}: its since does not come after ${last.since}`);
        }
    }

    /** What a container wrote of late counts as read, unless an event says otherwise. */
    private judgeMemory(where: string, id: string, home: string | undefined, call: Call, batch: Batch): void {
        if (!this.expect.alone || this.disturbed.has(batch.events)) {
            return;
        }
        const promotes = call.action === "ec2:CreateTags";
        const known = this.writes.filter((write) => this.isKnown(write, call, batch));
        const [last] = this.writes
            .filter((write) => write.id === id)
            .slice(-1)
            .filter((write) => known.includes(write));
        const at = last?.at ?? 0;
        // What was written may have been for what the group belonged to when it was read.
        const moved = (this.moved.get(id) ?? agesAgo) > at || this.electoratesChangedAt > at - mostLagMillis;
        if (last && (last.since !== undefined) === promotes && !moved) {
            this.note(`${where}: that has been done at ${last.at}`);
        }
        const before = known.filter((write) => write.home === home && write.since !== undefined).at(-1);
        if (promotes && before && Date.parse(call.input.Tags[1]?.Value) <= (before.since as number)) {
            this.note(`${where}: its since does not come after ${before.since}`);
        }
    }

    private isKnown({ id, at, by, since, unsure }: Write, call: Call, batch: Batch): boolean {
        const isOwn = by === call.by && at < batch.start && at >= batch.start - rememberedMillis + 1000;
        // Others may have written since, or an event of the same second may tell of what was before.
        const contradicted = (this.received.get(call.by as object) ?? []).some(
            ({ at: heardAt, event: { source, resources, detail } }) =>
                heardAt >= at &&
                source === "aws.tag" &&
                resources[0].endsWith(id) &&
                isTrue(detail.tags[this.expect.tagKey]) !== (since !== undefined),
        );
        // What was written may not be what was seen, if others wrote while reads lagged.
        const edited = (this.edited.get(id) ?? agesAgo) > at - mostLagMillis;
        return isOwn && !unsure && !contradicted && !edited;
    }

    private judgeBrake(where: string, home: string, call: Call, batch: Batch): void {
        const lastSweep = this.sweeps.filter(({ by }) => by === call.by).at(-1)?.at ?? agesAgo;
        const own = this.writes.filter(
            ({ home: elsewhere, by, since, at, unsure }) =>
                elsewhere === home && by === call.by && since !== undefined && at > lastSweep && !unsure,
        );
        const hasty = own.some((write, place) => write.at - (own[place - 2]?.at ?? agesAgo) <= 60_000);
        if (hasty && isOnlyTags(batch)) {
            this.note(`${where}: tag events alone caused it after three others within a minute`);
        }
    }

    private judgeDemotions(call: Call, batch: Batch, views: View[]): void {
        const { tagKey, asgPrefix } = this.expect;
        const { Resources, Tags } = call.input;
        if (JSON.stringify(Tags) !== JSON.stringify([{ Key: tagKey }, { Key: `${tagKey}:since` }])) {
            this.note(`an odd demotion: ${JSON.stringify(Tags)}`);
        }
        for (const id of Resources) {
            const where = `demotion of ${id} at ${this.world.region.timeline.now}`;
            const sights = views.map((view) => view.get(id) as Sight);
            if (sights.every(({ tags }) => tags[groupKey] !== undefined && !tags[groupKey].startsWith(asgPrefix))) {
                if ((this.moved.get(id) ?? agesAgo) < batch.start - mostLagMillis) {
                    this.note(`${where}: it is in a foreign group`);
                }
            }
            this.judgeMemory(where, id, undefined, call, batch);
            if (this.expect.exact) {
                this.judgeDemotion(where, id, call, batch, views);
            }
        }
    }

    private judgeDemotion(where: string, id: string, call: Call, batch: Batch, views: View[]): void {
        const { tagKey } = this.expect;
        const sinceKey = `${tagKey}:since`;
        const sights = views.map((view) => view.get(id) as Sight);
        const memory = this.remembered(call, batch);
        const promoted = memory.filter((write) => write.since !== undefined).map((write) => write.id);
        const asStray = sights.some(({ tags, group }) => tags[groupKey] === undefined && group === undefined);
        if (!sights.some(({ tags }) => isTrue(tags[tagKey])) && !promoted.includes(id)) {
            this.note(`${where}: it has no leader tag`);
        }
        if (asStray) {
            if (!sights.some(({ tags }) => tags[sinceKey] !== undefined) && !promoted.includes(id)) {
                this.note(`${where}: it was not elected`);
            }
            return;
        }
        const home = sights[0]?.home;
        const warned = warnedIn(batch.events);
        const members = [...(views[0] ?? [])].map(([other]) => other).filter((other) => other !== id);
        const once = (other: string, holds: (sight: Sight) => boolean) =>
            promoted.includes(other) || views.some((view) => view.get(other) && holds(view.get(other) as Sight));
        const leads = leadsIn(home, tagKey);
        const fitHere = (sight: Sight) => isFit(sight) && sight.electorate === home;
        const fitThroughout = sights.every(fitHere) && !warned.has(id);
        const later = (other: string) =>
            views.some((view) => {
                const [mine, theirs] = [id, other].map((one) =>
                    sinceIn((view.get(one) as Sight)?.tags ?? {}, tagKey, batch.start),
                );
                return theirs > mine || (theirs === mine && other < id);
            });
        const rival = members.find(
            (other) =>
                once(other, (sight) => leads(sight) && fitHere(sight)) && (later(other) || promoted.includes(other)),
        );
        if (fitThroughout && !rival) {
            this.note(`${where}: it leads, is fit, and nobody came later`);
        }
        const successor = members.find((other) =>
            once(other, (sight) => (leads(sight) && isAlive(sight)) || fitHere(sight)),
        );
        if (!fitThroughout && !successor) {
            this.note(`${where}: there is nobody else`);
        }
    }

    private afterWrite(call: Call): void {
        if (!/Tags$/.test(call.action)) {
            return;
        }
        const { region } = this.world;
        const { tagKey } = this.expect;
        const { Resources, Tags } = call.input;
        const promotes = call.action === "ec2:CreateTags";
        const batch = call.by?.batch as Batch;
        for (const id of Resources) {
            const tags = region.tags(id);
            const home = this.homeNamedBy(tags);
            const done = promotes
                ? isTrue(tags[tagKey]) && tags[`${tagKey}:since`] === Tags[1]?.Value
                : tags[tagKey] === undefined;
            if (!done) {
                continue;
            }
            const since = promotes ? Date.parse(Tags[1]?.Value) : undefined;
            this.touched.delete(id);
            this.writes.push({
                at: region.timeline.now,
                id,
                home,
                by: call.by,
                since,
                unsure: this.disturbed.has(batch.events),
            });
            if (promotes && home !== undefined) {
                this.ours.set(id, home);
            }
        }
        if (this.expect.exact) {
            this.judgeLeaders();
        }
    }

    private judgeLeaders(): void {
        const { region } = this.world;
        for (const home of new Set(this.ours.values())) {
            const live = this.electorates.leaders(home).filter((id) => this.ours.get(id) === home);
            if (live.length > 1) {
                this.note(`${home} has the leaders ${live.join(" and ")} at ${region.timeline.now}`);
            }
        }
    }

    /** What the caller's container wrote of late, and may know still. */
    private remembered(call: Call, batch: Batch): Write[] {
        return this.writes.filter(({ by, at }) => by === call.by && at >= batch.start - this.longestMemory);
    }

    /** In milliseconds: what is written counts as read for some time from the end of the writing, a pause included. */
    private get longestMemory(): number {
        return rememberedMillis + this.expect.handoverMillis;
    }

    private homeNamedBy(tags: Record<string, string>): string | undefined {
        const group = tags[groupKey];
        return group === undefined ? undefined : this.electorates.nameOf(group);
    }

    private isOurs(home: string): boolean {
        const { asgPrefix, electorateTag } = this.expect;
        return home.startsWith(asgPrefix) || (electorateTag !== "" && home.startsWith(`${electorateTag}=`));
    }

    /** Groups of the prefix, or their electorates, that a batch must lead to. */
    private homesIn(events: Batch["events"], view: View): Set<string> {
        const { asgPrefix, tagKey } = this.expect;
        const leading = (id: string) => {
            const sight = view.get(id);
            return sight && isTrue(sight.tags[tagKey]) ? sight.tags[groupKey] : undefined;
        };
        const groups: (string | undefined)[] = events.flatMap(({ source, detail }) =>
            source === "aws.events"
                ? [...view.values()].map(({ group }) => group)
                : [detail.AutoScalingGroupName ?? detail.tags?.[groupKey] ?? leading(detail["instance-id"])],
        );
        const ours = groups.flatMap((group) => (group?.startsWith(asgPrefix) ? [group] : []));
        return new Set(ours.map((group) => this.electorates.nameOf(group)));
    }

    private isTrue(id: string, said: string, home: string, batch: Batch): boolean {
        const sights = (this.views.get(batch.events) ?? []).map((view) => view.get(id) as Sight);
        const [, lifecycleState, healthStatus] = said.match(/^is listed as (\S+) and (\S+)$/) ?? [];
        if (said === "has a Spot interruption warning") {
            return warnedIn(batch.events).has(id);
        }
        if (lifecycleState) {
            return sights.some((s) => s.lifecycleState === lifecycleState && s.healthStatus === healthStatus);
        }
        return said === "is not listed by its group"
            ? sights.some((sight) => sight.electorate !== home)
            : sights.some(({ state }) => said === `is ${state}`);
    }
}

/** A `since` in milliseconds since 1970, as far as it counts. */
export function sinceIn(tags: Record<string, string>, tagKey: string, now: number): number {
    const value = tags[`${tagKey}:since`] ?? "";
    const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) ? Date.parse(value) : 0;
    return Number.isNaN(at) || at > now + day ? 0 : at;
}

function look(region: Region, electorates: Electorates): View {
    const view: View = new Map();
    for (const { id, checks, load } of region.instances.values()) {
        const tags = region.tags(id);
        const home = tags[groupKey] && electorates.nameOf(tags[groupKey]);
        view.set(id, { state: region.state(id), tags, home, checks, load });
    }
    for (const { name: group, members } of region.groups.values()) {
        const electorate = electorates.nameOf(group);
        for (const { id, lifecycleState, healthStatus } of members) {
            const listed = { group, electorate, home: electorate, lifecycleState, healthStatus };
            Object.assign(view.get(id) as Sight, listed);
        }
    }
    return view;
}

/** Those who rank first: by checks, then by load in steps of ten points; nobody knows what chance says. */
function best(members: [string, Sight][], tier: (id: string) => number = () => 0): string[] {
    const grade = { ok: 0, impaired: 2 } as Record<string, number>;
    const rankOf = ([id, { state, checks, load }]: [string, Sight]) =>
        (tier(id) * 10 + (state === "running" ? (grade[checks] ?? 1) : 1)) * 1000 +
        (load === undefined ? 999 : Math.floor(load / 10));
    const first = Math.min(...members.map(rankOf));
    return members.filter((member) => rankOf(member) === first).map(([id]) => id);
}

const isReady = ({ lifecycleState, healthStatus }: Sight): boolean =>
    lifecycleState === "InService" && healthStatus === "Healthy";

const isFit = (sight: Sight): boolean => isReady(sight) && sight.state === "running";

const isListedArriving = ({ lifecycleState, healthStatus }: Sight): boolean =>
    arrivingStates.includes(lifecycleState as string) && healthStatus === "Healthy";

const isArriving = (sight: Sight): boolean => isListedArriving(sight) && ["pending", "running"].includes(sight.state);

function warnedIn(events: Batch["events"]): Set<string> {
    const warnings = events.filter((event) => event["detail-type"] === "EC2 Spot Instance Interruption Warning");
    return new Set(warnings.map(({ detail }) => detail["instance-id"]));
}

function launchedIn(events: Batch["events"]): Set<string> {
    const launches = events.filter((event) => event["detail-type"] === "EC2 Instance Launch Successful");
    return new Set(launches.map(({ detail }) => detail.EC2InstanceId));
}

const isAlive = ({ state }: Sight): boolean => state !== "shutting-down" && state !== "terminated";

const leadsIn =
    (home: string | undefined, tagKey: string) =>
    (sight: Sight): boolean =>
        isTrue(sight.tags[tagKey]) && sight.home === home;

const isRead = ({ action }: Call): boolean => /:(Describe|Get)/.test(action);

function isAboutTags({ action, input }: Call): boolean {
    const filters: { Name: string }[] = input.Filters ?? [];
    return action === "ec2:DescribeInstances" && filters.some(({ Name }) => Name.startsWith("tag:"));
}

const isOnlyTags = ({ events }: Pick<Batch, "events">): boolean => events.every(({ source }) => source === "aws.tag");
