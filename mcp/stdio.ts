/**
 * `plasmite mcp`: the tools over standard input and output.
 *
 * @module
 */

import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Backend } from "../lib/backend/types.ts";
import { holdWorkers } from "../lib/filter/holders.ts";
import { accessGrant } from "../lib/grant.ts";
import { standardInput, StandardStream } from "../lib/stdio.ts";
import type { Call } from "./frame.ts";
import { GrantedPools } from "./pools.ts";
import { buildServer } from "./server.ts";
import { type Input, LineTransport, type Output } from "./transport.ts";
import { wantedBy } from "./wanted.ts";
import { type Listen, Watcher } from "./watch.ts";

/** Options of a connection. */
export interface StdioOptions {
  /** The version of the program. */
  readonly version: string;
  /** The input; default standard input. */
  readonly input?: Input;
  /** The output; default standard output. */
  readonly output?: Output;
  /** The longest input line, in bytes. */
  readonly longestLine?: number;
  /** The longest wait, in milliseconds; default 50000. */
  readonly maxWaitMs?: number;
  /** How often a call reports progress, in milliseconds; default 5000. */
  readonly progressMs?: number;
  /** Called for problems outside the protocol. */
  readonly onerror?: (error: Error) => void;
}

/**
 * Serves one connection until its input ends and all requests are answered.
 *
 * @param backend the pools
 */
export async function serveConnection(backend: Backend, options: StdioOptions): Promise<void> {
  // The program that started us could use the pools directly.
  const pools = new GrantedPools(backend, { grant: accessGrant("stdio", "read-write") });
  const { input = standardInput, output = StandardStream.stdout, version } = options;
  const transport = new LineTransport(input, output, options.longestLine);
  // The SDK creates a new server for each revision that is tried; notifications go to the last one.
  let notices: ReturnType<typeof buildServer> | undefined;
  const watcher = new Watcher(pools, {
    updated: (uri) => void notices?.sendResourceUpdated({ uri }).catch(() => {}),
    listChanged: () => void notices?.sendResourceListChanged().catch(() => {}),
  });
  const listens = new Map<unknown, Listen>();
  const releaseWorkers = holdWorkers();
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
    if (era === "legacy") server.oninitialized = () => void watcher.addList();
    return server;
  }, {
    transport,
    ...(options.onerror === undefined ? {} : { onerror: options.onerror }),
  });
  await transport.done;
  watcher.close();
  releaseWorkers();
  // Ends open subscriptions with an answer, then the transport.
  await handle.close();
  await transport.close();
}

/**
 * The SDK answers `subscriptions/listen` itself; this reads from it what to watch, and returns what
 * the answer has to wait for.
 */
function watchFor(
  { method, id, params }: Call,
  watcher: Watcher,
  listens: Map<unknown, Listen>,
): Promise<unknown> | undefined {
  if (method === "notifications/cancelled") {
    const ended = params?.["requestId"];
    listens.get(ended)?.stop();
    listens.delete(ended);
  } else if (method === "subscriptions/listen" && id !== undefined) {
    const listen = watcher.listen(wantedBy(params));
    listens.set(id, listen);
    return listen.begun;
  }
  return undefined;
}
