/**
 * Long waits on a server, in requests that are short enough for it.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../../errors.ts";

/** How long one request waits, in milliseconds. */
const REQUEST = 10_000;

/** How long the server of a pool lets requests wait. */
export class Waits {
  #requestMs = REQUEST;

  /**
   * Sends requests until one is answered, or the time is over.
   *
   * @param end when the wait is over, by `performance.now()`
   * @param send sends a request with a time-out; `again` in its result asks for the next one
   * @param isOver whether a failure only says that the time of the request is over
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
        if (this.#isTooLong(error)) continue;
        if (!isOver(error) || timeout >= left) throw error;
      }
    }
  }

  /** Learns the limit of the server from a refusal. */
  #isTooLong(error: unknown): boolean {
    if (!PlasmiteError.is(error, ErrorKind.Usage)) return false;
    if (error.message !== "tail timeout exceeds server limit" || this.#requestMs <= 1) return false;
    const limit = Number(/\d+/.exec(error.hint ?? "")?.[0] ?? 0);
    this.#requestMs = limit > 0 && limit < this.#requestMs ? limit : this.#requestMs >> 1;
    return true;
  }
}
