/**
 * The search for words: the server looks through everything retained, the hits are marked in the
 * rows, and `n` and `N` go from one to the next, also where it is not loaded.
 *
 * @module
 */

import { ApiError, pagePath, request } from "./api.js";
import { button, count, fill, h } from "./dom.js";
import { parseAnswer } from "./json.js";
import { styled } from "./later.js";
import { messageOf } from "./rows.js";
import { say } from "./say.js";
import { narrow } from "./stream.js";
import { hasWords, markWords, wordsOf } from "./words.js";

await styled("finder");

/** @typedef {import("./list.js").Row} Row */

/** The numbers of so many hits are kept, the newest. */
const MOST_HITS = 100_000;

/**
 * Reads JSON lines; an error of the server, also one in a line, is thrown.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(line: any) => void} each
 */
async function readLines(path, signal, each) {
  const { body } = await request(path, { signal });
  let rest = "";
  const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (body)
    .pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = parseAnswer(line);
      if (answer.error) throw new ApiError(200, answer.error);
      each(answer);
    }
  }
}

export class Finder {
  /** The words; empty without a search. */
  q = "";
  /** Hits in order. @type {bigint[]} */
  #hits = [];
  /** How many hits there are, and how many messages were searched. */
  #found = 0;
  #searched = 0;
  /** The newest number that was searched. */
  #newest = 0n;
  /** What part of the retained messages was searched; 1 when all were. */
  #part = 0;
  #problem = "";
  /** @type {bigint | null} the hit that `n` went to */
  #at = null;
  #stop = new AbortController();
  /** @type {import("./words.js").Word[]} */
  #words = [];

  #sum = h("span", { class: "sum" });
  #where = h("span", { class: "at" });
  #only = h("input", {
    type: "checkbox",
    onchange: () => this.view.filter.set({ hits: this.#only.checked }),
  });
  element = h(
    "div",
    { class: "findbar", hidden: true, role: "search", "aria-label": "Search" },
    this.#sum,
    this.#where,
    h("span", { class: "fill" }),
    button("Previous hit", () => this.step(-1), {
      text: "Previous",
      icon: "up",
      class: "tool",
      key: "N",
    }),
    button("Next hit", () => this.step(1), { text: "Next", icon: "next", class: "tool", key: "n" }),
    h("label", { class: "only" }, this.#only, "Only hits"),
    button("End the search", () => this.view.filter.set({ q: "" }), { icon: "close" }),
  );

  /** @param {import("./pool.js").PoolView} view */
  constructor(view) {
    this.view = view;
  }

  /** Searches for what is asked for, unless that is what it does already. */
  show() {
    const { value } = this.view.filter;
    const key = JSON.stringify([value.q, value.where, value.tags]);
    this.#only.checked = value.hits;
    if (key === this.#key) return;
    this.#key = key;
    this.stop();
    this.q = value.q;
    this.#words = wordsOf(this.q);
    this.#hits = [];
    this.#found = this.#searched = this.#part = 0;
    this.#newest = 0n;
    this.#at = null;
    this.#problem = "";
    this.element.hidden = !this.q;
    this.view.list.drawn = this.q ? (element, message) => this.#mark(element, message) : null;
    this.view.list.refresh();
    if (!this.q) return;
    this.#draw();
    void this.#search();
  }
  #key = "";

  stop() {
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  /** @param {HTMLElement} element @param {import("./json.js").Message} message */
  #mark(element, message) {
    markWords(element, this.#words);
    // Also where the words are in a part that is not shown.
    element.classList.toggle("hit", hasWords(message, this.#words));
  }

  async #search() {
    const { signal } = this.#stop;
    const { name, filter: { value } } = this.view;
    const query = narrow(new URLSearchParams(), value);
    let left = true;
    while (left && !signal.aborted) {
      let moved = false;
      try {
        const path = `${pagePath(name)}/search?${query}`;
        await readLines(path, signal, (line) => {
          if (signal.aborted) return;
          moved = true;
          left = BigInt(line.from) > BigInt(line.oldest);
          query.set("until", String(BigInt(line.from) - 1n));
          this.#take(line);
        });
        // Cut off at the longest time of a stream: it goes on where it was.
        if (!moved) left = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        if (error.kind !== "Busy" && error.status !== 0) {
          this.#problem = error.words;
          left = false;
        } else await new Promise((done) => setTimeout(done, 1000));
      }
    }
    if (signal.aborted) return;
    this.#part = 1;
    this.#draw();
    say(this.#sum.textContent ?? "", "search");
  }

  /** Takes what was found in one stretch, which lies before all others. @param {any} line */
  #take(line) {
    const hits = line.hits.map(BigInt);
    const oldest = BigInt(line.oldest), newest = BigInt(line.newest), from = BigInt(line.from);
    if (this.#newest === 0n) this.#newest = newest;
    this.#found += hits.length;
    this.#searched += Number(line.searched);
    if (this.#hits.length < MOST_HITS) this.#hits = [...hits, ...this.#hits];
    this.#part = Number(newest - from + 1n) / Math.max(1, Number(newest - oldest + 1n));
    this.#draw();
  }

  /** Counts what has arrived meanwhile. @param {readonly Row[]} rows */
  take(rows) {
    if (!this.q || this.#newest === 0n) return;
    const { value } = this.view.filter;
    let drawn = false;
    for (const row of rows) {
      if (row.kind !== "message" || row.seq <= this.#newest) continue;
      // Of a list of hits the numbers between them were searched too.
      const isEvery = value.hits && !value.where && value.tags.length === 0;
      this.#searched += isEvery ? Number(row.seq - this.#newest) : 1;
      this.#newest = row.seq;
      drawn = true;
      if (!hasWords(row, this.#words)) continue;
      this.#found++;
      this.#hits.push(row.seq);
    }
    if (this.#hits.length > 2 * MOST_HITS) this.#hits = this.#hits.slice(-MOST_HITS);
    if (drawn) this.#draw();
  }

  #draw() {
    const part = this.#part < 1 ? `, ${Math.floor(this.#part * 100)} % of all` : "";
    const words = `${count(this.#found)} of ${count(this.#searched)} searched${part}`;
    fill(this.#sum, this.#problem || words);
    this.#sum.classList.toggle("problem", this.#problem !== "");
    const index = this.#at === null ? -1 : this.#hits.indexOf(this.#at);
    const number = index < 0 ? 0 : this.#found - this.#hits.length + index + 1;
    fill(this.#where, number > 0 && `hit ${count(number)}`);
  }

  /** The message from which `n` and `N` go. @param {number} by */
  #from(by) {
    const { list } = this.view;
    const selected = messageOf(list.rows[list.selected]);
    if (selected) return selected.seq;
    const [first, end] = list.window;
    const edge = messageOf(list.rows[by > 0 ? first : end - 1]);
    if (!edge) return this.#at ?? 0n;
    return by > 0 ? edge.seq - 1n : edge.seq + 1n;
  }

  /** Goes to the next hit; behind the last one comes the first. @param {number} by 1 or -1 */
  step(by) {
    const { view } = this;
    const { oldest } = view.bounds;
    if (oldest !== null) this.#hits = this.#hits.filter((seq) => seq >= oldest);
    const hits = this.#hits;
    const from = this.#from(by);
    const next = by > 0 ? hits.find((seq) => seq > from) : hits.findLast((seq) => seq < from);
    const seq = next ?? (by > 0 ? hits[0] : hits.at(-1));
    if (seq === undefined) {
      const words = this.#part < 1 ? "No hit yet: the search goes on" : "There is no hit";
      say(words, "hit");
      return;
    }
    this.#at = seq;
    this.#draw();
    const turned = next === undefined ? by > 0 ? ", from the oldest" : ", from the newest" : "";
    say(`Message ${seq}${turned}`, "hit");
    view.reading.openSeq(seq, false);
  }
}
