/**
 * Copies the messages of one source into a pool; the position is stored in the destination
 * (docs/spec/jetstream.md 8).
 *
 * @module
 */

import type { FrameBatch } from "../pool/batch.ts";

/** The origin of a copied message. */
export interface Origin {
  /** The identity of its pool: 32 hex digits. */
  readonly pool: string;
  /** Its number in that pool. */
  readonly seq: bigint;
}

/** Messages to omit when copying a pool: those that were copied from the other one. */
export interface Excluded {
  /** The name of the source. */
  readonly source: string;
  /** The identity of the pool. */
  readonly pool: string;
}

/** Stores the messages of one source, each exactly once. */
export interface Shipment {
  /** The last message of the source already stored; null if there is none. */
  last(): Promise<Origin | null>;
  /**
   * Stores frames in order, with their times.
   *
   * @param pool the identity of the pool they come from
   * @param seqs their numbers in that pool
   * @throws {PlasmiteError} Busy with topic `copy source` if another process copies this source;
   *   Busy or Io if no progress is made for a while
   */
  store(batch: FrameBatch, pool: string, seqs: readonly bigint[]): Promise<void>;
}
