/**
 * A pause that ends early when nobody waits for it any more.
 *
 * @module
 */

import { startTimer } from "../lib/timers.ts";

/** Sleeps for `ms` milliseconds, but not beyond the signal. */
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
