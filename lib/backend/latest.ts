/**
 * The newest message of each group, for backends that read them all
 * (docs/spec/coordination.md 5).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { grouping, Groups } from "../filter/latest.ts";
import { MessageView } from "../lite3/message.ts";
import type { Where } from "../filter/where.ts";
import { Slice } from "../storage/turns.ts";
import type { Awaitable } from "../types.ts";
import { Filter } from "./filter.ts";
import type { Latest, LatestRequest, Selection, StoredFrame, Walk } from "./types.ts";

/** How many messages are filtered at once. */
const PIECE = 256;
/** How many messages are grouped before reading the clock again. */
const CLOCK_EVERY = 64;

/** The required parts of a pool. */
export interface Readable {
  /** Starts to read. */
  select(selection: Selection): Awaitable<Walk>;
  /** A copy of one message; null if it is not retained. */
  get(seq: bigint): Awaitable<StoredFrame | null>;
}

/** Work that yields the promises it waits for. */
type Waiting<T> = Generator<Promise<unknown>, T, unknown>;

/** Waits for a value if it is a promise. */
function* settled<T>(value: Awaitable<T>): Waiting<T> {
  return value instanceof Promise ? (yield value) as T : value;
}

/**
 * Reads all messages once, in order, then reads the newest of each group.
 *
 * @throws {PlasmiteError} Usage for a bad path or a filter that fails; errors of reading
 */
export async function latestBy(
  pool: Readable,
  by: string,
  request: LatestRequest = {},
): Promise<Latest> {
  return await awaiting(searching(pool, by, request, new Slice()));
}

async function awaiting<T>(work: Waiting<T>): Promise<T> {
  for (let step = work.next();;) {
    if (step.done === true) return step.value;
    let value: unknown;
    try {
      value = await step.value;
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(value);
  }
}

/** Like {@linkcode latestBy}, for a pool whose calls are all synchronous. */
export function latestByNow(pool: Readable, by: string, request: LatestRequest = {}): Latest {
  const step = searching(pool, by, request, null).next();
  if (step.done === true) return step.value;
  throw new PlasmiteError("Internal", "the pool cannot be read synchronously");
}

/** @param slice its time is given up every few milliseconds; null if nobody else waits for it */
function* searching(
  pool: Readable,
  by: string,
  request: LatestRequest,
  slice: Slice | null,
): Waiting<Latest> {
  const { tags, where, sinceNs = 0n, signal } = request;
  const { keysOf } = grouping(by);
  const groups = new Groups();
  const walk = yield* settled(pool.select({ tags, where, since: sinceNs }));
  try {
    for (let found = 0;;) {
      if (walk.next()) {
        groups.add(walk.frame.seq, keysOf(walk.message));
        if (++found % CLOCK_EVERY === 0 && slice?.over === true) {
          signal?.throwIfAborted();
          yield slice.next();
        }
      } else if (walk.ended) break;
      else {
        yield walk.wait(undefined, signal);
        slice?.restart();
      }
    }
  } finally {
    walk.close();
  }
  return yield* chosen(pool, groups, request, slice);
}

/** Like {@linkcode latestBy}, for messages in order that contain the newest of each group. */
export async function latestAmong(
  frames: readonly StoredFrame[],
  by: string,
  request: LatestRequest = {},
): Promise<Latest> {
  const { keysOf } = grouping(by);
  const groups = new Groups();
  const view = new MessageView();
  for (const frame of frames) groups.add(frame.seq, keysOf(view.openStored(frame)));
  const found = new Map(frames.map((frame) => [frame.seq, frame]));
  const pool = { get: (seq: bigint): StoredFrame | null => found.get(seq) ?? null };
  return await awaiting(chosen(pool, groups, request, new Slice()));
}

/** The newest messages of the groups that are wanted. */
function* chosen(
  pool: Pick<Readable, "get">,
  groups: Groups,
  request: LatestRequest,
  slice: Slice | null,
): Waiting<Latest> {
  const { having = [], most = Infinity } = request;
  // Groups are left out by `having` first, and then for their number.
  const candidates = groups.last(having.length > 0 ? Infinity : most);
  const { messages, complete } = yield* newest(pool, candidates, request, slice);
  const seqs = new Set(messages.map(({ seq }) => seq));
  const cut = having.length === 0 && groups.size > most;
  const forgotten = groups.forgotten || cut || !complete;
  return { messages, latest: groups.of(seqs), forgotten };
}

/**
 * The messages with these numbers that match `having`; only the newest ones if all of them exceed a
 * limit.
 */
function* newest(
  pool: Pick<Readable, "get">,
  seqs: readonly bigint[],
  { having = [], most = Infinity, mostBytes = Infinity, signal }: LatestRequest,
  slice: Slice | null,
): Waiting<{ readonly messages: StoredFrame[]; readonly complete: boolean }> {
  const messages: StoredFrame[] = [];
  let bytes = 0;
  for (let end = seqs.length; end > 0; end -= PIECE) {
    const frames: StoredFrame[] = [];
    for (const seq of seqs.slice(Math.max(0, end - PIECE), end)) {
      signal?.throwIfAborted();
      const frame = yield* settled(pool.get(seq));
      if (frame !== null) frames.push(frame);
    }
    if (slice?.over === true) yield slice.next();
    for (const frame of (yield* matching(frames, having, signal)).reverse()) {
      bytes += frame.payload.length;
      if (messages.length >= most || (bytes > mostBytes && messages.length > 0)) {
        return { messages: messages.reverse(), complete: false };
      }
      messages.push(frame);
    }
  }
  return { messages: messages.reverse(), complete: true };
}

function* matching(
  frames: readonly StoredFrame[],
  having: readonly Where[],
  signal: AbortSignal | undefined,
): Waiting<StoredFrame[]> {
  const filter = new Filter([], having);
  if (filter.passesAll) return [...frames];
  const passed = filter.isDeferred
    ? yield* settled(filter.applyAll(frames, signal))
    : filter.apply(frames);
  return passed.map((frame) => {
    if (PlasmiteError.is(frame)) throw frame;
    return frame;
  });
}
