/**
 * Leases in a stream: each claim, renewal and release is a message on the subject of its key, with
 * the expectation that the previous message is still the last one (docs/spec/jetstream.md 12).
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
  needsKey,
  type Newest,
  parseClaim,
  release,
  renew,
  TTL,
} from "../../coordination/lease.ts";
import { checkKey } from "../../coordination/names.ts";
import { PlasmiteError } from "../../errors.ts";
import { messageFromValue } from "../../lite3/from_value.ts";
import { MessageView } from "../../lite3/message.ts";
import { toValue } from "../../lite3/value.ts";
import { FrameBatch } from "../../pool/batch.ts";
import type { Released } from "../coordination.ts";
import type { ClaimRequest, LeaseState, ReleaseRequest } from "../types.ts";
import { isWrongLast, Patience, patiently, publishAfter, type Target } from "./publisher.ts";
import { idOf, leaderMessage, streamInfo } from "./stream.ts";
import { claimSubject, type Incoming, Reader, timeOf } from "./wire.ts";

/** The message to append, and the resulting lease. */
interface Decision {
  readonly append: ClaimAppend | undefined;
  /** The token; 0 if it will be the sequence number of the append. */
  readonly token: bigint;
  readonly ttlMs: number;
}

/** The newest claim of a key, and the number that the next claim must expect. */
interface Latest {
  readonly message: ClaimMessage | null;
  readonly seq: bigint;
}

/** The leases in one stream. */
export class NatsLeases {
  readonly #target: Target;
  readonly #sights = new FirstSights();

  /** @param target the stream */
  constructor(target: Target) {
    this.#target = target;
  }

  /**
   * Claims a key, or renews a lease.
   *
   * @param patient whether a claim with a time in the future counts from when it was first seen
   * @throws {PlasmiteError} Busy while another holder has the key, Conflict if the lease to renew
   *   was lost, Usage for several keys
   */
  async claim(request: ClaimRequest, patient: boolean): Promise<LeaseState> {
    const key = onlyKey(request.keys);
    const holder = checkHolder(request.holder);
    const { ttlMs, token } = request;
    checkTtl(ttlMs);
    const sights = patient ? this.#sights : undefined;
    const { decision, nowNs, seq } = await this.#decide(
      key,
      (newest, now) =>
        token === undefined
          ? claim([key], holder, ttlMs ?? TTL.usual, newest, now, sights)
          : renew([key], holder, token, ttlMs, newest, now),
    );
    return {
      holder,
      keys: [key],
      seq,
      token: decision.token === 0n ? seq : decision.token,
      untilNs: nowNs + BigInt(Math.round(decision.ttlMs)) * 1_000_000n,
      shortRetention: await this.#isShort(decision.ttlMs, nowNs),
    };
  }

  /**
   * Releases a key.
   *
   * @throws {PlasmiteError} Conflict if another holder has it, Usage
   */
  async release({ force = false, holder, keys, token }: ReleaseRequest): Promise<Released> {
    const key = onlyKey(keys);
    const by = checkHolder(holder);
    checkRelease(force, token);
    const { decision, seq } = await this.#decide(key, (newest, now) => {
      const [append] = force
        ? forceRelease([key], by, newest)
        : release([key], by, token ?? 0n, newest, now);
      return { append, token: token ?? append?.data.token ?? 0n, ttlMs: 0 };
    });
    return { keys: [key], seq, token: decision.token };
  }

  /** Decides from the newest claim and appends the result; retries if another client was faster. */
  async #decide(
    key: string,
    decide: (newest: Newest, nowNs: bigint) => Decision,
  ): Promise<{ decision: Decision; nowNs: bigint; seq: bigint }> {
    const patience = new Patience();
    for (let tried = -1n;;) {
      const { message, seq } = await patiently(() => this.#latest(key), patience);
      const nowNs = Temporal.Now.instant().epochNanoseconds;
      const decision = decide(new Map([[key, message]]), nowNs);
      if (decision.append === undefined) return { decision, nowNs, seq: 0n };
      try {
        const stored = await this.#append(key, decision.append, seq);
        return { decision, seq: stored, nowNs: await this.#timeOf(stored) ?? nowNs };
      } catch (error) {
        if (!isWrongLast(error)) throw error;
        // Another client was faster. A server that has not seen its claim yet is asked again later.
        if (seq === tried) await patience.after(overtaken(this.#target.path, error));
        else patience.progress();
        tried = seq;
      }
    }
  }

  async #latest(key: string): Promise<Latest> {
    const { link, path, stream } = this.#target;
    const lookup = { last_by_subj: claimSubject(stream, key) };
    const found = await leaderMessage(link, stream, lookup, path);
    if (found === null) return { message: null, seq: 0n };
    const reader = new Reader(stream, path);
    reader.encode(found);
    const view = new MessageView();
    view.open(reader.out.u8, reader.out.dv, 0, reader.out.len);
    const data = toValue(view.doc, view.dataAt) as { readonly [key: string]: unknown };
    return { message: parseClaim(found.seq, timeOf(found), data), seq: found.seq };
  }

  /** Appends a claim after message `after` of its key. */
  async #append(key: string, { data, tags }: ClaimAppend, after: bigint): Promise<bigint> {
    const { link, path, printer, stream } = this.#target;
    const batch = new FrameBatch(1024);
    batch.beginFrame();
    messageFromValue(batch.encoder, data, tags);
    batch.endFrame(0, 0);
    const [message] = printer.print(batch, 0, 1);
    if (message === undefined) throw new Error("a batch of one message has one");
    const subject = claimSubject(stream, key);
    const id = `claim:${link.library.nuid.next()}`;
    const item = { message: { ...message, subject }, id };
    let isUnknown = false;
    try {
      const doubt = (): void => void (isUnknown = true);
      return BigInt((await publishAfter(this.#target, item, after, new Patience(), doubt)).seq);
    } catch (error) {
      if (!isWrongLast(error) || !isUnknown) throw error;
      // The response was lost, so the conflicting message may be this one.
      const found = await leaderMessage(link, stream, { last_by_subj: subject }, path);
      if (found !== null && idOf(found) === id) return found.seq;
      throw error;
    }
  }

  /** The time according to the server's clock, which all clients use. */
  async #timeOf(seq: bigint): Promise<bigint | null> {
    const { link, path, stream } = this.#target;
    const find = (): Promise<Incoming | null> =>
      leaderMessage(link, stream, { seq: Number(seq) }, path);
    const stored = await patiently(find, new Patience());
    return stored === null ? null : timeOf(stored);
  }

  /** Whether messages younger than a lease are already being removed, so it could be lost. */
  async #isShort(ttlMs: number, nowNs: bigint): Promise<boolean> {
    const { link, path, stream } = this.#target;
    const { state } = await patiently(() => streamInfo(link, stream, path), new Patience());
    if (state.first_seq <= 1 || state.messages === 0) return false;
    return Number(nowNs / 1_000_000n) - Date.parse(state.first_ts) < ttlMs;
  }
}

function overtaken(path: string, cause: unknown): PlasmiteError {
  return new PlasmiteError("Busy", "Other claims of the key were always faster", {
    hint: "Try again in a moment.",
    path,
    cause,
  });
}

function onlyKey(keys: readonly string[]): string {
  const [key, ...more] = new Set(keys);
  if (key === undefined) throw needsKey();
  if (more.length > 0) {
    throw new PlasmiteError("Usage", "A claim on NATS has one key", {
      hint: "A message there has one subject. Claim the keys one after the other, always in the " +
        "same order.",
    });
  }
  return checkKey(key, "key");
}
