/**
 * The list of pools as an event stream: at the start, and again after every change
 * (docs/spec/http-api.md 3).
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import { Slice } from "../lib/storage/turns.ts";
import { pause } from "../lib/timers.ts";
import { EVENTS } from "./encodings.ts";
import { busy, saturated, SLOT_WAIT } from "./errors.ts";
import { isHead, streamHead } from "./head.ts";
import { poolsJson } from "./lists.ts";
import type { Call, RouteHost } from "./routes/route.ts";

/** The shortest time between two checks, in milliseconds; longer if a check takes long. */
const LOOK_EVERY = 200;
/** The pause after a check, as a multiple of its duration. */
const REST = 20;
/** How often an idle stream sends a heartbeat, in milliseconds. */
const BEAT = 15_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A list in pieces, without the ages, which change all the time. */
async function withoutAges(list: readonly string[]): Promise<readonly string[]> {
  const slice = new Slice();
  const facts: string[] = [];
  for (const piece of list) {
    facts.push(piece.replaceAll(/"(?:oldest|newest)_age_ms":(?:\d+|null)/g, ""));
    if (slice.over) await slice.next();
  }
  return facts;
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((piece, i) => piece === b[i]);
}

/** A stream of the pools that one caller may read. */
class PoolsStream {
  readonly #call: Call;
  readonly #host: RouteHost;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  /** The last list that was sent, without ages. */
  #seen: readonly string[] = [];
  #first: readonly string[] | null;
  /** What is left to send of an event. */
  #left: string[] = [];
  #beatAt = performance.now() + BEAT;
  #rest = LOOK_EVERY;

  constructor(call: Call, host: RouteHost, first: readonly string[]) {
    this.#call = call;
    this.#host = host;
    this.#first = first;
    const { ended } = call.grant;
    const signals = [this.#over.signal, host.stopping];
    if (ended !== undefined) signals.push(ended);
    this.#signal = AbortSignal.any(signals);
  }

  body(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#host.metrics.open++;
        this.#host.metrics.streams++;
        const end = (): void => {
          this.#host.metrics.open--;
          this.#host.tails.release();
          // Without a waiting reader nothing else would close it.
          if (!this.#over.signal.aborted) controller.close();
        };
        if (this.#signal.aborted) end();
        else this.#signal.addEventListener("abort", end, { once: true });
      },
      pull: async (controller) => {
        try {
          if (this.#left.length === 0) this.#left = await this.#next();
          const text = this.#left.shift() ?? "";
          if (!this.#signal.aborted) controller.enqueue(encoder.encode(text));
        } catch (error) {
          if (this.#signal.aborted) return;
          controller.enqueue(encoder.encode(EVENTS.failure(error) ?? ""));
          controller.close();
          this.#over.abort();
        }
      },
      cancel: () => this.#over.abort(),
    }, { highWaterMark: 0 });
  }

  /** The next event, in pieces, or a heartbeat. */
  async #next(): Promise<string[]> {
    for (;;) {
      const list = this.#first ?? await this.#look();
      this.#first = null;
      const facts = await withoutAges(list ?? []);
      if (list !== null && !areEqual(facts, this.#seen)) {
        this.#seen = facts;
        this.#beatAt = performance.now() + BEAT;
        return list.map((piece, i) =>
          `${i === 0 ? "event: pools\ndata: " : ""}${piece}${i === list.length - 1 ? "\n\n" : ""}`
        );
      }
      if (performance.now() < this.#beatAt) continue;
      this.#beatAt = performance.now() + BEAT;
      return [": keep-alive\n\n"];
    }
  }

  /** The list after a pause; null if too many other calls are in progress. */
  async #look(): Promise<readonly string[] | null> {
    await pause(this.#rest, this.#signal);
    const began = performance.now();
    try {
      return await listOf(this.#call, this.#host);
    } catch (error) {
      if (PlasmiteError.is(error) && error.isRepeatable) return null;
      throw error;
    } finally {
      this.#rest = Math.max(LOOK_EVERY, REST * (performance.now() - began));
    }
  }
}

function listOf({ grant }: Call, host: RouteHost): Promise<readonly string[]> {
  const texts = (): Promise<string[]> =>
    Array.fromAsync(poolsJson(host, grant), (piece) => decoder.decode(piece));
  return host.directory.run(SLOT_WAIT, texts, saturated);
}

/**
 * The response with the stream.
 *
 * @throws {HttpError} 423 if there are too many streams
 */
export async function poolsStream(call: Call, host: RouteHost): Promise<Response> {
  const { headers } = EVENTS;
  if (isHead(call.request)) return streamHead(200, headers);
  if (!host.tails.take()) throw busy("too many concurrent tail requests");
  try {
    const stream = new PoolsStream(call, host, await listOf(call, host));
    return new Response(stream.body(), { headers });
  } catch (error) {
    host.tails.release();
    throw error;
  }
}
