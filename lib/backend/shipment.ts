/**
 * Copying the messages of one source into a pool that remembers how far it has come: the position is
 * in the destination (docs/spec/jetstream.md 8).
 *
 * @module
 */

import type { FrameBatch } from "../pool/batch.ts";

/** Where a copied message comes from. */
export interface Origin {
  /** The identity of its pool: 32 hex digits. */
  readonly pool: string;
  /** Its number there. */
  readonly seq: bigint;
}

/** Messages that are left out when a pool is copied: those that came from the other one. */
export interface Excluded {
  /** The name of the source. */
  readonly source: string;
  /** The identity of the pool. */
  readonly pool: string;
}

/** Stores the messages of one source, each exactly once. */
export interface Shipment {
  /** The last message of the source that is there; null if there is none. */
  last(): Promise<Origin | null>;
  /**
   * Stores frames in order, with their times.
   *
   * @param pool the identity of the pool they come from
   * @param seqs their numbers there
   * @throws {PlasmiteError} Busy with topic `copy source` if another process copies this source;
   *   Busy or Io if there was no progress for a while
   */
  store(batch: FrameBatch, pool: string, seqs: readonly bigint[]): Promise<void>;
}
