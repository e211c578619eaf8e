/**
 * A pool on disk for tests of coordination.
 *
 * @module
 */

import "../support/environment.ts";
import * as coordination from "../../lib/backend/local/coordinator.ts";
import type { Coordinator } from "../../lib/backend/local/coordinator.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { frames, storeAll } from "../support/coordinated.ts";
import { withDir } from "../support/processes.ts";

/** A pool, open, and its directory. */
export interface Place {
  readonly backend: LocalBackend;
  readonly path: string;
  readonly pool: LocalPool;
  readonly coordinator: Coordinator;
  /** Opens it once more. */
  open(): LocalPool;
  /** Appends messages `{"n":1}`, `{"n":2}` and so on. */
  put(count: number, tags?: (n: number) => string[]): Promise<void>;
}

/** Runs a test with a new pool. */
export async function withPool(
  work: (place: Place) => Promise<void>,
  sizeBytes = 1 << 20,
): Promise<void> {
  await withDir(async (dir) => {
    const backend = new LocalBackend(dir, { coordination });
    await backend.create("p", { sizeBytes });
    const pools: LocalPool[] = [];
    const open = (): LocalPool => {
      const pool = backend.open("p", { write: true }) as LocalPool;
      pools.push(pool);
      return pool;
    };
    const pool = open();
    let total = 0;
    const put = async (count: number, tags: (n: number) => string[] = () => []): Promise<void> => {
      const messages = Array.from({ length: count }, () => [{ n: ++total }, tags(total)] as const);
      await storeAll(pool, frames(...messages), undefined);
    };
    const path = `${dir}/p.plasmite`;
    try {
      await work({ backend, path, pool, coordinator: await pool.coordinate(), open, put });
    } finally {
      for (const one of pools) one.close();
    }
  });
}

/** Runs `work` while something happens between opening a file and the first attempt to lock it. */
export async function beforeLock(happens: () => void, work: () => unknown): Promise<void> {
  const { prototype } = Deno.FsFile;
  const { tryLockSync } = prototype;
  prototype.tryLockSync = function (exclusive?: boolean): boolean {
    prototype.tryLockSync = tryLockSync;
    happens();
    return tryLockSync.call(this, exclusive);
  };
  try {
    await work();
  } finally {
    prototype.tryLockSync = tryLockSync;
  }
}
