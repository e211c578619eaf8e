/**
 * The library's appends to one pool: encodes data and returns what was stored. Appends made at the
 * same time are combined; see {@linkcode GroupCommit}.
 *
 * @module
 */

import { Copier } from "../../bytes.ts";
import { PlasmiteError } from "../../errors.ts";
import { FrameBatch } from "../../pool/batch.ts";
import type { WritableRing } from "../../pool/writable_ring.ts";
import type { AppendRequest } from "../types.ts";
import { GroupCommit } from "./group_commit.ts";

/** A message as it was stored. */
export interface Stored {
  /** Its sequence number. */
  readonly seq: bigint;
  /** Its time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** Its payload, a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Encodes frames into a batch. */
export type Encode = (batch: FrameBatch) => void;

/** Encodes messages and appends them to one pool. */
export class Appender {
  readonly #group: GroupCommit;
  /** The frames of all waiting appends. */
  readonly #batch = new FrameBatch();
  #encoding = false;

  /** Appends to `ring`, which the caller owns. */
  constructor(ring: WritableRing) {
    this.#group = new GroupCommit(ring);
  }

  /**
   * Appends synchronously; blocks for up to ten seconds while another process holds the lock
   * (docs/spec/library.md 12).
   */
  appendSync(encode: Encode, flush: boolean): Stored[] {
    const from = this.#encode(encode);
    const messages: Stored[] = [];
    const stored = copyingTo(messages, this.#batch);
    this.#group.appendInPlace(this.#batch, { from, flush, stored });
    return messages;
  }

  /**
   * Appends without blocking; rejects with Busy after ten seconds, or with the signal's reason when
   * it is aborted before anything was stored.
   *
   * @throws what the encoding throws
   */
  append(encode: Encode, flush: boolean, signal?: AbortSignal): Promise<Stored[]> {
    signal?.throwIfAborted();
    const from = this.#encode(encode);
    const messages: Stored[] = [];
    const stored = copyingTo(messages, this.#batch);
    return this.#group.append(this.#batch, { from, flush, signal, stored }, messages);
  }

  /** Encodes all or nothing; returns the number of the first frame. */
  #encode(encode: Encode): number {
    const batch = this.#batch;
    if (this.#encoding) {
      throw new PlasmiteError("Usage", "append while the data of another append is read", {
        hint: "Do not append in a getter or toJSON of the data.",
      });
    }
    if (!this.#group.busy) batch.clear();
    const from = batch.count;
    const length = batch.out.len;
    this.#encoding = true;
    try {
      encode(batch);
    } catch (error) {
      batch.truncate(from);
      batch.out.len = length;
      throw error;
    } finally {
      this.#encoding = false;
    }
    return from;
  }
}

const copier = new Copier();

/** Copies the messages of a batch into `messages` as they are stored. */
function copyingTo(messages: Stored[], batch: FrameBatch): AppendRequest["stored"] {
  return (from, count, first) => {
    let seq = first;
    for (let i = from; i < from + count; i++, seq++) {
      messages.push({ seq, timestampNs: batch.timeOf(i), payload: copier.copy(batch.payload(i)) });
    }
  };
}
