/**
 * Access of routes to the pool of a call and to its coordination.
 *
 * @module
 */

import type { Coordination } from "../lib/backend/coordination.ts";
import type { OpenOptions, PoolHandle } from "../lib/backend/types.ts";
import type { Call, RouteHost } from "./routes/route.ts";

/** Uses the coordination of the pool of a call; the pool is closed afterwards. */
export function coordinated<T>(
  call: Call,
  host: RouteHost,
  use: (coordination: Coordination) => T | Promise<T>,
  options?: OpenOptions,
): Promise<T> {
  return opened(call, host, async (handle) => await use(await handle.coordinate()), options);
}

/** Uses the pool of a call, which is closed afterwards. */
export async function opened<T>(
  { pool }: Call,
  { backend }: RouteHost,
  use: (pool: PoolHandle) => T | Promise<T>,
  options?: OpenOptions,
): Promise<T> {
  const handle = await backend.open(pool, options);
  try {
    return await use(handle);
  } finally {
    void handle.close();
  }
}
