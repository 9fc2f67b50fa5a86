// Draws a rehearsed day, or a part of it, as SVG: a lane for each instance, and what happened above the lanes of its group.
// `npm start -- --picture FILE.svg`. Drawn by Vega (https://vega.github.io/vega/); here are its data, places and colours.
import type { Mark, Spec } from "vega";
import { found } from "../simulator/lists";
import { duration, timeOfDay } from "./narration";
import type { Life, Recorder, Stretch } from "./recorder";
import type { Shift } from "./workers";

/** What a picture shows; times in milliseconds since 1970. */
export interface Scenery {
    from: number;
    to: number;
    recorder: Recorder;
    /** What happened, in few words and in more. */
    happened: { at: number; electorate: string; what: string; words: string }[];
    shifts: Shift[];
    /** Gives instances and electorates their names on the stage. */
    plain(text: string): string;
}

/** A colour on a light page and on a dark one. */
const palette = {
    background: ["#ffffff", "#0d1117"],
    panel: ["#f6f8fa", "#161b22"],
    text: ["#1f2328", "#e6edf3"],
    faint: ["#59636e", "#9198a1"],
    grid: ["#d8dee5", "#2f353d"],
    leads: ["#1a7f43", "#3fb960"],
    fit: ["#9ec5f0", "#22507f"],
    arriving: ["#d3d9e0", "#333d4a"],
    unfit: ["#c3c9d0", "#444c56"],
    ending: ["#cdbccd", "#5b4a60"],
    works: ["#e08a00", "#f0a92b"],
    "no leader": ["#d1242f", "#f85149"],
    "two leaders": ["#8250df", "#ab7df8"],
    "two at work": ["#bc4c00", "#f0883e"],
    star: ["#fffffe", "#0d1118"],
} as const;
type Colour = keyof typeof palette;
const light = (colour: Colour): string => palette[colour][0];

const size = { width: 920, left: 76, right: 36, top: 44, lane: 18, bar: 10, work: 4, labels: 15, title: 22, gap: 14 };
const [fontSize, characterWidth] = [11, 6];
const troubleOpacity = 0.5;
const starWidth = 14;
const inWordsMillis = 15 * 60 * 1000; // a shorter time has room for sentences

interface Bar {
    start: number;
    end: number;
    y: number;
    height: number;
    what: Colour;
}

interface Label {
    at: number;
    /** Of the text, and of the end of its line. */
    y: number;
    bottom: number;
    text: string;
    colour: Colour;
    align: "left" | "right";
}

interface Panel {
    title: string;
    top: number;
    bottom: number;
    lanes: { name: string; y: number }[];
    bars: Bar[];
    stars: { at: number; y: number }[];
    labels: Label[];
    troubles: Bar[];
}

/** Draws a part of a day; the same text for the same day. */
export async function draw(scenery: Scenery): Promise<string> {
    const { View, parse } = await import("vega");
    const svg = await new View(parse(specOf(scenery)), { renderer: "none" }).toSVG();
    const dark = Object.values(palette).map(([day, night]) =>
        ["fill", "stroke"].map((paint) => `[${paint}="${day}"]{${paint}:${night}}`).join(""),
    );
    const style = `<style>@media (prefers-color-scheme:dark){${dark.join("")}}</style>`;
    return `${svg.replace(/(<svg[^>]*>)/, `$1${style}`)}\n`;
}

/** A mark for each item of the data, or one; what is no object is a value. */
function mark(type: "group" | "rect" | "rule" | "text", data: string | undefined, properties: object): Mark {
    const enter = Object.entries(properties).map(([name, value]) => [
        name,
        typeof value === "object" && !Array.isArray(value) ? value : { value },
    ]);
    return { type, ...(data ? { from: { data } } : {}), encode: { enter: Object.fromEntries(enter) } } as Mark;
}

const of = (field: string) => ({ field });

function specOf(scenery: Scenery): Spec {
    const { from, to } = scenery;
    const panels: Panel[] = [];
    for (const electorate of electoratesIn(scenery)) {
        panels.push(panelOf(scenery, electorate, (panels.at(-1)?.bottom ?? size.top - size.gap) + size.gap));
    }
    const bottom = panels.at(-1)?.bottom ?? size.top;
    const names = panels.map((panel) => panel.title).join(" and ");
    const title = `The leaders of ${names} from ${timeOfDay(from)} to ${timeOfDay(to)}`;
    const bars = panels.flatMap((panel) => panel.bars);
    const troubles = panels.flatMap((panel) => panel.troubles);
    const shown = (Object.keys(palette) as Colour[]).filter((kind) =>
        [...bars, ...troubles].some(({ what }) => what === kind),
    );
    const x = (field: string) => ({ scale: "x", field });
    // Even the shortest time is to be seen.
    const x2 = { signal: "max(scale('x', datum.end), scale('x', datum.start) + 1.5)" };
    const text = { font: "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" };
    const heading = { fontWeight: 600, fill: light("text") };
    const bar = { x: x("start"), x2, y: of("y"), height: of("height"), fill: { scale: "colour", field: "what" } };
    return {
        $schema: "https://vega.github.io/schema/vega/v6.json",
        description: title,
        background: light("background"),
        autosize: "none",
        width: size.width,
        height: bottom + 66,
        padding: 0,
        data: [
            { name: "panels", values: panels.map(({ title, top, bottom }) => ({ title, top, bottom })) },
            { name: "lanes", values: panels.flatMap(({ lanes }) => lanes) },
            { name: "bars", values: bars },
            { name: "troubles", values: troubles },
            { name: "stars", values: panels.flatMap(({ stars }) => stars) },
            {
                name: "labels",
                values: panels.flatMap(({ labels }) =>
                    labels.map(({ colour, ...label }) => ({ ...label, colour: light(colour) })),
                ),
            },
        ],
        scales: [
            { name: "x", type: "utc", domain: [from, to], range: [size.left, size.width - size.right] },
            { name: "colour", type: "ordinal", domain: shown, range: shown.map(light) },
        ],
        marks: [
            mark("text", undefined, { ...text, ...heading, x: 16, y: 27, text: title, fontSize: 15 }),
            mark("rect", "panels", {
                x: 8,
                x2: size.width - 8,
                y: of("top"),
                y2: of("bottom"),
                cornerRadius: 6,
                fill: light("panel"),
            }),
            {
                ...mark("group", undefined, { y: size.top, height: bottom - size.top, width: size.width }),
                signals: [{ name: "height", update: String(bottom - size.top) }],
                axes: [
                    {
                        scale: "x",
                        orient: "bottom",
                        grid: true,
                        gridColor: light("grid"),
                        gridWidth: 0.6,
                        domain: false,
                        ticks: false,
                        formatType: "utc",
                        format: to - from > 3 * 60 * 60 * 1000 ? "%H:%M" : "%H:%M:%S",
                        tickCount: 8,
                        labelFont: text.font,
                        labelFontSize: fontSize,
                        labelColor: light("faint"),
                        labelPadding: 6,
                    },
                ],
            } as Mark,
            mark("text", "panels", {
                ...text,
                ...heading,
                x: 16,
                y: { signal: "datum.top + 16" },
                text: of("title"),
                fontSize: 13,
            }),
            mark("rect", "troubles", { ...bar, fillOpacity: troubleOpacity }),
            mark("rule", "labels", {
                x: x("at"),
                y: { signal: "datum.y - 8" },
                y2: of("bottom"),
                stroke: light("faint"),
                strokeWidth: 1,
                strokeDash: [2, 2],
            }),
            mark("text", "lanes", {
                ...text,
                x: size.left - 10,
                y: { signal: `datum.y + ${size.bar / 2}` },
                align: "right",
                baseline: "middle",
                text: of("name"),
                fontSize,
                fill: light("faint"),
            }),
            mark("rect", "bars", { ...bar, cornerRadius: 1.5 }),
            mark("text", "stars", {
                x: { ...x("at"), offset: 7 },
                y: { signal: `datum.y + ${size.bar / 2 + 0.5}` },
                text: "★",
                align: "center",
                baseline: "middle",
                fontSize: 9,
                fill: light("star"),
            }),
            mark("text", "labels", {
                ...text,
                x: { ...x("at"), offset: { signal: "datum.align === 'left' ? 4 : -4" } },
                y: of("y"),
                align: of("align"),
                text: of("text"),
                fontSize,
                fill: of("colour"),
            }),
        ],
        legends: [
            {
                fill: "colour",
                orient: "none",
                direction: "horizontal",
                legendX: size.left,
                legendY: bottom + 34,
                symbolType: "square",
                symbolSize: 90,
                columnPadding: 18,
                labelFont: text.font,
                labelFontSize: fontSize,
                labelColor: light("text"),
                encode: {
                    symbols: {
                        update: {
                            fillOpacity: { signal: `indexof(datum.value, ' ') > 0 ? ${troubleOpacity} : 1` },
                        },
                    },
                },
            },
        ],
    };
}

/** Electorates in which anything changes in that time; all, if nothing does. */
function electoratesIn({ from, to, recorder, happened }: Scenery): string[] {
    const lives = [...recorder.lives.values()];
    const changes = [
        ...happened,
        ...lives.flatMap(({ electorate, conditions, leads }) =>
            [...conditions, ...leads].flatMap(({ start, end = from }) => [
                { electorate, at: start },
                { electorate, at: end },
            ]),
        ),
    ];
    const all = [...new Set(lives.map(({ electorate }) => electorate))];
    const busy = all.filter((name) =>
        changes.some(({ electorate, at }) => electorate === name && at > from && at < to),
    );
    return busy.length > 0 ? busy : all;
}

function panelOf(scenery: Scenery, electorate: string, top: number): Panel {
    const { from, to, recorder, shifts, plain } = scenery;
    const lives = [...recorder.lives.values()].filter(
        (life) => life.electorate === electorate && life.conditions.some((stretch) => isWithin(stretch, scenery)),
    );
    const labels = labelsOf(scenery, electorate, lives);
    const rows = Math.max(0, ...labels.map(({ row }) => row + 1));
    const firstLane = top + Math.max(size.title, rows * size.labels + 8);
    const lanes = lives.map(({ id }, index) => ({ id, name: plain(id), y: firstLane + 4 + index * size.lane }));
    const bottom = firstLane + 4 + lives.length * size.lane;
    const barsOf = (stretches: Stretch<Colour>[], y: number, height: number): Bar[] =>
        stretches
            .filter((stretch) => isWithin(stretch, scenery))
            .map(({ start, end = to, what }) => ({
                start: Math.max(start, from),
                end: Math.min(end, to),
                y,
                height,
                what,
            }));
    const bars = lives.flatMap(({ id, conditions, leads }, index) => {
        const { y } = found(lanes[index]);
        const work = shifts.filter((shift) => shift.id === id).map((shift) => ({ ...shift, what: "works" as const }));
        return [
            ...barsOf(conditions, y, size.bar),
            ...barsOf(leads, y, size.bar),
            ...barsOf(work, y + size.bar - 1, size.work),
        ];
    });
    const started = lives.flatMap(({ leads }, index) =>
        leads
            .filter(({ start, end = to }) => (end - start) * pixelsPerMilli(scenery) > starWidth)
            .map(({ start }) => ({ at: start, y: found(lanes[index]).y })),
    );
    const noOrTwoLeaders = recorder.troubles.get(electorate) ?? [];
    const own = shifts.filter((shift) => shift.electorate === electorate);
    return {
        title: plain(electorate),
        top,
        bottom,
        lanes,
        bars,
        stars: started.filter(({ at }) => at >= from && at < to),
        labels: labels.map(({ row, ...label }) => ({ ...label, y: top + 16 + row * size.labels, bottom })),
        troubles: barsOf([...noOrTwoLeaders, ...twoAtWork(own)], firstLane, bottom - firstLane),
    };
}

/** When two of an electorate's workers ran at once. */
function twoAtWork(shifts: Shift[]): Stretch<"two at work">[] {
    const overlaps = shifts.flatMap((one, index) =>
        shifts.slice(index + 1).map((other) => ({
            start: Math.max(one.start, other.start),
            end: Math.min(one.end ?? Number.POSITIVE_INFINITY, other.end ?? Number.POSITIVE_INFINITY),
            what: "two at work" as const,
        })),
    );
    return overlaps.filter(({ start, end }) => start < end);
}

function isWithin({ start, end }: { start: number; end?: number }, { from, to }: Scenery): boolean {
    return start < to && (end ?? to) > from;
}

/** What happened, and the elections that came of it, each in the first row where it has room. */
function labelsOf(scenery: Scenery, electorate: string, lives: Life[]) {
    const { from, to, happened, recorder, plain } = scenery;
    const inWords = to - from < inWordsMillis;
    const gaps = (recorder.troubles.get(electorate) ?? []).filter(({ what }) => what === "no leader");
    const elections = lives.flatMap(({ id, leads }) =>
        leads.map(({ start }) => {
            const gap = gaps.find(({ end }) => end === start);
            const after = gap ? `, after ${duration(start - gap.start)} without a leader` : "";
            return { at: start, text: `${plain(id)} leads${after}`, colour: "leads" as const };
        }),
    );
    const happenings = happened
        .filter((one) => one.electorate === electorate)
        .map(({ at, what, words }) => ({
            at,
            text: inWords ? `${what}: ${plain(words)}` : what,
            colour: "text" as const,
        }));
    const all = [...happenings, ...(inWords ? elections : [])]
        .filter(({ at }) => at >= from && at < to)
        .sort((a, b) => a.at - b.at);
    const placed: { left: number; right: number; row: number }[] = [];
    return all.map((label) => {
        const x = size.left + (label.at - from) * pixelsPerMilli(scenery);
        const width = 8 + label.text.length * characterWidth;
        const align = x + width <= size.width ? ("left" as const) : ("right" as const);
        const [left, right] = align === "left" ? [x, x + width] : [x - width, x];
        // Below the labels that it would cover, and that its line would cross.
        const crossed = placed.filter((other) => other.left < right && left < other.right);
        const row = Math.max(-1, ...crossed.map((other) => other.row)) + 1;
        placed.push({ left, right, row });
        return { ...label, align, row };
    });
}

function pixelsPerMilli({ from, to }: Scenery): number {
    return (size.width - size.left - size.right) / (to - from);
}
