/**
 * A remote pool as `follow`, `duplex` and the agents' bridge read it.
 *
 * @module
 */

import type { FrameSource, PoolReader } from "../backend/source.ts";
import type { PlasmiteError } from "../errors.ts";
import { RemoteSource } from "../backend/http/source.ts";
import type { Transport } from "../backend/http/transport.ts";
import { poolInfo } from "../backend/http/wire.ts";
import type { Bounds } from "../types.ts";

/** How to read. */
export interface RemoteReaderOptions {
  /** Told once per outage that the connection does not come back at once. */
  readonly onTrouble?: (error: PlasmiteError) => void;
}

/** Reads one pool of a server; streams go on by themselves after failures of the connection. */
export class RemoteReader implements PoolReader {
  /** `http://host:port/pool`. */
  readonly path: string;
  readonly #transport: Transport;
  readonly #pool: string;
  readonly #options: RemoteReaderOptions;
  #closed = false;

  /** Reads pool `pool` of the server of `transport`. */
  constructor(transport: Transport, pool: string, options: RemoteReaderOptions = {}) {
    this.#transport = transport.retain();
    this.#pool = pool;
    this.#options = options;
    this.path = `${transport.base.origin}/${pool}`;
  }

  /** What is retained now. */
  async bounds(): Promise<Bounds> {
    const path = `/v0/pools/${encodeURIComponent(this.#pool)}/info`;
    const answer = await this.#transport.json(path, { pool: this.#pool });
    const { oldestSeq, newestSeq } = poolInfo(answer["pool"], this.#pool).bounds;
    return { oldest: oldestSeq ?? 0n, newest: newestSeq ?? 0n };
  }

  /** Begins at `seq` (inclusive); 0 begins at the oldest without a gap. */
  open(seq: bigint, _notify: boolean, until?: bigint): FrameSource {
    return new RemoteSource(this.#transport, this.#pool, {
      start: seq === 0n ? "oldest" : seq,
      until,
      reconnect: true,
      onTrouble: this.#options.onTrouble,
    });
  }

  /** Releases the connections; sources that are open go on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#transport.release();
  }
}
