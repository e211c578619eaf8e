/**
 * The line of numbers about a pool, and the text shown without messages.
 *
 * @module
 */

import { rights } from "./api.js";
import { button, bytes, count, fill, h, moment, refill, short, span, upper } from "./dom.js";
import { rateOf } from "./rate.js";
import { say } from "./say.js";

const LOADING = "Loading…";

/** @param {number} percent */
export function meter(percent) {
  const bar = h("span", null);
  bar.style.width = `${Math.min(100, percent)}%`;
  return h("span", { class: "meter", "aria-hidden": "true" }, bar);
}

/** @param {string} name @param {...(import("./dom.js").Child)} value */
const fact = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, value));

/**
 * Draws the line of numbers. @param {Element} element @param {import("./api.js").Pool | null} info
 */
export function drawFacts(element, info) {
  const metrics = info?.metrics;
  if (!info || !metrics) return fill(element);
  const { oldest_time: a, newest_time: b } = metrics.age;
  const rate = rateOf(info.name);
  const used = metrics.utilization.used_percent;
  const kept = a && b ? span(Date.parse(b) - Date.parse(a)) : "–";
  const range = a && h("small", null, ` #${info.bounds?.oldest} – #${info.bounds?.newest}`);
  return fill(
    element,
    fact("Rate", rate === null ? "–" : `${short(rate)}/s`),
    fact("Messages", count(metrics.message_count), range),
    fact(
      "Fill",
      meter(used),
      `${Math.round(used)}%`,
      h("small", null, ` of ${bytes(info.ring_size)}`),
    ),
    fact("Retained", kept, a && h("small", null, ` since ${moment(Date.parse(a))}`)),
    info.followers !== undefined && fact("Followers", count(info.followers)),
  );
}

/**
 * Draws the text shown without messages.
 * @param {Element} element
 * @param {Empty} view
 */
export function drawEmpty(element, view) {
  const { title, words, code, act } = emptyWords(view);
  const changed = refill(
    element,
    h("h2", null, title),
    words && h("p", null, words),
    act && h("p", null, act),
    code && h("code", null, code),
  );
  if (changed && title !== LOADING) say(title, "empty");
}

/**
 * What a list without rows depends on.
 * @typedef {object} Empty
 * @property {string} name
 * @property {boolean} past
 * @property {boolean} reading
 * @property {boolean} filtered
 * @property {string | undefined} state
 * @property {import("./api.js").ApiError | null | undefined} problem
 * @property {() => void} create creates the pool
 */

/**
 * @param {Empty} view
 * @returns {{title: string, words?: string, code?: string, act?: HTMLElement | false}}
 */
function emptyWords({ name, past, reading, filtered, state, problem, create }) {
  if (!rights.read) {
    return {
      title: rights.session ? "Messages can only be added" : "This server does not allow reading",
      words: rights.session
        ? "The access key allows to append only."
        : "It runs with --access write-only.",
    };
  }
  if (reading || state === "connecting" || (state === undefined && !past)) {
    return { title: LOADING };
  }
  if (past) {
    return {
      title: "Nothing in this range",
      words: "Drag over another part of the timeline, or go back to live.",
    };
  }
  if (state === "missing") {
    return {
      title: `There is no pool called ${name}`,
      words: "It is shown here as soon as someone creates it.",
      code: `plasmite pool create ${name}`,
      act: rights.admin &&
        button(`Create ${name}`, create, {
          text: `Create ${name}`,
          icon: "plus",
          class: "primary",
        }),
    };
  }
  if (state === "corrupt") {
    return {
      title: "The pool is damaged",
      words: `The server cannot open it: ${problem?.message ?? "the file is damaged"}.`,
      code: `plasmite doctor ${name}`,
    };
  }
  if (state === "reconnecting") {
    return {
      title: problem?.status ? upper(problem.message) : "The server does not answer",
      words: "This page reconnects automatically.",
    };
  }
  if (state === "stopped") {
    return { title: upper(problem?.message ?? "Stopped"), words: problem?.hint ?? "" };
  }
  if (filtered) {
    return {
      title: "No message matches",
      words: "New matches appear here. Clear the filter to see everything.",
    };
  }
  return {
    title: "No messages yet",
    words: "New messages appear here immediately. Try it:",
    code: `plasmite feed ${name} '{"hello":"world"}'`,
  };
}
