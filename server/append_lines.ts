/**
 * Batches of appends: the lines of a body, and what is answered about them (docs/spec/http-api.md 12).
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import type { FrameBatch } from "../lib/pool/batch.ts";
import { formatTime } from "../lib/text/time.ts";
import { HttpError } from "./errors.ts";
import { json } from "./headers.ts";
import type { Span } from "./members.ts";

/** What was stored of a batch. */
export interface StoredBatch {
  /** The frames, with the times that they were stored with. */
  readonly batch: FrameBatch;
  /** The first new number; 0 if there is none. */
  readonly first: bigint;
  /** The last new number. */
  readonly last: bigint;
  /** The number of each frame, if ids were given; negative for a duplicate. */
  readonly seqs: readonly bigint[] | null;
}

/** Collects the sequence numbers of a batch while it is being stored. */
export class BatchNumbers {
  /** The first new number; 0 if there is none. */
  first = 0n;
  /** The last new number. */
  last = 0n;
  /** How many frames were stored by an earlier append. */
  duplicates = 0;
  /** The number of each frame, if there are ids; negative for a duplicate. */
  readonly seqs: bigint[] | null;

  /** @param hasIds whether frames have ids */
  constructor(hasIds: boolean) {
    this.seqs = hasIds ? [] : null;
  }

  /** Records frames that were stored. */
  readonly stored = (from: number, count: number, seq: bigint): void => {
    if (this.first === 0n) this.first = seq;
    this.last = count === 1 ? seq : seq + BigInt(count - 1);
    if (this.seqs === null) return;
    for (let i = 0; i < count; i++) this.seqs[from + i] = seq + BigInt(i);
  };

  /** Records a frame that was stored by an earlier append. */
  readonly duplicate = (frame: number, seq: bigint): void => {
    this.duplicates++;
    if (this.seqs !== null) this.seqs[frame] = -seq;
  };
}

/** The answer about a batch. */
export function batchAnswer({ batch, first, last, seqs }: StoredBatch): Response {
  const { count } = batch;
  const parts = [`"count":${count}`];
  const range = (seq: bigint): string => first === 0n ? "null" : `${seq}`;
  parts.push(`"first_seq":${range(first)}`, `"last_seq":${range(last)}`);
  parts.push(`"time":${count === 0 ? "null" : `"${formatTime(batch.timeOf(0))}"`}`);
  if (seqs !== null) {
    const duplicates = seqs.filter((seq) => seq < 0n).length;
    const numbers = seqs.map((seq) => seq < 0n ? -seq : seq);
    parts.push(`"duplicates":${duplicates}`, `"seqs":[${numbers.join(",")}]`);
    if (duplicates > 0) {
      const times = seqs.map((_, i) => `"${formatTime(batch.timeOf(i))}"`);
      parts.push(`"times":[${times.join(",")}]`);
    }
  }
  return json(`{${parts.join(",")}}`);
}

/** The lines that are not blank, each with its number from 1. */
export function* linesOf(bytes: Uint8Array): Generator<[line: number, span: Span]> {
  let line = 0;
  for (let start = 0; start < bytes.length;) {
    let end = bytes.indexOf(0x0a, start);
    if (end < 0) end = bytes.length;
    line++;
    if (!isBlank(bytes, { start, end })) yield [line, { start, end }];
    start = end + 1;
  }
}

/** The error for a line. */
export function atLine(error: unknown, line: number): unknown {
  if (!PlasmiteError.is(error)) return error;
  const { hint, details } = error;
  return new HttpError(400, "Usage", error.message, { hint, details, line });
}

/** Adds the line number to the pool's error for a message that is too large. */
export function tooLargeLine(error: unknown, batch: FrameBatch, bytes: Uint8Array): unknown {
  if (!PlasmiteError.is(error)) return error;
  const { needed, capacity } = error.details;
  if (needed === undefined || capacity === undefined) return error;
  let frame = 0;
  for (const [line] of linesOf(bytes)) {
    if (BigInt(batch.payloadOf(frame++)) === needed) return atLine(error, line);
  }
  return error;
}

function isBlank(bytes: Uint8Array, { start, end }: Span): boolean {
  for (let i = start; i < end; i++) {
    const c = bytes[i];
    if (c !== 0x20 && c !== 0x09 && c !== 0x0d) return false;
  }
  return true;
}
