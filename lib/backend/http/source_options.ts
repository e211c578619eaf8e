/**
 * Options for reading a pool on a server. Types only.
 *
 * @module
 */

import type { PlasmiteError } from "../../errors.ts";

/** The part of a selection that the server evaluates (docs/spec/http-api.md 12). */
export interface Pushdown {
  /** Only messages with all of these tags. */
  readonly tags: readonly string[];
  /** Of the messages that exist at the start, only the last this many. */
  readonly last?: number | undefined;
  /** Of the messages that exist at the start, only those from this time on, in ns since 1970. */
  readonly since: bigint;
  /** Whether the server goes on behind damage, and tells what it cannot read. */
  readonly skipCorrupt: boolean;
  /** Only messages that match; omitted if the server does not accept it. */
  readonly where?: string | undefined;
}

/** Options for reading. */
export interface SourceOptions {
  /** The first sequence number wanted, or the oldest retained without a gap. */
  readonly start: bigint | "oldest";
  /** The last sequence number wanted; nothing after it is requested. */
  readonly until?: bigint | undefined;
  /** The highest number known to be assigned; a pool with a lower one is a different pool. */
  readonly seen?: bigint | undefined;
  /** The selection for a server with the feature `select`, which also reports gaps. */
  readonly select?: Pushdown | undefined;
  /** Whether to reconnect after connection failures and while the server is busy. */
  readonly reconnect: boolean;
  /** Called once per outage, after the second attempt has also failed. */
  readonly onTrouble?: ((error: PlasmiteError) => void) | undefined;
}
