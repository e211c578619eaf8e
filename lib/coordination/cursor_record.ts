/**
 * The record of a cursor: the position of its reader and the pool (docs/spec/coordination.md 2).
 *
 * @module
 */

/** The position of one reader. */
export interface CursorRecord {
  /** The number of writes; of two valid slots the one with the higher number is current. */
  readonly gen: number;
  /** Identity of the pool as 32 hex digits; empty if the pool has none. */
  readonly pool: string;
  /** Everything up to this sequence number is done. */
  readonly seq: bigint;
  /** Time of message `seq` in nanoseconds since 1970; 0 if unknown. */
  readonly ns: bigint;
  /** The sequence number after which the cursor started. */
  readonly first: bigint;
  /** When it was written, RFC 3339. */
  readonly acked: string;
  /** The process that wrote it. */
  readonly pid: number;
  /** The machine on which it ran; empty without permission to read it. */
  readonly host: string;
}

/** The longest machine name stored, in UTF-16 units: a slot has 512 bytes. */
const LONGEST_HOST = 64;

/** The record as JSON text. */
export function printCursor(record: CursorRecord): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify({
    v: 1,
    gen: record.gen,
    pool: record.pool,
    seq: String(record.seq),
    ns: String(record.ns),
    first: String(record.first),
    acked: record.acked,
    pid: record.pid,
    host: record.host.slice(0, LONGEST_HOST),
  }));
}

/** The kind of file that a record belongs to; null if it is neither. */
export function versionOf(json: string): 1 | 2 | null {
  const value = parseObject(json);
  return value?.["v"] === 1 ? 1 : value?.["v"] === 2 ? 2 : null;
}

/** Parses a record; null if it is not one of version 1. */
export function parseCursor(json: string): CursorRecord | null {
  const value = parseObject(json);
  if (value?.["v"] !== 1) return null;
  const { gen, pool, seq, ns, first, acked, pid, host } = value as Record<string, unknown>;
  const numbers = [seq, ns, first ?? "0"].map(u64);
  const [at, time, began] = numbers;
  if (typeof gen !== "number" || !Number.isSafeInteger(gen) || gen < 0) return null;
  if (typeof pool !== "string" || !/^(?:[0-9a-f]{32})?$/.test(pool)) return null;
  if (at === undefined || at === null || time === undefined || time === null) return null;
  return {
    gen,
    pool,
    seq: at,
    ns: time,
    first: began ?? 0n,
    acked: typeof acked === "string" ? acked : "",
    pid: typeof pid === "number" && Number.isSafeInteger(pid) ? pid : 0,
    host: typeof host === "string" ? host : "",
  };
}

/** A JSON object, or null. */
export function parseObject(json: string): { readonly [key: string]: unknown } | null {
  try {
    const value: unknown = JSON.parse(json);
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? value as { readonly [key: string]: unknown }
      : null;
  } catch {
    return null;
  }
}

/** An unsigned 64-bit number from its decimal digits; null for anything else. */
export function u64(text: unknown): bigint | null {
  if (typeof text !== "string" || !/^\d{1,20}$/.test(text)) return null;
  const value = BigInt(text);
  return value <= 0xffff_ffff_ffff_ffffn ? value : null;
}
