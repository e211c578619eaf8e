/**
 * Completion in the box: fields after a dot, values after a comparison, and with the arrow what was
 * asked for before.
 *
 * @module
 */

import { askedBefore, rememberAsked } from "./asked.js";
import { jqPath } from "./clauses.js";
import { count, fill, h } from "./dom.js";
import { readFacets } from "./fields.js";
import { visible } from "./json.js";
import { styled } from "./later.js";

await styled("complete");

/** @typedef {{text: string, caret: number, words: string, detail: string, whole: boolean}} Option */
/** @typedef {import("./fields.js").Facet} Facet */

const MOST = 12;
/** How long the fields of a pool are kept, in milliseconds. */
const FRESH = 60_000;

const PATH = String.raw`(?:\.(?:\w+|"[^"]*")|\["(?:[^"\\]|\\.)*"\])+`;
const VALUE = String.raw`("(?:[^"\\]|\\.)*|[\w.-]*)$`;
const VALUE_OF = new RegExp(String.raw`(${PATH})\s*(?:==|!=)\s*${VALUE}`);
const TAG_OF = new RegExp(String.raw`\.meta\.tags\[\];\s*\.\s*(?:==|!=)\s*${VALUE}`);
const FIELD = /(?:^|[\s(|,;!-])(\.[\w."[\]]*)$/;

export class Completion {
  /** @type {Option[]} */
  #options = [];
  #at = -1;
  /** @type {{tags: Facet, fields: Facet[]} | null} */
  #known = null;
  #knownAt = -Infinity;
  /** @type {Promise<void> | null} */
  #reading = null;
  #done = new AbortController();
  element = h("ul", { class: "options", id: "where-options", role: "listbox", hidden: true });

  /** @param {import("./filter.js").FilterBox} box */
  constructor(box) {
    this.box = box;
    const { where } = box;
    where.setAttribute("role", "combobox");
    where.setAttribute("aria-autocomplete", "list");
    where.setAttribute("aria-controls", "where-options");
    where.setAttribute("aria-expanded", "false");
    where.addEventListener("blur", () => this.close());
    this.element.addEventListener("mousedown", (event) => {
      event.preventDefault(); // The box keeps the focus.
      const option = /** @type {Element} */ (event.target).closest("li");
      const index = option ? [...this.element.children].indexOf(option) : -1;
      if (index >= 0) this.#take(index);
    });
  }

  dispose() {
    this.#done.abort();
  }

  /** Keeps what was asked for, to be offered again. @param {string} text */
  remember(text) {
    rememberAsked(text);
  }

  get open() {
    return !this.element.hidden;
  }

  close() {
    this.#show([]);
  }

  /** Offers what fits to what was typed, until that is asked for. @param {number} turn */
  async typed(turn) {
    const { where } = this.box;
    if (turn !== this.box.turn) return;
    const text = where.value.slice(0, where.selectionStart ?? undefined);
    if (!FIELD.test(text) && !VALUE_OF.test(text) && !TAG_OF.test(text)) return this.close();
    await this.#read();
    if (document.activeElement !== where || turn !== this.box.turn) return;
    this.#show(this.#fitting());
  }

  /** Handles a key; false if it is none of its own. @param {KeyboardEvent} event */
  key(event) {
    const { key } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      if (!this.open && key === "ArrowDown") this.#show(this.#before());
      else if (!this.open) return false;
      this.#mark(this.#at + (key === "ArrowDown" ? 1 : -1));
    } else if (!this.open) return false;
    else if (key === "Escape") this.close();
    else if (key === "Tab" && !event.shiftKey) this.#take(Math.max(0, this.#at));
    else if (key === "Enter" && this.#at >= 0) this.#take(this.#at);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #read() {
    if (performance.now() - this.#knownAt < FRESH) return Promise.resolve();
    this.#reading ??= readFacets(this.box.pool, new URLSearchParams(), this.#done.signal).then(
      (known) => {
        this.#known = known;
        this.#knownAt = performance.now();
      },
      () => {}, // Without an answer nothing is offered.
    ).finally(() => this.#reading = null);
    return this.#reading;
  }

  /** @returns {Option[]} */
  #fitting() {
    const { where } = this.box;
    const caret = where.selectionStart ?? where.value.length;
    const text = where.value.slice(0, caret), rest = where.value.slice(caret);
    const known = this.#known;
    if (!known) return [];
    const put = (
      /** @type {string} */ partial,
      /** @type {string} */ by,
      /** @type {number} */ n,
    ) => {
      const start = text.slice(0, text.length - partial.length) + by;
      const detail = count(n);
      return { text: start + rest, caret: start.length, words: by, detail, whole: false };
    };
    const [, ofTag] = TAG_OF.exec(text) ?? [];
    const [, path, ofField = ""] = VALUE_OF.exec(text) ?? [];
    const facet = ofTag !== undefined
      ? known.tags
      : path && known.fields.find((one) => one.field !== "tags" && jqPath(one.field) === path);
    if (facet) {
      const partial = ofTag ?? ofField;
      const wanted = partial.replace(/^"/, "").toLowerCase();
      return facet.values
        .filter(({ text: value }) =>
          value !== partial && value.toLowerCase().replace(/^"/, "").startsWith(wanted)
        )
        .slice(0, MOST).map(({ text: value, count: n }) => put(partial, value, n));
    }
    const [, partial] = FIELD.exec(text) ?? [];
    if (partial === undefined) return [];
    const names = known.fields.map(({ field, count: n }) => ({
      path: field === "tags" ? "" : jqPath(field),
      n,
    }));
    names.push({ path: ".meta.tags", n: known.tags.count });
    const small = partial.toLowerCase();
    const fits = names.filter(({ path: name }) =>
      name !== partial && name.toLowerCase().includes(small)
    );
    fits.sort((a, b) => Number(b.path.startsWith(partial)) - Number(a.path.startsWith(partial)));
    return fits.slice(0, MOST).map(({ path: name, n }) => put(partial, name, n));
  }

  /** What was asked for before, with what is in the box. @returns {Option[]} */
  #before() {
    const part = this.box.where.value.trim();
    return askedBefore().filter((text) => text !== part && text.includes(part)).slice(0, MOST)
      .map((text) => ({ text, caret: text.length, words: text, detail: "", whole: true }));
  }

  /** @param {Option[]} options */
  #show(options) {
    this.#options = options;
    this.#at = -1;
    const { element, box } = this;
    element.hidden = options.length === 0;
    box.element.classList.toggle("completing", !element.hidden);
    box.where.setAttribute("aria-expanded", String(!element.hidden));
    box.where.removeAttribute("aria-activedescendant");
    fill(
      element,
      options.map(({ words, detail }, i) =>
        h(
          "li",
          { role: "option", id: `where-option-${i}`, "aria-selected": "false" },
          h("span", { class: "word" }, visible(words)),
          detail && h("small", null, detail),
        )
      ),
    );
  }

  /** @param {number} index */
  #mark(index) {
    const n = this.#options.length;
    if (n === 0) return;
    this.#at = (index + n) % n;
    for (const [i, option] of [...this.element.children].entries()) {
      option.setAttribute("aria-selected", String(i === this.#at));
      if (i === this.#at) option.scrollIntoView({ block: "nearest" });
    }
    this.box.where.setAttribute("aria-activedescendant", `where-option-${this.#at}`);
  }

  /** @param {number} index */
  #take(index) {
    const option = this.#options[index];
    if (!option) return;
    const { where } = this.box;
    where.value = option.text;
    where.setSelectionRange(option.caret, option.caret);
    this.close();
    if (option.whole) void this.box.apply(option.text);
    else this.box.check();
  }
}
