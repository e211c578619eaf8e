/**
 * Pauses between polls.
 *
 * @module
 */

import { startTimer } from "../lib/timers.ts";

/** Sleeps for `ms` milliseconds, or until the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = startTimer(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** The pause between two polls, in milliseconds, so that polling takes about 2 % of the time. */
export function restAfter(
  lookMs: number,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  return Math.min(Math.max(least, 50 * lookMs), most);
}
