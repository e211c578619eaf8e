/**
 * Where `copy` stores messages, and how it knows where to resume (docs/spec/jetstream.md 8).
 *
 * @module
 */

import type { Origin, Shipment } from "../backend/shipment.ts";
import type { PoolHandle } from "../backend/types.ts";
import { CursorFile } from "../coordination/cursor_file.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";

/** Stores copied messages. */
export interface CopyTarget {
  /** The last copied message; null if unknown. */
  last(): Promise<Origin | null>;
  /** Stores messages of a pool in order. */
  store(batch: FrameBatch, pool: string, seqs: readonly bigint[]): Promise<void>;
  /** Releases the cursor. */
  close(): void;
}

/** Where a cursor's file is. */
export interface CursorPlace {
  /** The pool file that it is stored next to. */
  readonly path: string;
  /** The directory, if different. */
  readonly dir?: string | undefined;
  /** The name of the cursor. */
  readonly name: string;
  /** The name of the source, for errors. */
  readonly source: string;
}

/**
 * Acquires the cursor.
 *
 * @throws {PlasmiteError} Busy while another process copies the same source
 */
export function openCursor({ dir, name, path, source }: CursorPlace): CursorFile {
  try {
    return CursorFile.open(path, name, { dir, create: true });
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Busy)) throw error;
    throw new PlasmiteError("Busy", `Another process copies as source ${source}`, {
      path: error.path,
      hint: "Stop the other one, or name another source.",
      topic: "copy source",
      details: error.details,
      cause: error,
    });
  }
}

function saved(cursor: CursorFile | null): Origin | null {
  const record = cursor?.record ?? null;
  return record === null ? null : { pool: record.pool, seq: record.seq };
}

function save(cursor: CursorFile | null, pool: string, seqs: readonly bigint[]): void {
  const seq = seqs.at(-1);
  if (seq !== undefined) cursor?.save({ seq, ns: 0n, pool });
}

/** A destination that records its own progress; the cursor is a hint in case that is lost. */
export class ShippingTarget implements CopyTarget {
  readonly #shipment: Shipment;
  readonly #cursor: CursorFile | null;

  /** Owns the cursor. */
  constructor(shipment: Shipment, cursor: CursorFile | null) {
    this.#shipment = shipment;
    this.#cursor = cursor;
  }

  async last(): Promise<Origin | null> {
    return await this.#shipment.last() ?? saved(this.#cursor);
  }

  async store(batch: FrameBatch, pool: string, seqs: readonly bigint[]): Promise<void> {
    await this.#shipment.store(batch, pool, seqs);
    save(this.#cursor, pool, seqs);
  }

  close(): void {
    this.#cursor?.close();
  }
}

/** Any other destination: the cursor decides; after a crash, the last batch may be repeated. */
export class AppendingTarget implements CopyTarget {
  readonly #pool: PoolHandle;
  readonly #cursor: CursorFile;

  /** Owns the cursor. */
  constructor(pool: PoolHandle, cursor: CursorFile) {
    this.#pool = pool;
    this.#cursor = cursor;
  }

  last(): Promise<Origin | null> {
    return Promise.resolve(saved(this.#cursor));
  }

  async store(batch: FrameBatch, pool: string, seqs: readonly bigint[]): Promise<void> {
    await this.#pool.append(batch, {
      flush: false,
      // If the append fails partway, what was stored is still known.
      stored: (from, count) => save(this.#cursor, pool, seqs.slice(from, from + count)),
    });
  }

  close(): void {
    this.#cursor.close();
  }
}
