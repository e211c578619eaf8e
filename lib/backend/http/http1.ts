/**
 * An HTTP/1.1 client connection: sends a request and reads its response in pieces. Requests are
 * sent once; retrying is up to the caller.
 *
 * @module
 */

import { type Socket, WrongScheme } from "./socket.ts";

/** The longest line of a head or of chunk sizes, in characters. */
const LONGEST_LINE = 16 * 1024;
/** The maximum number of lines in a head. */
const MOST_LINES = 200;
/** Bodies up to this size are sent together with the head, in bytes. */
const SMALL = 64 * 1024;

const latin1 = new TextDecoder("latin1");

/** A request. */
export interface Request {
  /** `POST` */
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** All headers except the length. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body; undefined for none. */
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
}

/** A response; the caller reads the body. */
export interface Answer {
  /** `200` */
  readonly status: number;
  /** The value of a header; null if it is missing. */
  header(name: string): string | null;
  /** The next piece of the body, null at its end; valid until the next call. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Discards the rest of the body. */
  cancel(): void;
}

/** How the end of a body is determined. */
type Framing = "length" | "chunked" | "close";

const NOTHING = new Uint8Array();

/** A connection for one request at a time. */
export class Connection {
  /** Whether any part of the response to the current request has arrived. */
  answered = false;
  /** When the last response was read to its end, in `performance.now()` time. */
  idleSince = 0;
  readonly #socket: Socket;
  readonly #onIdle: (connection: Connection) => void;
  /** Bytes that have arrived; those from `#at` on have not been read. */
  #piece: Uint8Array<ArrayBuffer> = NOTHING;
  #at = 0;
  /** A read started while nothing is expected, to detect the end of an idle connection. */
  #watching: Promise<Uint8Array<ArrayBuffer> | null> | null = null;
  #idle = false;
  #written = false;
  #closed = false;

  /** @param onIdle called when the response was read to its end and the next request may be sent */
  constructor(socket: Socket, onIdle: (connection: Connection) => void) {
    this.#socket = socket;
    this.#onIdle = onIdle;
  }

  /** Whether it was closed, by either side. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Closes the connection. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  /** Detects the end of the connection while it is idle; does not keep the process alive. */
  rest(): void {
    this.#idle = true;
    this.idleSince = performance.now();
    const watching = this.#watching = this.#socket.read();
    this.#socket.keepAlive(false);
    // End of stream or unexpected bytes: either way, the connection is no longer usable.
    const over = (): void => {
      if (this.#idle) this.close();
    };
    watching.then(over, over);
  }

  /**
   * Sends a request and reads the head of its response. The signal aborts both and the reading of
   * the body.
   */
  async send(request: Request, signal: AbortSignal): Promise<Answer> {
    if (this.#idle) this.#socket.keepAlive(true);
    this.#idle = this.#written = this.answered = false;
    const aborted = (): void => this.close();
    signal.addEventListener("abort", aborted, { once: true });
    const settled = (): void => signal.removeEventListener("abort", aborted);
    if (signal.aborted) this.close();
    try {
      // Read while writing, because a server may reject a large body before receiving all of it. If
      // the write fails, the read fails too.
      this.#write(request).then(() => this.#written = true, () => {});
      return await this.#answer(request, signal, settled);
    } catch (error) {
      settled();
      this.close();
      throw signal.aborted ? signal.reason : error;
    }
  }

  async #write({ method, target, headers, body }: Request): Promise<void> {
    let head = `${method} ${target} HTTP/1.1\r\n`;
    for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
    if (body !== undefined) head += `content-length: ${body.length}\r\n`;
    const first = new TextEncoder().encode(`${head}\r\n`);
    if (body === undefined || body.length > SMALL) {
      await this.#socket.write(first);
      if (body !== undefined) await this.#socket.write(body);
      return;
    }
    const whole = new Uint8Array(first.length + body.length);
    whole.set(first);
    whole.set(body, first.length);
    await this.#socket.write(whole);
  }

  async #answer(request: Request, signal: AbortSignal, settled: () => void): Promise<Answer> {
    const { version, status, headers } = await this.#head();
    const { framing, length } = framingOf(request.method, status, headers);
    const reusable = version === 1 && framing !== "close" &&
      !/\bclose\b/i.test(headers.get("connection") ?? "");
    const body = new Body(this, framing, length);
    const finish = (): void => {
      settled();
      if (!reusable || !this.#written || this.#at < this.#piece.length) this.close();
      if (!this.#closed) this.#onIdle(this);
    };
    const bodyless = framing === "length" && length === 0;
    if (bodyless) finish();
    let over = bodyless;
    return {
      status,
      header: (name) => headers.get(name) ?? null,
      read: async () => {
        if (over) return null;
        try {
          const piece = await body.next();
          if (piece !== null) return piece;
        } catch (error) {
          over = true;
          settled();
          this.close();
          throw signal.aborted ? signal.reason : error;
        }
        over = true;
        finish();
        return null;
      },
      cancel: () => {
        if (over) return;
        over = true;
        settled();
        this.close();
      },
    };
  }

  async #head(): Promise<{ version: number; status: number; headers: Map<string, string> }> {
    for (;;) {
      const line = await this.line();
      const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(line);
      if (match === null) throw new Error("the answer is not HTTP/1.1");
      const headers = await this.#headers();
      const status = Number(match[2]);
      if (status === 101 || status < 100) throw new Error(`unexpected status ${status}`);
      if (status >= 200) return { version: Number(match[1]), status, headers };
    }
  }

  async #headers(): Promise<Map<string, string>> {
    const headers = new Map<string, string>();
    for (let count = 0;; count++) {
      const line = await this.line();
      if (line === "") return headers;
      const colon = line.indexOf(":");
      if (colon <= 0 || count >= MOST_LINES) throw new Error("malformed headers in the answer");
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      const before = headers.get(name);
      headers.set(name, before === undefined ? value : `${before}, ${value}`);
    }
  }

  /** Reads a line, without its end. */
  async line(): Promise<string> {
    for (let text = "";;) {
      if (this.#at === this.#piece.length) await this.fill();
      const end = this.#piece.indexOf(0x0a, this.#at);
      const stop = end < 0 ? this.#piece.length : end;
      text += latin1.decode(this.#piece.subarray(this.#at, stop));
      if (text.length > LONGEST_LINE) throw new Error("a line of the answer is too long");
      this.#at = end < 0 ? stop : end + 1;
      if (end >= 0) return text.endsWith("\r") ? text.slice(0, -1) : text;
    }
  }

  /** Returns up to `most` of the available bytes. */
  take(most: number): Uint8Array<ArrayBuffer> {
    const piece = this.#piece.subarray(this.#at, this.#at + most);
    this.#at += piece.length;
    return piece;
  }

  /** Whether bytes are available. */
  get available(): boolean {
    return this.#at < this.#piece.length;
  }

  /** Waits for bytes; returns false at the end of the stream if that is allowed here. */
  async fill(mayEnd = false): Promise<boolean> {
    const reading = this.#watching ?? this.#socket.read();
    this.#watching = null;
    const piece = await reading;
    if (piece === null) {
      if (mayEnd) return false;
      throw new Error(
        this.answered
          ? "the connection ended inside the answer"
          : "the connection ended before the answer",
      );
    }
    const [type, major] = piece;
    // The first bytes of a TLS record: an alert, or a handshake.
    if (!this.answered && (type === 0x15 || type === 0x16) && major === 3) {
      throw new WrongScheme("https");
    }
    this.answered = true;
    this.#piece = piece;
    this.#at = 0;
    return true;
  }
}

/** The body of one response. */
class Body {
  readonly #from: Connection;
  readonly #framing: Framing;
  /** Bytes remaining in the body or in the current chunk. */
  #left: number;
  #chunks = 0;

  constructor(from: Connection, framing: Framing, length: number) {
    this.#from = from;
    this.#framing = framing;
    this.#left = length;
  }

  /** The next piece, null at the end. */
  async next(): Promise<Uint8Array<ArrayBuffer> | null> {
    const from = this.#from;
    if (this.#left === 0 && (this.#framing === "length" || !await this.#nextChunk())) return null;
    if (!from.available && !await from.fill(this.#framing === "close")) return null;
    const piece = from.take(this.#left);
    this.#left -= piece.length;
    return piece;
  }

  /** Reads the size of the next chunk; false after the last one and its trailers. */
  async #nextChunk(): Promise<boolean> {
    const from = this.#from;
    if (this.#chunks++ > 0 && await from.line() !== "") throw new Error("malformed chunk");
    const digits = /^([0-9a-f]{1,12})\s*(?:;|$)/i.exec(await from.line())?.[1];
    if (digits === undefined) throw new Error("malformed chunk size");
    this.#left = parseInt(digits, 16);
    if (this.#left > 0) return true;
    for (let count = 0; await from.line() !== "";) {
      if (++count > MOST_LINES) throw new Error("malformed trailers in the answer");
    }
    return false;
  }
}

function framingOf(
  method: string,
  status: number,
  headers: ReadonlyMap<string, string>,
): { framing: Framing; length: number } {
  if (method === "HEAD" || status === 204 || status === 304) {
    return { framing: "length", length: 0 };
  }
  const coding = headers.get("transfer-encoding");
  if (coding !== undefined) {
    if (coding.trim().toLowerCase() === "chunked") return { framing: "chunked", length: 0 };
    throw new Error(`unknown transfer coding ${coding}`);
  }
  const length = headers.get("content-length");
  if (length === undefined) return { framing: "close", length: Infinity };
  // The same length given twice counts as one.
  const [first = "", ...others] = length.split(/\s*,\s*/);
  if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first)) {
    throw new Error("malformed content-length in the answer");
  }
  return { framing: "length", length: Number(first) };
}
