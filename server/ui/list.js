/**
 * A list of up to 100,000 rows, of which only the visible ones exist as elements. Elements are
 * reused: the row at index i uses slot i modulo the number of slots.
 *
 * @module
 */

import { clock, count, fill, h, hueOf, pill } from "./dom.js";
import { pick, tokens } from "./json.js";

/** @typedef {import("./json.js").Message} Message */
/** @typedef {{kind: "gap", from: bigint, to: bigint, t: number}} Gap messages from … to - 1 were overwritten unread */
/**
 * @typedef {{kind: "note", text: string, t: number, bad?: boolean}} Note a disconnection and
 *   similar events
 */
/** @typedef {Message | Gap | Note} Row */

/** How many characters of a message's data a row uses. */
const PREVIEW = 600;
/** The interval between draws while many rows arrive, in milliseconds. */
const RUSH_MS = 64;

/** The text for a gap. @param {Gap} gap */
export function gapText({ from, to }) {
  const n = to - from;
  return n === 1n
    ? `Message ${from} is no longer retained: it was overwritten before it was read`
    : `Messages ${from}–${to - 1n} are no longer retained: ${
      count(n)
    } were overwritten before they were read`;
}

export class MessageList {
  /** @type {Row[]} */
  rows = [];
  /** Rows shown from the front; less than all of them during a replay. */
  length = 0;
  selected = -1;
  /** @type {string[][]} paths of `data` shown as columns */
  pins = [];

  #drawn = 0;
  #drawnAt = 0;
  #frame = 0;
  #height = 24;
  #version = 0;
  #shift = 0;
  #digits = 0;
  #follow = true;
  /** Where this class has scrolled to: a scroll event for that place is not the reader's. */
  #placed = 0;
  /** @type {ReadonlySet<string>} members of `data` that have a column of their own */
  #pinned = new Set();
  /** @type {Array<{element: HTMLElement, row: Row | null, index: number, version: number}>} */
  #slots = [];

  /** @param {{select: (index: number, open: boolean) => void, tag: (tag: string) => void, moved: () => void}} on */
  constructor(on) {
    this.on = on;
    this.spacer = h("div", { class: "spacer", role: "presentation" });
    this.element = h("div", {
      class: "list",
      role: "listbox",
      tabindex: 0,
      "aria-label": "Messages, oldest first",
      onscroll: () => this.#scrolled(),
      onclick: (/** @type {MouseEvent} */ event) => this.#click(event),
    }, this.spacer);
    this.observer = new ResizeObserver(() => this.refresh());
    this.observer.observe(this.element);
  }

  dispose() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /** Whether the newest rows stay in sight. */
  get follow() {
    return this.#follow;
  }

  set follow(follow) {
    this.#follow = follow;
    // The event of an earlier scrolling may still come.
    this.#placed = this.element.scrollTop;
  }

  /** Rows that fit on screen, at least one. */
  get page() {
    return Math.max(1, Math.floor(this.element.clientHeight / this.#height) - 1);
  }

  /**
   * The indexes of the first row on screen and of the row after the last. @returns {[number,
   * number]}
   */
  get window() {
    const first = Math.floor(this.element.scrollTop / this.#height);
    return [
      Math.min(first, this.length),
      Math.min(this.length, first + Math.ceil(this.element.clientHeight / this.#height)),
    ];
  }

  /** Draws at the next frame. */
  draw() {
    if (!this.#frame) this.#frame = requestAnimationFrame((now) => this.#render(now));
  }

  /** Redraws everything after the columns or the width changed. */
  refresh() {
    this.#version++;
    this.#drawnAt = 0;
    this.#pinned = new Set(this.pins.map((path) => path.length === 1 ? path[0] ?? "" : ""));
    this.draw();
  }

  /** Removes rows at the front without moving the visible ones. @param {number} n */
  trim(n) {
    this.rows.splice(0, n);
    this.length = Math.max(0, this.length - n);
    this.selected = Math.max(-1, this.selected - n);
    this.#shift -= n;
    this.draw();
  }

  /** Inserts older rows before the others. @param {Row[]} older */
  prepend(older) {
    this.rows.unshift(...older);
    this.length += older.length;
    if (this.selected >= 0) this.selected += older.length;
    this.#shift += older.length;
    this.draw();
  }

  /** @param {number} index @param {"center" | "near"} [where] */
  show(index, where = "near") {
    const { element } = this;
    const top = index * this.#height;
    const low = element.scrollTop, high = low + element.clientHeight - this.#height;
    this.spacer.style.height = `${this.length * this.#height}px`;
    if (where === "center") this.#scrollTo(top - element.clientHeight / 2);
    else if (top < low) this.#scrollTo(top);
    else if (top > high) this.#scrollTo(top - element.clientHeight + this.#height);
    this.draw();
  }

  /** @param {number} index */
  select(index) {
    this.selected = Math.max(-1, Math.min(this.length - 1, index));
    if (this.selected >= 0) this.show(this.selected);
    this.refresh();
  }

  toEnd() {
    this.follow = true;
    // Immediately, not at the next frame: a pending scroll event must see the new height.
    this.spacer.style.height = `${this.length * this.#height}px`;
    this.#scrollTo(this.length * this.#height);
    this.#drawnAt = 0;
    this.draw();
    this.on.moved();
  }

  /** @param {number} top */
  #scrollTo(top) {
    this.element.scrollTop = top;
    this.#placed = this.element.scrollTop;
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    const end = scrollTop + clientHeight >= scrollHeight - this.#height;
    const moved = Math.abs(scrollTop - this.#placed) >= 1;
    if (end !== this.#follow && this.#shift === 0 && (end || moved)) {
      this.#follow = end;
      this.on.moved();
    }
    this.#drawnAt = 0;
    this.draw();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {Element} */ (event.target);
    const slot = this.#slots.find(({ element }) => element.contains(target));
    if (!slot) return;
    if (target.classList.contains("tag")) this.on.tag(target.textContent ?? "");
    else this.on.select(slot.index, true);
  }

  /** @param {number} now */
  #render(now) {
    this.#frame = 0;
    const { element } = this;
    const added = this.length - this.#drawn;
    if (this.follow && added > 20 && now - this.#drawnAt < RUSH_MS) return this.draw();
    const height = parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 24;
    if (height !== this.#height) [this.#height, this.#version] = [height, this.#version + 1];
    this.#drawn = this.length;
    this.#drawnAt = now;

    const last = this.rows[this.length - 1];
    const digits = last?.kind === "message" ? String(last.seq).length : 0;
    if (digits > this.#digits) {
      this.#digits = digits;
      element.parentElement?.parentElement?.style.setProperty(
        "--seqw",
        `${Math.max(7, digits + 1)}ch`,
      );
    }

    const total = `${this.length * height}px`;
    if (this.spacer.style.height !== total) this.spacer.style.height = total;
    if (this.#follow) this.#scrollTo(this.length * height);
    else if (this.#shift) this.#scrollTo(element.scrollTop + this.#shift * height);
    this.#shift = 0;

    const first = Math.max(0, Math.floor(element.scrollTop / height) - 2);
    const wanted = Math.ceil(element.clientHeight / height) + 5;
    while (this.#slots.length < wanted) {
      const row = h("div", { class: "row", role: "option", id: `row${this.#slots.length}` });
      this.#slots.push({ element: row, row: null, index: -1, version: -1 });
      this.spacer.append(row);
    }
    const slots = this.#slots.length;
    let active = "";
    for (let index = first; index < first + slots; index++) {
      const slot = this.#slots[index % slots];
      if (!slot) continue;
      const row = index < this.length ? this.rows[index] ?? null : null;
      if (slot.index !== index) slot.element.style.transform = `translateY(${index * height}px)`;
      if (index === this.selected) active = slot.element.id;
      if (slot.row === row && slot.index === index && slot.version === this.#version) continue;
      Object.assign(slot, { row, index, version: this.#version });
      this.#drawRow(slot.element, row, index);
    }
    if (active) element.setAttribute("aria-activedescendant", active);
    else element.removeAttribute("aria-activedescendant");
  }

  /** @param {HTMLElement} element @param {Row | null} row @param {number} index */
  #drawRow(element, row, index) {
    element.hidden = row === null;
    if (!row) return fill(element);
    element.setAttribute("aria-selected", String(index === this.selected));
    element.setAttribute("aria-posinset", String(index + 1));
    element.setAttribute("aria-setsize", String(this.length));
    if (row.kind !== "message") {
      element.className = `row mark ${row.kind === "gap" || row.bad ? "bad" : ""}`;
      fill(
        element,
        h("span", null, `${clock(row.t, false)}  ${row.kind === "gap" ? gapText(row) : row.text}`),
      );
      return;
    }
    element.className = `row h${hueOf(row.tags)}`;
    const text = row.text;
    fill(
      element,
      h("span", { class: "seq" }, String(row.seq)),
      h("time", { class: "time", title: row.time }, clock(row.t)),
      h("span", { class: "tags" }, row.tags.map(pill)),
      this.pins.map((path) => {
        const value = pick(text, row.from, row.to, path)?.slice(0, 200);
        return h("span", { class: "cell" }, value === undefined ? "" : preview(value));
      }),
      h(
        "span",
        { class: "data" },
        preview(text.slice(row.from + 1, Math.min(row.to - 1, row.from + PREVIEW)), this.#pinned),
      ),
    );
  }
}

/**
 * The tokens of a row's data as elements: keys dim, values plain.
 * @param {string} text JSON text that may be truncated
 * @param {ReadonlySet<string>} [without] members that have a column of their own
 */
function preview(text, without) {
  /** @type {HTMLElement[]} */
  const out = [];
  let depth = 0, skipping = false;
  for (const [style, word] of tokens(text)) {
    if (depth === 0 && style === "k") skipping = without?.has(word) ?? false;
    if (style === "p") {
      if (word === "{" || word === "[") depth++;
      else if (word === "}" || word === "]") depth--;
      if (depth === 0 && word === ",") {
        out.at(-1)?.classList.add("end");
        continue;
      }
    }
    if (skipping) continue;
    const kind = { p: word === "," ? "p c" : "p", k: depth ? "k in" : "k", s: "s", n: "n", b: "b" };
    out.push(h("i", { class: kind[style] }, word === "" ? '""' : word));
  }
  return out;
}
