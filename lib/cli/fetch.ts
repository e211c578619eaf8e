/**
 * `plasmite fetch`: print one message (docs/spec/command-line.md 3).
 *
 * @module
 */

import { Follower } from "../backend/local/follower.ts";
import type { FrameSource } from "../backend/source.ts";
import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { MessageWriter } from "./message_writer.ts";
import { type PoolRef, resolveRef } from "./refs.ts";
import { refuseRemoteFlags } from "./remote.ts";

/** Runs `fetch`. */
export async function run(context: CommandContext): Promise<number> {
  const ref = resolveRef(context.args.required("POOL"), context);
  const seq = context.args.integer("SEQ") ?? 0n;
  const writer = await MessageWriter.open(context, { dataOnly: false, plain: "document" });
  const source = await open(context, ref, seq);
  try {
    if (seq === 0n || !source.next() || source.cursor.seq !== seq) throw missing(ref, seq);
    writer.write(source.message, source.cursor);
    writer.flush();
    return 0;
  } finally {
    source.close();
  }
}

async function open(context: CommandContext, ref: PoolRef, seq: bigint): Promise<FrameSource> {
  if (ref.kind === "remote") {
    const { fetchRemote } = await import("./remote_read.ts");
    return await fetchRemote(context, ref, seq);
  }
  refuseRemoteFlags(context);
  try {
    // A message that does not exist yet is not waited for: no watcher.
    return new Follower(ref.path, seq, false);
  } catch (error) {
    const { explainMissing } = await import("./missing.ts");
    throw explainMissing(error, context, ref);
  }
}

function missing(ref: PoolRef, seq: bigint): PlasmiteError {
  return new PlasmiteError("NotFound", "message not found", {
    seq,
    ...(ref.kind === "remote" ? { path: ref.pool } : {}),
    hint: `See what is retained with \`plasmite pool info ${ref.ref}\`, or the newest messages ` +
      `with \`plasmite follow ${ref.ref} --tail 10\`.`,
  });
}
