/**
 * Long waits on a server, split into requests within its time limit.
 *
 * @module
 */

import { shorterWait } from "./error.ts";

/** How long one request waits, in milliseconds. */
const REQUEST = 10_000;

/** Tracks how long a pool's server allows a request to wait. */
export class Waits {
  #requestMs = REQUEST;

  /**
   * Sends requests until one gets a result or the time is up.
   *
   * @param end when the wait ends, in `performance.now()` time
   * @param send sends a request with a timeout; `again` in its result requests another attempt
   * @param isOver whether a failure only means that the request timed out
   */
  async until<T>(
    end: number,
    signal: AbortSignal | undefined,
    send: (
      timeoutMs: number | undefined,
    ) => Promise<{ readonly done: T; readonly again?: boolean }>,
    isOver: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    for (;;) {
      signal?.throwIfAborted();
      const left = Math.max(0, Math.ceil(end - performance.now()));
      const timeout = Math.min(left, this.#requestMs);
      try {
        const { done, again = false } = await send(timeout > 0 ? timeout : undefined);
        if (!again || timeout >= left) return done;
      } catch (error) {
        const shorter = shorterWait(error, this.#requestMs);
        if (shorter !== null) this.#requestMs = shorter;
        else if (!isOver(error) || timeout >= left) throw error;
      }
    }
  }
}
