/**
 * Tells somebody who looks elsewhere that a message came that the filter lets through, or that none
 * has come for a while: in the title of the tab, and as a notification of the system. Only what was
 * asked for, and only in tabs in which it was asked for.
 *
 * @module
 */

import { button, complain, count, dialog, h, span } from "./dom.js";
import { fieldsOf, lineText, piecesOf } from "./line.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */

/** After how long without a message a pool is silent, in milliseconds. */
const SILENCES = [10_000, 60_000, 300_000, 900_000, 3600_000];
/** The shortest time between two notifications, in milliseconds. */
const PAUSE_MS = 10_000;
/** Characters of a message in a notification. */
const SHOWN = 160;
/** What the title says of a silent pool. */
const SILENT = "silent";

export class Alerts {
  match = false;
  /** After how many milliseconds it is silent; 0 for never. */
  silence = 0;
  notify = false;
  #title = document.title;
  #matches = 0;
  #isSilent = false;
  #lastAt = performance.now();
  #notifiedAt = -Infinity;
  /** Messages up to this one were there before. */
  #base = 0n;
  /** @type {Notification | null} */
  #shown = null;
  #timer;

  /** @param {{name: string, newest: () => bigint, filtered: () => boolean, changed: () => void}} view */
  constructor(view) {
    this.view = view;
    this.seen = () => document.hidden || this.#clear();
    document.addEventListener("visibilitychange", this.seen);
    this.#timer = setInterval(() => this.#tick(), 1000);
  }

  dispose() {
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.seen);
    this.#shown?.close();
  }

  get active() {
    return this.match || this.silence > 0;
  }

  /** Begins anew: what is there now is known. */
  reset() {
    this.#base = this.view.newest();
    this.#lastAt = performance.now();
    this.#isSilent = false;
    this.#clear();
  }

  /** @param {readonly Row[]} rows that have come */
  take(rows) {
    if (!this.active) return;
    const fresh = rows.filter((row) => row.kind === "message" && row.seq > this.#base);
    const last = fresh.at(-1);
    if (last?.kind !== "message") return;
    this.#base = last.seq;
    this.#lastAt = performance.now();
    if (this.#isSilent) {
      this.#isSilent = false;
      this.#badge();
    }
    if (!this.match || !document.hidden) return;
    this.#matches += fresh.length;
    this.#badge();
    const more = this.#matches > 1 ? ` (${count(this.#matches)})` : "";
    this.#notify(`${this.view.name}${more}`, preview(last));
  }

  #tick() {
    if (!this.silence || this.#isSilent) return;
    const silent = performance.now() - this.#lastAt;
    if (silent < this.silence) return;
    this.#isSilent = true;
    this.#badge();
    const what = this.view.filtered() ? "nothing that matches" : "nothing";
    this.#notify(`${this.view.name} is silent`, `For ${span(this.silence)} ${what} has come.`);
  }

  #badge() {
    const badge = [this.#matches ? count(this.#matches) : "", this.#isSilent ? SILENT : ""]
      .filter(Boolean).join(", ");
    document.title = badge ? `(${badge}) ${this.#title}` : this.#title;
  }

  /** Somebody is looking. */
  #clear() {
    this.#matches = 0;
    this.#shown?.close();
    this.#badge();
  }

  /** @param {string} title @param {string} body */
  #notify(title, body) {
    const now = performance.now();
    if (!this.notify || !document.hidden || now < this.#notifiedAt + PAUSE_MS) return;
    if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
    this.#notifiedAt = now;
    const shown = new Notification(title, { body, tag: `plasmite ${this.view.name}` });
    shown.onclick = () => {
      focus();
      shown.close();
    };
    this.#shown = shown;
  }

  // ---- The dialog ---------------------------------------------------------------------------

  /** Asks what is wanted. */
  ask() {
    const problem = h("p", { class: "problem" });
    const match = h("input", { type: "checkbox", checked: this.match });
    const silence = h(
      "select",
      null,
      [0, ...SILENCES].map((ms) =>
        h(
          "option",
          { value: ms, selected: ms === this.silence },
          ms ? `after ${span(ms)}` : "never",
        )
      ),
    );
    const notify = h("input", {
      type: "checkbox",
      checked: this.notify,
      onchange: async () => {
        if (notify.checked) notify.checked = await permitted((words) => complain(problem, words));
      },
    });
    const words = this.view.filtered()
      ? "When a message comes that the filter lets through"
      : "When a message comes";
    dialog("Tell me", (close) => [
      h("p", null, "The title of this tab says it while you look elsewhere."),
      h(
        "form",
        {
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            this.match = match.checked;
            this.silence = Number(silence.value);
            this.notify = notify.checked;
            this.reset();
            this.view.changed();
            close();
          },
        },
        h("label", { class: "check" }, match, words),
        h("label", null, "When nothing comes", silence),
        h("label", { class: "check" }, notify, "Also as a notification of the system"),
        problem,
        h(
          "div",
          { class: "row-end" },
          button("Cancel", close, { text: "Cancel" }),
          h("button", { class: "primary" }, "Tell me"),
        ),
      ),
    ]);
  }
}

/** Asks for permission to notify, and says why there is none. @param {(words: string) => void} tell */
async function permitted(tell) {
  if (!("Notification" in globalThis)) {
    tell("This browser offers notifications only over HTTPS, and on the machine of the server.");
    return false;
  }
  if (await Notification.requestPermission() === "granted") return true;
  tell("The browser does not allow notifications of this page.");
  return false;
}

/** What a row would say. @param {Message} message */
function preview({ text, from, to }) {
  const fields = fieldsOf(text.slice(from, Math.min(to, from + 4000)));
  return lineText(piecesOf(fields, 0)).slice(0, SHOWN);
}
