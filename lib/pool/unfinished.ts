/**
 * What another process has begun and not finished, or was killed in: the creation of a pool
 * (docs/spec/format.md 1.5), and messages of the reference (docs/spec/format.md 5.3).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { lockTimeout, untilUnlocked } from "../storage/lock_wait.ts";
import type { Steps } from "../storage/steps.ts";
import type { StorageFile } from "../storage/storage.ts";
import { FIELD, frameProblem, frameState, itemAt, payloadLength } from "./frame.ts";
import { type State, verifyLayout } from "./header.ts";
import { COMMITTED, FRAME_HEADER, frameLength, WRITING } from "./layout.ts";
import type { Ring } from "./ring.ts";

/** How often to look for a header that another process is about to write. */
const HEADER_TRIES = 100;
/** A file unchanged for this long is no longer being created, in milliseconds. */
const SETTLED = 3_000;

/**
 * The error for a file without a header: another process is creating it (Busy), or was killed
 * before writing the header (Corrupt). Such a file may be overwritten by a new pool.
 */
export class UnfinishedPool extends PlasmiteError {}

/** Whether an error on opening a pool means that it does not exist yet and may be created. */
export function isMissing(error: unknown): boolean {
  return error instanceof UnfinishedPool || PlasmiteError.is(error, ErrorKind.NotFound);
}

/**
 * Waits briefly for a creator that writes the header last, with the lock held or, like the
 * reference, without it. Returns the number of header bytes present.
 *
 * @throws {UnfinishedPool} when there is still none
 */
export function* awaitHeader(
  file: StorageFile,
  bytes: Uint8Array<ArrayBuffer>,
): Steps<number> {
  let tries = 0;
  return yield* untilUnlocked(file.path, () => {
    const free = file.tryLock(false);
    const length = file.readAt(bytes, 0);
    if (free) file.unlock();
    if (bytes.subarray(0, length).some((byte) => byte !== 0)) return length;
    const late = tries++ >= HEADER_TRIES;
    if (free && (late || file.quietMs() > SETTLED)) throw leftover(file, bytes, length);
    if (!late) return null;
    const { message, hint } = lockTimeout(file.path);
    throw new UnfinishedPool("Busy", message, { path: file.path, hint });
  });
}

/** The error for an abandoned file without a header, worded like that for any other bad header. */
function leftover(file: StorageFile, bytes: Uint8Array<ArrayBuffer>, length: number): Error {
  const hint =
    "Nothing was ever stored in this file: the program that began to make the pool was " +
    "stopped. Create the pool again, or delete it.";
  try {
    verifyLayout({ view: new DataView(bytes.buffer), length }, file.size(), file.path);
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    const { message, path, causes } = error;
    return new UnfinishedPool("Corrupt", message, { path, causes, hint });
  }
  return new UnfinishedPool("Corrupt", "bad magic", { path: file.path, hint });
}

/** Ring bytes that are being written: from an offset to another. */
export interface Stored {
  /** The first. */
  readonly from: number;
  /** The end. */
  readonly to: number;
}

/**
 * Check (b) of docs/spec/format.md 5.3: a writer of the reference stores its frame over dropped
 * ones before it publishes, at head or, after a wrap, at 0, and its header first. So a header there
 * with the next number shows which bytes may be changing, even if the writer was killed.
 */
export function beingWritten(ring: Ring, now: State): Stored[] {
  const { ringSize } = ring.layout;
  const bytes = new Uint8Array(FRAME_HEADER);
  const view = new DataView(bytes.buffer);
  const next = now.newest + 1n;
  const found: Stored[] = [];
  for (const from of [now.head, 0]) {
    if (ringSize - from < FRAME_HEADER) continue;
    if (ring.readRing(bytes, from) !== FRAME_HEADER) continue;
    if (frameProblem(view, 0, ringSize) !== null) continue;
    const state = frameState(view, 0);
    if (state !== WRITING && state !== COMMITTED) continue;
    if (view.getBigUint64(FIELD.seq, true) !== next) continue;
    found.push({ from, to: from + frameLength(payloadLength(view, 0)) });
  }
  return found;
}

/**
 * Whether tail and oldest are consistent. They are not while a writer of the reference sleeps
 * between storing the head and the rest (docs/spec/format.md 5.1 D7): then its frame no longer
 * begins at the head, where check (b) looks, but it lies over the old tail, or the new tail is not
 * yet `oldest`.
 */
export function tailFits(ring: Ring, now: State): boolean {
  const { ringSize } = ring.layout;
  const view = new DataView(new ArrayBuffer(FRAME_HEADER));
  let place = ringSize - now.tail < FRAME_HEADER ? 0 : now.tail;
  for (;;) {
    if (ring.readRing(new Uint8Array(view.buffer), place) !== FRAME_HEADER) return false;
    const item = itemAt(view, 0, place, ringSize);
    if (item.kind !== "wrap" || place === 0) {
      return item.kind === "frame" && item.seq === now.oldest;
    }
    place = 0;
  }
}
