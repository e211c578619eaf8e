/**
 * `plasmite fetch`: print one message (docs/spec/command-line.md 3).
 *
 * @module
 */

// A local pool needs it on demand: it comes with this module, as a second import takes longer.
import "../backend/local/lookup.ts";
import type { PoolRef } from "../backend/resolve.ts";
import type { StoredFrame } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import type { CommandContext } from "./context.ts";
import { MessageWriter } from "./message_writer.ts";
import { findPool, openPool, refuseWithout } from "./open.ts";

/** Options for reading with a cursor. */
const CURSOR_OPTIONS = [
  "count",
  "tag",
  "where",
  "from",
  "error-on-gap",
  "cursor-dir",
  "durability",
];

/** Runs `fetch`. */
export async function run(context: CommandContext): Promise<number> {
  if (context.args.has("cursor")) {
    return await (await import("./cursor_read.ts")).fetchCursor(context);
  }
  refuseWithout(context, "cursor", CURSOR_OPTIONS);
  const ref = await findPool(context);
  const seq = context.args.integer("SEQ") ?? 0n;
  const writer = await MessageWriter.open(context, { dataOnly: false, plain: "document" });
  const frame = await read(context, ref, seq);
  if (frame === null) throw await missing(context, ref, seq);
  try {
    writer.write(new MessageView().openStored(frame));
  } catch (error) {
    throw PlasmiteError.is(error) ? error.with({ path: ref.path, seq }) : error;
  }
  writer.flush();
  return 0;
}

async function read(
  context: CommandContext,
  ref: PoolRef,
  seq: bigint,
): Promise<StoredFrame | null> {
  const pool = await openPool(context, ref, { write: false, unchecked: true });
  // The stored bytes are needed only for binary output, and may cost a second request.
  const exact = context.format === "lite3" || context.format === "lite3-raw";
  try {
    return await pool.get(seq, exact);
  } catch (error) {
    const { explainMissing } = await import("./missing.ts");
    throw explainMissing(error, context, ref);
  } finally {
    await pool.close();
  }
}

async function missing(
  context: CommandContext,
  ref: PoolRef,
  seq: bigint,
): Promise<PlasmiteError> {
  const { related } = await import("./command_line.ts");
  const info = related(context, "pool info", ref.ref, [], "end");
  const newest = related(context, "follow", ref.ref, ["--tail", "10"], "end");
  return new PlasmiteError("NotFound", "message not found", {
    seq,
    ...(ref.isRemote ? { path: ref.name } : {}),
    hint: `See what is retained with \`${info}\`, or the newest messages with \`${newest}\`.`,
  });
}
