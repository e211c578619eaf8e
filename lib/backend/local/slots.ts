/**
 * Limits how many calls are in progress at once.
 *
 * @module
 */

import { startTimer } from "../../timers.ts";

/** How many calls may wait per slot. */
const QUEUE = 16;

/** A limited number of slots. */
export class Slots {
  /** The number of slots in use. */
  used = 0;
  readonly #limit: number;
  #waiting: ((got: boolean) => void)[] = [];

  /** @param limit the number of slots */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a slot if one is free. */
  take(): boolean {
    if (this.used >= this.#limit) return false;
    this.used++;
    return true;
  }

  /**
   * Takes a slot, waiting up to `ms` milliseconds; false if none becomes free, or too many calls
   * are waiting.
   */
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
   * Runs `work` in a slot, waiting up to `ms` milliseconds for it.
   *
   * @param refused creates the error if none becomes free
   */
  async run<T>(ms: number, work: () => T | Promise<T>, refused: () => Error): Promise<T> {
    if (!this.take() && !await this.takeWithin(ms)) throw refused();
    try {
      return await work();
    } finally {
      this.release();
    }
  }

  /** Releases a slot; the first waiting call gets it. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.used--;
    else next(true);
  }
}

/** Slots per pool, so that calls that wait for one pool do not block others. */
export class PoolSlots {
  readonly #limit: number;
  readonly #pools = new Map<string, Slots>();

  /** @param limit the number of slots per pool */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The number of slots in use, over all pools. */
  get used(): number {
    let used = 0;
    for (const slots of this.#pools.values()) used += slots.used;
    return used;
  }

  /**
   * Runs `work` in a slot of the pool at `path`, waiting up to `ms` milliseconds for it.
   *
   * @param refused creates the error if none becomes free
   */
  async run<T>(
    path: string,
    ms: number,
    work: () => T | Promise<T>,
    refused: () => Error,
  ): Promise<T> {
    const slots = this.#of(path);
    try {
      return await slots.run(ms, work, refused);
    } finally {
      this.#drop(path, slots);
    }
  }

  #of(path: string): Slots {
    let slots = this.#pools.get(path);
    if (slots === undefined) this.#pools.set(path, slots = new Slots(this.#limit));
    return slots;
  }

  /** Takes a slot of the pool at `path` if one is free. */
  take(path: string): boolean {
    return this.#of(path).take();
  }

  /** Releases a slot; the first waiting call gets it. */
  release(path: string): void {
    const slots = this.#of(path);
    slots.release();
    this.#drop(path, slots);
  }

  /** Forgets the slots of a pool that nobody uses. */
  #drop(path: string, slots: Slots): void {
    if (slots.used === 0) this.#pools.delete(path);
  }
}
