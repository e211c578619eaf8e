/**
 * What screen readers say without being asked: one live region for the whole page, which speaks at
 * most every ten seconds. What happens in between is said together.
 *
 * @module
 */

/** The least time between two announcements, in milliseconds. */
const EVERY = 10_000;
/** Announcements that wait; more of them would not be listened to. */
const MOST = 5;

// There from the beginning: what a region holds when it appears is often not read.
const region = makeRegion();

function makeRegion() {
  // Tests import what needs no page.
  if (typeof document === "undefined") return null;
  const made = document.createElement("div");
  made.className = "offscreen";
  made.setAttribute("role", "status");
  document.body.append(made);
  return made;
}

/** @type {string[]} */
let waiting = [];
let spokeAt = -Infinity;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Says a text now, or with others as soon as ten seconds have passed. @param {string} text @param
 * {string} [about] replaces what waits about the same thing
 */
export function say(text, about = text) {
  waiting = waiting.filter((one) => !one.startsWith(`${about}\0`));
  waiting.push(`${about}\0${text}`);
  waiting.splice(0, waiting.length - MOST);
  timer ??= setTimeout(speak, Math.max(0, spokeAt + EVERY - performance.now()));
}

function speak() {
  timer = undefined;
  spokeAt = performance.now();
  if (region) {
    region.textContent = waiting.map((one) => one.slice(one.indexOf("\0") + 1)).join(". ");
  }
  waiting = [];
}
