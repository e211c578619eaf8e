/**
 * The short requests about one pool that a source makes in addition to its tail.
 *
 * @module
 */

import { parseJsonExact } from "../../text/json_exact.ts";
import type { PoolInfo } from "../local/info.ts";
import { envelopeError, type RemoteError, transportError } from "./error.ts";
import type { Transport } from "./transport.ts";
import { poolInfo, readableBounds, wireMessage } from "./wire.ts";

/** Requests about one pool. Failures are {@linkcode RemoteError}. */
export class PoolCalls {
  readonly #transport: Transport;
  readonly #pool: string;

  /** Creates the object without sending anything. */
  constructor(transport: Transport, pool: string) {
    this.#transport = transport;
    this.#pool = pool;
  }

  /** The path of a resource within the pool. */
  path(rest: string): string {
    return `/v0/pools/${encodeURIComponent(this.#pool)}/${rest}`;
  }

  /** Describes the pool. */
  async info(): Promise<PoolInfo> {
    const answer = await this.#transport.json(this.path("info"), { pool: this.#pool });
    return poolInfo(answer["pool"], this.#pool);
  }

  /** The bounds of the pool. */
  async bounds(): Promise<{ oldestSeq: bigint | null; newestSeq: bigint | null }> {
    return readableBounds(await this.info());
  }

  /** One message. */
  async message(seq: bigint): Promise<ReturnType<typeof wireMessage>> {
    const call = { pool: this.#pool };
    return wireMessage(await this.#transport.bytes(this.path(`messages/${seq}`), call), this.#pool);
  }

  /**
   * Requests messages from a position as JSON lines, which can contain an error, and throws that
   * error if it persists.
   *
   * @param since the first sequence number wanted; null for the oldest
   */
  async diagnose(since: bigint | null): Promise<void> {
    const query = new URLSearchParams({ max: "1", timeout_ms: "250" });
    if (since !== null) query.set("since_seq", String(since));
    const call = { pool: this.#pool };
    const bytes = await this.#transport.bytes(this.path(`tail?${query}`), call);
    const line = new TextDecoder().decode(bytes).trim().split("\n").at(-1) ?? "";
    if (!line.startsWith('{"error"')) return;
    const error = envelopeError(200, parseJsonExact(line), this.#pool);
    if (error !== null && !["Busy", "Io", "Internal"].includes(error.kindName)) throw error;
  }

  /** The error for a failed connection. */
  failed(cause: unknown, message?: string): RemoteError {
    const { base } = this.#transport;
    return transportError(cause, this.#pool, {
      base,
      ...(message === undefined ? {} : { message }),
    });
  }
}
