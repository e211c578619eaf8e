/**
 * The `serve` commands, from options to documents and texts. `cli.ts` passes this module to the
 * command line, which may not import it.
 *
 * @module
 */

import type { Client } from "../lib/client/client.ts";
import { defaultPoolDir } from "../lib/backend/refs.ts";
import type { McpFetch, McpLimits } from "./app.ts";
import { banner } from "./banner.ts";
import { checkJson, checkServe, checkText, exposure, validity } from "./check.ts";
import { resolveServe, type ServeFlags } from "./config.ts";
import { type InitOptions, serveInit } from "./init.ts";
import { initJson, initText } from "./init_report.ts";
import { type Mounts, mountsOf } from "./mounts.ts";
import { startServer } from "./serve.ts";
import { resolveShared, type SharedConfig } from "./shared_config.ts";
import { checkShared, readyLines, sharedWarnings } from "./shared_report.ts";
import { startSharing } from "./sharing.ts";

export { runningServers } from "./registry.ts";

/** What a server needs in addition to its options. */
export interface StartHooks {
  /** Where to write the bound address. */
  readonly readyFile?: string | undefined;
  /** Called when the server had to listen again. */
  readonly onTrouble: (error: unknown) => void;
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
  readonly banner: string;
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
  client: Client,
  flags: ServeFlags,
  hooks: StartHooks,
): Promise<Started> {
  const shared = await resolveShared(flags, client.poolDir);
  const mounts = await mountsOf(flags, client.poolDir);
  const started = shared === null
    ? await startOne(client, flags, { ...hooks, mounts })
    : await startTwo(client, shared, { ...hooks, mounts });
  void started.finished.then(async () => {
    for (const mount of mounts.values()) await mount.close();
  });
  return started;
}

async function startTwo(
  client: Client,
  config: SharedConfig,
  { mcp, ...hooks }: StartHooks,
): Promise<Started> {
  const running = await startSharing(client, config, {
    ...hooks,
    ...(mcp === undefined ? {} : { mcp }),
  });
  const ready = readyLines(client.poolDir, running);
  return {
    url: `http://${running.local}`,
    banner: ready,
    ready,
    warnings: sharedWarnings(running),
    finished: running.finished,
    shutdown: () => running.shutdown(),
  };
}

async function startOne(
  client: Client,
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
    banner: banner(config, {
      url,
      fingerprint,
      dir,
      isDefault: dir === defaultPoolDir(),
      warnings,
    }),
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
): Promise<Report<ReturnType<typeof checkJson>>> {
  const shared = await resolveShared(flags, poolDir);
  await mountsOf(flags, poolDir);
  if (shared !== null) return await checkShared(shared, poolDir);
  const found = await checkServe(await resolveServe(flags));
  return { json: checkJson(found), text: checkText(found) };
}

/**
 * `serve init`.
 *
 * @throws {PlasmiteError} Usage, AlreadyExists, Io
 */
export async function init(options: InitOptions): Promise<Report<ReturnType<typeof initJson>>> {
  const result = await serveInit(options);
  return { json: initJson(result), text: initText(result) };
}
