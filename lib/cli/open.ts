/**
 * Opens a pool for a command, making it first where `--create` says so.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { DEFAULT_POOL_SIZE } from "../pool/layout.ts";
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

/**
 * Opens with `open`; a missing pool is created (with `--create`) or explained with the exact
 * command that would create it.
 *
 * @throws {PlasmiteError} NotFound with a hint, Usage for a bad `--create-size`, or as `open`
 */
export async function openOrCreate<T>(
  context: CommandContext,
  ref: LocalRef,
  open: (path: string) => T,
): Promise<T> {
  try {
    return open(ref.path);
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
    if (!mayCreate(context)) {
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
  try {
    Ring.create(disk, ref.path, { size });
  } catch (error) {
    // Another process made it at the same moment: then it is there to open.
    if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
  }
  return open(ref.path);
}
