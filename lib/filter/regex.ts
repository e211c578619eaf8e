/**
 * Translates jq's regular expressions (Oniguruma, Perl syntax) to JavaScript where both mean the
 * same. Anything else is left to jq.
 *
 * @module
 */

/**
 * The cost of backtracking: each unlimited repeat may try every length of the text, and each choice
 * multiplies the possibilities.
 */
export interface Effort {
  /** Unlimited repeats; many more if one is inside another. */
  readonly repeats: number;
  /** The product of the choices. */
  readonly choices: number;
}

/** A pattern that JavaScript can run instead of jq. */
export interface Pattern {
  /** Set if the pattern is plain text. */
  readonly literal?: string;
  /** The translated expression. */
  readonly regexp: RegExp;
  /** The cost in the worst case. */
  readonly effort: Effort;
}

/** Letter pairs that Oniguruma also matches with ß, ﬀ, ﬁ, ﬂ, ﬅ and similar when ignoring case. */
const LIGATURES = /ss|ff|fi|fl|st/i;
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
/** Outside brackets, Oniguruma treats these six as word characters too (tested one by one). */
const BARE_WORD = `${WORD}²³¹¼½¾`;
const CLASSES: Readonly<Record<string, string>> = {
  d: "\\p{Nd}",
  w: WORD,
  s: "\\p{White_Space}",
};
/**
 * Escapes for a single character in both; not `\h` and `\e`, which in jq mean a hex digit and ESC.
 */
const CONTROLS = "ntrfv";

/**
 * Translates `pattern` under jq's `flags`, of which only `g` (no effect on a test) and `i` are
 * supported. Undefined if it must be left to jq, as for invalid patterns.
 */
export function translate(pattern: string, flags: string): Pattern | undefined {
  if (!/^[gi]*$/.test(flags)) return undefined;
  const ignoreCase = flags.includes("i");
  const reader = new Reader(pattern, ignoreCase);
  const source = reader.alternatives(0);
  if (source === undefined || !reader.atEnd) return undefined;
  if (ignoreCase && /\P{ASCII}/u.test(pattern)) return undefined;
  try {
    const regexp = new RegExp(source, ignoreCase ? "ui" : "u");
    const effort = { repeats: reader.repeats, choices: reader.choices };
    return reader.plain && !ignoreCase
      ? { literal: reader.text, regexp, effort }
      : { regexp, effort };
  } catch {
    return undefined;
  }
}

/**
 * The steps for matching a text of `length` in the worst case; one step is a few hundred
 * characters.
 */
export function matchCost(length: number, { repeats, choices }: Effort): number {
  return Math.ceil(choices * (length + 1) ** (1 + repeats) / 256);
}

class Reader {
  readonly #pattern: string;
  readonly #ignoreCase: boolean;
  #at = 0;
  /** Whether there were only plain characters so far; they are in `text`. */
  plain = true;
  text = "";
  repeats = 0;
  choices = 1;
  /** Plain characters in a row, for ligatures. */
  #run = "";

  constructor(pattern: string, ignoreCase: boolean) {
    this.#pattern = pattern;
    this.#ignoreCase = ignoreCase;
  }

  get atEnd(): boolean {
    return this.#at >= this.#pattern.length;
  }

  #peek(): string {
    return String.fromCodePoint(this.#pattern.codePointAt(this.#at) ?? 0);
  }

  alternatives(depth: number): string | undefined {
    if (depth > 50) return undefined;
    let out = "";
    for (;;) {
      const branch = this.#branch(depth);
      if (branch === undefined) return undefined;
      out += branch;
      if (this.atEnd || this.#peek() !== "|") return out;
      this.#at++;
      this.plain = false;
      out += "|";
      this.choices *= 2;
    }
  }

  #branch(depth: number): string | undefined {
    let out = "";
    this.#run = "";
    while (!this.atEnd && this.#peek() !== "|" && this.#peek() !== ")") {
      const { repeats, choices } = this;
      const atom = this.#atom(depth);
      if (atom === undefined) return undefined;
      const quantified = this.#quantifier(atom, repeats, choices);
      if (quantified === undefined) return undefined;
      out += quantified;
      if (this.#ignoreCase && LIGATURES.test(this.#run)) return undefined;
    }
    return out;
  }

  #atom(depth: number): string | undefined {
    const char = this.#peek();
    switch (char) {
      case "^":
      case "$":
      case ".":
        this.#special(1);
        // `.` is anything but a line feed; `$` is also before a final line feed
        return char === "." ? "[^\\n]" : char === "^" ? "^" : "(?=\\n?$)";
      case "(":
        return this.#group(depth);
      case "[":
        return this.#class();
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
      case "{":
      case "}":
      case "]":
        return undefined;
    }
    this.#at += char.length;
    this.text += char;
    this.#run += char;
    return char === "/" || char === "-" ? char : char.replace(/[\\^$.*+?()[\]{}|]/, "\\$&");
  }

  #special(length: number): void {
    this.#at += length;
    this.plain = false;
    this.#run = "";
  }

  #group(depth: number): string | undefined {
    const open = /\((?:\?(?::|=|!))?/y;
    open.lastIndex = this.#at;
    const head = open.exec(this.#pattern)?.[0] ?? "(";
    if (head === "(" && this.#pattern[this.#at + 1] === "?") return undefined;
    this.#special(head.length);
    const body = this.alternatives(depth + 1);
    if (body === undefined || this.atEnd) return undefined;
    this.#special(1);
    const start = head === "(" ? "(?:" : head;
    return `${start}${body})`;
  }

  #escape(): string | undefined {
    const char = this.#pattern[this.#at + 1] ?? "";
    if (char !== "" && CONTROLS.includes(char)) {
      this.#special(2);
      return `\\${char}`;
    }
    const set = CLASSES[char.toLowerCase()];
    if (set !== undefined) {
      this.#special(2);
      const bare = set === WORD ? BARE_WORD : set;
      return char === char.toLowerCase() ? `[${bare}]` : `[^${bare}]`;
    }
    if (char === "b" || char === "B") {
      this.#special(2);
      const word = `[${BARE_WORD}]`;
      return char === "b"
        ? `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`
        : `(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`;
    }
    if (
      !/[!-/:-@[-`{-~]/.test(char) || char === "<" || char === ">" || char === "`" || char === "'"
    ) {
      return undefined;
    }
    this.#at += 2;
    this.text += char;
    this.#run += char;
    return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
  }

  #class(): string | undefined {
    const close = /\[\^?(?:[^\]\\[&]|\\.)+\]/uy;
    close.lastIndex = this.#at;
    const text = close.exec(this.#pattern)?.[0];
    if (text === undefined) return undefined;
    const negated = text[1] === "^";
    const body = text.slice(negated ? 2 : 1, -1);
    const out = classItems(body);
    if (out === undefined) return undefined;
    this.#special(text.length);
    return `[${negated ? "^" : ""}${out}]`;
  }

  /** Reads `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`, each optionally lazy. */
  #quantifier(atom: string, repeats: number, choices: number): string | undefined {
    const quantifier = /[*+?]\??|\{\d{1,3}(?:,\d{0,3})?\}\??/y;
    quantifier.lastIndex = this.#at;
    const text = quantifier.exec(this.#pattern)?.[0];
    if (text === undefined) return atom;
    // `{n}?` is not lazy in Oniguruma, `a{2}{3}`, `a*+` and quantified anchors mean other things
    const after = this.#pattern[this.#at + text.length] ?? "";
    const anchor = atom === "^" || atom.startsWith("(?=") || atom.startsWith("(?!") ||
      atom.startsWith("(?:(?<");
    if (/^\{\d+\}\?$/.test(text) || /[*+?{]/.test(after) || anchor) return undefined;
    const [, low, high] = /^\{(\d+),(\d+)\}/.exec(text) ?? [];
    if (low !== undefined && Number(low) > Number(high)) return undefined;
    this.#weigh(text, this.repeats - repeats, this.choices / choices);
    this.#special(text.length);
    return atom + text;
  }

  /** Adds the cost of a quantifier on a part with the given repeats and choices. */
  #weigh(quantifier: string, repeats: number, choices: number): void {
    if (/^[*+]|,\}/.test(quantifier)) {
      // repeated repeats and choices take exponential time
      this.repeats += repeats > 0 || choices > 1 ? 8 : 1;
      return;
    }
    const [low = 0, high = low] = quantifier.startsWith("?")
      ? [0, 1]
      : quantifier.match(/\d+/g)?.map(Number) ?? [];
    this.repeats += repeats * Math.max(0, high - 1);
    this.choices *= choices ** Math.max(0, high - 1) * (high - low + 1);
  }
}

/** The inside of `[…]` without nesting, intersections and POSIX names. */
function classItems(body: string): string | undefined {
  const items = [...body.matchAll(/\\([^])|([^\\])/gu)];
  let out = "";
  for (const [index, [, escaped, plain]] of items.entries()) {
    if (plain === "-") {
      // only where both engines agree: first, last, or a range between plain characters
      const inside = index > 0 && index < items.length - 1;
      if (inside && (items[index - 2]?.[2] === "-" && index > 2)) return undefined;
      out += inside ? "-" : "\\-";
    } else if (plain !== undefined) out += plain === "^" ? "\\^" : plain;
    else if (escaped !== undefined && CONTROLS.includes(escaped)) out += `\\${escaped}`;
    else if (escaped !== undefined && CLASSES[escaped] !== undefined) {
      const next = items[index + 1]?.[2];
      const previous = items[index - 1]?.[2];
      if ((next === "-" && index + 2 < items.length) || (previous === "-" && index > 1)) {
        return undefined;
      }
      out += CLASSES[escaped];
    } else if (escaped !== undefined && /[!-/:-@[-`{-~]/.test(escaped)) {
      out += /[\\\]^-]/.test(escaped) ? `\\${escaped}` : escaped === "[" ? "\\[" : escaped;
    } else return undefined;
  }
  return out;
}
