/**
 * `plasmite pool trim`: drop the oldest messages of a pool (docs/spec/coordination.md 8).
 *
 * @module
 */

import type { PoolRef } from "../backend/resolve.ts";
import type { Trimmed, TrimTo } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import { type Expired, trimming } from "../pool/retention.ts";
import { inPlace } from "../storage/steps.ts";
import { nowNs } from "../text/time.ts";
import { parseAge } from "../text/units.ts";
import type { Bounds } from "../types.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { localOrStream } from "./local_or_stream.ts";
import { connectTo } from "./open.ts";
import { withRing } from "./retained.ts";

const SELECTIONS = ["before", "keep", "older-than"] as const;

/** Runs `pool trim`. */
export async function run(context: CommandContext): Promise<number> {
  const ref = await localOrStream(context, context.args.required("POOL"));
  const to = selection(context);
  const { dropped, bounds } = ref.isRemote
    ? await trimStream(context, ref, to)
    : await withRing(context, ref, (ring) => {
      const dropped = inPlace(trimming(ring, expired(to, ring.state())));
      return { dropped, bounds: ring.state() };
    });
  const { newest } = bounds;
  const oldest = bounds.oldest === 0n ? null : bounds.oldest;
  if (context.isForPeople) {
    const left = oldest === null ? "none left" : `seq ${oldest}..${newest} left`;
    context.stdout.text(`Trimmed ${escapeControls(ref.ref)}: dropped ${dropped}, ${left}\n`);
  } else context.document({ trimmed: { dropped, newest, oldest } });
  return 0;
}

async function trimStream(context: CommandContext, ref: PoolRef, to: TrimTo): Promise<Trimmed> {
  const backend = await connectTo(context, ref);
  try {
    if (backend.trim === undefined) {
      throw new PlasmiteError("Usage", "pool trim accepts local pools and streams only", {
        hint: "Trim the pool on the machine that has it.",
      });
    }
    return await backend.trim(ref.name, to);
  } finally {
    await backend.close();
  }
}

/** The messages to drop. Throws Usage unless exactly one of the options is given. */
function selection(context: CommandContext): TrimTo {
  const { args } = context;
  if (SELECTIONS.filter((name) => args.has(name)).length !== 1) {
    throw new PlasmiteError("Usage", "pool trim requires one of --before, --keep, --older-than", {
      hint: "Say what goes: --before SEQ, all but the last with --keep N, or --older-than 7d.",
    });
  }
  const age = args.text("older-than");
  if (age !== undefined) return { olderThanNs: nowNs() - BigInt(parseAge(age)) * 1_000_000n };
  const before = args.integer("before");
  return before === undefined ? { keep: args.integer("keep") ?? 0n } : { before };
}

function expired(to: TrimTo, { newest }: Bounds): Expired {
  if ("olderThanNs" in to) return (_, timeNs) => timeNs < to.olderThanNs;
  const first = "before" in to ? to.before : newest - to.keep + 1n;
  return (seq) => seq < first;
}
