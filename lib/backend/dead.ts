/**
 * Dead pools: the destination of messages that were tried too often (docs/spec/coordination.md 2
 * and 13.6).
 *
 * @module
 */

import { tagsOf } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import type { Awaitable } from "../types.ts";
import { poolName } from "./refs.ts";
import { addRetagged } from "./retag.ts";
import type { OpenOptions, PoolHandle, StoredFrame } from "./types.ts";

/** How many times a task or a message is tried by default. */
export const MAX_TRIES = 5;

const SUFFIX = ".plasmite";

/** The name of a pool's dead pool. */
export function deadName(pool: string): string {
  return pool.endsWith(SUFFIX) ? `${pool.slice(0, -SUFFIX.length)}.dead${SUFFIX}` : `${pool}.dead`;
}

/**
 * Checks that a pool is not its own dead pool: what was tried too often would come back as new work.
 *
 * @param pool the name by which it was opened
 * @throws {PlasmiteError} Usage
 */
export function checkDead(pool: string, dead: string | undefined): void {
  if (dead === undefined || dead.includes("/") || poolName(dead) !== poolName(pool)) return;
  throw new PlasmiteError("Usage", "A pool cannot be its own dead pool", {
    path: pool,
    hint: "What was tried too often would come back as new work: name another pool.",
  });
}

/** A pool that needs a dead pool. */
export interface HasDeadPool {
  /** The name by which the pool was opened. */
  readonly name: string;
  /** Size of its file in bytes. */
  sizeBytes(): Awaitable<number>;
  /** Opens another pool of the same backend. */
  open(name: string, options: OpenOptions): Awaitable<PoolHandle>;
}

/**
 * Opens the dead pool of a pool.
 *
 * @param dead its name; default {@linkcode deadName}
 * @param create whether to create a missing one, of the same size as the pool
 */
export async function openDead(
  pool: HasDeadPool,
  dead: string = deadName(pool.name),
  create = true,
): Promise<PoolHandle> {
  checkDead(pool.name, dead);
  if (!create) return await pool.open(dead, { write: true });
  const sizeBytes = await pool.sizeBytes();
  return await pool.open(dead, { write: true, create: { sizeBytes } });
}

/**
 * Copies a message into a dead pool. The copy has an id, so repeated calls store it only once.
 *
 * @param reader the cursor or group that gives up on the message
 * @throws {PlasmiteError} the errors of an append
 */
export async function copyToDead(
  message: StoredFrame,
  reader: string,
  dead: PoolHandle,
): Promise<void> {
  const { payload, seq, timestampNs } = message;
  // The time prevents collisions with an earlier pool of the same name.
  const id = `dead:${reader}:${timestampNs}:${seq}`;
  const batch = new FrameBatch(2 * payload.length);
  const now = Temporal.Now.instant().epochNanoseconds;
  addRetagged(batch, payload, (tags) => tagsOf([...tags, `dead:${seq}`], { id }), {
    lo: Number(now & 0xffff_ffffn),
    hi: Number(now >> 32n),
  });
  await dead.append(batch, { flush: false, when: { ids: [id] }, stored: () => {} });
}

/**
 * Opens the dead pool of a pool and copies a message into it, see {@linkcode openDead} and {@linkcode
 * copyToDead}.
 */
export async function bury(
  from: HasDeadPool,
  message: StoredFrame,
  reader: string,
  dead?: string,
  create?: boolean,
): Promise<void> {
  const pool = await openDead(from, dead, create);
  try {
    await copyToDead(message, reader, pool);
  } finally {
    await pool.close();
  }
}
