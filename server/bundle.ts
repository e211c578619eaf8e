/**
 * A bundle: the streams of one caller in one answer, because a browser has six connections to a
 * server for all its tabs together (docs/spec/http-api.md 3).
 *
 * Of each stream at most one chunk is held, and they take turns: a busy one delays the others by a
 * chunk, and a client that does not read stops them all.
 *
 * @module
 */

import { newSecret } from "../lib/access/key.ts";
import { joinBytes } from "../lib/bytes.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import type { Grant } from "../lib/types.ts";
import { startTimer } from "../lib/timers.ts";
import {
  bad,
  busy,
  errorJson,
  errorResponse,
  HttpError,
  isServerFault,
  stopping,
} from "./errors.ts";
import type { RouteHost } from "./routes/route.ts";
import type { TailStream } from "./tail.ts";

/** The largest number of streams in a bundle. */
export const MOST_STREAMS = 256;

const encoder = new TextEncoder();
const line = (text: string): Uint8Array => encoder.encode(`${text}\n`);

/** A stream that is to be opened. */
export interface Wanted {
  /** What its lines are marked with. */
  readonly key: string;
  /** Opens it. */
  readonly open: () => Promise<TailStream>;
}

/** One stream of a bundle. */
class Part {
  readonly key: string;
  /** Closes it. */
  close = (): void => {};
  isClosed = false;
  /** What is to be sent next, until a reader takes it. */
  next: { readonly bytes: Uint8Array; readonly taken: () => void } | null = null;

  constructor(key: string) {
    this.key = JSON.stringify(key);
  }
}

/** Several streams in one answer. */
export class Bundle {
  /** Its name, which nobody can guess. */
  readonly id: string = newSecret();
  /** Who opened it. */
  readonly subject: string;
  readonly #host: RouteHost;
  readonly #parts = new Map<string, Part>();
  /** The streams that have something to send, in the order of their turns. */
  #ready: Part[] = [];
  #wake = (): void => {};
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #over = false;
  #greeted = false;
  #beatAt = 0;
  /** When its last stream ended. */
  #emptyAt = performance.now();
  #unread: ReturnType<typeof setTimeout> | undefined;
  /** Aborted when the rights of its caller end, or the server stops. */
  readonly #ends: AbortSignal;
  readonly #ended: (bundle: Bundle) => void;

  /** Starts a bundle in a slot, which it gives back at its end. */
  constructor(host: RouteHost, { subject, ended }: Grant, over: (bundle: Bundle) => void) {
    this.subject = subject;
    this.#host = host;
    this.#ended = over;
    host.metrics.open++;
    host.metrics.streams++;
    this.#ends = ended === undefined ? host.stopping : AbortSignal.any([host.stopping, ended]);
  }

  /**
   * Closes streams, then opens others. What is wrong with one of them is said in a line of its own.
   *
   * @throws {HttpError} 400 for a key that is used already, 423 if there are too many
   */
  change(close: readonly string[], open: readonly Wanted[]): void {
    const keys = new Set(open.map(({ key }) => key));
    const stay = [...this.#parts.keys()].filter((key) => !close.includes(key));
    const twice = keys.size < open.length || stay.some((key) => keys.has(key));
    if (twice) throw bad("duplicate key", "Use a new key for every stream.");
    if (stay.length + keys.size > MOST_STREAMS) throw busy("too many streams in one bundle");
    for (const key of close) this.#close(key);
    for (const wanted of open) {
      const part = new Part(wanted.key);
      this.#parts.set(wanted.key, part);
      void this.#serve(part, wanted).finally(() => this.#drop(wanted.key, part));
    }
  }

  /** The body of the answer. */
  body(): ReadableStream<Uint8Array> {
    this.#beatAt = performance.now() + this.#host.heartbeatMs;
    this.#watch();
    if (this.#ends.aborted) this.end();
    else this.#ends.addEventListener("abort", this.end, { once: true });
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        if (this.#over) controller.close();
        else this.#controller = controller;
      },
      pull: (controller) => this.#pull(controller),
      cancel: () => {
        this.#controller = null;
        this.end();
      },
    }, { highWaterMark: 0 });
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(this.#unread);
    for (;;) {
      const bytes = this.#next();
      if (this.#over) return;
      if (bytes !== null) {
        controller.enqueue(bytes);
        this.#beatAt = performance.now() + this.#host.heartbeatMs;
        return this.#watch();
      }
      await this.#quiet();
    }
  }

  /** What is sent next, if there is something. */
  #next(): Uint8Array | null {
    if (!this.#greeted) {
      this.#greeted = true;
      return line(`{"bundle":${JSON.stringify(this.id)}}`);
    }
    const part = this.#ready.shift();
    if (part !== undefined && part.next !== null) {
      const { bytes, taken } = part.next;
      part.next = null;
      taken();
      return bytes;
    }
    const now = performance.now();
    if (now >= this.#idleUntil) this.end();
    return now < this.#beatAt ? null : line("");
  }

  /** When it ends if it stays without streams. */
  get #idleUntil(): number {
    return this.#parts.size > 0 ? Infinity : this.#emptyAt + this.#host.maxTailTimeoutMs;
  }

  /** Waits until there may be something to send. */
  #quiet(): Promise<void> {
    const until = Math.min(this.#beatAt, this.#idleUntil);
    return new Promise((resolve) => {
      const timer = startTimer(() => this.#wake(), Math.ceil(until - performance.now()));
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
    });
  }

  /** Ends everything when the client reads nothing for longer than any stream lasts. */
  #watch(): void {
    const { maxTailTimeoutMs, readerGraceMs } = this.#host;
    this.#unread = startTimer(() => {
      this.#controller?.error(new PlasmiteError("Io", "reader is too slow"));
      this.#controller = null;
      this.end();
    }, maxTailTimeoutMs + readerGraceMs);
  }

  /** Opens one stream and sends what it says, each piece when the one before has been taken. */
  async #serve(part: Part, { open }: Wanted): Promise<void> {
    let stream: TailStream;
    try {
      stream = await open();
    } catch (error) {
      return await this.#send(part, this.#refusal(part, error));
    }
    if (part.isClosed) return stream.close();
    part.close = () => stream.end();
    const reader = stream.body().getReader();
    await this.#send(part, line(`{"key":${part.key},"status":200}`));
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const head = line(`{"key":${part.key},"bytes":${value.length}}`);
        await this.#send(part, joinBytes([head, value]));
      }
    } catch (error) {
      // Its reader was too slow: the client asks again for what comes next.
      if (!PlasmiteError.is(error, ErrorKind.Io)) this.#host.fault(error);
    }
    await this.#send(part, line(`{"key":${part.key},"end":true}`));
  }

  #refusal(part: Part, error: unknown): Uint8Array {
    const { status } = errorResponse(error);
    if (isServerFault(error)) this.#host.fault(error);
    return line(`{"key":${part.key},"status":${status},${errorJson(error).slice(1)}`);
  }

  /** Offers a piece; done when it has been taken, or nobody wants it any more. */
  #send(part: Part, bytes: Uint8Array): Promise<void> {
    if (part.isClosed) return Promise.resolve();
    return new Promise((taken) => {
      part.next = { bytes, taken };
      this.#ready.push(part);
      this.#wake();
    });
  }

  #close(key: string): void {
    const part = this.#parts.get(key);
    if (part === undefined) return;
    this.#drop(key, part);
    part.isClosed = true;
    part.close();
    part.next?.taken();
    part.next = null;
    this.#ready = this.#ready.filter((other) => other !== part);
  }

  #drop(key: string, part: Part): void {
    // The key may be that of another stream by now.
    if (this.#parts.get(key) !== part) return;
    this.#parts.delete(key);
    this.#emptyAt = performance.now();
  }

  /** Ends it with all of its streams. */
  readonly end = (): void => {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#unread);
    this.#ends.removeEventListener("abort", this.end);
    for (const key of [...this.#parts.keys()]) this.#close(key);
    this.#controller?.close();
    this.#controller = null;
    this.#wake();
    this.#host.metrics.open--;
    this.#host.tails.release();
    this.#ended(this);
  };
}

/** The bundles of a server. */
export class Bundles {
  readonly #open = new Map<string, Bundle>();

  /**
   * Opens a bundle.
   *
   * @throws {HttpError} 423 if there are too many streams, 503 if the server stops
   */
  open(host: RouteHost, grant: Grant): Bundle {
    if (host.stopping.aborted) throw stopping();
    if (!host.tails.take()) throw busy("too many concurrent tail requests");
    const bundle = new Bundle(host, grant, ({ id }) => this.#open.delete(id));
    this.#open.set(bundle.id, bundle);
    return bundle;
  }

  /**
   * The bundle of this name, if it belongs to the caller.
   *
   * @throws {HttpError} 404
   */
  find(id: string, { subject }: Grant): Bundle {
    const bundle = this.#open.get(id);
    if (bundle?.subject === subject) return bundle;
    throw new HttpError(404, "NotFound", "no such bundle", {
      hint: "It has ended, or is that of another caller. Open one with POST /v0/ui/streams.",
    });
  }
}
