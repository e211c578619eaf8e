/**
 * JSON handled as text: numbers keep their digits, so 64-bit integers are shown exactly, and a row
 * can be drawn without parsing the whole message.
 *
 * @module
 */

/** A number as its source text. */
export class Num {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** @typedef {Map<string, any> | any[] | string | Num | boolean | null} Json */

/** A syntax error with its position. */
export class JsonError extends SyntaxError {
  /**
   * @param {string} what
   * @param {string} text
   * @param {number} at
   */
  constructor(what, text, at) {
    const lines = text.slice(0, at).split("\n");
    const column = (lines.at(-1) ?? "").length + 1;
    super(`${what} at ${lines.length > 1 ? `line ${lines.length}, ` : ""}column ${column}`);
    this.at = at;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\n\r]*/y;
const MAX_DEPTH = 400;

/** The index after the string that starts at `i`, or -1. @param {string} s @param {number} i */
function stringEnd(s, i) {
  for (let from = i + 1;;) {
    const quote = s.indexOf('"', from);
    if (quote < 0) return -1;
    let b = quote;
    while (s.charCodeAt(b - 1) === 92) b--;
    if (((quote - b) & 1) === 0) return quote + 1;
    from = quote + 1;
  }
}

/**
 * Parses one JSON value; objects become Maps in source order.
 * @param {string} text
 * @returns {Json}
 */
export function parse(text) {
  let at = 0;
  const fail = (/** @type {string} */ what, i = at) => {
    throw new JsonError(i >= text.length ? "The text ends too early" : what, text, i);
  };
  const space = () => {
    SPACE.lastIndex = at;
    SPACE.test(text);
    at = SPACE.lastIndex;
    return text[at];
  };
  const string = () => {
    const end = stringEnd(text, at);
    if (end < 0) fail("Unclosed string");
    const raw = text.slice(at, end);
    try {
      const value = JSON.parse(raw);
      at = end;
      return value;
    } catch {
      return fail("Unescaped control character in a string");
    }
  };
  /** @type {(depth: number) => any} */
  const value = (depth) => {
    if (depth > MAX_DEPTH) fail("Nested too deeply");
    const c = space();
    if (c === '"') return string();
    if (c === "{") {
      const map = new Map();
      at++;
      if (space() === "}") return at++, map;
      for (;;) {
        if (space() !== '"') fail("Expected a key in double quotes");
        const key = string();
        if (space() !== ":") fail("Expected `:` behind the key");
        at++;
        map.set(key, value(depth + 1));
        const next = space();
        at++;
        if (next === "}") return map;
        if (next !== ",") fail("Expected `,` or `}`", at - 1);
      }
    }
    if (c === "[") {
      /** @type {Json[]} */
      const list = [];
      at++;
      if (space() === "]") return at++, list;
      for (;;) {
        list.push(value(depth + 1));
        const next = space();
        at++;
        if (next === "]") return list;
        if (next !== ",") fail("Expected `,` or `]`", at - 1);
      }
    }
    for (const pattern of [NUMBER, WORD]) {
      pattern.lastIndex = at;
      const m = pattern.exec(text);
      if (!m) continue;
      at = pattern.lastIndex;
      if (pattern === NUMBER) return new Num(m[0]);
      return m[0] === "null" ? null : m[0] === "true";
    }
    return fail("Expected a value");
  };
  const result = value(0);
  if (space() !== undefined) fail("Something stands behind the value");
  return result;
}

/** The index after the value that starts at `i`. @param {string} s @param {number} i */
export function skip(s, i) {
  for (let depth = 0;;) {
    const c = s.charCodeAt(i);
    if (c === 34) i = stringEnd(s, i);
    else if (c === 123 || c === 91) depth++, i++;
    else if (c === 125 || c === 93) depth--, i++;
    else if (depth > 0 && (c === 44 || c === 58 || c <= 32)) i++;
    else {
      const from = i;
      while (i < s.length && !',:}]"{[ \n\t\r'.includes(s[i] ?? "")) i++;
      if (i === from) return i;
    }
    if (depth === 0 || i <= 0 || i >= s.length) return i > 0 ? i : s.length;
  }
}

/**
 * Visits the members of the object that starts at `i`; stops if `visit` returns true.
 * @param {string} s
 * @param {number} i
 * @param {(key: string, start: number, end: number) => boolean | void} visit `key` as in the
 *   source, unescaped
 */
export function members(s, i, visit) {
  const space = () => {
    while (" \n\t\r,".includes(s[i] ?? "-")) i++;
  };
  if (s[i] !== "{") return;
  i++;
  for (space(); s[i] === '"'; space()) {
    const end = stringEnd(s, i);
    if (end < 0) return;
    const key = s.slice(i + 1, end - 1);
    i = end;
    while (" \n\t\r:".includes(s[i] ?? "-")) i++;
    const stop = skip(s, i);
    if (visit(key.includes("\\") ? JSON.parse(`"${key}"`) : key, i, stop)) return;
    i = stop;
  }
}

/**
 * The source text of the value at a path such as `["user", "id"]`, or undefined.
 * @param {string} s
 * @param {number} start
 * @param {number} end
 * @param {readonly string[]} path
 * @returns {string | undefined}
 */
export function pick(s, start, end, path) {
  for (const name of path) {
    let found = false;
    members(s, start, (key, from, to) => {
      if (key === name) [found, start, end] = [true, from, to];
      return found;
    });
    if (!found) return undefined;
  }
  return s.slice(start, end);
}

/** @type {Map<string, readonly string[]>} */
const tagLists = new Map();

/**
 * Equal tag lists share one array: 100,000 rows have only a few. @param {string} text @returns
 * {readonly string[]}
 */
function tagsOf(text) {
  let tags = tagLists.get(text);
  if (!tags) {
    if (tagLists.size > 2000) tagLists.clear();
    tagLists.set(text, tags = Object.freeze(JSON.parse(text)));
  }
  return /** @type {readonly string[]} */ (tags);
}

/**
 * One message of a stream.
 * @typedef {object} Message
 * @property {"message"} kind
 * @property {bigint} seq
 * @property {number} t milliseconds since 1970
 * @property {string} time as sent
 * @property {readonly string[]} tags
 * @property {string} text the whole message as sent
 * @property {number} from where `data` starts in `text`
 * @property {number} to where it ends
 */

/**
 * Reads an envelope without parsing its data. Servers write `data`, `meta`, `seq`, `time` in this
 * order; any other order is read member by member.
 * @param {string} text
 * @returns {Message}
 */
export function readMessage(text) {
  const meta = text.lastIndexOf(',"meta":{"tags":[');
  const seq = text.lastIndexOf('},"seq":');
  const time = text.lastIndexOf(',"time":"');
  if (text.startsWith('{"data":') && meta > 0 && seq > meta && time > seq) {
    const stamp = text.slice(time + 9, -2);
    return {
      kind: "message",
      seq: BigInt(text.slice(seq + 8, time)),
      t: Date.parse(stamp),
      time: stamp,
      tags: tagsOf(text.slice(meta + 16, seq)),
      text,
      from: 8,
      to: meta,
    };
  }
  /** @type {Message} */
  const message = { kind: "message", seq: 0n, t: 0, time: "", tags: [], text, from: 0, to: 0 };
  members(text, text.indexOf("{"), (key, from, to) => {
    const value = text.slice(from, to);
    if (key === "data") [message.from, message.to] = [from, to];
    else if (key === "seq") message.seq = BigInt(value);
    else if (key === "time") message.t = Date.parse(message.time = JSON.parse(value));
    else if (key === "meta") message.tags = tagsOf(pick(value, 0, value.length, ["tags"]) ?? "[]");
  });
  return message;
}

// Control, invisible and text-direction characters are shown as escapes, so that nothing is hidden.
const HIDDEN =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text with hidden characters written as escapes. @param {string} text @param {boolean} [lines] keep line breaks and tabs */
export function visible(text, lines) {
  return text.replace(
    HIDDEN,
    (c) =>
      lines && (c === "\n" || c === "\t")
        ? c
        : "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/**
 * Indented JSON text with exact numbers.
 * @param {Json} value
 * @param {string} [indent]
 * @returns {string}
 */
export function pretty(value, indent = "") {
  const deeper = indent + "  ";
  if (value instanceof Num) return value.text;
  if (Array.isArray(value)) {
    if (!value.length) return "[]";
    return `[\n${value.map((v) => deeper + pretty(v, deeper)).join(",\n")}\n${indent}]`;
  }
  if (value instanceof Map) {
    if (!value.size) return "{}";
    const list = [...value].map(([k, v]) => `${deeper}${JSON.stringify(k)}: ${pretty(v, deeper)}`);
    return `{\n${list.join(",\n")}\n${indent}}`;
  }
  return JSON.stringify(value);
}

/**
 * JSON.parse for responses of the server: integers beyond 2^53 become bigints. @param {string} text
 * @returns {any}
 */
export function parseAnswer(text) {
  /** @type {(v: any) => any} */
  const plain = (v) => {
    if (v instanceof Num) {
      const n = Number(v.text);
      return Number.isInteger(n) && !Number.isSafeInteger(n) ? BigInt(v.text) : n;
    }
    if (Array.isArray(v)) return v.map(plain);
    if (v instanceof Map) {
      /** @type {Record<string, any>} */
      const object = Object.create(null);
      for (const [k, x] of v) object[k] = plain(x);
      return object;
    }
    return v;
  };
  return plain(parse(text));
}
