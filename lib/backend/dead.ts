/**
 * Dead pools: where messages go that were tried too often (docs/spec/coordination.md 2 and 13.6).
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { tagsOf } from "../coordination/names.ts";
import { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { FrameBatch } from "../pool/batch.ts";
import type { Awaitable } from "../types.ts";
import type { OpenOptions, PoolHandle, StoredFrame } from "./types.ts";

const SUFFIX = ".plasmite";

/** The name of a pool's dead pool. */
export function deadName(pool: string): string {
  return pool.endsWith(SUFFIX) ? `${pool.slice(0, -SUFFIX.length)}.dead${SUFFIX}` : `${pool}.dead`;
}

/** A pool that needs a dead pool. */
export interface Mortal {
  /** The name that the pool was opened by. */
  readonly name: string;
  /** Size of its file in bytes. */
  readonly sizeBytes: number;
  /** Opens another pool of the same backend. */
  open(name: string, options: OpenOptions): Awaitable<PoolHandle>;
}

/**
 * Opens the dead pool of a pool.
 *
 * @param dead its name; default {@linkcode deadName}
 * @param create whether to create a missing one, of the same size as the pool
 */
export function openDead(
  pool: Mortal,
  dead: string = deadName(pool.name),
  create = true,
): Awaitable<PoolHandle> {
  const { sizeBytes } = pool;
  return pool.open(dead, { write: true, ...(create ? { create: { sizeBytes } } : {}) });
}

/**
 * Copies a message into a dead pool, once however often it is called: it gets an id.
 *
 * @param reader the cursor or group that gives the message up
 * @throws {PlasmiteError} as an append
 */
export async function copyToDead(
  message: StoredFrame,
  reader: string,
  dead: PoolHandle,
): Promise<void> {
  const { payload, seq, timestampNs } = message;
  const view = new MessageView();
  view.open(payload, new DataView(payload.buffer, payload.byteOffset), 0, payload.length);
  // The time keeps a second pool of the same name from colliding with the first.
  const id = `dead:${reader}:${timestampNs}:${seq}`;
  const text = new Buf(2 * payload.length);
  printJson(view.doc, view.dataAt, text);
  const json = text.bytes();
  const batch = new FrameBatch(2 * payload.length);
  batch.beginFrame();
  const tags = tagsOf([...view.tags(), `dead:${seq}`], { id });
  batch.encoder.messageFromJson(json, 0, json.length, tags);
  const now = Temporal.Now.instant().epochNanoseconds;
  batch.endFrame(Number(now & 0xffff_ffffn), Number(now >> 32n));
  await dead.append(batch, { flush: false, when: { ids: [id] }, stored: () => {} });
}
