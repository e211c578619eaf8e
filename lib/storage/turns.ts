/**
 * Cooperative scheduling of long work in a process that serves others (server, MCP):
 * {@linkcode inTurns} runs steps a few milliseconds at a time. {@linkcode Slice} does the same for a
 * loop that is not a generator.
 *
 * @module
 */

import { startTimer } from "../timers.ts";
import type { Steps } from "./steps.ts";

/** How long work may block the event loop, in milliseconds. */
const SLICE = 4;

/** How many waiters retry in the same millisecond. */
const RETRIES_PER_ROUND = 64;

const asking: (() => void)[] = [];
let round: ReturnType<typeof startTimer> | null = null;

function nextRound(): void {
  round = null;
  for (const wake of asking.splice(0, RETRIES_PER_ROUND)) wake();
  if (asking.length > 0) round = startTimer(nextRound, 1);
}

/**
 * Sleeps for a millisecond before the next attempt to get a lock. The system does not notify when a
 * flock is released, so every waiter polls. The total rate is limited, so that a process that waits
 * for the locks of a thousand pools has time for everything else.
 */
export function beforeNextTry(): Promise<void> {
  return new Promise((resolve) => {
    asking.push(resolve);
    round ??= startTimer(nextRound, 1);
  });
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
    given = performance.now();
    giveTurn();
  }, 0);
}

/**
 * Lets the next task continue, and after it others until the turn is over: a thousand tasks with
 * little to do would otherwise take a thousand pauses.
 */
function giveTurn(): void {
  const next = waiting.shift();
  if (next === undefined) {
    given = -1;
    return;
  }
  setImmediate(() => {
    if (waiting.length > 0 && performance.now() - given < SLICE / 2) return giveTurn();
    given = -1;
    if (waiting.length > 0 && !due) startTurn();
  });
  next();
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
