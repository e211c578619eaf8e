/**
 * Opens a pool for a command, making it first where `--create` says so.
 *
 * @module
 */

import { outliveFileSizeLimit } from "../environment.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { isMissing } from "../pool/creation.ts";
import { DEFAULT_POOL_SIZE, type Layout, planLayout } from "../pool/layout.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import type { CommandContext } from "./context.ts";
import type { LocalRef } from "./refs.ts";

/** Whether the command line asks for a missing pool to be made. */
function mayCreate(context: CommandContext): boolean {
  return context.args.has("create") || sizeText(context) !== undefined;
}

/** `--create-size`; commands without that option have none. */
function sizeText(context: CommandContext): string | undefined {
  return context.args.text("create-size");
}

/** How long to wait for a pool that another process is making, in milliseconds. */
const CREATION_TIMEOUT = 10_000;

/**
 * Opens with `open`; a missing pool is created (with `--create`) or explained with the exact
 * command that would create it.
 *
 * @param validate what must hold before a pool of that layout is made for this command: whatever it
 *   throws, nothing was made
 * @throws {PlasmiteError} NotFound with a hint, Usage for a bad `--create-size`, or as `open`
 */
export async function openOrCreate<T>(
  context: CommandContext,
  ref: LocalRef,
  open: (path: string) => T,
  validate?: (layout: Layout) => Promise<void> | void,
): Promise<T> {
  outliveFileSizeLimit();
  const since = performance.now();
  for (;;) {
    try {
      return open(ref.path);
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (mayCreate(context)) break;
      // Another process is making it right now.
      const late = performance.now() - since > CREATION_TIMEOUT;
      if (PlasmiteError.is(error, ErrorKind.Busy) && !late) continue;
      const { explainMissing } = await import("./missing.ts");
      throw explainMissing(error, context, ref);
    }
  }
  const text = sizeText(context);
  let size = DEFAULT_POOL_SIZE;
  if (text !== undefined) {
    const { parseSize } = await import("../text/units.ts");
    size = Number(parseSize(text));
  }
  const waiting = validate?.(planLayout(size));
  if (waiting !== undefined) await waiting;
  try {
    Ring.create(disk, ref.path, { size });
  } catch (error) {
    // Another process made it at the same moment: then it is there to open.
    if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
  }
  return open(ref.path);
}
