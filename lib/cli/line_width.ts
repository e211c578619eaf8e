/**
 * The width of text on a terminal, and cutting text to a width.
 *
 * @module
 */

/** Text and its SGR number; 0 for none. */
export interface Piece {
  /** The text, without control characters. */
  readonly text: string;
  /** The SGR number. */
  readonly style: number;
}

/** Characters that take two columns: East Asian wide and fullwidth, and emoji. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x2329, 0x232a],
  [0x23e9, 0x23f3],
  [0x25fd, 0x25fe],
  [0x2614, 0x2615],
  [0x2648, 0x2653],
  [0x267f, 0x267f],
  [0x2693, 0x2693],
  [0x26a1, 0x26a1],
  [0x26aa, 0x26ab],
  [0x26bd, 0x26be],
  [0x26c4, 0x26c5],
  [0x26ce, 0x26ce],
  [0x26d4, 0x26d4],
  [0x26ea, 0x26ea],
  [0x26f2, 0x26f3],
  [0x26f5, 0x26f5],
  [0x26fa, 0x26fa],
  [0x26fd, 0x26fd],
  [0x2705, 0x2705],
  [0x270a, 0x270b],
  [0x2728, 0x2728],
  [0x274c, 0x274c],
  [0x274e, 0x274e],
  [0x2753, 0x2755],
  [0x2757, 0x2757],
  [0x2795, 0x2797],
  [0x27b0, 0x27b0],
  [0x27bf, 0x27bf],
  [0x2b1b, 0x2b1c],
  [0x2b50, 0x2b50],
  [0x2b55, 0x2b55],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18aff],
  [0x1aff0, 0x1b2ff],
  [0x1f004, 0x1f004],
  [0x1f0cf, 0x1f0cf],
  [0x1f18e, 0x1f18e],
  [0x1f191, 0x1f19a],
  [0x1f1e6, 0x1f320],
  [0x1f32d, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f7e0, 0x1f7eb],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
];
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]$/u;

/**
 * The width of a character. Where terminals differ (joined emoji) it returns the larger width, so
 * that a line is cut too early rather than wrapped.
 */
export function charWidth(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x300) return code === 0xad ? 0 : 1;
  // An emoji selector makes its character wide.
  if (code === 0xfe0f) return 1;
  if (code < 0x1100) return ZERO.test(char) ? 0 : 1;
  if (code < 0x2e80 || code >= 0xfe00) {
    if (ZERO.test(char)) return 0;
  }
  let low = 0;
  let high = WIDE.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from, to] = WIDE[middle] ?? [0, 0];
    if (code < from) high = middle - 1;
    else if (code > to) low = middle + 1;
    else return ZERO.test(char) ? 0 : 2;
  }
  return 1;
}

/** The width of a text without control characters. */
export function textWidth(text: string): number {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** A text with spaces after it, up to a width. */
export function padded(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - textWidth(text)));
}

/** The width of the widest of many texts. */
export function widest(texts: Iterable<string>): number {
  let most = 0;
  for (const text of texts) most = Math.max(most, textWidth(text));
  return most;
}

/** Cuts pieces to `columns`, with `…` in place of the rest. */
export function fit(pieces: readonly Piece[], columns: number): Piece[] {
  if (columns === Infinity) return [...pieces];
  const fitting: Piece[] = [];
  let used = 0;
  for (const [i, piece] of pieces.entries()) {
    // Reserve a column for `…` unless this is the last piece.
    const limit = i === pieces.length - 1 ? columns : columns - 1;
    const width = textWidth(piece.text);
    if (used + width <= limit) {
      fitting.push(piece);
      used += width;
      continue;
    }
    let text = "";
    for (const char of piece.text) {
      const next = charWidth(char);
      if (used + next > columns - 1) break;
      text += char;
      used += next;
    }
    fitting.push({ text: `${text}…`, style: piece.style });
    break;
  }
  return fitting;
}

/** A text as lines of at most `columns`; an empty text is one line. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  let used = 0;
  for (const char of text) {
    const width = charWidth(char);
    if (used + width > columns && line !== "") {
      lines.push(line);
      line = "";
      used = 0;
    }
    line += char;
    used += width;
  }
  lines.push(line);
  return lines;
}

/** Cuts a text to `columns`, with `…` in place of its middle. */
export function fitMiddle(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  if (columns <= 1) return columns === 1 ? "…" : "";
  const chars = [...text];
  const half = Math.floor((columns - 1) / 2);
  let tail = "";
  for (let width = 0; chars.length > 0;) {
    width += charWidth(chars.at(-1) ?? "");
    if (width > half) break;
    tail = chars.pop() + tail;
  }
  const left = columns - 1 - textWidth(tail);
  let head = "";
  for (let i = 0, width = 0; i < chars.length; i++) {
    width += charWidth(chars[i] ?? "");
    if (width > left) break;
    head += chars[i];
  }
  return `${head}…${tail}`;
}
