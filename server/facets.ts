/**
 * The tags and the most frequent values of every field of a pool (docs/spec/http-api.md 3). Up to
 * some ten thousand messages all are counted; of more, stretches that are spread evenly.
 *
 * @module
 */

import type { PoolHandle, Selection } from "../lib/backend/types.ts";
import { Slice } from "../lib/storage/turns.ts";
import { readStretch } from "./stretches.ts";
import { FieldCounter, type TopValues } from "./top_values.ts";

/** Of more messages than this not all are counted. */
const ALL = 50_000n;
/** How many stretches are counted then, */
const STRETCHES = 50n;
/** and how many messages of each. */
const STRETCH = ALL / STRETCHES;
/** How many values of a field are told. */
const MOST = 50;
/** How many tags are told. */
const MOST_TAGS = 200;

/** What to count. */
export interface FacetsQuery {
  /** Tags, time and conditions. */
  readonly filter: Pick<Selection, "tags" | "since" | "where">;
  /** The latest time of a message in nanoseconds since 1970; null for no limit. */
  readonly before: bigint | null;
}

/** The answer as JSON text. */
export async function facetsJson(
  pool: PoolHandle,
  { filter, before }: FacetsQuery,
  signal: AbortSignal,
): Promise<string> {
  const { oldest, newest } = await pool.bounds();
  const retained = oldest === 0n ? 0n : newest - oldest + 1n;
  const counter = new FieldCounter();
  let counted = 0;
  const slice = new Slice();
  for (const [from, until] of stretches(oldest, retained)) {
    await readStretch(
      pool,
      {
        from,
        until,
        filter,
        each: ({ message }) => {
          if (before !== null && message.timestampNs > before) return true;
          counted++;
          counter.add(message);
          return false;
        },
      },
      slice,
      signal,
    );
    signal.throwIfAborted();
  }
  const part = retained > ALL ? Number(ALL) / Number(retained) : 1;
  const fields = counter.fields.map(({ path, values }) =>
    `{"path":${JSON.stringify(path)},${facet(values, MOST)}}`
  );
  return `{"retained":${retained},"counted":${counted},"part":${part},` +
    `"tags":{${facet(counter.tags, MOST_TAGS)}},"fields":[${fields.join(",")}]}`;
}

/** The numbers to read, from and to. */
function stretches(oldest: bigint, retained: bigint): [bigint, bigint][] {
  if (retained === 0n) return [];
  if (retained <= ALL) return [[oldest, oldest + retained - 1n]];
  return Array.from({ length: Number(STRETCHES) }, (_, i): [bigint, bigint] => {
    const from = oldest + (retained - STRETCH) * BigInt(i) / (STRETCHES - 1n);
    return [from, from + STRETCH - 1n];
  });
}

function facet(values: TopValues, most: number): string {
  const top = values.top(most).map(([value, count]) => `{"value":${value},"count":${count}}`);
  return `"count":${values.total},"exact":${values.isExact},"values":[${top.join(",")}]`;
}
