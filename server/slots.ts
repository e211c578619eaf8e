/**
 * A number of places, some of them waited for.
 *
 * @module
 */

import { startTimer } from "../lib/timers.ts";

/** How many may wait for each place there is. */
const QUEUE = 16;

/** Counts how much goes on at once and refuses more. */
export class Slots {
  /** Places taken now. */
  used = 0;
  readonly #limit: number;
  #waiting: ((got: boolean) => void)[] = [];

  /** @param limit how many places there are */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a place if one is free. */
  take(): boolean {
    if (this.used >= this.#limit) return false;
    this.used++;
    return true;
  }

  /** Takes a place, waiting up to `ms` milliseconds; only so many may wait. */
  takeWithin(ms: number): Promise<boolean> {
    if (this.take()) return Promise.resolve(true);
    if (this.#waiting.length >= this.#limit * QUEUE) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (got: boolean): void => {
        clearTimeout(timer);
        resolve(got);
      };
      const timer = startTimer(() => {
        this.#waiting = this.#waiting.filter((other) => other !== settle);
        settle(false);
      }, ms);
      this.#waiting.push(settle);
    });
  }

  /** Gives a place back; the first who waits gets it. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.used--;
    else next(true);
  }
}
