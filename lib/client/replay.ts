/**
 * Replays stored messages at their original pace or faster.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { Lite3Tag } from "../lite3/message.ts";
import { startTimer } from "../timers.ts";
import type { Stored } from "../backend/local/appender.ts";
import { FrameQueue } from "../backend/frame_queue.ts";
import { findLast, type Sifter } from "./last.ts";
import type { Message } from "./message.ts";
import { checkOptions, REPLAY_KINDS } from "./option_kinds.ts";
import {
  checkMs,
  checkSeq,
  checkSince,
  checkTags,
  checkWhere,
  type ReplayOptions,
  shown,
  type TailOptions,
} from "./options.ts";
import type { Pool } from "./pool.ts";
import { compileAll } from "./tail.ts";
import { openReader } from "../backend/source.ts";
import type { Lite3Frame } from "../backend/frames.ts";
import type { FrameBytes } from "../types.ts";

/** The longest delay of a timer, in milliseconds. */
const LONGEST = 0x7fff_ffff;

/** Waits; rejects with the signal's reason. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let left = ms;
  for (; left > LONGEST; left -= LONGEST) await timer(LONGEST, signal);
  await timer(Math.max(0, left), signal);
}

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const done = (): void => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    };
    const aborted = (): void => {
      clearTimeout(running);
      reject(signal?.reason);
    };
    const running = startTimer(done, ms);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/**
 * How many bytes of messages are read ahead, so that a slow replay loses nothing when the ring
 * wraps.
 */
const AHEAD = 16 * 1024 * 1024;

/** What to replay, checked. */
interface Selection {
  readonly speed: number;
  readonly deadline: number;
  readonly most: bigint;
  readonly tail: TailOptions;
}

async function selectionOf<T extends object>(
  pool: Pool<T>,
  options: ReplayOptions,
): Promise<Selection | null> {
  const speed = options.speed ?? 1;
  if (typeof speed !== "number" || !(speed >= 0) || !Number.isFinite(speed)) {
    throw new PlasmiteError("Usage", `invalid speed: ${shown(speed)}`, {
      hint: "Use a number from 0 (no pauses) upwards; 1 is the original pace.",
    });
  }
  const timeoutMs = checkMs(options.timeoutMs, "timeoutMs");
  const deadline = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
  const most = options.maxMessages === undefined
    ? -1n
    : checkSeq(options.maxMessages, "maxMessages");
  const last = options.last === undefined ? undefined : checkSeq(options.last, "last");
  const { newestSeq } = pool.bounds();
  if (newestSeq === null || most === 0n || last === 0n) return null;
  const tail: TailOptions = {
    untilSeq: newestSeq,
    ...(options.sinceSeq === undefined ? {} : { sinceSeq: options.sinceSeq }),
    sinceTimeNs: checkSince(options),
    tags: checkTags(options.tags),
    where: checkWhere(options.where),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  if (last === undefined) return { speed, deadline, most, tail };
  const sinceSeq = await firstOfLast(pool, tail, newestSeq, Number(last));
  return sinceSeq === null ? null : { speed, deadline, most, tail: { ...tail, sinceSeq } };
}

/**
 * The sequence number of the first of the last `count` messages of a selection; null if it is
 * empty.
 */
async function firstOfLast<T extends object>(
  pool: Pool<T>,
  { sinceSeq, sinceTimeNs = 0n, tags, where, signal }: TailOptions,
  newest: bigint,
  count: number,
): Promise<bigint | null> {
  const wanted = checkTags(tags).map((tag) => new Lite3Tag(tag));
  const wheres = await compileAll(checkWhere(where));
  const reader = openReader(pool.path);
  try {
    const { oldestSeq } = pool.bounds();
    const since = sinceSeq === undefined ? 0n : checkSeq(sinceSeq, "sinceSeq");
    const oldest = oldestSeq !== null && oldestSeq > since ? oldestSeq : since;
    const sift = (found: (frame: FrameBytes) => void): Sifter => ({
      offer: ({ cursor, message }) => {
        signal?.throwIfAborted();
        if (cursor.timestampNs < sinceTimeNs || !message.hasTags(wanted)) return;
        if (wheres.every((one) => one.matches(message))) found(cursor);
      },
      flush: () => {},
    });
    return (await findLast(reader, { oldest, newest }, count, sift, { signal })).first;
  } finally {
    reader.close();
  }
}

/** Reads a selection ahead of the replay. */
class Ahead {
  readonly #source: AsyncGenerator<Lite3Frame, void, unknown>;
  readonly #held = new FrameQueue();
  #ended = false;

  constructor(source: AsyncGenerator<Lite3Frame, void, unknown>) {
    this.#source = source;
  }

  /** The next frame, with a copy of its payload; null at the end. */
  async next(): Promise<Stored | null> {
    const held = this.#held;
    while (!this.#ended && held.bytes < AHEAD) {
      const { done, value } = await this.#source.next();
      if (done === true) this.#ended = true;
      else held.push(asBytes(value));
    }
    const frame = held.shift();
    if (frame === null || "first" in frame) return null;
    const { seq, timestampNs, u8, payloadAt, payloadLength } = frame;
    return { seq, timestampNs, payload: u8.slice(payloadAt, payloadAt + payloadLength) };
  }
}

function asBytes({ seq, timestampNs, payload }: Lite3Frame): FrameBytes {
  const lo = (value: bigint): number => Number(value & 0xffff_ffffn);
  const hi = (value: bigint): number => Number(value >> 32n);
  return {
    u8: payload,
    payloadAt: 0,
    payloadLength: payload.length,
    seqLo: lo(seq),
    seqHi: hi(seq),
    timeLo: lo(timestampNs),
    timeHi: hi(timestampNs),
    seq,
    timestampNs,
  };
}

/**
 * The stored messages of a pool, selected and paced as {@linkcode Pool.replay} describes.
 *
 * @throws {PlasmiteError} Usage for a speed that is negative or not finite
 */
export async function* replayStored<T extends object>(
  pool: Pool<T>,
  options: ReplayOptions,
): AsyncGenerator<Stored, void, unknown> {
  const selection = await selectionOf(pool, checkOptions(options, "replay", REPLAY_KINDS));
  if (selection === null) return;
  const { speed, deadline, most, tail } = selection;
  const { signal } = options;
  const source = pool.tailLite3(tail);
  const ahead = new Ahead(source);
  let before: bigint | null = null;
  let given = 0n;
  let owed = 0;
  try {
    for (let one = await ahead.next(); one !== null; one = await ahead.next()) {
      if (before !== null && speed > 0) {
        const ms = Number(one.timestampNs - before) / 1e6 / speed;
        const left = deadline - performance.now();
        if (owed + ms >= left) { // Timers can fire slightly early: this message is never due.
          await pause(left, signal);
          return;
        }
        // A timer takes at least a millisecond: shorter pauses are accumulated.
        owed += Math.max(0, ms);
        if (owed >= 1) {
          await pause(owed, signal);
          owed = 0;
        }
      }
      if (performance.now() >= deadline) return;
      signal?.throwIfAborted();
      before = one.timestampNs;
      yield one;
      if (++given === most) return;
    }
  } finally {
    await source.return();
  }
}

/**
 * Replays stored messages of a pool; see {@linkcode Pool.replay}.
 *
 * @param pool an open local pool
 * @param options what to replay and how fast
 * @returns the messages, in order
 * @throws {PlasmiteError} Usage for a speed that is negative or not finite
 *
 * @example Replay the last messages without pauses
 * ```ts
 * import { Client, replay } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ n: number }>("demo");
 * for (let n = 1; n <= 5; n++) pool.append({ n });
 *
 * const seen: number[] = [];
 * for await (const message of replay(pool, { last: 2, speed: 0 })) seen.push(message.data.n);
 * console.assert(seen.join() === "4,5");
 * ```
 */
export function replay<T extends object>(
  pool: Pool<T>,
  options: ReplayOptions = {},
): AsyncGenerator<Message<T>, void, unknown> {
  if (typeof Object(pool).replay === "function") return pool.replay(options);
  throw new PlasmiteError("Usage", `invalid pool: ${shown(pool)}`, {
    hint: "Pass a pool that is open.",
  });
}
