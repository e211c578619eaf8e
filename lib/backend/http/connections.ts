/**
 * The connections to one server. A request goes out once. Only one that changes nothing is sent
 * again, and only when a connection that had been kept turns out to be dead.
 *
 * @module
 */

import { startTimer } from "../../timers.ts";
import { type Answer, Connection, type Request } from "./http1.ts";
import type { Dial } from "./socket.ts";

/** How long an idle connection is kept, in milliseconds. */
const KEEP_MS = 15_000;
/**
 * How long it is good for a request that must not be sent twice, in milliseconds. A server that
 * closes it at that very moment leaves in doubt what happened to the request; servers keep idle
 * connections for longer than this.
 */
const FRESH_MS = 1_000;
/** The most idle connections that are kept. */
const MOST_IDLE = 32;

/** How a request is sent. */
export interface SendOptions {
  /** Ends the request, and its answer while that is being read. */
  readonly signal: AbortSignal;
  /** Whether it may be sent again when it is not known what became of it. */
  readonly repeatable: boolean;
  /** Called when a connection is there, before anything is sent. */
  readonly onSend: () => void;
}

/** Connections that are kept and used again. */
export class Connections {
  readonly #dial: Dial;
  /** The one used last is last. */
  #idle: Connection[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** @param dial makes a connection */
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

  /** Closes what has been idle for too long. */
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

  /** Closes the idle ones now, and the others when they have done their work. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const connection of this.#idle) connection.close();
    this.#idle = [];
  }
}
