/**
 * Saves listed messages as a file, and offers the same as commands.
 *
 * @module
 */

import { csvHead, csvLine } from "./csv.js";
import { button, copy, count, dialog, h, toast } from "./dom.js";
import { styled } from "./later.js";
import { canCurl, curlStream, followCommand } from "./shell.js";

await styled("inspect");

/** @typedef {import("./json.js").Message} Message */

/** Messages that are written at once: the page stays responsive in between. */
const PIECE = 1000;

/** @type {Record<string, {type: string, head: (pins: string[][]) => string, line: (message: Message, pins: string[][]) => string}>} */
const FORMATS = {
  jsonl: { type: "application/jsonl", head: () => "", line: ({ text }) => `${text}\n` },
  csv: { type: "text/csv", head: csvHead, line: csvLine },
};

/**
 * The file, made piece by piece.
 * @param {readonly Message[]} messages @param {string[][]} pins @param {"jsonl" | "csv"} format
 * @returns {Promise<Blob>}
 */
async function fileOf(messages, pins, format) {
  const { type, head, line } = FORMATS[format] ?? {};
  if (!head || !line) throw new Error(`There is no format ${format}`);
  const utf8 = new TextEncoder();
  let at = 0;
  const pieces = new ReadableStream({
    start: (out) => out.enqueue(utf8.encode(head(pins))),
    pull: async (out) => {
      if (at >= messages.length) return out.close();
      const piece = messages.slice(at, at += PIECE).map((message) => line(message, pins));
      out.enqueue(utf8.encode(piece.join("")));
      await new Promise((done) => setTimeout(done, 0));
    },
  });
  return (await new Response(pieces, { headers: { "content-type": type ?? "" } })).blob();
}

/**
 * @param {string} pool @param {readonly Message[]} messages @param {string[][]} pins
 * @param {"jsonl" | "csv"} format
 */
async function save(pool, messages, pins, format) {
  const url = URL.createObjectURL(await fileOf(messages, pins, format));
  const [first, last] = [messages[0]?.seq, messages.at(-1)?.seq];
  h("a", { href: url, download: `${pool}-${first}-${last}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  toast(`Exported ${count(messages.length)} messages`);
}

/** A command with a button that copies it. @param {string} name @param {string} command */
const commandLine = (name, command) =>
  h(
    "div",
    { class: "command" },
    h("code", null, command),
    button(`Copy the ${name} command`, async () => {
      await copy(command);
      toast(`Copied the ${name} command`);
    }, { icon: "copy" }),
  );

/**
 * Shows the dialog for what is listed.
 * @param {string} pool
 * @param {import("./list.js").MessageList} list
 * @param {import("./shell.js").Listed} listed
 */
export function offerExport(pool, list, listed) {
  // What arrives or goes while the dialog is open changes nothing.
  const messages = list.rows.slice(0, list.length).filter((row) => row.kind === "message");
  const pins = list.pins.map((path) => [...path]);
  const n = count(messages.length);
  dialog(`Export ${n} message${messages.length === 1 ? "" : "s"}`, (close) => {
    const choice = (/** @type {string} */ text, /** @type {"jsonl" | "csv"} */ format) =>
      h("button", {
        type: "button",
        class: "tool",
        disabled: messages.length === 0,
        autofocus: format === "jsonl",
        onclick: () => {
          close();
          save(pool, messages, pins, format)
            .catch((error) => toast(`Not exported: ${error.message}`, true));
        },
      }, text);
    return [
      h("p", null, "What is listed, oldest first. CSV has the columns of the list."),
      h("p", { class: "choices" }, choice("JSON lines", "jsonl"), choice("CSV", "csv")),
      h("p", null, "The same in a terminal, and what follows:"),
      commandLine("plasmite", followCommand(pool, listed)),
      canCurl() && commandLine("curl", curlStream(pool, listed)),
    ];
  });
}
