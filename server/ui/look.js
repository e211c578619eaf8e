/**
 * How rows look on this browser: their height, and whether long ones are wrapped.
 *
 * @module
 */

import { keep, keptValue } from "./prefs.js";

/** @typedef {"compact" | "normal" | "roomy"} Density */

/** From the smallest to the largest. @type {readonly Density[]} */
export const DENSITIES = ["compact", "normal", "roomy"];
const NAME = "rows";

export class RowLook {
  wrap = false;
  /** @type {Density} */
  density = "normal";

  /** @param {import("./list.js").MessageList} list @param {HTMLElement} frame the element around the list */
  constructor(list, frame) {
    this.list = list;
    this.frame = frame;
    const { wrap, density } = keptValue(NAME) ?? {};
    this.wrap = wrap === true;
    this.density = DENSITIES.includes(density) ? density : "normal";
    this.#apply();
  }

  /** @param {{wrap?: boolean, density?: Density}} look */
  set({ wrap = this.wrap, density = this.density }) {
    [this.wrap, this.density] = [wrap, density];
    keep(NAME, JSON.stringify({ wrap, density }));
    this.#apply();
  }

  #apply() {
    const { list, frame } = this;
    list.wrap = this.wrap;
    list.element.classList.toggle("wrapped", this.wrap);
    frame.dataset["density"] = this.density;
    list.refresh();
  }
}
