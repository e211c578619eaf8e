/**
 * Records that are replaced in place: a file has two slots that are written alternately, so that a
 * torn write leaves the old record intact (docs/spec/coordination.md 2).
 *
 * A slot is one line: the record as JSON text, a space, the CRC-32C of that text as eight hex
 * digits, spaces, and a line feed at its end. The newer of two valid slots counts.
 *
 * @module
 */

import { crc32c } from "../pool/crc32c.ts";

/** The size of a slot in the file of a cursor, in bytes. */
export const CURSOR_SLOT = 512;
/** The size of a slot in the file of a group, in bytes. */
export const GROUP_SLOT = 64 * 1024;

const BLANK = 0x20;
const LINE_FEED = 0x0a;
/** A space, eight digits and the line feed. */
const AROUND = 10;

/** Whether a record of this many bytes of JSON fits into a slot. */
export function fitsSlot(json: Uint8Array, size: number): boolean {
  return json.length + AROUND <= size;
}

/**
 * Encodes a slot.
 *
 * @throws {RangeError} if the record does not fit; call {@linkcode fitsSlot} first
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

/** The JSON text of a slot; null if the slot is blank, torn or damaged. */
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
    return null; // The checksum is right, but the bytes are not UTF-8.
  }
}

/** Whether a file was created or extended but never written. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0 || byte === BLANK || byte === LINE_FEED);
}
