/**
 * The current record of a cursor or group file, and how it is replaced: the other slot, one write.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { RecordFile } from "../storage/record_file.ts";
import { decodeSlot, encodeSlot, isBlank } from "./slots.ts";

/** What a file holds. */
export interface Current<R> {
  /** The record; null for a file that was never written. */
  readonly record: R | null;
  /** Which slot it is in, 0 or 1; 1 for none, so that the first write goes to slot 0. */
  readonly slot: number;
}

/**
 * Reads the current record.
 *
 * @param size bytes of a slot
 * @param parse reads a record, or null when it is none of this kind
 * @throws {PlasmiteError} Corrupt when the file was written and neither slot is good
 */
export function readCurrent<R extends { readonly gen: number }>(
  file: RecordFile,
  size: number,
  parse: (json: string) => R | null,
): Current<R> {
  const bytes = file.read(2 * size);
  let best: Current<R> = { record: null, slot: 1 };
  for (const slot of [0, 1]) {
    const piece = bytes.subarray(slot * size, (slot + 1) * size);
    if (piece.length < size) continue;
    const json = decodeSlot(piece);
    const record = json === null ? null : parse(json);
    if (record === null || (best.record !== null && record.gen <= best.record.gen)) continue;
    best = { record, slot };
  }
  if (best.record === null && !isBlank(bytes)) {
    throw new PlasmiteError("Corrupt", "Neither slot of the cursor file is readable", {
      path: file.path,
      hint: "Set the cursor anew, from the oldest message or after the newest.",
      topic: "cursor file",
    });
  }
  return best;
}

/**
 * Replaces the current record; a kill at any instant leaves the former or the new one.
 *
 * The other slot is written, so the current one stays whole. The very first write covers both
 * slots, so that a file never has a hole where slot B should be.
 *
 * @returns what is current now
 */
export function writeCurrent<R>(
  file: RecordFile,
  size: number,
  former: Current<unknown>,
  record: R,
  json: Uint8Array,
  flush: boolean,
): Current<R> {
  const slot = former.record === null ? 0 : 1 - former.slot;
  const bytes = encodeSlot(json, size);
  if (former.record === null) {
    const whole = new Uint8Array(2 * size).fill(0x20);
    whole.set(bytes);
    whole[2 * size - 1] = 0x0a;
    file.write(whole, 0);
  } else file.write(bytes, slot * size);
  if (flush) file.sync();
  return { record, slot };
}
