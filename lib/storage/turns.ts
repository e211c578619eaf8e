/**
 * Long work described once and run in two ways: {@linkcode inPlace} for the command line and the
 * synchronous library, {@linkcode inTurns} for a process that serves others (server, MCP). There a
 * piece of work takes a few milliseconds, then everyone else has a turn; {@linkcode Slice} is the
 * same for a loop that is not a generator.
 *
 * @module
 */

import { startTimer } from "../timers.ts";
import { beforeNextTry, sleepSync } from "./pause.ts";

/** How long work may keep its process from doing anything else, in milliseconds. */
const SLICE = 4;

/** Why work stops: it could go on at once, or it waits for a lock that another process holds. */
export type Step = "more" | "busy";

/**
 * Work in steps: a generator that yields every millisecond or so of computing, and never while it
 * holds a lock. Ending it early runs its `finally` blocks.
 */
export type Steps<T> = Generator<Step, T, void>;

/** Runs work to its end without a pause; for a lock it waits in place. */
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
 * Those who wait for their next slice, in order. One goes on at a time, whoever it works for, so
 * that a hundred long walks hold up a small request no longer than one does.
 */
const waiting: (() => void)[] = [];
/** Whether a turn is about to be given. */
let due = false;
/** When the turn that is under way was given; -1 when none is. */
let given = -1;

/**
 * A timer, not `setImmediate`: the runtime looks at its sockets when it has nothing to do, so only a
 * real pause lets requests in (measured: 0.2 ms to answer one, against 200 ms).
 */
function giveTurn(): void {
  due = true;
  startTimer(() => {
    due = false;
    const next = waiting.shift();
    if (next === undefined) return;
    given = performance.now();
    // Behind the slice that begins now: the next pause follows it.
    setImmediate(() => {
      given = -1;
      if (waiting.length > 0 && !due) giveTurn();
    });
    next();
  }, 0);
}

/**
 * The share of one piece of work in the time of its process. A turn belongs to whoever was given it,
 * whichever of its slices it asks.
 */
export class Slice {
  #since = performance.now();

  /** Whether others are to have a turn now. Work that has just begun gives way to what waits. */
  get over(): boolean {
    const now = performance.now();
    if (given >= 0) return now - given >= SLICE;
    return waiting.length > 0 || now - this.#since >= SLICE;
  }

  /** Waits for the next turn. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (!due && given < 0) giveTurn();
    });
    this.#since = performance.now();
  }

  /** A new slice begins: after a wait for something else. */
  restart(): void {
    this.#since = performance.now();
  }
}
