/**
 * Cooperative scheduling of long work. It is written once and run in two ways: {@linkcode inPlace}
 * for the command line and the synchronous library, {@linkcode inTurns} for a process that serves
 * others (server, MCP), which runs it a few milliseconds at a time. {@linkcode Slice} does the same
 * for a loop that is not a generator.
 *
 * @module
 */

import { startTimer } from "../timers.ts";
import { beforeNextTry, sleepSync } from "./lock_wait.ts";

/** How long work may block the event loop, in milliseconds. */
const SLICE = 4;

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

/**
 * Runs work to its end, a slice at a time.
 *
 * @throws the signal's reason when it is aborted between two steps
 */
export async function inTurns<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  const slice = new Slice();
  try {
    for (;;) {
      signal?.throwIfAborted();
      const step = steps.next();
      if (step.done === true) return step.value;
      if (step.value === "busy") await beforeNextTry();
      else if (slice.over) await slice.next();
    }
  } finally {
    steps.return(undefined as T);
  }
}

/**
 * Tasks that wait for their next slice, in order. One continues at a time, so that a hundred long
 * walks delay a small request no longer than one does.
 */
const waiting: (() => void)[] = [];
/** Whether a turn is scheduled. */
let due = false;
/** When the current turn started; -1 if there is none. */
let given = -1;

/**
 * A timer, not `setImmediate`: the runtime polls its sockets when it is idle, so only a real pause
 * lets requests in (measured: 0.2 ms to answer one, against 200 ms).
 */
function startTurn(): void {
  due = true;
  startTimer(() => {
    due = false;
    const next = waiting.shift();
    if (next === undefined) return;
    given = performance.now();
    // After the slice that starts now, schedule the next pause.
    setImmediate(() => {
      given = -1;
      if (waiting.length > 0 && !due) startTurn();
    });
    next();
  }, 0);
}

/**
 * The time slice of one task. A turn belongs to the task that got it, whichever of its slices is
 * asked.
 */
export class Slice {
  #since = performance.now();

  /**
   * Whether the slice is used up. A task that has just started yields to those that are waiting.
   */
  get over(): boolean {
    const now = performance.now();
    if (given >= 0) return now - given >= SLICE;
    return waiting.length > 0 || now - this.#since >= SLICE;
  }

  /** Waits for the next turn. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (!due && given < 0) startTurn();
    });
    this.#since = performance.now();
  }

  /** Starts a new slice, after waiting for something else. */
  restart(): void {
    this.#since = performance.now();
  }
}
