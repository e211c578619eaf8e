/**
 * A pool file on disk in which some messages cannot be read.
 *
 * @module
 */

import { specCheck } from "./spec_checker.ts";

/** Overwrites the frames of these messages with zeros, with a process that knows no locks. */
export function spoil(path: string, ...numbers: readonly number[]): void {
  const bytes = Deno.readFileSync(path);
  const ringAt = Number(new DataView(bytes.buffer).getBigUint64(40, true));
  using file = Deno.openSync(path, { write: true });
  for (const { seq, at, payload } of specCheck(bytes, false).messages) {
    if (!numbers.includes(Number(seq))) continue;
    file.seekSync(ringAt + at, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(64 + payload.length + 8));
  }
}
