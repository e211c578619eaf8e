/**
 * Splits bytes into lines and reports invalid ones.
 *
 * @module
 */

/** A line, or the problem with it. */
export type Line =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "invalid" }
  | { readonly kind: "too long" };

/** Splits bytes into lines; keeps at most one line of `most` bytes. */
export class LineSplitter {
  readonly #most: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #pieces: Uint8Array[] = [];
  #size = 0;
  #dropping = false;

  /** @param most the longest line in bytes */
  constructor(most: number) {
    this.#most = most;
  }

  /** Returns the lines that end in this chunk. The chunk may be reused afterwards. */
  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, from);
      if (end < 0) break;
      this.#keep(chunk.subarray(from, end));
      this.#complete(lines);
      from = end + 1;
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
    return lines;
  }

  /** The last line, if it has no end. */
  end(): Line[] {
    const lines: Line[] = [];
    this.#complete(lines);
    return lines;
  }

  #keep(bytes: Uint8Array): void {
    if (this.#dropping) return;
    this.#size += bytes.length;
    if (this.#size > this.#most) {
      this.#dropping = true;
      this.#pieces = [];
    } else this.#pieces.push(bytes.slice());
  }

  #complete(lines: Line[]): void {
    const pieces = this.#pieces;
    const size = this.#size;
    const dropped = this.#dropping;
    this.#pieces = [];
    this.#size = 0;
    this.#dropping = false;
    if (dropped) lines.push({ kind: "too long" });
    else if (size > 0) {
      const line = this.#decode(pieces, size);
      if (line !== undefined) lines.push(line);
    }
  }

  #decode(pieces: readonly Uint8Array[], size: number): Line | undefined {
    let [line = new Uint8Array(0)] = pieces;
    if (pieces.length > 1) {
      line = new Uint8Array(size);
      let at = 0;
      for (const piece of pieces) {
        line.set(piece, at);
        at += piece.length;
      }
    }
    try {
      const text = this.#decoder.decode(line).replace(/\r+$/, "");
      return text === "" ? undefined : { kind: "text", text };
    } catch {
      return { kind: "invalid" };
    }
  }
}
