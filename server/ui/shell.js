/**
 * Command lines to be pasted into a shell. They hold no secrets: a token is named as a variable.
 *
 * @module
 */

import { address as here } from "./address.js";
import { poolPath, rights } from "./api.js";
import { wordsOf } from "./words.js";

/**
 * What is listed. @typedef {{tags: readonly string[], where: string, q: string, hits: boolean}}
 * Listed words restrict it only with `hits`
 */

/** Characters that a terminal would act on, even within quotes. */
const ACTS =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f]/;

/**
 * A word for a POSIX shell. Characters that a terminal acts on are written as escapes: a message
 * could otherwise type into the terminal of whoever pastes its tag.
 * @param {string} text
 */
export function quoted(text) {
  if (/^[\w./:@%+-][\w./:@%+=-]*$/.test(text)) return text;
  if (!ACTS.test(text)) return `'${text.replaceAll("'", `'\\''`)}'`;
  return `$'${[...text].map(escaped).join("")}'`;
}

/** A character inside `$'…'`, as bytes where a terminal would act on it. @param {string} char */
function escaped(char) {
  if (/[\\']/.test(char)) return `\\${char}`;
  if (!ACTS.test(char)) return char;
  const bytes = [...new TextEncoder().encode(char)];
  return bytes.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

/** An option with its value, which may start with a hyphen. @param {string} name @param {string} value */
const option = (name, value) =>
  value.startsWith("-") ? quoted(`${name}=${value}`) : `${name} ${quoted(value)}`;

/** The pool as every command takes it, on any machine that reaches this server. @param {string} pool */
const address = (pool) => quoted(`${here.origin}/${encodeURIComponent(pool)}`);

const credentials = () => rights.token ? ['--token "$PLASMITE_TOKEN"'] : [];

/** Shows what a filter lets through, in a terminal. @param {string} pool @param {Listed} listed */
export function followCommand(pool, { tags, where, q, hits }) {
  return [
    "plasmite follow",
    address(pool),
    ...tags.map((tag) => option("--tag", tag)),
    ...where ? [option("--where", where)] : [],
    ...hits ? wordsOf(q).map((word) => option("--where", hasWord(word))) : [],
    "--tail 20",
    ...credentials(),
  ].join(" ");
}

/**
 * Messages with a word, in jq: in keys, values or tags. @param {import("./words.js").Word} word
 */
function hasWord({ text, exact }) {
  const pattern = JSON.stringify(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const all = "[(.data, .meta.tags) | .. | (objects | keys[]), (scalars | tostring)]";
  return `${all} | any(test(${pattern}${exact ? "" : '; "i"'}))`;
}

/** Gets one message. @param {string} pool @param {bigint} seq */
export const fetchCommand = (pool, seq) =>
  ["plasmite fetch", address(pool), seq, ...credentials()].join(" ");

/** The secret of a key and the certificate are not at hand for curl. */
export const canCurl = () => !rights.session;

/** Sends a GET request for a path of this server. @param {string} path @param {string} flags */
function curl(path, flags) {
  const auth = rights.token ? ` -H "Authorization: Bearer $PLASMITE_TOKEN"` : "";
  return `curl ${flags} ${quoted(`${here.origin}${path}`)}${auth}`;
}

/** Gets one message with curl. @param {string} pool @param {bigint} seq */
export const curlMessage = (pool, seq) => curl(`${poolPath(pool)}/messages/${seq}`, "-sS");

/** Streams what a filter lets through with curl. @param {string} pool @param {Listed} listed */
export function curlStream(pool, { tags, where, q, hits }) {
  const query = new URLSearchParams();
  for (const tag of tags) query.append("tag", tag);
  if (where) query.set("where", where);
  if (hits && q) query.set("q", q);
  const asked = query.size ? `?${query}` : "";
  return curl(`${poolPath(pool)}/tail${asked}`, "-sSN");
}
