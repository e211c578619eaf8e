/**
 * Draws curves as one SVG: a panel for each kind of cost, both axes logarithmic.
 *
 * @module
 */

import { describe } from "../support/machine.ts";
import type { Run } from "../support/runs.ts";
import { type Panel, type Point, valueOf } from "./points.ts";

interface PanelText {
  readonly title: string;
  readonly x: string;
  readonly y: string;
}

const PANELS: Readonly<Record<Panel, PanelText>> = {
  commands: {
    title: "Commands, by messages in the pool",
    x: "messages",
    y: "CPU time of the process, ms",
  },
  calls: { title: "Calls of the library, by messages", x: "messages", y: "time of a call, µs" },
  pools: { title: "Lists, by pools in the directory", x: "pools", y: "ms" },
  delivery: {
    title: "From append to follower, by followers",
    x: "followers",
    y: "median delay of all followers, ms",
  },
  append: {
    title: "What an append costs those who follow",
    x: "followers",
    y: "CPU time for each append, ms",
  },
  idle: { title: "What waiting costs", x: "followers", y: "% of a core" },
};

const WIDTH = 1040;
const CELL = { width: 520, height: 350 };
const HEAD = 46;
/** The plot in its cell; names of curves stand to the right of it. */
const PLOT = { left: 62, top: 34, width: 258, height: 262 };
/** Distance of names. */
const LINE = 15;

/** Colours that differ in lightness too, for light and for dark pages; yardsticks are grey. */
const STYLE = `
svg{--back:#fff;--ink:#1f2328;--dim:#59636e;--grid:#d9dee3;--c0:#0550ae;--c1:#bc4c00;--c2:#1a7f37;
--c3:#8250df;--c4:#bf3989;--c5:#7d6000;--c6:#0a7d91}
@media (prefers-color-scheme:dark){svg{--back:#0d1117;--ink:#e6edf3;--dim:#9198a1;--grid:#30363d;
--c0:#79c0ff;--c1:#ffa657;--c2:#7ee787;--c3:#d2a8ff;--c4:#ff9bce;--c5:#e3c04d;--c6:#76e3ea}}
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink)}
.title{font-size:14px;font-weight:600}.dim{fill:var(--dim)}.small{font-size:11px;fill:var(--dim)}
.grid{stroke:var(--grid);stroke-width:1}.line{fill:none;stroke-width:2}.to{stroke-width:1;opacity:.6}
.bare{stroke-dasharray:5 4}`.replaceAll("\n", "");

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const n = (value: number): string => `${Math.round(value * 10) / 10}`;

/** Numbers of axes: 0.1, 10, 1 k, 10 M. */
export function axisLabel(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  if (value >= 1e3) return `${value / 1e3} k`;
  return `${Number(value.toPrecision(3))}`;
}

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** Powers of ten around the values; at least one step. */
export function powers(values: readonly number[]): { from: number; to: number } {
  const logs = values.filter((value) => value > 0).map(Math.log10);
  const from = Math.floor(Math.min(...logs) + 1e-9);
  const to = Math.max(from + 1, Math.ceil(Math.max(...logs) - 1e-9));
  return { from, to };
}

function scale(values: readonly number[], start: number, end: number, tight: boolean): Scale {
  const { from, to } = powers(values);
  // An axis of sizes ends with the greatest one, such as 20,000.
  const last = tight ? Math.log10(Math.max(...values)) : to;
  const span = Math.max(last - from, 1e-9);
  const ticks: number[] = [];
  const at = (value: number): number => start + (Math.log10(value) - from) / span * (end - start);
  for (let power = from; power <= last + 1e-9; power++) ticks.push(10 ** power);
  const greatest = Math.max(...values);
  if (tight && last > Math.floor(last)) {
    // Its label needs room.
    while (at(greatest) - at(ticks.at(-1) ?? 0) < 40 && ticks.length > 1) ticks.pop();
    ticks.push(greatest);
  }
  return { ticks, at };
}

interface Curve {
  readonly name: string;
  readonly points: readonly Point[];
  readonly bare: boolean;
}

function curvesOf(points: readonly Point[]): Curve[] {
  const names = new Map<string, Point[]>();
  for (const point of points) names.set(point.name, [...names.get(point.name) ?? [], point]);
  return [...names].map(([name, own]) => ({
    name,
    points: own.toSorted((a, b) => a.x - b.x),
    bare: own.some(({ yardstick }) => yardstick === true),
  }));
}

/** Moves places that are too close apart, keeping their order, within `top` and `bottom`. */
export function spread(
  wanted: readonly number[],
  apart: number,
  top: number,
  bottom: number,
): number[] {
  const order = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y);
  let last = top - apart;
  for (const one of order) last = one.y = Math.max(one.y, last + apart);
  let next = bottom + apart;
  for (const one of order.toReversed()) next = one.y = Math.min(one.y, next - apart);
  const places = wanted.slice();
  for (const { y, i } of order) places[i] = y;
  return places;
}

function drawPanel(panel: Panel, points: readonly Point[], left: number, top: number): string {
  const { title, x, y } = PANELS[panel];
  const curves = curvesOf(points);
  const x0 = left + PLOT.left;
  const y0 = top + PLOT.top;
  const x1 = x0 + PLOT.width;
  const y1 = y0 + PLOT.height;
  const across = scale(points.map((point) => point.x), x0, x1, true);
  const up = scale(points.map(valueOf), y1, y0, false);
  const parts = [`<text class="title" x="${x0}" y="${y0 - 16}">${escape(title)}</text>`];
  for (const tick of across.ticks) {
    const at = n(across.at(tick));
    parts.push(`<path class="grid" d="M${at} ${y0}V${y1}"/>`);
    parts.push(`<text class="dim" x="${at}" y="${y1 + 17}" text-anchor="middle">`);
    parts.push(`${axisLabel(tick)}</text>`);
  }
  for (const tick of up.ticks) {
    const at = up.at(tick);
    parts.push(`<path class="grid" d="M${x0} ${n(at)}H${x1}"/>`);
    parts.push(`<text class="dim" x="${x0 - 7}" y="${n(at + 4)}" text-anchor="end">`);
    parts.push(`${axisLabel(tick)}</text>`);
  }
  parts.push(`<text class="small" x="${x0}" y="${y1 + 34}">${escape(x)} → · ↑ ${escape(y)}</text>`);
  const places = spread(
    curves.map(({ points }) => up.at(valueOf(points.at(-1) as Point))),
    LINE,
    y0 + 4,
    y1 - 2,
  );
  let colour = 0;
  curves.forEach(({ name, points, bare }, i) => {
    const ink = bare ? "var(--dim)" : `var(--c${colour++ % 7})`;
    const dots = points.map((point) => [n(across.at(point.x)), n(up.at(valueOf(point)))] as const);
    const kind = bare ? "line bare" : "line";
    const path = `M${dots.map((dot) => dot.join(" ")).join("L")}`;
    parts.push(`<path class="${kind}" stroke="${ink}" d="${path}"/>`);
    for (const [cx, cy] of dots) {
      parts.push(`<circle cx="${cx}" cy="${cy}" r="2.6" fill="${ink}"/>`);
    }
    const [endX = "0", endY = "0"] = dots.at(-1) ?? [];
    const place = places[i] ?? 0;
    parts.push(`<path class="to" stroke="${ink}" d="M${endX} ${endY}L${x1 + 12} ${n(place)}"/>`);
    parts.push(
      `<text x="${x1 + 16}" y="${n(place + 4)}" style="fill:${ink}">${escape(name)}</text>`,
    );
  });
  return parts.join("\n");
}

/** The picture of a run. */
export function draw({ header, measured }: Run<Point>): string {
  const panels = (Object.keys(PANELS) as Panel[]).filter((panel) =>
    measured.some((point) => point.panel === panel)
  );
  const rows = Math.ceil(panels.length / 2);
  const height = HEAD + rows * CELL.height + 14;
  const cells = panels.map((panel, i) =>
    drawPanel(
      panel,
      measured.filter((point) => point.panel === panel),
      (i % 2) * CELL.width,
      HEAD + (i >> 1) * CELL.height,
    )
  );
  const from = `${header.date.slice(0, 10)}, commit ${header.commit}: ${describe(header.machine)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
    `width="${WIDTH}" height="${height}" role="img" aria-label="How cost grows">
<style>${STYLE}</style>
<rect width="100%" height="100%" fill="var(--back)"/>
<text class="dim" x="62" y="26">${
      escape(from)
    }; dashed: bare programs that do no more than they must</text>
${cells.join("\n")}
</svg>
`;
}
