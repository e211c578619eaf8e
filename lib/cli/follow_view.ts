/**
 * What `follow --interactive` keeps and where its reader is: messages in a bounded list, some
 * unfolded, a row that is chosen, a search. Knows nothing of pools, keys or terminals.
 *
 * @module
 */

import { type Piece, wrap } from "./line_width.ts";

/** How many messages are kept. */
const MOST_ENTRIES = 20_000;
/** How many characters of them are kept. */
const MOST_TEXT = 32 * 1024 * 1024;

/** A message, or what is said in place of lost ones. */
export interface Entry {
  /** Its line, not cut. */
  readonly line: readonly Piece[];
  /** Its text over several lines, which unfolding shows. */
  readonly whole: string;
  /** Whether it tells of an error or a warning. */
  readonly trouble: boolean;
}

/** A row of the list: an entry's line is row 0, the rows below it are its unfolded text. */
export interface Row {
  /** The index of the entry. */
  readonly entry: number;
  /** The row within the entry. */
  readonly row: number;
}

/** An entry with what is known about it. */
class Kept {
  isUnfolded = false;
  readonly size: number;
  readonly entry: Entry;
  #rows: { readonly columns: number; readonly lines: readonly string[] } | null = null;
  #searched: string | null = null;

  constructor(entry: Entry) {
    this.entry = entry;
    this.size = entry.whole.length + entry.line.reduce((sum, { text }) => sum + text.length, 64);
  }

  /** The rows of its unfolded text. */
  lines(columns: number): readonly string[] {
    if (!this.isUnfolded) return [];
    if (this.#rows?.columns !== columns) {
      const lines = this.entry.whole.split("\n").flatMap((line) => wrap(line, columns));
      this.#rows = { columns, lines };
    }
    return this.#rows.lines;
  }

  fold(isUnfolded: boolean): void {
    this.isUnfolded = isUnfolded;
    if (!isUnfolded) this.#rows = null;
  }

  matches(pattern: RegExp): boolean {
    this.#searched ??= `${this.entry.line.map(({ text }) => text).join("")}\n${this.entry.whole}`;
    return this.#searched.search(pattern) >= 0;
  }
}

/** A pattern that finds the text as it stands; case matters only where it has capitals. */
export function wordPattern(text: string): RegExp | null {
  if (text === "") return null;
  const literal = text.replace(/[.*+?^${}()|[\]\\\/]/g, "\\$&");
  return new RegExp(literal, /\p{Lu}/u.test(text) ? "gu" : "giu");
}

/** The list. */
export class FollowView {
  /** The width of unfolded text. */
  columns = 80;
  /** The rows of the screen. */
  height = 20;
  /** What is searched; null for nothing. */
  pattern: RegExp | null = null;
  /** How many entries match the search. */
  hits = 0;
  /** Entries that have arrived since the list stopped moving. */
  unseen = 0;
  #entries: Kept[] = [];
  #size = 0;
  #at: Row = { entry: 0, row: 0 };
  #top: Row = { entry: 0, row: 0 };
  #isLive = true;
  #unfoldNew = false;

  /** Whether the list moves on to what arrives. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** How many entries are kept. */
  get count(): number {
    return this.#entries.length;
  }

  /** The chosen row. */
  get at(): Row {
    return this.#at;
  }

  /** An entry that is kept. */
  entry(index: number): Entry | undefined {
    return this.#entries[index]?.entry;
  }

  /** The unfolded rows of an entry. */
  unfolded(index: number): readonly string[] {
    return this.#entries[index]?.lines(this.columns) ?? [];
  }

  /** Whether an entry matches the search. */
  isHit(index: number): boolean {
    const kept = this.#entries[index];
    return this.pattern !== null && kept !== undefined && kept.matches(this.pattern);
  }

  /** Whether another entry can be added without dropping one that is shown. */
  get hasRoom(): boolean {
    return this.#isLive || !this.#isFull || Math.min(this.#top.entry, this.#at.entry) > 0;
  }

  get #isFull(): boolean {
    return this.#entries.length >= MOST_ENTRIES || this.#size >= MOST_TEXT;
  }

  /** Adds an entry, and drops the oldest beyond the bounds. */
  add(entry: Entry): void {
    const kept = new Kept(entry);
    if (this.#unfoldNew) kept.fold(true);
    this.#entries.push(kept);
    this.#size += kept.size;
    if (this.isHit(this.#entries.length - 1)) this.hits++;
    if (!this.#isLive) this.unseen++;
    while (this.#entries.length > MOST_ENTRIES || this.#size > MOST_TEXT) {
      if (this.#entries.length === 1) break;
      this.#dropOldest();
    }
    if (this.#isLive) this.#toEnd();
  }

  #dropOldest(): void {
    if (this.isHit(0)) this.hits--;
    this.#size -= this.#entries.shift()?.size ?? 0;
    const before = (row: Row): Row =>
      row.entry === 0 ? { entry: 0, row: 0 } : { ...row, entry: row.entry - 1 };
    this.#at = before(this.#at);
    this.#top = before(this.#top);
  }

  /** Stops the list, or lets it move on. */
  pause(isPaused: boolean): void {
    this.#isLive = !isPaused;
    if (!isPaused) {
      this.unseen = 0;
      this.#toEnd();
    }
  }

  #toEnd(): void {
    this.#at = this.#last();
  }

  #last(): Row {
    const entry = Math.max(0, this.#entries.length - 1);
    return { entry, row: this.unfolded(entry).length };
  }

  /** Chooses the row so many rows further down, or up; going up stops the list. */
  move(rows: number): void {
    if (rows < 0) this.pause(true);
    let at = this.#at;
    for (let i = 0; i < Math.abs(rows); i++) at = rows < 0 ? this.#before(at) : this.#after(at);
    this.#at = at;
  }

  /** Chooses the oldest entry that is kept. */
  toOldest(): void {
    this.pause(true);
    this.#at = { entry: 0, row: 0 };
  }

  #after({ entry, row }: Row): Row {
    if (row < this.unfolded(entry).length) return { entry, row: row + 1 };
    return entry + 1 < this.#entries.length ? { entry: entry + 1, row: 0 } : { entry, row };
  }

  #before({ entry, row }: Row): Row {
    if (row > 0) return { entry, row: row - 1 };
    return entry > 0 ? { entry: entry - 1, row: this.unfolded(entry - 1).length } : { entry, row };
  }

  /** Unfolds the chosen entry, or folds it. */
  fold(isUnfolded: boolean): void {
    const { entry } = this.#at;
    this.#entries[entry]?.fold(isUnfolded);
    if (!isUnfolded) this.#at = { entry, row: 0 };
    if (this.#top.entry === entry && !isUnfolded) this.#top = { entry, row: 0 };
    if (this.#isLive) this.pause(true);
  }

  /** Whether the chosen entry is unfolded. */
  get isUnfolded(): boolean {
    return this.#entries[this.#at.entry]?.isUnfolded === true;
  }

  /** Unfolds or folds all entries, and those to come. */
  foldAll(): void {
    this.#unfoldNew = !this.#unfoldNew;
    for (const kept of this.#entries) kept.fold(this.#unfoldNew);
    this.#at = { entry: this.#at.entry, row: 0 };
    this.#top = { entry: this.#top.entry, row: 0 };
    if (this.#isLive) this.#toEnd();
  }

  /** Sets what is searched, and counts the entries that match. */
  search(text: string): void {
    this.pattern = wordPattern(text);
    this.hits = 0;
    for (let i = 0; i < this.#entries.length; i++) if (this.isHit(i)) this.hits++;
  }

  /**
   * Chooses the next entry, or the one before, that matches the search or tells of trouble.
   *
   * @returns whether there is one
   */
  next(direction: 1 | -1, kind: "hit" | "trouble"): boolean {
    for (let i = this.#at.entry + direction; this.#entries[i] !== undefined; i += direction) {
      const found = kind === "hit" ? this.isHit(i) : this.entry(i)?.trouble === true;
      if (!found) continue;
      this.pause(true);
      this.#at = { entry: i, row: 0 };
      return true;
    }
    return false;
  }

  /** The rows that are on the screen; the chosen one is among them. */
  rows(): Row[] {
    if (this.#entries.length === 0) return [];
    if (isBefore(this.#at, this.#top)) this.#top = this.#at;
    let first = this.#at;
    for (let i = 1; i < this.height; i++) first = this.#before(first);
    // The chosen row is the last one of the screen, or above it.
    if (isBefore(this.#top, first)) this.#top = first;
    // No space stays empty at the end.
    let lowest = this.#last();
    for (let i = 1; i < this.height; i++) lowest = this.#before(lowest);
    if (isBefore(lowest, this.#top)) this.#top = lowest;
    const rows: Row[] = [];
    for (let row = this.#top; rows.length < this.height;) {
      rows.push(row);
      const next = this.#after(row);
      if (next.entry === row.entry && next.row === row.row) break;
      row = next;
    }
    return rows;
  }
}

function isBefore(a: Row, b: Row): boolean {
  return a.entry < b.entry || a.entry === b.entry && a.row < b.row;
}

/** The pieces of a line with what matches in a style of its own. */
export function marked(line: readonly Piece[], pattern: RegExp | null, style: number): Piece[] {
  if (pattern === null) return [...line];
  return line.flatMap((piece) => {
    const pieces: Piece[] = [];
    let end = 0;
    for (const match of piece.text.matchAll(pattern)) {
      if (match.index > end) pieces.push({ ...piece, text: piece.text.slice(end, match.index) });
      pieces.push({ text: match[0], style });
      end = match.index + match[0].length;
    }
    if (end < piece.text.length) pieces.push({ ...piece, text: piece.text.slice(end) });
    return pieces;
  });
}
