/**
 * `plasmite mcp`: the tools over standard input and output, for the program that started us.
 *
 * @module
 */

import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Backend } from "../lib/backend/types.ts";
import { accessGrant } from "../lib/grant.ts";
import { standardInput, StandardStream } from "../lib/stdio.ts";
import type { Call } from "./frame.ts";
import { GrantedPools } from "./pools.ts";
import { buildServer } from "./server.ts";
import { type Input, LineTransport, type Output } from "./transport.ts";
import { wantedBy } from "./wanted.ts";
import { Watcher } from "./watch.ts";

/** How to serve a connection. */
export interface StdioOptions {
  /** The program's version. */
  readonly version: string;
  /** Default standard input. */
  readonly input?: Input;
  /** Default standard output. */
  readonly output?: Output;
  /** The longest line taken, in bytes. */
  readonly longestLine?: number;
  /** The longest wait, whatever is asked for, in ms; default 50000. */
  readonly maxWaitMs?: number;
  /** How often a call reports its progress to a peer who asked for it, in ms; default 5000. */
  readonly progressMs?: number;
  /** Told of what goes wrong beside the protocol. */
  readonly onerror?: (error: Error) => void;
}

/**
 * Serves one connection until its input ends and everything is answered.
 *
 * @param backend the pools
 */
export async function serveConnection(backend: Backend, options: StdioOptions): Promise<void> {
  // Whoever started us could do all of it themselves.
  const pools = new GrantedPools(backend, { grant: accessGrant("stdio", "read-write") });
  const { input = standardInput, output = StandardStream.stdout, version } = options;
  const transport = new LineTransport(input, output, options.longestLine);
  // The SDK has a new server for each try at an era; notices go to the last one.
  let notices: ReturnType<typeof buildServer> | undefined;
  const watcher = new Watcher(pools, {
    updated: (uri) => void notices?.sendResourceUpdated({ uri }).catch(() => {}),
    listChanged: () => void notices?.sendResourceListChanged().catch(() => {}),
  });
  const listens = new Map<unknown, () => void>();
  transport.oncall = (call) => watchFor(call, watcher, listens);
  const handle = serveStdio(({ era }) => {
    const server = buildServer({
      pools,
      version,
      subscriptions: true,
      watcher,
      ending: transport.ending.signal,
      arrivedAt: (id) => transport.arrivedAt(id),
      maxWaitMs: options.maxWaitMs,
      progressMs: options.progressMs,
    });
    notices = server;
    if (era === "legacy") server.oninitialized = () => watcher.addList();
    return server;
  }, {
    transport,
    ...(options.onerror === undefined ? {} : { onerror: options.onerror }),
  });
  await transport.done;
  watcher.close();
  // Ends open subscriptions with an answer, then the transport.
  await handle.close();
  await transport.close();
}

/** In the new era the SDK answers `subscriptions/listen`; what to watch is read off it here. */
function watchFor(
  { method, id, params }: Call,
  watcher: Watcher,
  listens: Map<unknown, () => void>,
): void {
  if (method === "notifications/cancelled") {
    const ended = params?.["requestId"];
    listens.get(ended)?.();
    listens.delete(ended);
  } else if (method === "subscriptions/listen" && id !== undefined) {
    listens.set(id, watcher.listen(wantedBy(params)));
  }
}
