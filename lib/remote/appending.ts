/**
 * Appending to pools of servers: options in, messages as stored out.
 *
 * @module
 */

import type { PoolHandle } from "../backend/types.ts";
import { type Appending, appendingAll, appendingOne, collecting } from "../client/conditional.ts";
import { type IntegerPolicy, Message } from "../client/message.ts";
import { checkAppend, checkBatch } from "../client/option_kinds.ts";
import { type AppendOptions, type BatchOptions, stamp } from "../client/options.ts";
import { PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";

function refuseTime(timestampNs: bigint | undefined): void {
  if (timestampNs === undefined) return;
  stamp(timestampNs);
  throw new PlasmiteError("Usage", "remote append does not support timestampNs", {
    hint: "The server's clock is used; put your own time into the data.",
  });
}

/** An append of one message. Throws Usage, for an explicit time too. */
export function remoteOne(data: unknown, options: AppendOptions | undefined): Appending {
  const checked = checkAppend(options);
  refuseTime(checked.timestampNs);
  return appendingOne(data, checked);
}

/** An append of several messages. Throws Usage, for an explicit time too. */
export function remoteAll(
  items: readonly unknown[],
  options: BatchOptions | undefined,
): Appending {
  const checked = checkBatch(options);
  refuseTime(checked.timestampNs);
  return appendingAll(items, checked);
}

/** Stores messages; returns them as stored. */
export async function appendRemote<T extends object>(
  pool: PoolHandle,
  { encode, ...rest }: Appending,
  integers: IntegerPolicy,
): Promise<Message<T>[]> {
  const batch = new FrameBatch();
  encode(batch);
  const { appended, ...report } = collecting(batch);
  await pool.append(batch, { ...rest, ...report });
  return appended.map(({ seq, timestampNs, payload, duplicate }) =>
    new Message<T>(seq, timestampNs, { payload, integers, duplicate })
  );
}
