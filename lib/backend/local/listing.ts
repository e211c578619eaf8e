/**
 * Describes one pool by its path ({@linkcode readingInfo}), or all pools of a directory ({@linkcode
 * listing}). Steps for `inPlace`, or for `inTurns` in a process that serves others.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { glance } from "../../pool/glance.ts";
import { Ring } from "../../pool/ring.ts";
import { disk } from "../../storage/file.ts";
import { osError } from "../../storage/os_error.ts";
import type { Storage, StorageFile } from "../../storage/storage.ts";
import type { Steps } from "../../storage/steps.ts";
import { describing, glimpsed, type PoolInfo, unreadablePool } from "./info.ts";
import type { Choose } from "../types.ts";
import { listedButMissing, poolFiles, poolName } from "../refs.ts";

/**
 * Describes the pool at `path`; needs read permission only.
 *
 * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
 */
export function* readingInfo(
  path: string,
  name: string,
  storage: Storage = disk,
): Steps<PoolInfo> {
  const ring = yield* Ring.opening(storage, path);
  try {
    return yield* describing(ring, name);
  } finally {
    ring.close();
  }
}

/** The error for a directory that cannot be read. */
export function unreadableDir(error: unknown, dir: string): Error {
  return osError(error, { path: dir }, "failed to read pool directory");
}

/**
 * All pools of `dir`, sorted by name. Entries for pools that cannot be opened have `error` set.
 *
 * @throws {PlasmiteError} NotFound, Permission or Io when the directory cannot be read
 */
export function* listing(dir: string): Steps<PoolInfo[]> {
  return yield* describingFiles(filesIn(dir));
}

/**
 * Describes the pools in these files; pools deleted in the meantime are omitted.
 *
 * @param brief whether use, age, retention and identity may be left out, for which more must be read
 */
export function* describingFiles(
  files: readonly string[],
  storage: Storage = disk,
  brief = false,
): Steps<PoolInfo[]> {
  const pools: PoolInfo[] = [];
  for (const path of files) {
    const info = glanced(path, storage, brief) ?? (yield* listed(path, storage, brief));
    if (info !== null) pools.push(info);
    yield "more";
  }
  return pools;
}

/** The files of the selected pools. */
export function chosen(files: readonly string[], choose: Choose | undefined): readonly string[] {
  if (choose === undefined) return files;
  const wanted = choose(files.map(poolName));
  if (wanted.length === files.length) return files;
  const names = new Set(wanted);
  return files.filter((path) => names.has(poolName(path)));
}

/**
 * Paths of all pools of `dir`, sorted by name.
 *
 * @throws {PlasmiteError} NotFound, Permission or Io when the directory cannot be read
 */
export function filesIn(dir: string): string[] {
  try {
    return poolFiles(dir);
  } catch (error) {
    throw unreadableDir(error, dir);
  }
}

/** Describes one listed pool from a glance; null if it takes more. */
function glanced(path: string, storage: Storage, brief: boolean): PoolInfo | null {
  let file: StorageFile | null = null;
  try {
    file = storage.open(path, { write: false });
    const seen = glance(file, brief);
    return seen && glimpsed(poolName(path), path, seen, file.opened.mtimeMs);
  } catch (error) {
    // Opening it again says what is wrong: the same, or nothing any more.
    if (!PlasmiteError.is(error)) throw error;
    return null;
  } finally {
    file?.close();
  }
}

/** Describes one listed pool; null if it was deleted between listing and opening. */
export function* listed(
  path: string,
  storage: Storage = disk,
  brief = false,
): Steps<PoolInfo | null> {
  const name = poolName(path);
  try {
    const ring = yield* Ring.opening(storage, path);
    try {
      return yield* describing(ring, name, {
        opened: ring.openedState,
        mtimeMs: ring.openedMtimeMs,
        brief,
      });
    } finally {
      ring.close();
    }
  } catch (cause) {
    const error = osError(cause, { path });
    const problem = error.kind === ErrorKind.NotFound ? listedButMissing(path) : error;
    return problem === undefined ? null : unreadablePool(name, path, problem);
  }
}
