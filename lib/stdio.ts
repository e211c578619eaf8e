/**
 * Standard input, output and error. Everything the program writes goes through here and is put out
 * exactly once, whatever state the descriptor is in and however slow its reader.
 *
 * O_NONBLOCK belongs to the open file, not to a process: whoever shares our pipe may set it at any
 * time. Then a write may be taken in part, or not at all (`WouldBlock`). Deno's stderr tells which.
 * Its stdout does not: it goes through a line buffer of 1024 bytes (Rust's `LineWriter`), and when
 * the system takes a part, some of the rest is put into that buffer, the flush of the buffer fails,
 * and the count is lost. So only pieces are handed over whose fate is known from the error alone:
 *
 * - up to the last newline within what the system takes as a whole or not at all: on `WouldBlock`
 *   nothing was taken;
 * - 1024 bytes or more without a newline, which bypass the buffer: on `WouldBlock` nothing was
 *   taken, and a part is counted;
 * - less than that without a newline: it is in the buffer, and must be flushed, not repeated.
 *
 * @module
 */

import { hasEveryPermission } from "./environment.ts";

/** The capacity of the line buffer in Deno's stdout. */
const LINE_BUFFER = 1024;
/** What a pipe takes as a whole or not at all: PIPE_BUF. */
const PIPE_PIECE = Deno.build.os === "linux" ? 4096 : 512;
/** A UNIX socket takes as a whole what fits in half the smallest send buffer there can be. */
const SOCKET_PIECE = 2048;
/** How far the end of a long line is looked for. */
const LOOK_AHEAD = 256 * 1024;
/** The longest pause of a writer whose reader takes nothing, in milliseconds. */
const LONGEST_PAUSE = 16;
/** How much may wait for the reader of a stream that is written in the background, in bytes. */
const BACKGROUND = 1024 * 1024;

const NEWLINE = 0x0a;
const NOTHING = new Uint8Array(0);

/** A piece of `bytes`, and whether it rests in the line buffer when its flush fails. */
export interface Piece {
  /** Where it ends. */
  readonly end: number;
  /** Whether a failed write leaves it in the line buffer. */
  readonly buffered: boolean;
}

/**
 * The next piece from `at` whose fate is known from the error alone.
 *
 * @param atomic how many bytes the system takes as a whole or not at all: 1 on a terminal,
 *   `Infinity` where a write is never refused
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

/** One run of bytes on its way out, piece by piece. */
class Passage {
  readonly #bytes: Uint8Array;
  readonly #atomic: number;
  #at = 0;
  #piece: Piece = { end: 0, buffered: false };
  /** Whether a piece rests in the line buffer. */
  #resting = false;
  #pause = 1;

  constructor(bytes: Uint8Array, atomic: number) {
    this.#bytes = bytes;
    this.#atomic = atomic;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length && !this.#resting;
  }

  /** What to write now; nothing but the line buffer when it is empty. */
  next(): Uint8Array {
    if (this.#resting) return NOTHING;
    const { end } = this.#piece = nextPiece(this.#bytes, this.#at, this.#atomic);
    return this.#at === 0 && end === this.#bytes.length
      ? this.#bytes
      : this.#bytes.subarray(this.#at, end);
  }

  /** So many bytes of it were taken. */
  took(count: number): void {
    this.#at += count;
    this.#resting = false;
    this.#pause = 1;
  }

  /** It was refused: how long to wait before the next try, in milliseconds; throws when for good. */
  refused(error: unknown): number {
    if (!isMomentary(error)) throw error;
    if (this.#piece.buffered && !this.#resting) {
      this.#at = this.#piece.end;
      this.#resting = true;
    }
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE);
    return pause;
  }
}

/** Standard output or standard error. */
export class StandardStream {
  readonly #stream: typeof Deno.stdout | typeof Deno.stderr;
  #terminal: boolean | undefined;
  #atomic: number | undefined;
  #background = false;
  #queued: Uint8Array[] = [];
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

  /** What the system takes as a whole or not at all; see {@linkcode nextPiece}. */
  get #piece(): number {
    return this.#atomic ??= this.#stream === Deno.stderr || Deno.build.os === "windows"
      ? Infinity // Not buffered: what was taken is always counted.
      : this.isTerminal
      ? 1
      : atomicSize();
  }

  /**
   * Writes all bytes before it returns, behind everything that was given before. Only while an
   * asynchronous write is under way they are copied and follow it instead.
   *
   * Throws what the system says of a stream that takes no more.
   */
  writeSync(bytes: Uint8Array): void {
    if (this.#background || this.#writing !== undefined) return this.#queue(bytes.slice());
    for (const passage = new Passage(bytes, this.#piece); !passage.done;) {
      try {
        passage.took(this.#stream.writeSync(passage.next()));
      } catch (error) {
        waitInPlace(passage.refused(error));
      }
    }
  }

  /**
   * Writes all bytes without blocking the event loop, behind everything that was given before. They
   * must not change until then. Rejects with what the system says of a stream that takes no more.
   *
   * @returns their number
   */
  async write(bytes: Uint8Array): Promise<number> {
    this.#queued.push(bytes);
    this.#size += bytes.length;
    await (this.#writing ??= this.#drain());
    return bytes.length;
  }

  /**
   * From now on {@linkcode StandardStream.writeSync} does not wait for the reader: for processes
   * that serve others. What does not fit behind a reader that takes nothing is dropped.
   */
  writeInBackground(): void {
    this.#background = true;
  }

  /** Waits until everything is out, `ms` milliseconds at most. */
  async settle(ms: number): Promise<void> {
    if (this.#writing === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([this.#writing.catch(() => {}), late]);
    clearTimeout(timer);
  }

  #queue(bytes: Uint8Array): void {
    if (this.#background && this.#size > BACKGROUND) return;
    this.write(bytes).catch(() => {}); // Whoever waits for the write under way is told.
  }

  async #drain(): Promise<void> {
    try {
      for (let next = this.#queued.shift(); next !== undefined; next = this.#queued.shift()) {
        await this.#writeOne(next);
        this.#size -= next.length;
      }
    } finally {
      this.#queued = [];
      this.#size = 0;
      this.#writing = undefined;
    }
  }

  async #writeOne(bytes: Uint8Array): Promise<void> {
    for (const passage = new Passage(bytes, this.#piece); !passage.done;) {
      try {
        passage.took(await this.#stream.write(passage.next()));
      } catch (error) {
        await sleep(passage.refused(error));
      }
    }
  }
}

/** Whether the same call may succeed a moment later. */
function isMomentary(error: unknown): boolean {
  return error instanceof Deno.errors.WouldBlock || error instanceof Deno.errors.Interrupted;
}

/** What stdout, which is no terminal, takes as a whole or not at all. */
function atomicSize(): number {
  if (Deno.build.os !== "linux" || !hasEveryPermission()) return PIPE_PIECE;
  try {
    const info = Deno.statSync("/proc/self/fd/1");
    if (info.isFile) return Infinity; // O_NONBLOCK means nothing there.
    if (!info.isSocket) return PIPE_PIECE;
    return isUnixSocket(info.ino) ? SOCKET_PIECE : 1;
  } catch {
    return PIPE_PIECE; // No /proc here.
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

/** Standard input; a non-blocking one is waited for, never taken for its end. */
export const standardInput = {
  /** Whether it is a terminal. */
  get isTerminal(): boolean {
    return Deno.stdin.isTerminal();
  },

  /** Reads some bytes, in place; null at the end. */
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
