/**
 * What pools of servers have in common: they are open or closed, and coordinate through a second
 * handle.
 *
 * @module
 */

import type { PoolHandle } from "../backend/types.ts";
import { HandleAccess } from "../client/access.ts";
import { PlasmiteError } from "../errors.ts";

/** The state of one pool of a server. */
export class SharedAccess {
  readonly #again: () => PoolHandle;
  #access: Promise<HandleAccess> | null = null;
  #closed = false;

  /** @param again returns a second handle of the pool */
  constructor(again: () => PoolHandle) {
    this.#again = again;
  }

  /** Throws Usage once the pool was closed. */
  check(): void {
    if (!this.#closed) return;
    throw new PlasmiteError("Usage", "pool is closed", { hint: "Open it again." });
  }

  /** A handle for coordination, which leases and cursors share and may outlive. */
  async reach(): Promise<HandleAccess> {
    this.check();
    const access = this.#access ??= HandleAccess.open(this.#again());
    try {
      return await access;
    } catch (error) {
      if (this.#access === access) this.#access = null; // The next call tries again.
      throw error;
    }
  }

  /** Closes the pool for further calls; a second call does nothing. */
  close(): void {
    if (!this.#closed) this.#access?.then((access) => access.close(), () => {});
    this.#closed = true;
  }
}
