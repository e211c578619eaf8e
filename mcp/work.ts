/**
 * Access of tools to work groups.
 *
 * @module
 */

import type { Group, GroupRequest } from "../lib/backend/coordination.ts";
import { deadName } from "../lib/backend/dead.ts";
import type { GrantedPools } from "./pools.ts";

/**
 * Does something with a work group.
 *
 * @throws {PlasmiteError} Permission without the right to append: what a worker does is seen by the
 *   others (docs/spec/coordination.md 13.8)
 */
export async function joined<T>(
  pools: GrantedPools,
  name: string,
  group: string,
  request: GroupRequest,
  work: (member: Group) => Promise<T>,
): Promise<T> {
  pools.check("append", name);
  const pool = await pools.open(name);
  try {
    const coordination = await pool.coordinate();
    // Creating the dead pool requires the right to create pools.
    const createDead = pools.can("admin", deadName(name));
    const member = coordination.group(group, { ...request, createDead });
    try {
      return await work(member);
    } finally {
      member.close();
    }
  } finally {
    await pool.close();
  }
}
