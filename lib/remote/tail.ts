/**
 * The options of `pool.tail()` of a remote pool.
 *
 * @module
 */

import { type OptionKinds, TAIL_KINDS } from "../client/option_kinds.ts";
import type { TailOptions } from "../client/options.ts";

/** How to follow a remote pool. */
export interface RemoteTailOptions extends TailOptions {
  /**
   * Go on by itself after failures of the connection and while the server is busy; default false:
   * they reject, and `nextSeq` tells where to go on.
   */
  readonly reconnect?: boolean;
}

/** The options of a remote tail. */
export const REMOTE_TAIL_KINDS: OptionKinds<RemoteTailOptions> = {
  ...TAIL_KINDS,
  reconnect: "boolean",
};
