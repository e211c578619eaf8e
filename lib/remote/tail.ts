/**
 * The options of `pool.tail()` of a remote pool.
 *
 * @module
 */

import { type OptionKinds, TAIL_KINDS } from "../client/option_kinds.ts";
import type { TailOptions } from "../client/options.ts";

/** Options of a tail of a remote pool. */
export interface RemoteTailOptions extends TailOptions {
  /**
   * Reconnect automatically after connection failures and while the server is busy. Default false:
   * the tail rejects, and `nextSeq` has the position to resume from.
   */
  readonly reconnect?: boolean;
}

/** The kinds of the options of a remote tail. */
export const REMOTE_TAIL_KINDS: OptionKinds<RemoteTailOptions> = {
  ...TAIL_KINDS,
  reconnect: "boolean",
};
