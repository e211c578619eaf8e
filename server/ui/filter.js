/**
 * The filter: tags as chips, and a jq expression that the server checks while it is typed.
 *
 * @module
 */

import { poolPath, request } from "./api.js";
import { button, count, fill, h, hue, icon, short } from "./dom.js";

/** @typedef {{tags: string[], where: string}} Filter */
/** @typedef {import("./api.js").ApiError} ApiError */

/** The largest number of chips. */
const CHIPS = 24;

export class FilterBox {
  /** @type {Filter} */
  value;
  #checking = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #drawn = "";

  note = h("p", { class: "note", id: "where-note", "aria-live": "polite" });
  chips = h("div", { class: "chips", role: "group", "aria-label": "Filter by tag" });
  clear = button("Clear the filter", () => this.set({ tags: [], where: "" }), {
    icon: "close",
    hidden: true,
  });
  where = h("input", {
    type: "text",
    class: "where",
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    placeholder: 'jq filter, such as .data.level == "error"',
    "aria-label": "jq filter",
    "aria-describedby": "where-note",
    oninput: () => this.#check(),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") {
        this.set({ tags: this.value.tags, where: this.where.value.trim() });
      } else if (event.key === "Escape") this.on.leave();
      else return;
      event.stopPropagation();
    },
  });
  element = h("div", { class: "search" }, icon("filter"), this.where, this.clear, this.note);

  /**
   * @param {string} pool
   * @param {Filter} value
   * @param {{change: () => void, leave: () => void}} on
   */
  constructor(pool, value, on) {
    this.pool = pool;
    this.value = value;
    this.on = on;
    this.#show();
  }

  dispose() {
    clearTimeout(this.#timer);
    this.#checking.abort();
  }

  /** Whether there is a filter. */
  get active() {
    return this.value.where !== "" || this.value.tags.length > 0;
  }

  /** @param {Filter} value */
  set(value) {
    this.reset(value);
    this.on.change();
  }

  /** Changes the filter without calling `on.change`. @param {Filter} [value] */
  reset(value = { tags: [], where: "" }) {
    this.value = value;
    this.dispose();
    this.problem(null);
    this.#show();
  }

  /** @param {string} tag */
  toggle(tag) {
    const { tags, where } = this.value;
    this.set({ where, tags: tags.includes(tag) ? tags.filter((t) => t !== tag) : [...tags, tag] });
  }

  #show() {
    this.where.value = this.value.where;
    this.clear.hidden = !this.active;
  }

  /** Asks the server to check the expression. */
  #check() {
    this.dispose();
    const { signal } = this.#checking = new AbortController();
    const where = this.where.value.trim();
    if (!where) return this.problem(null, this.value.where && "Press Enter to show everything");
    this.#timer = setTimeout(async () => {
      try {
        const query = new URLSearchParams({ where, max: "0" });
        const options = { signal, quiet: true };
        await (await request(`${poolPath(this.pool)}/tail?${query}`, options)).text();
        this.problem(null, where === this.value.where ? "" : "Press Enter to apply");
      } catch (error) {
        if (!signal.aborted) this.problem(/** @type {ApiError} */ (error));
      }
    }, 200);
  }

  /** @param {ApiError | null} error @param {string} [hint] */
  problem(error, hint = "") {
    this.where.setAttribute("aria-invalid", String(error !== null));
    this.note.classList.toggle("problem", error !== null);
    if (!error) return void fill(this.note, hint || null);
    // The hint repeats the expression, which is shown right above.
    const where = this.where.value.trim();
    const at = error.hint.startsWith("Check the jq expression") ? error.hint.indexOf(where) : -1;
    const why = at < 0 ? error.hint : error.hint.slice(at + where.length).replace(/^"?:\s*/, "");
    fill(this.note, why || error.message);
  }

  /**
   * Draws a chip for every tag of these rows, the most frequent first. @param
   * {import("./list.js").Row[]} rows
   */
  draw(rows) {
    /** @type {Map<readonly string[], number>} */
    const lists = new Map();
    for (const row of rows) {
      if (row.kind === "message") lists.set(row.tags, (lists.get(row.tags) ?? 0) + 1);
    }
    const on = new Set(this.value.tags);
    /** @type {Map<string, number>} */
    const tags = new Map(this.value.tags.map((tag) => [tag, 0]));
    for (const [list, n] of lists) for (const tag of list) tags.set(tag, (tags.get(tag) ?? 0) + n);
    const top = [...tags]
      .sort((a, b) => Number(on.has(b[0])) - Number(on.has(a[0])) || b[1] - a[1])
      .slice(0, CHIPS);
    const key = JSON.stringify([top, this.value.tags]);
    // A chip that has the focus keeps its position.
    if (key === this.#drawn || this.chips.contains(document.activeElement)) return;
    this.#drawn = key;
    fill(
      this.chips,
      top.map(([tag, n]) =>
        h(
          "button",
          {
            type: "button",
            class: `chip h${hue(tag)}`,
            "aria-pressed": String(on.has(tag)),
            onclick: (/** @type {Event} */ event) => {
              /** @type {HTMLElement} */ (event.currentTarget).blur();
              this.toggle(tag);
            },
          },
          h("span", { class: "word" }, tag),
          h("small", null, n < 10_000 ? count(n) : short(n)),
        )
      ),
    );
  }
}
