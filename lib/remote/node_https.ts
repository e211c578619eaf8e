/**
 * `fetch` with a trust store of its own, or with none. Deno's own client can only *add*
 * certificates to the built-in ones, and cannot leave verification out for one client (measured;
 * docs/spec/http-api.md 13), so this goes through `node:https`. Loaded only when such options are
 * given.
 *
 * @module
 */

import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";

/** Whom to trust. */
export interface Trust {
  /** The only certificates to trust, as PEM; undefined for the built-in ones. */
  readonly ca: readonly string[] | undefined;
  /** Accept any certificate of any host. */
  readonly skipVerify: boolean;
}

/** A `fetch` and its connections. */
export interface TrustedFetch {
  /** Sends a request; redirects are not followed. */
  fetch(url: URL, init: TrustedInit): Promise<Response>;
  /** Closes idle connections. */
  close(): void;
}

/** The part of `RequestInit` that is understood. */
export interface TrustedInit {
  /** The method. */
  readonly method: string;
  /** The headers; the length of the body is added. */
  readonly headers: Headers;
  /** What is sent. */
  readonly body?: Uint8Array<ArrayBuffer> | string | undefined;
  /** Ends the request, and its answer while that is being read. */
  readonly signal: AbortSignal;
}

/** The body as a stream that is read no faster than it is asked for. */
function bodyOf(message: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  let over = false;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      const end = (error?: Error): void => {
        if (over) return;
        over = true;
        if (error === undefined) controller.close();
        else controller.error(error);
      };
      message.on("data", (chunk: Uint8Array) => {
        if (over) return;
        controller.enqueue(new Uint8Array(chunk));
        if ((controller.desiredSize ?? 0) <= 0) message.pause();
      });
      message.on("end", () => end(message.complete ? undefined : cut()));
      message.on("error", (error: Error) => end(error));
      message.on("aborted", () => end(cut()));
      message.on("close", () => end(message.complete ? undefined : cut()));
      message.pause();
    },
    pull: () => {
      message.resume();
    },
    cancel: () => {
      over = true;
      message.destroy();
    },
  }, { highWaterMark: 1 });
}

function cut(): Error {
  return new Error("connection closed before the body was complete");
}

/** Makes a `fetch` for https with `trust`. Throws when a certificate cannot be used. */
export function trustedFetch(trust: Trust): TrustedFetch {
  const agent = new Agent({
    keepAlive: true,
    ...(trust.skipVerify
      ? { rejectUnauthorized: false }
      : trust.ca === undefined
      ? {}
      : { ca: [...trust.ca] }),
  });
  return {
    fetch: (url, { method, headers, body, signal }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
        const sent = request(url, {
          agent,
          method,
          headers: {
            ...Object.fromEntries(headers),
            ...(bytes === undefined ? {} : { "content-length": String(bytes.length) }),
          },
        });
        const aborted = (): void => {
          sent.destroy();
          reject(signal.reason);
        };
        signal.addEventListener("abort", aborted, { once: true });
        sent.on("close", () => signal.removeEventListener("abort", aborted));
        sent.on("error", reject);
        sent.on("response", (message: IncomingMessage) => {
          const answer = new Headers();
          for (const [name, value] of Object.entries(message.headers)) {
            for (const one of Array.isArray(value) ? value : [value]) {
              if (one !== undefined) answer.append(name, one);
            }
          }
          const status = message.statusCode ?? 0;
          const bare = status === 204 || status === 304 || method === "HEAD" || status < 200;
          if (bare) message.resume();
          // A stream whose headers are here is ended by its reader, or by this signal.
          signal.addEventListener("abort", () => message.destroy(), { once: true });
          resolve(
            new Response(bare ? null : bodyOf(message), {
              status: status < 200 ? 200 : status,
              headers: answer,
            }),
          );
        });
        if (bytes === undefined) sent.end();
        else sent.end(bytes);
      }),
    close: () => agent.destroy(),
  };
}
