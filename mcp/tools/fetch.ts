/**
 * `plasmite_fetch`.
 *
 * @module
 */

import type { PoolHandle } from "../../lib/backend/types.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { envelopeOf } from "../envelope.ts";
import { ofArgument, optionalMaxBytes, path, pool, sequence } from "../input.ts";
import { part } from "../one.ts";
import { retained } from "../scan.ts";
import { CUT, field, maybe, MESSAGE, TEXT } from "../schema.ts";
import { tool } from "../tool.ts";

async function notRetained(pool: PoolHandle, seq: bigint): Promise<PlasmiteError> {
  const { oldest, newest } = retained(await pool.bounds());
  const range = oldest === 0n ? "the pool is empty" : `${oldest} to ${newest} are retained`;
  return new PlasmiteError("NotFound", "message not found", {
    seq,
    hint: `In ${pool.name} ${range}; call plasmite_read to see that range.`,
  });
}

/** Reads one message, or a part of it. */
export const fetch = tool({
  name: "plasmite_fetch",
  title: "Get one message",
  description:
    "Get one retained message by its sequence number: whole, or the part of its data that path leads to. To look around use plasmite_read.",
  needs: "read",
  waits: false,
  hints: { readOnly: true, destructive: false, idempotent: true },
  input: {
    pool: pool(),
    seq: sequence("Sequence number of the message."),
    path: path(
      'Only this part of the data, such as .data.log or .data.items[0]["odd name"]; the answer has it as the data of the message.',
    ),
    max_bytes: optionalMaxBytes(),
  },
  pool: "pool",
  missing: "call plasmite_pool_list to see what exists.",
  output: {
    message: field(MESSAGE),
    path: maybe(TEXT),
    cut: maybe(CUT),
    note: maybe(TEXT),
  },
  run: async ({ pool: name, seq, path, max_bytes: maxBytes }, { pools }) => {
    const pool = await pools.open(name, { unchecked: true });
    let message: string;
    try {
      const frame = await pool.get(seq);
      if (frame === null) throw await notRetained(pool, seq);
      message = envelopeOf(frame);
    } finally {
      await pool.close();
    }
    const one = ofArgument("path", () => part(message, { path, maxBytes }));
    const summary = path === undefined
      ? `Message ${seq} of ${name}.`
      : `${path.given} of message ${seq} of ${name}, as data.`;
    return {
      summary: one.note === undefined ? summary : `${summary} ${one.note}`,
      result: { ...one },
    };
  },
});
