/**
 * The numbers of a chart: a line for each set of tags, with what a person asks of it. The rules are
 * those of `follow --plot` (docs/spec/command-line.md): what is no number is counted, not drawn.
 * Without elements, so that it is tested without a browser.
 *
 * @module
 */

import { jqPath } from "./clauses.js";
import { members, pick } from "./json.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */
/** @typedef {{t: number, value: number}} Point */
/**
 * @typedef {object} Series
 * @property {string} name
 * @property {Point[]} points in the order of the messages
 * @property {number} last
 * @property {number} low
 * @property {number} high
 * @property {number} p50
 * @property {number} p95
 */

/** How many lines are drawn; messages of further ones are counted. */
export const MOST_SERIES = 8;
/** How many points of a line are sorted for its percentiles; of more, every n-th. */
const SAMPLE = 20_000;
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The path in a text such as `.data.cpu["user time"]`, below `data`; null if it is none. @param
 * {string} text @returns {string[] | null}
 */
export function pathOf(text) {
  const rest = text.trim().replace(/^\.data(?=[.[]|$)/, "");
  const parts = [...rest.matchAll(/\.([A-Za-z_]\w*)|\[("(?:[^"\\]|\\.)*")\]|^([A-Za-z_]\w*)/gy)];
  if (!parts.length || parts.map(([whole]) => whole).join("") !== rest) return null;
  try {
    return parts.map(([, name, quoted, bare]) => quoted ? JSON.parse(quoted) : name ?? bare ?? "");
  } catch {
    return null;
  }
}

/** The numeric fields of rows, those in most of them first. @param {readonly Row[]} rows @returns {string[]} */
export function numericFields(rows) {
  /** @type {Map<string, number>} */
  const found = new Map();
  /** @param {string} text @param {number} at @param {string[]} path */
  const look = (text, at, path) => {
    if (text[at] !== "{" || path.length > 3 || found.size > 200) return;
    members(text, at, (key, from, to) => {
      const inner = [...path, key];
      if (NUMBER.test(text.slice(from, Math.min(to, from + 40)).trim())) {
        const name = jqPath(inner);
        found.set(name, (found.get(name) ?? 0) + 1);
      } else look(text, from, inner);
    });
  };
  for (const row of rows) if (row.kind === "message") look(row.text, row.from, []);
  return [...found].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

export class ChartData {
  /** @type {Map<string, Series>} */
  series = new Map();
  /** Messages without a number at the path. */
  omitted = 0;
  /** Messages of further tags. */
  crowded = 0;
  /** The value of each message, NaN for none. @type {WeakMap<Row, number>} */
  #known = new WeakMap();

  /** @param {string[]} path below `data` */
  constructor(path) {
    this.path = path;
  }

  /** @param {Message} message */
  #valueOf(message) {
    let value = this.#known.get(message);
    if (value === undefined) {
      const text = pick(message.text, message.from, message.to, this.path)?.trim() ?? "";
      value = NUMBER.test(text) ? Number(text) : NaN;
      this.#known.set(message, value);
    }
    return value;
  }

  /**
   * Counts anew. @param {readonly Row[]} rows @param {readonly string[]} wanted tags that every
   * message has, so that they name no line
   */
  read(rows, wanted) {
    this.series = new Map();
    this.omitted = this.crowded = 0;
    /** Lines by the tags of their messages, which are often the same. @type {Map<string, Series | null>} */
    const byTags = new Map();
    for (const row of rows) {
      if (row.kind !== "message") continue;
      const value = this.#valueOf(row);
      if (!Number.isFinite(value)) {
        this.omitted++;
        continue;
      }
      const tags = row.tags.join("\0");
      let series = byTags.get(tags);
      if (series === undefined) byTags.set(tags, series = this.#line(row.tags, wanted));
      if (series) series.points.push({ t: row.t, value });
      else this.crowded++;
    }
    for (const series of this.series.values()) summarize(series);
  }

  /** @param {readonly string[]} tags @param {readonly string[]} wanted */
  #line(tags, wanted) {
    const own = tags.filter((tag) => !wanted.includes(tag));
    const name = own.length ? own.map((tag) => `#${tag}`).join(" ") : jqPath(this.path);
    let series = this.series.get(name);
    if (!series) {
      if (this.series.size >= MOST_SERIES) return null;
      series = { name, points: [], last: NaN, low: NaN, high: NaN, p50: NaN, p95: NaN };
      this.series.set(name, series);
    }
    return series;
  }

  /** What is not drawn, in words. */
  get left() {
    const counted = (/** @type {number} */ n) => `${n} message${n === 1 ? "" : "s"}`;
    return [
      this.omitted && `${counted(this.omitted)} without a number at ${jqPath(this.path)}`,
      this.crowded && `${counted(this.crowded)} of further tags`,
    ].filter(Boolean).join("; ");
  }

  /** The first and last time, the lowest and highest value; null without points. */
  get extent() {
    let [from, to, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const series of this.series.values()) {
      for (const { t } of series.points) {
        if (t < from) from = t;
        if (t > to) to = t;
      }
      low = Math.min(low, series.low);
      high = Math.max(high, series.high);
    }
    return from > to ? null : { from, to, low, high };
  }
}

/** @param {Series} series */
function summarize(series) {
  const { points } = series;
  let [low, high] = [Infinity, -Infinity];
  for (const { value } of points) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const step = Math.ceil(points.length / SAMPLE);
  const sorted = Float64Array.from(
    { length: Math.ceil(points.length / step) },
    (_, i) => points[i * step]?.value ?? 0,
  ).sort();
  const rank = (/** @type {number} */ p) =>
    sorted[Math.max(0, Math.ceil(sorted.length * p) - 1)] ?? NaN;
  Object.assign(series, { low, high, p50: rank(0.5), p95: rank(0.95) });
  series.last = points.at(-1)?.value ?? NaN;
}

/**
 * Values at which an axis has lines: round ones. @param {number} low @param {number} high @param
 * {number} most
 */
export function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  if (!(rough > 0)) return [low];
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((s) => s >= rough) ?? rough;
  const out = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) out.push(i * step);
  return out;
}

/** A number as short as tells neighbours apart. @param {number} value @param {number} range */
export function shortNumber(value, range) {
  if (!Number.isFinite(value)) return "–";
  const digits = range > 0 ? Math.max(0, Math.min(6, Math.ceil(2 - Math.log10(range)))) : 3;
  const text = Math.abs(value) >= 1e12 ? value.toExponential(3) : value.toFixed(digits);
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}
