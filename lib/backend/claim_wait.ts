/**
 * Waits for keys held by someone else until they are released or the lease expires.
 *
 * @module
 */

import { CLAIM_TAG } from "../coordination/lease.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { Awaitable } from "../types.ts";
import type { ClaimRequest, LeaseState, Selection, Walk } from "./types.ts";

/** The largest random delay before a claim is retried, in milliseconds. */
const JITTER = 50;

/**
 * Claims keys as soon as they are free.
 *
 * @param select starts to read the pool
 * @param attempt claims the keys; `patient` on repeated attempts
 * @throws {PlasmiteError} Busy on time-out; other errors of `attempt`
 */
export async function claimPatiently(
  select: (selection: Selection) => Awaitable<Walk>,
  attempt: (patient: boolean) => Awaitable<LeaseState>,
  { waitMs = 0, signal }: ClaimRequest,
): Promise<LeaseState> {
  if (waitMs <= 0) return await attempt(false);
  const end = performance.now() + waitMs;
  const walk = await select({ from: "end", follow: true, tags: [CLAIM_TAG] });
  try {
    for (;;) {
      try {
        return await attempt(true);
      } catch (error) {
        const left = end - performance.now();
        const until = heldUntil(error);
        if (until === null || left <= 0) throw error;
        // The attempt sees all claims made before it; later claims end the wait.
        while (walk.next());
        const pause = Math.max(1, until - Date.now()) + Math.random() * JITTER;
        await walk.wait(Math.min(pause, left), signal);
      }
    }
  } finally {
    walk.close();
  }
}

/** When another holder's lease expires, in milliseconds since 1970; null for any other error. */
function heldUntil(error: unknown): number | null {
  if (!PlasmiteError.is(error, ErrorKind.Busy)) return null;
  const { until } = error.details;
  return typeof until === "string" ? Date.parse(until) : null;
}
