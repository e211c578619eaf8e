/**
 * Reads request bodies: checks their type, and limits their size, their time, and the memory that
 * all of them use together.
 *
 * @module
 */

import { joinBytes } from "../lib/bytes.ts";
import { startTimer } from "../lib/timers.ts";
import { bad, HttpError } from "./errors.ts";

/** How long a body may stall, in milliseconds. */
const IDLE_MS = 30_000;
/** How long a body may take, in milliseconds, */
const TOTAL_MS = 60_000;
/** plus one millisecond per this many bytes received, which is 8 KiB per second. */
const BYTES_PER_MS = 8192 / 1000;
/** How much of the body of a refused request is read, in bytes, */
const DRAIN_BYTES = 64 * 1024;
/** and for how long, in milliseconds. */
const DRAIN_MS = 1_000;
/** The memory for all bodies together, in bytes. */
const ALL_BODIES = 64 << 20;
/** Bodies up to this size in bytes are read at once, which is twice as fast. */
const READ_AT_ONCE = 64 * 1024;
/** Bodies up to this size in bytes may use the memory reserved for small ones. */
const SMALL_BODY = 16 * 1024;
/** The memory that a large body reserves before reading, and for small pieces, in bytes. */
const STEP = 16 * 1024;
/** Pieces of at least this many bytes are kept as they are. */
const KEPT_PIECE = 2 * 1024;
/** How often to look for overdue reads, in milliseconds. */
const SWEEP_MS = 250;

/** `application/json` or `application/*+json`, in any letter case, with or without parameters. */
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

/** Form fields, as browsers and OAuth clients send them. */
const FORM_TYPE = /^application\/x-www-form-urlencoded[ \t]*(?:;.*)?$/i;

/** Whether the body is declared as JSON or, with `form`, as form fields. */
export function isDeclared(request: Request, as: "json" | "form"): boolean {
  const type = request.headers.get("content-type");
  return type !== null && (as === "json" ? JSON_TYPE : FORM_TYPE).test(type);
}

function tooLarge(limit: number): HttpError {
  return new HttpError(413, "Usage", "request body is too large", {
    hint:
      `Send at most ${limit} bytes at once. The operator of the server can raise --max-body-bytes.`,
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
    hint: "Try again in a moment. The operator of the server can raise --max-bodies-bytes.",
    headers: [["retry-after", "1"]],
  });
}

/** The memory that all bodies share. */
class Budget {
  readonly #most: number;
  readonly #mostLarge: number;
  #taken = 0;

  /**
   * @param most the memory for all bodies, in bytes
   * @param largest the largest body; as much memory is reserved for small ones
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
 * The received part of a large body. Small pieces are combined, so that a body that arrives byte by
 * byte takes no more memory than one that arrives at once.
 */
class Gathered {
  total = 0;
  readonly #budget: Budget;
  #taken = 0;
  #pieces: Uint8Array[] = [];
  #room = new Uint8Array();

  /** Reserves memory before the first read. */
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
    if (piece.length >= KEPT_PIECE) {
      this.#take(piece.length);
      this.#pieces.push(piece);
      this.#room = new Uint8Array(); // Later pieces come after it.
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

  /** The whole body; releases the memory beyond its length. */
  whole(): Uint8Array<ArrayBuffer> {
    const bytes = joinBytes(this.#pieces);
    this.#budget.give(this.#taken - this.total);
    return bytes;
  }

  /** Releases all of its memory. */
  drop(): void {
    this.#budget.give(this.#taken);
  }
}

function brokenOff(): HttpError {
  return bad("request body broke off", "Send the whole body.");
}

/** A read in progress. */
interface Reading {
  readonly reject: (error: HttpError) => void;
  readonly due: number;
}

/**
 * The reads in progress, all watched by one timer. Time is counted in sweeps, because reading the
 * clock for every request would be too expensive.
 */
class Deadlines {
  readonly #open = new Set<Reading>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #sweeps = 0;

  add(reject: (error: HttpError) => void, ms: number): Reading {
    const reading = { reject, due: this.#sweeps + 1 + Math.ceil(ms / SWEEP_MS) };
    this.#open.add(reading);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS);
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

/** Limits for bodies; each has a default. */
export interface BodyLimits {
  /** How long a body may stall, in milliseconds. */
  readonly idleMs?: number | undefined;
  /** How long a slow body may take, in milliseconds. */
  readonly totalMs?: number | undefined;
  /** The memory for all bodies together, in bytes. */
  readonly together?: number | undefined;
}

/** Reads the bodies of one server. */
export class BodyReader {
  readonly #limit: number;
  readonly #idle: number;
  readonly #total: number;
  readonly #budget: Budget;
  readonly #deadlines = new Deadlines();

  /** @param limit the largest body in bytes */
  constructor(limit: number, { idleMs = IDLE_MS, totalMs = TOTAL_MS, together }: BodyLimits = {}) {
    this.#limit = limit;
    this.#idle = idleMs;
    this.#total = totalMs;
    this.#budget = new Budget(together ?? ALL_BODIES, limit);
  }

  /** Memory of all bodies that are being read or used, in bytes. */
  get taken(): number {
    return this.#budget.taken;
  }

  /**
   * Reads the whole body. Its memory counts as used until {@linkcode BodyReader.done}.
   *
   * @throws {HttpError} 413 over the limit, 408 when it stalls, 400 when it is cut short, 503 when
   *   other bodies use all memory
   */
  read(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    const declared = request.headers.get("content-length");
    const length = declared === null ? -1 : Number(declared);
    if (length > this.#limit) return Promise.reject(tooLarge(this.#limit));
    if (length >= 0 && length <= READ_AT_ONCE) return this.#whole(request, length);
    return this.#pieces(request);
  }

  /** Releases the memory of a body. */
  done(bytes: Uint8Array): void {
    this.#budget.give(bytes.length);
  }

  #whole(request: Request, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const budget = this.#budget;
    return new Promise((resolve, reject) => {
      budget.take(length, length > SMALL_BODY);
      let late = false;
      const reading = this.#deadlines.add((error) => {
        late = true;
        budget.give(length);
        reject(error);
      }, Math.min(this.#idle, this.#total));
      request.bytes().then((bytes) => {
        if (late) return;
        this.#deadlines.delete(reading);
        // In a request made in process, the declared length can be wrong.
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

  /** Reads a large body, or one of unknown size. */
  async #pieces(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    if (request.body === null) return new Uint8Array();
    const reader = request.body.getReader();
    const began = performance.now();
    const gathered = new Gathered(this.#budget);
    try {
      for (;;) {
        const { total } = gathered;
        const left = this.#total + total / BYTES_PER_MS - (performance.now() - began);
        if (left <= 0) throw tooSlow();
        const { value, done } = await this.#next(reader, Math.min(this.#idle, left));
        if (done) return gathered.whole();
        if (total + value.length > this.#limit) throw tooLarge(this.#limit);
        gathered.add(value);
      }
    } catch (error) {
      gathered.drop();
      reader.cancel().catch(() => {}); // The connection will be closed anyway.
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

  /** Ends all reads in progress. */
  close(): void {
    this.#deadlines.close();
  }
}

/** Reads and discards the body of a refused request, within limits of size and time. */
export async function drain(request: Request): Promise<void> {
  if (request.body === null || request.bodyUsed) return;
  const reader = request.body.getReader();
  const late = startTimer(() => void reader.cancel().catch(() => {}), DRAIN_MS);
  try {
    for (let left = DRAIN_BYTES; left > 0;) {
      const { value, done } = await reader.read();
      if (done) return;
      left -= value.length;
    }
  } catch {
    // It was cut short: no one waits for the answer.
  } finally {
    clearTimeout(late);
    reader.cancel().catch(() => {}); // The rest is not read.
  }
}
