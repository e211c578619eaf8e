/**
 * A number of places, some of them waited for.
 *
 * @module
 */

import { startTimer } from "../../timers.ts";

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

  /**
   * Runs `work` in a place, waiting up to `ms` milliseconds for it.
   *
   * @param refused makes the error for when none gets free
   */
  async run<T>(ms: number, work: () => T | Promise<T>, refused: () => Error): Promise<T> {
    if (!this.take() && !await this.takeWithin(ms)) throw refused();
    try {
      return await work();
    } finally {
      this.release();
    }
  }

  /** Gives a place back; the first who waits gets it. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.used--;
    else next(true);
  }
}

/** As many places for each pool: who waits for one pool takes none from another. */
export class PoolSlots {
  readonly #limit: number;
  readonly #pools = new Map<string, Slots>();

  /** @param limit how many places each pool has */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Places taken now, of all pools. */
  get used(): number {
    let used = 0;
    for (const slots of this.#pools.values()) used += slots.used;
    return used;
  }

  /**
   * Runs `work` in a place of the pool at `path`, waiting up to `ms` milliseconds for it.
   *
   * @param refused makes the error for when none gets free
   */
  async run<T>(
    path: string,
    ms: number,
    work: () => T | Promise<T>,
    refused: () => Error,
  ): Promise<T> {
    let slots = this.#pools.get(path);
    if (slots === undefined) this.#pools.set(path, slots = new Slots(this.#limit));
    try {
      return await slots.run(ms, work, refused);
    } finally {
      if (slots.used === 0) this.#pools.delete(path);
    }
  }
}
