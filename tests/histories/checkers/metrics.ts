// What the function measures is what it reports, and what there was to be seen.
import type { Reports } from "../../simulator/aws/endpoint";
import type { Container } from "../../simulator/clock";
import type { Checker, Note } from "./checker";
import type { Evidence } from "./evidence";
import { isAlive, leadersIn, type View } from "./model";

const sweepType = "Scheduled Event";

/** Compares the figures of each invocation with its reports. */
export function metrics(evidence: Evidence, note: Note): Checker {
    const { world, expect, electorates } = evidence;
    /** How many lines there were when each container's last invocation ended. */
    const read = new WeakMap<Container, number>();
    const figuresSince = (by: Container) => {
        const ofContainer = world.lines.slice(read.get(by) ?? 0).filter((line) => line.by === by);
        const lines = ofContainer.filter(({ level }) => level === "stdout");
        read.set(by, world.lines.length);
        return lines.map(({ entry }) => JSON.parse(entry) as Record<string, unknown>);
    };
    /** Where no instance leads, though the group wants one: nothing changes that, if nothing is written. */
    const leaderless = (view: View) =>
        electorates.names().filter((home) => {
            const groups = electorates.groups(home).flatMap((name) => world.region.groups.get(name) ?? []);
            const wants = groups.some(({ desired, members }) => (desired ?? members.length) > 0);
            const leads = leadersIn(view, home, expect.tagKey).some(([, sight]) => isAlive(sight));
            return wants && !leads && !electorates.paused().has(home);
        });
    return {
        afterInvocation: (invocation, by) => {
            const { start, reports, events, error } = invocation;
            const figures = figuresSince(by);
            if (error) {
                return;
            }
            const fails = (name: string, expected: unknown, found: unknown) =>
                note("metrics are true", `${name} of the invocation at ${start}: ${found}, not ${expected}`);
            const compare = (name: string, expected: number, found = sumOf(figures, name)) =>
                found === expected ? undefined : fails(name, expected, found);
            compare("LeaderChanges", reports.filter((report) => isChange(report) && !report.dryRun).length);
            const delays = reports.filter(({ delay, dryRun }) => delay !== undefined && !dryRun);
            compare(
                "ElectionDelay",
                delays.reduce((sum, { delay = 0 }) => sum + delay, 0),
            );
            const isHeldBack = ({ reason, dryRun }: Reports[number]) =>
                !dryRun && reason.startsWith("left to the next");
            if (sumOf(figures, "FlappingGroups") < reports.filter(isHeldBack).length) {
                fails("FlappingGroups", "all that are held back", sumOf(figures, "FlappingGroups"));
            }
            const couldNotRank = reports.filter(({ reason }) => reason.startsWith("ec2:DescribeInstanceStatus on "));
            const unread = reports.filter(({ triggers }) => triggers.length === 0);
            const failedReads = couldNotRank.length + Math.min(1, unread.length);
            if (sumOf(figures, "FailedReads") < failedReads) {
                fails("FailedReads", `${failedReads} at least`, sumOf(figures, "FailedReads"));
            }
            const swept = reports.filter(isSwept);
            const [sweep] = figures.filter((line) => "VacantGroups" in line);
            if (!events.some((event) => event["detail-type"] === sweepType)) {
                compare("VacantGroups", 0);
                return;
            }
            if (sweep === undefined) {
                compare("sweep's figures", 0, swept.length);
                return;
            }
            if (swept.length === 0 && evidence.isUnread(invocation)) {
                fails("sweep's figures", "none, as nothing was read", "some");
            }
            const view = evidence.undisturbed(invocation);
            const vacant = swept.filter(({ outcome }) => outcome === "vacant").length;
            if (!expect.dryRun) {
                compare("VacantGroups", vacant);
            } else if (view) {
                compare("VacantGroups", leaderless(view).length);
            }
            const isContested = ({ leaders, outcome }: Reports[number]) => leaders.length > 1 && outcome !== "paused";
            compare("ContestedGroups", swept.filter(isContested).length);
            compare("FailedElections", swept.filter(({ outcome }) => outcome === "failed").length);
            compare("Groups", swept.length);
        },
    };
}

const sumOf = (figures: Record<string, unknown>[], name: string): number =>
    figures.reduce((sum, line) => sum + Number(line[name] ?? 0), 0);

const isChange = ({ outcome, demoted }: Reports[number]): boolean => outcome === "elected" || demoted.length > 0;

/** Whether a sweep looked at a group that is there, or could not; no event asks for what can't be read. */
const isSwept = ({ triggers, reason }: Reports[number]): boolean =>
    triggers.length === 0 || (triggers.includes(sweepType) && !reason.includes("no such group"));
