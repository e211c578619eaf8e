/**
 * The leases currently held in a pool, for display in pages and tables.
 *
 * @module
 */

import { CLAIM_TAG, holdsUntil, parseClaim, TTL } from "../coordination/lease.ts";
import { KEY_TAG } from "../coordination/names.ts";
import { MessageView } from "../lite3/message.ts";
import { toValue } from "../lite3/value.ts";
import type { Coordination } from "./coordination.ts";

/** A key that is currently held. */
export interface LiveClaim {
  readonly key: string;
  readonly holder: string;
  readonly token: bigint;
  /** The sequence number of the message that records it. */
  readonly seq: bigint;
  /** The expiry time in nanoseconds since 1970. */
  readonly untilNs: bigint;
}

/** The maximum number of keys returned. */
const MOST = 1000;

/**
 * The currently held keys, sorted by key.
 *
 * @param nowNs the current time in nanoseconds since 1970
 */
export async function liveClaims(coordination: Coordination, nowNs: bigint): Promise<LiveClaim[]> {
  const oldest = nowNs - BigInt(TTL.most) * 1_000_000n;
  const { messages, latest } = await coordination.latestBy(KEY_TAG, {
    tags: [CLAIM_TAG],
    sinceNs: oldest < 0n ? 0n : oldest,
    most: MOST,
  });
  const claims = new Map(messages.map((frame) => {
    const view = new MessageView().openStored(frame);
    const data = toValue(view.doc, view.dataAt) as { readonly [key: string]: unknown };
    return [frame.seq, parseClaim(frame.seq, frame.timestampNs, data)];
  }));
  const live: LiveClaim[] = [];
  for (const { key: tag, seq } of latest) {
    const claim = claims.get(seq) ?? null;
    if (claim === null) continue;
    const untilNs = holdsUntil(claim, nowNs);
    if (untilNs <= nowNs) continue;
    const { by: holder, token } = claim;
    live.push({ key: tag.slice(KEY_TAG.length), holder, token, seq, untilNs });
  }
  return live.sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}
