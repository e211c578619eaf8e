/**
 * The first look of a watch, which its acknowledgement waits for: what is appended after a client
 * was told that its subscription has begun must be told.
 *
 * @module
 */

import { startTimer } from "../lib/timers.ts";

/** A first look that somebody waits for. */
export class FirstLook {
  readonly #over = Promise.withResolvers<void>();
  readonly #timer: ReturnType<typeof setTimeout>;
  #late = false;

  /**
   * @param longest the longest wait, in milliseconds
   * @param signal ends the wait
   */
  constructor(longest: number, signal: AbortSignal) {
    this.#timer = startTimer(() => {
      this.#late = true;
      this.#over.resolve();
    }, longest);
    signal.addEventListener("abort", () => this.end(), { once: true });
  }

  /** Resolves when the look is over, or has taken too long. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Whether it took too long: then there may have been changes between the wait and the look. */
  get late(): boolean {
    return this.#late;
  }

  /** Says that the look is over, whatever it found. */
  end(): void {
    clearTimeout(this.#timer);
    this.#over.resolve();
  }
}
