/**
 * The seam between the ring and whatever holds its bytes.
 *
 * Two implementations: {@link file} `Deno.FsFile` under flock, and a memory one for crash tests.
 * The same behaviour suite (`tests/storage_test.ts`) runs on both.
 *
 * @module
 */

/** What the path of an open file names now; `resized` is this very file, but not of the right size. */
export type PathState = "same" | "missing" | "replaced" | "resized";

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
  /** How many bytes of it are on the disk: fewer than its size when it has holes. */
  allocated(): number;
  /** Cuts the file, or lengthens it with zeros; only for the repair of a damaged pool. */
  resize(size: number): void;
  /** How long ago it was last changed, in milliseconds; infinite where that is not known. */
  quietMs(): number;
  /**
   * Whether the path still names this very file (docs/spec/format.md 14.3).
   *
   * @param size the size that it must have; without it any will do
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
   * Makes a file of `size` bytes whose beginning is `head` and the rest zero. One attempt, which
   * never waits. Where it can be made whole at once it is; elsewhere `head` is written last, under
   * the lock, and a file of nothing but zeros is what a creator that was killed has left.
   *
   * @param takeOver whether to finish such a file if nobody holds its lock; default true
   * @returns false when somebody else is making the file right now: try again in a moment
   * @throws {PlasmiteError} AlreadyExists, NotFound, Permission or Io, always with `path`
   */
  create(path: string, size: number, head: Uint8Array, takeOver?: boolean): boolean;
  /** Removes the name; open handles keep the file. */
  remove(path: string): void;
  /** Paths of the files in `dir`; absent where the directories of the disk are meant. */
  files?(dir: string): readonly string[];
}
