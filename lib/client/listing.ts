/**
 * What pools say of themselves: one by its path ({@linkcode readingInfo}), or all of a directory
 * ({@linkcode listing}). Steps for `inPlace`, or for `inTurns` in a process that serves others.
 *
 * @module
 */

import { ErrorKind } from "../errors.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { osError } from "../storage/os_error.ts";
import type { Steps } from "../storage/turns.ts";
import { describing, type PoolInfo, unreadablePool } from "./info.ts";
import { listedButMissing, poolFiles, poolName } from "./refs.ts";

/**
 * Describes the pool at `path`; needs read permission only.
 *
 * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
 */
export function* readingInfo(path: string, name: string): Steps<PoolInfo> {
  const ring = yield* Ring.opening(disk, path, { write: false });
  try {
    return yield* describing(ring, name);
  } finally {
    ring.close();
  }
}

/**
 * All pools of `dir`, sorted by name; one that cannot be opened carries `error`.
 *
 * @throws {PlasmiteError} NotFound, Permission or Io when the directory cannot be read
 */
export function* listing(dir: string): Steps<PoolInfo[]> {
  let files: string[];
  try {
    files = poolFiles(dir);
  } catch (error) {
    throw osError(error, { path: dir }, "failed to read pool directory");
  }
  const pools: PoolInfo[] = [];
  for (const path of files) {
    const name = poolName(path);
    try {
      const mtimeMs = Deno.statSync(path).mtime?.getTime() ?? null;
      pools.push({ ...yield* readingInfo(path, name), mtimeMs });
    } catch (cause) {
      const error = osError(cause, { path });
      const problem = error.kind === ErrorKind.NotFound ? listedButMissing(path) : error;
      if (problem !== undefined) pools.push(unreadablePool(name, path, problem));
    }
    yield "more";
  }
  return pools;
}
