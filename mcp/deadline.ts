/**
 * How long calls wait.
 *
 * @module
 */

import { between } from "./input.ts";
import type { ToolContext } from "./tool.ts";

/**
 * The longest wait in milliseconds: clients give up a request after a minute, and lose what they
 * would have been told.
 */
export const LONGEST_WAIT = 50_000;

/** The end of a wait that starts now, in `performance.now()` time. */
export function waitUntil(
  timeoutMs: number,
  { arrivedAt, maxWaitMs = LONGEST_WAIT }: ToolContext,
): number {
  const now = performance.now();
  return Math.min(now + timeoutMs, (arrivedAt ?? now) + maxWaitMs);
}

/** The argument `timeout_ms`. */
export function timeout(standard: number, more: string): ReturnType<typeof between> {
  return between(
    { least: 0, most: 60_000, standard },
    "How long to wait in milliseconds",
    `. After ${LONGEST_WAIT} ${more}`,
  );
}

/**
 * Waits for at most some time. When the server stops, the work is repeated without waiting.
 *
 * @param work called with the time in milliseconds
 */
export async function waiting<T>(
  timeoutMs: number,
  context: ToolContext,
  work: (waitMs: number, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, ending } = context;
  const waitMs = Math.max(0, waitUntil(timeoutMs, context) - performance.now());
  try {
    return await work(waitMs, ending === undefined ? signal : AbortSignal.any([signal, ending]));
  } catch (error) {
    if (signal.aborted || ending?.aborted !== true || error !== ending.reason) throw error;
    return await work(0, signal);
  }
}
