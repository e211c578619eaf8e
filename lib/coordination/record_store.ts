/**
 * Reads and replaces the current record of a cursor or group file.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { RecordFile } from "../storage/record_file.ts";
import { decodeSlot, encodeSlot, isBlank } from "./slots.ts";

/** The content of a file. */
export interface Current<R> {
  /** The record; null if the file was never written. */
  readonly record: R | null;
  /** Its slot, 0 or 1; 1 if there is no record, so that the first write goes to slot 0. */
  readonly slot: number;
}

/**
 * Reads the current record.
 *
 * @param size the size of a slot in bytes
 * @param parse parses a record; null if it is not one of this kind
 * @throws {PlasmiteError} Corrupt if the file was written and neither slot is valid
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
      hint: "Set the cursor again, from the oldest message or after the newest.",
      topic: "cursor file",
    });
  }
  return best;
}

/**
 * Replaces the current record; if the process is killed at any time, the old or the new record
 * remains.
 *
 * It writes the other slot, so that the current one stays intact. The first write covers both
 * slots, so that the file never has a hole where slot B belongs.
 *
 * @returns the new content
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
