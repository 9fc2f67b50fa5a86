import { Fleet, type Pace } from "./aws/fleet";
import { Region } from "./aws/region";
import { type Line, onTimeline, Timeline } from "./clock";
import { Deployment } from "./stack/deployment";
import type { Program } from "./stack/program";

/** A region, its time, and what functions logged there. */
export interface Place {
    timeline: Timeline;
    region: Region;
    lines: Line[];
}

/** A region with groups in it, a stack deployed into it, and what its function logged. */
export interface World extends Place {
    fleet: Fleet;
    stack: Deployment;
}

/** Makes a region, and lets something happen there, in no time. */
export async function inRegion<T>(act: (place: Place) => Promise<T>): Promise<T> {
    const timeline = new Timeline();
    const lines: Line[] = [];
    const region = new Region(timeline);
    try {
        return await onTimeline(timeline, lines, () => act({ timeline, region, lines }));
    } finally {
        region.close();
    }
}

/** Makes a world with a program's stack in it, and lets something happen there, in no time. */
export function inWorld<T>(program: Program, act: (world: World) => Promise<T>, pace?: Pace): Promise<T> {
    return inRegion((place) => {
        const { timeline, region } = place;
        const stack = new Deployment(program, region, timeline);
        return act({ ...place, fleet: new Fleet(region, pace), stack });
    });
}
