/**
 * Records that are replaced in place: a file of two slots that are written in turn, so that a torn
 * write leaves the former record (docs/spec/coordination.md 2).
 *
 * A slot is one line: the record as JSON text, a blank, the CRC-32C of that text as eight hex
 * digits, blanks, and a line feed at its end. The newer of two good slots counts.
 *
 * @module
 */

import { crc32c } from "../pool/crc32c.ts";

/** Bytes of a slot in the file of a cursor. */
export const CURSOR_SLOT = 512;
/** Bytes of a slot in the file of a group. */
export const GROUP_SLOT = 64 * 1024;

const BLANK = 0x20;
const LINE_FEED = 0x0a;
/** A blank, eight digits and the line feed. */
const AROUND = 10;

/** Whether a record of so many bytes of JSON fits into a slot. */
export function fitsSlot(json: Uint8Array, size: number): boolean {
  return json.length + AROUND <= size;
}

/**
 * A slot.
 *
 * @throws {RangeError} when the record does not fit; ask {@linkcode fitsSlot} first
 */
export function encodeSlot(json: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  if (!fitsSlot(json, size)) throw new RangeError("The record does not fit into its slot");
  const slot = new Uint8Array(size).fill(BLANK);
  slot.set(json);
  const sum = sumOf(json).toString(16).padStart(8, "0");
  slot.set(new TextEncoder().encode(sum), json.length + 1);
  slot[size - 1] = LINE_FEED;
  return slot;
}

function sumOf(bytes: Uint8Array): number {
  return crc32c(
    bytes,
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    0,
    bytes.length,
  ) >>>
    0;
}

/** The JSON text of a slot, or null when the slot is blank, torn or damaged. */
export function decodeSlot(slot: Uint8Array): string | null {
  if (slot.at(-1) !== LINE_FEED) return null;
  let end = slot.length - 1;
  while (end > 0 && slot[end - 1] === BLANK) end--;
  const at = end - 9;
  if (at < 1 || slot[at] !== BLANK) return null;
  const sum = new TextDecoder().decode(slot.subarray(at + 1, end));
  if (!/^[0-9a-f]{8}$/.test(sum)) return null;
  const json = slot.subarray(0, at);
  if (sumOf(json) !== Number.parseInt(sum, 16)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(json);
  } catch {
    return null; // Whoever wrote this summed bytes that are no text.
  }
}

/** Whether nothing was ever written: a file that was made, or lengthened, and no more. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0 || byte === BLANK || byte === LINE_FEED);
}
