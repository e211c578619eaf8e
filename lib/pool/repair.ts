/**
 * Mends the chain of live frames after a writer of the reference was killed while it overwrote
 * dropped frames (docs/spec/format.md 5.1 D5, 5.4). The caller holds the exclusive lock.
 *
 * @module
 */

import type { StorageFile } from "../storage/storage.ts";
import { hasMarker, type Item, itemAt, payloadLength } from "./frame.ts";
import { putState, type State } from "./header.ts";
import { FRAME_HEADER, type Layout, STATE_AT, STATE_SIZE } from "./layout.ts";

/** Bytes of the ring that are looked at in one go. */
const CHUNK = 1 << 20;

/** A whole frame found in the ring. */
export interface FoundFrame {
  /** Ring offset of its header. */
  readonly at: number;
  /** Sequence number. */
  readonly seq: bigint;
  /** Ring offset behind it. */
  readonly end: number;
}

/** What a repair did. */
export interface Repair {
  /** The state that is now published. */
  readonly state: State;
  /** Sequence numbers that can no longer be read, or null: the range from first to last. */
  readonly lost: { readonly first: bigint; readonly last: bigint } | null;
}

/** Every committed frame in the ring whose sequence number lies between `low` and `high`. */
export function scanFrames(
  file: StorageFile,
  layout: Layout,
  low: bigint,
  high: bigint,
): FoundFrame[] {
  const { ringOffset, ringSize } = layout;
  const found: FoundFrame[] = [];
  const bytes = new Uint8Array(Math.min(CHUNK, ringSize) + FRAME_HEADER);
  const view = new DataView(bytes.buffer);
  const tail = new Uint8Array(8);
  const tailView = new DataView(tail.buffer);
  for (let from = 0; from < ringSize; from += CHUNK) {
    const got = file.readAt(
      bytes.subarray(0, Math.min(bytes.length, ringSize - from)),
      ringOffset + from,
    );
    for (let i = 0; i < CHUNK && i + FRAME_HEADER <= got; i += 8) {
      if (view.getUint32(i, true) !== 0x314d_5246) continue;
      const item = itemAt(view, i, from + i, ringSize);
      if (item.kind !== "frame" || item.seq < low || item.seq > high) continue;
      const marker = from + i + FRAME_HEADER + payloadLength(view, i);
      if (file.readAt(tail, ringOffset + marker) !== 8 || !hasMarker(tailView, 0)) continue;
      found.push({ at: from + i, seq: item.seq, end: item.end });
    }
  }
  return found;
}

/** Where the item behind a frame that ends at `end` begins: over padding and a wrap marker. */
export function placeAfter(file: StorageFile, layout: Layout, end: number): number {
  const { ringOffset, ringSize } = layout;
  if (ringSize - end < FRAME_HEADER) return 0;
  const bytes = new Uint8Array(FRAME_HEADER);
  file.readAt(bytes, ringOffset + end);
  const item: Item = itemAt(new DataView(bytes.buffer), 0, end, ringSize);
  return item.kind === "wrap" ? 0 : end;
}

/**
 * The longest unbroken run of frames that ends with `state.newest` at `state.head`, oldest first.
 */
function soundChain(file: StorageFile, layout: Layout, state: State): FoundFrame[] {
  const low = state.oldest === 0n ? 1n : state.oldest;
  const bySeq = new Map<bigint, FoundFrame[]>();
  for (const frame of scanFrames(file, layout, low, state.newest)) {
    const same = bySeq.get(frame.seq);
    if (same === undefined) bySeq.set(frame.seq, [frame]);
    else same.push(frame);
  }
  const wrapped = (end: number): number => end === layout.ringSize ? 0 : end;
  const chain: FoundFrame[] = [];
  let fits = (frame: FoundFrame): boolean => wrapped(frame.end) === state.head;
  for (let seq = state.newest; seq >= low; seq--) {
    const frame = bySeq.get(seq)?.find(fits);
    if (frame === undefined) break;
    chain.push(frame);
    fits = (earlier) => placeAfter(file, layout, earlier.end) === frame.at;
  }
  return chain.reverse();
}

/** Publishes the longest sound chain; a pool without one becomes empty. */
export function repairChain(file: StorageFile, layout: Layout, state: State): Repair {
  const chain = soundChain(file, layout, state);
  const { head, newest } = state;
  const first = chain[0];
  const end = first === undefined ? head : first.end;
  const mended: State = first === undefined
    ? { head, tail: head, tailNext: head, oldest: 0n, newest }
    : {
      head,
      tail: first.at,
      tailNext: end === layout.ringSize ? 0 : end,
      oldest: first.seq,
      newest,
    };
  const block = new Uint8Array(STATE_SIZE);
  putState(new DataView(block.buffer), 0, mended);
  file.writeAt(block, STATE_AT);
  const keptFrom = first === undefined ? newest + 1n : first.seq;
  const lost = state.oldest !== 0n && state.oldest < keptFrom
    ? { first: state.oldest, last: keptFrom - 1n }
    : null;
  return { state: mended, lost };
}
