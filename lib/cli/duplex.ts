/**
 * `plasmite duplex`: send stdin and print what others send, in one process
 * (docs/spec/command-line.md 6).
 *
 * @module
 */

import { type FrameSource, openReader, type PoolReader } from "../backend/source.ts";
import { Walk } from "../client/walk.ts";
import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { Lite3Key } from "../lite3/doc.ts";
import { Tag } from "../lite3/layout.ts";
import { Lite3Tag, type MessageView } from "../lite3/message.ts";
import { standardInput } from "../stdio.ts";
import { nowNs, parseSince } from "../text/time.ts";
import { parseDuration } from "../text/units.ts";
import type { CommandContext } from "./context.ts";
import { DropNotices } from "./drops.ts";
import { missingData, openTarget, type Sender, sendPipe } from "./duplex_send.ts";
import { MessageWriter } from "./message_writer.ts";
import { openOrCreate } from "./open.ts";
import { type PoolRef, resolveRef } from "./refs.ts";
import { ReaderWatch } from "./reader_watch.ts";
import { refuseRemoteFlags } from "./remote.ts";
import { lastOf, type Matcher, passes } from "./select.ts";
import type { Bounds, Gap } from "../types.ts";

/** Exit code when `--timeout` runs out. */
const TIMED_OUT = 124;
/** How long the receiving side looks for one's own last message after the end of input, in ms. */
const LAST_LOOK = 5000;

/** What shares the terminal with the messages: the line that is being typed. */
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
    throw new PlasmiteError("Usage", "TTY input requires --me for duplex", {
      hint: `Add your name: plasmite duplex ${args.required("POOL")} --me NAME`,
    });
  }
  const now = nowNs();
  const sinceText = args.text("since");
  const since = sinceText === undefined ? undefined : parseSince(sinceText, now);
  const timeout = args.text("timeout");
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout);
  const ref = resolveRef(args.required("POOL"), context);
  const writer = await MessageWriter.open(context, { dataOnly: false, plain: "pretty" });
  const reader = await openPool(context, ref);
  const drops = new DropNotices(context, reader.path, false);
  using watch = new ReaderWatch(context);
  let close = (): void => {};
  try {
    if (since !== undefined && since > now) return 0;
    const target = await openTarget(context, ref);
    close = () => target.close();
    const match = others(args.has("echo-self") ? undefined : me);
    const receiver = new Receiver(reader, writer, drops, match, timeoutMs, watch.signal);
    await receiver.history(args.count("tail") ?? 0, since);
    if (!chatting || me === undefined) {
      return await both(receiver, sendPipe(target, args.required("POOL")));
    }
    const { Chat } = await import("./duplex_chat.ts");
    const chat = new Chat(context, target, me);
    close = () => {
      chat.close();
      target.close();
    };
    receiver.screen = chat;
    return await both(receiver, chat.run());
  } finally {
    close();
    drops.flush();
    reader.close();
  }
}

async function openPool(context: CommandContext, ref: PoolRef): Promise<PoolReader> {
  if (ref.kind === "local") {
    refuseRemoteFlags(context);
    return await openOrCreate(context, ref, openReader, async () => {
      const { hasNoInput } = await import("./feed_input.ts");
      if (hasNoInput()) throw missingData(ref.ref);
    });
  }
  if (context.args.has("create")) {
    throw new PlasmiteError("Usage", "remote duplex does not support --create", {
      hint: "Create the pool server-side, with `plasmite pool create` there.",
    });
  }
  const { openRemoteReader } = await import("./remote_read.ts");
  return await openRemoteReader(context, ref);
}

/** All messages but those whose `data.from` is `me`. */
function others(me: string | undefined): Matcher {
  if (me === undefined) return { tags: [], wheres: [] };
  const from = new Lite3Key("from");
  const name = new Lite3Tag(me);
  const where: Where = {
    expression: "",
    failed: 0,
    isNative: true,
    batch: () => {
      throw new Error("only what is not native is judged in batches");
    },
    matches: (view: MessageView): boolean => {
      const { doc, dataAt } = view;
      if (doc.tag(dataAt) !== Tag.Object) return true;
      const at = doc.lookup(dataAt, from);
      return at < 0 || doc.tag(at) !== Tag.String || !sameText(view, at, name);
    },
  };
  return { tags: [], wheres: [where] };
}

function sameText({ doc }: MessageView, at: number, name: Lite3Tag): boolean {
  const { dv } = name;
  if (doc.stringLength(at) !== dv.byteLength) return false;
  const start = doc.stringStart(at);
  for (let i = 0; i < dv.byteLength; i++) {
    if (doc.dv.getUint8(start + i) !== dv.getUint8(i)) return false;
  }
  return true;
}

/** The side that finishes first decides; at the end of input what one sent is awaited. */
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
  /** Where somebody may be typing. */
  screen: Screen = NO_SCREEN;
  #source: FrameSource | undefined;
  #since: bigint | undefined;
  /** Newest sequence number when it began. */
  #newest = 0n;
  #seen = 0n;
  #until: bigint | undefined;
  readonly #finished = new AbortController();

  constructor(
    readonly reader: PoolReader,
    readonly writer: MessageWriter,
    readonly drops: DropNotices,
    readonly match: Matcher,
    readonly timeoutMs: number | undefined,
    /** Aborted when nobody reads any more. */
    readonly gone: AbortSignal,
  ) {}

  /** Prints the last `tail` messages of others, or prepares to begin at a time. */
  async history(tail: number, since: bigint | undefined): Promise<void> {
    const { reader, writer } = this;
    const { oldest, newest } = await reader.bounds();
    this.#newest = newest;
    this.#seen = newest;
    let start = newest + 1n;
    if (since !== undefined && oldest !== 0n) {
      this.#since = since;
      start = oldest;
    }
    // Opened before anything is sent, so that nothing is missed.
    this.#source = reader.open(start, true);
    if (tail > 0) await this.#last(tail, { oldest, newest });
    writer.flush();
  }

  /** Prints the last `count` messages of others. */
  async #last(count: number, bounds: Bounds): Promise<void> {
    const { drops, match, reader, writer } = this;
    const lost = (gap: Gap): void => drops.lost(gap);
    const { from, matches } = await lastOf(reader, bounds, count, match, lost, {
      signal: this.gone,
    });
    const walk = new Walk(reader, from, bounds.newest, {
      visit: ({ cursor, message }) => {
        const { seqLo, seqHi } = cursor;
        if (matches?.has(seqLo, seqHi) ?? passes(match, message)) writer.write(message, cursor);
        return false;
      },
      gap: lost,
    });
    try {
      await walk.run(Infinity, this.gone);
    } finally {
      walk.close();
    }
  }

  /** The end of input: go on until the message `last` has been passed. */
  finish(last: bigint): void {
    this.#until = last;
    this.#finished.abort();
  }

  async run(): Promise<number> {
    const source = this.#source;
    if (source === undefined) throw new Error("history comes first");
    const { drops, screen, timeoutMs, writer } = this;
    let last = performance.now();
    let giveUp = Infinity;
    const either = AbortSignal.any([this.gone, this.#finished.signal]);
    try {
      for (;;) {
        if (this.#printReady(source)) last = performance.now();
        if (drops.pending) {
          screen.hide();
          drops.due();
          screen.show();
        }
        const now = performance.now();
        if (this.#until !== undefined) {
          if (giveUp === Infinity) giveUp = now + LAST_LOOK;
          if (this.#seen >= this.#until || now >= giveUp) return 0;
          await source.wait(Math.min(100, giveUp - now), this.gone);
          continue;
        }
        const left = timeoutMs === undefined ? undefined : last + timeoutMs - now;
        if (left !== undefined && left <= 0) return TIMED_OUT;
        try {
          await source.wait(left, either);
        } catch (error) {
          if (!this.#finished.signal.aborted || this.gone.aborted) throw error;
        }
      }
    } finally {
      writer.flush();
      source.close();
    }
  }

  /** Prints what is there; returns whether anything was printed. */
  #printReady(source: FrameSource): boolean {
    const { drops, screen, writer } = this;
    let printed = false;
    let hidden = false;
    const hide = (): void => {
      if (!hidden) screen.hide();
      hidden = true;
    };
    try {
      while (source.next()) {
        const gap = source.takeGap();
        if (gap !== null) {
          hide();
          drops.lost(gap);
        }
        const { seq, timestampNs } = source.cursor;
        this.#seen = seq;
        const early = this.#since !== undefined && seq <= this.#newest && timestampNs < this.#since;
        if (!early && passes(this.match, source.message)) {
          hide();
          writer.write(source.message, source.cursor);
          printed = true;
        }
        if (this.#until !== undefined && seq >= this.#until) break;
      }
      writer.flush();
    } finally {
      if (hidden) screen.show();
    }
    return printed;
  }
}
