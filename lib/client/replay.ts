/**
 * Gives stored messages out again, in their original rhythm or faster.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { startTimer } from "../timers.ts";
import type { Message } from "./message.ts";
import {
  checkMs,
  checkSeq,
  type JsonObject,
  type ReplayOptions,
  type TailOptions,
} from "./options.ts";
import type { Pool } from "./pool.ts";

/** The longest time that a timer takes, in milliseconds. */
const LONGEST = 0x7fff_ffff;

/** Waits, or ends with the signal's reason. */
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
 * Replays what a pool holds now: selected by time, sequence and tags, then the last so many, with
 * the original pauses divided by `speed`. What is appended later is not part of it.
 *
 * @throws {PlasmiteError} Usage for a speed that is negative or not finite
 */
export async function* replay<T extends JsonObject>(
  pool: Pool<T>,
  options: ReplayOptions = {},
): AsyncGenerator<Message<T>, void, unknown> {
  const speed = options.speed ?? 1;
  if (!(speed >= 0) || !Number.isFinite(speed)) {
    throw new PlasmiteError("Usage", `invalid speed: ${speed}`, {
      hint: "Use a number from 0 (no pauses) upwards; 1 is the original pace.",
    });
  }
  const timeoutMs = checkMs(options.timeoutMs, "timeoutMs");
  const deadline = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
  const most = options.maxMessages === undefined
    ? -1n
    : checkSeq(options.maxMessages, "maxMessages");
  const last = options.last === undefined ? Infinity : Number(checkSeq(options.last, "last"));
  const { newestSeq } = pool.bounds();
  if (newestSeq === null || most === 0n || last === 0) return;
  const selection: TailOptions = {
    untilSeq: newestSeq,
    ...(options.sinceSeq === undefined ? {} : { sinceSeq: options.sinceSeq }),
    ...(options.sinceTimeNs === undefined ? {} : { sinceTimeNs: options.sinceTimeNs }),
    ...(options.tags === undefined ? {} : { tags: options.tags }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  // The selection is held in memory: a slow replay loses nothing to the ring going round.
  let chosen: Message<T>[] = [];
  for await (const message of pool.tail(selection)) {
    chosen.push(message);
    if (chosen.length > last * 2) chosen = chosen.slice(-last);
  }
  if (chosen.length > last) chosen = chosen.slice(-last);
  let before: bigint | null = null;
  let given = 0n;
  for (const message of chosen) {
    if (before !== null && speed > 0) {
      const ms = Number(message.timestampNs - before) / 1e6 / speed;
      const left = deadline - performance.now();
      if (ms >= left) { // Timers come a little early at times: this one is never due.
        await pause(left, options.signal);
        return;
      }
      if (ms > 0) await pause(ms, options.signal);
    }
    if (performance.now() >= deadline) return;
    options.signal?.throwIfAborted();
    before = message.timestampNs;
    yield message;
    if (++given === most) return;
  }
}
