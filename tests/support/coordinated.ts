/**
 * Conditional appends in one line, for tests and their helper processes.
 *
 * @module
 */

import { messageFromValue } from "../../lib/lite3/from_value.ts";
import type { AppendRequest, Conditions, PoolHandle } from "../../lib/backend/types.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";

/** A batch of messages with their tags. */
export function frames(...messages: readonly (readonly [object, readonly string[]])[]): FrameBatch {
  const batch = new FrameBatch();
  for (const [data, tags] of messages) {
    const now = Temporal.Now.instant().epochNanoseconds;
    batch.beginFrame();
    messageFromValue(batch.encoder, data, tags);
    batch.endFrame(Number(now & 0xffff_ffffn), Number(now >> 32n));
  }
  return batch;
}

/** What became of one message. */
export interface Stored {
  readonly seq: bigint;
  readonly duplicate: boolean;
}

/** Appends a batch and tells, for each message, its number and whether it was there already. */
export async function storeAll(
  pool: PoolHandle,
  batch: FrameBatch,
  when: Conditions | undefined,
  more: Partial<AppendRequest> = {},
): Promise<Stored[]> {
  const results: Stored[] = [];
  await pool.append(batch, {
    flush: false,
    when,
    stored: (from, count, first) => {
      for (let i = 0; i < count; i++) {
        results[from + i] = { seq: first + BigInt(i), duplicate: false };
      }
    },
    duplicate: (frame, seq) => results[frame] = { seq, duplicate: true },
    ...more,
  });
  return results;
}

/** Appends one message under conditions. */
export async function storeWhen(
  pool: PoolHandle,
  data: object,
  tags: string[],
  when?: Conditions,
): Promise<Stored> {
  const [one] = await storeAll(pool, frames([data, tags]), when);
  if (one === undefined) throw new Error("nothing is told of the message");
  return one;
}

/** Prints a line, whole. */
export function say(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let done = 0; done < bytes.length;) done += Deno.stdout.writeSync(bytes.subarray(done));
}
