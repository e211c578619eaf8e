/**
 * `plasmite latest`: the newest message, of a key or of each group (docs/spec/coordination.md 5).
 *
 * @module
 */

import { newestOf } from "../backend/newest.ts";
import type { PoolHandle, StoredFrame } from "../backend/types.ts";
import { checkKey, KEY_TAG } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { MessageView } from "../lite3/message.ts";
import { nowNs } from "../text/time.ts";
import { parseDuration } from "../text/units.ts";
import { conditions, hopelessOf } from "./conditions.ts";
import type { CommandContext } from "./context.ts";
import { MessageWriter } from "./message_writer.ts";
import { findPool, openPool } from "./open.ts";

/** The request. */
interface Question {
  readonly key: string | undefined;
  readonly by: string | undefined;
  readonly tags: readonly string[];
  readonly where: readonly Where[];
  readonly having: readonly Where[];
  /** The earliest time, in nanoseconds since 1970. */
  readonly sinceNs: bigint | undefined;
}

/** Runs `latest`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const key = args.text("key");
  if (key !== undefined) checkKey(key, "key");
  const age = args.text("max-age");
  const sinceNs = age === undefined ? undefined : nowNs() - BigInt(parseDuration(age)) * 1_000_000n;
  const question: Question = {
    key,
    by: args.text("by"),
    tags: args.texts("tag"),
    where: await conditions(context),
    having: await conditions(context, "having"),
    sinceNs: sinceNs !== undefined && sinceNs < 0n ? 0n : sinceNs,
  };
  if (question.by !== undefined) (await import("../filter/latest.ts")).grouping(question.by);
  const ref = await findPool(context);
  const writer = await MessageWriter.open(context, { dataOnly: false, plain: "document" });
  const pool = await openPool(context, ref, { write: false });
  try {
    for (const frame of await find(context, pool, question)) {
      try {
        writer.write(new MessageView().openStored(frame));
      } catch (error) {
        throw PlasmiteError.is(error) ? error.with({ path: pool.path, seq: frame.seq }) : error;
      }
    }
    writer.flush();
    return 0;
  } finally {
    await pool.close();
  }
}

async function find(
  context: CommandContext,
  pool: PoolHandle,
  question: Question,
): Promise<readonly StoredFrame[]> {
  const { by, key, tags, where, having, sinceNs } = question;
  if (by !== undefined) {
    const request = { tags, where, having, ...(sinceNs === undefined ? {} : { sinceNs }) };
    return (await (await pool.coordinate()).latestBy(by, request)).messages;
  }
  const isPlain = tags.length + where.length === 0 && sinceNs === undefined;
  const frame = key !== undefined && isPlain
    ? await (await pool.coordinate()).latest(key)
    : await newest(pool, question);
  if (frame !== null && holds(frame, having)) return [frame];
  const hopeless = await hopelessOf(context);
  throw new PlasmiteError("NotFound", "message not found", {
    path: pool.path,
    hint: hopeless !== undefined
      ? `Check '${hopeless.expression}': ${hopeless.why}`
      : key === undefined
      ? "Nothing that is retained matches."
      : `Nothing that is retained has the key ${JSON.stringify(key)} and matches.`,
    details: key === undefined ? {} : { key },
  });
}

/** The newest message that matches. */
async function newest(pool: PoolHandle, question: Question): Promise<StoredFrame | null> {
  const { key, tags, where, sinceNs } = question;
  return await newestOf(pool, {
    tags: key === undefined ? tags : [KEY_TAG + key, ...tags],
    where,
    ...(sinceNs === undefined ? {} : { since: sinceNs }),
  });
}

function holds(frame: StoredFrame, having: readonly Where[]): boolean {
  if (having.length === 0) return true;
  const view = new MessageView().openStored(frame);
  return having.every((where) => where.matches(view));
}
