/**
 * The columns of the table of pools: what each says of a pool, and of a group.
 *
 * @module
 */

import { ago, bytes, count, h, moment, short, span, svg } from "./dom.js";
import { meter } from "./facts.js";
import { fillsIn, trouble } from "./pools_order.js";
import { BARS, rates } from "./rate.js";
import { roughly } from "./times.js";

/** @typedef {import("./pools_order.js").Column} Column */
/** @typedef {import("./pools_order.js").Item} Item */
/** @typedef {import("./dom.js").Child} Child */
/** @typedef {[words: string, draw?: (() => Child[]) | null, title?: string]} Cell what it says, which decides whether it is drawn again */
/** @typedef {{id: Column, title: string, about?: string, cell: (item: Item, now: number) => Cell, sum?: (items: Item[]) => string}} Head */

const DASH = "–";

/** @param {number[]} values */
function sparkline(values) {
  const top = Math.max(1, ...values);
  const root = svg("svg", {
    viewBox: `0 0 ${BARS * 4} 24`,
    class: values.some((v) => v > 0) ? "spark" : "spark idle",
    "aria-hidden": "true",
    preserveAspectRatio: "none",
  });
  const y = (/** @type {number} */ v) => (23 - v / top * 21).toFixed(1);
  const line = values.map((v, i) => `${i ? "L" : "M"}${i * 4 + 2} ${y(v)}`).join("");
  root.append(
    svg("path", { d: `${line}L${BARS * 4 - 2} 24L2 24Z`, class: "area" }),
    svg("path", { d: line, class: "line" }),
  );
  return root;
}

/** @param {Item[]} items @param {(item: Item) => number} of */
const total = (items, of) => items.reduce((sum, item) => sum + of(item), 0);

/** @param {Item} item @returns {Cell} */
function state({ pool, known }) {
  if (pool.error) return [pool.error.kind, null, pool.error.message];
  return known.damage ? ["damaged", null, known.damage] : ["ok"];
}

/** @param {Item} item @returns {Cell} */
function fullness({ pool }) {
  const use = pool.metrics?.utilization;
  if (!use) return [DASH];
  const words = `${Math.round(use.used_percent)}%`;
  const size = bytes(pool.ring_size);
  return [
    `${words} of ${size}`,
    () => [meter(use.used_percent), ` ${words} `, h("small", { class: "of" }, `of ${size}`)],
    `${bytes(use.used_bytes)} of ${size}`,
  ];
}

/** @param {Item} item @returns {Cell} */
function full({ pool, known }) {
  const ms = fillsIn(pool, known.minute);
  if (!pool.metrics) return [DASH];
  if (ms === 0) return ["full", null, "The oldest messages make room for new ones"];
  return ms === Infinity
    ? [DASH, null, "Nothing fills it now"]
    : [`about ${roughly(ms)}`, null, "At the rate of the last minute"];
}

/** @param {Item} item @returns {Cell} */
function retained({ pool }) {
  const { oldest_time: a, newest_time: b } = pool.metrics?.age ?? {};
  if (!a || !b) return [DASH];
  const from = Date.parse(a);
  return [span(Date.parse(b) - from), null, `Since ${moment(from)}`];
}

/** @param {Item} item @returns {Cell} */
function newest({ pool }, now = 0) {
  const { newest_time: time, newest_age_ms: age } = pool.metrics?.age ?? {};
  if (!pool.metrics) return [DASH];
  if (!time) return ["never"];
  return [ago(now - (age ?? now - Date.parse(time)), now), null, moment(Date.parse(time))];
}

/** @param {Item} item @returns {Cell} */
function readers({ known: { readers: of } }) {
  if (!of?.count) return [of ? "0" : DASH];
  const late = [of.lag && `${short(of.lag)} behind`, of.pending && `${short(of.pending)} pending`];
  return [[of.count, ...late.filter(Boolean)].join(", ")];
}

/** @type {readonly Head[]} */
export const COLUMNS = [
  { id: "name", title: "Pool", cell: ({ pool }) => [pool.name] },
  {
    id: "state",
    title: "State",
    about: "Whether it can be read",
    cell: state,
    sum: (items) => {
      const bad = items.filter(({ pool, known }) => trouble(pool, known));
      return bad.length ? `${bad.length} damaged` : "ok";
    },
  },
  {
    id: "minute",
    title: "Last minute",
    about: "Messages over the last minute",
    cell: ({ pool }, now) => {
      const values = rates(pool.name, now);
      return [values.map((v) => v.toFixed(1)).join(), () => [sparkline(values)]];
    },
  },
  {
    id: "rate",
    title: "Rate",
    about: "Messages a second",
    cell: ({ known: { rate } }) => [rate === null ? DASH : `${short(rate)}/s`],
    sum: (items) => `${short(total(items, ({ known }) => known.rate ?? 0))}/s`,
  },
  { id: "fill", title: "Fill", cell: fullness },
  { id: "full", title: "Fills in", about: "When it is about full", cell: full },
  {
    id: "messages",
    title: "Messages",
    cell: ({ pool: { metrics, bounds } }) => [
      metrics ? count(metrics.message_count) : DASH,
      null,
      bounds?.oldest === undefined ? "" : `${bounds.oldest} to ${bounds.newest}`,
    ],
    sum: (items) => count(total(items, ({ pool }) => pool.metrics?.message_count ?? 0)),
  },
  { id: "retained", title: "Retained", about: "How far back it reaches", cell: retained },
  { id: "newest", title: "Newest", cell: newest },
  {
    id: "followers",
    title: "Followers",
    about: "Streams of this server that follow it",
    cell: ({ pool }) => [pool.followers === undefined ? DASH : count(pool.followers)],
  },
  {
    id: "readers",
    title: "Cursors",
    about: "Cursors and work groups, and how far they are behind",
    cell: readers,
  },
];

/**
 * What a cell says; where a pool cannot be opened, the reason stands across the row. @param {Head} head
 * @param {Item} item @param {number} now @returns {Cell}
 */
export function cellOf({ id, cell }, item, now) {
  const { error } = item.pool;
  if (!error || id === "state") return cell(item, now);
  return id === "rate" ? [error.message] : [""];
}
