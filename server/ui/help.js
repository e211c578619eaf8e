/**
 * The dialog of keyboard shortcuts.
 *
 * @module
 */

import { rights } from "./api.js";
import { dialog, h } from "./dom.js";

const OPEN = "Of an open message: the 20 around it; compare it with another";

/** @param {"pool" | "several" | "pools" | "access" | undefined} kind the view that is shown */
function keysOf(kind) {
  const inPool = kind === "pool";
  /** @type {Array<[string, string]>} */
  const keys = [
    ["/", inPool ? "Search for words, or filter" : "Search"],
    ["j  k", "Next, previous"],
    ["g  G", inPool ? "Oldest, newest" : "First, last"],
  ];
  if (inPool) {
    keys.push(
      ["n  N", "Next, previous hit of a search"],
      ["space", "Pause, resume; in the past: replay"],
      ["Enter", "Open a message"],
      ["Esc", "Close; back to live"],
      ["t", "Timeline: arrows, Shift, Enter"],
      ["o  x", OPEN],
      ["v", "Chart of a number"],
      ["c", "Columns, wrapping, height of rows"],
      ["e", "Export as a file or a command"],
    );
    if (rights.write) keys.push(["a", "Append a message"]);
    keys.push(["u", "All pools"]);
  } else if (kind === "several") {
    keys.push(
      ["space", "Pause, resume"],
      ["Enter", "Open a message"],
      ["o  x", OPEN],
      ["s", "Side by side, or one list"],
      ["u", "All pools"],
    );
  } else if (kind === "access") {
    keys.splice(0, Infinity, ["n", "New key"], ["u", "All pools"]);
  } else if (rights.admin) keys.push(["n", "New pool"]);
  keys.push(["Ctrl K", "Go to a pool, or do something"], ["?", "This help"]);
  return keys;
}

/** @param {"pool" | "several" | "pools" | "access" | undefined} kind the view that is shown */
export function showKeys(kind) {
  dialog("Keys", () => [
    h(
      "dl",
      { class: "keys" },
      keysOf(kind).map(([key, words]) =>
        h(
          "div",
          null,
          h("dt", null, key.split("  ").map((k) => h("kbd", null, k))),
          h("dd", null, words),
        )
      ),
    ),
    kind === "pool" &&
    h("p", null, "Drag over the timeline to see past messages. Click a tag to filter by it."),
  ]);
}
