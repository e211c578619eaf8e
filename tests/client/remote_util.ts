/**
 * A real server on a real socket for tests of the remote client.
 *
 * @module
 */

import "../support/environment.ts";
import { Client } from "../../mod.ts";
import { RemoteClient, type RemoteClientOptions } from "../../lib/remote/client.ts";
import { type AppOptions, createApp } from "../../server/app.ts";
import { freePort } from "../support/ports.ts";

/** A running server. */
export interface TestServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** The same pools, locally. */
  readonly local: Client;
  /** Requests seen so far: `GET /v0/pools`. */
  readonly seen: string[];
  /** A client for it. */
  client(options?: RemoteClientOptions): RemoteClient;
  /** Stops listening and breaks off everything that is open. */
  stop(): Promise<void>;
}

/** How to serve. */
export interface TestServerOptions extends AppOptions {
  readonly port?: number;
  readonly dir: string;
  readonly cert?: string;
  readonly key?: string;
  /** Answers instead of the app, where it gives something. */
  readonly before?: (request: Request) => Response | Promise<Response> | undefined;
  /** Changes answers of the app. */
  readonly after?: (request: Request, response: Response) => Response | Promise<Response>;
}

/** Starts a server on the pools of a directory. */
export function serve(options: TestServerOptions): TestServer {
  // Nobody else gets this port while a test has its server stopped.
  const { port = freePort(), dir, cert, key, before, after, ...rest } = options;
  const local = new Client(dir);
  const app = createApp(local, rest);
  const seen: string[] = [];
  const abort = new AbortController();
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port,
    signal: abort.signal,
    onListen: () => {},
    onError: () => new Response(null, { status: 500 }),
    ...(cert !== undefined && key !== undefined ? { cert, key } : {}),
  }, async (request) => {
    const { pathname, search } = new URL(request.url);
    seen.push(`${request.method} ${pathname}${search}`);
    const own = await before?.(request);
    if (own !== undefined) return own;
    const response = await app.fetch(request);
    return after === undefined ? response : await after(request, response);
  });
  const scheme = cert === undefined ? "http" : "https";
  const url = `${scheme}://127.0.0.1:${server.addr.port}`;
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await app.shutdown();
    abort.abort();
    await server.finished.catch(() => {});
  };
  return {
    url,
    port: server.addr.port,
    local,
    seen,
    client: (more) => new RemoteClient(url, more),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Takes so many of a stream. */
export async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) {
    items.push(item);
    if (items.length === count) break;
  }
  return items;
}
