/**
 * The `serve` commands, from options to documents and texts. `cli.ts` passes this module to the
 * command line, which may not import it.
 *
 * @module
 */

import { defaultPoolDir } from "../lib/backend/refs.ts";
import type { PlasmiteError } from "../lib/errors.ts";
import { isThere } from "../lib/storage/temporary.ts";
import { STATE_FOLDER } from "./access/folder.ts";
import type { McpFetch, McpLimits } from "./app.ts";
import type { CheckJson } from "./check.ts";
import { resolveServe, type ServeFlags } from "./config.ts";
import type { InitOptions } from "./init.ts";
import type { initJson } from "./init_report.ts";
import type { Mounts } from "./mounts.ts";
import { startServer } from "./serve.ts";
import type { PoolDirectory } from "./server.ts";
import type { SharedConfig } from "./shared_config.ts";
import { exposure, validity } from "./warnings.ts";

export { runningServers } from "./registry.ts";

/** What a server needs in addition to its options. */
export interface StartHooks {
  /** Where to write the bound address. */
  readonly readyFile?: string | undefined;
  /** Called when the server had to listen again. */
  readonly onTrouble: (error: unknown) => void;
  /** Called when the code of the server cannot be loaded, once at least; it has to end. */
  readonly onBroken: (error: PlasmiteError) => void;
  /** Called for failures that are bugs. */
  readonly onFault: (error: unknown) => void;
  /** Further streams to serve. */
  readonly mounts?: Mounts;
  /** Loads the Model Context Protocol at the first request. */
  readonly mcp?: ((limits: McpLimits) => Promise<McpFetch>) | undefined;
}

/** A running server. */
export interface Started {
  /** Its address. */
  readonly url: string;
  /** What a terminal shows. */
  readonly banner: () => Promise<string>;
  /** What is shown with and without a terminal; null for just the address. */
  readonly ready: string | null;
  /** Warnings about what others could do. */
  readonly warnings: readonly string[];
  /** Resolves when it has stopped. */
  readonly finished: Promise<void>;
  /** Stops it, within half a second. */
  shutdown(): Promise<void>;
}

/**
 * `serve`.
 *
 * @throws {PlasmiteError} Usage, Io
 */
export async function start(
  client: PoolDirectory,
  flags: ServeFlags,
  hooks: StartHooks,
): Promise<Started> {
  const shared = await sharedConfig(flags, client.poolDir);
  const mounts = await mountsOf(flags, client.poolDir);
  const started = shared === null
    ? await startOne(client, flags, { ...hooks, mounts })
    : await startTwo(client, shared, { ...hooks, mounts });
  void started.finished.then(async () => {
    for (const mount of mounts.values()) await mount.close();
  });
  return started;
}

/** The configuration of two listeners, if the options or an earlier start ask for them. */
async function sharedConfig(flags: ServeFlags, poolDir: string): Promise<SharedConfig | null> {
  const { server, sharedAddress, remoteBind, frontCert } = flags;
  const asked = [server, sharedAddress, remoteBind, frontCert].some((one) => one !== undefined);
  if (!asked && !isThere(`${poolDir}/${STATE_FOLDER}`)) return null;
  return await (await import("./shared_config.ts")).resolveShared(flags, poolDir);
}

/** The streams to serve besides. */
async function mountsOf(flags: ServeFlags, poolDir: string): Promise<Mounts> {
  if ((flags.mounts ?? []).length === 0) return new Map();
  return await (await import("./mounts.ts")).mountsOf(flags, poolDir);
}

async function startTwo(
  client: PoolDirectory,
  config: SharedConfig,
  { mcp, ...hooks }: StartHooks,
): Promise<Started> {
  const { startSharing } = await import("./sharing.ts");
  const { readyLines, sharedWarnings } = await import("./shared_report.ts");
  const running = await startSharing(client, config, {
    ...hooks,
    ...(mcp === undefined ? {} : { mcp }),
  });
  const ready = readyLines(client.poolDir, running);
  return {
    url: `http://${running.local}`,
    banner: () => Promise.resolve(ready),
    ready,
    warnings: sharedWarnings(running),
    finished: running.finished,
    shutdown: () => running.shutdown(),
  };
}

async function startOne(
  client: PoolDirectory,
  flags: ServeFlags,
  { mcp, ...hooks }: StartHooks,
): Promise<Started> {
  const config = await resolveServe(flags);
  const running = await startServer(client, config, {
    ...hooks,
    ...(mcp === undefined ? {} : { mcp }),
  });
  const { url, fingerprint, certificate } = running;
  const warnings = [...(certificate === null ? [] : validity(certificate)), ...exposure(config)];
  const { poolDir: dir } = client;
  return {
    url,
    banner: async () => {
      const { banner } = await import("./banner.ts");
      const isDefault = dir === defaultPoolDir();
      return banner(config, { url, fingerprint, dir, isDefault, warnings });
    },
    ready: null,
    warnings,
    finished: running.finished,
    shutdown: () => running.shutdown(),
  };
}

/** A result as a document and as text. */
export interface Report<T> {
  /** For programs. */
  readonly json: T;
  /** For people. */
  readonly text: string;
}

/**
 * `serve check`.
 *
 * @throws {PlasmiteError} Usage, Io
 */
export async function check(
  flags: ServeFlags,
  poolDir: string,
): Promise<Report<{ readonly check: CheckJson }>> {
  const { checkJson, checkServe, checkText } = await import("./check.ts");
  const shared = await sharedConfig(flags, poolDir);
  await mountsOf(flags, poolDir);
  if (shared !== null) {
    return await (await import("./shared_report.ts")).checkShared(shared, poolDir);
  }
  const found = await checkServe(await resolveServe(flags));
  return { json: checkJson(found), text: checkText(found) };
}

/**
 * `serve init`.
 *
 * @throws {PlasmiteError} Usage, AlreadyExists, Io
 */
export async function init(options: InitOptions): Promise<Report<ReturnType<typeof initJson>>> {
  const { serveInit } = await import("./init.ts");
  const { initJson, initText } = await import("./init_report.ts");
  const result = await serveInit(options);
  return { json: initJson(result), text: initText(result) };
}
