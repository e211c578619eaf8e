/**
 * Facets: the tags and the most frequent values of every field, beside the list. They are counted by
 * the server in everything retained, whatever is filtered, so they stay while one chooses.
 *
 * @module
 */

import { wordsOf } from "./api.js";
import { choose, chosen } from "./clauses.js";
import { button, count, fill, h } from "./dom.js";
import { readFacets } from "./fields.js";
import { visible } from "./json.js";
import { styled } from "./later.js";
import { keep } from "./prefs.js";
import { unlessPressed } from "./press.js";
import { say } from "./say.js";

await styled("facets");

/** @typedef {import("./clauses.js").Field} Field */
/** @typedef {import("./fields.js").Facet} Facet */

/** Values that are shown before "more". */
const FEW = 6;
/** Fields that are open at first. */
const OPEN = 6;

/** Whether a field has values to choose from: not an own one for nearly every message. @param {Facet} facet */
const isChoice = ({ count: n, values, exact }) =>
  values.length > 0 && (values.length <= 20 || (exact ? values.length : 400) * 4 < n);

export class Facets {
  /** @type {Facet[]} */
  #facets = [];
  #part = 1;
  /** @type {Set<string>} names of fields that show all values */
  #whole = new Set();
  #reading = new AbortController();
  #range = "";
  #about = h("p", { class: "about" });
  #list = h("div", { class: "fields" });
  element = h(
    "aside",
    { class: "facets", "aria-label": "Facets", hidden: true },
    h(
      "header",
      null,
      h("h2", null, "Facets"),
      button("Count again", () => this.read(), { text: "Count again", class: "quiet" }),
      button("Close the facets", () => this.toggle(), { icon: "close" }),
    ),
    this.#about,
    this.#list,
  );

  /** @param {import("./pool.js").PoolView} view */
  constructor(view) {
    this.view = view;
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  dispose() {
    this.#reading.abort();
  }

  get open() {
    return !this.element.hidden;
  }

  toggle() {
    const { element } = this;
    element.hidden = !element.hidden;
    keep("facets", element.hidden ? "" : "1");
    this.view.list.refresh();
    if (element.hidden) {
      this.#reading.abort();
      this.view.list.element.focus();
    } else void this.read();
  }

  /** Shows what is chosen; another range is counted again. */
  show() {
    if (!this.open) return;
    this.draw();
    if (String(this.view.reading.range) !== this.#range) void this.read();
  }

  /** Has the server count, in the range that is shown. */
  async read() {
    this.#range = String(this.view.reading.range);
    this.#reading.abort();
    const { signal } = this.#reading = new AbortController();
    const { range } = this.view.reading;
    const query = new URLSearchParams();
    if (range) {
      query.set("since", new Date(range[0]).toISOString());
      query.set("before", new Date(range[1]).toISOString());
    }
    fill(this.#about, "Counting…");
    try {
      const { part, counted, tags, fields } = await readFacets(this.view.name, query, signal);
      this.#part = part;
      this.#facets = [tags, ...fields].filter(({ values }) => values.length > 0)
        .sort((a, b) => Number(isChoice(b)) - Number(isChoice(a)));
      const words = part < 1
        ? `Of all messages about ${Math.round(part * 100)} % were counted`
        : `${count(counted)} messages were counted`;
      fill(this.#about, range ? `${words}, in this range` : words);
      say(words, "facets");
      this.draw();
    } catch (error) {
      if (signal.aborted) return;
      fill(this.#about, wordsOf(error));
    }
  }

  /** Draws the values, and which of them are chosen. */
  draw() {
    unlessPressed(this.#list, () => this.#draw());
  }

  #draw() {
    const held = document.activeElement?.getAttribute("data-facet");
    const shut = new Map(
      [...this.#list.querySelectorAll("details")].map((one) => [one.dataset["name"], one.open]),
    );
    fill(
      this.#list,
      this.#facets.map((facet, i) => {
        const open = shut.get(facet.name) ?? (i < OPEN && isChoice(facet));
        return h(
          "details",
          { open, "data-name": facet.name },
          h("summary", { title: visible(facet.name) }, visible(facet.name)),
          this.#values(facet),
        );
      }),
    );
    if (held) {
      /** @type {HTMLElement | null} */ (
        this.#list.querySelector(`[data-facet="${CSS.escape(held)}"]`)
      )?.focus();
    }
  }

  /** @param {Facet} facet */
  #values(facet) {
    const whole = this.#whole.has(facet.name);
    const shown = whole ? facet.values : facet.values.slice(0, FEW);
    const left = facet.values.length - shown.length;
    return h(
      "ul",
      null,
      shown.map((one) => h("li", null, this.#value(facet, one))),
      left > 0 && h(
        "li",
        null,
        button(`${left} more values of ${facet.name}`, () => {
          this.#whole.add(facet.name);
          this.draw();
        }, { text: `${left} more`, class: "quiet", "data-facet": `${facet.name}\n` }),
      ),
    );
  }

  /** @param {Facet} facet @param {{text: string, count: number}} value */
  #value(facet, { text, count: n }) {
    const state = this.#stateOf(facet.field, text);
    const about = this.#part < 1 || !facet.exact;
    const number = count(Math.round(n / this.#part));
    const name = facet.field === "tags" || text.startsWith('"') ? JSON.parse(text) : text;
    const words = name === "" ? '""' : visible(name);
    const label = `${words}, ${about ? "about " : ""}${number}`;
    return h(
      "button",
      {
        type: "button",
        class: `facet ${state}`,
        title: `${label}\nShift: or. Alt: not. With the keyboard also o and x.`,
        "aria-label": state === "not" ? `not ${label}` : label,
        "aria-pressed": String(state !== ""),
        "data-facet": `${facet.name}\n${text}`,
        onclick: (/** @type {MouseEvent} */ event) =>
          this.#choose(facet.field, text, howOf(event) ?? "only"),
      },
      h("span", { class: "word" }, words),
      h("small", null, about ? `about ${number}` : number),
    );
  }

  /** @param {Field} field @param {string} text */
  #stateOf(field, text) {
    const { tags, where } = this.view.filter.value;
    if (field === "tags" && tags.includes(JSON.parse(text))) return "is";
    return chosen(where, field, text);
  }

  /** @param {Field} field @param {string} text JSON text @param {import("./clauses.js").How} how */
  #choose(field, text, how) {
    const { filter } = this.view;
    let { tags, where } = filter.value;
    if (field === "tags") {
      const tag = JSON.parse(text);
      // A single tag is quicker to find by itself than in a filter.
      if (how === "only" && chosen(where, field, text) === "") return filter.toggle(tag);
      if (how === "or") {
        for (const one of tags) where = choose(where, field, JSON.stringify(one), "or");
        tags = [];
      } else tags = tags.filter((one) => one !== tag);
    }
    filter.set({ tags, where: choose(where, field, text, how) }, "where");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Escape") this.toggle();
    else if (!at.classList.contains("facet")) return;
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const all = [...this.#list.querySelectorAll("button, summary")]
        .filter((one) => one.checkVisibility());
      const next = all[all.indexOf(at) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next instanceof HTMLElement) next.focus();
    } else {
      const how = event.key === "o" ? "or" : event.key === "x" ? "not" : howOf(event);
      const press = event.key === "Enter" || event.key === " ";
      if (!how || (!press && event.key !== "o" && event.key !== "x")) return;
      const [name, text = ""] = (at.dataset["facet"] ?? "").split("\n");
      const facet = this.#facets.find((one) => one.name === name);
      if (facet) this.#choose(facet.field, text, how);
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {MouseEvent | KeyboardEvent} event @returns {"or" | "not" | null} */
function howOf({ altKey, shiftKey }) {
  if (altKey) return "not";
  return shiftKey ? "or" : null;
}
