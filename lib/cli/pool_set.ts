/**
 * `plasmite pool set`: change the age limit of a pool, or the size of a stream (docs/spec/coordination.md 8).
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import { PlasmiteError } from "../errors.ts";
import { maxAgeNs } from "../pool/header.ts";
import { settingMaxAge } from "../pool/retention.ts";
import { inPlace } from "../storage/steps.ts";
import { parseAge, parseSize } from "../text/units.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { localOrStream } from "./local_or_stream.ts";
import { connectTo } from "./open.ts";
import { withRing } from "./retained.ts";

/** Runs `pool set`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const ref = await localOrStream(context, args.required("POOL"));
  const text = args.text("max-age");
  const size = args.text("size");
  if (size !== undefined && !ref.isRemote) {
    throw new PlasmiteError("Usage", "--size is only for streams", {
      hint: "The size of a file stays: create another pool and copy the messages.",
    });
  }
  if (text === undefined && size === undefined) {
    throw new PlasmiteError("Usage", "pool set requires --max-age", {
      hint: "Use --max-age 7d, or --max-age none to remove the limit.",
    });
  }
  const ms = text === undefined ? undefined : text === "none" ? null : parseAge(text);
  const sizeBytes = size === undefined ? undefined : Number(parseSize(size));
  if (ref.isRemote) await setStream(context, ref, ms, sizeBytes);
  else {
    const ns = ms === null || ms === undefined ? 0n : maxAgeNs(ms);
    await withRing(context, ref, (ring) => inPlace(settingMaxAge(ring, ns)));
  }
  if (context.isForPeople) {
    const name = escapeControls(ref.ref);
    if (ms !== undefined) {
      context.stdout.text(`Set maximum age of ${name}: ${ms === null ? "no limit" : text}\n`);
    }
    if (size !== undefined) context.stdout.text(`Set size of ${name}: ${size}\n`);
    return 0;
  }
  context.document({
    set: {
      ...(sizeBytes !== undefined && { file_size: sizeBytes }),
      ...(ms !== undefined && { max_age_ms: ms }),
      name: ref.ref,
    },
  });
  return 0;
}

async function setStream(
  context: CommandContext,
  ref: PoolRef,
  ms: number | null | undefined,
  sizeBytes: number | undefined,
): Promise<void> {
  const backend = await connectTo(context, ref);
  try {
    await backend.change?.(ref.name, {
      ...(ms !== undefined && { maxAgeMs: ms ?? 0 }),
      ...(sizeBytes !== undefined && { sizeBytes }),
    });
  } finally {
    await backend.close();
  }
}
