/**
 * What a person prefers, kept in this browser for all tabs: the theme, how times are written, and
 * the pools that were opened last.
 *
 * @module
 */

/** @typedef {"system" | "light" | "dark"} Theme */
/** @typedef {"local" | "utc" | "relative"} Times */

const PREFIX = "plasmite-";
/** How many pools are remembered. */
const RECENT = 12;

/** @param {string} name */
function kept(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // Storage is switched off.
  }
}

/** @param {string} name @param {string} value empty for the default */
function keep(name, value) {
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

/** The pools that were opened last, the newest first. @returns {string[]} */
export function recentPools() {
  try {
    const names = JSON.parse(kept("recent") ?? "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
  } catch {
    return []; // Something else wrote there.
  }
}

/** @param {string} name of a pool that is opened */
export function visited(name) {
  const names = [name, ...recentPools().filter((other) => other !== name)].slice(0, RECENT);
  keep("recent", JSON.stringify(names));
}

if (typeof document !== "undefined") {
  take();
  addEventListener("storage", (event) => event.key?.startsWith(PREFIX) && take());
}
