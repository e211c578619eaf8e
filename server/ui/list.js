/**
 * A list of up to 100,000 rows, of which only the visible ones exist as elements. Elements are
 * reused: the row at index i uses slot i modulo the number of slots.
 *
 * @module
 */

import { fill, h } from "./dom.js";
import { styled } from "./later.js";
import { unlessPressed } from "./press.js";
import { drawRow } from "./row.js";
import { Scroller } from "./scroller.js";

await styled("rows");

/** @typedef {import("./json.js").Message} Message */
/** @typedef {{kind: "gap", from: bigint, to: bigint, t: number}} Gap messages from … to - 1 were overwritten unread */
/**
 * @typedef {{kind: "note", text: string, t: number, bad?: boolean}} Note a disconnection and
 *   similar events
 */
/** @typedef {Message | Gap | Note} Row */

/** The interval between draws while many rows arrive, in milliseconds. */
const RUSH_MS = 64;

/**
 * How columns are laid out. @typedef {{tagRoom: number, columns: boolean}} Layout the width of the
 *   tags in pixels, and whether pinned fields have columns
 */
/**
 * Where a row is drawn.
 * @typedef {{element: HTMLElement, row: Row | null, index: number, version: number}} Slot
 */

export class MessageList {
  /** @type {Row[]} */
  rows = [];
  /** Rows shown from the front; less than all of them during a replay. */
  length = 0;
  selected = -1;
  /** @type {string[][]} paths of `data` shown as columns */
  pins = [];
  /** Whether rows show all of their text, on as many lines as it takes. */
  wrap = false;
  /**
   * Called with each row of a message that was drawn.
   * @type {((element: HTMLElement, message: Message) => void) | null}
   */
  drawn = null;

  #drawn = 0;
  #drawnAt = 0;
  #frame = 0;
  /** The height of a row; with `wrap` the average. */
  #height = 24;
  /** The height of a row of one line. */
  #line = 24;
  #version = 0;
  #lookVersion = -1;
  #shift = 0;
  #digits = 0;
  /** The number of rows that screen readers were told. */
  #told = 0;
  /** Where it was scrolled to when it was drawn. */
  #drawnTop = -1;
  #calibrate = true;
  /** @type {import("./row.js").Look} */
  #look = { pins: [], pinned: new Set(), wrap: false, tagRoom: 0 };
  /** @type {Slot[]} */
  #slots = [];
  /** With `wrap`: what is on screen, and the row that stays where it is. */
  #shown = { first: 0, end: 0, anchor: 0, top: 0, scroll: -1 };

  /**
   * @param {{select: (index: number, open: boolean) => void, tag: (tag: string) => void,
   *   moved: () => void, layout: (digits: number) => Layout}} on `layout` sets the widths of the
   *   columns
   * @param {string} [prefix] of the ids of rows, where a page has more than one list
   */
  constructor(on, prefix = "") {
    this.on = on;
    this.prefix = prefix;
    this.spacer = h("div", { class: "spacer", role: "presentation" });
    this.element = h("div", {
      class: "list",
      role: "listbox",
      tabindex: 0,
      "aria-label": "Messages, oldest first",
      onscroll: () => this.#scrolled(),
      onclick: (/** @type {MouseEvent} */ event) => this.#click(event),
    }, this.spacer);
    this.scroller = new Scroller(this.element, () => this.on.moved());
    this.observer = new ResizeObserver(() => this.refresh());
    this.observer.observe(this.element);
  }

  dispose() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /** Whether the newest rows stay in sight. */
  get follow() {
    return this.scroller.follow;
  }

  set follow(follow) {
    this.scroller.follow = follow;
  }

  /** Rows that fit on screen, at least one. */
  get page() {
    const [first, end] = this.window;
    return this.wrap
      ? Math.max(1, end - first - 1)
      : Math.max(1, Math.floor(this.element.clientHeight / this.#height) - 1);
  }

  /**
   * The indexes of the first row on screen and of the row after the last. @returns {[number,
   * number]}
   */
  get window() {
    const within = (/** @type {number} */ index) => Math.max(0, Math.min(index, this.length));
    if (this.wrap) {
      const { first, end } = this.#shown;
      return [within(first + this.#shift), within(end + this.#shift)];
    }
    const first = Math.floor(this.element.scrollTop / this.#height) + this.#shift;
    const end = first + Math.ceil(this.element.clientHeight / this.#height);
    return [within(first), within(end)];
  }

  /** Draws at the next frame. */
  draw() {
    if (!this.#frame) this.#frame = requestAnimationFrame((now) => this.#drawUnlessPressed(now));
  }

  /** @param {number} now */
  #drawUnlessPressed(now) {
    this.#frame = 0;
    const scrolled = () => this.element.scrollTop !== this.#drawnTop;
    unlessPressed(this.spacer, () => this.#render(now), scrolled);
  }

  /** Redraws everything after the columns or the width changed. */
  refresh() {
    this.#version++;
    this.#drawnAt = 0;
    this.#calibrate = true;
    this.#shown.scroll = -1;
    this.draw();
  }

  /** Removes all rows. */
  clear() {
    this.rows.length = this.length = this.#shift = 0;
    this.selected = -1;
    this.refresh();
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
    this.#setTotal();
    if (this.wrap) {
      const [first, end] = this.window;
      // The first and the last one may be cut off.
      if (index <= first || index >= end - 1 || where === "center") {
        this.#shift = 0;
        this.#scrollToRow(index);
      }
      return this.draw();
    }
    this.#keepPlace();
    const top = index * this.#height;
    const low = element.scrollTop, high = low + element.clientHeight - this.#height;
    if (where === "center") this.scroller.to(top - element.clientHeight / 2);
    else if (top < low) this.scroller.to(top);
    else if (top > high) this.scroller.to(top - element.clientHeight + this.#height);
    this.draw();
  }

  /** @param {number} index */
  select(index) {
    this.selected = Math.max(-1, Math.min(this.length - 1, index));
    if (this.selected >= 0) this.show(this.selected);
    if (this.selected >= 0 && this.selected < this.length - 1) this.follow = false;
    this.refresh();
  }

  /** Selects the row that is so many further on, and follows from the last one. @param {number} by */
  step(by) {
    const [first, end] = this.window;
    const from = by > 0 ? first : end - 1;
    this.on.select(this.selected < 0 ? from : Math.max(0, this.selected + by), false);
    if (this.selected === this.length - 1) this.follow = true;
  }

  toEnd() {
    // Immediately, not at the next frame: a pending scroll event must see the new height.
    this.#setTotal();
    this.scroller.toEnd();
    this.#drawnAt = 0;
    this.draw();
    this.on.moved();
  }

  /** Goes back to where it was before the rows were others, or the element was away from the page. @param {number} [top] */
  back(top = this.scroller.at) {
    this.#setTotal();
    this.scroller.to(top);
    this.follow = false;
    this.draw();
  }

  /** With rows of one height: rows that came or went above leave in sight what is in sight. */
  #keepPlace() {
    if (this.#shift) this.scroller.to(this.element.scrollTop + this.#shift * this.#height);
    this.#shift = 0;
  }

  #scrolled() {
    this.scroller.heard(this.#height);
    this.#drawnAt = 0;
    this.draw();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const slot = this.#slots.find(({ element }) => element.contains(target));
    if (!slot) return;
    // The words of a search are marked inside of it.
    const { tag } = target.closest("mark")?.parentElement?.dataset ?? target.dataset;
    if (tag !== undefined) return this.on.tag(tag);
    // Rows may have come or gone above it since it was drawn.
    const index = slot.row ? this.rows.indexOf(slot.row) : -1;
    if (index >= 0 && index < this.length) this.on.select(index, true);
  }

  /** @param {number} now */
  #render(now) {
    const { element } = this;
    // On the page it is drawn again.
    if (!element.isConnected) return;
    const added = this.length - this.#drawn;
    // The first rows do not wait for those that follow.
    if (this.follow && this.#drawn > 0 && added > 20 && now - this.#drawnAt < RUSH_MS) {
      return this.draw();
    }
    const line = parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 24;
    if (line !== this.#line) [this.#line, this.#version] = [line, this.#version + 1];
    if (!this.wrap) this.#height = line;
    this.#drawn = this.length;
    this.#drawnAt = now;
    this.#updateLook();
    if (this.wrap) this.#placeWrapped();
    else this.#placeEven();
    this.#shift = 0;
    this.#drawnTop = element.scrollTop;
    const active = this.#slots.find(({ row, index }) => row && index === this.selected);
    if (active) element.setAttribute("aria-activedescendant", active.element.id);
    else element.removeAttribute("aria-activedescendant");
  }

  /** Lays the columns out anew if something changed. */
  #updateLook() {
    const last = this.rows[this.length - 1];
    const digits = last?.kind === "message" ? String(last.seq).length : 0;
    const isFirst = this.#look.tagRoom === 0 && this.length > 0;
    if (digits > this.#digits || isFirst) {
      [this.#digits, this.#version] = [Math.max(digits, this.#digits), this.#version + 1];
    } else if (this.#lookVersion === this.#version) return;
    this.#lookVersion = this.#version;
    const { tagRoom, columns } = this.on.layout(this.#digits);
    const pins = columns ? this.pins : [];
    const pinned = new Set(pins.map((path) => path.length === 1 ? path[0] ?? "" : ""));
    this.#look = { pins, pinned, wrap: this.wrap, tagRoom };
  }

  /** Places rows of one height. */
  #placeEven() {
    const { element } = this;
    const height = this.#height;
    this.#setTotal();
    if (this.follow) this.scroller.to(this.length * height);
    else this.#keepPlace();
    const first = Math.max(0, Math.floor(element.scrollTop / height) - 2);
    for (const slot of this.#drawFrom(first)) {
      if (slot.moved) slot.element.style.transform = `translateY(${slot.index * height}px)`;
    }
  }

  /**
   * Places rows of different heights. Only those on screen are measured: the list scrolls as if all
   * were of the average height, and the row at the same part of the list as of the scroll bar is at
   * the same part of the screen. So the first one is at the very top and the last at the very end.
   */
  #placeWrapped() {
    const { element } = this;
    const screen = element.clientHeight;
    this.#setTotal();
    let room = Math.max(0, this.length * this.#height - screen);
    if (this.follow) this.scroller.to(room);
    else if (this.#shift) this.#scrollToRow(Math.max(0, this.#shown.anchor + this.#shift));
    const still = !this.follow && this.#shift === 0 && element.scrollTop === this.#shown.scroll;
    const part = room ? Math.min(1, element.scrollTop / room) : 0;
    const place = Math.min(part * this.length, Math.max(0, this.length - 1e-6));
    const anchor = still ? this.#shown.anchor : Math.floor(place);
    const above = Math.ceil((still ? Math.max(0, this.#shown.top) : part * screen) / this.#line);
    const slots = this.#drawFrom(Math.max(0, anchor - above - 1));
    const heights = slots.map(({ row, element }) => row ? element.offsetHeight : 0);
    const at = slots.findIndex(({ index }) => index === anchor);
    if (at < 0) return;
    if (this.#calibrated(heights)) {
      this.#setTotal();
      room = Math.max(0, this.length * this.#height - screen);
      this.scroller.to(part * room);
    }
    const tall = heights[at] ?? 0;
    const top = still ? this.#shown.top : part * screen - (place - anchor) * tall;
    this.#stack(slots, heights, at, top);
  }

  /**
   * @param {readonly Slot[]} slots in order @param {readonly number[]} heights
   * @param {number} at the slot of the row that is placed first @param {number} top where, on
   *   screen
   */
  #stack(slots, heights, at, top) {
    const { scrollTop, clientHeight } = this.element;
    let y = top;
    for (let i = 0; i < at; i++) y -= heights[i] ?? 0;
    let [first, end] = [-1, 0];
    slots.forEach(({ element, row, index }, i) => {
      element.style.transform = `translateY(${y + scrollTop}px)`;
      const below = y + (heights[i] ?? 0);
      if (row && below > 0 && y < clientHeight) {
        [first, end] = [first < 0 ? index : first, index + 1];
      }
      y = below;
    });
    const anchor = slots[at]?.index ?? 0;
    this.#shown = { first: Math.max(0, first), end, anchor, top, scroll: scrollTop };
  }

  /** Measures the average height of rows, after a change and while they are few. @param {number[]} heights */
  #calibrated(heights) {
    const drawn = heights.filter((height) => height > 0);
    if (!drawn.length || (!this.#calibrate && this.length > drawn.length)) return false;
    this.#calibrate = false;
    const mean = drawn.reduce((sum, height) => sum + height, 0) / drawn.length;
    const changed = mean !== this.#height;
    this.#height = mean;
    return changed;
  }

  /** With `wrap`: scrolls so that a row is on screen. @param {number} index */
  #scrollToRow(index) {
    const room = Math.max(0, this.length * this.#height - this.element.clientHeight);
    this.scroller.to(room * index / Math.max(1, this.length - 1));
    this.#shown.scroll = -1;
  }

  #setTotal() {
    const total = `${this.length * this.#height}px`;
    if (this.spacer.style.height !== total) this.spacer.style.height = total;
  }

  /**
   * Draws the rows from an index on, as many as there can be on screen.
   * @param {number} first
   * @returns {Array<Slot & {moved: boolean}>} in order; `moved` if it has to be placed
   */
  #drawFrom(first) {
    const wanted = Math.ceil(this.element.clientHeight / this.#line) + 5;
    while (this.#slots.length < wanted) {
      const row = h("div", {
        class: "row",
        role: "option",
        id: `${this.prefix}row${this.#slots.length}`,
      });
      this.#slots.push({ element: row, row: null, index: -1, version: -1 });
      this.spacer.append(row);
    }
    const slots = this.#slots.length;
    const drawn = [];
    for (let index = first; index < first + slots; index++) {
      const slot = this.#slots[index % slots];
      if (!slot) continue;
      const row = index < this.length ? this.rows[index] ?? null : null;
      const moved = slot.index !== index || slot.version !== this.#version;
      if (moved || slot.row !== row) {
        Object.assign(slot, { row, index, version: this.#version });
        this.#drawRow(slot);
      } else if (this.#told !== this.length) {
        slot.element.setAttribute("aria-setsize", String(this.length));
      }
      drawn.push({ ...slot, moved });
    }
    this.#told = this.length;
    return drawn;
  }

  /** @param {Slot} slot */
  #drawRow({ element, row, index }) {
    element.hidden = row === null;
    // What is hidden is found by nobody, and kept by nobody.
    if (!row) return void fill(element);
    element.setAttribute("aria-selected", String(index === this.selected));
    element.setAttribute("aria-posinset", String(index + 1));
    element.setAttribute("aria-setsize", String(this.length));
    drawRow(element, row, this.#look, this.rows[index - 1]);
    if (row.kind === "message") this.drawn?.(element, row);
  }
}
