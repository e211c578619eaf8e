/**
 * The choice of a range of time: the last minutes, hours, days, or all.
 *
 * @module
 */

import { poolInfo } from "./api.js";
import { h } from "./dom.js";
import { serverNow } from "./times.js";

const MINUTE = 60_000;
/** @type {Array<[string, number]>} */
const RANGES = [
  ["5 minutes", 5],
  ["15 minutes", 15],
  ["hour", 60],
  ["6 hours", 360],
  ["24 hours", 1440],
  ["7 days", 10_080],
];

export class RangeChoice {
  #own = h("option", { value: "own", hidden: true }, "Chosen range");
  element = h(
    "select",
    { class: "tool ranges", "aria-label": "Range of time", onchange: () => this.#choose() },
    h("option", { value: "" }, "All times"),
    RANGES.map(([words, minutes]) => h("option", { value: minutes }, `Last ${words}`)),
    this.#own,
  );
  /** The address of the range that was chosen here. */
  #key = "";
  #value = "";
  #choosing = false;

  /** @param {import("./pool.js").PoolView} view */
  constructor(view) {
    this.view = view;
  }

  async #choose() {
    const { view, element: { value } } = this;
    if (!value) return view.showLive();
    this.#choosing = true;
    try {
      // Tells what time it is for the server.
      await poolInfo(view.name, view.signal);
    } catch { /* what was known before will do */ }
    this.#choosing = false;
    if (view.disposed) return;
    const now = serverNow();
    view.showPast(now - Number(value) * MINUTE, now);
    this.#key = String(view.reading.range);
    this.#value = value;
    this.draw();
  }

  /** Shows which range there is. */
  draw() {
    if (this.#choosing) return;
    const { range } = this.view.reading;
    const value = !range ? "" : String(range) === this.#key ? this.#value : "own";
    this.#own.hidden = value !== "own";
    if (this.element.value !== value) this.element.value = value;
  }
}
