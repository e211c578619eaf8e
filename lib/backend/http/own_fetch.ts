/**
 * Sends requests with a `fetch` supplied by the caller. Loaded only if there is one.
 *
 * @module
 */

import type { SendOptions } from "./connections.ts";
import { messages } from "./error.ts";
import type { Answer, Request as Sent } from "./http1.ts";
import { ConnectFailure } from "./socket.ts";

/** Names that Deno and Node give to failures before any byte of the request was sent. */
const NEVER_SENT =
  /client error \(Connect\)|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|CERT|certificate/;

/** Headers that a browser sets itself; setting them explicitly would trigger a CORS preflight. */
const SET_BY_BROWSER = ["host", "user-agent"];

/** Whether this is a browser, which cannot send a stream over HTTP/1.1. */
const IN_BROWSER = typeof Deno === "undefined";

/** Sends a request to the server `base` using `own`. */
export async function sendThrough(
  own: typeof fetch,
  base: URL,
  { method, target, headers, body }: Sent,
  { signal, repeatable, onSend }: SendOptions,
): Promise<Answer> {
  onSend();
  const init: RequestInit & { duplex: "half" } = {
    method,
    headers: new Headers(
      headers.filter(([name]) => !IN_BROWSER || !SET_BY_BROWSER.includes(name))
        .map(([name, value]): [string, string] => [name, value]),
    ),
    // A stream can be read only once: Deno's `fetch` resends other bodies automatically.
    body: body === undefined || repeatable || IN_BROWSER ? body ?? null : new Blob([body]).stream(),
    duplex: "half",
    redirect: "manual",
    signal,
  };
  let response: Response;
  try {
    response = await own(new URL(target, base), init);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const unsent = NEVER_SENT.test(`${code} ${messages(error).join(" ")}`);
    throw unsent && !signal.aborted ? new ConnectFailure(error) : error;
  }
  const reader = response.body?.getReader();
  return {
    status: response.status,
    header: (name) => response.headers.get(name),
    read: async () => {
      const piece = await reader?.read();
      return piece === undefined || piece.done ? null : piece.value;
    },
    cancel: () => void reader?.cancel().catch(() => {}), // It is discarded either way.
  };
}
