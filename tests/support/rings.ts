/**
 * Small conveniences for tests of the ring: payloads that name their message, appending, reading.
 *
 * @module
 */

import "./environment.ts";
import assert from "node:assert/strict";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { checkRing } from "../../lib/pool/check.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { BUSY, Cursor } from "../../lib/pool/cursor.ts";
import type { Ring } from "../../lib/pool/ring.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { createOnDisk } from "../../lib/storage/create.ts";
import { MemoryStorage } from "./memory.ts";
import type { Storage, StorageFile } from "../../lib/storage/storage.ts";
import type { Mapping } from "./ref_writer.ts";
import { specCheck } from "./spec_checker.ts";
import type { Gap } from "../../lib/types.ts";

/** Scales the number of runs: 1 in the gate, more at night. */
export const SCALE = Math.max(1, Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1") || 1);

/** The path of the pool in memory. */
export const POOL = "/memory/pool.plasmite";

/** `size` bytes that differ for every `tag`. */
export function payload(tag: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let x = (tag * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** A batch of ready payloads, stamped 1, 2, 3, … */
export function batchOf(...payloads: readonly Uint8Array[]): FrameBatch {
  const batch = new FrameBatch();
  payloads.forEach((bytes, i) => batch.addPayload(bytes, i + 1, 0));
  return batch;
}

/** Appends all payloads, in as many groups as it takes; returns the first sequence number. */
export function append(ring: WritableRing, ...payloads: readonly Uint8Array[]): bigint {
  const batch = batchOf(...payloads);
  let first: bigint | null = null;
  for (let done = 0; done < batch.count;) {
    let piece = ring.tryAppend(batch, done);
    // A repair may take more than one turn; the lock is free.
    for (let tries = 0; piece === null; piece = ring.tryAppend(batch, done)) {
      assert(++tries < 1000, "the lock is free");
    }
    first ??= piece.first;
    assert.equal(piece.first, first + BigInt(done));
    done += piece.count;
  }
  return first ?? 0n;
}

/** A message as read. */
export interface Read {
  readonly seq: bigint;
  readonly payload: Uint8Array;
}

/** Takes everything that is there now. */
export function drain(cursor: Cursor): { messages: Read[]; gaps: Gap[] } {
  const messages: Read[] = [];
  const gaps: Gap[] = [];
  for (;;) {
    const ready = cursor.fill();
    assert.notEqual(ready, BUSY);
    if (cursor.gap !== null) gaps.push(cursor.gap);
    cursor.gap = null;
    if (ready === 0) return { messages, gaps };
    for (let i = 0; i < ready; i++) {
      assert(cursor.next());
      messages.push(current(cursor));
    }
    assert(!cursor.next());
  }
}

/** The current message of a cursor, copied. */
export function current(cursor: Cursor): Read {
  const { payloadAt, payloadLength } = cursor;
  return { seq: cursor.seq, payload: cursor.u8.slice(payloadAt, payloadAt + payloadLength) };
}

/** All retained messages, by a fresh cursor. */
export function readAll(ring: Ring): Read[] {
  const { messages, gaps } = drain(new Cursor(ring, 0n));
  assert.deepEqual(gaps, []);
  return messages;
}

/** One message by number, or null. */
export function get(ring: Ring, seq: bigint): Uint8Array | null {
  const cursor = new Cursor(ring, seq);
  const ready = cursor.fill();
  assert.notEqual(ready, BUSY);
  if (ready === 0 || !cursor.next() || cursor.seq !== seq) return null;
  return current(cursor).payload;
}

/** Both checkers are satisfied. */
export function assertHealthy(storage: MemoryStorage, safe = true): void {
  const verdict = specCheck(storage.bytes(POOL), safe);
  assert.deepEqual(verdict.problems, []);
  if (safe) {
    const report = checkRing(storage, POOL, "pool");
    assert.deepEqual(report.issues, []);
    assert.equal(report.status, "ok");
  }
}

/** Compares what was read with what was written. */
export function assertMessages(
  actual: readonly Read[],
  expected: readonly Read[],
  where = "",
): void {
  assert.deepEqual(actual.map((m) => m.seq), expected.map((m) => m.seq), where);
  for (const [i, { seq, payload }] of expected.entries()) {
    const found = actual[i];
    assert(found !== undefined && same(found.payload, payload), `${where} payload of ${seq}`);
  }
}

/** Whether two byte strings are equal. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** A new pool in memory with a ring of exactly `ringSize` bytes. */
export function newRing(
  ringSize: number,
  capacity = 0,
  storage: MemoryStorage = new MemoryStorage(),
): { storage: MemoryStorage; ring: WritableRing } {
  createRing(storage, POOL, {
    size: 4096 + 16 * capacity + ringSize,
    indexCapacity: capacity,
  });
  return { storage, ring: openToAppend(storage, POOL) };
}

/** The pool in `storage` as the reference maps it: its stores take no part in accidents. */
export function mapped(storage: Storage): Mapping & { readonly file: StorageFile } {
  const file = storage.open(POOL, { write: true });
  return {
    file,
    read: (at, length) => {
      const bytes = new Uint8Array(length);
      assert.equal(file.readAt(bytes, at), length);
      return bytes;
    },
    write: (bytes, at) => file.writeAt(bytes, at),
  };
}

/** A storage whose files call `onRead` in the middle of every read, and `onLock` before a lock. */
export function hooked(
  inner: Storage,
  hooks: {
    onRead?: (at: number, length: number) => void;
    onLock?: (exclusive: boolean) => void;
    /** Where a read of so many bytes falls into two; default near the middle. */
    split?: (length: number) => number;
  },
): Storage {
  return {
    open: (path, options) => {
      const file = inner.open(path, options);
      return {
        path: file.path,
        writable: file.writable,
        opened: file.opened,
        readAt: (into, at) => {
          hooks.onRead?.(at, into.length);
          // Large reads are not atomic: half of the bytes may be older than the other half.
          const half = into.length <= 64
            ? into.length
            : hooks.split?.(into.length) ?? into.length >> 4 << 3;
          const got = file.readAt(into.subarray(0, half), at);
          if (half === into.length || got < half) return got;
          hooks.onRead?.(at + half, into.length - half);
          return got + file.readAt(into.subarray(half), at + half);
        },
        writeAt: (bytes, at) => file.writeAt(bytes, at),
        tryLock: (exclusive) => {
          hooks.onLock?.(exclusive);
          return file.tryLock(exclusive);
        },
        unlock: () => file.unlock(),
        sync: () => file.sync(),
        size: () => file.size(),
        allocated: () => file.allocated(),
        resize: (size) => file.resize(size),
        quietMs: () => file.quietMs(),
        pathState: (size) => file.pathState(size),
        close: () => file.close(),
      };
    },
    create: (path, size, head, takeOver) =>
      inner.create?.(path, size, head, takeOver) ?? createOnDisk(path, size, head, takeOver),
    remove: (path) => inner.remove(path),
  };
}
