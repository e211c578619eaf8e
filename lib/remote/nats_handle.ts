/**
 * A pool of a backend that is loaded, and a stream that is opened, when they are first needed.
 *
 * @module
 */

import type { Coordination } from "../backend/coordination.ts";
import type { PoolInfo } from "../backend/local/info.ts";
import type {
  AppendRequest,
  Backend,
  PoolHandle,
  Selection,
  StoredFrame,
  Walk,
} from "../backend/types.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { type Limits, limitsOf } from "../pool/layout.ts";
import type { Bounds } from "../types.ts";

/** Opens a pool on first use. */
export class LatePool implements PoolHandle {
  readonly name: string;
  readonly path: string;
  readonly limits: Limits = limitsOf(0);
  readonly #backend: () => Promise<Backend>;
  #pool: Promise<PoolHandle> | null = null;

  readonly #closed: () => Promise<void>;

  /**
   * @param backend returns the backend
   * @param closed called when the pool is closed
   */
  constructor(
    name: string,
    path: string,
    backend: () => Promise<Backend>,
    closed: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.name = name;
    this.path = path;
    this.#backend = backend;
    this.#closed = closed;
  }

  /** The open pool. After a failure, the next call tries again. */
  open(): Promise<PoolHandle> {
    const pool = this.#pool ??= this.#backend().then((backend) => backend.open(this.name));
    pool.catch(() => {
      if (this.#pool === pool) this.#pool = null;
    });
    return pool;
  }

  /** A second handle of the same pool, closed independently. */
  again(): LatePool {
    return new LatePool(this.name, this.path, this.#backend);
  }

  async bounds(): Promise<Bounds> {
    return await (await this.open()).bounds();
  }

  async info(): Promise<PoolInfo> {
    return await (await this.open()).info();
  }

  async get(seq: bigint, exact?: boolean): Promise<StoredFrame | null> {
    return await (await this.open()).get(seq, exact);
  }

  async append(batch: FrameBatch, request: AppendRequest): Promise<void> {
    await (await this.open()).append(batch, request);
  }

  async select(selection: Selection): Promise<Walk> {
    return await (await this.open()).select(selection);
  }

  async coordinate(): Promise<Coordination> {
    return await (await this.open()).coordinate();
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    const open = await pool?.catch(() => null); // It was never open.
    await open?.close();
    await this.#closed();
  }
}
