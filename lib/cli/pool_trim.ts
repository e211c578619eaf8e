/**
 * `plasmite pool trim`: drop the oldest messages of a pool (docs/spec/coordination.md 8).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { type Expired, trimming } from "../pool/retention.ts";
import { inPlace } from "../storage/steps.ts";
import { nowNs } from "../text/time.ts";
import { parseAge } from "../text/units.ts";
import type { Bounds } from "../types.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { findLocal, withRing } from "./retained.ts";

const SELECTIONS = ["before", "keep", "older-than"] as const;

/** Runs `pool trim`. */
export async function run(context: CommandContext): Promise<number> {
  const ref = findLocal(context);
  const choose = selection(context);
  const { dropped, bounds } = await withRing(context, ref, (ring) => {
    const dropped = inPlace(trimming(ring, choose(ring.state())));
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

/** The messages to drop. Throws Usage unless exactly one of the options is given. */
function selection(context: CommandContext): (bounds: Bounds) => Expired {
  const { args } = context;
  if (SELECTIONS.filter((name) => args.has(name)).length !== 1) {
    throw new PlasmiteError("Usage", "pool trim requires one of --before, --keep, --older-than", {
      hint: "Say what goes: --before SEQ, all but the last with --keep N, or --older-than 7d.",
    });
  }
  const age = args.text("older-than");
  if (age !== undefined) {
    const cutoff = nowNs() - BigInt(parseAge(age)) * 1_000_000n;
    return () => (_, timeNs) => timeNs < cutoff;
  }
  const before = args.integer("before");
  const keep = args.integer("keep") ?? 0n;
  return ({ newest }) => {
    const first = before ?? newest - keep + 1n;
    return (seq) => seq < first;
  };
}
