/**
 * Long work in steps. It is written once, as a generator, and run in two ways: with
 * {@linkcode inPlace} on the command line and in the synchronous library, or with `inTurns`
 * (`turns.ts`) in a process that serves others.
 *
 * @module
 */

import { sleepSync } from "./lock_wait.ts";

/** Why work pauses: it can continue at once, or it waits for a lock held by another process. */
export type Step = "more" | "busy";

/**
 * Work in steps: a generator that yields every millisecond or so of computing, and never while it
 * holds a lock. Ending it early runs its `finally` blocks.
 */
export type Steps<T> = Generator<Step, T, void>;

/** Runs work to its end without a pause; blocks while it waits for a lock. */
export function inPlace<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (step.value === "busy") sleepSync(1);
  }
}
