/**
 * Appends data that is given as JSON text.
 *
 * @module
 */

import { encodeValue } from "../lib/backend/encode.ts";
import { hidden, mayRead } from "../lib/backend/hidden.ts";
import type { Conditions, PoolHandle } from "../lib/backend/types.ts";
import { checkKey, tagsOf } from "../lib/coordination/names.ts";
import { stamp } from "../lib/client/options.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { isMissing } from "../lib/pool/unfinished.ts";
import { DEFAULT_POOL_SIZE, maxPayload, planLayout } from "../lib/pool/layout.ts";
import { envelopeOf } from "./envelope.ts";
import { ofArgument } from "./input.ts";
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
  readonly expect?: bigint | undefined;
  readonly key?: string | undefined;
  readonly id?: string | undefined;
}

/** What became of a message. */
export interface Appended {
  /** Its envelope as JSON text. */
  readonly message: string;
  /** Whether it was stored earlier. */
  readonly duplicate: boolean;
}

/**
 * Appends a message. A missing pool is reported before any
 * other mistake.
 */
export async function append(pools: GrantedPools, wanted: Append): Promise<Appended> {
  const { pool, data, create, expect, key, id } = wanted;
  pools.check("append", pool);
  const tags = tagsOf(wanted.tags, { key: checked(key, "key"), id: checked(id, "id") });
  const when = expect === undefined && id === undefined ? undefined : {
    ...(expect === undefined ? {} : { expect }),
    ...(key === undefined ? {} : { key }),
    ...(id === undefined ? {} : { ids: [id] }),
  };
  const batch = new FrameBatch();
  try {
    // JSON text keeps the order of keys and 64-bit integers.
    encodeValue(new TextEncoder().encode(data), tags, stamp())(batch);
  } catch (error) {
    if (!create) await requirePool(pools, pool);
    throw error;
  }
  try {
    return await store(pools, pool, batch, when);
  } catch (error) {
    // Only after this failure it is certain that nothing was stored.
    if (!create || !isMissing(error)) throw error;
  }
  checkFits(batch);
  await pools.make(pool);
  return await store(pools, pool, batch, when);
}

/**
 * Checks that a pool exists.
 *
 * @throws {PlasmiteError} NotFound, and other errors of opening it
 */
export async function requirePool(pools: GrantedPools, name: string): Promise<void> {
  await (await pools.open(name, { write: true })).close();
}

function checked(text: string | undefined, name: string): string | undefined {
  return text === undefined ? undefined : ofArgument(name, () => checkKey(text, name));
}

async function store(
  pools: GrantedPools,
  name: string,
  batch: FrameBatch,
  when: Conditions | undefined,
): Promise<Appended> {
  const pool = await pools.open(name, { write: true, unchecked: true });
  try {
    return await appendOne(pool, batch, when, mayRead(pools.grant, name));
  } catch (error) {
    throw hidden(error, pools.grant, name);
  } finally {
    await pool.close();
  }
}

async function appendOne(
  pool: PoolHandle,
  batch: FrameBatch,
  when: Conditions | undefined,
  reads: boolean,
): Promise<Appended> {
  let seq: bigint | undefined;
  let duplicate = false;
  await pool.append(batch, {
    flush: false,
    when,
    stored: (_from, _count, first) => seq = first,
    duplicate: (_frame, known) => {
      seq = known;
      duplicate = true;
    },
  });
  if (seq === undefined) throw new PlasmiteError("Internal", "append stored nothing");
  const found = duplicate && reads ? await pool.get(seq) : null;
  const given = { seq, timestampNs: batch.timeOf(0), payload: batch.payload(0) };
  return { message: envelopeOf(found ?? given), duplicate };
}

/** Refuses data that does not fit into a new pool, so that none is created in vain. */
function checkFits(batch: FrameBatch): void {
  if (batch.payloadOf(0) <= maxPayload(planLayout(DEFAULT_POOL_SIZE).ringSize)) return;
  throw new PlasmiteError("Usage", "payload exceeds ring capacity", {
    hint: "A new pool has 1 MiB. Make a larger one first with plasmite_pool_create and size.",
  });
}
