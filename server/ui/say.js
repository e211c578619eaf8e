/**
 * What screen readers say without being asked: one live region for the whole page, which speaks at
 * most every ten seconds. What happens in between is said together.
 *
 * @module
 */

/** The least time between two announcements, in milliseconds. */
const EVERY = 10_000;
/** How long to wait for what happens at the same time. */
const SOON = 100;
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

/** @type {Map<string, string | (() => string)>} */
const waiting = new Map();
let spokeAt = -Infinity;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Says a text soon, or with others as soon as ten seconds have passed. @param {string | (() =>
 * string)} text a function is asked at that time @param {string} [about] replaces what waits about
 * the same thing
 */
export function say(text, about = String(text)) {
  if (!region) return;
  waiting.delete(about);
  waiting.set(about, text);
  for (const old of [...waiting.keys()].slice(0, -MOST)) waiting.delete(old);
  timer ??= setTimeout(speak, Math.max(SOON, spokeAt + EVERY - performance.now()));
}

function speak() {
  timer = undefined;
  spokeAt = performance.now();
  const texts = [...waiting.values()].map((text) => typeof text === "string" ? text : text());
  waiting.clear();
  if (!region) return;
  // Outside of a modal dialog nothing is read.
  const place = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
  if (region.parentElement !== place) place.append(region);
  region.textContent = texts.filter((text) => text !== "").join(". ");
}
