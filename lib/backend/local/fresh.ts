/**
 * New messages of a pool, read and checked once for all followers that wait for them.
 *
 * They are what a follower would have read itself a moment ago, in its turn: they are kept while the
 * followers that were waiting are woken, one after the other, and forgotten then. Whoever comes
 * later, is behind or finds that messages were overwritten reads the file itself.
 *
 * @module
 */

import { Cursor } from "../../pool/cursor.ts";
import type { Ring } from "../../pool/ring.ts";
import { FreshFrames } from "../../pool/fresh_frames.ts";

/** How many bytes are kept at most, beside what was read last. */
const MOST_BYTES = 1 << 20;
/** In so many pieces at most. */
const MOST_PIECES = 16;

/** The new messages of one pool. */
export class Fresh {
  readonly #ring: Ring;
  #cursor: Cursor | null = null;
  #pieces: FreshFrames[] = [];

  /** Reads through the ring, and never closes it. */
  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** The frames from `seq` on; undefined if they cannot be shared. */
  from(seq: bigint): FreshFrames | undefined {
    return this.#pieces.find(({ first, end }) => seq >= first && seq < end) ?? this.#read(seq);
  }

  /** How many bytes are kept. */
  get bytes(): number {
    return this.#pieces.reduce((sum, { u8 }) => sum + u8.length, 0);
  }

  #read(seq: bigint): FreshFrames | undefined {
    let cursor = this.#cursor;
    if (cursor !== null && cursor.expected > seq) return undefined;
    if (cursor === null || cursor.expected < seq) {
      cursor = this.#cursor = new Cursor(this.#ring, seq);
    }
    try {
      if (cursor.fill(true) <= 0) return undefined;
    } catch {
      // Each follower finds the damage itself, and says where it is.
      this.#cursor = null;
      return undefined;
    }
    const piece = new FreshFrames(cursor.share());
    this.#pieces.push(piece);
    while (this.bytes - piece.u8.length > MOST_BYTES || this.#pieces.length > MOST_PIECES) {
      this.#pieces.shift();
    }
    return seq < piece.first ? undefined : piece;
  }

  /** Forgets what was read. */
  clear(): void {
    this.#pieces = [];
  }

  /** Forgets also where it was: numbers may mean other messages now. */
  reset(): void {
    this.clear();
    this.#cursor = null;
  }
}
