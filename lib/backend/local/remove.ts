/**
 * Deleting a pool, whole or damaged, once running appends are over.
 *
 * @module
 */

import { disk } from "../../storage/file.ts";
import { LOCK_TIMEOUT, lockTimeout } from "../../storage/pause.ts";
import type { Steps } from "../../storage/turns.ts";

/**
 * Deletes the pool at `path`; steps for `inPlace`, or for `inTurns` in a process that serves others.
 *
 * @throws {PlasmiteError} NotFound, Permission, Busy or Io
 */
export function* removing(path: string): Steps<void> {
  const file = disk.open(path, { write: false });
  try {
    const since = performance.now();
    while (!file.tryLock(true)) {
      if (performance.now() - since >= LOCK_TIMEOUT) throw lockTimeout(path);
      yield "busy";
    }
    // docs/spec/format.md 14.3: whoever appends under this lock later finds the path gone and
    // says so.
    if (file.pathState() === "missing") disk.open(path, { write: false }).close();
    disk.remove(path);
  } finally {
    file.close();
  }
}
