/**
 * `follow --cursor` and `fetch --cursor` (docs/spec/coordination.md 2 and 13.6). Loaded only when
 * that option is used.
 *
 * @module
 */

import type { Cursor } from "../backend/coordination.ts";
import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { noticeOutage } from "./notices.ts";
import type { Delivery } from "./cursor_delivery.ts";
import { type CursorPlan, cursorPlan, openCursor, refusePlace } from "./cursor_open.ts";
import { CursorSession, type SessionEnd } from "./cursor_session.ts";
import { DropNotices } from "./drops.ts";
import { MessageWriter } from "./message_writer.ts";
import { findPool, openPool, refuseWithout } from "./open.ts";
import { StdoutClosed } from "./output.ts";
import { ReaderWatch } from "./reader_watch.ts";
import { Signals, Stopped } from "./signals.ts";
import { timedOut, timeoutOf } from "./time_options.ts";

const WIDEST_WINDOW = 65_536;
const WINDOW = 256;
const MAX_TRIES = 5;
/** Exit codes: finite read with lost messages, nothing to fetch. */
const LOST = 1;
const NOTHING = 3;

/** The command-line options other than those of the cursor. */
interface ReadPlan extends CursorPlan {
  readonly follow: boolean;
  readonly limit: number;
  readonly timeoutMs: number;
  readonly isManual: boolean;
  readonly window: number;
  readonly exec: string | undefined;
  readonly maxTries: number;
  readonly dead: string | undefined;
}

/** Runs `follow --cursor`. */
export async function followCursor(context: CommandContext): Promise<number> {
  const { args } = context;
  const plan = await planOf(context, !args.has("no-follow"), args.has("one") ? 1 : Infinity);
  const { end, drops } = await read(context, plan, "pretty");
  if (typeof end === "number") return end;
  if (end === "timeout") return timedOut(context);
  return !plan.follow && drops.any ? LOST : 0;
}

/** Runs `fetch --cursor`. */
export async function fetchCursor(context: CommandContext): Promise<number> {
  const plan = await planOf(context, false, context.args.count("count") ?? 1);
  const { end, count } = await read(context, plan, "document");
  if (typeof end === "number") return end;
  if (count > 0 || plan.limit === 0) return 0;
  if (context.stderr.isTerminal) context.stderr.text("No new messages.\n");
  return NOTHING;
}

async function planOf(context: CommandContext, follow: boolean, limit: number): Promise<ReadPlan> {
  const { args } = context;
  const exec = args.text("exec");
  const isManual = args.text("ack") === "manual";
  const window = args.count("window") ?? WINDOW;
  const maxTries = args.count("max-tries") ?? MAX_TRIES;
  const refuse = (message: string, hint: string): never => {
    throw new PlasmiteError("Usage", message, { hint });
  };
  if (exec !== undefined && args.has("ack")) {
    refuse("--exec cannot be used with --ack", "The command's exit code acknowledges.");
  }
  if (args.has("window") && !isManual) {
    refuse("--window requires --ack manual", "Add --ack manual, or leave out --window.");
  }
  if (window < 1 || window > WIDEST_WINDOW) {
    refuse(`invalid value '${window}' for '--window <WINDOW>'`, `Use 1 to ${WIDEST_WINDOW}.`);
  }
  if (maxTries < 1) refuse("invalid value '0' for '--max-tries <MAX_TRIES>'", "Use 1 or more.");
  refuseWithout(context, "exec", ["max-tries", "dead"]);
  return {
    ...await cursorPlan(context),
    follow,
    limit,
    timeoutMs: await timeoutOf(context) ?? Infinity,
    isManual,
    window,
    exec,
    maxTries,
    dead: args.text("dead"),
  };
}

/** The outcome of a run; a number is the exit code of a run that was stopped. */
interface Outcome {
  readonly end: SessionEnd | number;
  readonly count: number;
  readonly drops: DropNotices;
}

async function read(
  context: CommandContext,
  plan: ReadPlan,
  plain: "pretty" | "document",
): Promise<Outcome> {
  const { args } = context;
  const ref = await findPool(context);
  const writer = await MessageWriter.open(context, { dataOnly: args.has("data-only"), plain });
  const pool = await openPool(context, ref, {
    write: false,
    validate: () => refusePlace(plan, 0n),
  });
  const drops = new DropNotices(context, pool.path, args.has("quiet-drops"));
  const signals = new Signals();
  try {
    using watch = new ReaderWatch(context);
    const ended = new AbortController();
    const halt = AbortSignal.any([signals.signal, watch.begin(), ended.signal]);
    const onTrouble = (error: Error): void => noticeOutage(context, pool, error);
    if (plan.dead !== undefined) {
      (await import("../backend/dead.ts")).checkDead(pool.name, plan.dead);
    }
    let cursor = await openCursor(context, pool, plan);
    if (ref.isRemote && plan.follow) {
      const { OutagePatience, PatientCursor } = await import("./outage.ts");
      cursor = new PatientCursor(cursor, new OutagePatience(halt, onTrouble));
    }
    try {
      const delivery = await deliveryOf(context, plan, {
        cursor,
        writer,
        halt,
        ended,
        signals,
        path: pool.path,
      });
      const session = new CursorSession(cursor, delivery, drops, {
        plan,
        follow: plan.follow,
        limit: plan.limit,
        timeoutMs: plan.timeoutMs,
        notify: !args.has("no-notify"),
        onTrouble,
        halt,
      });
      return { end: await session.run(), count: session.count, drops };
    } finally {
      await cursor.close();
    }
  } catch (error) {
    const code = await stopped(error, signals, drops);
    if (code === null) throw error;
    return { end: code, count: 0, drops };
  } finally {
    signals[Symbol.dispose]();
    drops.flush();
    await pool.close();
  }
}

/** The exit code of a run that was asked to stop; null if it failed. */
async function stopped(
  error: unknown,
  signals: Signals,
  drops: DropNotices,
): Promise<number | null> {
  if (error instanceof Stopped) {
    drops.flush();
    return await signals.end(error);
  }
  return error instanceof StdoutClosed || (error instanceof Error && error.name === "InputEnded")
    ? 0
    : null;
}

interface Parts {
  readonly cursor: Cursor;
  readonly writer: MessageWriter;
  readonly halt: AbortSignal;
  /** Ends the run when stdin ends. */
  readonly ended: AbortController;
  readonly signals: Signals;
  readonly path: string;
}

async function deliveryOf(
  context: CommandContext,
  { exec, isManual, window, maxTries, dead }: ReadPlan,
  { cursor, writer, halt, ended, signals, path }: Parts,
): Promise<Delivery> {
  if (exec !== undefined) {
    const { ExecDelivery } = await import("./cursor_exec.ts");
    return new ExecDelivery(context, cursor, { command: exec, maxTries, dead, path }, signals);
  }
  const { AutoDelivery, ManualDelivery } = await import("./cursor_delivery.ts");
  if (!isManual) return new AutoDelivery(context, cursor, writer, halt);
  const { Acks, InputEnded } = await import("./cursor_acks.ts");
  const acks = new Acks(context, cursor, path);
  halt.addEventListener("abort", () => acks.wake());
  acks.read().then(() => ended.abort(new InputEnded()), (error) => ended.abort(error));
  return new ManualDelivery(context, cursor, acks, window, writer, halt);
}
