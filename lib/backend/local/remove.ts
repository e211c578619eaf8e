/**
 * Deleting a pool, whole or damaged, once running appends are over.
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
    // A writer that gets this lock later finds the path gone and says so
    // (docs/spec/format.md 14.3).
    if (file.pathState() === "missing") storage.open(path, { write: false }).close();
    storage.remove(path);
    // After the pool: killed in between, the cursors are left, and tell that their pool is gone.
    if (storage === disk) removeRecords(cursorDir(path));
  } finally {
    file.close();
  }
}
