/**
 * The form for appending a message with tags.
 *
 * @module
 */

import { json, poolPath, wordsOf } from "./api.js";
import { button, fill, h, toast } from "./dom.js";
import { parse } from "./json.js";
import { say } from "./say.js";
import { styled } from "./later.js";

await styled("append");

export class AppendBox {
  /** @param {string} pool */
  constructor(pool) {
    this.pool = pool;
    this.data = h("textarea", {
      rows: 3,
      spellcheck: "false",
      placeholder: '{"level": "info", "text": "hello"}',
      "aria-label": "Message, a JSON object",
      "aria-describedby": "append-note",
      oninput: () => this.#check(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#send();
      },
    });
    this.tags = h("input", {
      type: "text",
      placeholder: "tags, with commas between",
      "aria-label": "Tags, with commas between",
      autocomplete: "off",
      spellcheck: "false",
    });
    this.note = h("p", { class: "note", id: "append-note" });
    this.send = h(
      "button",
      { type: "submit", class: "primary", title: "Append (Ctrl+Enter)" },
      "Append",
    );
    this.element = h(
      "form",
      {
        class: "append",
        hidden: true,
        "aria-label": "Append a message",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.#send();
        },
      },
      this.data,
      h(
        "div",
        { class: "side" },
        this.tags,
        h(
          "div",
          { class: "row-end" },
          this.note,
          button("Close", () => this.toggle(), { icon: "close" }),
          this.send,
        ),
      ),
    );
  }

  toggle() {
    this.element.hidden = !this.element.hidden;
    if (!this.element.hidden) this.data.focus();
  }

  /** @returns {boolean} */
  #check() {
    const text = this.data.value.trim();
    let problem = "";
    try {
      if (text && !(parse(text) instanceof Map)) problem = "A message is a JSON object: { … }";
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    this.#say(problem);
    return text !== "" && !problem;
  }

  /** @param {string} problem */
  #say(problem) {
    this.note.classList.toggle("problem", problem !== "");
    this.data.setAttribute("aria-invalid", String(problem !== ""));
    fill(this.note, problem);
    if (problem) say(problem, "append");
  }

  async #send() {
    if (!this.#check()) return;
    const tags = this.tags.value.split(",").map((t) => t.trim()).filter(Boolean);
    this.send.disabled = true;
    try {
      // Built as text, so that numbers keep all their digits.
      const body = `{"data":${this.data.value.trim()},"tags":${JSON.stringify(tags)}}`;
      const { message } = await json(`${poolPath(this.pool)}/append`, { method: "POST", body });
      this.#say("");
      toast(`Appended as #${message.seq}`);
      this.data.select();
    } catch (error) {
      this.#say(wordsOf(error));
    }
    this.send.disabled = false;
  }
}
