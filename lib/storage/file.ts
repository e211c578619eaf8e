/**
 * Pool files on disk: `Deno.FsFile` under whole-file flock.
 *
 * FsFile has no positional read or write, so every access is a seek directly followed by the
 * transfer, with nothing awaited between (docs/spec/format.md 6, Deno facts).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { NOT_A_DIRECTORY, osError } from "./os_error.ts";
import type { PathState, Storage, StorageFile } from "./storage.ts";

/** The error for a directory, a pipe or a device. */
function notRegular(path: string): PlasmiteError {
  return new PlasmiteError("Io", "i/o error", {
    path,
    causes: ["Is not a regular file"],
    hint: "Give the path of a pool file.",
  });
}

class DiskFile implements StorageFile {
  readonly #file: Deno.FsFile;
  readonly #dev: number;
  readonly #ino: number | null;
  #size: number;

  constructor(readonly path: string, readonly writable: boolean, file: Deno.FsFile) {
    this.#file = file;
    const info = file.statSync();
    if (!info.isFile) {
      file.close();
      throw notRegular(path);
    }
    this.#dev = info.dev;
    this.#ino = info.ino;
    this.#size = info.size;
  }

  readAt(into: Uint8Array, at: number): number {
    this.#file.seekSync(at, Deno.SeekMode.Start);
    let done = this.#file.readSync(into) ?? 0;
    while (done < into.length) {
      const n = this.#file.readSync(into.subarray(done));
      if (n === null || n === 0) break;
      done += n;
    }
    return done;
  }

  writeAt(bytes: Uint8Array, at: number): void {
    this.#file.seekSync(at, Deno.SeekMode.Start);
    let done = this.#file.writeSync(bytes);
    while (done < bytes.length) done += this.#file.writeSync(bytes.subarray(done));
  }

  tryLock(exclusive: boolean): boolean {
    for (;;) {
      try {
        return this.#file.tryLockSync(exclusive);
      } catch (error) {
        if (error instanceof Deno.errors.Interrupted) continue; // EINTR: docs/spec/format.md 14.6
        throw osError(error, { path: this.path }, "failed to lock pool");
      }
    }
  }

  unlock(): void {
    this.#file.unlockSync();
  }

  sync(): void {
    this.#file.syncDataSync();
  }

  size(): number {
    return this.#file.statSync().size;
  }

  resize(size: number): void {
    this.#file.truncateSync(size);
    this.#size = size;
  }

  pathState(): PathState {
    let info: Deno.FileInfo;
    try {
      info = Deno.statSync(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "missing";
      throw osError(error, { path: this.path });
    }
    // A file that changed its size under us is not the pool that we opened either.
    return info.ino === this.#ino && info.dev === this.#dev && info.size === this.#size
      ? "same"
      : "replaced";
  }

  close(): void {
    this.#file.close();
  }
}

function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : path.slice(0, at);
}

/** Pool files on this machine's disk. */
export const disk: Storage = {
  open(path, { write }) {
    try {
      // Opening a pipe for reading alone would wait for its writer, for ever.
      if (!write && !Deno.statSync(path).isFile) throw notRegular(path);
      return new DiskFile(path, write, Deno.openSync(path, { read: true, write }));
    } catch (error) {
      throw osError(error, { path });
    }
  },

  create(path, size, head) {
    const parent = parentOf(path);
    try {
      Deno.mkdirSync(parent, { recursive: true });
    } catch (error) {
      const failure = osError(error, { path: parent }, "failed to create pool directory");
      if (failure.kindName !== "AlreadyExists") throw failure;
      // Of a directory it would be no error.
      throw new PlasmiteError("Io", failure.message, {
        path: parent,
        hint: NOT_A_DIRECTORY,
        causes: failure.causes,
        cause: error,
      });
    }
    // docs/spec/format.md 1.5: build under another name, then link: nobody meets half a pool.
    const temporary = `${path}.${Deno.pid}-${Math.random().toString(36).slice(2, 10)}.tmp`;
    try {
      const file = Deno.openSync(temporary, { write: true, createNew: true });
      try {
        for (let done = 0; done < head.length;) done += file.writeSync(head.subarray(done));
        file.truncateSync(size);
      } finally {
        file.close();
      }
      Deno.linkSync(temporary, path);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) {
        throw new PlasmiteError("AlreadyExists", "pool already exists", {
          path,
          hint: "Choose a different name, or remove the existing pool first.",
          cause: error,
        });
      }
      throw osError(error, { path }, "failed to create pool file");
    } finally {
      try {
        Deno.removeSync(temporary);
      } catch {
        // Never made, or gone already: nothing is left to remove.
      }
    }
  },

  remove(path) {
    try {
      Deno.removeSync(path);
    } catch (error) {
      throw osError(error, { path }, "failed to delete pool");
    }
  },
};
