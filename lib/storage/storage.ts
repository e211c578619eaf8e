/**
 * The interface between the ring and the file that holds its bytes.
 *
 * There are two implementations: `file.ts`, which uses `Deno.FsFile` and flock, and `memory.ts` for
 * crash tests. The same behaviour suite (`tests/pool/storage_test.ts`) runs on both.
 *
 * @module
 */

/**
 * What the path of an open file refers to now; `resized`: the same file, but not of the right size.
 */
export type PathState = "same" | "missing" | "replaced" | "resized";

/** An open pool file. All calls are synchronous: nothing may be awaited while a lock is held. */
export interface StorageFile {
  /** The path it was opened by. */
  readonly path: string;
  /** Whether it may be written. */
  readonly writable: boolean;
  /** Its size in bytes, and its last modification in milliseconds since 1970, when it was opened. */
  readonly opened: { readonly size: number; readonly mtimeMs: number | null };
  /** What no other file has while this one is open; null or absent where there is no such thing. */
  readonly identity?: string | null;
  /** Fills `into` from byte `at`; returns how many bytes there were (fewer only at the end). */
  readAt(into: Uint8Array, at: number): number;
  /** Writes all of `bytes` at byte `at`. */
  writeAt(bytes: Uint8Array, at: number): void;
  /** Takes the whole-file lock, shared or exclusive, if it is free; never waits. */
  tryLock(exclusive: boolean): boolean;
  /** Releases the lock. */
  unlock(): void;
  /** Makes all writes durable before it returns (fdatasync). */
  sync(): void;
  /** The size in bytes. */
  size(): number;
  /** How many bytes are allocated on disk: fewer than its size if it is sparse. */
  allocated(): number;
  /** Truncates the file or extends it with zeros; only for the repair of a damaged pool. */
  resize(size: number): void;
  /** Time since the last modification, in milliseconds; infinite if unknown. */
  quietMs(): number;
  /**
   * Whether the path still refers to this file (docs/spec/format.md 14.3).
   *
   * @param size the size that it must have; any, if not given
   */
  pathState(size?: number): PathState;
  /** Closes the file; later calls are errors. */
  close(): void;
}

/** A place where pool files live. */
export interface Storage {
  /**
   * Opens an existing file.
   *
   * @throws {PlasmiteError} NotFound, Permission or Io, always with `path`
   */
  open(path: string, options: { readonly write: boolean }): StorageFile;
  /**
   * Creates a file of `size` bytes that starts with `head` and is zero otherwise; absent for the
   * disk, where `createOnDisk` does it (`create.ts`, loaded when a pool is created). Makes one attempt
   * and never waits. The file is created atomically where possible; elsewhere `head` is written
   * last, under the lock, so a file of zeros is the leftover of a creator that was killed.
   *
   * @param takeOver whether to complete such a file if no one holds its lock; default true
   * @returns false while another process is creating the file: try again shortly
   * @throws {PlasmiteError} AlreadyExists, NotFound, Permission or Io, always with `path`
   */
  create?(path: string, size: number, head: Uint8Array, takeOver?: boolean): boolean;
  /** Removes the name; open handles keep the file. */
  remove(path: string): void;
  /** Paths of the files in `dir`; absent if the disk's directories are used. */
  files?(dir: string): readonly string[];
}
