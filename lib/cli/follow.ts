/**
 * `plasmite follow`: history, live messages, finite reads and replay (docs/spec/command-line.md 5).
 *
 * @module
 */

import type { FrameSource, PoolReader } from "../client/source.ts";
import { openReader } from "../client/source.ts";
import { PlasmiteError } from "../errors.ts";
import { Lite3Tag } from "../lite3/message.ts";
import { nowNs, parseSince } from "../text/time.ts";
import { parseDuration } from "../text/units.ts";
import { startTimer } from "../timers.ts";
import type { CommandContext } from "./context.ts";
import { DropNotices } from "./drops.ts";
import { MessageWriter } from "./message_writer.ts";
import { openOrCreate } from "./open.ts";
import { ReaderWatch } from "./reader_watch.ts";
import { type PoolRef, resolveRef } from "./refs.ts";
import { refuseRemoteFlags } from "./remote.ts";
import {
  emptied,
  keep,
  type Kept,
  lastMatching,
  LOOK_EVERY,
  LOOKS,
  type Match,
  type Matcher,
  Sieve,
} from "./select.ts";

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
  const ref = resolveRef(args.required("POOL"), context.dir);
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

  /**
   * Steps through everything from `from` to `until`, ready or not yet copied.
   *
   * @param emit is given each selected message; returning true ends the walk
   * @returns whether messages were lost to overwriting
   */
  async #walk(
    from: bigint,
    until: bigint,
    emit: (message: Match) => boolean,
    deadline?: () => boolean,
  ): Promise<boolean> {
    if (from > until) return false;
    const source = this.reader.open(from, false, until);
    const sieve = new Sieve(this.plan.match, emit);
    let lost = false;
    let expected = from;
    try {
      for (let quiet = 0; expected <= until;) {
        if (deadline?.() === true) break;
        if (!source.next()) {
          if (sieve.flush()) return lost;
          this.writer.flush();
          if (await source.wait(LOOK_EVERY, this.gone) && ++quiet % LOOKS !== 0) continue;
          if (await emptied(this.reader, until)) {
            this.drops.lost({ first: expected, last: until });
            lost = true;
            break;
          }
          continue;
        }
        const gap = source.takeGap();
        const { seq } = source.cursor;
        if (gap !== null && gap.first <= until) {
          lost = true;
          this.drops.lost({ first: gap.first, last: gap.last < until ? gap.last : until });
        }
        expected = seq + 1n;
        if (seq > until) break;
        if (this.#young(source) && sieve.offer(source)) return lost;
      }
      sieve.flush();
    } finally {
      source.close();
    }
    return lost;
  }

  /** Prints the selection as it is walked over; true when messages were lost. */
  async #export(oldest: bigint, newest: bigint, deadline?: () => boolean): Promise<boolean> {
    const progress = await this.#progress(Number(newest - oldest));
    let count = 0;
    const lost = await this.#walk(oldest, newest, (message) => {
      this.#print(message);
      if ((++count & 1023) === 0) progress?.update(count, Number(message.frame.seq - oldest));
      return this.plan.one;
    }, deadline);
    progress?.end();
    return lost;
  }

  /** The last `--tail N` matching messages up to `newest`, oldest first. */
  async #tail(oldest: bigint, newest: bigint, deadline = Infinity): Promise<Kept[]> {
    const { tail, match } = this.plan;
    const kept = await lastMatching(this.reader, oldest, newest, tail, match, deadline);
    if (kept.lost !== null) this.drops.lost(kept.lost);
    return kept.messages;
  }

  /** `--no-follow`: what is there now, then exit. */
  async finite(): Promise<number> {
    const { plan, writer } = this;
    const { oldest, newest } = await this.reader.bounds();
    const deadline = plan.timeoutMs === undefined ? Infinity : performance.now() + plan.timeoutMs;
    if (plan.timeoutMs === 0) return this.#timedOut();
    if (oldest === 0n) return 0;
    let lost = false;
    let late = false;
    if (plan.tail > 0) {
      const messages = await this.#tail(oldest, newest, deadline);
      late = performance.now() >= deadline;
      for (const kept of plan.one ? messages.slice(0, 1) : messages) this.#print(kept);
      lost = this.drops.any;
    } else {
      lost = await this.#export(oldest, newest, () => (late = performance.now() >= deadline));
    }
    writer.flush();
    if (late) return this.#timedOut();
    return lost ? LOST : 0;
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
    const { oldest, newest } = await this.reader.bounds();
    const strict = plan.finite && plan.timeoutMs !== undefined;
    if (strict && plan.timeoutMs === 0) return this.#timedOut();
    if (oldest === 0n) return 0;
    let lost = false;
    if (plan.tail === 0 && speed === 0) {
      // Without pauses nothing needs to be held in memory.
      lost = await this.#export(oldest, newest);
      writer.flush();
      return lost ? LOST : 0;
    }
    let chosen: Kept[] = [];
    if (plan.tail > 0) chosen = await this.#tail(oldest, newest);
    else {
      lost = await this.#walk(oldest, newest, ({ frame }) => {
        chosen.push(keep(frame));
        return false;
      });
    }
    lost ||= this.drops.any;
    let before: bigint | undefined;
    for (const kept of plan.one ? chosen.slice(0, 1) : chosen) {
      const at = kept.frame.timestampNs;
      if (before !== undefined && speed > 0 && at > before) {
        const ms = Number(at - before) / 1e6 / speed;
        writer.flush();
        if (strict && plan.timeoutMs !== undefined && ms > plan.timeoutMs) {
          await pause(plan.timeoutMs, this.gone);
          return this.#timedOut();
        }
        await pause(ms, this.gone);
      }
      before = at;
      this.#print(kept);
    }
    writer.flush();
    return lost ? LOST : 0;
  }

  /** History as asked for, then live messages until something ends it. */
  async live(): Promise<number> {
    const { plan, writer } = this;
    const { oldest, newest } = await this.reader.bounds();
    const idle = plan.timeoutMs;
    let last = performance.now();
    /** A server that goes silent in the middle of history is not waited for without end. */
    const patience = idle === undefined ? Infinity : Math.max(idle, HISTORY_PATIENCE);
    // `--tail N --one` keeps matches until there are N and prints the newest
    // (docs/spec/command-line.md 5.4).
    let missing = plan.one && plan.tail > 0 ? plan.tail : 0;
    if (plan.tail > 0 && oldest !== 0n) {
      const messages = await this.#tail(oldest, newest, last + patience);
      const newestMatch = messages.at(-1);
      missing -= messages.length;
      if (plan.one) {
        if (missing <= 0 && newestMatch !== undefined) {
          this.#print(newestMatch);
          writer.flush();
          return 0;
        }
      } else for (const kept of messages) this.#print(kept);
      writer.flush();
      last = performance.now();
    }
    const history = plan.since !== undefined && oldest !== 0n;
    const source = this.reader.open(history ? oldest : newest + 1n, plan.notify);
    const sieve = new Sieve(plan.match, (message) => {
      if (--missing > 0) return false;
      this.#print(message);
      last = performance.now();
      return plan.one;
    });
    // What is there already may still be on its way; the clock of `--timeout` starts behind it.
    let arriving = history;
    try {
      for (;;) {
        while (source.next()) {
          const gap = source.takeGap();
          if (gap !== null) this.drops.lost(gap);
          if (arriving) {
            arriving = source.cursor.seq < newest;
            last = performance.now();
          }
          const old = history && source.cursor.seq <= newest;
          if ((!old || this.#young(source)) && sieve.offer(source)) return this.#done();
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

/** Rejects with the signal's reason when it is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted, { once: true });
    startTimer(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, ms);
  });
}
