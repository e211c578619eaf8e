/**
 * Standard input, output and error. All output of the program goes through here and is written
 * exactly once, whatever the state of the descriptor and however slow its reader.
 *
 * O_NONBLOCK belongs to the open file, not to a process: any process that shares our pipe can set
 * it at any time. Then a write may be accepted in part, or not at all (`WouldBlock`). Deno's stderr
 * reports which. Its stdout does not: it goes through a line buffer of 1024 bytes (Rust's
 * `LineWriter`). If the system accepts only a part, some of the rest is put into that buffer,
 * flushing the buffer fails, and the count is lost. So output is written in pieces for which the
 * error alone tells how much was accepted:
 *
 * - up to the last newline within what the system writes atomically: on `WouldBlock` nothing was
 *   accepted;
 * - 1024 bytes or more without a newline, which bypass the buffer: on `WouldBlock` nothing was
 *   accepted, and a partial write is counted;
 * - less than that without a newline: it is in the buffer, and must be flushed, not repeated.
 *
 * @module
 */

import { mayTrySystemFiles } from "./environment.ts";

/** The capacity of the line buffer in Deno's stdout. */
const LINE_BUFFER = 1024;
/** What a pipe accepts atomically: PIPE_BUF. */
const PIPE_PIECE = Deno.build.os === "linux" ? 4096 : 512;
/** A UNIX socket accepts atomically what fits in half the smallest possible send buffer. */
const SOCKET_PIECE = 2048;
/** How far to search for the end of a long line, in bytes. */
const LOOK_AHEAD = 256 * 1024;
/** The longest pause of a writer whose reader is not reading, in milliseconds. */
const LONGEST_PAUSE = 16;
/** The largest queue of a stream that is written in the background, in bytes. */
const BACKGROUND = 1024 * 1024;

const NEWLINE = 0x0a;
const NOTHING = new Uint8Array(0);

/** A piece of output, and whether it stays in the line buffer when flushing fails. */
export interface Piece {
  /** Where it ends. */
  readonly end: number;
  /** Whether it stays in the line buffer when a write fails. */
  readonly buffered: boolean;
}

/**
 * The next piece from `at` for which the error alone tells how much was accepted.
 *
 * @param atomic how many bytes the system writes atomically: 1 on a terminal, `Infinity` where a
 *   write is never refused
 */
export function nextPiece(bytes: Uint8Array, at: number, atomic: number): Piece {
  const { length } = bytes;
  if (length - at <= atomic && (atomic === Infinity || bytes[length - 1] === NEWLINE)) {
    return { end: length, buffered: false };
  }
  const lines = bytes.subarray(at, Math.min(at + atomic, length)).lastIndexOf(NEWLINE);
  if (lines >= 0) return { end: at + lines + 1, buffered: false };
  const line = bytes.subarray(at, at + LOOK_AHEAD).indexOf(NEWLINE);
  const end = line >= 0 ? at + line : Math.min(at + LOOK_AHEAD, length);
  return { end, buffered: end - at < LINE_BUFFER };
}

/** The state of one write, done piece by piece. */
class PendingWrite {
  readonly #bytes: Uint8Array;
  readonly #atomic: number;
  #at = 0;
  #piece: Piece = { end: 0, buffered: false };
  /** Whether a piece is still in the line buffer. */
  #inLineBuffer = false;
  #pause = 1;

  constructor(bytes: Uint8Array, atomic: number) {
    this.#bytes = bytes;
    this.#atomic = atomic;
  }

  /** How many bytes the system has certainly accepted. */
  get accepted(): number {
    return this.#inLineBuffer ? Math.max(0, this.#at - LINE_BUFFER) : this.#at;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length && !this.#inLineBuffer;
  }

  /** The next bytes to write; empty to flush the line buffer only. */
  next(): Uint8Array {
    if (this.#inLineBuffer) return NOTHING;
    const { end } = this.#piece = nextPiece(this.#bytes, this.#at, this.#atomic);
    return this.#at === 0 && end === this.#bytes.length
      ? this.#bytes
      : this.#bytes.subarray(this.#at, end);
  }

  /** Records that `count` bytes were accepted. */
  took(count: number): void {
    this.#at += count;
    this.#inLineBuffer = false;
    this.#pause = 1;
  }

  /**
   * Handles a refused write: returns the pause before the next attempt in milliseconds, or throws
   * if the error is permanent.
   */
  refused(error: unknown): number {
    if (!isMomentary(error)) throw error;
    if (this.#piece.buffered && !this.#inLineBuffer) {
      this.#at = this.#piece.end;
      this.#inLineBuffer = true;
    }
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE);
    return pause;
  }
}

/** How a write is watched and ended. */
export interface WriteOptions {
  /** Called whenever the system has accepted some of the bytes, with their number so far. */
  readonly accepted?: (count: number) => void;
  /**
   * Tells whether a piece that is written atomically would not wait: then it is written at once,
   * which is faster.
   */
  readonly hasRoom?: (() => boolean) | undefined;
  /** Once it is aborted, no further piece is written, and the write rejects with its reason. */
  readonly signal?: AbortSignal;
}

const PLAIN: WriteOptions = {};

/** Standard output or standard error. */
export class StandardStream {
  readonly #stream: typeof Deno.stdout | typeof Deno.stderr;
  #terminal: boolean | undefined;
  #atomic: number | undefined;
  #background = false;
  #queued: { readonly bytes: Uint8Array; readonly options: WriteOptions }[] = [];
  #size = 0;
  #writing: Promise<void> | undefined;

  private constructor(stream: typeof Deno.stdout | typeof Deno.stderr) {
    this.#stream = stream;
  }

  /** Standard output. */
  static readonly stdout: StandardStream = new StandardStream(Deno.stdout);
  /** Standard error. */
  static readonly stderr: StandardStream = new StandardStream(Deno.stderr);

  /** Whether it is a terminal. */
  get isTerminal(): boolean {
    return this.#terminal ??= this.#stream.isTerminal();
  }

  /** Whether another process may read stdout, and end before us: not so for files and devices. */
  get isRead(): boolean {
    if (this.isTerminal) return false;
    const info = stdoutInfo();
    return info === null || !(info.isFile || info.isCharDevice === true);
  }

  /** How many bytes the system writes atomically; see {@linkcode nextPiece}. */
  get #piece(): number {
    return this.#atomic ??= this.#stream === Deno.stderr || Deno.build.os === "windows"
      ? Infinity // Not buffered: accepted bytes are always counted.
      : this.isTerminal
      ? 1
      : atomicSize();
  }

  /**
   * Writes all bytes, after all earlier writes, before it returns. While an asynchronous write is
   * in progress the bytes are copied and queued instead.
   *
   * Throws the system's error when the stream is closed.
   */
  writeSync(bytes: Uint8Array): void {
    if (this.#background || this.#writing !== undefined) return this.#queue(bytes.slice());
    for (const passage = new PendingWrite(bytes, this.#piece); !passage.done;) {
      try {
        passage.took(this.#stream.writeSync(passage.next()));
      } catch (error) {
        waitInPlace(passage.refused(error));
      }
    }
  }

  /**
   * Writes all bytes, after all earlier writes, without blocking the event loop. The bytes must not
   * change until it resolves. Rejects with the system's error when the stream is closed.
   *
   * @returns the number of bytes
   */
  async write(bytes: Uint8Array, options: WriteOptions = PLAIN): Promise<number> {
    this.#queued.push({ bytes, options });
    this.#size += bytes.length;
    await (this.#writing ??= this.#drain());
    return bytes.length;
  }

  /**
   * From now on {@linkcode StandardStream.writeSync} does not wait for the reader; for processes
   * that serve others. Output beyond a limited queue is dropped.
   */
  writeInBackground(): void {
    this.#background = true;
  }

  /** Waits until everything is written, at most `ms` milliseconds. */
  async settle(ms: number): Promise<void> {
    if (this.#writing === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([this.#writing.catch(() => {}), late]);
    clearTimeout(timer);
  }

  #queue(bytes: Uint8Array): void {
    if (this.#background && this.#size > BACKGROUND) return;
    this.write(bytes).catch(() => {}); // The caller that awaits the write in progress gets the error.
  }

  async #drain(): Promise<void> {
    try {
      for (let next = this.#queued.shift(); next !== undefined; next = this.#queued.shift()) {
        await this.#writeOne(next.bytes, next.options);
        this.#size -= next.bytes.length;
      }
    } finally {
      this.#queued = [];
      this.#size = 0;
      this.#writing = undefined;
    }
  }

  async #writeOne(bytes: Uint8Array, options: WriteOptions): Promise<void> {
    const { accepted, hasRoom, signal } = options;
    const stream = this.#stream;
    for (const passage = new PendingWrite(bytes, this.#piece); !passage.done;) {
      signal?.throwIfAborted();
      try {
        const next = passage.next();
        const isShort = next.length <= this.#piece;
        passage.took(
          isShort && hasRoom?.() === true ? stream.writeSync(next) : await stream.write(next),
        );
      } catch (error) {
        await sleep(passage.refused(error));
      }
      accepted?.(passage.accepted);
    }
  }
}

/** Whether the same call may succeed shortly. */
function isMomentary(error: unknown): boolean {
  return error instanceof Deno.errors.WouldBlock || error instanceof Deno.errors.Interrupted;
}

/** What stdout is; null where the system does not tell, or may not be asked. */
function stdoutInfo(): Deno.FileInfo | null {
  if (Deno.build.os !== "linux" || !mayTrySystemFiles()) return null;
  try {
    return Deno.statSync("/proc/self/fd/1");
  } catch {
    return null; // There is no /proc, or it may not be read.
  }
}

/** How many bytes a stdout that is not a terminal writes atomically. */
function atomicSize(): number {
  const info = stdoutInfo();
  if (info === null) return PIPE_PIECE;
  if (info.isFile) return Infinity; // O_NONBLOCK has no effect on files.
  if (!info.isSocket) return PIPE_PIECE;
  try {
    return isUnixSocket(info.ino) ? SOCKET_PIECE : 1;
  } catch {
    return PIPE_PIECE;
  }
}

function isUnixSocket(inode: number | null): boolean {
  return Deno.readTextFileSync("/proc/self/net/unix").split("\n")
    .some((line) => Number(line.split(/\s+/)[6]) === inode);
}

let cell: Int32Array | undefined;

function waitInPlace(ms: number): void {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, ms);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Standard input; when it is non-blocking, reads wait instead of reporting the end. */
export const standardInput = {
  /** Whether it is a terminal. */
  get isTerminal(): boolean {
    return Deno.stdin.isTerminal();
  },

  /** Reads some bytes, blocking; null at the end. */
  readSync(into: Uint8Array): number | null {
    for (;;) {
      try {
        return Deno.stdin.readSync(into);
      } catch (error) {
        if (!isMomentary(error)) throw error;
        if (error instanceof Deno.errors.WouldBlock) waitInPlace(1);
      }
    }
  },

  /** Reads some bytes; null at the end. */
  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      try {
        return await Deno.stdin.read(into);
      } catch (error) {
        if (!isMomentary(error)) throw error;
        if (error instanceof Deno.errors.WouldBlock) {
          await sleep(1);
        }
      }
    }
  },
};
