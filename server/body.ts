/**
 * Reading request bodies: by type, up to a size, within a time, and within the memory that all of
 * them together may take.
 *
 * @module
 */

import { joinBytes } from "../lib/bytes.ts";
import { startTimer } from "../lib/timers.ts";
import { bad, HttpError } from "./errors.ts";

/** How long a body may stand still, in milliseconds. */
const IDLE = 30_000;
/** How long a body may take, in milliseconds, … */
const TOTAL = 60_000;
/** … and one more millisecond for each so many bytes that came: 8 KiB a second are fair. */
const FAIR = 8192 / 1000;
/** How much of the body of a refused request is read, in bytes, … */
const DRAINED = 64 * 1024;
/** … and for how long, in milliseconds. */
const DRAIN_TIME = 1_000;
/** What bodies may take together, in bytes. */
const TOGETHER = 64 << 20;
/** Bodies up to this many bytes are read whole, which is twice as fast, within one idle time. */
const AT_ONCE = 64 * 1024;
/** Bodies up to this many bytes may use the memory that is kept for small ones. */
const SMALL = 16 * 1024;
/** Memory that a large body takes before anything of it is read, and for its small pieces. */
const STEP = 16 * 1024;
/** Pieces from this many bytes on are kept as they come. */
const WHOLE = 2 * 1024;
/** How often overdue reads are looked for, in milliseconds. */
const SWEEP = 250;

/** `application/json` or `application/*+json`, any letter case, parameters allowed. */
const JSON_TYPE = /^application\/(?:json|[a-z0-9!#$&^_.-]+\+json)[ \t]*(?:;.*)?$/i;
/** JSON lines. */
const LINES_TYPE = /^application\/(?:jsonl|x-ndjson|ndjson)[ \t]*(?:;.*)?$/i;

function wrongType(expected: string): HttpError {
  return new HttpError(415, "Usage", `expected request with content-type ${expected}`, {
    hint: `Send \`Content-Type: ${expected}\`.`,
  });
}

/** @throws {HttpError} 415 unless the body is declared as JSON */
export function requireJson(request: Request): void {
  const type = request.headers.get("content-type");
  if (type === "application/json" || (type !== null && JSON_TYPE.test(type))) return;
  throw wrongType("application/json");
}

/** @throws {HttpError} 415 unless the body is declared as JSON lines */
export function requireLines(request: Request): void {
  const type = request.headers.get("content-type");
  if (type === null || !LINES_TYPE.test(type)) throw wrongType("application/jsonl");
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, "Usage", "request body is too large", {
    hint:
      `Send at most ${limit} bytes at once. Whoever runs the server can raise --max-body-bytes.`,
  });
}

function tooSlow(): HttpError {
  return new HttpError(408, "Io", "request body did not arrive in time", {
    hint: "Send the body without long pauses.",
    headers: [["connection", "close"]],
  });
}

function noRoom(): HttpError {
  return new HttpError(503, "Busy", "too many request bodies at once", {
    hint: "Try again in a moment. Whoever runs the server can raise --max-bodies-bytes.",
    headers: [["retry-after", "1"]],
  });
}

/** The memory that all bodies share. */
class Budget {
  readonly #most: number;
  readonly #mostLarge: number;
  #taken = 0;

  /**
   * @param most bytes in all
   * @param largest the largest body; the last part of the memory is for small ones alone
   */
  constructor(most: number, largest: number) {
    this.#most = Math.max(most, largest);
    this.#mostLarge = Math.max(largest, this.#most - (this.#most >> 3));
  }

  get taken(): number {
    return this.#taken;
  }

  take(bytes: number, large: boolean): void {
    if (this.#taken + bytes > (large ? this.#mostLarge : this.#most)) throw noRoom();
    this.#taken += bytes;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

/**
 * What has come of a large body. Small pieces are put together, so that a body that comes a byte at a
 * time takes no more memory than one that comes at once.
 */
class Gathered {
  total = 0;
  readonly #budget: Budget;
  #taken = 0;
  #pieces: Uint8Array[] = [];
  #room = new Uint8Array();

  /** Memory for what is read next is taken before it is read. */
  constructor(budget: Budget) {
    this.#budget = budget;
    this.#take(STEP);
  }

  #take(bytes: number): void {
    this.#budget.take(bytes, true);
    this.#taken += bytes;
  }

  add(piece: Uint8Array): void {
    this.total += piece.length;
    if (piece.length >= WHOLE) {
      this.#take(piece.length);
      this.#pieces.push(piece);
      this.#room = new Uint8Array(); // What comes later stands behind it.
      return;
    }
    if (piece.length > this.#room.length) {
      this.#take(STEP);
      this.#room = new Uint8Array(STEP);
      this.#pieces.push(this.#room.subarray(0, 0));
    }
    const last = this.#pieces.length - 1;
    const before = this.#pieces[last] ?? this.#room;
    this.#room.set(piece);
    this.#room = this.#room.subarray(piece.length);
    const { buffer, byteOffset } = before;
    this.#pieces[last] = new Uint8Array(buffer, byteOffset, before.length + piece.length);
  }

  /** All of it; of its memory only so much stays taken. */
  whole(): Uint8Array<ArrayBuffer> {
    const bytes = joinBytes(this.#pieces);
    this.#budget.give(this.#taken - this.total);
    return bytes;
  }

  /** Gives everything back. */
  drop(): void {
    this.#budget.give(this.#taken);
  }
}

function brokenOff(): HttpError {
  return bad("request body broke off", "Send the whole body.");
}

/** One read that is under way. */
interface Reading {
  readonly reject: (error: HttpError) => void;
  readonly due: number;
}

/**
 * Reads that are under way, watched by one timer for all of them. Time is counted in sweeps: looking
 * at the clock for every request would cost more than it is worth.
 */
class Deadlines {
  readonly #open = new Set<Reading>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #sweeps = 0;

  add(reject: (error: HttpError) => void, ms: number): Reading {
    const reading = { reject, due: this.#sweeps + 1 + Math.ceil(ms / SWEEP) };
    this.#open.add(reading);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP);
    return reading;
  }

  delete(reading: Reading): void {
    this.#open.delete(reading);
  }

  #sweep(): void {
    this.#sweeps++;
    for (const reading of this.#open) {
      if (this.#sweeps < reading.due) continue;
      this.#open.delete(reading);
      reading.reject(tooSlow());
    }
    if (this.#open.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  close(): void {
    for (const { reject } of this.#open) reject(tooSlow());
    this.#open.clear();
    this.#sweep();
  }
}

/** How bodies are read; everything has a default. */
export interface BodyLimits {
  /** How long a body may stand still, in milliseconds. */
  readonly idleMs?: number | undefined;
  /** How long a body that does not flow at a fair rate may take, in milliseconds. */
  readonly totalMs?: number | undefined;
  /** What all bodies may take together, in bytes. */
  readonly together?: number | undefined;
}

/** Reads bodies for one server. */
export class BodyReader {
  readonly #limit: number;
  readonly #idle: number;
  readonly #total: number;
  readonly #budget: Budget;
  readonly #deadlines = new Deadlines();

  /** @param limit the largest body in bytes */
  constructor(limit: number, { idleMs = IDLE, totalMs = TOTAL, together }: BodyLimits = {}) {
    this.#limit = limit;
    this.#idle = idleMs;
    this.#total = totalMs;
    this.#budget = new Budget(together ?? TOGETHER, limit);
  }

  /** Bytes of all bodies that are being read or worked with. */
  get taken(): number {
    return this.#budget.taken;
  }

  /**
   * The whole body. Its memory counts until {@linkcode BodyReader.done} is told that it is not
   * needed any more.
   *
   * @throws {HttpError} 413 over the limit, 408 when it stops arriving, 400 when it breaks off, 503
   *   when other bodies take all memory
   */
  read(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    const declared = request.headers.get("content-length");
    const length = declared === null ? -1 : Number(declared);
    if (length > this.#limit) return Promise.reject(tooLarge(this.#limit));
    if (length >= 0 && length <= AT_ONCE) return this.#whole(request, length);
    return this.#pieces(request);
  }

  /** Gives back what a body took. */
  done(bytes: Uint8Array): void {
    this.#budget.give(bytes.length);
  }

  #whole(request: Request, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const budget = this.#budget;
    return new Promise((resolve, reject) => {
      budget.take(length, length > SMALL);
      let late = false;
      const reading = this.#deadlines.add((error) => {
        late = true;
        budget.give(length);
        reject(error);
      }, Math.min(this.#idle, this.#total));
      request.bytes().then((bytes) => {
        if (late) return;
        this.#deadlines.delete(reading);
        // A request that was never on a wire may declare what it likes.
        budget.give(length - bytes.length);
        if (bytes.length <= this.#limit) return resolve(bytes);
        budget.give(bytes.length);
        reject(tooLarge(this.#limit));
      }, () => {
        if (late) return;
        this.#deadlines.delete(reading);
        budget.give(length);
        reject(brokenOff());
      });
    });
  }

  /** Large bodies, or of unknown size. */
  async #pieces(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    if (request.body === null) return new Uint8Array();
    const reader = request.body.getReader();
    const began = performance.now();
    const gathered = new Gathered(this.#budget);
    try {
      for (;;) {
        const { total } = gathered;
        const left = this.#total + total / FAIR - (performance.now() - began);
        if (left <= 0) throw tooSlow();
        const { value, done } = await this.#next(reader, Math.min(this.#idle, left));
        if (done) return gathered.whole();
        if (total + value.length > this.#limit) throw tooLarge(this.#limit);
        gathered.add(value);
      }
    } catch (error) {
      gathered.drop();
      reader.cancel().catch(() => {}); // The connection is given up anyway.
      throw error instanceof HttpError ? error : brokenOff();
    }
  }

  #next(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    ms: number,
  ): Promise<ReadableStreamReadResult<Uint8Array>> {
    return new Promise((resolve, reject) => {
      const reading = this.#deadlines.add(reject, ms);
      reader.read().then(resolve, reject).finally(() => this.#deadlines.delete(reading));
    });
  }

  /** Gives up what is still being read. */
  close(): void {
    this.#deadlines.close();
  }
}

/** Reads the body of a request that is refused, up to a size and for a moment, and drops it. */
export async function drain(request: Request): Promise<void> {
  if (request.body === null || request.bodyUsed) return;
  const reader = request.body.getReader();
  const late = startTimer(() => void reader.cancel().catch(() => {}), DRAIN_TIME);
  try {
    for (let left = DRAINED; left > 0;) {
      const { value, done } = await reader.read();
      if (done) return;
      left -= value.length;
    }
  } catch {
    // It broke off: nobody waits for the answer.
  } finally {
    clearTimeout(late);
    reader.cancel().catch(() => {}); // What is left is not read.
  }
}
