/**
 * Deletes a pool, intact or damaged, once running appends have finished.
 *
 * @module
 */

import { cursorDir } from "../../coordination/cursor_file.ts";
import { disk } from "../../storage/file.ts";
import { untilUnlocked } from "../../storage/lock_wait.ts";
import type { Steps } from "../../storage/steps.ts";
import type { Storage } from "../../storage/storage.ts";
import { removeRecords } from "../../storage/record_file.ts";

/**
 * Deletes the pool at `path`; steps for `inPlace`, or for `inTurns` in a process that serves others.
 *
 * @throws {PlasmiteError} NotFound, Permission, Busy or Io
 */
export function* removing(path: string, storage: Storage = disk): Steps<void> {
  const file = storage.open(path, { write: false });
  try {
    yield* untilUnlocked(path, () => file.tryLock(true) || null);
    // A writer that acquires this lock later finds that the path is gone and reports NotFound
    // (docs/spec/format.md 14.3).
    if (file.pathState() === "missing") storage.open(path, { write: false }).close();
    storage.remove(path);
    // The pool is deleted first: if the process is killed midway, the remaining cursors show that
    // their pool is gone.
    if (storage === disk) removeRecords(cursorDir(path));
  } finally {
    file.close();
  }
}
