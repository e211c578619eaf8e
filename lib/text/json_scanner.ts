/**
 * Finds the ends of JSON values without building them: nesting and strings are tracked byte by
 * byte, so a value that arrives in many pieces is scanned only once.
 *
 * @module
 */

/** What may come next, outside a string or literal. */
const State = {
  /** Between top-level values. */
  Top: 0,
  /** A value. */
  Value: 1,
  /** A value or `]`. */
  Element: 2,
  /** A key or `}`. */
  Member: 3,
  /** A key. */
  Key: 4,
  /** A colon. */
  Colon: 5,
  /** A comma or the end of the container. */
  After: 6,
} as const;
type State = (typeof State)[keyof typeof State];

const Token = { None: 0, String: 1, Literal: 2 } as const;
type Token = (typeof Token)[keyof typeof Token];

/**
 * The deepest nesting that is tracked; deeper text is refused by all readers
 * (docs/spec/command-line.md 1.5).
 */
const MAX_DEPTH = 1024;

/** Whether `byte` can be part of a number, `true`, `false` or `null`. */
function isLiteral(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d || byte === 0x2e || byte === 0x2b;
}

/**
 * A resumable scanner over JSON text.
 *
 * It checks the grammar of containers, but not that of numbers, escapes and literals: accepted text
 * may still be invalid, but `bad` text always is. After an error it continues to count brackets, so
 * that the end of a broken value can be found.
 */
export class JsonScanner {
  /** Open containers; may be 0 inside a top-level string or literal. */
  depth = 0;
  /** Whether an error was found; from there on only brackets and strings are tracked. */
  bad = false;
  #state: State = State.Top;
  #token: Token = Token.None;
  #escape = false;
  /** 1 for an object, 0 for an array, per open container. */
  #kinds: number[] = [];
  #text: Uint8Array | undefined;
  #view: DataView | undefined;

  /** Resets the scanner: the next byte is outside any value. */
  reset(): void {
    this.depth = 0;
    this.bad = false;
    this.#state = State.Top;
    this.#token = Token.None;
    this.#escape = false;
  }

  /** Whether the scanner is between top-level values. */
  get between(): boolean {
    return this.depth === 0 && this.#token === Token.None;
  }

  /** Whether a top-level number or literal is open, which the end of the input would complete. */
  get inLiteral(): boolean {
    return this.depth === 0 && this.#token === Token.Literal;
  }

  /** Reports the end of a line: it ends literals, and a string cannot continue after it. */
  newline(): void {
    if (this.#token === Token.None) return;
    if (this.#token === Token.String) this.bad = true;
    else this.#state = this.depth === 0 ? State.Top : State.After;
    this.#token = Token.None;
    this.#escape = false;
  }

  /**
   * Scans `text[start, end)`.
   *
   * @param one whether to stop after the first top-level value
   * @returns `end`; or the index after the value if `one` is set and it ended; or, if an error was
   *   found in this call, the index of the wrong byte
   */
  scan(text: Uint8Array, start: number, end: number, one = false): number {
    if (this.bad) return this.#skim(text, start, end, one);
    let view = this.#view;
    if (view === undefined || this.#text !== text) {
      this.#text = text;
      view = this.#view = new DataView(text.buffer, text.byteOffset, text.byteLength);
    }
    let state = this.#state;
    let token = this.#token;
    let depth = this.depth;
    const kinds = this.#kinds;
    let wrong = false;
    let i = start;
    scanning: while (i < end) {
      let c = view.getUint8(i);
      if (token === Token.String) {
        if (this.#escape) {
          this.#escape = false;
          i++;
          continue;
        }
        while (c !== 0x22 && c !== 0x5c && c >= 0x20) {
          if (++i === end) break scanning;
          c = view.getUint8(i);
        }
        if (c < 0x20) {
          wrong = true;
          break;
        }
        i++;
        if (c === 0x5c) {
          this.#escape = true;
          continue;
        }
        token = Token.None;
        state = depth === 0
          ? State.Top
          : state === State.Key || state === State.Member
          ? State.Colon
          : State.After;
        if (one && depth === 0) break;
        continue;
      }
      if (token === Token.Literal) {
        while (isLiteral(c)) {
          if (++i === end) break scanning;
          c = view.getUint8(i);
        }
        token = Token.None;
        state = depth === 0 ? State.Top : State.After;
        if (one && depth === 0) break;
        continue;
      }
      if (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) {
        i++;
        continue;
      }
      if (c === 0x22) {
        if (state === State.Colon || state === State.After) wrong = true;
        else token = Token.String;
      } else if (c === 0x7b || c === 0x5b) {
        if (state > State.Element || depth === MAX_DEPTH) wrong = true;
        else {
          kinds[depth++] = c === 0x7b ? 1 : 0;
          state = c === 0x7b ? State.Member : State.Element;
        }
      } else if (c === 0x7d || c === 0x5d) {
        const object = c === 0x7d;
        const may = state === State.After || state === (object ? State.Member : State.Element);
        if (!may || kinds[depth - 1] !== (object ? 1 : 0)) wrong = true;
        else {
          depth--;
          state = depth === 0 ? State.Top : State.After;
          if (one && depth === 0) {
            i++;
            break;
          }
        }
      } else if (c === 0x2c) {
        if (state !== State.After) wrong = true;
        else state = kinds[depth - 1] === 1 ? State.Key : State.Value;
      } else if (c === 0x3a) {
        if (state !== State.Colon) wrong = true;
        else state = State.Value;
      } else if (state <= State.Element && isLiteral(c)) {
        token = Token.Literal;
      } else wrong = true;
      if (wrong) break;
      i++;
    }
    this.#state = state;
    this.#token = token;
    this.depth = depth;
    if (wrong) {
      this.bad = true;
      this.#token = Token.None;
      this.#escape = false;
    }
    return i;
  }

  /**
   * Like `scan`, but after an error: tracks brackets of any kind, and strings that end with their
   * line.
   */
  #skim(text: Uint8Array, start: number, end: number, one: boolean): number {
    let string = this.#token === Token.String;
    let i = start;
    for (; i < end; i++) {
      const c = text[i];
      if (this.#escape) this.#escape = false;
      else if (string) {
        if (c === 0x5c) this.#escape = true;
        else if (c === 0x22 || c === 0x0a) string = false;
      } else if (c === 0x22) string = true;
      else if (c === 0x7b || c === 0x5b) this.depth++;
      else if ((c === 0x7d || c === 0x5d) && this.depth > 0) {
        this.depth--;
        if (one && this.depth === 0) {
          i++;
          break;
        }
      }
    }
    this.#token = string ? Token.String : Token.None;
    return i;
  }
}
