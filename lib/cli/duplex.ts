/**
 * `plasmite duplex`: send stdin and print what others send, in one process
 * (docs/spec/command-line.md 6).
 *
 * @module
 */

import type { PoolHandle, Walk } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import { standardInput } from "../stdio.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import { DropNotices } from "./drops.ts";
import { type Sender, sendPipe } from "./duplex_send.ts";
import { MessageWriter } from "./message_writer.ts";
import { noticeOutage } from "./notices.ts";
import { findPool, openPool } from "./open.ts";
import { ReaderWatch } from "./reader_watch.ts";
import { sinceOf, TIMED_OUT, timeoutOf } from "./time_options.ts";

/** How long to wait for our own last message after the end of input, in milliseconds. */
const LAST_LOOK = 5000;

/** The line being typed, which shares the terminal with the messages. */
export interface Screen {
  /** Makes room for output. */
  hide(): void;
  /** Shows the line again. */
  show(): void;
}

const NO_SCREEN: Screen = { hide: () => {}, show: () => {} };

/** Runs `duplex`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const me = args.text("me");
  const chatting = standardInput.isTerminal;
  if (chatting && me === undefined) {
    const { again } = await import("./command_line.ts");
    throw new PlasmiteError("Usage", "TTY input requires --me for duplex", {
      hint: `Add your name: ${again(context, { add: ["--me", "NAME"] })}`,
    });
  }
  const now = nowNs();
  const since = sinceOf(context, now);
  const timeoutMs = await timeoutOf(context);
  const ref = await findPool(context);
  const isChat = me !== undefined && context.format === undefined && context.stdout.isTerminal;
  const plain = isChat ? "chat" : "pretty";
  const writer = await MessageWriter.open(context, { dataOnly: false, plain });
  // Both directions run concurrently: waiting for a lock must not block the other one.
  const pool = await openPool(context, ref, {
    write: true,
    serving: true,
    validate: async () => {
      const { hasNoInput, missingInput } = await import("./feed_input.ts");
      if (hasNoInput()) throw missingInput();
    },
  });
  const drops = new DropNotices(context, pool.path, false);
  using watch = new ReaderWatch(context);
  let close = (): void => {};
  try {
    if (since !== undefined && since > now) return 0;
    const tail = args.count("tail") ?? 0;
    // Starts before anything is sent, so that nothing is missed.
    const walk = await select(context, pool, tail, since);
    const receiver = new Receiver(walk, writer, drops, timeoutMs, watch.begin());
    if (tail > 0) await receiver.history();
    if (!chatting || me === undefined) {
      return await both(receiver, sendPipe(pool));
    }
    const { Chat } = await import("./duplex_chat.ts");
    const chat = new Chat(context, pool, me);
    close = () => chat.close();
    receiver.screen = chat;
    return await both(receiver, chat.run());
  } finally {
    close();
    drops.flush();
    await pool.close();
  }
}

/** Selects the messages of others: without `data.from`, or with a value other than `--me`. */
async function select(
  context: CommandContext,
  pool: PoolHandle,
  tail: number,
  since: bigint | undefined,
): Promise<Walk> {
  const { args } = context;
  const me = args.has("echo-self") ? undefined : args.text("me");
  const where = [];
  if (me !== undefined) {
    const { compileWhere } = await import("../filter/where.ts");
    where.push(await compileWhere(`(.data.from? // null) != ${JSON.stringify(me)}`));
  }
  return await pool.select({
    where,
    follow: true,
    ...(since !== undefined ? { since } : tail > 0 ? { last: tail } : { from: "end" }),
    onTrouble: (error) => noticeOutage(context, pool, error),
  });
}

/** The side that ends first decides; at the end of input our own messages are awaited. */
async function both(receiver: Receiver, sender: Sender): Promise<number> {
  const receiving = receiver.run();
  receiving.catch(() => {});
  let failure: { error: unknown } | undefined;
  const sent = sender.ended.then(() => true, (error: unknown) => {
    failure = { error };
    return true;
  });
  if (await Promise.race([sent, receiving.then(() => false)])) {
    receiver.finish(sender.last());
    if (failure !== undefined) {
      await receiving.catch(() => {});
      throw failure.error;
    }
  }
  return await receiving;
}

/** The receiving side. */
class Receiver {
  /** The line being typed. */
  screen: Screen = NO_SCREEN;
  /** The number of our own last message, after which to stop. */
  #until: bigint | undefined;
  readonly #finished = new AbortController();

  constructor(
    readonly walk: Walk,
    readonly writer: MessageWriter,
    readonly drops: DropNotices,
    readonly timeoutMs: number | undefined,
    /** Aborted when the output is closed. */
    readonly gone: AbortSignal,
  ) {}

  /** Prints the messages from before the start. */
  async history(): Promise<void> {
    const { gone, walk } = this;
    const { oldest, newest } = walk.start;
    if (oldest === 0n) return;
    for (;;) {
      this.#printReady();
      if (walk.position > newest) return;
      await walk.wait(undefined, gone);
    }
  }

  /** Continues after the end of input until message `last` has been passed. */
  finish(last: bigint): void {
    this.#until = last;
    this.#finished.abort();
  }

  async run(): Promise<number> {
    const { drops, gone, screen, timeoutMs, walk, writer } = this;
    let last = performance.now();
    let giveUp = Infinity;
    const either = AbortSignal.any([gone, this.#finished.signal]);
    try {
      for (;;) {
        if (this.#printReady()) last = performance.now();
        if (drops.pending) {
          screen.hide();
          drops.due();
          screen.show();
        }
        const now = performance.now();
        if (this.#until !== undefined) {
          if (giveUp === Infinity) giveUp = now + LAST_LOOK;
          const passed = this.#until <= walk.start.newest || walk.position > this.#until;
          if (passed || now >= giveUp) return 0;
          await walk.wait(Math.min(100, giveUp - now), gone);
          continue;
        }
        const left = timeoutMs === undefined ? undefined : last + timeoutMs - now;
        if (left !== undefined && left <= 0) return TIMED_OUT;
        try {
          await walk.wait(drops.waitMs(left ?? Infinity), either);
        } catch (error) {
          if (!this.#finished.signal.aborted || gone.aborted) throw error;
        }
      }
    } finally {
      writer.flush();
      walk.close();
    }
  }

  /** Prints available messages; returns whether anything was printed. */
  #printReady(): boolean {
    const { drops, screen, walk, writer } = this;
    let printed = false;
    let hidden = false;
    const hide = (): void => {
      if (!hidden) screen.hide();
      hidden = true;
    };
    try {
      for (;;) {
        const found = walk.next();
        const gap = walk.takeGap();
        if (gap !== null) {
          hide();
          drops.lost(gap);
        }
        if (!found || (this.#until !== undefined && walk.frame.seq > this.#until)) break;
        hide();
        writer.write(walk.message);
        printed = true;
      }
      writer.flush();
    } finally {
      if (hidden) screen.show();
    }
    return printed;
  }
}
