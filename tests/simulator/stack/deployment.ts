import type { Reports } from "../aws/endpoint";
import { type BusEvent, sweepEvent } from "../aws/events";
import { matches } from "../aws/patterns";
import type { Region } from "../aws/region";
import { type Batch, type Container, minute, running, type Timeline } from "../clock";
import { batchOf, type Handler, startContainer } from "./packaged";
import type { Program } from "./program";
import { type Wiring, wiringOf } from "./registered";

/** What became of a batch. */
export interface Invocation extends Batch {
    end: number;
    reports: Reports;
    /** Why its batch came back, if it did. */
    error?: Error;
}

interface Message {
    body: string;
    sentAt: number;
    /** Hidden from receivers until then. */
    visibleAt: number;
}

type StartedContainer = Container & { handler: Handler };

const millisToQueue = 300; // from an event's source over EventBridge into the queue
const deduplicationMillis = 5 * minute;

/** What a program registered, deployed into a region inside this process: its rules, its queue, its function. */
export class Deployment {
    readonly invocations: Invocation[] = [];
    /** Called with every invocation when it has ended. */
    readonly onInvocation: ((invocation: Invocation) => void)[] = [];
    /** The container that was last handed a batch from the queue. */
    lastContainer?: StartedContainer;
    /** How many events were taken by a rule and will arrive, by none, and by a rule but lost. */
    readonly events = { received: 0, ignored: 0, lost: 0 };
    /** When the copies of an event reach the queue, in milliseconds from now: none if it is lost. */
    fate: (event: BusEvent) => number[] = () => [millisToQueue];
    /** Whether its schedules fire. */
    sweeping = false;
    /** Whether its rules may send to the queue. */
    sending = true;
    /** Whether the event source mapping is enabled: whether the queue is read. */
    polling = true;
    /** Whether its queue is there. */
    hasQueue = true;
    /** Whether the account's concurrency is used up by other functions. */
    throttled = false;
    /** How many events the queue has refused, how often the sweep's rule has fired, how many invocations were throttled. */
    readonly counts = { refused: 0, fired: 0, throttles: 0 };
    /** Milliseconds of each invocation that pass before the handler begins. */
    startMillis = 0;

    private readonly wiring: Wiring;
    private readonly queue: Message[] = [];
    private readonly sent = new Map<string, number>();
    private onTheWay = 0;
    private received: Message[] = [];

    constructor(
        private readonly program: Program,
        region: Region,
        private readonly timeline: Timeline,
    ) {
        this.wiring = wiringOf(program);
        region.onEvent.push((event) => this.send(event));
        for (const { scheduleExpression } of this.wiring.rules) {
            const [, minutes] = scheduleExpression?.match(/^rate\((\d+) minutes?\)$/) ?? [];
            if (minutes) {
                timeline.every(Number(minutes) * minute, () => this.sweeping && this.sweep());
            }
        }
    }

    /** Takes an event as EventBridge does: it reaches the queue if a rule's pattern matches it. */
    send(event: BusEvent): void {
        const deliveries = this.takersOf(event).map(() => this.fate(event));
        this.events[deliveries.length === 0 ? "ignored" : deliveries.flat().length > 0 ? "received" : "lost"]++;
        for (const delays of deliveries) {
            this.deliver(JSON.stringify(event), delays);
        }
    }

    /** Names of the rules that take an event to the queue. */
    takersOf(event: BusEvent): string[] {
        const { rules, queue } = this.wiring;
        return rules.flatMap(({ name, eventPattern, targetArn }) =>
            eventPattern && targetArn === queue.arn && matches(JSON.parse(eventPattern), event) ? [name] : [],
        );
    }

    /** Fires the sweep's schedule now, whatever becomes of other events. */
    sweep(): void {
        this.counts.fired++;
        this.deliver(JSON.stringify(sweepEvent(this.timeline.now)), [millisToQueue]);
    }

    /** The messages in the queue, and those that a batch under way holds. */
    get messages(): { visible: number; oldestAt?: number } {
        const visible = this.unexpired();
        return { visible: visible.length, oldestAt: [...this.received, ...visible][0]?.sentAt };
    }

    /** Lets time pass until no event is on its way, in the queue or in the function. */
    async settle(): Promise<void> {
        while (this.onTheWay + this.queue.length + this.received.length > 0) {
            await this.timeline.pass(100);
        }
    }

    /** The container's next call never comes back, nor does anything else that it does. */
    loseContainer(): void {
        Object.assign(this.lastContainer ?? {}, { dead: true });
    }

    /** The batch that is under way comes back too early: another container starts with it. */
    async repeat(): Promise<void> {
        if (this.received.length > 0) {
            // Only the first one's answer counts.
            await this.invoke(this.handOver(this.received), this.newContainer()).catch(() => {});
        }
    }

    private deliver(body: string, delays: number[]): void {
        if (!this.sending || !this.hasQueue) {
            this.counts.refused++; // EventBridge does not try again
            return;
        }
        for (const delay of delays) {
            const at = this.timeline.now + delay;
            this.onTheWay++;
            this.timeline.at(at, () => {
                this.onTheWay--;
                const before = this.sent.get(body);
                if (before === undefined || at - before > deduplicationMillis) {
                    this.sent.set(body, at);
                    this.queue.push({ body, sentAt: at, visibleAt: at });
                    this.receive();
                }
            });
        }
    }

    /** Takes a batch, unless one is under way: all messages are of one group. */
    private receive(): void {
        const { batchSize, queue } = this.wiring;
        const { now } = this.timeline;
        this.queue.splice(0, this.queue.length, ...this.unexpired());
        const next = this.queue[0];
        if (!this.polling || !this.hasQueue || this.received.length > 0 || !next) {
            return;
        }
        const visibleAgainAt = now + queue.visibilityTimeoutSeconds * 1000;
        if (next.visibleAt <= now && this.throttled) {
            this.counts.throttles++;
            next.visibleAt = visibleAgainAt;
        }
        if (next.visibleAt > now) {
            this.timeline.at(next.visibleAt, () => this.receive());
            return;
        }
        this.received = this.queue.splice(0, batchSize);
        void this.process(this.received, visibleAgainAt);
    }

    private unexpired(): Message[] {
        const oldest = this.timeline.now - this.wiring.queue.messageRetentionSeconds * 1000;
        return this.queue.filter(({ sentAt }) => sentAt > oldest);
    }

    private async process(batch: Message[], visibleAt: number): Promise<void> {
        const given = this.handOver(batch);
        const { lastContainer } = this;
        // A container may die after its invocation has ended, with a call that nothing waited for.
        const container = lastContainer && !lastContainer.dead ? lastContainer : this.newContainer();
        this.lastContainer = container;
        const outcome = await this.invoke(given, container).then(
            (reports) => ({ reports }),
            (error: Error) => ({ reports: [], error }),
        );
        const invocation: Invocation = { ...given, end: this.timeline.now, ...outcome };
        this.invocations.push(invocation);
        for (const observer of this.onInvocation) {
            observer(invocation);
        }
        if ("error" in outcome && this.hasQueue) {
            this.queue.unshift(...batch.map((message) => ({ ...message, visibleAt })));
        }
        this.received = [];
        this.receive();
    }

    private handOver(messages: Message[]): Batch {
        return { start: this.timeline.now, events: messages.map(({ body }) => JSON.parse(body)) };
    }

    private async invoke(batch: Batch, container: StartedContainer): Promise<Reports> {
        const timeoutMillis = this.wiring.functionTimeoutSeconds * 1000;
        const deadline = this.timeline.now + timeoutMillis;
        container.batch = batch;
        let isOver = false;
        const timeout = this.timeline.after(timeoutMillis).then(() => {
            container.dead ||= !isOver;
            throw new Error(`the function did not end within ${timeoutMillis} ms`);
        });
        const { startMillis } = this;
        const work = running.run(container, async () => {
            if (startMillis > 0) {
                await this.timeline.after(startMillis);
            }
            return container.handler(batchOf(...batch.events), {
                getRemainingTimeInMillis: () => deadline - this.timeline.now,
            });
        });
        return Promise.race([work, timeout]).finally(() => {
            isOver = true;
        });
    }

    private newContainer(): StartedContainer {
        const container: Container = { dead: false };
        return Object.assign(container, { handler: running.run(container, () => startContainer(this.program)) });
    }
}
