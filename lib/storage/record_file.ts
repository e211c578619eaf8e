/**
 * Small files beside a pool that hold one record and a lock: cursors and work groups. They are
 * written in place, so that lock and record share one inode.
 *
 * @module
 */

import { osError } from "./os_error.ts";

/** An open record file. Nothing may be awaited while its lock is held for one operation only. */
export interface RecordFile {
  /** The path it was opened by. */
  readonly path: string;
  /**
   * Takes the lock if it is free; never waits.
   *
   * @param shared whether others may share it; default false
   */
  tryLock(shared?: boolean): boolean;
  /** Releases the lock. */
  unlock(): void;
  /** Size of the file in bytes. */
  size(): number;
  /** The file's bytes, at most `most`, from byte `at` on; default from its start. */
  read(most: number, at?: number): Uint8Array<ArrayBuffer>;
  /** Writes all of `bytes` at byte `at`. */
  write(bytes: Uint8Array, at: number): void;
  /** Makes all writes durable before it returns (fdatasync). */
  sync(): void;
  /** Whether the path still names this file. */
  isCurrent(): boolean;
  /** Closes the file, which gives up its lock. */
  close(): void;
}

class DiskRecordFile implements RecordFile {
  readonly #file: Deno.FsFile;

  constructor(readonly path: string, file: Deno.FsFile) {
    this.#file = file;
  }

  #run<T>(work: () => T, message?: string): T {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (error instanceof Deno.errors.Interrupted) continue;
        throw osError(error, { path: this.path }, message);
      }
    }
  }

  tryLock(shared = false): boolean {
    return this.#run(() => this.#file.tryLockSync(!shared), "Failed to lock the cursor file");
  }

  unlock(): void {
    this.#run(() => this.#file.unlockSync());
  }

  size(): number {
    return this.#run(() => this.#file.statSync().size);
  }

  read(most: number, at = 0): Uint8Array<ArrayBuffer> {
    return this.#run(() => {
      const left = Math.max(0, this.#file.statSync().size - at);
      const bytes = new Uint8Array(Math.min(most, left));
      this.#file.seekSync(at, Deno.SeekMode.Start);
      let got = 0;
      while (got < bytes.length) {
        const n = this.#file.readSync(bytes.subarray(got));
        if (n === null || n === 0) break;
        got += n;
      }
      return bytes.subarray(0, got);
    });
  }

  write(bytes: Uint8Array, at: number): void {
    this.#run(() => {
      this.#file.seekSync(at, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
    });
  }

  sync(): void {
    this.#run(() => this.#file.syncDataSync());
  }

  isCurrent(): boolean {
    try {
      const [mine, named] = [this.#file.statSync(), Deno.statSync(this.path)];
      return mine.ino === named.ino && mine.dev === named.dev;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw osError(error, { path: this.path });
    }
  }

  close(): void {
    this.#file.close();
  }
}

/**
 * Opens a record file.
 *
 * @param options `like`: create a missing file with the permissions of this one; without it, a
 *   missing file is NotFound
 * @throws {PlasmiteError} NotFound, Permission or Io, always with `path`
 */
export function openRecordFile(
  path: string,
  options: { readonly like?: string | undefined; readonly write?: boolean } = {},
): RecordFile {
  const { like, write = true } = options;
  try {
    if (like !== undefined) {
      const mode = (Deno.statSync(like).mode ?? 0o600) & 0o666;
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), {
        recursive: true,
        mode: dirMode(mode),
      });
      const file = Deno.openSync(path, { read: true, write: true, create: true, mode });
      return new DiskRecordFile(path, file);
    }
    return new DiskRecordFile(path, Deno.openSync(path, { read: true, write }));
  } catch (error) {
    throw osError(error, { path });
  }
}

/** Whoever may read the files may list their directory. */
function dirMode(mode: number): number {
  return mode | ((mode & 0o444) >> 2) | 0o300;
}

/** The names in a directory of record files, sorted; empty for a missing directory. */
export function recordNames(dir: string): string[] {
  const names: string[] = [];
  try {
    for (const { name, isFile } of Deno.readDirSync(dir)) if (isFile) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw osError(error, { path: dir });
  }
  return names.sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
}

/** Removes a record file. The caller holds its lock and has checked that it is the right file. */
export function removeRecordFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    throw osError(error, { path });
  }
}

/** Removes a directory of record files and its contents; a missing one is not an error. */
export function removeRecords(dir: string): void {
  try {
    Deno.removeSync(dir, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw osError(error, { path: dir });
  }
}
