/**
 * A line editor: keys in, text and cursor out. It is independent of the terminal.
 *
 * @module
 */

/** The effect of a key, other than changing the line. */
export type Outcome =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "end" };

/** The number of lines in the history. */
const HISTORY = 200;

/** Edits lines. */
export class LineEditor {
  /** The text of the line. */
  text = "";
  /** The position of the cursor, an index into `text`. */
  cursor = 0;
  readonly #history: string[] = [];
  #recalled = 0;
  #draft = "";
  /** The beginning of an escape sequence. */
  #escape = "";
  #afterReturn = false;
  readonly #segmenter = new Intl.Segmenter();

  /** Processes input and yields finished lines and the end of input. */
  *type(input: string): Generator<Outcome> {
    for (const char of input) {
      if (this.#escape !== "") {
        this.#escaped(char);
        continue;
      }
      const newline = char === "\n" && this.#afterReturn;
      this.#afterReturn = char === "\r";
      if (newline) continue;
      if (char === "\x1b") this.#escape = char;
      else if (char === "\r" || char === "\n") yield { kind: "line", text: this.#take() };
      else if (char === "\x04" && this.text === "") {
        yield { kind: "end" };
        return;
      } else this.#key(char);
    }
  }

  #key(char: string): void {
    switch (char) {
      case "\x01":
        this.cursor = 0;
        break;
      case "\x02":
        this.#left();
        break;
      case "\x04":
        this.#delete();
        break;
      case "\x05":
        this.cursor = this.text.length;
        break;
      case "\x06":
        this.#right();
        break;
      case "\x08":
      case "\x7f":
        this.#remove(this.#before(), this.cursor);
        break;
      case "\x0b":
        this.#remove(this.cursor, this.text.length);
        break;
      case "\x0e":
        this.#recall(1);
        break;
      case "\x10":
        this.#recall(-1);
        break;
      case "\x15":
        this.#remove(0, this.cursor);
        break;
      case "\x17":
        this.#remove(this.#wordBefore(), this.cursor);
        break;
      default:
        if (char >= " " || char === "\t") this.#insert(char);
    }
  }

  /** `ESC [ … final`, `ESC O final`, or ESC and a letter. */
  #escaped(char: string): void {
    this.#escape += char;
    if (this.#escape === "\x1b[" || this.#escape === "\x1bO") return;
    const csi = this.#escape.startsWith("\x1b[");
    if (csi && !/[@-~]/.test(char)) return;
    const sequence = this.#escape.slice(1);
    this.#escape = "";
    switch (sequence) {
      case "[A":
      case "OA":
        this.#recall(-1);
        break;
      case "[B":
      case "OB":
        this.#recall(1);
        break;
      case "[C":
      case "OC":
        this.#right();
        break;
      case "[D":
      case "OD":
        this.#left();
        break;
      case "[H":
      case "OH":
      case "[1~":
      case "[7~":
        this.cursor = 0;
        break;
      case "[F":
      case "OF":
      case "[4~":
      case "[8~":
        this.cursor = this.text.length;
        break;
      case "[3~":
        this.#delete();
        break;
      case "[1;5D":
      case "b":
        this.cursor = this.#wordBefore();
        break;
      case "[1;5C":
      case "f":
        this.cursor = this.#wordAfter();
        break;
      case "\x7f":
        this.#remove(this.#wordBefore(), this.cursor);
    }
  }

  #take(): string {
    const { text } = this;
    if (text !== "" && text !== this.#history.at(-1)) this.#history.push(text);
    if (this.#history.length > HISTORY) this.#history.shift();
    this.#recalled = this.#history.length;
    this.#draft = "";
    this.text = "";
    this.cursor = 0;
    return text;
  }

  #recall(step: number): void {
    const at = this.#recalled + step;
    if (at < 0 || at > this.#history.length) return;
    if (this.#recalled === this.#history.length) this.#draft = this.text;
    this.#recalled = at;
    this.text = this.#history[at] ?? this.#draft;
    this.cursor = this.text.length;
  }

  #insert(char: string): void {
    this.text = this.text.slice(0, this.cursor) + char + this.text.slice(this.cursor);
    this.cursor += char.length;
  }

  #remove(from: number, to: number): void {
    this.text = this.text.slice(0, from) + this.text.slice(to);
    this.cursor = from;
  }

  #left(): void {
    this.cursor = this.#before();
  }

  #right(): void {
    this.cursor = this.#after();
  }

  #delete(): void {
    this.#remove(this.cursor, this.#after());
  }

  /** The start of the grapheme before the cursor. */
  #before(): number {
    let last = 0;
    for (const { index } of this.#segmenter.segment(this.text.slice(0, this.cursor))) last = index;
    return last;
  }

  #after(): number {
    for (const { segment } of this.#segmenter.segment(this.text.slice(this.cursor))) {
      return this.cursor + segment.length;
    }
    return this.cursor;
  }

  #wordBefore(): number {
    return this.text.slice(0, this.cursor).replace(/\S+\s*$|\s+$/u, "").length;
  }

  #wordAfter(): number {
    return this.cursor + (/^\s*\S*/u.exec(this.text.slice(this.cursor))?.[0].length ?? 0);
  }
}
