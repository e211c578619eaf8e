/**
 * How far a checker looks into a file. One that is mostly holes can be a thousand times as long as
 * what is on the disk, and reading holes takes as long as reading data: there only a part is looked
 * at, and the report says from where on it was not.
 *
 * @module
 */

import type { StorageFile } from "../storage/storage.ts";
import { HEADER_SIZE, type Layout } from "./layout.ts";

/** A file with less than this part of it on the disk is mostly holes; no compression does that. */
const PART = 1 / 100;
/** So much of a stretch is always looked at, and so many times what is on the disk. */
const LEAST = 256 * 1024 * 1024;
const TIMES = 100;

/** The reach of one check. */
export class Reach {
  /** How many bytes of a stretch are looked at. Pools fill up from the front. */
  readonly bytes: number;
  /** Bytes on the disk. */
  readonly allocated: number;
  #cutAt: number | null = null;

  /** Asks the file for its size and its blocks. */
  constructor(file: StorageFile) {
    const size = file.size();
    this.allocated = file.allocated();
    this.bytes = this.allocated < size * PART ? Math.max(LEAST, TIMES * this.allocated) : Infinity;
  }

  /** The ring offset from which on something was left out; null when nothing was. */
  get cutAt(): number | null {
    return this.#cutAt;
  }

  /** Notes that a search of the ring ends at `until` of `size` bytes; returns where. */
  limit(size: number): number {
    if (this.bytes >= size) return size;
    this.cut(this.bytes);
    return this.bytes;
  }

  /** Notes that nothing was looked at from ring offset `at` on. */
  cut(at: number): void {
    if (this.#cutAt === null || at < this.#cutAt) this.#cutAt = at;
  }

  /** Whether all that is on the disk may be header and index: then nothing is in the ring. */
  isBare({ ringOffset }: Layout): boolean {
    return this.allocated <= Math.ceil(ringOffset / HEADER_SIZE) * HEADER_SIZE;
  }
}
