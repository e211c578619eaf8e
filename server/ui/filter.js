/**
 * The box: a jq expression that the server checks while it is typed, or words to search for; and the
 * tags as chips.
 *
 * @module
 */

import { poolPath, request } from "./api.js";
import { button, count, fill, h, hue, icon, short, upper } from "./dom.js";
import { Later } from "./later.js";
import { say } from "./say.js";
import { kindOf } from "./words_or_jq.js";

/**
 * What is asked for. @typedef {{tags: string[], where: string, q: string, hits: boolean}} Asked
 * `hits`: only messages with the words
 */
/** @typedef {{tags: string[], where: string, q: string}} Filter what a stream is asked for */
/** @typedef {import("./api.js").ApiError} ApiError */

/** The largest number of chips. */
const CHIPS = 24;
/** Words that are no function of jq, and no path. */
const PLAIN = /^[\w.-]+\s*=\s*[^=]/;

export class FilterBox {
  /** @type {Asked} */
  value = { tags: [], where: "", q: "", hits: false };
  /** Which of the two is in the box; the other is shown beside it. @type {"where" | "q"} */
  #boxed = "where";
  #checking = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #drawn = "";
  /** How often a text was asked for: what is offered for one that was typed before is out of date. */
  turn = 0;
  /** How often tags were there without a filter. @type {Map<string, number>} */
  #known = new Map();

  complete = new Later(async () => {
    const { Completion } = await import("./complete.js");
    const complete = new Completion(this);
    this.element.append(complete.element);
    return complete;
  });
  note = h("div", { class: "note", id: "where-note" });
  chips = h("div", { class: "chips", role: "group", "aria-label": "Filter by tag" });
  clear = button("Clear the filter", () => this.set({ tags: [], where: "", q: "" }), {
    icon: "close",
    hidden: true,
  });
  #sign = h("span", { class: "sign" }, icon("filter"));
  #other = h("span", { class: "kept", hidden: true });
  where = h("input", {
    type: "text",
    class: "where",
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    placeholder: 'Search for words, or filter: .data.level == "error"',
    "aria-label": "Words to search for, or a jq filter",
    "aria-describedby": "where-note",
    oninput: () => {
      this.check();
      const turn = this.turn;
      this.complete.use((complete) => void complete.typed(turn));
    },
    onfocus: () => this.complete.use(() => {}),
    onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
  });
  element = h(
    "div",
    { class: "search" },
    this.#sign,
    this.where,
    this.#other,
    this.clear,
    this.note,
  );

  /**
   * @param {string} pool
   * @param {{change: () => void, leave: () => void, hitsOnly?: boolean}} on `hitsOnly`: a search
   *   always lists its hits alone
   */
  constructor(pool, on) {
    this.pool = pool;
    this.on = on;
  }

  dispose() {
    this.#quit();
    this.complete.now?.dispose();
  }

  /** Ends the check of what was typed before. */
  #quit() {
    clearTimeout(this.#timer);
    this.#checking.abort();
  }

  /** Whether not everything is listed. */
  get active() {
    const { tags, where, q } = this.filter;
    return where !== "" || q !== "" || tags.length > 0;
  }

  /** What the listed messages have to match. @returns {Filter} */
  get filter() {
    const { tags, where, q, hits } = this.value;
    return { tags, where, q: hits || this.on.hitsOnly ? q : "" };
  }

  /** @param {Partial<Asked>} change @param {"where" | "q"} [boxed] what is in the box afterwards */
  set(change, boxed = change.q ? "q" : change.where ? "where" : undefined) {
    this.reset({ ...this.value, ...change }, boxed);
    this.on.change();
  }

  /** Shows what is asked for, without calling `on.change`. @param {Asked} value @param {"where" | "q"} [boxed] */
  reset({ tags, where, q, hits }, boxed = q ? "q" : "where") {
    this.value = { tags, where, q, hits: hits && q !== "" };
    this.#boxed = this.value[boxed] ? boxed : q ? "q" : "where";
    this.#quit();
    this.problem(null);
    this.complete.now?.close();
    this.#show();
  }

  /**
   * Goes back to what was asked for before: the server has refused the filter while it evaluated it.
   * Its text stays in the box, with what is wrong. @param {Asked} before @param {ApiError} error
   */
  refuse(before, error) {
    const text = this.where.value;
    this.reset(before);
    this.where.value = text;
    this.problem(error);
    this.#draw();
  }

  /** @param {string} tag */
  toggle(tag) {
    const { tags } = this.value;
    this.set({ tags: tags.includes(tag) ? tags.filter((t) => t !== tag) : [...tags, tag] });
  }

  #show() {
    const { value } = this;
    this.where.value = value[this.#boxed];
    this.clear.hidden = !value.where && !value.q && value.tags.length === 0;
    this.#draw();
    const other = this.#boxed === "q" ? "where" : "q";
    this.#other.hidden = !value[other];
    if (!value[other]) return;
    const what = other === "q" ? "the search" : "the filter";
    fill(
      this.#other,
      button(`Edit ${what} ${value[other]}`, () => {
        this.#boxed = other;
        this.#show();
        this.where.focus();
      }, { icon: other === "q" ? "search" : "filter", text: value[other] }),
      button(`Remove ${what}`, () => this.set({ [other]: "" }), { icon: "close" }),
    );
  }

  /** Shows what the text in the box is taken for. */
  #draw() {
    const words = kindOf(this.where.value) === "words";
    fill(this.#sign, icon(words ? "search" : "filter"));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.complete.now?.key(event)) return;
    if (event.key === "Enter") this.apply(this.where.value);
    else if (event.key === "Escape") this.on.leave();
    else return;
    event.stopPropagation();
  }

  /**
   * Asks for what a text says: it takes the place of what was in the box. A filter that the server
   * refuses changes nothing.
   * @param {string} text
   * @param {"" | "where" | "words"} [kind]
   */
  async apply(text, kind = kindOf(text)) {
    text = text.trim();
    this.turn++;
    this.complete.now?.close();
    const rest = this.#boxed === "q" ? { q: "" } : { where: "" };
    if (kind === "where" && !await this.#accepted(text)) return;
    if (text) this.complete.use((complete) => complete.remember(text));
    if (kind === "words") return this.set({ ...rest, q: text });
    this.set({ ...rest, where: text });
  }

  /** Whether the server takes the expression; else its error is shown. @param {string} where */
  async #accepted(where) {
    this.#quit();
    const { signal } = this.#checking = new AbortController();
    this.where.value = where;
    try {
      await this.#ask(where, signal);
      return !signal.aborted;
    } catch (error) {
      if (signal.aborted) return false;
      const failed = /** @type {ApiError} */ (error);
      // Whatever else is wrong is told by the stream.
      if (failed.status !== 400) return true;
      this.problem(failed);
      return false;
    }
  }

  /** @param {string} where @param {AbortSignal} signal */
  async #ask(where, signal) {
    const query = new URLSearchParams({ where, max: "0" });
    const options = { signal, quiet: true };
    await (await request(`${poolPath(this.pool)}/tail?${query}`, options)).text();
  }

  /** Tells what Enter will do, and has the server check an expression. */
  check() {
    this.#quit();
    this.#draw();
    const text = this.where.value.trim();
    const kind = kindOf(text);
    const isSame = text === this.value[kind === "words" ? "q" : "where"];
    if (!text) {
      return this.problem(null, this.value[this.#boxed] && "Press Enter to show everything");
    }
    if (kind === "words") return this.problem(null, isSame ? "" : "Press Enter to search");
    const { signal } = this.#checking = new AbortController();
    this.#timer = setTimeout(async () => {
      try {
        await this.#ask(text, signal);
        this.problem(null, isSame ? "" : "Press Enter to apply");
      } catch (error) {
        if (!signal.aborted) this.problem(/** @type {ApiError} */ (error));
      }
    }, 200);
  }

  /** @param {ApiError | null} error @param {string} [hint] */
  problem(error, hint = "") {
    this.where.setAttribute("aria-invalid", String(error !== null));
    this.note.classList.toggle("problem", error !== null);
    if (!error) {
      if (hint) say(hint, "filter");
      return void fill(this.note, hint || null);
    }
    const text = this.where.value.trim();
    const { suggestion } = error;
    say(suggestion ? upper(suggestion.why) : reason(error, text), "filter");
    fill(
      this.note,
      h("p", null, suggestion ? upper(suggestion.why) : reason(error, text)),
      suggestion &&
        button(`Use ${suggestion.expression}`, () => this.#use(suggestion.expression, "where"), {
          class: "tool meant",
          text: suggestion.expression,
        }),
      PLAIN.test(text) &&
        button("Search for these words", () => this.#use(text, "words"), {
          class: "tool",
          text: "Search for these words",
          icon: "search",
        }),
    );
  }

  /** @param {string} text @param {"where" | "words"} kind */
  #use(text, kind) {
    this.where.focus();
    this.apply(text, kind);
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
    // Those that are not listed now can still be chosen.
    if (this.active) { for (const [tag, n] of this.#known) tags.set(tag, n); }
    else this.#known = tags;
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

/** What is wrong; the hint repeats the expression, which is shown right above. @param {ApiError} error @param {string} text */
function reason({ hint, message }, text) {
  const at = hint.startsWith("Check the jq expression") ? hint.indexOf(text) : -1;
  return at < 0 ? hint || message : hint.slice(at + text.length).replace(/^"?:\s*/, "") || message;
}
