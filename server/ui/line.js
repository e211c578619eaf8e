/**
 * What a row says: the text of the message, then `key value` for the other members, with colour for
 * trouble only. The rules are those of `--format line` (docs/spec/command-line.md 1.12).
 *
 * @module
 */

import { visible } from "./json.js";

/**
 * A member of the data; the text may be cut off anywhere.
 * @typedef {{key: string, json: string, isText: boolean, text: string}} Field
 */
/**
 * A part of a row: the text of the message, a key, or a value. @typedef {{kind: "m" | "k" | "v",
 * text: string, trouble: Trouble}} Piece
 */
/** How bad it is: 0 not at all, 1 an error, 2 a warning. @typedef {0 | 1 | 2} Trouble */

/** Names of the member with the text of the message, in order of preference. */
const MESSAGES = ["message", "msg", "text", "line", "event", "error"];
/** Names of the member with the severity. */
const LEVELS = ["level", "severity", "lvl"];
const FATAL = /^(?:err(?:or)?|fatal|crit(?:ical)?|panic|alert|emerg(?:ency)?)$/i;
const DOUBTFUL = /^warn(?:ing)?$/i;

const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^"{}[\],:]+/gs;

/** The text of a string token, which may be cut off. @param {string} token */
function unquoted(token) {
  const whole = /[^\\](?:\\\\)*"$|^""$/.test(token)
    ? token
    : `${token.replace(/\\(?:u[0-9a-fA-F]{0,3})?$/, "")}"`;
  try {
    const value = JSON.parse(whole);
    return typeof value === "string" ? value : token;
  } catch {
    return token;
  }
}

/** @param {string} key @param {string[]} tokens @returns {Field} */
function field(key, tokens) {
  const json = tokens.join("");
  const isText = tokens.length === 1 && json.startsWith('"');
  return { key, json, isText, text: isText ? unquoted(json) : json };
}

/**
 * The members of compact JSON text, in order; one without a name for values other than objects.
 * @param {string} json @returns {Field[]}
 */
export function fieldsOf(json) {
  if (!json.startsWith("{")) return [field("", [json])];
  /** @type {Field[]} */
  const fields = [];
  let depth = 0;
  /** @type {string | null} */
  let key = null;
  /** @type {string[]} */
  let value = [];
  const finish = () => {
    if (key !== null) fields.push(field(key, value));
    key = null;
    value = [];
  };
  for (const [token] of json.slice(1).matchAll(TOKEN)) {
    if (depth === 0 && (token === "," || token === "}")) finish();
    else if (key === null) key = unquoted(token);
    else if (depth === 0 && token === ":" && value.length === 0) continue;
    else {
      if (token === "{" || token === "[") depth++;
      else if (token === "}" || token === "]") depth--;
      value.push(token);
    }
  }
  finish();
  return fields;
}

/**
 * How bad a message is, by its level and its tags. @param {readonly Field[]} fields @param {readonly
 * string[]} tags @returns {Trouble}
 */
export function troubleOf(fields, tags) {
  const level = fields.find(({ key }) => LEVELS.includes(key))?.text ?? "";
  const words = [level, ...tags];
  if (words.some((word) => FATAL.test(word))) return 1;
  return words.some((word) => DOUBTFUL.test(word)) ? 2 : 0;
}

/**
 * Whether a column has the colour of trouble: that of the text of the message or of its severity.
 * @param {readonly string[]} path
 */
export const isTelling = (path) =>
  path.length === 1 && [...MESSAGES, ...LEVELS].includes(path[0] ?? "");

/** How bad a word is. @param {string} word @returns {Trouble} */
export const troubleIn = (word) => FATAL.test(word) ? 1 : DOUBTFUL.test(word) ? 2 : 0;

/**
 * The parts of a row.
 * @param {readonly Field[]} fields
 * @param {Trouble} trouble
 * @param {ReadonlySet<string>} [without] members that have a column of their own
 * @returns {Piece[]}
 */
export function piecesOf(fields, trouble, without) {
  /** @type {Piece[]} */
  const pieces = [];
  const left = without?.size ? fields.filter(({ key }) => !without.has(key)) : fields;
  const main = MESSAGES.map((name) => left.find(({ key, isText }) => key === name && isText))
    .find((found) => found !== undefined && found.text !== "");
  if (main) pieces.push({ kind: "m", text: visible(lastShown(main.text)), trouble });
  for (const member of left) {
    if (member === main) continue;
    if (member.key !== "") pieces.push({ kind: "k", text: visible(member.key), trouble: 0 });
    const isLevel = LEVELS.includes(member.key);
    pieces.push({ kind: "v", text: shownValue(member), trouble: isLevel ? trouble : 0 });
  }
  return pieces;
}

/** A value as a row shows it. @param {Field} member */
const shownValue = ({ isText, text, json }) =>
  visible(isText && isBare(text) ? lastShown(text) : json);

/** A value in a column of its own: a text without quotes. @param {string} json */
export function shownCell(json) {
  const { isText, text } = field("", [json]);
  return visible(isText && text !== "" ? lastShown(text) : json);
}

/** Whether a text is unambiguous without quotes. @param {string} text */
function isBare(text) {
  return text !== "" && text === text.trim() && !/^(?:-?\d|true$|false$|null$|["[{])/.test(text);
}

/** The part of a text with carriage returns that a terminal shows in the end. @param {string} text */
function lastShown(text) {
  if (!text.includes("\r")) return text;
  return text.split("\r").findLast((piece) => piece !== "") ?? "";
}

/** The parts as one text: two spaces between members. @param {readonly Piece[]} pieces */
export function lineText(pieces) {
  return pieces.map(({ text }, i) => gap(pieces, i) + text).join("");
}

/** The space before a part. @param {readonly Piece[]} pieces @param {number} i */
export function gap(pieces, i) {
  if (i === 0) return "";
  return pieces[i - 1]?.kind === "k" ? " " : "  ";
}
