/**
 * Access to the file of a pool for `pool trim`, `pool set` and `import`
 * (docs/spec/coordination.md 8).
 *
 * @module
 */

import { localPool, type PoolRef } from "../backend/resolve.ts";
import { WritableRing } from "../pool/writable_ring.ts";
import { disk } from "../storage/file.ts";
import { inPlace } from "../storage/steps.ts";
import type { CommandContext } from "./context.ts";
import { openPool } from "./open.ts";
import { refuseUrl } from "./refuse_url.ts";

/** The pool that a command names, which must be local. Throws Usage. */
export function findLocal(context: CommandContext): PoolRef {
  const name = context.args.required("POOL");
  refuseUrl(context, name);
  return localPool(name, context);
}

/** Calls a function with the open file of an existing pool. */
export async function withRing<T>(
  context: CommandContext,
  ref: PoolRef,
  use: (ring: WritableRing) => T,
): Promise<T> {
  const pool = await openPool(context, ref, { write: true }); // Has better error messages.
  await pool.close();
  return useRing(ref.path, use);
}

/** Calls a function with the open file of a pool. */
export function useRing<T>(path: string, use: (ring: WritableRing) => T): T {
  const ring = inPlace(WritableRing.opening(disk, path));
  try {
    return use(ring);
  } finally {
    ring.close();
  }
}
