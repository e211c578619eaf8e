/**
 * The fields shown as columns, stored per pool.
 *
 * @module
 */

import { keep, keptValue } from "./prefs.js";

/** @typedef {string[]} Path */

const COLUMNS = 12;

/** @param {string} pool */
const place = (pool) => `pins:${pool}`;

/** @param {string} pool @returns {Path[]} */
export function storedPins(pool) {
  const pins = keptValue(place(pool));
  if (!Array.isArray(pins)) return [];
  return pins.filter(Array.isArray).map((path) => path.map(String)).slice(0, COLUMNS);
}

/** @param {Path} a @param {Path} b */
export const samePath = (a, b) => a.join("\0") === b.join("\0");

/** Pins or unpins. @param {string} pool @param {Path[]} pins @param {Path} path @returns {Path[]} */
export function togglePin(pool, pins, path) {
  const without = pins.filter((pin) => !samePath(pin, path));
  const now = without.length < pins.length ? without : [...pins, path];
  keep(place(pool), JSON.stringify(now));
  return now;
}
