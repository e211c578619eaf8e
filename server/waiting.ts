/**
 * Calls that wait: for a lease, a task, the end of a search. They are limited like streams
 * (docs/spec/http-api.md 6).
 *
 * @module
 */

import { startTimer } from "../lib/timers.ts";
import { busy, HttpError, tooLong } from "./errors.ts";
import type { Call, RouteHost } from "./routes/route.ts";

/**
 * The time-out of a call in milliseconds; 0 without one.
 *
 * @throws {HttpError} 400 above the limit of the server
 */
export function timeoutOf(timeout: bigint | undefined, host: RouteHost): number {
  const limit = host.maxTailTimeoutMs;
  if (timeout === undefined) return 0;
  if (timeout <= BigInt(limit)) return Number(timeout);
  throw tooLong(limit);
}

/**
 * Runs a call that may take long, in one of the slots for streams unless `slot` is false. It ends
 * when the caller disconnects or loses the right to call, when the server stops, and after the
 * longest time of a stream.
 *
 * @throws {HttpError} 423 if all slots are taken, 503 if the server stops
 */
export async function waiting<T>(
  { request, grant }: Call,
  host: RouteHost,
  work: (signal: AbortSignal) => Promise<T>,
  { slot = true } = {},
): Promise<T> {
  host.stopping.throwIfAborted();
  if (slot && !host.tails.take()) throw busy("too many concurrent tail requests");
  if (slot) host.metrics.waits++;
  const over = new AbortController();
  const limit = startTimer(() => over.abort(late()), host.maxTailTimeoutMs + GRACE);
  // Without `no-legacy-abort` in deno.json, Deno warns once about this signal.
  const signals = [host.stopping, over.signal, ...(slot ? [request.signal] : [])];
  if (grant.ended !== undefined) signals.push(grant.ended);
  const signal = AbortSignal.any(signals);
  try {
    return await work(signal);
  } catch (error) {
    // The signal's reason may be any exception; no one waits for the response.
    if (!signal.aborted || error instanceof HttpError) throw error;
    throw error === signal.reason ? gone() : error;
  } finally {
    clearTimeout(limit);
    if (slot) {
      host.tails.release();
      host.metrics.waits--;
    }
  }
}

/** How much longer a call may take than a stream, in milliseconds. */
const GRACE = 2_000;

function late(): HttpError {
  return new HttpError(423, "Busy", "the call takes too long", {
    hint: "Narrow it with tags or a time, or read the pool and choose in the client.",
  });
}

function gone(): HttpError {
  return new HttpError(503, "Busy", "the call was ended", { hint: "Call again." });
}
