/**
 * Handles for the coordination of a pool, local or remote, which leases, cursors and groups share
 * with the pool that they were opened with, and may outlive.
 *
 * @module
 */

import type { Coordination } from "../backend/coordination.ts";
import type { PoolHandle } from "../backend/types.ts";
import type { Awaitable } from "../types.ts";

/** A handle; closed once everyone who has it has closed it. */
export interface Access {
  /** The name of the pool in errors. */
  readonly path: string;
  readonly coordination: Coordination;
  /** The newest sequence number; null if it is not available without a request. */
  newestNow(): bigint | null;
  /** The newest sequence number; 0 if there is none. */
  newest(): Awaitable<bigint>;
  /** Registers another user. */
  share(): this;
  /** Unregisters a user. */
  close(): void;
}

/** Where a pool's handle comes from: `write` if it is for something that appends. */
export type Reach = (write: boolean) => Awaitable<Access>;

/** Coordination through a handle of a backend. */
export class HandleAccess implements Access {
  readonly path: string;
  readonly coordination: Coordination;
  readonly #pool: PoolHandle;
  #users = 1;

  private constructor(pool: PoolHandle, coordination: Coordination) {
    this.path = pool.path;
    this.coordination = coordination;
    this.#pool = pool;
  }

  /** @param pool the handle, which is closed with the access */
  static async open(pool: PoolHandle): Promise<HandleAccess> {
    try {
      return new HandleAccess(pool, await pool.coordinate());
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  newestNow(): null {
    return null;
  }

  async newest(): Promise<bigint> {
    return (await this.#pool.bounds()).newest;
  }

  share(): this {
    this.#users++;
    return this;
  }

  close(): void {
    if (--this.#users === 0) void this.#pool.close();
  }
}
