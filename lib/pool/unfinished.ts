/**
 * Pool files whose creation is not finished (docs/spec/format.md 1.5).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { lockTimeout, untilUnlocked } from "../storage/lock_wait.ts";
import type { Steps } from "../storage/steps.ts";
import type { StorageFile } from "../storage/storage.ts";
import { verifyLayout } from "./header.ts";

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
