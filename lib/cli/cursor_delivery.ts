/**
 * Delivers and acknowledges messages read with a cursor
 * (docs/spec/coordination.md 2).
 *
 * @module
 */

import type { Cursor } from "../backend/coordination.ts";
import type { Walk } from "../backend/types.ts";
import type { Awaitable, FrameBytes } from "../types.ts";
import type { CommandContext } from "./context.ts";
import { type MessageWriter, WRITE_AT } from "./message_writer.ts";

/** From this size in bytes, check before a write whether it would block. */
const MANY = 32 * 1024;

/** Delivers messages and acknowledges them. */
export interface Delivery {
  /** Whether there are unacknowledged messages; the cursor must not move past them. */
  readonly isHolding: boolean;
  /** Whether messages must be acknowledged before more can be delivered. */
  readonly isFull: boolean;
  /** Delivers the current message of the walk; it may be buffered. */
  take(walk: Walk): Awaitable<void>;
  /** Delivers buffered messages. */
  flush(): Awaitable<void>;
  /** Waits for an acknowledgement, at most `ms` milliseconds. */
  acknowledged(ms: number): Promise<void>;
}

/** Writes messages to stdout; a message is acknowledged when the system has taken all of it. */
abstract class Written implements Delivery {
  readonly #context: CommandContext;
  readonly #writer: MessageWriter;
  readonly #halt: AbortSignal;
  /** Checks whether a short write would not block; null if unknown. */
  #hasRoom: (() => boolean) | null | undefined;
  /** The buffered messages. */
  #held = new Held();
  /** Whether messages were dropped because a write failed. */
  #hasFailed = false;

  /** @param halt aborted when the command must end, even if its output is not read */
  constructor(context: CommandContext, writer: MessageWriter, halt: AbortSignal) {
    this.#context = context;
    this.#writer = writer;
    this.#halt = halt;
  }

  abstract readonly isFull: boolean;
  abstract acknowledged(ms: number): Promise<void>;
  /** Called when a message and all earlier ones have been written. */
  protected abstract written(seq: bigint, timestampNs: bigint): Awaitable<void>;

  get isHolding(): boolean {
    return this.#hasFailed || this.#held.count > 0;
  }

  take(walk: Walk): Awaitable<void> {
    this.#writer.add(walk.message);
    this.#held.add(walk.frame, this.#writer.size);
    if (this.#writer.size >= WRITE_AT) return this.flush();
  }

  flush(): Awaitable<void> {
    if (this.#held.count > 0) return this.#flush();
  }

  async #flush(): Promise<void> {
    const held = this.#held;
    this.#held = new Held();
    this.#hasFailed = true;
    let accepted = 0;
    if (this.#hasRoom === undefined && this.#writer.size >= MANY) {
      this.#hasRoom = null;
      this.#hasRoom = (await import("./poll.ts")).stdoutRoom();
    }
    try {
      const writing = this.#context.stdout.writeWatched(this.#writer.take(), {
        accepted: (count) => accepted = count,
        hasRoom: this.#hasRoom ?? undefined,
        signal: this.#halt,
      });
      await orAborted(writing, this.#halt);
    } finally {
      const whole = held.wholeIn(accepted);
      if (whole > 0) await this.written(held.seqOf(whole - 1), held.timeOf(whole - 1));
      this.#hasFailed = whole < held.count;
    }
  }
}

/** Where buffered messages end, and their positions; plain numbers, as there may be very many. */
class Held {
  count = 0;
  readonly #ends: number[] = [];
  readonly #words: number[] = [];

  /** Adds a message that ends at byte `end` of the output. */
  add({ seqLo, seqHi, timeLo, timeHi }: FrameBytes, end: number): void {
    this.#ends.push(end);
    this.#words.push(seqLo, seqHi, timeLo, timeHi);
    this.count++;
  }

  /** How many messages are complete within the first `bytes`. */
  wholeIn(bytes: number): number {
    let count = this.count;
    while (count > 0 && (this.#ends[count - 1] ?? 0) > bytes) count--;
    return count;
  }

  seqOf(i: number): bigint {
    return this.#pair(4 * i);
  }

  timeOf(i: number): bigint {
    return this.#pair(4 * i + 2);
  }

  #pair(at: number): bigint {
    return (BigInt(this.#words[at + 1] ?? 0) << 32n) | BigInt(this.#words[at] ?? 0);
  }
}

/** Waits for a promise; rejects with the signal's reason if it is aborted first. */
async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<void>();
  const aborted = (): void => reject(signal.reason);
  signal.addEventListener("abort", aborted, { once: true });
  try {
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", aborted);
    work.catch(() => {});
  }
}

/** `--ack auto`: messages are acknowledged once written. */
export class AutoDelivery extends Written {
  readonly #cursor: Cursor;
  readonly isFull = false;

  /** @param halt see `Written` */
  constructor(
    context: CommandContext,
    cursor: Cursor,
    writer: MessageWriter,
    halt: AbortSignal,
  ) {
    super(context, writer, halt);
    this.#cursor = cursor;
  }

  async acknowledged(): Promise<void> {}

  protected async written(seq: bigint, timestampNs: bigint): Promise<void> {
    this.#cursor.deliver(seq, timestampNs);
    await this.#cursor.ack(seq);
  }
}

/** `--ack manual`: messages are acknowledged by lines on stdin. */
export class ManualDelivery extends Written {
  readonly #cursor: Cursor;
  readonly #acks: { changed(ms: number): Promise<void> };
  readonly #window: number;

  /** @param halt see `Written` */
  constructor(
    context: CommandContext,
    cursor: Cursor,
    acks: { changed(ms: number): Promise<void> },
    window: number,
    writer: MessageWriter,
    halt: AbortSignal,
  ) {
    super(context, writer, halt);
    this.#cursor = cursor;
    this.#acks = acks;
    this.#window = window;
  }

  get isFull(): boolean {
    return this.#cursor.pending >= this.#window;
  }

  override take(walk: Walk): Awaitable<void> {
    this.#cursor.deliver(walk.frame.seq, walk.frame.timestampNs);
    return super.take(walk);
  }

  acknowledged(ms: number): Promise<void> {
    return this.#acks.changed(ms);
  }

  protected written(): void {}
}
