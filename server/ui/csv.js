/**
 * Messages as CSV (RFC 4180): the columns of the list, numbers with all their digits, and no text that
 * a spreadsheet would take for a formula.
 *
 * @module
 */

import { pick } from "./json.js";

/** @typedef {import("./json.js").Message} Message */

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** How a formula starts for some spreadsheet; blanks before it are skipped by some. */
const FORMULA = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/;
/** Some spreadsheets separate by semicolons or tabs, whatever the file says. */
const SPECIAL = /["\r\n,;\t]|^\s|\s$/;

/** A field: quoted where it has to be, and led by an apostrophe where it would be run. @param {string} text */
export function csvField(text) {
  const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return SPECIAL.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A value of the data: a text as it is, anything else as JSON. @param {string | undefined} json */
function valueText(json) {
  if (json === undefined) return "";
  return json.startsWith('"') ? JSON.parse(json) : json;
}

/** Tags with commas between; as a JSON array where that would not tell them apart. @param {readonly string[]} tags */
const tagsText = (tags) =>
  tags.some((tag) => /^\[|[",]/.test(tag)) ? JSON.stringify(tags) : tags.join(",");

/** @param {readonly string[]} fields */
const line = (fields) => `${fields.map(csvField).join(",")}\r\n`;

/** The first line. @param {readonly string[][]} pins */
export const csvHead = (pins) =>
  line(["seq", "time", "tags", ...pins.map((path) => path.join(".")), "data"]);

/** The line of a message. @param {Message} message @param {readonly string[][]} pins */
export function csvLine({ seq, time, tags, text, from, to }, pins) {
  const cells = pins.map((path) => valueText(pick(text, from, to, path)));
  return line([String(seq), time, tagsText(tags), ...cells, text.slice(from, to)]);
}
