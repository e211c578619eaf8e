/**
 * `plasmite pool set`: change the age limit of a pool (docs/spec/coordination.md 8).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { maxAgeNs } from "../pool/header.ts";
import { settingMaxAge } from "../pool/retention.ts";
import { inPlace } from "../storage/steps.ts";
import { parseAge } from "../text/units.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { findLocal, withRing } from "./retained.ts";

/** Runs `pool set`. */
export async function run(context: CommandContext): Promise<number> {
  const ref = findLocal(context);
  const text = context.args.text("max-age");
  if (text === undefined) {
    throw new PlasmiteError("Usage", "pool set requires --max-age", {
      hint: "Use --max-age 7d, or --max-age none to remove the limit.",
    });
  }
  const ms = text === "none" ? null : parseAge(text);
  const ns = ms === null ? 0n : maxAgeNs(ms);
  await withRing(context, ref, (ring) => inPlace(settingMaxAge(ring, ns)));
  if (context.isForPeople) {
    const limit = ms === null ? "no limit" : text;
    context.stdout.text(`Set maximum age of ${escapeControls(ref.ref)}: ${limit}\n`);
  } else context.document({ set: { max_age_ms: ms, name: ref.ref } });
  return 0;
}
