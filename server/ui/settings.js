/**
 * The dialog of settings: theme and times.
 *
 * @module
 */

import { dialog, h } from "./dom.js";
import { prefer, prefs } from "./prefs.js";

/**
 * One choice among a few. @template {string} T @param {string} title @param {Array<[T, string]>}
 * choices @param {T} now @param {(value: T) => void} choose
 */
const choice = (title, choices, now, choose) =>
  h(
    "fieldset",
    { class: "choice" },
    h("legend", null, title),
    choices.map(([value, words]) =>
      h(
        "label",
        null,
        h("input", {
          type: "radio",
          name: title,
          value,
          checked: value === now,
          onchange: () => choose(value),
        }),
        words,
      )
    ),
  );

/** Shows the settings; each holds at once. */
export function showSettings() {
  dialog("Settings", () => [
    choice(
      "Theme",
      [["system", "As the system"], ["light", "Light"], ["dark", "Dark"]],
      prefs.theme,
      (theme) => prefer({ theme }),
    ),
    choice(
      "Times",
      [["local", "Local"], ["utc", "UTC"], ["relative", "Relative"]],
      prefs.times,
      (times) => prefer({ times }),
    ),
  ]);
}
