/**
 * Creates a file atomically. Where the file system has no hard links, the file is created in place
 * and its header is written last, so no one mistakes it for a complete one (docs/spec/format.md
 * 1.5).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { unsafeIn } from "../visible.ts";
import { disk, DiskFile } from "./file.ts";
import { isOsError, NOT_A_DIRECTORY, osError } from "./os_error.ts";
import type { StorageFile } from "./storage.ts";
import {
  isThere,
  linksUnsupported,
  parentOf,
  probe,
  removeQuietly,
  temporaryName,
  writeAll,
} from "./temporary.ts";

/** The storage operations needed to create a file in place. */
export interface CreationPlaces {
  /** Creates an empty file; null when the name is taken. */
  createEmpty(path: string): StorageFile | null;
  /** Opens an existing file for writing; null when it has been removed in the meantime. */
  open(path: string): StorageFile | null;
  /** Removes the name. */
  remove(path: string): void;
}

/** The file to create. */
export interface NewFile {
  /** Its size in bytes. */
  readonly size: number;
  /** Its first bytes; the rest is zero. */
  readonly head: Uint8Array;
  /** Whether to complete a file left behind by a creator that was killed. */
  readonly takeOver: boolean;
}

/** `Storage.create` for the disk; a module of its own, because few processes create a pool. */
export function createOnDisk(
  path: string,
  size: number,
  head: Uint8Array,
  takeOver = true,
): boolean {
  const wanted: NewFile = { size, head, takeOver };
  const dir = parentOf(path);
  makeDirectory(dir);
  try {
    if (createAside(dir, path, wanted)) return true;
    return createInPlace(places, path, wanted);
  } catch (error) {
    throw osError(error, { path }, "failed to create pool file");
  }
}

function makeDirectory(dir: string): void {
  if (unsafeIn(dir) !== undefined) checkNewDirectories(dir);
  try {
    Deno.mkdirSync(dir, { recursive: true });
  } catch (error) {
    const failure = osError(error, { path: dir }, "failed to create pool directory");
    if (failure.kindName !== "AlreadyExists") throw failure;
    // For a directory, AlreadyExists would not be an error.
    throw new PlasmiteError("Io", failure.message, {
      path: dir,
      ...NOT_A_DIRECTORY,
      causes: failure.causes,
      cause: error,
    });
  }
}

/** Refuses to create directories whose names contain unprintable characters. */
function checkNewDirectories(dir: string): void {
  for (let at = dir; !isThere(at); at = parentOf(at)) {
    const unsafe = unsafeIn(at.slice(at.lastIndexOf("/") + 1));
    if (unsafe === undefined) continue;
    throw new PlasmiteError("Usage", "invalid directory name", {
      path: dir,
      hint: `Use a name without control and text-direction characters; it has ${unsafe}.`,
    });
  }
}

/**
 * Builds the file under a temporary name and links it to its final one, so no one sees a partial
 * pool. Returns false when the file system cannot do that, or when the name is taken.
 */
function createAside(dir: string, path: string, { size, head }: NewFile): boolean {
  const temporary = temporaryName(dir);
  try {
    if (!probe(dir, size)) return false;
    const file = Deno.openSync(temporary, { write: true, createNew: true });
    try {
      writeAll(file, head);
      file.truncateSync(size);
    } finally {
      file.close();
    }
    Deno.linkSync(temporary, path);
    return true;
  } catch (error) {
    // With the longest possible path, a temporary name in its directory can be too long.
    if (error instanceof Deno.errors.AlreadyExists || linksUnsupported(error) || isTooLong(error)) {
      return false;
    }
    throw error;
  } finally {
    removeQuietly(temporary);
  }
}

function isTooLong(error: unknown): boolean {
  const numbers: Partial<Record<typeof Deno.build.os, number>> = { darwin: 63, windows: 206 };
  return isOsError(error, numbers[Deno.build.os] ?? 36);
}

/**
 * Creates the file under its final name. Holding its lock, it sets the size and writes the head
 * last. Other creators of the same name do the same, and whoever gets the lock while the file is
 * all zeros continues; so it does not matter who started, or where they were killed.
 */
export function createInPlace(places: CreationPlaces, path: string, wanted: NewFile): boolean {
  const made = places.createEmpty(path);
  const file = made ?? openTaken(places, path);
  if (file === null) return false;
  try {
    if (!file.tryLock(true)) {
      if (hasHead(file)) throw taken(path);
      return false;
    }
    if (file.pathState() !== "same") return false;
    if (!isLeftover(file, wanted.size)) throw taken(path);
    if (made === null && !wanted.takeOver) return false;
    fill(places, file, wanted);
    return true;
  } finally {
    file.close();
  }
}

function taken(path: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("AlreadyExists", "pool already exists", {
    path,
    hint: "Choose a different name, or remove the existing pool first.",
    cause,
  });
}

function openTaken(places: CreationPlaces, path: string): StorageFile | null {
  try {
    return places.open(path);
  } catch (cause) {
    throw taken(path, cause); // A directory, another user's file, a dangling link.
  }
}

function hasHead(file: StorageFile): boolean {
  const first = new Uint8Array(1);
  return file.readAt(first, 0) === 1 && first[0] !== 0;
}

/** Files larger than this are not read to check whether they are all zeros, in bytes. */
const READ_AT_MOST = 32 << 20;

/**
 * Whether a file is the leftover of a killed creator: all zeros. A file not named like a pool must
 * also have a size that such a leftover can have.
 */
function isLeftover(file: StorageFile, wanted: number): boolean {
  const size = file.size();
  if (size !== 0 && size !== wanted && !file.path.endsWith(".plasmite")) return false;
  // A sparse file can be of any size, and reading it would block others: check its allocated
  // blocks.
  if (size > READ_AT_MOST) return file.allocated() === 0;
  const words = new Int32Array(1 << 14);
  const bytes = new Uint8Array(words.buffer);
  for (let at = 0; at < size;) {
    const got = file.readAt(bytes, at);
    if (got === 0) return false; // Truncated while being read: another process is working on it.
    for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
    at += got;
  }
  return true;
}

function fill(places: CreationPlaces, file: StorageFile, { size, head }: NewFile): void {
  try {
    file.resize(size);
    file.writeAt(head, 0);
  } catch (error) {
    try {
      places.remove(file.path);
    } catch {
      // It stays as a leftover, which the next creator completes.
    }
    throw error;
  }
}

/** How {@linkcode createInPlace} reaches the disk. */
const places: CreationPlaces = {
  createEmpty(path) {
    try {
      const file = Deno.openSync(path, { read: true, write: true, createNew: true });
      return new DiskFile(path, true, file);
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return null;
      throw error;
    }
  },
  open(path) {
    try {
      return disk.open(path, { write: true });
    } catch (error) {
      if (!isThere(path)) return null;
      throw error;
    }
  },
  remove: (path) => Deno.removeSync(path),
};
