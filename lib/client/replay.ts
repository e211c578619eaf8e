/**
 * Replays stored messages at their original pace or faster.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { pause } from "../timers.ts";
import type { Stored } from "../backend/local/appender.ts";
import { LocalBackend } from "../backend/local.ts";
import { payloadOf } from "../backend/frames.ts";
import { Pace, ReadAhead } from "../backend/read_ahead.ts";
import type { Selection } from "../backend/types.ts";
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
  const ahead = new ReadAhead(walk, signal);
  const pace = new Pace(speed);
  let given = 0n;
  try {
    for (let one = await ahead.next(); one !== null; one = await ahead.next()) {
      if ("first" in one) continue; // A loss.
      const ms = pace.step(one.timestampNs);
      const left = deadline - performance.now();
      if (pace.owed + ms >= left) { // Timers can fire slightly early: this message is never due.
        await pause(Math.max(0, left), signal);
        return;
      }
      const due = pace.due(ms);
      if (due > 0) await pause(due, signal);
      if (performance.now() >= deadline) return;
      signal?.throwIfAborted();
      const { seq, timestampNs } = one;
      yield { seq, timestampNs, payload: payloadOf(one) };
      if (++given === most) return;
    }
  } finally {
    ahead.close();
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
