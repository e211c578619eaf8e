/**
 * Reading request bodies: by type, up to a size, within a time (docs/spec/http-api.md 4, 6, 13).
 *
 * @module
 */

import { joinBytes } from "../lib/bytes.ts";
import { bad, HttpError } from "./errors.ts";

/** How long a body may stand still, in milliseconds. */
const IDLE = 30_000;
/** Bodies up to this many bytes are read whole, which is twice as fast, within one such time. */
const SMALL = 64 * 1024;
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
    hint: `The limit is ${limit} bytes (--max-body-bytes); split the request.`,
  });
}

function tooSlow(): HttpError {
  return new HttpError(408, "Io", "request body did not arrive in time", {
    hint: "Send the body without long pauses.",
    headers: [["connection", "close"]],
  });
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

/** Reads bodies for one server. */
export class BodyReader {
  readonly #limit: number;
  readonly #idle: number;
  readonly #deadlines = new Deadlines();

  /**
   * @param limit the largest body in bytes
   * @param idle how long a body may stand still, in milliseconds
   */
  constructor(limit: number, idle: number = IDLE) {
    this.#limit = limit;
    this.#idle = idle;
  }

  /**
   * The whole body.
   *
   * @throws {HttpError} 413 over the limit, 408 when it stops arriving, 400 when it breaks off
   */
  read(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    const declared = request.headers.get("content-length");
    const length = declared === null ? -1 : Number(declared);
    if (length > this.#limit) return Promise.reject(tooLarge(this.#limit));
    if (length < 0 || length > SMALL) return this.#pieces(request);
    return new Promise((resolve, reject) => {
      const reading = this.#deadlines.add(reject, this.#idle);
      request.bytes().then((bytes) => {
        this.#deadlines.delete(reading);
        // In-process requests may declare what they like.
        if (bytes.length > this.#limit) reject(tooLarge(this.#limit));
        else resolve(bytes);
      }, () => {
        this.#deadlines.delete(reading);
        reject(bad("request body broke off", "Send the whole body."));
      });
    });
  }

  async #pieces(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    if (request.body === null) return new Uint8Array();
    const reader = request.body.getReader();
    const pieces: Uint8Array[] = [];
    let total = 0;
    try {
      for (;;) {
        const { value, done } = await this.#next(reader);
        if (done) break;
        total += value.length;
        if (total > this.#limit) throw tooLarge(this.#limit);
        pieces.push(value);
      }
    } catch (error) {
      reader.cancel().catch(() => {}); // The connection is given up anyway.
      if (error instanceof HttpError) throw error;
      throw bad("request body broke off", "Send the whole body.");
    }
    return joinBytes(pieces);
  }

  #next(
    reader: ReadableStreamDefaultReader<Uint8Array>,
  ): Promise<ReadableStreamReadResult<Uint8Array>> {
    return new Promise((resolve, reject) => {
      const reading = this.#deadlines.add(reject, this.#idle);
      reader.read().then(resolve, reject).finally(() => this.#deadlines.delete(reading));
    });
  }

  /** Gives up what is still being read. */
  close(): void {
    this.#deadlines.close();
  }
}
