/**
 * Starts a server on one listener.
 *
 * @module
 */

import type { Administration } from "./access/administration.ts";
import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { removeQuietly } from "../lib/storage/temporary.ts";
import type { AppOptions } from "./app.ts";
import { baseUrl, type Limits, readKey, scopeOf, type ServeConfig } from "./config.ts";
import { LateApp } from "./late.ts";
import { Listener } from "./listener.ts";
import { makeRecord, register } from "./registry.ts";
import type { PoolDirectory, ServerOptions } from "./server.ts";
import type { Mounts } from "./mounts.ts";

/** A listening server. */
export interface Running {
  /** The address it listens on. */
  readonly hostname: string;
  /** The actual port. */
  readonly port: number;
  /** `http://127.0.0.1:9700`. */
  readonly url: string;
  /** The certificate's fingerprint; null without TLS. */
  readonly fingerprint: string | null;
  /** The validity period of a certificate from a file; null without one. */
  readonly certificate: { readonly notBefore: Date; readonly notAfter: Date } | null;
  /** Resolves when it has stopped. */
  readonly finished: Promise<void>;
  /** Ends streams, finishes appends and stops, within half a second. */
  shutdown(): Promise<void>;
}

/** Options that do not come from the command line. */
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
  /** Streams to serve in addition to the pools of the directory. */
  readonly mounts?: Mounts;
  /** Called when it had to listen again. */
  readonly onTrouble?: (error: unknown) => void;
  /** Called when its code cannot be loaded, once at least: it will answer no request. */
  readonly onBroken?: (error: PlasmiteError) => void;
  /** Whether to enter the server into the registry; default true. */
  readonly registry?: boolean;
  /** The file to write the bound address to. */
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
  if (tls.kind === "self-signed") {
    return await (await import("./certificate.ts")).makeCertificate(config.hostname);
  }
  return { cert: tls.cert, fingerprint: tls.fingerprint, ...await readKey(tls) };
}

/**
 * Writes `ip:port` atomically, for programs that wait for the file (docs/spec/http-api.md 8).
 */
export function publishAddress(path: string, address: string): void {
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
  client: PoolDirectory,
  config: ServeConfig,
  hooks: ServeHooks = {},
): Promise<Running> {
  const pair = await certificateFor(config);
  let status: unknown = null;
  const { readyFile, registry, onTrouble, onBroken, ...options } = hooks;
  const { hostname } = config;
  const plain = config.loopback && pair === null;
  const listener = new Listener(
    { hostname, port: config.port, tls: pair, onTrouble },
    (more) =>
      lateServer(client, {
        ...limitsOption(config),
        token: config.token?.value,
        access: config.access,
        loopbackOnly: config.loopback,
        ...plain ? { status: () => status } : {},
        ...plain && config.token === null
          ? { administration: () => filedAdministration(client.poolDir), browser: "local" as const }
          : {},
        ...options,
        ...more,
      }, onBroken),
  );
  const { port } = listener;
  let unregister = (): void => {};
  try {
    if (readyFile !== undefined) publishAddress(readyFile, listener.address);
  } catch (error) {
    await listener.shutdown();
    throw error;
  }
  if (registry !== false) {
    const url = baseUrl(config, port);
    // A server on a wildcard address is also reachable at a loopback address.
    const here = scopeOf(config) !== "network reachable";
    const record = makeRecord(
      client.poolDir,
      here ? url : null,
      here ? null : url,
      plain ? "answer" : "lock",
    );
    status = record;
    unregister = register(record);
  }
  return {
    hostname,
    port,
    url: baseUrl(config, port),
    fingerprint: pair?.fingerprint ?? null,
    certificate: datesOf(pair),
    finished: listener.finished,
    shutdown: async () => {
      unregister();
      await listener.shutdown();
    },
  };
}

/** A server whose code is loaded with its first request. */
export function lateServer(
  directory: PoolDirectory,
  options: ServerOptions,
  onBroken?: (error: PlasmiteError) => void,
): LateApp {
  const since = Date.now();
  return new LateApp(async () => {
    const { Server } = await import("./server.ts");
    return new Server(directory, { since, ...options });
  }, onBroken);
}

/** Administers the keys in the files of a directory. */
async function filedAdministration(poolDir: string): Promise<Administration> {
  const { Administration, filedState } = await import("./access/administration.ts");
  return new Administration(poolDir, filedState(poolDir));
}

/** The options of an app that limit requests. */
export function limitsOption(
  {
    allowHosts,
    corsOrigins,
    maxBodyBytes,
    maxBodiesBytes,
    maxTailTimeoutMs,
    maxTailConcurrency,
  }: Limits,
): Omit<Limits, "access"> {
  return {
    allowHosts,
    corsOrigins,
    maxBodyBytes,
    maxBodiesBytes,
    maxTailTimeoutMs,
    maxTailConcurrency,
  };
}
