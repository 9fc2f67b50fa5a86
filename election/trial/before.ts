// What is said and asked before anything is made: what an earlier run left, what this one makes, and what it costs.
import type { Left } from "./clean-up";
import { mostInstances, type Run } from "./fleet";
import type { Play } from "./plays";
import { type Site, size } from "./site";

// List prices of us-east-1 in dollars: https://aws.amazon.com/ec2/pricing/on-demand/ and https://aws.amazon.com/ebs/pricing/
const priceOfHour: Record<string, number> = { "t4g.nano": 0.0042, "t3.nano": 0.0052 };
const priceOfDiskHour = (8 * 0.08) / 730; // the image's 8 GB of gp3
const minutesOfPlays = 45;

/** Minutes after which the run's things may be deleted: all plays, and the sweeps that they may wait for. */
export const minutesFor = (sweepMinutes: number): number => minutesOfPlays + 5 * sweepMinutes;

/** What the run makes, where, and what it costs at most. */
export function announcement(site: Site, run: Run, stack: string, chosen: Play[], minutes: number): string {
    return [
        `In account ${site.account}, region ${site.region}, for the stack ${stack}, this makes`,
        `  the launch template ${run.template},`,
        `  the Auto Scaling group ${run.group} of ${size} ${site.type} with Amazon Linux 2023, in ${site.subnets.length} ` +
            `subnets of ${site.vpc}, without public addresses, keys or a role,`,
        `takes the group's leader away ${chosen.length === 1 ? "once" : `${chosen.length} times`} ` +
            `(${chosen.map(({ name }) => name).join(", ")}), and deletes all of it.`,
        `It costs ${costOf(site.type, minutes)}. At ${run.until.toISOString()} the group scales itself to zero, even if ` +
            "this command was killed.",
        "",
    ].join("\n");
}

/** The most that it can cost, in words. */
export function costOf(type: string, minutes: number): string {
    const hours = (mostInstances * minutes) / 60;
    const disks = hours * priceOfDiskHour;
    const cents = (dollars: number) => `${Math.ceil(dollars * 100)} ${dollars > 0.01 ? "cents" : "cent"}`;
    const price = priceOfHour[type];
    return price !== undefined
        ? `at most ${cents(hours * price + disks)} at us-east-1's list prices`
        : `at most ${hours.toFixed(1)} instance hours of ${type}, and ${cents(disks)} for disks`;
}

/** Asks, on stderr, and gives the answer; without a terminal, the empty one. */
export type Ask = (question: string) => Promise<string>;

export const isYes = (answer: string): boolean => /^y(es)?$/i.test(answer.trim());

/** Which of the runs that have left something are to be deleted first: those with a `yes`, or past their time with `--yes`. */
export async function runsToDelete(
    found: Left[],
    yes: boolean,
    ask: Ask,
    say: (line: string) => void,
): Promise<Left[]> {
    const chosen: Left[] = [];
    for (const left of found) {
        const isOver = Date.parse(left.until) < Date.now();
        const things = [
            ...left.groups.map((name) => `group ${name}`),
            ...left.instances.map(({ id }) => id),
            ...left.templates.map((name) => `launch template ${name}`),
            ...left.volumes,
        ].join(", ");
        const when = isOver ? "is over" : `may be going on until ${left.until || "some time"}`;
        say(`An earlier run, ${left.run}, ${when}. Of it there is: ${things}.`);
        if (yes ? isOver : isYes(await ask("Delete that first? [y/N] "))) {
            chosen.push(left);
        }
    }
    return chosen;
}
