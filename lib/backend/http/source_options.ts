/**
 * How to read a pool of a server. Only types.
 *
 * @module
 */

import type { PlasmiteError } from "../../errors.ts";

/** Where a source starts. */
export type SourceStart = bigint | "oldest" | "end";

/** The part of a selection that the server evaluates (docs/spec/http-api.md 12). */
export interface Pushdown {
  /** Only messages with all of these tags. */
  readonly tags: readonly string[];
  /** Only the last so many of those that are there at the start. */
  readonly last?: number | undefined;
  /** Of those that are there at the start, only those from this time on, in ns since 1970. */
  readonly since: bigint;
  /** Only messages that match; left out when the server does not take it. */
  readonly where?: string | undefined;
}

/** How to read. */
export interface SourceOptions {
  /** The first sequence number wanted, the oldest retained without a gap, or after the newest. */
  readonly start: SourceStart;
  /** The last sequence number wanted; nothing after it is requested. */
  readonly until?: bigint | undefined;
  /** The highest number known to be assigned in the pool: a pool with less is a different one. */
  readonly seen?: bigint | undefined;
  /** The selection for a server with the feature `select`, which also reports gaps. */
  readonly select?: Pushdown | undefined;
  /** Whether to reconnect after connection failures and while the server is busy. */
  readonly reconnect: boolean;
  /** Called once per outage, when the second attempt has failed too. */
  readonly onTrouble?: ((error: PlasmiteError) => void) | undefined;
}
