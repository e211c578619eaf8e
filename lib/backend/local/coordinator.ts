/**
 * Coordination through one open pool file: conditional appends, the newest message by key, leases,
 * cursors and work groups. Loaded on demand.
 *
 * @module
 */

import { CLAIM_TAG } from "../../coordination/lease.ts";
import { KEY_TAG } from "../../coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import type { Grouping } from "../../filter/latest.ts";
import { Groups } from "../../filter/latest.ts";
import type { FrameBatch } from "../../pool/batch.ts";
import { beginningAt, type Expired, settingMaxAge, trimming } from "../../pool/retention.ts";
import type { Ring } from "../../pool/ring.ts";
import type { Steps } from "../../storage/steps.ts";
import type { Awaitable } from "../../types.ts";
import type {
  AppendRequest,
  ClaimRequest,
  Conditions,
  Latest,
  LatestRequest,
  LeaseState,
  ReleaseRequest,
  Selection,
  StoredFrame,
  Walk,
} from "../types.ts";
import { appendingWhen } from "./conditions.ts";
import { type CursorRequest, PoolCursor, settingCursor } from "./cursors.ts";
import { type GroupRequest, PoolGroup } from "./groups.ts";
import { KnownTags } from "./known_tags.ts";
import { Leases } from "./leases.ts";
import { takeFrame } from "../frames.ts";
import { findFrame } from "./lookup.ts";

export { WritableRing } from "../../pool/writable_ring.ts";

/** The largest random delay before a claim is retried, in milliseconds. */
const JITTER = 50;

/** How to run work on the pool and how to read it. */
export interface Ground {
  /** The open file, owned by the pool. */
  readonly ring: Ring;
  /** Runs work in place or in turns. */
  run<T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T>;
  /** Starts to read. */
  select(selection: Selection): Awaitable<Walk>;
}

/** Coordination in one open pool file. */
export class Coordinator {
  readonly #ground: Ground;
  readonly #known: KnownTags;
  readonly #leases: Leases;

  /** @param ground the pool */
  constructor(ground: Ground) {
    this.#ground = ground;
    this.#known = new KnownTags(ground.ring);
    this.#leases = new Leases(ground.ring, this.#known);
  }

  /** Appends under conditions. */
  append(batch: FrameBatch, request: AppendRequest, when: Conditions): Awaitable<void> {
    const { ring, run } = this.#ground;
    request.signal?.throwIfAborted();
    if ((request.from ?? 0) >= batch.count) return;
    return run(appendingWhen(ring, this.#known, batch, request, when), request.signal);
  }

  /** The newest message with a key; null when none is retained. */
  latest(key: string): Awaitable<StoredFrame | null> {
    return this.#ground.run(this.#newest(key));
  }

  *#newest(key: string): Steps<StoredFrame | null> {
    const seq = yield* this.#known.newestOf({ tag: KEY_TAG + key });
    return seq === 0n ? null : yield* findFrame(this.#ground.ring, seq, takeFrame);
  }

  /** The newest message of each group, in order. */
  async latestBy(by: Grouping, request: LatestRequest = {}): Promise<Latest> {
    const { tags, where, sinceNs = 0n, having, most = Infinity, signal } = request;
    const groups = new Groups();
    const walk = await this.#ground.select({
      ...(tags === undefined ? {} : { tags }),
      ...(where === undefined ? {} : { where }),
      since: sinceNs,
    });
    try {
      for (;;) {
        if (walk.next()) groups.add(walk.frame.seq, by.keysOf(walk.message));
        else if (walk.ended) break;
        else await walk.wait(undefined, signal);
      }
    } finally {
      walk.close();
    }
    const messages: StoredFrame[] = [];
    for (const seq of groups.last(most)) {
      const chosen = await this.#ground.select({
        from: seq,
        until: seq,
        ...(having === undefined ? {} : { where: having }),
      });
      try {
        for (;;) {
          if (chosen.next()) messages.push(kept(chosen));
          else if (chosen.ended) break;
          else await chosen.wait(undefined, signal);
        }
      } finally {
        chosen.close();
      }
    }
    const seqs = new Set(messages.map(({ seq }) => seq));
    return { messages, latest: groups.of(seqs), forgotten: groups.forgotten };
  }

  /**
   * Takes a cursor for this process; see {@linkcode PoolCursor.opening}. Reading begins behind its
   * `seq`; whoever reads tells it what is delivered, acknowledged and passed over.
   */
  cursor(name: string, request: CursorRequest = {}): Awaitable<PoolCursor> {
    return this.#ground.run(PoolCursor.opening(this.#ground.ring, name, request));
  }

  /** Sets, makes or repairs a cursor; returns its position. */
  setCursor(name: string, to: "oldest" | "end" | bigint, dir?: string): Awaitable<bigint> {
    return this.#ground.run(settingCursor(this.#ground.ring, name, to, dir));
  }

  /** A way into a work group for one worker; touches nothing on disk yet. */
  group(name: string, request: GroupRequest = {}): PoolGroup {
    return new PoolGroup(this.#ground, name, request);
  }

  /** Claims keys, waiting for them if requested, or renews a lease. */
  async claim(request: ClaimRequest): Promise<LeaseState> {
    const { waitMs = 0, signal } = request;
    const { run } = this.#ground;
    if (waitMs <= 0) return await run(this.#leases.claiming(request, false), signal);
    const end = performance.now() + waitMs;
    const walk = await this.#ground.select({ from: "end", follow: true, tags: [CLAIM_TAG] });
    try {
      for (;;) {
        try {
          return await run(this.#leases.claiming(request, true), signal);
        } catch (error) {
          const left = end - performance.now();
          const until = heldUntil(error);
          if (until === null || left <= 0) throw error;
          // Claims made before this attempt are known to it; later ones end the wait.
          while (walk.next());
          const pause = Math.max(1, until - Date.now()) + Math.random() * JITTER;
          await walk.wait(Math.min(pause, left), signal);
        }
      }
    } finally {
      walk.close();
    }
  }

  /**
   * Drops the oldest messages, up to the first that is not expired.
   *
   * @returns how many were dropped
   */
  trim(isExpired: Expired): Awaitable<bigint> {
    return this.#ground.run(trimming(this.#ground.ring, isExpired));
  }

  /** Sets the age limit in nanoseconds; 0 removes it. */
  setMaxAge(maxAgeNs: bigint): Awaitable<void> {
    return this.#ground.run(settingMaxAge(this.#ground.ring, maxAgeNs));
  }

  /** Makes the first message of a pool that was never written get this number. */
  beginAt(first: bigint): Awaitable<void> {
    return this.#ground.run(beginningAt(this.#ground.ring, first));
  }

  /** Releases keys; see {@linkcode Leases.releasing}. */
  release(request: ReleaseRequest): Awaitable<bigint> {
    return this.#ground.run(this.#leases.releasing(request));
  }
}

function kept(walk: Walk): StoredFrame {
  const { u8, payloadAt, payloadLength, seq, timestampNs } = walk.frame;
  return { seq, timestampNs, flags: 0, payload: u8.slice(payloadAt, payloadAt + payloadLength) };
}

/** When another holder's lease expires, in milliseconds since 1970; null for any other error. */
function heldUntil(error: unknown): number | null {
  if (!PlasmiteError.is(error, ErrorKind.Busy)) return null;
  const { until } = error.details;
  return typeof until === "string" ? Date.parse(until) : null;
}
