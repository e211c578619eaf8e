/**
 * Pool files on disk: `Deno.FsFile` under whole-file flock.
 *
 * FsFile has no positional read or write, so an access is a seek, unless the file is there already,
 * directly followed by the transfer, with nothing awaited between (docs/spec/format.md 6, Deno facts).
 *
 * @module
 */

import { isGranted } from "../environment.ts";
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

/** How often a name is looked up before its folder is remembered, and then between two attempts. */
const LEARN_EVERY = 64;
/**
 * How old the last change of a folder must be, in milliseconds, so that the next one has another
 * time: Deno tells that of a change in seconds, and FAT counts in steps of two.
 */
const SETTLED = 3000;

/** A folder as it was when a name in it was looked up. */
interface Folder {
  readonly path: string;
  readonly dev: number;
  readonly ino: number | null;
  /** When it was last modified, in milliseconds since 1970. A copying program may set that time, */
  readonly modified: number;
  /** but not that of the last change. */
  readonly changed: number;
}

/** The folder at `path` now; null if its times tell nothing about the names in it. */
function folderAt(path: string): Folder | null {
  const { dev, ino, mtime, ctime } = Deno.statSync(path);
  if (mtime === null || ctime === null) return null;
  return { path, dev, ino, modified: mtime.getTime(), changed: ctime.getTime() };
}

/**
 * Whether a device is a local disk. File systems of memory, layers and networks have the major
 * number 0; those of networks may learn of a change later.
 */
function isLocalDisk(dev: number): boolean {
  return Deno.build.os === "linux" && Math.floor(dev / 0x100) % 0x1000 !== 0;
}

/**
 * The folder of `path`, if the name can only come to mean something else by a change of it that its
 * times will show: not a link, on a local disk, and not changed a moment ago.
 */
function folderOf(path: string, file: Deno.FileInfo): Folder | null {
  if (!isLocalDisk(file.dev)) return null;
  const end = path.lastIndexOf("/");
  const parent = end < 0 ? "." : path.slice(0, end + 1);
  if (!isGranted({ name: "read", path: parent })) return null; // Deno could prompt.
  const folder = folderAt(parent);
  if (folder === null || folder.dev !== file.dev) return null;
  const { modified, changed } = folder;
  if (Date.now() - Math.max(modified, changed) < SETTLED) return null;
  // After the folder: what changes in between shows in the folder's times later.
  const now = Deno.lstatSync(path);
  return now.ino === file.ino && now.dev === file.dev ? folder : null;
}

/** A pool file on disk. */
export class DiskFile implements StorageFile {
  readonly #file: Deno.FsFile;
  /** The position of the file, which an access there need not seek; -1 if it is not known. */
  #position: number;
  /** Which file it is, as far as that is known. */
  #identity: Pick<Deno.FileInfo, "dev" | "ino"> | null;
  /** The folder that the file is known to be in under its name; null if that is not known. */
  #folder: Folder | null = null;
  /** How often the name was looked up. */
  #lookUps = 0;
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

  get identity(): string | null {
    const { dev, ino } = this.#identity ??= this.#stat();
    return ino === null ? null : `${dev}-${ino}`;
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

  /**
   * A look at the folder instead of the file, where that is enough (docs/spec/format.md 14.3): since
   * Linux 6.13 a file whose times were asked gets a new, exact time with the next write, which costs
   * more than the write itself. The size is where the file's end is.
   */
  pathState(size?: number): PathState {
    if (this.#folder !== null && !this.#isSameFolder(this.#folder)) this.#folder = null;
    if (this.#folder !== null) {
      return size === undefined || this.#end() === size ? "same" : "resized";
    }
    let info: Deno.FileInfo;
    try {
      info = Deno.statSync(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "missing";
      throw osError(error, { path: this.path });
    }
    const own = this.#identity ??= this.#stat();
    if (info.ino !== own.ino || info.dev !== own.dev) return "replaced";
    if (++this.#lookUps % LEARN_EVERY === 0) this.#learnFolder(info);
    return size === undefined || info.size === size ? "same" : "resized";
  }

  #learnFolder(info: Deno.FileInfo): void {
    try {
      this.#folder = folderOf(this.path, info);
    } catch {
      this.#folder = null; // Gone, or not to be looked at: the name is looked up as before.
    }
  }

  #isSameFolder(folder: Folder): boolean {
    try {
      const now = folderAt(folder.path);
      return now !== null && now.ino === folder.ino && now.dev === folder.dev &&
        now.modified === folder.modified && now.changed === folder.changed;
    } catch {
      return false; // The look-up of the file says why.
    }
  }

  /** The place of the file's end. */
  #end(): number {
    try {
      this.#position = -1;
      return this.#position = this.#file.seekSync(0, Deno.SeekMode.End);
    } catch (error) {
      throw this.#failure(error);
    }
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
