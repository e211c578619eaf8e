/**
 * `plasmite follow`: history, live messages, finite reads and replay (docs/spec/command-line.md 5).
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import type { PoolHandle, Selection, Walk } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import { DropNotices } from "./drops.ts";
import { MessageWriter } from "./message_writer.ts";
import { printNotice } from "./notices.ts";
import { findPool, openPool, refuseWithout } from "./open.ts";
import { ReaderWatch } from "./reader_watch.ts";
import { sinceOf, timeoutOf } from "./time_options.ts";

/** Options that say how to read with a cursor. */
const CURSOR_OPTIONS = [
  "from",
  "error-on-gap",
  "cursor-dir",
  "durability",
  "ack",
  "window",
  "exec",
  "max-tries",
  "dead",
];

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
  readonly tags: readonly string[];
  readonly where: readonly Where[];
}

/** Runs `follow`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  if (args.has("cursor")) return await (await import("./cursor_read.ts")).followCursor(context);
  refuseWithout(context, "cursor", CURSOR_OPTIONS);
  const now = nowNs();
  const since = sinceOf(context, now);
  const timeoutMs = await timeoutOf(context);
  const where = args.has("where")
    ? await (await import("./conditions.ts")).conditions(context)
    : [];
  const ref = await findPool(context);
  const plan: Plan = {
    tail: args.count("tail") ?? 0,
    since,
    one: args.has("one"),
    finite: args.has("no-follow"),
    replay: replaySpeed(context),
    timeoutMs,
    notify: !args.has("no-notify"),
    tags: args.texts("tag"),
    where,
  };
  if (args.has("plot")) return await plotted(context, ref, plan);
  const writer = await MessageWriter.open(context, {
    dataOnly: args.has("data-only"),
    plain: "pretty",
  });
  const pool = await openPool(context, ref, { write: false });
  const drops = new DropNotices(context, pool.path, args.has("quiet-drops"));
  using watch = new ReaderWatch(context);
  try {
    if (since !== undefined && since > now && !plan.finite) return 0;
    const follow = new Follow(context, plan, pool, writer, drops, watch);
    if (plan.replay !== undefined) return await follow.replay(plan.replay);
    return plan.finite ? await follow.finite() : await follow.live();
  } finally {
    try {
      writer.flush(); // What came before an error was found in time.
    } finally {
      drops.flush();
      await pool.close();
    }
  }
}

/** `--plot`: a chart in place of messages. */
async function plotted(context: CommandContext, ref: PoolRef, plan: Plan): Promise<number> {
  const { plot } = await import("./plot.ts");
  const pool = await openPool(context, ref, { write: false });
  try {
    const { tags, where, notify, since, tail } = plan;
    return await plot(context, pool, {
      tags,
      where,
      notify,
      ...(since === undefined ? {} : { since }),
      ...(tail === 0 ? {} : { last: tail }),
    });
  } finally {
    await pool.close();
  }
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

/** Tells of a message that another program stored and that is left out. */
function noticeUnreadable(context: CommandContext, pool: PoolHandle, error: PlasmiteError): void {
  printNotice(context, {
    kind: "corrupt",
    message: `Left out message ${error.seq}: ${error.message}.`,
    pool: context.args.required("POOL"),
    details: { pool_path: pool.path, seq: error.seq },
  });
}

/** One run of `follow` on an open pool. */
class Follow {
  constructor(
    readonly context: CommandContext,
    readonly plan: Plan,
    readonly pool: PoolHandle,
    readonly writer: MessageWriter,
    readonly drops: DropNotices,
    /** Ends waits when nobody reads any more. */
    readonly reader: ReaderWatch,
  ) {}

  /** Begins to read what the command line selects; `more` says where and how long. */
  async #select(more: Pick<Selection, "from" | "follow"> = {}): Promise<Walk> {
    const { context, pool } = this;
    const { notify, since, tags, tail, where } = this.plan;
    return await pool.select({
      tags,
      where,
      notify,
      ...(since === undefined ? {} : { since }),
      ...(tail === 0 ? {} : { last: tail }),
      onTrouble: (error) =>
        printNotice(context, {
          kind: "reconnect",
          message: "The server does not answer; trying again until it does.",
          pool: context.args.required("POOL"),
          details: { error: error.message, pool_path: pool.path },
        }),
      onUnreadable: (error) => noticeUnreadable(context, pool, error),
      ...more,
    });
  }

  /** Goes to the next message that is here; tells what was lost in front of it. */
  #next(walk: Walk): boolean {
    const found = walk.next();
    const gap = walk.takeGap();
    if (gap !== null) this.drops.lost(gap);
    return found;
  }

  /** Prints the selection to its end; true when time ran out before. */
  async #export(walk: Walk, deadline = Infinity): Promise<boolean> {
    const { plan, reader, writer } = this;
    const progress = await this.#progress(walk);
    try {
      for (let count = 0;;) {
        if (deadline < Infinity && performance.now() >= deadline) return true;
        if (this.#next(walk)) {
          writer.write(walk.message);
          if ((++count & 1023) === 0) progress?.(count);
          if (plan.one) return false;
        } else if (walk.ended) return false;
        else {
          writer.flush();
          const ms = deadline < Infinity ? deadline - performance.now() : undefined;
          await walk.wait(ms, reader.begin());
        }
      }
    } finally {
      walk.close();
      progress?.();
    }
  }

  /** What shows progress, told how many messages were printed, and nothing at the end. */
  async #progress(walk: Walk): Promise<((count?: number) => void) | undefined> {
    if (!this.context.stderr.isTerminal) return undefined;
    const { Progress } = await import("./progress.ts");
    if (!Progress.visible(this.context)) return undefined;
    const { oldest, newest } = walk.start;
    let line: InstanceType<typeof Progress> | undefined;
    let first = oldest;
    return (count) => {
      if (count === undefined) return line?.end();
      if (line === undefined) {
        first = walk.frame.seq;
        line = new Progress(this.context, "exported", Number(newest - first));
      }
      line.update(count, Number(walk.frame.seq - first));
    };
  }

  /** `--no-follow`: what is there now, then exit. */
  async finite(): Promise<number> {
    const { plan: { timeoutMs }, writer } = this;
    if (timeoutMs === 0) return this.#timedOut();
    const deadline = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    const late = await this.#export(await this.#select(), deadline);
    writer.flush();
    return late || performance.now() >= deadline ? this.#timedOut() : this.#exported();
  }

  /** The exit code of a finite read that came to its end. */
  #exported(): number {
    this.writer.flush();
    return this.drops.any ? LOST : 0;
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
    const { drops, plan, reader, writer } = this;
    const limit = plan.finite ? plan.timeoutMs : undefined;
    if (limit === 0) return this.#timedOut();
    const walk = await this.#select();
    if (speed === 0) {
      await this.#export(walk);
      return this.#exported();
    }
    const { play } = await import("./replay.ts");
    const gone = reader.begin();
    const lost = drops.lost.bind(drops);
    const inTime = await play(walk, { speed, limit, one: plan.one, writer, lost, gone });
    const code = this.#exported();
    return inTime ? code : this.#timedOut();
  }

  /** History as asked for, then live messages until something ends it: one stream, in order. */
  async live(): Promise<number> {
    const { drops, plan, reader, writer } = this;
    const { one, since, tail, timeoutMs: idle } = plan;
    const history = tail > 0 || since !== undefined;
    const walk = await this.#select({ follow: true, ...(history ? {} : { from: "end" }) });
    const { oldest, newest } = walk.start;
    // `--tail N --one` waits for N matches and prints the newest (docs/spec/command-line.md 5.4).
    let missing = one ? Math.max(1, tail) : 1;
    // What is there already may still be on its way; the clock of `--timeout` starts behind it.
    let arriving = history && oldest !== 0n;
    /** A server that goes silent in the middle of history is not waited for without end. */
    const patience = idle === undefined ? Infinity : Math.max(idle, HISTORY_PATIENCE);
    let looked = walk.looked;
    let last = performance.now();
    /** Milliseconds that are left until it is too late. */
    const left = (): number => last + (arriving ? patience : idle ?? Infinity) - performance.now();
    try {
      for (;;) {
        while (this.#next(walk)) {
          if (--missing > 0) {
            if (!arriving && left() <= 0) break;
            continue;
          }
          writer.write(walk.message);
          if (one) return 0;
          last = performance.now();
        }
        if (arriving) {
          if (walk.looked !== looked) last = performance.now();
          looked = walk.looked;
          arriving = walk.position <= newest;
        }
        writer.flush();
        drops.due();
        const ms = left();
        if (ms <= 0) return this.#timedOut();
        const gone = reader.begin();
        gone.throwIfAborted();
        await walk.wait(ms < Infinity ? ms : undefined, gone);
      }
    } finally {
      walk.close();
    }
  }
}
