/**
 * Appending what a caller gave as JSON text.
 *
 * @module
 */

import { encodeValue } from "../lib/backend/encode.ts";
import type { PoolHandle } from "../lib/backend/types.ts";
import { stamp } from "../lib/client/options.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { isMissing } from "../lib/pool/unfinished.ts";
import { DEFAULT_POOL_SIZE, maxPayload, planLayout } from "../lib/pool/layout.ts";
import { envelopeOf } from "./envelope.ts";
import type { GrantedPools } from "./pools.ts";

/** What is to be appended, and where. */
export interface Append {
  /** The pool. */
  readonly pool: string;
  /** The data as JSON text. */
  readonly data: string;
  readonly tags: readonly string[];
  /** Whether to make a missing pool, once the data is known to be storable. */
  readonly create: boolean;
}

/**
 * Appends a message and returns its envelope as JSON text. Of two mistakes a missing pool is told
 * first.
 */
export async function append(pools: GrantedPools, wanted: Append): Promise<string> {
  const { pool, data, tags, create } = wanted;
  pools.check("append", pool);
  const batch = new FrameBatch();
  try {
    // Bytes are taken as JSON text, which keeps key order and 64-bit integers.
    encodeValue(new TextEncoder().encode(data), tags, stamp())(batch);
  } catch (error) {
    if (!create) await requirePool(pools, pool);
    throw error;
  }
  try {
    return await store(pools, pool, batch);
  } catch (error) {
    // A missing pool is the one failure after which nothing can have been stored.
    if (!create || !isMissing(error)) throw error;
  }
  checkFits(batch);
  try {
    await pools.create(pool);
  } catch (error) {
    // Somebody else made it at the same moment: then it is there to open.
    if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
  }
  return await store(pools, pool, batch);
}

/**
 * Makes sure that a pool is there to be appended to.
 *
 * @throws {PlasmiteError} NotFound and what else opening throws
 */
export async function requirePool(pools: GrantedPools, name: string): Promise<void> {
  await (await pools.open(name, { write: true })).close();
}

async function store(pools: GrantedPools, name: string, batch: FrameBatch): Promise<string> {
  const pool = await pools.open(name, { write: true, unchecked: true });
  try {
    return await appendOne(pool, batch);
  } finally {
    await pool.close();
  }
}

async function appendOne(pool: PoolHandle, batch: FrameBatch): Promise<string> {
  let seq: bigint | undefined;
  await pool.append(batch, { flush: false, stored: (_from, _count, first) => seq = first });
  if (seq === undefined) throw new PlasmiteError("Internal", "append stored nothing");
  return envelopeOf({ seq, timestampNs: batch.timeOf(0), payload: batch.payload(0) });
}

/** Refuses data that no new pool could take, so that none is left behind for nothing. */
function checkFits(batch: FrameBatch): void {
  if (batch.payloadOf(0) <= maxPayload(planLayout(DEFAULT_POOL_SIZE).ringSize)) return;
  throw new PlasmiteError("Usage", "payload exceeds ring capacity", {
    hint: "A new pool has 1 MiB. Make a larger one first with plasmite_pool_create and size.",
  });
}
