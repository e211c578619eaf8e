/**
 * What a list shows of a pool, read without a {@linkcode Ring} for each: there may be tens of
 * thousands of pools, and buffers and objects for each would cost as much as reading them.
 *
 * @module
 */

import type { StorageFile } from "../storage/storage.ts";
import { frameFrom, type Item, itemAt, noFrame } from "./frame.ts";
import {
  EXTENSION_AT,
  EXTENSION_SIZE,
  indexedOffset,
  parseExtension,
  parseState,
  saidFileSize,
  type State,
  stateProblem,
  verifyLayout,
} from "./header.ts";
import { FRAME_HEADER, type Layout, STATE_AT, STATE_SIZE } from "./layout.ts";

/** A file to glance at. */
export type GlancedFile = Pick<StorageFile, "path" | "readAt">;

/** What was seen of a pool. */
export interface Glimpse {
  /** Its sizes. */
  readonly layout: Layout;
  /** Its state, verified. */
  readonly state: State;
  /** More than the header says, unless only that was asked for. */
  readonly more: GlimpseOfMessages | null;
}

/** What a pool without an age limit says of itself and of its messages. */
export interface GlimpseOfMessages {
  /** Its identity, if it has one. */
  readonly identity: string | undefined;
  /** The times of the first and the last message in nanoseconds since 1970; null if empty. */
  readonly oldestTimeNs: bigint | null;
  readonly newestTimeNs: bigint | null;
}

// One set of buffers for all: what is read is used at once.
const header = new Uint8Array(EXTENSION_AT + EXTENSION_SIZE);
const headerView = new DataView(header.buffer);
const state = new Uint8Array(STATE_SIZE);
const stateView = new DataView(state.buffer);
const small = new Uint8Array(FRAME_HEADER);
const smallView = new DataView(small.buffer);

/**
 * Looks at an open pool file, with all checks of docs/spec/format.md 1.6.
 *
 * @param brief whether to read the header only
 * @returns null if it takes a ring to know: a pool that is being created or written, that has an age
 *   limit, or whose first or last message is not where it should be
 * @throws {PlasmiteError} Io, Corrupt, or Usage for another format version, as `Ring.open` would
 */
export function glance(file: StorageFile, brief: boolean): Glimpse | null {
  const { size } = file.opened;
  return glanceAt(file, (said) => said === size, brief);
}

/**
 * Like {@linkcode glance}, for a file of unknown size.
 *
 * @param hasSize whether the file has exactly so many bytes
 */
export function glanceAt(
  file: GlancedFile,
  hasSize: (size: number) => boolean,
  brief: boolean,
): Glimpse | null {
  const length = file.readAt(header, 0);
  if (length < header.length || headerView.getUint32(0, true) === 0) return null;
  const size = saidFileSize(headerView);
  if (!Number.isSafeInteger(size) || !hasSize(size)) return null;
  const layout = verifyLayout({ view: headerView, length }, size, file.path);
  const seen = agreedState(file, layout.ringSize);
  if (seen === null) return null;
  if (brief) return { layout, state: seen, more: null };
  const more = messages(file, layout, seen);
  return more === null ? null : { layout, state: seen, more };
}

/** The state in the header, if a second reading agrees (docs/spec/format.md 5.1 D7). */
function agreedState(file: GlancedFile, ringSize: number): State | null {
  if (file.readAt(state, STATE_AT) !== STATE_SIZE) return null;
  for (let at = 0; at < STATE_SIZE; at += 4) {
    if (stateView.getInt32(at, true) !== headerView.getInt32(STATE_AT + at, true)) return null;
  }
  const seen = parseState(stateView, 0);
  return stateProblem(seen, ringSize) === null ? seen : null;
}

function messages(file: GlancedFile, layout: Layout, seen: State): GlimpseOfMessages | null {
  const extension = parseExtension(header.subarray(EXTENSION_AT));
  if (extension !== null && extension.maxAgeNs !== 0n) return null;
  const identity = extension?.id;
  const { oldest, newest, tail } = seen;
  if (oldest === 0n) return { identity, oldestTimeNs: null, newestTimeNs: null };
  const first = timeAt(file, layout, oldest, tail);
  const last = oldest === newest
    ? first
    : timeAt(file, layout, newest, indexedOffset(file, layout, newest));
  return first === null || last === null
    ? null
    : { identity, oldestTimeNs: first, newestTimeNs: last };
}

/**
 * The time of the message whose frame is at or after ring offset `place`; null if it is not there, or
 * if `place` is -1.
 */
function timeAt(file: GlancedFile, layout: Layout, seq: bigint, place: number): bigint | null {
  if (place < 0) return null;
  const { ringOffset, ringSize } = layout;
  const look = (offset: number): Item => {
    const got = file.readAt(small, ringOffset + offset);
    return got < FRAME_HEADER
      ? noFrame("bad", "frame header too small")
      : itemAt(smallView, 0, offset, ringSize);
  };
  const item = frameFrom(look, place, ringSize);
  return item.kind === "frame" && item.seq === seq ? item.time : null;
}
