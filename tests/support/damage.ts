/**
 * Pools of real messages, and the accidents that disks have with them.
 *
 * @module
 */

import { Buf } from "../../lib/bytes.ts";
import { Lite3Encoder } from "../../lib/lite3/encode.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { MemoryStorage } from "./memory.ts";
import { mapped, payload as noise, POOL } from "./rings.ts";
import { refAppendAll } from "./ref_writer.ts";
import { specCheck } from "./spec_checker.ts";

/** A real message of about `size` extra bytes that names its number. */
export function message(n: number, size: number): Uint8Array<ArrayBuffer> {
  const out = new Buf();
  const text = Array.from(noise(n, size), (byte) => String.fromCharCode(97 + byte % 26)).join("");
  messageFromValue(new Lite3Encoder(out), { n, text }, ["t"]);
  return out.bytes().slice();
}

/** One message to append: by us, or by the reference, which fills in no checksum. */
export interface Turn {
  readonly ours: boolean;
  readonly size: number;
}

/** Minutes between two messages, in nanoseconds. */
const STEP = 90_000_000_000n;

/** A pool in memory, and every payload that was ever appended to it. */
export function messagePool(
  ringSize: number,
  slots: number,
  turns: readonly Turn[],
): { bytes: Uint8Array<ArrayBuffer>; known: ReadonlyMap<bigint, Uint8Array> } {
  const storage = new MemoryStorage();
  createRing(storage, POOL, { size: 4096 + 16 * slots + ringSize, indexCapacity: slots });
  const known = new Map<bigint, Uint8Array>();
  const ring = openToAppend(storage, POOL);
  for (const [i, { ours, size }] of turns.entries()) {
    const bytes = message(i + 1, size);
    const time = 1_700_000_000_000_000_000n + STEP * BigInt(i);
    if (ours) {
      const batch = new FrameBatch();
      batch.addPayload(bytes, Number(time & 0xffff_ffffn), Number(time >> 32n));
      const done = ring.tryAppend(batch);
      if (done === null) throw new Error("the lock is free");
      known.set(done.first, bytes);
    } else known.set(refAppendAll(mapped(storage), bytes, time), bytes);
  }
  ring.close();
  return { bytes: storage.bytes(POOL), known };
}

/** An accident. Offsets are fractions of the region, so that they fit every pool. */
export type Damage =
  | { readonly kind: "bit"; readonly where: Region; readonly at: number; readonly bit: number }
  | {
    readonly kind: "zero" | "noise";
    readonly where: Region;
    readonly at: number;
    readonly length: number;
    readonly seed: number;
  }
  | { readonly kind: "cut" | "grow"; readonly at: number };

/** A part of the file. */
export type Region = "header" | "state" | "index" | "ring" | "any";

/** The file after the accident. */
export function damage(bytes: Uint8Array, what: Damage): Uint8Array<ArrayBuffer> {
  const size = bytes.length;
  if (!("where" in what)) {
    if (what.kind === "cut") return bytes.slice(0, Math.max(4096, Math.floor(size * what.at)));
    const longer = new Uint8Array(size + 1 + Math.floor(9000 * what.at));
    longer.set(bytes);
    return longer;
  }
  const ringAt = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(40, true));
  const regions: Record<Region, [number, number]> = {
    header: [0, 64],
    state: [64, 104],
    index: [4096, ringAt],
    ring: [ringAt, size],
    any: [0, size],
  };
  let [from, to] = regions[what.where];
  if (!(from < to && to <= size)) [from, to] = [0, size];
  const at = Math.min(to - 1, from + Math.floor((to - from) * what.at));
  const next = bytes.slice();
  if (what.kind === "bit") next[at] = (next[at] ?? 0) ^ (1 << what.bit);
  else {
    const end = Math.min(size, at + what.length);
    if (what.kind === "zero") next.fill(0, at, end);
    else next.set(noise(what.seed, end - at), at);
  }
  return next;
}

/** Live messages of a sound pool whose frames stand unharmed in `after`. */
export function unharmed(before: Uint8Array, after: Uint8Array): Map<bigint, Uint8Array> {
  const ringAt = Number(new DataView(before.buffer, before.byteOffset).getBigUint64(40, true));
  const found = new Map<bigint, Uint8Array>();
  for (const { seq, at, payload } of specCheck(before, false).messages) {
    const from = ringAt + at;
    const to = from + 64 + payload.length + 8;
    if (to > after.length) continue;
    let same = true;
    for (let i = from; i < to && same; i++) same = before[i] === after[i];
    if (same) found.set(seq, payload);
  }
  return found;
}
