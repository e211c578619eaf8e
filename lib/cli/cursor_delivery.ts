/**
 * How messages read with a cursor are delivered, and when that acknowledges them
 * (docs/spec/coordination.md 2).
 *
 * @module
 */

import type { Cursor } from "../backend/coordination.ts";
import type { Walk } from "../backend/types.ts";
import type { Awaitable } from "../types.ts";
import type { CommandContext } from "./context.ts";
import { type MessageWriter, WRITE_AT } from "./message_writer.ts";

/** Delivers messages that the cursor was told of already. */
export interface Delivery {
  /** Whether no more can be delivered until some are acknowledged. */
  readonly isFull: boolean;
  /** Delivers the current message of the walk; it may be held back. */
  take(walk: Walk): Awaitable<void>;
  /** Delivers what is held back. */
  flush(): Awaitable<void>;
  /** Waits for an acknowledgement, at most `ms` milliseconds. */
  acknowledged(ms: number): Promise<void>;
}

/** Writes messages to stdout; whatever the system took whole can be acknowledged. */
abstract class Written implements Delivery {
  readonly #context: CommandContext;
  readonly #writer: MessageWriter;
  readonly #halt: AbortSignal;
  /** The messages that are held back, and where each ends. */
  #held: { readonly seq: bigint; readonly end: number }[] = [];

  /** @param halt aborted when the command is to end, even if nobody reads what it writes */
  constructor(context: CommandContext, writer: MessageWriter, halt: AbortSignal) {
    this.#context = context;
    this.#writer = writer;
    this.#halt = halt;
  }

  abstract readonly isFull: boolean;
  abstract acknowledged(ms: number): Promise<void>;
  /** Called when a message, and all before it, were written. */
  protected abstract written(seq: bigint): Awaitable<void>;

  take(walk: Walk): Awaitable<void> {
    this.#writer.add(walk.message);
    this.#held.push({ seq: walk.frame.seq, end: this.#writer.size });
    if (this.#writer.size >= WRITE_AT) return this.flush();
  }

  flush(): Awaitable<void> {
    if (this.#held.length > 0) return this.#flush();
  }

  async #flush(): Promise<void> {
    const held = this.#held;
    this.#held = [];
    let accepted = 0;
    try {
      const writing = this.#context.stdout.writeWatched(this.#writer.take(), {
        accepted: (count) => accepted = count,
        signal: this.#halt,
      });
      await orAborted(writing, this.#halt);
    } finally {
      const whole = held.findLast(({ end }) => end <= accepted);
      if (whole !== undefined) await this.written(whole.seq);
    }
  }
}

/** Waits for something; rejects with the signal's reason if that is aborted before. */
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

/** `--ack auto`: what was written is acknowledged. */
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

  protected async written(seq: bigint): Promise<void> {
    await this.#cursor.ack(seq);
  }
}

/** `--ack manual`: a line on stdin acknowledges. */
export class ManualDelivery extends Written {
  readonly #acks: { readonly pending: number; changed(ms: number): Promise<void> };
  readonly #window: number;

  /** @param halt see `Written` */
  constructor(
    context: CommandContext,
    acks: { readonly pending: number; changed(ms: number): Promise<void> },
    window: number,
    writer: MessageWriter,
    halt: AbortSignal,
  ) {
    super(context, writer, halt);
    this.#acks = acks;
    this.#window = window;
  }

  get isFull(): boolean {
    return this.#acks.pending >= this.#window;
  }

  acknowledged(ms: number): Promise<void> {
    return this.#acks.changed(ms);
  }

  protected written(): void {}
}
