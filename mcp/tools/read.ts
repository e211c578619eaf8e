/**
 * `plasmite_read`.
 *
 * @module
 */

import { moreOf } from "../answer.ts";
import { BadArgument } from "../args.ts";
import { readBatch } from "../batch.ts";
import {
  count,
  latestBy,
  maxBytes,
  optionalSequence,
  optionalText,
  pool,
  since,
  tagFilter,
  where,
} from "../input.ts";
import { checkPosition, CURSOR_INPUT, withCursor } from "../place.ts";
import { BATCH, closed, field, maybe, TEXT, WHOLE } from "../schema.ts";
import { tool } from "../tool.ts";
import { counted } from "../words.ts";

/** The newest message of a key is one. Throws {@linkcode BadArgument}. */
function checkAlone(key: string | undefined, others: { readonly [name: string]: unknown }): void {
  if (key === undefined) return;
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined) throw new BadArgument(name, "not together with key");
  }
}

/** Reads existing messages. */
export const read = tool({
  name: "plasmite_read",
  title: "Read messages",
  description:
    "Read messages, oldest first: by default the latest 20. Use since for a time window, tags and where to filter, latest_by for the newest message per agent or tag, key for the newest of one key, cursor to go on where you stopped, and after_seq (advanced) to resume behind a known message. It does not wait; plasmite_wait does.",
  needs: "read",
  waits: false,
  hints: { readOnly: true, destructive: false, idempotent: true },
  input: {
    pool: pool(),
    count: count(),
    after_seq: optionalSequence(
      "Read the first messages behind this sequence number; pass the next_after_seq of the previous answer.",
    ),
    since: since(),
    tags: tagFilter(),
    where: where(),
    latest_by: latestBy(),
    key: optionalText("Only the newest message with this key."),
    ...CURSOR_INPUT,
    max_bytes: maxBytes(),
  },
  pool: "pool",
  missing: "call plasmite_pool_list to see what exists.",
  output: {
    ...BATCH,
    latest: maybe({ type: "array", items: closed({ key: field(TEXT), seq: field(WHOLE) }) }),
  },
  run: async (values, { pools, signal }) => {
    const { pool: name, count, after_seq: after, since, tags, latest_by: latest } = values;
    const { key, max_bytes: maxBytes } = values;
    checkPosition(values, { after_seq: after, since, latest_by: latest, key });
    checkAlone(key, { after_seq: after, latest_by: latest });
    const condition = await values.where();
    const pool = await pools.open(name);
    try {
      const wanted = { count, maxBytes, after, since, tags, latest, condition, key };
      const batch = values.cursor === undefined
        ? await readBatch(pool, wanted, signal)
        : await withCursor(
          pool,
          pools,
          values,
          (after) => readBatch(pool, { ...wanted, after }, signal),
        );
      const start = `${counted(batch.messages.length, "message")} from ${name}.`;
      return {
        summary: [start, ...moreOf(batch, values.cursor === undefined ? "after_seq" : "ack_seq")]
          .join(" "),
        result: { ...batch },
      };
    } finally {
      await pool.close();
    }
  },
});
