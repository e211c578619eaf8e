/**
 * Reading with a named cursor: its position decides where to start, and moves when the caller says
 * what is done (docs/spec/coordination.md 2 and 13.5). The cursor is locked for one call.
 *
 * @module
 */

import type { Cursor } from "../lib/backend/coordination.ts";
import type { PoolHandle } from "../lib/backend/types.ts";
import type { Batch } from "./answer.ts";
import { BadArgument } from "./args.ts";
import { type Argument, optionalSequence, optionalText } from "./input.ts";
import { seqOf } from "./envelope.ts";
import type { GrantedPools } from "./pools.ts";

/** The arguments of a cursor. */
export const CURSOR_INPUT: {
  readonly cursor: Argument<string | undefined>;
  readonly ack_seq: Argument<bigint | undefined>;
} = {
  cursor: optionalText(
    "Name of a cursor: read on behind its position, which the pool remembers for you also when you are started again. A new one begins with the oldest message. What you do not acknowledge comes again.",
  ),
  ack_seq: optionalSequence(
    "With cursor: first acknowledge everything up to this number. Pass next_after_seq of the previous answer once you have dealt with its messages.",
  ),
};

/** The cursor of a call. */
export interface Position {
  readonly cursor?: string | undefined;
  readonly ack_seq?: bigint | undefined;
}

/**
 * Checks that the arguments fit together.
 *
 * @param others arguments that do not go with a cursor, by name
 * @throws {BadArgument}
 */
export function checkPosition(
  { cursor, ack_seq: ack }: Position,
  others: { readonly [name: string]: unknown },
): void {
  if (cursor === undefined) {
    if (ack === undefined) return;
    throw new BadArgument("ack_seq", "only with cursor, whose position it moves");
  }
  for (const [name, value] of Object.entries(others)) {
    if (value === undefined) continue;
    throw new BadArgument(name, "not together with cursor, whose position decides");
  }
}

/**
 * Reads behind the position of a cursor, which then moves over what does not match.
 *
 * @param read reads messages after a number
 * @throws {PlasmiteError} Permission without the right to append, as moving a cursor is seen by
 *   others; Busy while another uses it; NotFound if the pool was replaced
 */
export async function withCursor(
  pool: PoolHandle,
  pools: GrantedPools,
  { cursor: name = "", ack_seq: ack }: Position,
  read: (after: bigint) => Promise<Batch>,
): Promise<Batch> {
  pools.check("append", pool.name);
  const cursor = await (await pool.coordinate()).cursor(name);
  try {
    if (ack !== undefined && ack > cursor.seq) await acknowledge(pool, cursor, ack);
    const batch = await read(cursor.seq);
    // Up to the first match, or to the end, there is nothing to acknowledge.
    const [first] = batch.messages;
    const before = first === undefined
      ? (batch.next_after_seq ?? cursor.seq) + 1n
      : seqOf(first.text);
    await cursor.pass(before);
    return batch;
  } finally {
    await cursor.close();
  }
}

async function acknowledge(pool: PoolHandle, cursor: Cursor, seq: bigint): Promise<void> {
  const { newest } = await pool.bounds();
  if (seq > newest) {
    throw new BadArgument("ack_seq", `expected at most ${newest}, the newest message, got ${seq}`);
  }
  const message = await pool.get(seq);
  cursor.deliver(seq, message?.timestampNs ?? 0n);
  await cursor.ack(seq);
}
