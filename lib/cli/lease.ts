/**
 * Common parts of `claim`, `renew` and `release` (docs/spec/coordination.md 6 and 13.5).
 *
 * @module
 */

import type { LeaseState, PoolHandle } from "../backend/types.ts";
import { TTL } from "../coordination/lease.ts";
import { checkKey } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import { formatTime } from "../text/time.ts";
import { parseDuration } from "../text/units.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import type { Json } from "./output.ts";

/** The keys and the holder in the command line. Throws Usage. */
export function partiesOf(context: CommandContext): { keys: readonly string[]; holder: string } {
  const { args } = context;
  const keys = args.texts("KEY").map((key) => checkKey(key, "key"));
  return { keys, holder: checkKey(args.text("as") ?? "", "holder") };
}

/** The milliseconds of `--ttl`; undefined without it. Throws Usage. */
export function ttlOf(context: CommandContext): number | undefined {
  const text = context.args.text("ttl");
  if (text === undefined) return undefined;
  const ttlMs = parseDuration(text);
  if (ttlMs >= TTL.least && ttlMs <= TTL.most) return ttlMs;
  throw new PlasmiteError("Usage", "invalid --ttl value", {
    hint: "A lease lasts 1s to 24h.",
  });
}

/** Prints a report: text on a terminal, one document in a pipe. */
export function tell(context: CommandContext, value: Json, text: string): void {
  if (context.isForPeople) context.stdout.text(`${escapeControls(text)}\n`);
  else context.document(value);
}

/** Prints a lease. */
export function tellLease(context: CommandContext, verb: string, lease: LeaseState): void {
  const { holder, keys, seq, token, untilNs } = lease;
  const until = formatTime(untilNs);
  const text = `${verb} ${keys.join(" ")}  token=${token} until ${until}`;
  tell(context, { holder, keys, seq, token, until }, text);
}

/** Warns if the pool may overwrite the claim before it ends. */
export function warnShort(context: CommandContext, pool: PoolHandle, lease: LeaseState): void {
  if (!lease.shortRetention) return;
  printNotice(context, {
    kind: "claim_retention",
    message:
      "The pool already overwrites messages that are younger than this lease, so the claim " +
      "may be lost before it ends; use a larger pool, or one for claims alone.",
    pool: context.args.required("POOL"),
    details: { keys: lease.keys, pool_path: pool.path, token: lease.token },
  });
}
