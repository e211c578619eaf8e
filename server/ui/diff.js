/**
 * What differs between two messages: by path, with exact numbers.
 *
 * @module
 */

import { jqStep } from "./clauses.js";
import { dialog, h, span } from "./dom.js";
import { Num, parse, visible } from "./json.js";
import { styled } from "./later.js";

await styled("inspect");

/** @typedef {import("./json.js").Json} Json */
/** @typedef {import("./json.js").Message} Message */
/**
 * One difference; a side without the value has no text. @typedef {{path: string, a?: string, b?:
 * string}} Difference
 */

/** Differences that are shown, and characters of each value. */
const MOST = 500;
const LONG = 2000;

/** Compact JSON with exact numbers. @param {Json} value @returns {string} */
export function compact(value) {
  if (value instanceof Num) return value.text;
  if (Array.isArray(value)) return `[${value.map(compact).join(",")}]`;
  if (value instanceof Map) {
    return `{${[...value].map(([key, v]) => `${JSON.stringify(key)}:${compact(v)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Whether two values are the same; the order of members does not count. @param {Json} a @param {Json} b @returns {boolean} */
function same(a, b) {
  if (a instanceof Num || b instanceof Num) {
    return a instanceof Num && b instanceof Num && a.text === b.text;
  }
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((v, i) => same(v, b[i]));
  }
  if (a instanceof Map) {
    return b instanceof Map && a.size === b.size &&
      [...a].every(([key, v]) => b.has(key) && same(v, b.get(key)));
  }
  return a === b;
}

/**
 * Every path at which two values differ, the deepest that tells it.
 * @param {Json} a @param {Json} b @param {string} [path] @returns {Difference[]}
 */
export function differences(a, b, path = ".data") {
  if (a instanceof Map && b instanceof Map) return memberDifferences(a, b, path);
  if (Array.isArray(a) && Array.isArray(b)) return elementDifferences(a, b, path);
  return same(a, b) ? [] : [{ path, a: compact(a), b: compact(b) }];
}

/** @param {Map<string, Json>} a @param {Map<string, Json>} b @param {string} path */
function memberDifferences(a, b, path) {
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((key) => {
    const at = path + jqStep(key);
    if (!b.has(key)) return [{ path: at, a: compact(/** @type {Json} */ (a.get(key))) }];
    if (!a.has(key)) return [{ path: at, b: compact(/** @type {Json} */ (b.get(key))) }];
    return differences(/** @type {Json} */ (a.get(key)), /** @type {Json} */ (b.get(key)), at);
  });
}

/**
 * What two arrays have in common at both ends is left out, so that an element more is one difference.
 * Paths are those of `b`, except for what only `a` has.
 * @param {Json[]} a @param {Json[]} b @param {string} path
 */
function elementDifferences(a, b, path) {
  const of = (/** @type {Json[]} */ list, /** @type {number} */ i) => /** @type {Json} */ (list[i]);
  const shorter = Math.min(a.length, b.length);
  let head = 0, tail = 0;
  while (head < shorter && same(of(a, head), of(b, head))) head++;
  while (tail < shorter - head && same(of(a, a.length - 1 - tail), of(b, b.length - 1 - tail))) {
    tail++;
  }
  /** @type {Difference[]} */
  const found = [];
  for (let i = head; i < Math.max(a.length, b.length) - tail; i++) {
    const at = path + jqStep(i);
    if (i >= b.length - tail) found.push({ path: at, a: compact(of(a, i)) });
    else if (i >= a.length - tail) found.push({ path: at, b: compact(of(b, i)) });
    else found.push(...differences(of(a, i), of(b, i), at));
  }
  return found;
}

/** @param {readonly string[]} a @param {readonly string[]} b @returns {Difference[]} */
function tagDifferences(a, b) {
  const path = ".meta.tags";
  return [
    ...a.filter((tag) => !b.includes(tag)).map((tag) => ({ path, a: JSON.stringify(tag) })),
    ...b.filter((tag) => !a.includes(tag)).map((tag) => ({ path, b: JSON.stringify(tag) })),
  ];
}

/** Everything that differs between two messages, but number and time. @param {Message} a @param {Message} b */
export function messageDifferences(a, b) {
  const data = (/** @type {Message} */ { text, from, to }) => parse(text.slice(from, to));
  return [...tagDifferences(a.tags, b.tags), ...differences(data(a), data(b))];
}

/** @param {string | undefined} text */
const cell = (text) =>
  h(
    "td",
    null,
    text === undefined ? h("small", null, "absent") : h(
      "code",
      null,
      visible(text.length > LONG ? `${text.slice(0, LONG)}…` : text),
    ),
  );

/** Shows what differs. @param {Message} a @param {Message} b */
export function showDifferences(a, b) {
  const found = messageDifferences(a, b);
  const later = b.t >= a.t ? "later" : "earlier";
  const time = `#${b.seq} is ${span(Math.abs(b.t - a.t))} ${later} than #${a.seq}. `;
  const words = found.length === 0
    ? "Tags and data are the same."
    : found.length > MOST
    ? `The first ${MOST} of ${found.length} differences:`
    : `${found.length} difference${found.length === 1 ? "" : "s"}:`;
  const line = (/** @type {Difference} */ one) =>
    h(
      "tr",
      { class: one.a === undefined ? "added" : one.b === undefined ? "removed" : null },
      h("th", { scope: "row" }, h("code", null, visible(one.path))),
      cell(one.a),
      cell(one.b),
    );
  const box = dialog(`#${a.seq} and #${b.seq}`, () => [
    h("p", null, time + words),
    found.length > 0 && h(
      "table",
      { class: "diff" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ["Path", `#${a.seq}`, `#${b.seq}`].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h("tbody", null, found.slice(0, MOST).map(line)),
    ),
  ]);
  box.classList.add("broad");
}
