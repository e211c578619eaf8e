/**
 * The server on a socket: listening, listening again, and stopping in well under a second.
 *
 * @module
 */

import type { Client } from "../lib/client/client.ts";
import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { pause } from "../lib/timers.ts";
import { startTimer } from "../lib/timers.ts";
import { removeQuietly } from "../lib/storage/temporary.ts";
import { type AppOptions, createApp } from "./app.ts";
import { makeCertificate } from "./certificate.ts";
import { baseUrl, isLoopback, readKey, scopeOf, type ServeConfig } from "./config.ts";
import { errorResponse } from "./errors.ts";
import { headOnWire } from "./head.ts";
import { makeRecord, register } from "./registry.ts";

/** How long to wait for readers that take nothing, in milliseconds. */
const LAST_CALL = 500;
/** How long to wait before listening again after the accept loop died, in milliseconds. */
const RELISTEN = 100;

/** A server that listens. */
export interface Running {
  /** The address it listens on. */
  readonly hostname: string;
  /** The port, also when any was asked for. */
  readonly port: number;
  /** `http://127.0.0.1:9700`. */
  readonly url: string;
  /** The certificate's fingerprint; null without TLS. */
  readonly fingerprint: string | null;
  /** When a certificate from a file is valid; null without one. */
  readonly certificate: { readonly notBefore: Date; readonly notAfter: Date } | null;
  /** Resolves when it has stopped. */
  readonly finished: Promise<void>;
  /** Ends streams, finishes appends, stops: half a second at most. */
  shutdown(): Promise<void>;
}

/** Extras that do not come from the command line. */
export interface ServeHooks extends
  Pick<
    AppOptions,
    | "mcp"
    | "ui"
    | "onFault"
    | "heartbeatMs"
    | "bodyIdleMs"
    | "bodyTotalMs"
    | "maxBodiesBytes"
    | "readerGraceMs"
  > {
  /** Told when it had to listen again. */
  readonly onTrouble?: (error: unknown) => void;
  /** Whether to enter the server into the registry; default true. */
  readonly registry?: boolean;
  /** Where to write the bound address once it is known. */
  readonly readyFile?: string | undefined;
}

interface Pair {
  readonly cert: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

async function certificateFor(config: ServeConfig): Promise<Pair | null> {
  const { tls } = config;
  if (tls === null) return null;
  if (tls.kind === "self-signed") return await makeCertificate(config.hostname);
  return { cert: tls.cert, fingerprint: tls.fingerprint, ...await readKey(tls) };
}

/**
 * Writes `ip:port` so that whoever waits for the file never sees half of it
 * (docs/spec/http-api.md 8).
 */
function publishAddress(path: string, address: string): void {
  try {
    const temporary = path.replace(/(?:\.[^./]*)?$/, ".tmp");
    if (path === "" || temporary === path) throw new Error("The path is empty or ends in .tmp.");
    try {
      Deno.writeTextFileSync(temporary, address);
      Deno.renameSync(temporary, path);
    } catch (error) {
      removeQuietly(temporary);
      throw error;
    }
  } catch (cause) {
    throw new PlasmiteError("Io", "failed to publish bound server address", {
      path,
      hint: "Set PLASMITE_SERVE_READY_FILE to a path that can be written, or leave it unset.",
      causes: [messageOf(cause)],
      cause,
    });
  }
}

function datesOf(pair: Pair | null): Running["certificate"] {
  const { notBefore, notAfter } = pair ?? {};
  return notBefore === undefined || notAfter === undefined ? null : { notBefore, notAfter };
}

/**
 * Starts a server.
 *
 * @throws {PlasmiteError} Io when the address is taken, Usage or Io for a bad certificate or key
 */
export async function startServer(
  client: Client,
  config: ServeConfig,
  hooks: ServeHooks = {},
): Promise<Running> {
  const pair = await certificateFor(config);
  let status: unknown = null;
  const { readyFile: _ready, registry: _registry, onTrouble: _trouble, ...options } = hooks;
  const statusOption = config.loopback && pair === null ? { status: () => status } : {};
  const app = createApp(client, {
    token: config.token?.value,
    access: config.access,
    loopbackOnly: config.loopback,
    allowHosts: config.allowHosts,
    corsOrigins: config.corsOrigins,
    maxBodyBytes: config.maxBodyBytes,
    maxBodiesBytes: config.maxBodiesBytes,
    maxTailTimeoutMs: config.maxTailTimeoutMs,
    maxTailConcurrency: config.maxTailConcurrency,
    inventedHost: () => inventedHost(server.addr, pair !== null),
    ...statusOption,
    ...options,
  });
  let port = config.port;
  let stopping = false;
  const listen = (): Deno.HttpServer<Deno.NetAddr> =>
    Deno.serve({
      hostname: config.hostname,
      port,
      ...(pair === null ? {} : { cert: pair.cert, key: pair.key }),
      onListen: () => {},
      // Only streams that are broken off on purpose end here; the app answers everything itself.
      onError: (error) => errorResponse(error),
    }, (request) => {
      const head = request.method === "HEAD";
      const answer = app.fetch(request);
      return head ? headOnWire(answer) : answer;
    });
  let server = open(listen, pair !== null);
  port = server.addr.port;

  let unregister = (): void => {};
  try {
    if (hooks.readyFile !== undefined) {
      const shown = server.addr.hostname.includes(":")
        ? `[${server.addr.hostname}]`
        : server.addr.hostname;
      publishAddress(hooks.readyFile, `${shown}:${port}`);
    }
  } catch (error) {
    await server.shutdown();
    throw error;
  }
  if (hooks.registry !== false) {
    const url = baseUrl(config, port);
    // A wildcard is reached at a loopback address as well; one address of many only at that.
    const here = scopeOf(config) !== "network reachable";
    const record = makeRecord(
      client.poolDir,
      here ? url : null,
      here ? null : url,
      config.loopback && pair === null ? "answer" : "lock",
    );
    status = record;
    unregister = register(record);
  }

  /**
   * The accept loop dies when descriptors run out; open connections live on
   * (docs/spec/http-api.md 13).
   */
  const finished = (async () => {
    for (;;) {
      try {
        await server.finished;
        return;
      } catch (error) {
        if (stopping) return;
        hooks.onTrouble?.(error);
      }
      while (!stopping) {
        await pause(RELISTEN);
        try {
          server = listen();
          break;
        } catch {
          continue; // Still no descriptor to listen with.
        }
      }
      if (stopping) return;
    }
  })();

  return {
    hostname: config.hostname,
    port,
    url: baseUrl(config, port),
    fingerprint: pair?.fingerprint ?? null,
    certificate: datesOf(pair),
    finished,
    shutdown: async () => {
      stopping = true;
      unregister();
      const ended = Promise.all([app.shutdown(), server.shutdown()]);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = startTimer(resolve, LAST_CALL);
      });
      await Promise.race([ended.then(() => {}, () => {}), late]);
      clearTimeout(timer);
    },
  };
}

/** What the runtime takes for the host of a request that names none (Deno 2.9). */
function inventedHost({ hostname, port }: Deno.NetAddr, tls: boolean): string {
  const local = isLoopback(hostname) || hostname === "0.0.0.0" || hostname === "::";
  const host = local ? "localhost" : hostname.includes(":") ? `[${hostname}]` : hostname;
  return port === (tls ? 443 : 80) ? host : `${host}:${port}`;
}

/** Opens the listener, or says why not. */
function open(
  listen: () => Deno.HttpServer<Deno.NetAddr>,
  tls: boolean,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return listen();
  } catch (cause) {
    if (cause instanceof Deno.errors.InvalidData || cause instanceof TypeError) {
      throw new PlasmiteError("Usage", "invalid TLS certificate or key", {
        hint: "Give a PEM certificate and the private key that belongs to it.",
        causes: [cause.message],
        cause,
      });
    }
    throw new PlasmiteError("Io", tls ? "failed to bind TLS server" : "failed to bind server", {
      hint: "Choose another --bind address or port; this one may be in use.",
      causes: [messageOf(cause)],
      cause,
    });
  }
}
