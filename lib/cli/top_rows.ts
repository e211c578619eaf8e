/**
 * What `top` knows of each pool: numbers, cursors, claims, and how many messages arrive.
 *
 * @module
 */

import { advance } from "../backend/advance.ts";
import { type LiveClaim, liveClaims } from "../backend/claims.ts";
import type { CursorInfo } from "../backend/coordination.ts";
import type { PoolInfo } from "../backend/local/info.ts";
import type { Backend, PoolHandle } from "../backend/types.ts";
import type { PlasmiteError } from "../errors.ts";
import { nowNs } from "../text/time.ts";
import { asPlasmiteError } from "./report.ts";

/** The span that rates are measured over, in milliseconds. */
const SPAN = 10_000;
/** How many rates a row remembers. */
const HISTORY = 24;
/** Looking for claims reads the pool: it may take this share of the time. */
const CLAIM_SHARE = 0.05;

/** One pool as it is now. */
export interface PoolRow {
  readonly name: string;
  /** Messages a second over the last ten seconds of message times. */
  readonly rate: number;
  /** Rates of the last measurements, the newest last. */
  readonly rates: readonly number[];
  readonly fillPercent: number;
  readonly messages: bigint;
  readonly oldestAgeMs: number | null;
  readonly newestAgeMs: number | null;
  /** How many follow it; null where that is not known. */
  readonly followers: number | null;
  readonly cursors: readonly CursorInfo[];
  readonly claims: readonly LiveClaim[];
  /** Why it cannot be read. */
  readonly error: PlasmiteError | null;
}

/** What is remembered of a pool between two measurements. */
interface Memory {
  /** The newest number at some time, in milliseconds; oldest first. */
  readonly samples: { readonly at: number; readonly newest: bigint }[];
  rates: number[];
  claims: readonly LiveClaim[];
  claimsAt: number;
}

/** Measures the pools of a backend, again and again. */
export class Meter {
  readonly #backend: Backend;
  readonly #memories = new Map<string, Memory>();
  #features: ReadonlySet<string> | null = null;

  /** @param backend where the pools are */
  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /**
   * Measures all pools.
   *
   * @param isDetailed whether the cursors, claims and rate of a pool are wanted; they cost more
   * @returns a row a pool, sorted by name
   */
  async measure(isDetailed: (name: string) => boolean = () => true): Promise<PoolRow[]> {
    this.#features ??= await this.#backend.features();
    const infos = await this.#backend.list();
    const names = new Set(infos.map(({ name }) => name));
    for (const name of this.#memories.keys()) if (!names.has(name)) this.#memories.delete(name);
    const rows: PoolRow[] = [];
    for (const info of infos) rows.push(await this.#row(info, isDetailed(info.name)));
    return rows;
  }

  async #row(info: PoolInfo, detailed: boolean): Promise<PoolRow> {
    if (info.error !== undefined || !detailed) return rowOf(info, this.#remembered(info.name));
    let pool: PoolHandle;
    try {
      pool = await this.#backend.open(info.name);
    } catch (error) {
      return { ...rowOf(info, this.#remembered(info.name)), error: asPlasmiteError(error) };
    }
    try {
      const memory = this.#remembered(info.name);
      const rate = await this.#rate(pool, info, memory);
      memory.rates = [...memory.rates, rate].slice(-HISTORY);
      const cursors = await this.#cursors(pool);
      await this.#refreshClaims(pool, memory);
      return { ...rowOf(info, memory), rate, cursors };
    } catch (error) {
      return { ...rowOf(info, this.#remembered(info.name)), error: asPlasmiteError(error) };
    } finally {
      await pool.close();
    }
  }

  #remembered(name: string): Memory {
    const known = this.#memories.get(name);
    if (known !== undefined) return known;
    const fresh: Memory = { samples: [], rates: [], claims: [], claimsAt: -Infinity };
    this.#memories.set(name, fresh);
    return fresh;
  }

  /** At first by the times of the messages, later by the numbers seen. */
  async #rate(pool: PoolHandle, info: PoolInfo, { samples }: Memory): Promise<number> {
    const newest = info.lastSeq ?? info.bounds.newestSeq ?? 0n;
    const at = performance.now();
    const last = samples.at(-1);
    if (last !== undefined && newest < last.newest) samples.length = 0; // Another pool.
    if (samples.length === 0) {
      const arrived = await countSince(pool, info, nowNs() - BigInt(SPAN) * 1_000_000n);
      samples.push({ at: at - SPAN, newest: newest - arrived });
    }
    samples.push({ at, newest });
    while ((samples[1]?.at ?? at) <= at - SPAN) samples.shift();
    const first = samples[0] ?? { at, newest };
    return Number(newest - first.newest) / Math.max(1, (at - first.at) / 1000);
  }

  async #cursors(pool: PoolHandle): Promise<readonly CursorInfo[]> {
    if (this.#features?.has("cursor") !== true) return [];
    return await (await pool.coordinate()).cursors();
  }

  async #refreshClaims(pool: PoolHandle, memory: Memory): Promise<void> {
    const now = nowNs();
    const began = performance.now();
    if (this.#features?.has("claim") === true && began >= memory.claimsAt) {
      memory.claims = await liveClaims(await pool.coordinate(), now);
      const done = performance.now();
      memory.claimsAt = done + (done - began) / CLAIM_SHARE;
    }
    memory.claims = memory.claims.filter(({ untilNs }) => untilNs > now);
  }
}

/** How many of the retained messages are younger than a time. */
async function countSince(pool: PoolHandle, info: PoolInfo, since: bigint): Promise<bigint> {
  const age = info.metrics?.age.newestAgeMs ?? null;
  const { newestSeq } = info.bounds;
  if (age === null || age > SPAN || newestSeq === null) return 0n;
  const walk = await pool.select({ since, until: newestSeq });
  try {
    return await advance(walk) ? newestSeq - walk.frame.seq + 1n : 0n;
  } finally {
    walk.close();
  }
}

function rowOf(info: PoolInfo, { rates, claims }: Memory): PoolRow {
  const { metrics } = info;
  return {
    name: info.name,
    rate: rates.at(-1) ?? 0,
    rates,
    fillPercent: metrics?.utilization.usedPercent ?? 0,
    messages: metrics?.messageCount ?? 0n,
    oldestAgeMs: metrics?.age.oldestAgeMs ?? null,
    newestAgeMs: metrics?.age.newestAgeMs ?? null,
    followers: info.followers ?? null,
    cursors: [],
    claims,
    error: info.error ?? null,
  };
}
