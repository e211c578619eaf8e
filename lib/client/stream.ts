/**
 * The blocking streams of the reference's Node binding, for programs that have nothing else to do.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { sleepSync } from "../storage/lock_wait.ts";
import { Follower, type Start } from "../backend/local/follower.ts";
import { Message } from "./message.ts";
import { type Lite3Frame, takeFrame } from "../backend/frames.ts";

/** How often a blocking stream polls, in milliseconds. */
const PAUSE = 1;
/** The timeout of `next` if none was given. */
const FOREVER = Number.POSITIVE_INFINITY;

/** The common part: blocks while waiting, ends after a count, a timeout or a gap. */
class Blocking {
  readonly #follower: Follower;
  readonly #errorOnGap: boolean;
  readonly #timeoutMs: number;
  #left: bigint;
  #done = false;

  constructor(
    path: string,
    start: Start,
    max: bigint | null,
    timeoutMs: number | null,
    errorOnGap: boolean,
  ) {
    this.#follower = new Follower(path, start, false);
    this.#left = max ?? -1n;
    this.#timeoutMs = timeoutMs ?? FOREVER;
    this.#errorOnGap = errorOnGap;
  }

  step(): Follower | null {
    const deadline = performance.now() + this.#timeoutMs;
    while (!this.#done && this.#left !== 0n) {
      if (this.#follower.next()) {
        const gap = this.#follower.takeGap();
        if (gap !== null && this.#errorOnGap) {
          this.#done = true;
          throw new PlasmiteError("RetentionGap", "retention gap", {
            seq: gap.first,
            hint: `Messages ${gap.first} to ${gap.last} were overwritten before they were read.`,
          });
        }
        if (this.#left > 0n) this.#left--;
        return this.#follower;
      }
      this.#follower.checkIdentity();
      if (performance.now() >= deadline) return null;
      sleepSync(PAUSE);
    }
    return null;
  }

  close(): void {
    this.#done = true;
    this.#follower.close();
  }
}

/**
 * A blocking stream of message envelopes as UTF-8 JSON text.
 *
 * @example Read envelopes without async code
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ n: 1 });
 * using stream = pool.openStream(1, 1); // From message 1, one message.
 * for (const json of stream) {
 *   console.assert(JSON.parse(new TextDecoder().decode(json)).data.n === 1);
 * }
 * ```
 */
export class Stream implements Iterable<Uint8Array>, Disposable {
  readonly #inner: Blocking;

  /** For internal use: call {@linkcode Pool.openStream}. */
  constructor(...args: ConstructorParameters<typeof Blocking>) {
    this.#inner = new Blocking(...args);
  }

  /** Returns the next envelope; null at the end or after the timeout. Blocks the event loop. */
  nextJson(): Uint8Array | null {
    const follower = this.#inner.step();
    if (follower === null) return null;
    const { seq, timestampNs, payload } = takeFrame(follower);
    return new Message(seq, timestampNs, { payload, integers: "auto" }).raw;
  }

  /** Iterates over all envelopes until the end. */
  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let item = this.nextJson(); item !== null; item = this.nextJson()) yield item;
  }

  /** Closes the stream and its file. */
  close(): void {
    this.#inner.close();
  }

  /** Closes the stream and its file. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A blocking stream of stored frames.
 *
 * @example Copy stored messages to another pool
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using source = client.pool("source");
 * using target = client.pool("target");
 * source.append({ n: 1 });
 * using stream = source.openLite3Stream(1, 1); // From message 1, one message.
 * for (const frame of stream) target.appendLite3(frame.payload);
 * console.assert(target.bounds().newestSeq === 1n);
 * ```
 */
export class Lite3Stream implements Iterable<Lite3Frame>, Disposable {
  readonly #inner: Blocking;

  /** For internal use: call {@linkcode Pool.openLite3Stream}. */
  constructor(...args: ConstructorParameters<typeof Blocking>) {
    this.#inner = new Blocking(...args);
  }

  /** Returns the next frame; null at the end or after the timeout. Blocks the event loop. */
  next(): Lite3Frame | null {
    const follower = this.#inner.step();
    return follower === null ? null : takeFrame(follower);
  }

  /** Iterates over all frames until the end. */
  *[Symbol.iterator](): Iterator<Lite3Frame> {
    for (let item = this.next(); item !== null; item = this.next()) yield item;
  }

  /** Closes the stream and its file. */
  close(): void {
    this.#inner.close();
  }

  /** Closes the stream and its file. */
  [Symbol.dispose](): void {
    this.close();
  }
}
