/**
 * Access of routes to the coordination of a pool.
 *
 * @module
 */

import type { Coordination } from "../lib/backend/coordination.ts";
import type { OpenOptions } from "../lib/backend/types.ts";
import type { Call, RouteHost } from "./routes/route.ts";

/** Uses the coordination of the pool of a call; the pool is closed afterwards. */
export async function coordinated<T>(
  { pool }: Call,
  { backend }: RouteHost,
  use: (coordination: Coordination) => T | Promise<T>,
  options?: OpenOptions,
): Promise<T> {
  const handle = await backend.open(pool, options);
  try {
    return await use(await handle.coordinate());
  } finally {
    void handle.close();
  }
}
