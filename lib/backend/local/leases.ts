/**
 * Leases in a pool file: claim, renew, release and force, each a guarded append
 * (docs/spec/coordination.md 6).
 *
 * @module
 */

import {
  checkHolder,
  checkRelease,
  checkTtl,
  claim,
  type ClaimAppend,
  type ClaimMessage,
  FirstSights,
  forceRelease,
  keySet,
  MOST_KEYS,
  needsKey,
  type Newest,
  parseClaim,
  release,
  renew,
  tooManyKeys,
  TTL,
} from "../../coordination/lease.ts";
import { checkKey, KEY_TAG } from "../../coordination/names.ts";
import { toValue } from "../../lite3/value.ts";
import { messageFromValue } from "../../lite3/from_value.ts";
import { FrameBatch } from "../../pool/batch.ts";
import type { State } from "../../pool/header.ts";
import type { Ring } from "../../pool/ring.ts";
import type { Steps } from "../../storage/steps.ts";
import type { Released } from "../coordination.ts";
import type { ClaimRequest, LeaseState, ReleaseRequest } from "../types.ts";
import { appendingGuarded } from "./conditions.ts";
import type { KnownTags } from "./known_tags.ts";

/** The decision of a guard: what to append, and the resulting lease. */
interface Decision {
  readonly appends: readonly ClaimAppend[];
  /** The lease's token; 0 if it is the sequence number of the append. */
  readonly token: bigint;
  readonly ttlMs: number;
}

/** The leases of one open pool file. */
export class Leases {
  readonly #ring: Ring;
  readonly #known: KnownTags;
  readonly #sights = new FirstSights();

  /** @param known the known tags of the pool, shared with its conditional appends */
  constructor(ring: Ring, known: KnownTags) {
    this.#ring = ring;
    this.#known = known;
  }

  /**
   * Claims all keys or none, or renews the lease `token`.
   *
   * @param patient whether a claim dated in the future starts when this process first saw it
   * @throws {PlasmiteError} Busy if another holder has one of the keys, Conflict if a lease to
   *   renew was lost, Usage
   */
  *claiming(request: ClaimRequest, patient: boolean): Steps<LeaseState> {
    const keys = checkKeys(request.keys);
    const holder = checkHolder(request.holder);
    const { ttlMs, token } = request;
    checkTtl(ttlMs);
    const sights = patient ? this.#sights : undefined;
    const { seq, nowNs, decision, short } = yield* this.#appending(keys, (newest, now) => {
      const { append, ...rest } = token === undefined
        ? claim(keys, holder, ttlMs ?? TTL.usual, newest, now, sights)
        : renew(keys, holder, token, ttlMs, newest, now);
      return { appends: [append], ...rest };
    });
    return {
      holder,
      keys,
      seq,
      token: decision.token === 0n ? seq : decision.token,
      untilNs: nowNs + BigInt(Math.round(decision.ttlMs)) * 1_000_000n,
      shortRetention: short,
    };
  }

  /**
   * Releases keys.
   *
   * @throws {PlasmiteError} Conflict if another holder has one of them, Usage
   */
  *releasing(request: ReleaseRequest): Steps<Released> {
    const keys = checkKeys(request.keys);
    const holder = checkHolder(request.holder);
    const { token, force = false } = request;
    checkRelease(force, token);
    const { seq, decision } = yield* this.#appending(keys, (newest, now) => {
      const appends = force
        ? forceRelease(keys, holder, newest)
        : release(keys, holder, token ?? 0n, newest, now);
      return { appends, token: token ?? appends[0]?.data.token ?? 0n, ttlMs: 0 };
    });
    return { keys, seq, token: decision.token };
  }

  /** Decides under the lock, with the time read under it too, and appends the result. */
  *#appending(
    keys: readonly string[],
    decide: (newest: Newest, nowNs: bigint) => Decision,
  ): Steps<{ seq: bigint; nowNs: bigint; decision: Decision; short: boolean }> {
    let decided: { decision: Decision; nowNs: bigint; short: boolean } | null = null;
    const batch = new FrameBatch(1024);
    // The guard replaces this frame; an empty batch would not be appended at all.
    const placeholder = new FrameBatch(256);
    encode(placeholder, {
      data: { claim: [], by: "", state: "held", ttl_ms: 0, token: 0n },
      tags: [],
    }, 0n);
    const { count, first } = yield* appendingGuarded(
      this.#ring,
      this.#known,
      placeholder,
      { flush: false },
      {
        wanted: keys.map((key) => ({ tag: KEY_TAG + key, claim: true })),
        guard: (state) => {
          const nowNs = Temporal.Now.instant().epochNanoseconds;
          const decision = decide(this.#newest(state, keys), nowNs);
          batch.clear();
          for (const append of decision.appends) encode(batch, append, nowNs);
          decided = { decision, nowNs, short: this.#isShort(state, decision.ttlMs, nowNs) };
          return batch;
        },
      },
    );
    if (decided === null) throw new Error("the guard has not run");
    if (count > 0) this.#known.added(batch, 0, first);
    return { ...decided as { decision: Decision; nowNs: bigint; short: boolean }, seq: first };
  }

  #newest(state: State, keys: readonly string[]): Map<string, ClaimMessage | null> {
    const newest = new Map<string, ClaimMessage | null>();
    const live = this.#known.live(state);
    const seqs = keys.map((key) => this.#known.find({ tag: KEY_TAG + key, claim: true }, live));
    // Many keys are often in one message, which may be large: each is read once.
    const claims = new Map<bigint, ClaimMessage | null>();
    this.#known.readAll(state, seqs.filter((seq) => seq !== 0n), (seq, view, timeNs) => {
      const data = toValue(view.doc, view.dataAt);
      const claim = parseClaim(seq, timeNs, data as { readonly [key: string]: unknown });
      claims.set(seq, claim);
    });
    keys.forEach((key, i) => newest.set(key, claims.get(seqs[i] ?? 0n) ?? null));
    return newest;
  }

  /**
   * Whether messages are overwritten or expire sooner than a lease, so that the lease could be
   * lost.
   */
  #isShort(state: State, ttlMs: number, nowNs: bigint): boolean {
    const ttlNs = BigInt(Math.round(ttlMs)) * 1_000_000n;
    const { maxAgeNs } = this.#ring;
    if (maxAgeNs !== 0n && maxAgeNs < ttlNs) return true;
    if (state.oldest <= 1n || ttlMs === 0) return false;
    const time = this.#known.timeOf(state, state.oldest);
    return time !== null && nowNs - time < ttlNs;
  }
}

function encode(batch: FrameBatch, { data, tags }: ClaimAppend, timeNs: bigint): void {
  batch.beginFrame();
  messageFromValue(batch.encoder, data, tags);
  batch.endFrame(Number(timeNs & 0xffff_ffffn), Number(timeNs >> 32n));
}

function checkKeys(keys: readonly string[]): readonly string[] {
  if (keys.length === 0) throw needsKey();
  const set = keySet(keys.map((key) => checkKey(key, "key")));
  if (set.length > MOST_KEYS) throw tooManyKeys();
  return set;
}
