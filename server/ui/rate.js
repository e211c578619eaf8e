/**
 * The rate of messages, from newest sequence numbers over the last minute, including the minute
 * before the page was opened.
 *
 * @module
 */

import { messageAt } from "./api.js";
import { serverNow } from "./times.js";

/** @typedef {import("./api.js").Pool} Pool */
/** @typedef {{t: number, seq: number}} Point when a sequence number was the newest */

const MINUTE = 60_000;
/** What counts as now, in milliseconds. */
const RECENT = 5000;
export const BARS = 30;

/** Newest sequence numbers over the last minute by pool name. @type {Map<string, Point[]>} */
const history = new Map();

/** @param {Pool} pool */
const newest = (pool) => Number(pool.bounds?.newest ?? 0);

/** Records the current state of a pool. @param {Pool} pool @param {number} now */
export function remember(pool, now) {
  let points = history.get(pool.name);
  if (!points || (points.at(-1)?.seq ?? 0) > newest(pool)) history.set(pool.name, points = []);
  const last = points.at(-1), seq = newest(pool);
  // In a pool where nothing happens two points say it all.
  if (last && last.seq === seq && points.at(-2)?.seq === seq) last.t = now;
  else points.push({ t: now, seq });
  while ((points[1]?.t ?? now) < now - MINUTE) points.shift();
  return points;
}

/**
 * The sequence number at a time, interpolated between points. @param {Point[]} points @param
 * {number} t
 */
function seqAt(points, t) {
  let a = points[0];
  if (!a || t <= a.t) return a?.seq ?? 0;
  for (const b of points) {
    if (b.t >= t) return a.seq + (b.seq - a.seq) * (b.t === a.t ? 1 : (t - a.t) / (b.t - a.t));
    a = b;
  }
  return a.seq;
}

/** Messages per second in each part of the last minute, oldest first. @param {string} name @param {number} now */
export function rates(name, now) {
  const points = history.get(name) ?? [];
  const step = MINUTE / BARS;
  return Array.from({ length: BARS }, (_, i) => {
    const from = now - MINUTE + i * step;
    return Math.max(0, seqAt(points, from + step) - seqAt(points, from)) * 1000 / step;
  });
}

/** Messages per second over the last minute, or since the pool is known. @param {string} name @param {number} now */
export function minuteRate(name, now) {
  const points = history.get(name) ?? [];
  const first = points[0];
  const from = Math.max(now - MINUTE, first?.t ?? now);
  return now - from < 1000 ? 0 : (seqAt(points, now) - seqAt(points, from)) * 1000 / (now - from);
}

/** Messages per second over the last seconds. @param {string} name */
export function rateOf(name) {
  const points = history.get(name) ?? [];
  const last = points.at(-1);
  const from = Math.max(points[0]?.t ?? 0, (last?.t ?? 0) - RECENT);
  return !last || from === last.t
    ? null
    : (last.seq - seqAt(points, from)) * 1000 / (last.t - from);
}

/**
 * Estimates the minute before the page was opened from a few older messages at growing distances.
 * @param {Pool} pool
 */
export async function recall(pool) {
  const end = newest(pool), oldest = Number(pool.bounds?.oldest ?? 1);
  const now = Date.now();
  const last = Date.parse(pool.metrics?.age.newest_time ?? "");
  // How far this clock is ahead of the server's.
  const ahead = now - serverNow();
  const points = history.get(pool.name) ?? [];
  if (!end || !(now - ahead - last < MINUTE)) {
    points.unshift({ t: now - MINUTE, seq: end });
    return;
  }
  /** @type {Point[]} */
  const back = [{ t: last + ahead, seq: end }];
  for (let d = 1; end - d >= oldest; d *= 2) {
    const point = await messageAt(pool.name, BigInt(end - d));
    if (!point) break;
    back.unshift({ t: point.t + ahead, seq: end - d });
    if (point.t + ahead < now - MINUTE) break;
  }
  const first = points[0];
  if (!first) return;
  points.unshift(...back.filter((p) => p.t < first.t && p.seq <= first.seq));
}
