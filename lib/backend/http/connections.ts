/**
 * The connections to one server. A request is sent once. It is resent only if it changes nothing
 * and a kept-alive connection turned out to be dead.
 *
 * @module
 */

import { startTimer } from "../../timers.ts";
import { type Answer, Connection, type Request } from "./http1.ts";
import type { Dial } from "./socket.ts";

/** How long an idle connection is kept, in milliseconds. */
const KEEP_MS = 15_000;
/**
 * How long an idle connection may be used for a request that must not be sent twice, in
 * milliseconds. If the server closed it at that moment, the outcome of the request would be
 * unknown; servers keep idle connections for longer than this.
 */
const FRESH_MS = 1_000;
/** The largest number of idle connections. */
const MOST_IDLE = 32;

/** How a request is sent. */
export interface SendOptions {
  /** Aborts the request and the reading of its response. */
  readonly signal: AbortSignal;
  /** Whether it may be sent again if its outcome is unknown. */
  readonly repeatable: boolean;
  /** Called when there is a connection, before anything is sent. */
  readonly onSend: () => void;
}

/** A pool of kept-alive connections. */
export class Connections {
  readonly #dial: Dial;
  /** The most recently used one is last. */
  #idle: Connection[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** @param dial opens a connection */
  constructor(dial: Dial) {
    this.#dial = dial;
  }

  /** Sends a request. */
  async send(request: Request, { signal, repeatable, onSend }: SendOptions): Promise<Answer> {
    const kept = this.#take(repeatable ? KEEP_MS : FRESH_MS);
    if (kept !== undefined) {
      try {
        onSend();
        return await kept.send(request, signal);
      } catch (error) {
        if (!repeatable || kept.answered || signal.aborted) throw error;
      }
    }
    const connection = new Connection(await this.#dial(signal), (idle) => this.#keep(idle));
    onSend();
    return await connection.send(request, signal);
  }

  /** A connection that has been idle for at most `ms`. */
  #take(ms: number): Connection | undefined {
    while (this.#idle.at(-1)?.closed) this.#idle.pop();
    const last = this.#idle.at(-1);
    if (last === undefined || performance.now() - last.idleSince > ms) return undefined;
    return this.#idle.pop();
  }

  #keep(connection: Connection): void {
    if (this.#closed || this.#idle.length >= MOST_IDLE) return connection.close();
    connection.rest();
    this.#idle.push(connection);
    if (this.#timer !== undefined) return;
    this.#timer = startTimer(() => this.#sweep(), KEEP_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Closes connections that have been idle for too long. */
  #sweep(): void {
    this.#timer = undefined;
    const now = performance.now();
    this.#idle = this.#idle.filter((connection) => {
      if (now - connection.idleSince >= KEEP_MS) connection.close();
      return !connection.closed;
    });
    if (this.#idle.length === 0) return;
    this.#timer = startTimer(() => this.#sweep(), KEEP_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Closes idle connections now, and the others after their current request. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const connection of this.#idle) connection.close();
    this.#idle = [];
  }
}
