/**
 * `plasmite follow`: history, live messages, finite reads and replay (docs/spec/command-line.md 5).
 *
 * @module
 */

import type { FrameSource, PoolReader } from "../backend/source.ts";
import { openReader } from "../backend/source.ts";
import { emptied, LOOK_EVERY, Walk } from "../client/walk.ts";
import { PlasmiteError } from "../errors.ts";
import { Lite3Tag } from "../lite3/message.ts";
import { nowNs, parseSince } from "../text/time.ts";
import { parseDuration } from "../text/units.ts";
import type { CommandContext } from "./context.ts";
import { DropNotices } from "./drops.ts";
import { MessageWriter } from "./message_writer.ts";
import { openOrCreate } from "./open.ts";
import { ReaderWatch } from "./reader_watch.ts";
import { type PoolRef, resolveRef } from "./refs.ts";
import { refuseRemoteFlags } from "./remote.ts";
import type { HistoryWalk, Told } from "./replay.ts";
import {
  keep,
  type Kept,
  lastMatches,
  lastOf,
  type Match,
  type Matcher,
  type Past,
  Sieve,
} from "./select.ts";
import type { Bounds, Gap } from "../types.ts";

/** Exit code when `--timeout` runs out. */
export const TIMED_OUT = 124;
/** Exit code of a finite read that lost messages. */
const LOST = 1;

/** Least patience with history that is on its way from a server, in milliseconds. */
const HISTORY_PATIENCE = 5_000;

/** What to read, as the command line says. */
interface Plan {
  readonly tail: number;
  readonly since: bigint | undefined;
  readonly one: boolean;
  readonly finite: boolean;
  readonly replay: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly notify: boolean;
  readonly match: Matcher;
}

/** Runs `follow`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const now = nowNs();
  const sinceText = args.text("since");
  const since = sinceText === undefined ? undefined : parseSince(sinceText, now);
  const timeout = args.text("timeout");
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout);
  const match = await matcher(context);
  const ref = resolveRef(args.required("POOL"), context);
  const replay = replaySpeed(context);
  const plan: Plan = {
    tail: args.count("tail") ?? 0,
    since,
    one: args.has("one"),
    finite: args.has("no-follow"),
    replay,
    timeoutMs,
    notify: !args.has("no-notify"),
    match,
  };
  const writer = await MessageWriter.open(context, {
    dataOnly: args.has("data-only"),
    plain: "pretty",
  });
  const reader = await openPool(context, ref);
  const drops = new DropNotices(context, reader.path, args.has("quiet-drops"));
  using watch = new ReaderWatch(context);
  try {
    if (since !== undefined && since > now && !plan.finite) return 0;
    const follow = new Follow(context, plan, reader, writer, drops, watch.signal);
    if (plan.replay !== undefined) return await follow.replay(plan.replay);
    return plan.finite ? await follow.finite() : await follow.live();
  } finally {
    drops.flush();
    reader.close();
  }
}

/** Tags first, then every `--where` in order; compiled before the pool is looked for. */
async function matcher(context: CommandContext): Promise<Matcher> {
  const tags = context.args.texts("tag").map((tag) => new Lite3Tag(tag));
  const wheres = [];
  if (context.args.has("where")) {
    const { compileWhere } = await import("../filter/where.ts");
    for (const expression of context.args.texts("where")) {
      wheres.push(await compileWhere(expression));
    }
  }
  return { tags, wheres };
}

function replaySpeed(context: CommandContext): number | undefined {
  const speed = context.args.float("replay");
  if (speed === undefined) return undefined;
  const usage = (message: string, hint: string): PlasmiteError =>
    new PlasmiteError("Usage", message, { hint });
  const hint = "Use 1 for the original pace, 10 for ten times as fast, 0 for no pauses.";
  if (!Number.isFinite(speed)) throw usage("--replay speed must be a finite number", hint);
  if (speed < 0) throw usage("--replay speed must be non-negative", hint);
  if (!context.args.has("since") && !(context.args.count("tail") ?? 0)) {
    throw usage("--replay requires --tail or --since", "Add --tail N or --since TIME.");
  }
  return speed;
}

async function openPool(context: CommandContext, ref: PoolRef): Promise<PoolReader> {
  if (ref.kind === "remote") {
    const { openRemoteReader } = await import("./remote_read.ts");
    return await openRemoteReader(context, ref);
  }
  refuseRemoteFlags(context);
  return await openOrCreate(context, ref, openReader);
}

/** One run of `follow` on an open pool. */
class Follow {
  constructor(
    readonly context: CommandContext,
    readonly plan: Plan,
    readonly reader: PoolReader,
    readonly writer: MessageWriter,
    readonly drops: DropNotices,
    /** Aborted when nobody reads any more. */
    readonly gone: AbortSignal,
  ) {}

  #print({ view, frame }: Match): void {
    this.writer.write(view, frame);
  }

  /** Whether the current message of `source` is as young as `--since` asks of history. */
  #young(source: FrameSource): boolean {
    const { since } = this.plan;
    return since === undefined || source.cursor.timestampNs >= since;
  }

  /** A walk through `past` up to `until`. */
  #walk({ from, matches }: Past, until: bigint, told: Told): HistoryWalk {
    const sieve = new Sieve(this.plan.match, (message) => told.emit(message));
    let stopped = false;
    const visit = (source: FrameSource): boolean => {
      if (stopped) return true;
      if (matches === null) return this.#young(source) && sieve.offer(source);
      const { cursor } = source;
      return matches.has(cursor.seqLo, cursor.seqHi) &&
        told.emit({ view: source.message, frame: cursor });
    };
    const walk = new Walk(this.reader, from, until, {
      visit: (source) => visit(source) || told.enough?.() === true,
      gap: (gap) => {
        stopped ||= sieve.flush(); // What came before the loss comes out before it.
        told.lost(gap);
      },
      idle: () => {
        if (sieve.flush()) return true;
        this.writer.flush();
        return false;
      },
    });
    return { walk, flush: () => sieve.flush() };
  }

  /** Prints the selection as it is walked over; true when time ran out. */
  async #export(past: Past, newest: bigint, deadline = Infinity): Promise<boolean> {
    const progress = await this.#progress(Number(newest - past.from));
    let count = 0;
    const { walk, flush } = this.#walk(past, newest, {
      emit: (message) => {
        this.#print(message);
        if ((++count & 1023) === 0) progress?.update(count, Number(message.frame.seq - past.from));
        return this.plan.one;
      },
      lost: (gap) => this.drops.lost(gap),
    });
    try {
      const ended = await walk.run(deadline, this.gone);
      if (ended !== "stopped") flush();
      return ended === "late";
    } finally {
      walk.close();
      progress?.end();
    }
  }

  /** Where the selection begins: at the last `--tail N` matches, or at the oldest message. */
  async #past(bounds: Bounds, deadline = Infinity): Promise<Past> {
    const { tail, match } = this.plan;
    if (tail === 0) return { from: bounds.oldest, matches: null };
    const lost = (gap: Gap): void => this.drops.lost(gap);
    return await lastOf(this.reader, bounds, tail, match, lost, {
      deadline,
      signal: this.gone,
    });
  }

  /** `--no-follow`: what is there now, then exit. */
  async finite(): Promise<number> {
    const { plan, writer } = this;
    const bounds = await this.reader.bounds();
    const deadline = plan.timeoutMs === undefined ? Infinity : performance.now() + plan.timeoutMs;
    if (plan.timeoutMs === 0) return this.#timedOut();
    if (bounds.oldest === 0n) return 0;
    const past = await this.#past(bounds, deadline);
    const late = await this.#export(past, bounds.newest, deadline);
    writer.flush();
    if (late || performance.now() >= deadline) return this.#timedOut();
    return this.drops.any ? LOST : 0;
  }

  async #progress(total: number): Promise<import("./progress.ts").Progress | undefined> {
    const { Progress } = await import("./progress.ts");
    return Progress.visible(this.context)
      ? new Progress(this.context, "exported", total)
      : undefined;
  }

  #done(): number {
    this.writer.flush();
    return 0;
  }

  #timedOut(): number {
    if (this.context.stderr.isTerminal) {
      const raw = this.context.args.text("timeout") ?? "";
      this.context.stderr.text(`No messages received (timed out after ${raw}).\n`);
    }
    return TIMED_OUT;
  }

  /** `--replay`: the selection up to now, at its own pace, then exit. */
  async replay(speed: number): Promise<number> {
    const { plan, writer } = this;
    const bounds = await this.reader.bounds();
    const limit = plan.finite ? plan.timeoutMs : undefined;
    if (limit === 0) return this.#timedOut();
    if (bounds.oldest === 0n) return 0;
    const past = await this.#past(bounds);
    if (speed === 0) {
      await this.#export(past, bounds.newest);
      writer.flush();
      return this.drops.any ? LOST : 0;
    }
    const { Player } = await import("./replay.ts");
    const player = new Player(
      (told) => this.#walk(past, bounds.newest, told),
      (gap) => this.drops.lost(gap),
      this.gone,
    );
    try {
      const inTime = await player.play(speed, limit, writer, plan.one);
      writer.flush();
      if (!inTime) return this.#timedOut();
      return this.drops.any ? LOST : 0;
    } finally {
      player.close();
    }
  }

  /**
   * `--tail N --one` keeps matches until there are N and prints the newest
   * (docs/spec/command-line.md 5.4). Returns how many are still missing; 0 when it was printed.
   */
  async #newestOf(bounds: Bounds, deadline: number): Promise<number> {
    const { tail, match } = this.plan;
    let newest: Kept | undefined;
    const remember = (message: Match): void => {
      if (newest === undefined || newest.frame.seq < message.frame.seq) {
        newest = keep(message.frame);
      }
    };
    const last = await lastMatches(this.reader, bounds, tail, match, remember, {
      deadline,
      signal: this.gone,
    });
    if (last.lost !== null) this.drops.lost(last.lost);
    if (last.count < tail || newest === undefined) return tail - last.count;
    this.#print(newest);
    return 0;
  }

  /** History as asked for, then live messages until something ends it: one stream, in order. */
  async live(): Promise<number> {
    const { plan, writer } = this;
    const bounds = await this.reader.bounds();
    const { oldest, newest } = bounds;
    const idle = plan.timeoutMs;
    let last = performance.now();
    /** A server that goes silent in the middle of history is not waited for without end. */
    const patience = idle === undefined ? Infinity : Math.max(idle, HISTORY_PATIENCE);
    let missing = 0;
    let past: Past = { from: newest + 1n, matches: null };
    if (plan.tail > 0 && plan.one) {
      missing = await this.#newestOf(bounds, last + patience);
      if (missing === 0) return this.#done();
    } else if ((plan.tail > 0 || plan.since !== undefined) && oldest !== 0n) {
      past = await this.#past(bounds, last + patience);
    }
    const source = this.reader.open(past.from, plan.notify);
    const emit = (message: Match): boolean => {
      if (--missing > 0) return false;
      this.#print(message);
      last = performance.now();
      return plan.one;
    };
    const sieve = new Sieve(plan.match, emit);
    // What is there already may still be on its way; the clock of `--timeout` starts behind it.
    let arriving = past.from <= newest;
    last = performance.now();
    try {
      for (;;) {
        while (source.next()) {
          const gap = source.takeGap();
          if (gap !== null) this.drops.lost(gap);
          const { seqLo, seqHi, seq } = source.cursor;
          const old = seq <= newest;
          if (arriving) {
            arriving = seq < newest;
            last = performance.now();
          }
          if (old && past.matches !== null) {
            if (past.matches.has(seqLo, seqHi)) {
              this.#print({ view: source.message, frame: source.cursor });
            }
          } else if ((!old || this.#young(source)) && sieve.offer(source)) return this.#done();
          // Tested under a stream of messages that do not match, too
          // (docs/spec/command-line.md 5.5).
          if (!old && idle !== undefined && performance.now() - last >= idle) break;
        }
        if (sieve.flush()) return this.#done();
        writer.flush();
        this.drops.due();
        const limit = arriving ? patience : idle;
        const left = limit === undefined ? undefined : last + limit - performance.now();
        if (left !== undefined && left <= 0) return this.#timedOut();
        this.gone.throwIfAborted();
        if (!arriving) await source.wait(left, this.gone);
        else if (!(await source.wait(Math.min(LOOK_EVERY, left ?? LOOK_EVERY), this.gone))) {
          if (await emptied(this.reader, newest)) {
            arriving = false;
            last = performance.now();
          }
        }
      }
    } finally {
      source.close();
    }
  }
}
