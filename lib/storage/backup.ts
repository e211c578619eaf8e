/**
 * Backs up a damaged pool to a file next to it, synced to disk before the pool is changed.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { osError } from "./os_error.ts";
import type { StorageFile } from "./storage.ts";
import { parentOf, probe, removeQuietly, writeAll } from "./temporary.ts";

const CHUNK = 1 << 20;
/** The longest name that common file systems take, in bytes. */
const LONGEST_NAME = 255;

/**
 * Copies `file`, whose lock the caller holds, to `PATH.backup-TIME` with the same file mode. Runs
 * of zeros become holes, so a sparse pool stays small.
 *
 * @param progress called with the bytes copied so far and the total
 * @returns the path of the copy; it does not end in `.plasmite`, so it is not listed as a pool
 * @throws {PlasmiteError} Io or Permission; then no copy is left and the pool is untouched
 */
export function backUp(
  file: StorageFile,
  progress: (done: number, total: number) => void = () => {},
): string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const base = withEnding(file.path, `.backup-${time}`);
  for (let n = 1;; n++) {
    const path = n === 1 ? base : `${base}-${n}`;
    try {
      copy(file, path, progress);
      return path;
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists && n < 100) continue;
      const full = error instanceof Error && /os error 28|os error 122/.test(error.message);
      throw osError(error, {
        path,
        hint: full
          ? `There is no room for a backup of ${file.size()} bytes, so nothing was changed. ` +
            "Make room in that directory and try again."
          : "The backup could not be written, so nothing was changed. " +
            "Check the permissions and the free space of that directory.",
      }, "failed to write the backup");
    }
  }
}

/** `path` with `ending` appended; a very long name is cut so that the ending fits. */
function withEnding(path: string, ending: string): string {
  const dir = path.slice(0, path.lastIndexOf("/") + 1);
  const name = new TextEncoder().encode(path.slice(dir.length));
  const room = LONGEST_NAME - ending.length - "-100".length;
  if (name.length <= room) return path + ending;
  // In stream mode the decoder drops a character that the cut splits.
  const kept = new TextDecoder().decode(name.subarray(0, room), { stream: true });
  return dir + kept + ending;
}

function copy(
  file: StorageFile,
  path: string,
  progress: (done: number, total: number) => void,
): void {
  // Beyond `ulimit -f` the system kills the program; better now than with half a copy on disk.
  probe(parentOf(path), file.size());
  const mode = (Deno.statSync(file.path).mode ?? 0o600) & 0o777;
  const out = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  let done = false;
  try {
    const size = file.size();
    const bytes = new Uint8Array(Math.min(CHUNK, Math.max(size, 1)));
    for (let at = 0; at < size; at += bytes.length) {
      progress(at, size);
      const piece = bytes.subarray(0, Math.min(bytes.length, size - at));
      if (file.readAt(piece, at) !== piece.length) {
        throw new PlasmiteError("Io", "file changed while it was copied", { path: file.path });
      }
      if (!piece.some((byte) => byte !== 0)) continue;
      out.seekSync(at, Deno.SeekMode.Start);
      writeAll(out, piece);
    }
    out.truncateSync(size);
    out.syncSync();
    if (Deno.build.os !== "windows") Deno.chmodSync(path, mode);
    done = true;
  } finally {
    out.close();
    if (!done) removeQuietly(path);
  }
}
