/**
 * `plasmite follow`: history, live messages, finite reads and replay (docs/spec/command-line.md 5).
 *
 * @module
 */

// A local pool needs it on demand: it comes with this module, as a second import takes longer.
import "../backend/local/select.ts";
import { isNats } from "../backend/refs.ts";
import type { PoolRef } from "../backend/resolve.ts";
import type { PoolHandle, Selection, Walk } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import { DropNotices } from "./drops.ts";
import { MessageWriter } from "./message_writer.ts";
import { noticeOutage, noticeUnreadable } from "./notices.ts";
import { findPool, openPool, refuseWithout } from "./open.ts";
import { ReaderWatch } from "./reader_watch.ts";
import { sinceOf, timedOut, timeoutOf } from "./time_options.ts";
import type { UnreadableNotices } from "./unreadable.ts";

/** Options for reading with a cursor. */
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

/** Exit code of a finite read that lost messages. */
const LOST = 1;

/** The shortest time to wait for history from a server, in milliseconds. */
const HISTORY_PATIENCE = 5_000;

/** What to read, according to the command line. */
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
  readonly source: string | undefined;
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
  const source = args.text("source");
  if (source !== undefined && !isNats(ref.path)) throw noSources(ref.path);
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
    source,
  };
  if (args.has("plot") || args.has("interactive")) return await drawn(context, ref, plan);
  const writer = await MessageWriter.open(context, {
    dataOnly: args.has("data-only"),
    plain: "pretty",
  });
  const pool = await openPool(context, ref, { write: false });
  if (args.has("where")) await (await import("./conditions.ts")).noticeHopeless(context);
  const drops = new DropNotices(context, pool.path, args.has("quiet-drops"));
  const unreadable = args.has("skip-corrupt")
    ? new (await import("./unreadable.ts")).UnreadableNotices(context, pool.path)
    : null;
  using watch = new ReaderWatch(context);
  try {
    if (since !== undefined && since > now && !plan.finite) return 0;
    const follow = new Follow(context, plan, pool, writer, drops, watch, unreadable);
    if (plan.replay !== undefined) return await follow.replay(plan.replay);
    return plan.finite ? await follow.finite() : await follow.live();
  } finally {
    try {
      writer.flush(); // Print what came before an error.
    } finally {
      drops.flush();
      unreadable?.flush();
      await pool.close();
    }
  }
}

/** `--plot` and `--interactive`: a screen instead of lines. */
async function drawn(context: CommandContext, ref: PoolRef, plan: Plan): Promise<number> {
  // Refuses what cannot be shown before a pool is created.
  const show = context.args.has("plot")
    ? (await import("./plot.ts")).plotOf(context)
    : (await import("./follow_interactive.ts")).browserOf(context);
  const pool = await openPool(context, ref, { write: false });
  try {
    return await show(pool, selectionOf(plan));
  } finally {
    await pool.close();
  }
}

/** The messages that the command line asks for. */
function selectionOf({ notify, since, source, tags, tail, where }: Plan): Selection {
  return {
    tags,
    where,
    source,
    notify,
    ...(since === undefined ? {} : { since }),
    ...(tail === 0 ? {} : { last: tail }),
  };
}

function noSources(path: string): PlasmiteError {
  return new PlasmiteError("Usage", "Only streams of NATS know where messages were copied from", {
    hint: "Leave out --source; copies that are made with --exact have a tag that tells it.",
    path,
  });
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

/** One run of `follow` on an open pool. */
class Follow {
  constructor(
    readonly context: CommandContext,
    readonly plan: Plan,
    readonly pool: PoolHandle,
    readonly writer: MessageWriter,
    readonly drops: DropNotices,
    /** Ends waits when the output is closed. */
    readonly reader: ReaderWatch,
    /** Tells what cannot be read; null if that is an error. */
    readonly unreadable: UnreadableNotices | null,
  ) {}

  /** Starts reading the selection of the command line, with additions. */
  async #select(more: Pick<Selection, "from" | "follow"> = {}): Promise<Walk> {
    const { context, pool } = this;
    return await pool.select({
      ...selectionOf(this.plan),
      onTrouble: (error) => noticeOutage(context, pool, error),
      onUnreadable: (error) => noticeUnreadable(context, pool, error),
      skipCorrupt: this.unreadable !== null,
      ...more,
    });
  }

  /** Moves to the next available message; reports losses before it. */
  #next(walk: Walk): boolean {
    const found = walk.next();
    const gap = walk.takeGap();
    if (gap !== null) this.drops.lost(gap);
    if (this.unreadable !== null) {
      for (const range of walk.takeUnreadable()) this.unreadable.add(range);
    }
    return found;
  }

  /** Prints the selection to its end; true if the time ran out before. */
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

  /**
   * Returns a function that shows the number of printed messages; call it without one at the end.
   */
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

  /** `--no-follow`: the existing messages, then exit. */
  async finite(): Promise<number> {
    const { plan: { timeoutMs }, writer } = this;
    if (timeoutMs === 0) return timedOut(this.context);
    const deadline = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    const late = await this.#export(await this.#select(), deadline);
    writer.flush();
    return late || performance.now() >= deadline ? timedOut(this.context) : this.#exported();
  }

  /** The exit code of a complete finite read. */
  #exported(): number {
    this.writer.flush();
    return this.drops.any || this.unreadable?.any === true ? LOST : 0;
  }

  /** `--replay`: the existing messages of the selection at their original pace, then exit. */
  async replay(speed: number): Promise<number> {
    const { drops, plan, reader, writer } = this;
    const limit = plan.finite ? plan.timeoutMs : undefined;
    if (limit === 0) return timedOut(this.context);
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
    return inTime ? code : timedOut(this.context);
  }

  /** The requested history, then live messages until something ends it. */
  async live(): Promise<number> {
    const { drops, plan, reader, unreadable, writer } = this;
    const { one, since, tail, timeoutMs: idle } = plan;
    const history = tail > 0 || since !== undefined;
    const walk = await this.#select({ follow: true, ...(history ? {} : { from: "end" }) });
    const { oldest, newest } = walk.start;
    // `--tail N --one` waits for N matches and prints the newest (docs/spec/command-line.md 5.4).
    let missing = one ? Math.max(1, tail) : 1;
    // Existing messages may still be arriving; `--timeout` starts after them.
    let arriving = history && oldest !== 0n;
    /** The time limit for a server that stops in the middle of history. */
    const patience = idle === undefined ? Infinity : Math.max(idle, HISTORY_PATIENCE);
    let looked = walk.looked;
    let last = performance.now();
    /** The remaining time in milliseconds. */
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
        unreadable?.due();
        const ms = left();
        if (ms <= 0) return timedOut(this.context);
        const gone = reader.begin();
        gone.throwIfAborted();
        await walk.wait(drops.waitMs(unreadable?.waitMs(ms) ?? ms), gone);
      }
    } finally {
      walk.close();
    }
  }
}
