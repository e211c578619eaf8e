/**
 * Pool files on disk: `Deno.FsFile` under whole-file flock.
 *
 * FsFile has no positional read or write, so an access is a seek, unless the file is there already,
 * directly followed by the transfer, with nothing awaited between (docs/spec/format.md 6, Deno facts).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { osError } from "./os_error.ts";
import type { PathState, Storage, StorageFile } from "./storage.ts";

/** The error for a directory, a pipe or a device. */
function notRegular(path: string): PlasmiteError {
  return new PlasmiteError("Io", "i/o error", {
    path,
    causes: ["Is not a regular file"],
    hint: "Give the path of a pool file.",
  });
}

/** A pool file on disk. */
export class DiskFile implements StorageFile {
  readonly #file: Deno.FsFile;
  /** The position of the file, which an access there need not seek; -1 if it is not known. */
  #position: number;
  /** Which file it is, as far as that is known. */
  #identity: Pick<Deno.FileInfo, "dev" | "ino"> | null;
  readonly opened: { readonly size: number; readonly mtimeMs: number | null };

  /**
   * Takes over an open file, which is closed with this. Throws Io for anything but a file.
   *
   * @param position its position, if that is known
   * @param seen what was at the path just before, to save asking for a file that is only read
   */
  constructor(
    readonly path: string,
    readonly writable: boolean,
    file: Deno.FsFile,
    position = -1,
    seen?: Deno.FileInfo,
  ) {
    this.#file = file;
    this.#position = position;
    const info = seen ?? file.statSync();
    if (!info.isFile) {
      file.close();
      throw notRegular(path);
    }
    // Another file may have taken the path in between.
    this.#identity = seen === undefined ? info : null;
    this.opened = { size: info.size, mtimeMs: info.mtime?.getTime() ?? null };
  }

  /** The error for a failed read or write: disk full, device gone, read-only file system. */
  #failure(error: unknown): PlasmiteError {
    return osError(error, { path: this.path });
  }

  /** Goes to byte `at`; the caller notes where it ends. */
  #seek(at: number): void {
    if (at === this.#position) return;
    this.#position = -1;
    this.#file.seekSync(at, Deno.SeekMode.Start);
  }

  readAt(into: Uint8Array, at: number): number {
    try {
      this.#seek(at);
      this.#position = -1;
      let done = this.#file.readSync(into) ?? 0;
      while (done < into.length) {
        const n = this.#file.readSync(into.subarray(done));
        if (n === null || n === 0) break;
        done += n;
      }
      this.#position = at + done;
      return done;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  writeAt(bytes: Uint8Array, at: number): void {
    try {
      this.#seek(at);
      this.#position = -1;
      let done = this.#file.writeSync(bytes);
      while (done < bytes.length) done += this.#file.writeSync(bytes.subarray(done));
      this.#position = at + done;
    } catch (error) {
      throw this.#failure(error);
    }
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
    try {
      this.#file.syncDataSync();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #stat(): Deno.FileInfo {
    try {
      return this.#file.statSync();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  size(): number {
    return this.#stat().size;
  }

  quietMs(): number {
    const changed = this.#stat().mtime;
    return changed === null ? Infinity : Math.abs(Date.now() - changed.getTime());
  }

  allocated(): number {
    const { blocks, size } = this.#stat();
    return blocks === null ? size : blocks * 512; // Not available on Windows.
  }

  resize(size: number): void {
    try {
      this.#file.truncateSync(size);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  pathState(size?: number): PathState {
    let info: Deno.FileInfo;
    try {
      info = Deno.statSync(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "missing";
      throw osError(error, { path: this.path });
    }
    const own = this.#identity ??= this.#stat();
    if (info.ino !== own.ino || info.dev !== own.dev) return "replaced";
    return size === undefined || info.size === size ? "same" : "resized";
  }

  close(): void {
    this.#file.close();
  }
}

/** Pool files on this machine's disk. */
export const disk: Storage = {
  open(path, { write }) {
    try {
      // Opening a pipe read-only would block until it has a writer, possibly forever.
      const seen = write ? undefined : Deno.statSync(path);
      if (seen !== undefined && !seen.isFile) throw notRegular(path);
      return new DiskFile(path, write, Deno.openSync(path, { read: true, write }), 0, seen);
    } catch (error) {
      throw osError(error, { path });
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
