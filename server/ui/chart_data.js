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
/** How many rows are read between two looks at the clock. */
const STEP = 250;
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

/**
 * What was read of the rows: lines by name, and by the tags of their messages, which are often the same.
 * @typedef {object} Progress
 * @property {string} wanted @property {number} read
 * @property {Row | undefined} first @property {Row | undefined} last
 * @property {Map<string, Series>} series @property {Map<string, Series | null>} byTags
 * @property {number} omitted @property {number} crowded
 */

/** Nothing is read yet. @param {string} wanted @returns {Progress} */
const begin = (wanted) => ({
  wanted,
  read: 0,
  first: undefined,
  last: undefined,
  series: new Map(),
  byTags: new Map(),
  omitted: 0,
  crowded: 0,
});

export class ChartData {
  /** @type {Map<string, Series>} */
  series = new Map();
  /** Messages without a number at the path. */
  omitted = 0;
  /** Messages of further tags. */
  crowded = 0;
  /** The value of each message, NaN for none. @type {WeakMap<Row, number>} */
  #known = new WeakMap();
  #now = begin("");

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
   * Reads what has been added to the rows since the last time, or all of them if others were there. What
   * was read before is shown until all is read.
   * @param {readonly Row[]} rows
   * @param {readonly string[]} wanted tags that every message has, so that they name no line
   * @param {number} [most] milliseconds, or a little longer @returns {boolean} whether all is read
   */
  read(rows, wanted, most = Infinity) {
    const key = wanted.join("\0");
    let now = this.#now;
    const isSame = key === now.wanted && now.read <= rows.length &&
      (now.read === 0 || (rows[0] === now.first && rows[now.read - 1] === now.last));
    if (!isSame) now = this.#now = begin(key);
    const end = performance.now() + most;
    while (now.read < rows.length) {
      const stop = Math.min(rows.length, now.read + STEP);
      while (now.read < stop) this.#take(now, rows[now.read++], wanted);
      if (performance.now() > end) break;
    }
    now.first = rows[0];
    now.last = rows[now.read - 1];
    if (now.read < rows.length) return false;
    const { series, omitted, crowded } = now;
    Object.assign(this, { series, omitted, crowded });
    for (const one of series.values()) summarize(one);
    return true;
  }

  /** @param {Progress} now @param {Row | undefined} row @param {readonly string[]} wanted */
  #take(now, row, wanted) {
    if (row?.kind !== "message") return;
    const value = this.#valueOf(row);
    if (!Number.isFinite(value)) {
      now.omitted++;
      return;
    }
    const tags = row.tags.join("\0");
    let series = now.byTags.get(tags);
    if (series === undefined) now.byTags.set(tags, series = this.#line(now, row.tags, wanted));
    if (series) series.points.push({ t: row.t, value });
    else now.crowded++;
  }

  /** @param {Progress} now @param {readonly string[]} tags @param {readonly string[]} wanted */
  #line(now, tags, wanted) {
    const own = tags.filter((tag) => !wanted.includes(tag));
    const name = own.length ? own.map((tag) => `#${tag}`).join(" ") : jqPath(this.path);
    let series = now.series.get(name);
    if (!series) {
      if (now.series.size >= MOST_SERIES) return null;
      series = { name, points: [], last: NaN, low: NaN, high: NaN, p50: NaN, p95: NaN };
      now.series.set(name, series);
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
