// All checkers by name, and a referee that lets them watch a world.
import type { Container } from "../simulator/clock";
import type { Invocation } from "../simulator/stack/deployment";
import type { Program } from "../simulator/stack/program";
import type { World } from "../simulator/world";
import type { Checker, MakeChecker, Violation } from "./checkers/checker";
import { decisionTable } from "./checkers/decision-table";
import { Evidence, type Expectations } from "./checkers/evidence";
import { handOver } from "./checkers/hand-over";
import { flapping, memory, quiet } from "./checkers/memory";
import { metrics } from "./checkers/metrics";
import type { Verdict } from "./checkers/model";
import { oneLeader } from "./checkers/one-leader";
import { onlyOurs, permitsWhatIsDone } from "./checkers/only-ours";
import { protection } from "./checkers/protection";
import { failures, reports } from "./checkers/reports";
import { since } from "./checkers/since";
import { dryRuns, pauses } from "./checkers/standstill";
import { demotions, promotions } from "./checkers/succession";

/** A checker for each invariant. */
const checkers: MakeChecker[] = [
    decisionTable,
    oneLeader,
    promotions,
    demotions,
    since,
    onlyOurs,
    memory,
    flapping,
    quiet,
    handOver,
    protection,
    pauses,
    dryRuns,
    metrics,
    reports,
    failures,
];

/** Lets checkers watch a world, and collects what they note. */
export class Referee {
    readonly violations: Violation[] = [];
    readonly evidence: Evidence;
    /** Called with the first violation of each rule. */
    onViolation: (violation: Violation) => void = () => {};
    /** How many sweeps were compared with the decision table. */
    compared = 0;
    private readonly checkers: Checker[];

    constructor({ region, stack, ...world }: World, program: Program, expect: Expectations) {
        this.evidence = new Evidence({ region, stack, ...world }, expect);
        const note = (rule: string, how: string) => this.note(rule, how);
        region.permits = permitsWhatIsDone(this.evidence, program, note);
        this.checkers = checkers.map((make) => make(this.evidence, note));
        region.beforeCall.push((call) => {
            const batch = call.by?.batch;
            for (const checker of batch ? this.checkers : []) {
                checker.beforeCall?.(call, batch as NonNullable<typeof batch>);
            }
        });
        region.afterWrite.push((call) => this.each((checker) => checker.afterWrite?.(call)));
        stack.onInvocation.push((invocation) => this.checkInvocation(invocation, stack.lastContainer as Container));
    }

    /** Checks what a sweep has come to with nothing else going on, by the verdicts from before. */
    checkRest(verdicts: Map<string, Verdict>): void {
        for (const [home, verdict] of verdicts) {
            this.each((checker) => checker.atRest?.(home, verdict));
        }
        this.each((checker) => checker.afterRest?.());
    }

    /** Checks what another sweep has done since the region was at rest. */
    checkEnd(restedAt: number): void {
        this.each((checker) => checker.atEnd?.(restedAt));
    }

    private checkInvocation(invocation: Invocation, by: Container): void {
        const swept = invocation.events.some((event) => event["detail-type"] === "Scheduled Event");
        this.compared += swept && this.evidence.undisturbed(invocation) ? 1 : 0;
        this.each((checker) => checker.afterInvocation?.(invocation, by));
    }

    private each(check: (checker: Checker) => void): void {
        for (const checker of this.checkers) {
            check(checker);
        }
    }

    private note(rule: string, how: string): void {
        const violation = { at: this.evidence.world.timeline.now, rule, how };
        if (!this.violations.some((one) => one.rule === rule)) {
            this.onViolation(violation);
        }
        this.violations.push(violation);
    }
}
