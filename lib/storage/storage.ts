/**
 * The seam between the ring and whatever holds its bytes.
 *
 * Two implementations: {@link file} `Deno.FsFile` under flock, and a memory one for crash tests.
 * The same behaviour suite (`tests/storage_test.ts`) runs on both.
 *
 * @module
 */

/** What the path of an open file names now. */
export type PathState = "same" | "missing" | "replaced";

/** An open pool file. All calls are synchronous: nothing may be awaited while a lock is held. */
export interface StorageFile {
  /** The path it was opened by. */
  readonly path: string;
  /** Whether it may be written. */
  readonly writable: boolean;
  /** Fills `into` from byte `at`; returns how many bytes there were (fewer only at the end). */
  readAt(into: Uint8Array, at: number): number;
  /** Writes all of `bytes` at byte `at`. */
  writeAt(bytes: Uint8Array, at: number): void;
  /** Takes the whole-file lock, shared or exclusive, if it is free; never waits. */
  tryLock(exclusive: boolean): boolean;
  /** Gives the lock back. */
  unlock(): void;
  /** Makes all writes durable before it returns (fdatasync). */
  sync(): void;
  /** The size in bytes. */
  size(): number;
  /** Cuts the file, or lengthens it with zeros; only for the repair of a damaged pool. */
  resize(size: number): void;
  /** Whether the path still names this very file, of this very size (docs/spec/format.md 14.3). */
  pathState(): PathState;
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
   * Makes a file of `size` bytes whose beginning is `head` and the rest zero: whole or not at all.
   *
   * @throws {PlasmiteError} AlreadyExists, NotFound, Permission or Io, always with `path`
   */
  create(path: string, size: number, head: Uint8Array): void;
  /** Removes the name; open handles keep the file. */
  remove(path: string): void;
}
