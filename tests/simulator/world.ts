import { Fleet, type Pace } from "./aws/fleet";
import { Region } from "./aws/region";
import { type Line, onTimeline, Timeline } from "./clock";
import { Deployment } from "./stack/deployment";
import type { Program } from "./stack/program";

/** A region with groups in it, a stack deployed into it, and what its function logged. */
export interface World {
    timeline: Timeline;
    region: Region;
    fleet: Fleet;
    stack: Deployment;
    lines: Line[];
}

/** Makes a world with a program's stack in it, and lets something happen there, in no time. */
export async function inWorld<T>(program: Program, act: (world: World) => Promise<T>, pace?: Pace): Promise<T> {
    const timeline = new Timeline();
    const lines: Line[] = [];
    const region = new Region(timeline);
    try {
        return await onTimeline(timeline, lines, () => {
            const stack = new Deployment(program, region, timeline);
            return act({ timeline, region, fleet: new Fleet(region, timeline, pace), stack, lines });
        });
    } finally {
        region.close();
    }
}
