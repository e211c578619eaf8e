/**
 * `plasmite work`: one worker of a group, which runs a command for each message
 * (docs/spec/coordination.md 8.1 and 13.7).
 *
 * @module
 */

import type { Group, GroupRequest } from "../backend/coordination.ts";
import { checkCursorName } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import { parseDuration } from "../text/units.ts";
import { conditions, noticeHopeless } from "./conditions.ts";
import type { CommandContext } from "./context.ts";
import { findPool, openPool } from "./open.ts";
import { Signals } from "./signals.ts";
import { findProgram } from "./tap_program.ts";
import { TIMED_OUT, timeoutOf } from "./time_options.ts";
import { Workers } from "./workers.ts";

const ACK_WAIT = 60_000;
/** With less time, the message would be reassigned before the command could even start. */
const LEAST_ACK_WAIT = 100;
const MOST_JOBS = 1024;

/** Runs `work`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const [program = "", ...rest] = args.texts("COMMAND");
  const name = checkCursorName(args.required("group"));
  const jobs = positive(context, "jobs", MOST_JOBS) ?? 1;
  const timeoutMs = await timeoutOf(context) ?? Infinity;
  const ackWaitMs = ackWaitOf(context);
  const from = args.text("from");
  const request: GroupRequest = {
    tags: args.texts("tag"),
    where: await conditions(context),
    from: from === "end" ? "end" : "oldest",
    maxTries: positive(context, "max-tries"),
    dead: args.text("dead"),
    orderedByKey: args.has("ordered-by-key"),
    dir: args.text("cursor-dir"),
  };
  const ref = await findPool(context);
  // Tasks are extended while others start and end, so nothing here may block.
  const words: [string, ...string[]] = [findProgram(program), ...rest];
  const pool = await openPool(context, ref, { write: false, serving: true });
  await noticeHopeless(context);
  using signals = new Signals();
  let group: Group | undefined;
  try {
    group = (await pool.coordinate()).group(name, request);
    const workers = new Workers(context, group, {
      words,
      jobs,
      ackWaitMs,
      timeoutMs,
      drain: args.has("drain"),
      path: pool.path,
      isRemote: ref.isRemote,
    }, signals);
    return await workers.run() === "timeout" ? TIMED_OUT : 0;
  } finally {
    group?.close();
    await pool.close();
  }
}

function ackWaitOf(context: CommandContext): number {
  const text = context.args.text("ack-wait");
  if (text === undefined) return ACK_WAIT;
  const ms = parseDuration(text);
  if (ms >= LEAST_ACK_WAIT) return ms;
  throw new PlasmiteError("Usage", "invalid --ack-wait value", {
    hint: `Use ${LEAST_ACK_WAIT}ms or more; the command is extended while it runs.`,
  });
}

/** A positive integer; undefined if the option was not given. Throws Usage. */
function positive(context: CommandContext, option: string, most = Infinity): number | undefined {
  const count = context.args.count(option);
  if (count === undefined || (count >= 1 && count <= most)) return count;
  throw new PlasmiteError("Usage", `invalid value '${count}' for '--${option}'`, {
    hint: most === Infinity ? "Use 1 or more." : `Use 1 to ${most}.`,
  });
}
