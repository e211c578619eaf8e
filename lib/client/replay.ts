/**
 * Replays stored messages at their original pace or faster.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { startTimer } from "../timers.ts";
import type { Stored } from "../backend/local/appender.ts";
import { LocalBackend } from "../backend/local.ts";
import type { Selection, Walk } from "../backend/types.ts";
import { FrameQueue } from "../backend/frame_queue.ts";
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
} from "./options.ts";
import type { Pool } from "./pool.ts";
import { compileAll } from "./tail.ts";

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
interface Plan {
  readonly speed: number;
  readonly deadline: number;
  readonly most: bigint;
  readonly selection: Selection;
}

async function planOf<T extends object>(
  pool: Pool<T>,
  options: ReplayOptions,
): Promise<Plan | null> {
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
  const from = options.sinceSeq === undefined ? 0n : checkSeq(options.sinceSeq, "sinceSeq");
  const since = checkSince(options);
  const tags = checkTags(options.tags);
  const where = await compileAll(checkWhere(options.where));
  const { newestSeq } = pool.bounds();
  if (newestSeq === null || most === 0n || last === 0n) return null;
  return {
    speed,
    deadline,
    most,
    selection: {
      from: from === 0n ? "oldest" : from,
      until: newestSeq,
      last: last === undefined ? undefined : Number(last),
      tags,
      since,
      where,
      yielding: true,
    },
  };
}

/** Reads a selection ahead of the replay. */
class Ahead {
  readonly #walk: Walk;
  readonly #signal: AbortSignal | undefined;
  readonly #held = new FrameQueue();

  constructor(walk: Walk, signal: AbortSignal | undefined) {
    this.#walk = walk;
    this.#signal = signal;
  }

  /** The next frame, with a copy of its payload; null at the end. */
  async next(): Promise<Stored | null> {
    const held = this.#held;
    while (held.bytes < AHEAD) {
      if (this.#walk.next()) held.push(this.#walk.frame);
      else if (this.#walk.ended) break;
      else await this.#walk.wait(undefined, this.#signal);
    }
    const frame = held.shift();
    if (frame === null || "first" in frame) return null;
    const { seq, timestampNs, u8, payloadAt, payloadLength } = frame;
    return { seq, timestampNs, payload: u8.slice(payloadAt, payloadAt + payloadLength) };
  }
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
  const plan = await planOf(pool, checkOptions(options, "replay", REPLAY_KINDS));
  if (plan === null) return;
  const { speed, deadline, most, selection } = plan;
  const { signal } = options;
  signal?.throwIfAborted();
  const opened = new LocalBackend("").openNow(pool.path);
  const walk = await opened.select(selection);
  opened.close();
  const ahead = new Ahead(walk, signal);
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
    walk.close();
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
