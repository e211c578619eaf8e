/**
 * The dialog that deletes a pool: its name has to be typed.
 *
 * @module
 */

import { json, poolPath, wordsOf } from "./api.js";
import { button, complain, count, dialog, h, toast } from "./dom.js";

/** @param {import("./api.js").Pool} pool @param {() => void} done called when it was deleted */
export function deletePool(pool, done) {
  const { name, metrics } = pool;
  const messages = metrics?.message_count ?? 0;
  const problem = h("p", { class: "problem" });
  const go = h("button", { class: "danger", disabled: true }, "Delete permanently");
  const typed = h("input", {
    name: "name",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    autofocus: true,
    oninput: () => go.disabled = typed.value !== name,
  });
  dialog(`Delete ${name}?`, (close) => {
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      try {
        await json(poolPath(name), { method: "DELETE" });
        close();
        toast(`Deleted ${name}`);
        done();
      } catch (error) {
        go.disabled = false;
        complain(problem, wordsOf(error));
      }
    };
    return [
      h(
        "p",
        null,
        messages
          ? `Its ${count(messages)} retained messages are lost. This cannot be undone.`
          : metrics
          ? "It holds no messages."
          : "What it holds is lost. This cannot be undone.",
      ),
      h(
        "form",
        { onsubmit: submit },
        h("label", null, h("span", null, "Type ", h("code", null, name), " to delete it"), typed),
        problem,
        h(
          "div",
          { class: "row-end" },
          button("Keep it", close, { text: "Keep it", class: "quiet" }),
          go,
        ),
      ),
    ];
  });
}
