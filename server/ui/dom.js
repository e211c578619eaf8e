/**
 * Small helpers: elements, icons, formatting of numbers and times. Message content is only ever
 * inserted as text nodes, never as markup.
 *
 * @module
 */

import { unlessPressed } from "./press.js";
import { say } from "./say.js";

export { ago, clock, moment, span } from "./times.js";

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * Creates an element. Attributes starting with `on` are listeners; `class` and other strings are
 * attributes.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any> | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  add(element, children);
  return element;
}

/** @param {Node} parent @param {any[]} children */
function add(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/**
 * Replaces the children of an element, when nothing in it is pressed. @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  unlessPressed(element, () => {
    element.replaceChildren();
    add(element, children);
  });
  return element;
}

/**
 * As `fill`, unless that would change nothing to be seen. Returns whether it does.
 * @param {Element} element @param {...(Child | Child[])} children
 */
export function refill(element, ...children) {
  const made = fill(/** @type {Element} */ (element.cloneNode()), ...children);
  const changes = !made.isEqualNode(element);
  unlessPressed(element, () => changes && element.replaceChildren(...made.childNodes));
  return changes;
}

/** @param {string} tag @param {Record<string, string>} attributes */
export function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** @type {Record<string, string>} */
const ICONS = {
  pause: "M6 4v8M10 4v8",
  play: "M5.5 3.5v9l7-4.5z",
  down: "M8 3v9M4 8.5 8 12.5l4-4",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 0 1 0-9M10.3 10.3l3.2 3.2",
  close: "m4 4 8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  save: "M8 2.5v7M5 7l3 3 3-3M3 13h10",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
  send: "M2.5 8h10M8.5 4l4 4-4 4",
  pin: "M6 2.5h4l-.5 4 2.5 2.5H4l2.5-2.5zM8 9v4.5",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9",
  up: "m4 10 4-4 4 4",
  next: "m4 6 4 4 4-4",
  help: "M6 6.2a2 2 0 1 1 2.8 1.9c-.6.3-.8.6-.8 1.3M8 11.6v.2",
  bell: "M4 11.5V7a4 4 0 0 1 8 0v4.5l1 1H3zM7 14h2",
  chart: "M2.5 2.5v11h11M4.5 10.5l3-3.5 2.5 2 3.5-5",
  gear: "M2.5 5h4.2M9.8 5h3.7M2.5 11h1.7M7.3 11h6.2M8.2 3.4v3.2M5.7 9.4v3.2",
  key: "M7.4 8.6a3 3 0 1 1 1-1zM7.4 8.6l0 0 1-1 5 5v1.4h-2v-1.6H9.8v-1.6",
  out: "M9.5 3h-6v10h6M7 8h7M11.5 5.5 14 8l-2.5 2.5",
  link:
    "M7 9.5 9.5 7M6.5 5.5l1.7-1.7a2.6 2.6 0 0 1 3.7 3.7l-1.7 1.7M9.5 10.5l-1.7 1.7a2.6 2.6 0 0 1-3.7-3.7l1.7-1.7",
};

/** A 16 px line icon. @param {string} name */
export function icon(name) {
  const root = svg("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" });
  root.append(svg("path", { d: ICONS[name] ?? "" }));
  return root;
}

/**
 * A button with an icon, text, or both; `label` is its accessible name and tooltip.
 * @param {string} label
 * @param {(event: Event) => void} onclick
 * @param {{icon?: string, text?: string, class?: string, key?: string, [attribute: string]: any}}
 *   [options]
 */
export function button(label, onclick, options = {}) {
  const { icon: name, text, class: kind, key, ...rest } = options;
  return h(
    "button",
    {
      type: "button",
      class: kind ?? "quiet",
      "aria-label": text && label.startsWith(text) ? null : label,
      title: key ? `${label} (${key})` : label,
      onclick,
      ...rest,
    },
    name && icon(name),
    text && h("span", null, text),
  );
}

/** @param {number | bigint} n */
export const count = (n) => n.toLocaleString("en-US");

/** A text that starts a sentence. @param {string} text */
export const upper = (text) => `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}`;

/** `1.4k`, `23`: a rate or count with three digits. @param {number} n */
export function short(n) {
  if (n >= 1e6) return `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)}M`;
  if (n >= 1e4) return `${(n / 1e3).toFixed(n < 1e5 ? 1 : 0)}k`;
  if (n >= 10 || n === 0) return count(Math.round(n));
  return n < 0.05 ? "<0.1" : n.toFixed(1);
}

/** @param {number} n */
export function bytes(n) {
  let unit = 0;
  for (; n >= 1024 && unit < 4; unit++) n /= 1024;
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${
    ["B", "KiB", "MiB", "GiB", "TiB"][unit]
  }`;
}

/**
 * Copies text to the clipboard, even if the page is not on a secure origin. @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let toastTimer;

/**
 * Shows a notification at the lower edge, which is also announced to screen readers. @param
 * {string} text @param {boolean} [bad]
 */
export function toast(text, bad = false) {
  const box = /** @type {HTMLElement} */ (document.getElementById("toast"));
  box.className = bad ? "show bad" : "show";
  box.textContent = text;
  say(text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.className = bad ? "bad" : "", bad ? 8000 : 2500);
}

/** Shows what is wrong, and says it. @param {Element} box @param {Child[]} problem */
export function complain(box, ...problem) {
  fill(box, ...problem);
  if (box.textContent) say(box.textContent, "problem");
}

/**
 * The colour class 0…9 of a tag: words for errors and success have fixed ones, others get one by
 * name.
 * @param {string | undefined} tag
 */
export function hue(tag) {
  if (tag === undefined) return 0;
  let known = hues.get(tag);
  if (known === undefined) {
    if (hues.size > 5000) hues.clear();
    hues.set(tag, known = hueByName(tag));
  }
  return known;
}

/** @type {Map<string, number>} */
const hues = new Map();

/** @param {string} tag */
function hueByName(tag) {
  if (/error|fail|panic|fatal|crit/i.test(tag)) return 1;
  if (/warn|retry|reconnect|cancel|slow/i.test(tag)) return 2;
  if (/\b(done|ok|success|result|pass(ed)?|green)\b/i.test(tag)) return 3;
  // The colour is chosen by name if that one is free, else the one with the fewest tags.
  let hash = 7;
  for (let i = 0; i < tag.length; i++) hash = (hash * 31 + tag.charCodeAt(i)) >>> 0;
  let best = hash % used.length;
  for (let i = 0; i < used.length; i++) {
    const at = (hash + i) % used.length;
    if ((used[at] ?? 0) < (used[best] ?? 0)) best = at;
  }
  used[best] = (used[best] ?? 0) + 1;
  return 4 + best;
}

/** The number of tags per assignable colour. */
const used = [0, 0, 0, 0, 0, 0];

/**
 * The colour of a message: that of an error tag, else that of its first tag. @param {readonly
 * string[]} tags
 */
export function hueOf(tags) {
  if (tags.length < 2) return hue(tags[0]);
  let best = hue(tags[0]);
  for (const tag of tags) {
    const n = hue(tag);
    if (n > 0 && n < 4 && (best === 0 || n < best)) best = n;
  }
  return best;
}

/** @param {string} tag */
export const pill = (tag) => h("span", { class: `tag h${hue(tag)}` }, tag);

/** How long the second click of a double-click may take, in milliseconds. */
const DOUBLE_CLICK_MS = 700;

/**
 * Shows a modal dialog; `build` gets a function that closes it. @param {string} title @param
 * {(close: () => void) => Child[]} build
 */
export function dialog(title, build) {
  const open =
    /** @type {NodeListOf<HTMLDialogElement>} */ (document.querySelectorAll("dialog[open]"));
  // A second click while its module was loaded opens no second one.
  for (const one of open) if (one.getAttribute("aria-label") === title) return one;
  const box = h("dialog", { "aria-label": title });
  const shown = performance.now();
  const close = () => box.close();
  add(box, [
    h("header", null, h("h2", null, title), button("Close", close, { icon: "close" })),
    ...build(close),
  ]);
  box.addEventListener("close", () => {
    // The live region of the page may be in it (say.js).
    document.body.append(...box.querySelectorAll(":scope > [role=status]"));
    box.remove();
  });
  box.addEventListener("click", (event) => {
    const meant = performance.now() - shown > DOUBLE_CLICK_MS;
    if (event.target === box && meant && !box.classList.contains("sign-in")) close();
  });
  document.body.append(box);
  box.showModal();
  return box;
}
