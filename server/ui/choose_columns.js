/**
 * The dialog for choosing the fields that are shown as columns, and how rows look.
 *
 * @module
 */

import { button, dialog, h, upper } from "./dom.js";
import { members } from "./json.js";
import { DENSITIES } from "./look.js";

/** @typedef {import("./columns.js").Path} Path */

const RECENT = 200;
const FIELDS = 60;

/**
 * The fields of the newest messages, and those inside of them. @param {readonly
 * import("./list.js").Row[]} rows @param {readonly Path[]} pins
 */
function fieldsIn(rows, pins) {
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
  return found;
}

/** @param {import("./look.js").RowLook} look */
function lookFields(look) {
  const density = (/** @type {import("./look.js").Density} */ value) =>
    h(
      "label",
      { class: "check" },
      h("input", {
        type: "radio",
        name: "density",
        checked: look.density === value,
        onchange: () => look.set({ density: value }),
      }),
      upper(value),
    );
  const wrap = h("input", {
    type: "checkbox",
    checked: look.wrap,
    onchange: () => look.set({ wrap: !look.wrap }),
  });
  return h(
    "fieldset",
    { class: "look" },
    h("legend", null, "Rows"),
    DENSITIES.map(density),
    h("label", { class: "check" }, wrap, "Wrap long lines"),
  );
}

/**
 * Shows a dialog for choosing columns among the fields of the newest messages, and how rows look.
 * @param {import("./list.js").MessageList} list
 * @param {import("./look.js").RowLook} look
 * @param {{toggle: (path: Path) => void, fit: () => void}} on
 */
export function chooseColumns(list, look, on) {
  const found = fieldsIn(list.rows, list.pins);
  const pinned = new Set(list.pins.map((path) => path.join(".")));
  const box = (/** @type {string} */ label, /** @type {Path} */ path) =>
    h(
      "label",
      null,
      h("input", { type: "checkbox", checked: pinned.has(label), onchange: () => on.toggle(path) }),
      h("code", null, label),
    );
  const words = found.size
    ? "Fields of recent messages. Selected fields are shown as columns."
    : "Fields appear here once there are messages.";
  dialog("Columns", () => [
    lookFields(look),
    h("p", null, words),
    h("div", { class: "checks" }, [...found].map(([label, path]) => box(label, path))),
    h(
      "div",
      { class: "row-end" },
      button("Fit all widths", on.fit, { text: "Fit all widths", class: "tool" }),
    ),
  ]);
}
