/**
 * A request of a client of 2025 over HTTP: a transport for the SDK that carries one message and its
 * answer. The transport of the SDK has to choose at the start between an event stream and JSON
 * without progress; here {@linkcode LateReply} decides later.
 *
 * @module
 */

import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";
import type { Call } from "./frame.ts";
import { unwrap } from "./json.ts";

/** Carries one message and its answer. */
export class Exchange implements Transport {
  /** Set by the SDK. */
  onmessage?: NonNullable<Transport["onmessage"]>;
  /** Set by the SDK. */
  onclose?: () => void;
  /** Set by the SDK. */
  onerror?: (error: Error) => void;

  readonly #answer = Promise.withResolvers<Response>();
  readonly #notify: (text: string) => void;
  #closed = false;

  /** @param notify called with the text of each notification before the answer */
  constructor(notify: (text: string) => void) {
    this.#notify = notify;
  }

  /** Does nothing; called by the SDK. */
  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Receives the answer or a notification; called by the SDK. */
  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const text = unwrap(JSON.stringify(message));
    if ("method" in message) this.#notify(text);
    else {
      this.#answer.resolve(
        new Response(text, { headers: { "content-type": "application/json" } }),
      );
    }
    return Promise.resolve();
  }

  /** Ends the exchange and aborts a running call. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#answer.resolve(new Response(null, { status: 499 }));
    this.onclose?.();
    return Promise.resolve();
  }

  /** Passes the call to the connected server and waits for the answer. */
  async run(call: Call): Promise<Response> {
    try {
      this.onmessage?.(call as JSONRPCMessage);
      return call.id === undefined
        ? new Response(null, { status: 202 })
        : await this.#answer.promise;
    } finally {
      await this.close();
    }
  }
}
