/**
 * Appending to pools of servers: options in, messages as stored out.
 *
 * @module
 */

import type { PoolHandle } from "../backend/types.ts";
import { type IntegerPolicy, Message } from "../client/message.ts";
import { type AppendOptions, checkDurability, checkTags, stamp } from "../client/options.ts";
import { checkAppend } from "../client/option_kinds.ts";
import { PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";

/** Checked options of an append to a server. */
export interface AppendSettings {
  readonly tags: readonly string[];
  readonly flush: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of an append. Throws Usage, for an explicit time too. */
export function appendSettings(options: AppendOptions | undefined): AppendSettings {
  const { tags, durability, timestampNs, signal } = checkAppend(options);
  if (timestampNs !== undefined) {
    stamp(timestampNs);
    throw new PlasmiteError("Usage", "remote append does not support timestampNs", {
      hint: "The server's clock is used; put your own time into the data.",
    });
  }
  return { tags: checkTags(tags), flush: checkDurability(durability), signal };
}

/** Stores what `encode` adds to a batch; returns the messages as stored. */
export async function appendEncoded<T extends object>(
  pool: PoolHandle,
  encode: (batch: FrameBatch) => void,
  { flush, signal }: Omit<AppendSettings, "tags">,
  integers: IntegerPolicy,
): Promise<Message<T>[]> {
  const batch = new FrameBatch();
  encode(batch);
  const messages: Message<T>[] = [];
  const stored = (from: number, count: number, first: bigint): void => {
    for (let i = 0; i < count; i++) {
      const at = from + i;
      const payload = batch.payload(at).slice();
      messages.push(
        new Message<T>(first + BigInt(i), batch.timeOf(at), { payload, integers }),
      );
    }
  };
  await pool.append(batch, { flush, signal, stored });
  return messages;
}
