/**
 * Saves listed messages as a file.
 *
 * @module
 */

import { count, h, toast } from "./dom.js";

/** @typedef {import("./list.js").Row} Row */

/** Saves messages as JSON lines. @param {string} pool @param {readonly Row[]} rows */
export function saveRows(pool, rows) {
  const messages = rows.filter((row) => row.kind === "message");
  const first = messages[0], last = messages.at(-1);
  if (!first || !last) return toast("There is nothing to export");
  const url = URL.createObjectURL(
    new Blob(messages.map((m) => m.text + "\n"), { type: "application/jsonl" }),
  );
  h("a", { href: url, download: `${pool}-${first.seq}-${last.seq}.jsonl` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  toast(`Exported ${count(messages.length)} messages`);
}
