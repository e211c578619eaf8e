/**
 * The options of `pool.tail()` of a remote pool.
 *
 * @module
 */

import { type OptionKinds, TAIL_KINDS } from "../client/option_kinds.ts";
import type { TailOptions } from "../client/options.ts";

/**
 * Options of a tail of a remote pool.
 *
 * @example Follow across restarts of the server
 * ```ts
 * import { Client, RemoteClient } from "@plasmite/core";
 * import { createApp } from "@plasmite/core/server";
 *
 * const app = createApp(new Client(Deno.makeTempDirSync()));
 * await using client = new RemoteClient("http://localhost:9700", {
 *   fetch: (input, init) => app.fetch(new Request(input, init)),
 * });
 * await using pool = await client.pool("demo");
 * await pool.append({ n: 1 });
 * for await (const message of pool.tail({ reconnect: true, maxMessages: 1 })) {
 *   console.assert(message.seq === 1n);
 * }
 * await app.shutdown();
 * ```
 */
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
