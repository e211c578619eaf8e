/**
 * Search for words in messages: in string values, keys and tags, and in the text of numbers, `true`,
 * `false` and `null`, each as the page shows it. Case is ignored unless the word has a capital. A
 * message matches when it has every word, whichever value or tag has it; a phrase in double quotes
 * is one word.
 *
 * It runs on the stored bytes: strings of ASCII are compared in place, others are decoded. The page
 * marks the same places (`server/ui/words.js`); a test compares the two.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import { corrupt, Lite3Doc } from "../lite3/doc.ts";
import { MAX_LEVELS, Tag } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { oneByOne, type Where, type WhereBatch } from "./where.ts";

/** More words are not searched for. */
const MOST_WORDS = 16;

/** One word to search for. */
interface Word {
  /** The word as it is compared, in UTF-8: folded, or as it is. */
  readonly bytes: Uint8Array;
  /** Whether case matters. */
  readonly exact: boolean;
  /** Whether the compared word is ASCII. */
  readonly ascii: boolean;
  /** The compared word. */
  readonly text: string;
  /** Whether it can be a part of a number. */
  readonly numeric: boolean;
}

/**
 * Text without its case: by Unicode's rules for capitals, so that ß is SS and both small sigmas are
 * one letter.
 */
export function foldCase(text: string): string {
  return text.toLowerCase().toUpperCase();
}

/** The words of a text; a part in double quotes is one word. */
export function wordsOf(text: string): string[] {
  const words = [...text.matchAll(/"([^"]*)"?|[^\s"]+/g)]
    .map(([word, phrase]) => phrase ?? word).filter((word) => word.trim() !== "");
  return [...new Set(words)].slice(0, MOST_WORDS);
}

function wordOf(text: string): Word {
  const exact = /\p{Lu}|\p{Lt}/u.test(text);
  const compared = exact ? text : foldCase(text);
  return {
    bytes: new TextEncoder().encode(compared),
    exact,
    // deno-lint-ignore no-control-regex
    ascii: /^[\x00-\x7f]*$/.test(compared),
    text: compared,
    numeric: /^[-+.\deE]+$/.test(compared),
  };
}

/** Capitals of ASCII by byte; other bytes stay. */
const CAPITALS = Uint8Array.from(
  { length: 256 },
  (_, byte) => byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte,
);
const SAME = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** Whether `bytes[start..end)`, each byte mapped, contain `word`. */
function contains(
  dv: DataView,
  start: number,
  end: number,
  word: Uint8Array,
  map: Uint8Array,
): boolean {
  const first = word[0];
  const last = end - word.length;
  next: for (let i = start; i <= last; i++) {
    if (map[dv.getUint8(i)] !== first) continue;
    for (let j = 1; j < word.length; j++) {
      if (map[dv.getUint8(i + j)] !== word[j]) continue next;
    }
    return true;
  }
  return false;
}

function isAscii(dv: DataView, start: number, end: number): boolean {
  let i = start;
  for (; i + 4 <= end; i += 4) if ((dv.getInt32(i) & 0x80808080) !== 0) return false;
  for (; i < end; i++) if (dv.getUint8(i) > 0x7f) return false;
  return true;
}

class WordSearch implements Where {
  readonly expression: string;
  readonly isNative = true;
  readonly failed = 0;
  readonly #words: readonly Word[];
  readonly #folds: boolean;
  readonly #numeric: boolean;
  readonly #constants: Readonly<Record<"true" | "false" | "null", readonly Word[]>>;
  /** The words not found yet in the current message. */
  #left: Word[] = [];
  readonly #scalar = new Lite3Doc();
  readonly #text = new Buf(64);

  constructor(expression: string, words: readonly string[]) {
    this.expression = expression;
    this.#words = words.map(wordOf);
    this.#folds = this.#words.some(({ exact }) => !exact);
    this.#numeric = this.#words.some(({ numeric }) => numeric);
    const inside = (constant: string): Word[] =>
      this.#words.filter(({ exact, text }) =>
        (exact ? constant : foldCase(constant)).includes(text)
      );
    this.#constants = { true: inside("true"), false: inside("false"), null: inside("null") };
  }

  matches(message: MessageView): boolean {
    this.#left = [...this.#words];
    const { doc } = message;
    for (let i = 0; i < message.tagCount; i++) {
      const tag = message.tagAt(i);
      const start = doc.stringStart(tag);
      if (this.#string(doc, start, start + doc.stringLength(tag))) return true;
    }
    doc.startWalk();
    return this.#value(doc, message.dataAt, 1);
  }

  /** Looks into a value; true as soon as no word is left. */
  #value(doc: Lite3Doc, value: number, level: number): boolean {
    switch (doc.tag(value)) {
      case Tag.String: {
        const length = doc.stringLength(value);
        doc.spend(length + 6);
        const start = doc.stringStart(value);
        return this.#string(doc, start, start + length);
      }
      case Tag.I64:
      case Tag.F64:
        doc.spend(9);
        return this.#numeric && this.#printed(doc, value);
      case Tag.Bool:
        doc.spend(2);
        return this.#found(this.#constants[doc.bool(value) ? "true" : "false"]);
      case Tag.Null:
        doc.spend(1);
        return this.#found(this.#constants.null);
      case Tag.Object:
      case Tag.Array:
        if (level > MAX_LEVELS) throw corrupt();
        return this.#container(doc, value, level, doc.tag(value) === Tag.Object);
      default:
        doc.spend(doc.bytesLength(value) + 5);
        return this.#printed(doc, value);
    }
  }

  #container(doc: Lite3Doc, node: number, level: number, isObject: boolean): boolean {
    const n = doc.pushEntries(node);
    for (let i = n; i > 0; i--) {
      let value = doc.entryFromTop(i);
      if (isObject) {
        const entry = value;
        value = doc.readKey(entry);
        doc.spend(value - entry);
        if (this.#string(doc, doc.keyStart, doc.keyEnd)) return true;
      }
      if (this.#value(doc, value, level + 1)) return true;
    }
    doc.dropEntries(n);
    return false;
  }

  #found(words: readonly Word[]): boolean {
    if (words.length > 0) this.#left = this.#left.filter((word) => !words.includes(word));
    return this.#left.length === 0;
  }

  /** Looks into the text of a value that is no string and no container. */
  #printed(doc: Lite3Doc, value: number): boolean {
    const out = this.#text;
    out.clear();
    // In a document of its own: printing begins a walk, which would end this one.
    printJson(this.#scalar.reset(doc.u8, doc.dv, doc.base, doc.len), value, out);
    const { dv, len } = out;
    this.#left = this.#left.filter(({ ascii, bytes, exact }) =>
      !ascii || !contains(dv, 0, len, bytes, exact ? SAME : CAPITALS)
    );
    return this.#left.length === 0;
  }

  /** Looks into the UTF-8 between two absolute positions. */
  #string(doc: Lite3Doc, start: number, end: number): boolean {
    const { dv } = doc;
    const ascii = this.#folds && isAscii(dv, start, end);
    let folded: string | undefined;
    for (let i = this.#left.length - 1; i >= 0; i--) {
      const word = this.#left[i] as Word;
      let found;
      if (word.exact) found = contains(dv, start, end, word.bytes, SAME);
      else if (ascii) found = word.ascii && contains(dv, start, end, word.bytes, CAPITALS);
      else found = (folded ??= foldCase(doc.text(start, end - start))).includes(word.text);
      if (found) this.#left.splice(i, 1);
    }
    return this.#left.length === 0;
  }

  batch(): WhereBatch {
    return oneByOne(this);
  }
}

/**
 * Compiles a search for words.
 *
 * @throws {PlasmiteError} Usage if there are none
 *
 * @example
 * ```ts ignore
 * const search = compileWords('refused "no route"');
 * if (search.matches(view)) print(view);
 * ```
 */
export function compileWords(text: string): Where {
  const words = wordsOf(text);
  if (words.length > 0) return new WordSearch(text, words);
  throw new PlasmiteError("Usage", "nothing to search for", { hint: "Give at least one word." });
}
