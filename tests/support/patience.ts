/**
 * How long tests wait for what must happen sooner or later. A watchdog, never a measure: the machine
 * may be slow and busy, and whoever waits in vain has failed in any case.
 *
 * @module
 */

import assert from "node:assert/strict";

/** The watchdog, in milliseconds. */
export const PATIENCE_MS = 120_000;

/** A signal that ends a wait in vain. */
export function watchdog(): AbortSignal {
  return AbortSignal.timeout(PATIENCE_MS);
}

/** Waits for some milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until a condition holds, which is looked at so often; fails with `what` if it never does. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string) = "it did not happen",
  everyMs = 10,
): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !await condition();) {
    if (performance.now() > end) assert.fail(typeof what === "string" ? what : what());
    await pause(everyMs);
  }
}

/** Repeats what may fail in certain ways while servers start and choose leaders. */
export async function patiently<T>(
  work: () => Promise<T>,
  mayPass: (error: unknown) => boolean,
): Promise<T> {
  for (const end = performance.now() + PATIENCE_MS;;) {
    try {
      return await work();
    } catch (error) {
      if (!mayPass(error) || performance.now() > end) throw error;
      await pause(200);
    }
  }
}

/**
 * For what only holds while the machine is not too slow for it, such as a lease that is renewed before
 * it ends: `body` gets more and more milliseconds, and fails if it fails with all of them. What never
 * holds fails all the same.
 */
export async function withTime(body: (ms: number) => Promise<void>, first = 400): Promise<void> {
  for (let ms = first;; ms *= 4) {
    try {
      return await body(ms);
    } catch (error) {
      if (ms * 4 > PATIENCE_MS) throw error;
    }
  }
}

/** Waits until there is a file at a path. */
export async function untilFile(path: string): Promise<void> {
  const isThere = (): Promise<boolean> => Deno.stat(path).then(() => true, () => false);
  await until(isThere, `${path} was never made`);
}
