/**
 * Creates pool files, and handles files whose creation is not finished (docs/spec/format.md 1.5).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { lockTimeout } from "../storage/lock_wait.ts";
import type { Steps } from "../storage/steps.ts";
import type { Storage, StorageFile } from "../storage/storage.ts";
import { unsafeIn } from "../visible.ts";
import {
  EXTENSION_AT,
  EXTENSION_SIZE,
  newExtension,
  newHeader,
  printExtension,
  verifyLayout,
} from "./header.ts";
import { DEFAULT_POOL_SIZE, type Layout, planLayout } from "./layout.ts";

/** How often to look for a header that another process is about to write. */
const CREATION_TRIES = 100;
/** A file unchanged for this long is no longer being created, in milliseconds. */
const SETTLED = 3_000;
/** How long a creator waits for other creators, in milliseconds. */
const LOCK_TIMEOUT = 10_000;

/** Options of a new pool. */
export interface RingOptions {
  /** Size of the whole file in bytes; default 1 MiB. */
  readonly size?: number;
  /** Number of index slots; default automatic, 0 for none. */
  readonly indexCapacity?: number;
  /** The maximum age of messages, in nanoseconds; default (and 0) no limit. */
  readonly maxAgeNs?: bigint;
}

/**
 * Refuses names with unprintable characters for new pools. Existing pools with such a name can be
 * used, renamed and deleted.
 *
 * @throws {PlasmiteError} Usage
 */
function checkNewPath(path: string): void {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const unsafe = unsafeIn(name);
  if (unsafe === undefined && name.isWellFormed()) return;
  throw new PlasmiteError("Usage", "invalid pool name", {
    path,
    hint: unsafe === undefined
      ? "Use a name that is valid Unicode."
      : `Use a name without control and text-direction characters; this one has ${unsafe}.`,
  });
}

/** A new pool's header with its identity; the bytes in between are zero. */
function stampedHeader(layout: Layout, maxAgeNs?: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(EXTENSION_AT + EXTENSION_SIZE);
  bytes.set(newHeader(layout));
  bytes.set(printExtension(newExtension(maxAgeNs)), EXTENSION_AT);
  return bytes;
}

/**
 * Creates a pool file, in steps: waits for another process that is creating the same one.
 *
 * @throws {PlasmiteError} Usage, AlreadyExists, Permission, Busy or Io
 */
export function* creating(
  storage: Storage,
  path: string,
  options: RingOptions = {},
): Steps<void> {
  checkNewPath(path);
  const layout = planLayout(options.size ?? DEFAULT_POOL_SIZE, options.indexCapacity);
  const header = stampedHeader(layout, options.maxAgeNs);
  for (let waited = 0;; waited++) {
    if (storage.create(path, layout.fileSize, header, waited >= CREATION_TRIES)) return;
    if (waited >= LOCK_TIMEOUT) throw lockTimeout(path);
    yield "busy";
  }
}

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
  for (let tries = 0;; tries++) {
    const free = file.tryLock(false);
    const length = file.readAt(bytes, 0);
    if (free) file.unlock();
    if (bytes.subarray(0, length).some((byte) => byte !== 0)) return length;
    const late = tries >= CREATION_TRIES;
    if (free && (late || file.quietMs() > SETTLED)) throw leftover(file, bytes, length);
    if (late) {
      const { message, hint } = lockTimeout(file.path);
      throw new UnfinishedPool("Busy", message, { path: file.path, hint });
    }
    yield "busy";
  }
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
