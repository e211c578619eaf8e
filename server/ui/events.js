/**
 * Event streams of pools: what their lines mean, whichever way the bytes come.
 *
 * @module
 */

import { ApiError, request } from "./api.js";
import { eventsPath } from "./early.js";
import { parseAnswer } from "./json.js";

/** Without any line, even a heartbeat, for this long the connection counts as dead. */
const SILENCE_MS = 45_000;

/**
 * Opens a stream; throws ApiError if it is refused.
 * @typedef {(name: string, query: URLSearchParams, signal: AbortSignal) =>
 *   Promise<AsyncIterable<Uint8Array<ArrayBuffer>>>} Opener
 */

/** By a connection of its own. @type {Opener} */
async function alone(name, query, signal) {
  const { body } = await request(eventsPath(name, query), { signal });
  const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (body).getReader();
  return (async function* () {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  })();
}

/**
 * Reads an event stream to its end. An error event is thrown as ApiError with status 200.
 * @param {string} name
 * @param {URLSearchParams} query
 * @param {AbortSignal} signal
 * @param {{open: () => void, batch: (lines: string[]) => void, next?: (seq: bigint) => void,
 *   unreadable?: (from: bigint, to: bigint) => void}} to `batch` gets the JSON texts of the messages in a chunk,
 *   `next` the position of a stream without matches, `unreadable` what the server cannot read
 * @param {Opener | null} [shared] another way to open it
 */
export async function events(name, query, signal, to, shared) {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal.addEventListener("abort", abort);
  let timer = setTimeout(abort, SILENCE_MS);
  try {
    const pieces = await (shared ?? alone)(name, query, stop.signal);
    to.open();
    const decoder = new TextDecoder();
    let rest = "";
    let kind = "message";
    for await (const bytes of pieces) {
      clearTimeout(timer);
      timer = setTimeout(abort, SILENCE_MS);
      const lines = decoder.decode(bytes, { stream: true }).split("\n");
      lines[0] = rest + (lines[0] ?? "");
      rest = lines.pop() ?? "";
      /** @type {string[]} */
      let batch = [];
      // What came before a line is handed out before it: a position behind it would drop it.
      const hand = () => {
        if (batch.length) to.batch(batch);
        batch = [];
      };
      for (const line of lines) {
        if (line.startsWith("data:")) {
          const text = line.slice(line[5] === " " ? 6 : 5);
          if (kind === "message") {
            batch.push(text);
            continue;
          }
          hand();
          if (kind === "error") throw new ApiError(200, parseAnswer(text).error);
          const { from, to: last } = parseAnswer(text).unreadable;
          to.unreadable?.(BigInt(from), BigInt(last));
        } else if (line.startsWith("event:")) kind = line.slice(6).trim();
        else if (line.startsWith(": next ")) {
          hand();
          to.next?.(BigInt(line.slice(7)));
        }
      }
      hand();
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof ApiError ? error : new ApiError(0);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    stop.abort();
  }
}
