/**
 * Appends data that is given as JSON text.
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

/** A message to append. */
export interface Append {
  /** The pool. */
  readonly pool: string;
  /** The data as JSON text. */
  readonly data: string;
  readonly tags: readonly string[];
  /** Whether to create a missing pool, if the data can be stored. */
  readonly create: boolean;
}

/**
 * Appends a message and returns its envelope as JSON text. A missing pool is reported before any
 * other mistake.
 */
export async function append(pools: GrantedPools, wanted: Append): Promise<string> {
  const { pool, data, tags, create } = wanted;
  pools.check("append", pool);
  const batch = new FrameBatch();
  try {
    // JSON text keeps the order of keys and 64-bit integers.
    encodeValue(new TextEncoder().encode(data), tags, stamp())(batch);
  } catch (error) {
    if (!create) await requirePool(pools, pool);
    throw error;
  }
  try {
    return await store(pools, pool, batch);
  } catch (error) {
    // Only after this failure it is certain that nothing was stored.
    if (!create || !isMissing(error)) throw error;
  }
  checkFits(batch);
  try {
    await pools.create(pool);
  } catch (error) {
    // Another process created it at the same time: use that one.
    if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
  }
  return await store(pools, pool, batch);
}

/**
 * Checks that a pool exists.
 *
 * @throws {PlasmiteError} NotFound, and other errors of opening it
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

/** Refuses data that does not fit into a new pool, so that none is created in vain. */
function checkFits(batch: FrameBatch): void {
  if (batch.payloadOf(0) <= maxPayload(planLayout(DEFAULT_POOL_SIZE).ringSize)) return;
  throw new PlasmiteError("Usage", "payload exceeds ring capacity", {
    hint: "A new pool has 1 MiB. Make a larger one first with plasmite_pool_create and size.",
  });
}
