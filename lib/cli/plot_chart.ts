/**
 * A line chart of braille characters: numbers over time, a colour a series. Knows nothing of
 * messages.
 *
 * @module
 */

import { fitMiddle, textWidth } from "./line_width.ts";

/** A number at a time. */
export interface Point {
  /** In milliseconds since 1970. */
  readonly at: number;
  readonly value: number;
}

/** What is drawn. */
export interface ChartView {
  readonly series: ReadonlyMap<string, readonly Point[]>;
  /** The width in characters. */
  readonly columns: number;
  /** The height in lines, with the axis and the legend. */
  readonly lines: number;
  readonly colored: boolean;
}

/** SGR numbers of the series, in order. */
const COLORS = [36, 33, 35, 32, 34, 31, 96, 93];
/** Dots of a braille character: bit numbers by column and row. */
const DOTS: readonly (readonly number[])[] = [[0, 1, 2, 6], [3, 4, 5, 7]];
const BRAILLE = 0x2800;

/** A canvas of braille dots, 2 × 4 a character. */
class Canvas {
  readonly #cells: Uint8Array;
  readonly #colors: Uint8Array;

  constructor(readonly width: number, readonly height: number) {
    this.#cells = new Uint8Array(width * height);
    this.#colors = new Uint8Array(width * height);
  }

  /** Sets a dot; the last colour of a character wins. */
  set(x: number, y: number, color: number): void {
    const cell = (y >> 2) * this.width + (x >> 1);
    const bit = DOTS[x & 1]?.[y & 3] ?? 0;
    this.#cells[cell] = (this.#cells[cell] ?? 0) | (1 << bit);
    this.#colors[cell] = color;
  }

  /** A straight line of dots. */
  line(x0: number, y0: number, x1: number, y1: number, color: number): void {
    const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1);
    for (let i = 0; i <= steps; i++) {
      const part = i / steps;
      this.set(Math.round(x0 + (x1 - x0) * part), Math.round(y0 + (y1 - y0) * part), color);
    }
  }

  /** One line of characters. */
  row(y: number, colored: boolean): string {
    let text = "";
    let current = 0;
    for (let x = 0; x < this.width; x++) {
      const cell = this.#cells[y * this.width + x] ?? 0;
      const color = cell === 0 ? 0 : this.#colors[y * this.width + x] ?? 0;
      if (colored && color !== current) text += color === 0 ? "\x1b[0m" : `\x1b[${color}m`;
      current = color;
      text += cell === 0 ? " " : String.fromCharCode(BRAILLE + cell);
    }
    return colored && current !== 0 ? `${text}\x1b[0m` : text.trimEnd();
  }
}

/** A number of the axis: as short as tells its neighbours apart. */
function label(value: number, step: number): string {
  const digits = step >= 1 || step === 0 ? 0 : Math.min(6, Math.ceil(-Math.log10(step)));
  const text = value.toFixed(digits);
  return text.length > 12 ? value.toExponential(3) : text;
}

/** `09:12:03`, or the date as well where the chart spans more than a day. */
function time(at: number, spanMs: number): string {
  const when = new Date(at);
  const two = (n: number): string => String(n).padStart(2, "0");
  const clock = `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
  return spanMs < 86_400_000
    ? clock
    : `${two(when.getMonth() + 1)}-${two(when.getDate())} ${clock}`;
}

/** As many names as fit, at least the first. */
function fitLegend(legend: readonly string[], columns: number, colored: boolean): string {
  // deno-lint-ignore no-control-regex
  const width = (text: string): number => textWidth(text.replaceAll(/\x1b\[\d*m/g, ""));
  const shown = [...legend];
  while (shown.length > 1 && width(shown.join("  ")) > columns) shown.pop();
  const text = shown.join("  ");
  return width(text) > columns && !colored ? fitMiddle(text, columns) : text;
}

/** The chart, a text a line: the legend, the lines, the axis of time. */
export function chart({ series, columns, lines, colored }: ChartView): string[] {
  let [first, last, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const points of series.values()) {
    for (const { at, value } of points) {
      [first, last] = [Math.min(first, at), Math.max(last, at)];
      [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
  }
  if (first > last) return ["Nothing to draw yet"];
  if (low === high) [low, high] = [low - 1, high + 1];
  const height = Math.max(2, lines - 2);
  const step = (high - low) / (height - 1);
  const labels = Array.from({ length: height }, (_, y) => label(high - step * y, step));
  const margin = Math.max(...labels.map((text) => text.length)) + 1;
  const canvas = new Canvas(Math.max(2, columns - margin - 1), height);
  const x = (at: number): number =>
    last === first ? 0 : Math.round((at - first) / (last - first) * (canvas.width * 2 - 1));
  const y = (value: number): number =>
    Math.round((high - value) / (high - low) * (canvas.height * 4 - 1));
  const legend: string[] = [];
  for (const [i, [name, points]] of [...series].entries()) {
    const color = COLORS[i % COLORS.length] ?? 0;
    let before: Point | null = null;
    for (const point of points) {
      const from = before ?? point;
      canvas.line(x(from.at), y(from.value), x(point.at), y(point.value), color);
      before = point;
    }
    const text = `${name} ${label(points.at(-1)?.value ?? 0, step / 10)}`;
    legend.push(colored ? `\x1b[${color}m${text}\x1b[0m` : text);
  }
  const every = Math.max(1, Math.floor(height / 4));
  const body = labels.map((text, row) => {
    const shown = row % every === 0 || row === height - 1 ? text : "";
    return `${shown.padStart(margin - 1)} │${canvas.row(row, colored)}`;
  });
  const [begin, end] = [time(first, last - first), time(last, last - first)];
  const gap = Math.max(1, columns - margin - begin.length - end.length);
  return [
    fitLegend(legend, columns, colored),
    ...body,
    `${" ".repeat(margin)}${begin}${" ".repeat(gap)}${end}`,
  ];
}
