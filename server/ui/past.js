/**
 * The bar shown while the page displays past messages: the range, the replay, and the way back to
 * live.
 *
 * @module
 */

import { button, count, fill, h, icon } from "./dom.js";

export class PastBar {
  #what = h("span", { class: "what" });

  #replay = h("span", { class: "place" });

  /** @param {() => void} back */
  constructor(back) {
    this.element = h(
      "div",
      { class: "pastbar", hidden: true },
      icon("down"),
      this.#what,
      this.#replay,
      h("span", { class: "fill" }),
      button("Back to live", back, {
        text: "Back to live",
        icon: "play",
        class: "tool",
        key: "Esc",
      }),
    );
  }

  /** Shows the controls of the replay, which is loaded with the first look back. @param {Element} element */
  hold(element) {
    fill(this.#replay, element);
  }

  /** @param {string} title @param {number} n @param {boolean} reading */
  show(title, n, reading) {
    this.element.hidden = false;
    const words = ` ${count(n)} message${n === 1 ? "" : "s"}${reading ? ", reading…" : ""}`;
    fill(this.#what, title, h("small", null, words));
  }

  hide() {
    this.element.hidden = true;
  }
}
