/**
 * What is kept in this browser for all tabs. Here: what a person prefers, the theme and how times are
 * written, and the pools that were opened last.
 *
 * @module
 */

/** @typedef {"system" | "light" | "dark"} Theme */
/** @typedef {"local" | "utc" | "relative"} Times */

const PREFIX = "plasmite-";
/** How many pools are remembered. */
const RECENT = 12;

/** What is kept by that name; null for nothing. @param {string} name */
export function kept(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // Storage is switched off.
  }
}

/**
 * What is kept by that name as JSON; null if there is nothing, or something else wrote there.
 * @param {string} name @returns {any}
 */
export function keptValue(name) {
  try {
    return JSON.parse(kept(name) ?? "null");
  } catch {
    return null;
  }
}

/** Texts that are kept by that name, the newest first. @param {string} name @returns {string[]} */
export function keptTexts(name) {
  const texts = keptValue(name);
  return Array.isArray(texts) ? texts.filter((text) => typeof text === "string") : [];
}

/** Keeps a text as the newest of at most so many. @param {string} name @param {string} text @param {number} most */
export function keepText(name, text, most) {
  const texts = [text, ...keptTexts(name).filter((other) => other !== text)].slice(0, most);
  keep(name, JSON.stringify(texts));
}

/** @param {string} name @param {string} value empty for the default, which is not kept */
export function keep(name, value) {
  try {
    if (value) localStorage.setItem(PREFIX + name, value);
    else localStorage.removeItem(PREFIX + name);
  } catch { /* storage is switched off: it holds for this page */ }
}

/** What is preferred now; change it with `prefer`. */
export const prefs = {
  theme: /** @type {Theme} */ ("system"),
  times: /** @type {Times} */ ("local"),
};

/** Reads what is kept, and tells the page what has changed. */
function take() {
  const theme = kept("theme"), times = kept("times");
  show(
    theme === "light" || theme === "dark" ? theme : "system",
    times === "utc" || times === "relative" ? times : "local",
  );
}

/** @param {Theme} theme @param {Times} times */
function show(theme, times) {
  const changed = prefs.theme !== theme || prefs.times !== times;
  Object.assign(prefs, { theme, times });
  const { dataset } = document.documentElement;
  if (theme === "system") delete dataset["theme"];
  else dataset["theme"] = theme;
  if (changed) document.dispatchEvent(new Event("plasmite-prefs"));
}

/** @param {Partial<typeof prefs>} wish */
export function prefer(wish) {
  const { theme, times } = { ...prefs, ...wish };
  keep("theme", theme === "system" ? "" : theme);
  keep("times", times === "local" ? "" : times);
  show(theme, times);
}

/**
 * Calls a function whenever preferences change. @param {() => void} changed @returns {() => void}
 * ends it
 */
export function onPrefs(changed) {
  document.addEventListener("plasmite-prefs", changed);
  return () => document.removeEventListener("plasmite-prefs", changed);
}

/**
 * Calls a function whenever colours may have changed, by preference or with the system's theme.
 * @param {() => void} changed @returns {() => void} ends it
 */
export function onColors(changed) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", changed);
  const end = onPrefs(changed);
  return () => {
    dark.removeEventListener("change", changed);
    end();
  };
}

/** Where asked.js keeps what was asked for; signing out empties it. */
export const ASKED = "asked";

/** The pools that were opened last, the newest first. */
export const recentPools = () => keptTexts("recent");

/** @param {string} name of a pool that is opened */
export const visited = (name) => keepText("recent", name, RECENT);

if (typeof document !== "undefined") {
  take();
  addEventListener("storage", (event) => event.key?.startsWith(PREFIX) && take());
}
