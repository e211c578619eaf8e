/**
 * `plasmite_wait`.
 *
 * @module
 */

import { type Batch, moreOf } from "../answer.ts";
import { timeout, waitUntil } from "../deadline.ts";
import { count, maxBytes, optionalSequence, pool, tagFilter, where } from "../input.ts";
import { BATCH, field, FLAG } from "../schema.ts";
import type { Condition } from "../selection.ts";
import { checkPosition, CURSOR_INPUT, withCursor } from "../place.ts";
import { tool } from "../tool.ts";
import { type Awaited, awaitPool, missing, type Until, waitBatch } from "../wait.ts";
import { counted } from "../words.ts";

/**
 * Compiles the condition while the pool is being opened, so that a wait for future messages starts
 * as early as possible. An invalid condition is reported at once, even while waiting for the pool.
 */
async function together(
  compile: () => Promise<Condition | undefined>,
  open: (signal: AbortSignal) => Promise<Awaited>,
  signal: AbortSignal,
): Promise<Awaited & { readonly condition: Condition | undefined }> {
  const bad = new AbortController();
  const opening = open(AbortSignal.any([signal, bad.signal]));
  let condition: Condition | undefined;
  try {
    condition = await compile();
  } catch (error) {
    bad.abort();
    opening.then(({ pool }) => pool?.close(), () => {});
    throw error;
  }
  return { ...await opening, condition };
}

function waited(name: string, batch: Batch, position: string): string {
  const { messages, timed_out, cursor_ahead, next_after_seq } = batch;
  const parts: string[] = [];
  if (timed_out !== true) parts.push(`${counted(messages.length, "message")} from ${name}.`);
  else if (cursor_ahead !== true) {
    parts.push(
      `Nothing arrived in ${name} in time; wait again with ${position} ${next_after_seq}.`,
    );
  }
  return [...parts, ...moreOf(batch, position)].join(" ");
}

/** Waits for messages. */
export const wait = tool({
  name: "plasmite_wait",
  title: "Wait for messages",
  description:
    "Wait for messages: returns as soon as at least one matches, or with timed_out true. Omit after_seq to wait for future messages only; in a loop pass the previous next_after_seq, or use a cursor.",
  needs: "read",
  waits: true,
  hints: { readOnly: true, destructive: false, idempotent: true },
  input: {
    pool: pool(),
    after_seq: optionalSequence(
      "Messages behind this sequence number count, those already there too.",
    ),
    count: count("; it does not wait for so many."),
    timeout_ms: timeout(10_000, "the answer is timed_out true in any case; wait again."),
    tags: tagFilter(),
    where: where(),
    ...CURSOR_INPUT,
    max_bytes: maxBytes(),
  },
  pool: "pool",
  missing: "call plasmite_pool_list to see what exists.",
  output: { ...BATCH, timed_out: field(FLAG) },
  run: async (values, context) => {
    const { pool: name, after_seq, count, tags, max_bytes: maxBytes } = values;
    const { pools, signal, ending } = context;
    checkPosition(values, { after_seq });
    const until: Until = { deadline: waitUntil(values.timeout_ms, context), signal, ending };
    const { pool, after, condition } = await together(
      values.where,
      (signal) => awaitPool(pools, name, after_seq, { ...until, signal }),
      signal,
    );
    if (pool === undefined) return answer(missing(name, after), ({ note = "" }) => note);
    try {
      const wanted = { count, maxBytes, tags, condition };
      const read = (after: bigint): Promise<Batch> => waitBatch(pool, { ...wanted, after }, until);
      const batch = values.cursor === undefined
        ? await read(after)
        : await withCursor(pool, pools, values, read);
      const position = values.cursor === undefined ? "after_seq" : "ack_seq";
      return answer(batch, (batch) => waited(name, batch, position));
    } finally {
      await pool.close();
    }
  },
});

function answer(batch: Batch, summary: (batch: Batch) => string) {
  return { summary: summary(batch), result: { ...batch, timed_out: batch.timed_out === true } };
}
