// Draws a rehearsed day, or a part of it, as SVG: a lane for each instance, and what happened above the lanes of its group.
// `npm start -- --picture FILE.svg`. Drawn by Vega (https://vega.github.io/vega/); here are its data, places and colours.
import type { Mark, Spec } from "vega";
import { duration, timeOfDay } from "./narration";
import type { Life, Stretch } from "./recorder";
import type { Watched } from "./summary";

/** What a picture shows; times in milliseconds since 1970. */
interface Scenery extends Watched {
    from: number;
    to: number;
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
} as const;
type Colour = keyof typeof palette;
const light = (colour: Colour): string => palette[colour][0];

const size = { width: 920, left: 76, right: 36, top: 44, lane: 18, bar: 10, work: 4, labels: 15, title: 22, gap: 14 };
const [fontSize, characterWidth] = [11, 6];
const troubleOpacity = 0.5;
const inWordsMillis = 15 * 60 * 1000; // a shorter time has room for sentences

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
    const panels: ReturnType<typeof panelOf>[] = [];
    for (const electorate of electoratesIn(scenery)) {
        panels.push(panelOf(scenery, electorate, (panels.at(-1)?.bottom ?? size.top - size.gap) + size.gap));
    }
    const bottom = panels.at(-1)?.bottom ?? size.top;
    const title = `The leaders of ${panels.map((panel) => panel.title).join(" and ")} from ${timeOfDay(from)} to ${timeOfDay(to)}`;
    const lists = ["lanes", "bars", "troubles", "labels"] as const;
    const drawn = panels.flatMap(({ bars, troubles }) => [...bars, ...troubles]);
    const shown = (Object.keys(palette) as Colour[]).filter((colour) => drawn.some(({ what }) => what === colour));
    const font = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
    const axisLabels = { labelFont: font, labelFontSize: fontSize };
    const x = (field: string) => ({ scale: "x", field });
    // Even the shortest time is to be seen.
    const x2 = { signal: "max(scale('x', datum.end), scale('x', datum.start) + 1.5)" };
    const heading = { x: 16, fontWeight: 600, fill: light("text") };
    const panel = { x: 8, x2: size.width - 8, y: of("top"), y2: of("bottom"), cornerRadius: 6, fill: light("panel") };
    const bar = { x: x("start"), x2, y: of("y"), height: of("height"), fill: { scale: "colour", field: "what" } };
    const fillOpacity = { signal: `indexof(datum.value, ' ') > 0 ? ${troubleOpacity} : 1` };
    return {
        description: title,
        background: light("background"),
        autosize: "none",
        width: size.width,
        height: bottom + 66,
        data: [
            { name: "panels", values: panels.map(({ title, top, bottom }) => ({ title, top, bottom })) },
            ...lists.map((name) => ({ name, values: panels.flatMap((panel): object[] => panel[name]) })),
        ],
        scales: [
            { name: "x", type: "utc", domain: [from, to], range: [size.left, size.width - size.right] },
            { name: "colour", type: "ordinal", domain: shown, range: shown.map(light) },
        ],
        config: {
            text: { font, fontSize },
            axis: { ...axisLabels, labelColor: light("faint"), labelPadding: 6, domain: false, ticks: false },
            legend: { ...axisLabels, labelColor: light("text"), symbolType: "square", symbolSize: 90 },
        },
        marks: [
            mark("text", undefined, { ...heading, y: 27, text: title, fontSize: 15 }),
            mark("rect", "panels", panel),
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
                        format: to - from > 3 * 60 * 60 * 1000 ? "%H:%M" : "%H:%M:%S",
                        tickCount: 8,
                    },
                ],
            } as Mark,
            mark("text", "panels", { ...heading, y: { signal: "datum.top + 16" }, text: of("title"), fontSize: 13 }),
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
                x: size.left - 10,
                y: { signal: `datum.y + ${size.bar / 2}` },
                align: "right",
                baseline: "middle",
                text: of("name"),
                fill: light("faint"),
            }),
            mark("rect", "bars", { ...bar, cornerRadius: 1.5 }),
            mark("text", "labels", {
                x: { ...x("at"), offset: { signal: "datum.align === 'left' ? 4 : -4" } },
                y: of("y"),
                align: of("align"),
                text: of("text"),
                fill: of("fill"),
            }),
        ],
        legends: [
            {
                fill: "colour",
                orient: "none",
                direction: "horizontal",
                legendX: size.left,
                legendY: bottom + 34,
                columnPadding: 18,
                encode: { symbols: { update: { fillOpacity } } },
            },
        ],
    };
}

/** Electorates in which anything changes in that time; all, if nothing does. */
function electoratesIn({ from, to, recorder, happened }: Scenery): string[] {
    const lives = [...recorder.lives.values()];
    const changes = lives.flatMap(({ electorate, conditions, leads }) =>
        [...conditions, ...leads].flatMap(({ start, end = start }) => [start, end].map((at) => ({ electorate, at }))),
    );
    const busy = [...happened, ...changes].filter(({ at }) => at > from && at < to);
    const all = [...new Set(lives.map(({ electorate }) => electorate))];
    const shown = all.filter((name) => busy.some(({ electorate }) => electorate === name));
    return shown.length > 0 ? shown : all;
}

/** What is drawn of an electorate, from a height on. */
function panelOf(scenery: Scenery, electorate: string, top: number) {
    const { from, to, recorder, workers, narrator } = scenery;
    const isWithin = ({ start, end = to }: { start: number; end?: number }) => start < to && end > from;
    const clip = ({ start, end = to }: Stretch<Colour>) => ({ start: Math.max(start, from), end: Math.min(end, to) });
    const barsOf = (stretches: Stretch<Colour>[], y: number, height: number) =>
        stretches.filter(isWithin).map((one) => ({ ...clip(one), y, height, what: one.what }));
    const isHere = (one: { electorate: string }) => one.electorate === electorate;
    const lives = [...recorder.lives.values()].filter(isHere).filter(({ conditions }) => conditions.some(isWithin));
    const labels = labelsOf(scenery, electorate, lives);
    const rows = Math.max(0, ...labels.map(({ row }) => row + 1));
    const firstLane = top + Math.max(size.title, rows * size.labels + 8);
    const bottom = firstLane + 4 + lives.length * size.lane;
    const lanes = lives.map((life, index) => ({
        ...life,
        name: narrator.plain(life.id),
        y: firstLane + 4 + index * size.lane,
    }));
    const troubles = [...recorder.gaps(), ...recorder.contests(), ...(workers?.overlaps ?? [])];
    return {
        title: narrator.plain(electorate),
        top,
        bottom,
        lanes: lanes.map(({ name, y }) => ({ name, y })),
        bars: lanes.flatMap(({ id, y, conditions, leads }) => [
            ...barsOf([...conditions, ...leads], y, size.bar),
            ...barsOf(workers?.shifts.filter((shift) => shift.id === id) ?? [], y + size.bar - 1, size.work),
        ]),
        labels: labels.map(({ row, ...label }) => ({ ...label, y: top + 16 + row * size.labels, bottom })),
        troubles: barsOf(troubles.filter(isHere), firstLane, bottom - firstLane),
    };
}

/** What happened, and the elections that came of it, each in the first row where it has room. */
function labelsOf(scenery: Scenery, electorate: string, lives: Life[]) {
    const { from, to, happened, recorder, narrator } = scenery;
    const inWords = to - from < inWordsMillis;
    const gaps = recorder.gaps().filter((gap) => gap.electorate === electorate);
    const elections = lives.flatMap(({ id, leads }) =>
        leads.map(({ start }) => {
            const gap = gaps.find(({ end }) => end === start);
            const after = gap ? `, after ${duration(start - gap.start)} without a leader` : "";
            return { at: start, text: `${narrator.plain(id)} leads${after}`, fill: light("leads") };
        }),
    );
    const happenings = happened
        .filter((one) => one.electorate === electorate)
        .map(({ at, what, words }) => ({
            at,
            text: inWords ? `${what}: ${narrator.plain(words)}` : what,
            fill: light("text"),
        }));
    const all = [...happenings, ...(inWords ? elections : [])]
        .filter(({ at }) => at >= from && at < to)
        .sort((a, b) => a.at - b.at);
    const placed: { left: number; right: number; row: number }[] = [];
    return all.map((label) => {
        const x = size.left + (label.at - from) * pixelsPerMilli(scenery);
        const width = 8 + label.text.length * characterWidth;
        const align = x + width <= size.width ? "left" : "right";
        const [left, right] = align === "left" ? [x, x + width] : [x - width, x];
        // Below the labels that it would cover, and that its line would cross.
        const crossed = placed.filter((other) => other.left < right && left < other.right);
        const row = Math.max(-1, ...crossed.map((other) => other.row)) + 1;
        placed.push({ left, right, row });
        return { ...label, align, row };
    });
}

const pixelsPerMilli = ({ from, to }: Scenery): number => (size.width - size.left - size.right) / (to - from);
