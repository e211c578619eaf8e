/**
 * Copies a pipe of the child to our own stream and into the pool, at the pace of the slower one.
 *
 * @module
 */

import type { PoolHandle } from "../backend/types.ts";
import { ErrorKind, messageOf, PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { LOCK_LIMIT } from "../storage/lock_wait.ts";
import type { StandardStream } from "../stdio.ts";
import { nowNs } from "../text/time.ts";
import { startTimer } from "../timers.ts";
import type { LineCapture } from "./tap_lines.ts";

/** How often to check during a wait for a lock whether the child has ended, in milliseconds. */
const LOOK_EVERY = 250;

/** Appends batches; waits for the lock without a limit while the child runs. */
export class Recorder {
  /** The end of the child, in `performance.now()` time. */
  endedAt: number = Infinity;
  readonly #pool: PoolHandle;
  readonly #flush: boolean;

  /** Appends to `pool`, synced when `flush`. */
  constructor(pool: PoolHandle, flush: boolean) {
    this.#pool = pool;
    this.#flush = flush;
  }

  /** Stores a whole batch and clears it. */
  async store(batch: FrameBatch): Promise<void> {
    let since = performance.now();
    let from = 0;
    const stored = (at: number, count: number): void => {
      from = at + count;
      since = performance.now();
    };
    while (from < batch.count) {
      const request = { flush: this.#flush, from, lockMs: LOOK_EVERY, stored };
      try {
        const waiting = this.#pool.append(batch, request);
        if (waiting !== undefined) await waiting;
      } catch (error) {
        if (!PlasmiteError.is(error, ErrorKind.Busy)) throw error;
        if (performance.now() - Math.max(since, this.endedAt) > LOCK_LIMIT) throw error;
      }
    }
    batch.clear();
  }
}

/** One of our own streams; copying ends when its reader is gone. */
export class PassThrough {
  readonly #stream: StandardStream;
  readonly #name: string;
  #closed: boolean;
  #failure: PlasmiteError | undefined;

  /** @param quiet whether to copy nothing */
  constructor(stream: StandardStream, name: string, quiet: boolean) {
    this.#stream = stream;
    this.#name = name;
    this.#closed = quiet;
  }

  /**
   * Writes all bytes without blocking the event loop, so that signals reach the child while a
   * reader is slow. Never rejects: {@linkcode PassThrough.check} reports failures.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#stream.write(bytes);
    } catch (error) {
      this.#closed = true;
      if (!(error instanceof Deno.errors.BrokenPipe)) this.#failure = this.#explain(error);
    }
  }

  /** @throws {PlasmiteError} Io if a write failed, other than for a closed pipe */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #explain(error: unknown): PlasmiteError {
    return new PlasmiteError("Io", `failed to write ${this.#name}`, {
      hint: "Make room or choose another destination, or use --quiet.",
      causes: [messageOf(error)],
      cause: error,
    });
  }
}

/** Reads one stream to its end. */
export class Pump {
  /** The number of reads that returned bytes. */
  reads = 0;
  /** The number of bytes read. */
  bytes = 0;
  /** Whether it is waiting for output. */
  waiting = false;
  /** Whether the stream has ended. */
  done = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #out: PassThrough;
  readonly #lines: LineCapture;
  readonly #recorder: Recorder;

  /** Creates a pump; {@linkcode Pump.run} does the work. */
  constructor(
    stream: ReadableStream<Uint8Array>,
    out: PassThrough,
    lines: LineCapture,
    recorder: Recorder,
  ) {
    this.#reader = stream.getReader();
    this.#out = out;
    this.#lines = lines;
    this.#recorder = recorder;
  }

  /** @throws {PlasmiteError} if the pool or our stream fails; the child continues */
  async run(): Promise<void> {
    const lines = this.#lines;
    const { batch } = lines;
    for (;;) {
      this.waiting = true;
      const { value: chunk } = await this.#reader.read();
      this.waiting = false;
      if (chunk === undefined) break;
      this.reads++;
      this.bytes += chunk.length;
      const passing = this.#out.write(chunk);
      lines.stamp(nowNs());
      for (let at = 0; at < chunk.length;) {
        at = lines.push(chunk, at);
        if (batch.count > 0) await this.#recorder.store(batch);
      }
      await passing;
      this.#out.check();
    }
    lines.stamp(nowNs());
    lines.end();
    await this.#recorder.store(batch);
    this.done = true;
  }

  /** Stops reading; what was read is still recorded. */
  async stop(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}

/** How many quiet moments in a row end reading, since background processes may hold the pipes. */
const QUIET_TICKS = 6;
const TICK = 50;
/** And so much output after the end, over so long, is not the child's any more. */
const AFTER_BYTES = 4 * 1024 * 1024;
const AFTER_MS = 2000;

/** Reads what the child left in the pipes, for a limited time. */
export async function drain(pumps: readonly Pump[], finished: Promise<unknown>): Promise<void> {
  let over = false;
  const settled = finished.then(() => over = true, () => over = true);
  const since = performance.now();
  const bytes = pumps.map((pump) => pump.bytes);
  const reads = pumps.map((pump) => pump.reads);
  const quiet = pumps.map(() => 0);
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tick = new Promise<void>((resolve) => timer = startTimer(resolve, TICK));
    await Promise.race([settled, tick]);
    clearTimeout(timer);
    if (over) return;
    for (const [i, pump] of pumps.entries()) {
      if (pump.done) continue;
      const idle = pump.waiting && pump.reads === reads[i];
      quiet[i] = idle ? (quiet[i] ?? 0) + 1 : 0;
      reads[i] = pump.reads;
      const endless = performance.now() - since > AFTER_MS &&
        pump.bytes - (bytes[i] ?? 0) > AFTER_BYTES;
      if ((quiet[i] ?? 0) >= QUIET_TICKS || endless) await pump.stop();
    }
  }
}
