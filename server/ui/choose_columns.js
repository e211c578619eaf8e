/**
 * The dialog for choosing the fields that are shown as columns.
 *
 * @module
 */

import { dialog, h } from "./dom.js";
import { members } from "./json.js";

/** @typedef {import("./columns.js").Path} Path */

const RECENT = 200;
const FIELDS = 60;

/**
 * Shows a dialog for choosing columns among the fields of the newest messages.
 * @param {import("./list.js").Row[]} rows
 * @param {Path[]} pins
 * @param {(path: Path) => void} toggle
 */
export function chooseColumns(rows, pins, toggle) {
  /** @type {Map<string, Path>} */
  const found = new Map(pins.map((path) => [path.join("."), path]));
  for (const row of rows.slice(-RECENT)) {
    if (row.kind !== "message") continue;
    members(row.text, row.from, (key, from, to) => {
      found.set(key, [key]);
      if (row.text[from] === "{" && to - from < 2000) {
        members(row.text, from, (inner) => void found.set(`${key}.${inner}`, [key, inner]));
      }
      return found.size > FIELDS;
    });
  }
  const pinned = new Set(pins.map((path) => path.join(".")));
  const box = (/** @type {string} */ label, /** @type {Path} */ path) =>
    h(
      "label",
      null,
      h("input", { type: "checkbox", checked: pinned.has(label), onchange: () => toggle(path) }),
      h("code", null, label),
    );
  const words = found.size
    ? "Fields of recent messages. Selected fields are shown as columns."
    : "Fields appear here once there are messages.";
  dialog("Columns", () => [
    h("p", null, words),
    h("div", { class: "checks" }, [...found].map(([label, path]) => box(label, path))),
  ]);
}
