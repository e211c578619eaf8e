/**
 * Reading with a named cursor: its command-line options, and where a new cursor starts
 * (docs/spec/coordination.md 2 and 13.6).
 *
 * @module
 */

import { advance } from "../backend/advance.ts";
import type { Cursor, Place } from "../backend/coordination.ts";
import type { PoolHandle } from "../backend/types.ts";
import { checkCursorName } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { nowNs } from "../text/time.ts";
import { parseDurability } from "../text/units.ts";
import { conditions, noticeHopeless } from "./conditions.ts";
import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import { sinceOf } from "./time_options.ts";

const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** The command-line options for a cursor. */
export interface CursorPlan {
  readonly name: string;
  readonly from: Place | undefined;
  readonly tail: number | undefined;
  readonly since: bigint | undefined;
  readonly dir: string | undefined;
  readonly flush: boolean;
  readonly errorOnGap: boolean;
  readonly tags: readonly string[];
  readonly where: readonly Where[];
}

/** Reads the options. Throws Usage. */
export async function cursorPlan(context: CommandContext): Promise<CursorPlan> {
  const { args } = context;
  return {
    name: checkCursorName(args.text("cursor") ?? ""),
    from: fromOf(args.text("from")),
    tail: args.count("tail"),
    since: sinceOf(context, nowNs()),
    dir: args.text("cursor-dir"),
    flush: parseDurability(args.text("durability") ?? "fast") === "flush",
    errorOnGap: args.has("error-on-gap"),
    tags: args.texts("tag"),
    where: await conditions(context),
  };
}

/** `--from`: a number is the first message to read. */
function fromOf(text: string | undefined): Place | undefined {
  if (text === undefined || text === "oldest" || text === "end") return text;
  const seq = /^\d+$/.test(text) ? BigInt(text) : -1n;
  if (seq >= 0n && seq <= U64_MAX) return seq === 0n ? 0n : seq - 1n;
  throw new PlasmiteError("Usage", `invalid value '${text}' for '--from <FROM>'`, {
    hint: "Use oldest, end, or the sequence number of the first message.",
  });
}

/**
 * Refuses a new cursor before a message that the pool does not have.
 *
 * @param newest the number of the newest message
 * @throws {PlasmiteError} Usage
 */
export function refusePlace({ from }: CursorPlan, newest: bigint): void {
  if (typeof from !== "bigint" || from <= newest) return;
  throw new PlasmiteError("Usage", `There is no message ${from + 1n} to begin with`, {
    hint: newest === 0n
      ? "The pool is empty: use oldest, or end."
      : `Use a number from 1 to ${newest + 1n}, oldest, or end.`,
  });
}

/**
 * Acquires the cursor. A new one is saved at the position that the options specify; for an existing
 * one, those options are ignored with a notice.
 *
 * @throws {PlasmiteError} the same errors as acquiring a cursor
 */
export async function openCursor(
  context: CommandContext,
  pool: PoolHandle,
  plan: CursorPlan,
): Promise<Cursor> {
  const { name, from, tail, since, dir, flush } = plan;
  const coordination = await pool.coordinate();
  const isPlaced = from !== undefined || tail !== undefined || since !== undefined;
  // Finding the position may be slow, and an existing cursor does not need it.
  const exists = isPlaced && (await coordination.cursors(dir)).some((one) => one.name === name);
  if (typeof from === "bigint" && !exists) refusePlace(plan, (await pool.bounds()).newest);
  const place = exists ? undefined : from ?? await placeOf(pool, plan);
  const cursor = await coordination.cursor(name, { from: place, dir, flush });
  await noticeHopeless(context);
  if (!cursor.isNew && isPlaced) {
    printNotice(context, {
      kind: "cursor_exists",
      message: `Cursor ${name} exists, so it continues after ${cursor.seq}.`,
      pool: context.args.required("POOL"),
      details: { cursor: name, pool_path: pool.path, seq: cursor.seq },
    });
  }
  return cursor;
}

/** Where `--tail` or `--since` start: before the first match, or after the searched range. */
async function placeOf(
  pool: PoolHandle,
  { tail, since, tags, where }: CursorPlan,
): Promise<Place | undefined> {
  if (tail === undefined && since === undefined) return undefined;
  if (tail === 0) return "end";
  const walk = await pool.select({
    tags,
    where,
    ...(tail === undefined ? {} : { last: tail }),
    ...(since === undefined ? {} : { since }),
  });
  try {
    return await advance(walk) ? walk.frame.seq - 1n : walk.start.newest;
  } finally {
    walk.close();
  }
}
