/**
 * Limits how much of a file is checked. A sparse file can be a thousand times as long as its data
 * on disk, and reading holes takes as long as reading data: of such a file only a part is checked,
 * and the report says where checking stopped.
 *
 * @module
 */

import type { StorageFile } from "../storage/storage.ts";
import { HEADER_SIZE, type Layout } from "./layout.ts";

/**
 * A file with less than this fraction allocated on disk counts as sparse; no compression reaches
 * it.
 */
const PART = 1 / 100;
/** Bytes that are always checked, and the multiple of the allocated bytes that is checked. */
const LEAST = 256 * 1024 * 1024;
const TIMES = 100;

/** The extent of one check. */
export class Reach {
  /** How many bytes are checked. Pools fill up from the front. */
  readonly bytes: number;
  /** Allocated bytes on disk. */
  readonly allocated: number;
  #cutAt: number | null = null;

  /** Reads the file's size and allocated blocks. */
  constructor(file: StorageFile) {
    const size = file.size();
    this.allocated = file.allocated();
    this.bytes = this.allocated < size * PART ? Math.max(LEAST, TIMES * this.allocated) : Infinity;
  }

  /** The ring offset at which checking stopped; null if everything was checked. */
  get cutAt(): number | null {
    return this.#cutAt;
  }

  /** Limits a search of `size` bytes of the ring; returns where it must end. */
  limit(size: number): number {
    if (this.bytes >= size) return size;
    this.cut(this.bytes);
    return this.bytes;
  }

  /** Records that nothing was checked from ring offset `at` on. */
  cut(at: number): void {
    if (this.#cutAt === null || at < this.#cutAt) this.#cutAt = at;
  }

  /** Whether header and index may be all that is allocated; then the ring is empty. */
  isBare({ ringOffset }: Layout): boolean {
    return this.allocated <= Math.ceil(ringOffset / HEADER_SIZE) * HEADER_SIZE;
  }
}
