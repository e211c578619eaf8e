/**
 * Ctrl-K: a box that finds any pool by a few letters, the ones opened last first, and what else can
 * be done.
 *
 * @module
 */

import { address } from "./address.js";
import { json } from "./api.js";
import { count, dialog, fill, h, icon } from "./dom.js";
import { styled } from "./later.js";
import { fuzzy } from "./pools_order.js";
import { prefer, prefs, recentPools } from "./prefs.js";
import { say } from "./say.js";

await styled("palette");

/** @typedef {{words: string, note: string, icon: string, act: (more: boolean) => void}} Entry */

/** How many entries are shown. */
const SHOWN = 40;

/** @param {{go: (href: string) => void, help: () => void, pools: string[]}} page `pools`: those that are shown */
function actions({ go, help }) {
  /** @param {string} words @param {() => void} act @returns {Entry} */
  const action = (words, act) => ({ words, note: "", icon: "next", act });
  /** @param {string} words @param {Partial<typeof prefs>} wish */
  const choice = (words, wish) => {
    const is = Object.entries(wish).every(([name, value]) =>
      prefs[/** @type {keyof typeof prefs} */ (name)] === value
    );
    return { ...action(words, () => prefer(wish)), note: is ? "now" : "" };
  };
  return [
    action("All pools", () => go("/ui")),
    choice("Theme: dark", { theme: "dark" }),
    choice("Theme: light", { theme: "light" }),
    choice("Theme: as the system", { theme: "system" }),
    choice("Times: local", { times: "local" }),
    choice("Times: UTC", { times: "utc" }),
    choice("Times: relative", { times: "relative" }),
    action("Keyboard shortcuts", help),
  ];
}

/** @param {Parameters<typeof actions>[0] & {typed: string}} page `typed` before it was there */
export function openPalette(page) {
  const { go, pools, typed } = page;
  /** @type {string[]} */
  let names = [...new Set([...recentPools(), ...pools])];
  /** @type {Entry[]} */
  let entries = [];
  let at = 0;
  /** Whether `names` are all pools, */
  let complete = false;
  /** and what was chosen before: whether besides what is shown; null if nothing was. */
  let early = /** @type {boolean | null} */ (null);
  const list = h("ul", { role: "listbox", id: "palette-list", "aria-label": "Pools and actions" });
  const input = h("input", {
    type: "text",
    role: "combobox",
    placeholder: "Go to a pool, or do something",
    "aria-label": "Go to a pool, or do something",
    "aria-expanded": "true",
    "aria-controls": "palette-list",
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
    value: typed,
    oninput: () => ((at = 0), (early = null), draw()),
    onkeydown: (/** @type {KeyboardEvent} */ event) => key(event),
  });
  /** @param {string} name @returns {Entry} */
  const pool = (name) => ({
    words: name,
    note: pools.includes(name) ? "here" : "",
    icon: "filter",
    act: (more) => go(address.pathOf(more ? [...new Set([...pools, name])] : [name])),
  });

  function find() {
    const typed = input.value.trim();
    if (!typed) {
      const recent = recentPools().filter((name) => names.includes(name));
      const rest = names.filter((name) => !recent.includes(name));
      return [...recent.map(pool), ...actions(page), ...rest.slice(0, SHOWN).map(pool)];
    }
    const recent = new Set(recentPools());
    /** @type {Array<{entry: () => Entry, score: number}>} */
    const found = [];
    for (const name of names) {
      const score = fuzzy(name, typed);
      if (score !== null) {
        found.push({ entry: () => pool(name), score: score + (recent.has(name) ? 20 : 0) });
      }
    }
    for (const action of actions(page)) {
      const score = fuzzy(action.words, typed);
      if (score !== null) found.push({ entry: () => action, score: score - 10 });
    }
    found.sort((a, b) => b.score - a.score);
    return found.slice(0, SHOWN).map(({ entry }) => entry());
  }

  function draw() {
    entries = find();
    at = Math.max(0, Math.min(at, entries.length - 1));
    fill(
      list,
      entries.map((entry, i) =>
        h(
          "li",
          {
            role: "option",
            id: `palette-${i}`,
            "aria-selected": i === at,
            onclick: (/** @type {MouseEvent} */ event) => choose(i, event.shiftKey),
          },
          icon(entry.icon),
          h("span", null, entry.words),
          h("small", null, entry.note),
        )
      ),
    );
    const words = entries.length ? `${count(entries.length)} found` : "Nothing is called like this";
    say(words, "palette");
    if (!entries.length) fill(list, h("li", { class: "none" }, "Nothing is called like this"));
    mark();
  }

  function mark() {
    for (const [i, item] of [...list.children].entries()) {
      if (entries.length) item.setAttribute("aria-selected", String(i === at));
      if (i === at) item.scrollIntoView({ block: "nearest" });
    }
    input.setAttribute("aria-activedescendant", `palette-${at}`);
  }

  /** @param {number} index @param {boolean} more whether a pool is shown besides those that are */
  function choose(index, more) {
    const entry = entries[index];
    if (!entry) return;
    box.close();
    entry.act(more);
  }

  /**
   * Chooses what is marked. What was typed may mean a pool whose name is still under way: then that
   * is waited for. @param {boolean} more
   */
  function enter(more) {
    const typed = input.value.trim();
    const isSure = complete || !typed || at > 0 || entries[0]?.words === typed;
    if (isSure) choose(at, more);
    else early = more;
  }

  /** Takes the names of all pools, as far as they are known. @param {readonly string[]} all */
  function complement(all) {
    names = [...new Set([...recentPools().filter((name) => all.includes(name)), ...all])];
    complete = true;
    if (!box.open) return;
    draw();
    if (early !== null) choose(at, early);
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    const by = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (event.key === "Enter") enter(event.shiftKey);
    else if (by) {
      at = Math.max(0, Math.min(entries.length - 1, at + by));
      mark();
    } else return;
    event.preventDefault();
  }

  const box = dialog("Go to", () => [
    h("label", { class: "search" }, icon("search"), input),
    list,
    h(
      "p",
      { class: "hint" },
      h("kbd", null, "Enter"),
      " opens, ",
      h("kbd", null, "Shift Enter"),
      " shows it besides what is open",
    ),
  ]);
  box.classList.add("palette");
  draw();
  input.focus();
  json("/v0/ui/names", { quiet: true }).then(({ names: all }) => complement(all), () => {
    // Those that were opened before are still there.
    complement(names);
  });
}
