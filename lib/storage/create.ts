/**
 * Makes a file that appears whole, or, where the file system has no hard links, one that nobody takes
 * for whole before it is (docs/spec/format.md 1.5).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { unsafeIn } from "../visible.ts";
import { isOsError, NOT_A_DIRECTORY, osError } from "./os_error.ts";
import type { StorageFile } from "./storage.ts";
import { isNotHere, parentOf, probe, removeQuietly, temporaryName } from "./temporary.ts";

/** What making a file in place needs of the place. */
export interface CreationPlaces {
  /** Makes an empty file; null when the name is taken. */
  createEmpty(path: string): StorageFile | null;
  /** Opens an existing file for writing; null when the name is free in the meantime. */
  open(path: string): StorageFile | null;
  /** Removes the name. */
  remove(path: string): void;
}

/** What is to be made. */
export interface NewFile {
  /** Its size in bytes. */
  readonly size: number;
  /** Its first bytes; the rest is zero. */
  readonly head: Uint8Array;
  /** Whether to finish what a creator that was killed has left. */
  readonly takeOver: boolean;
}

/** As `Storage.create`, on the disk. */
export function createFile(places: CreationPlaces, path: string, wanted: NewFile): boolean {
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
    // Of a directory it would be no error.
    throw new PlasmiteError("Io", failure.message, {
      path: dir,
      hint: NOT_A_DIRECTORY,
      causes: failure.causes,
      cause: error,
    });
  }
}

/** Refuses directories that no list could show as they are, unless they are there already. */
function checkNewDirectories(dir: string): void {
  for (let at = dir; !isThere(at); at = parentOf(at)) {
    const unsafe = unsafeIn(at.slice(at.lastIndexOf("/") + 1));
    if (unsafe === undefined) continue;
    throw new PlasmiteError("Usage", "invalid directory name", {
      path: dir,
      hint: `Use a name without controls and marks of the writing direction; it has ${unsafe}.`,
    });
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/**
 * Builds the file under another name and links it to its own: nobody meets half a pool. Returns false
 * when that cannot be done here, or when the name is taken.
 */
function createAside(dir: string, path: string, { size, head }: NewFile): boolean {
  const temporary = temporaryName(dir);
  try {
    if (!probe(dir, size)) return false;
    const file = Deno.openSync(temporary, { write: true, createNew: true });
    try {
      for (let done = 0; done < head.length;) done += file.writeSync(head.subarray(done));
      file.truncateSync(size);
    } finally {
      file.close();
    }
    Deno.linkSync(temporary, path);
    return true;
  } catch (error) {
    // The longest path there can be leaves no room for another name in its directory.
    if (error instanceof Deno.errors.AlreadyExists || isNotHere(error) || isTooLong(error)) {
      return false;
    }
    throw error;
  } finally {
    removeQuietly(temporary);
  }
}

function isTooLong(error: unknown): boolean {
  return isOsError(error, Deno.build.os === "darwin" ? 63 : 36);
}

/**
 * Makes the file under its own name: under its lock it gets its size, and its head last. Whoever else
 * comes to the same name does the same, and whoever has the lock while there are only zeros goes on;
 * so it does not matter who began, or where that one was killed.
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
    throw taken(path, cause); // A directory, somebody else's file, a link to nowhere.
  }
}

function hasHead(file: StorageFile): boolean {
  const first = new Uint8Array(1);
  return file.readAt(first, 0) === 1 && first[0] !== 0;
}

/** Larger files are not read to see whether they hold nothing but zeros, in bytes. */
const READ_AT_MOST = 32 << 20;

/**
 * Whether a file is what a killed creator leaves: nothing but zeros. A file that is not named as a pool
 * must also have a size that it would have.
 */
function isLeftover(file: StorageFile, wanted: number): boolean {
  const size = file.size();
  if (size !== 0 && size !== wanted && !file.path.endsWith(".plasmite")) return false;
  // Reading holds others up, and a file of holes may be of any size: it is known by its blocks.
  if (size > READ_AT_MOST) return file.allocated() === 0;
  const words = new Int32Array(1 << 14);
  const bytes = new Uint8Array(words.buffer);
  for (let at = 0; at < size;) {
    const got = file.readAt(bytes, at);
    if (got === 0) return false; // Cut while it was read: somebody else is at work.
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
      // Then it stays as a leftover, which the next creator takes over.
    }
    throw error;
  }
}
