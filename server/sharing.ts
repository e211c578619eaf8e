/**
 * Two listeners in one process: HTTP for this machine, TLS with access keys for other machines
 * (docs/spec/sharing.md 2.1).
 *
 * @module
 */

import { Administration, heldState } from "./access/administration.ts";
import { keyAuthenticator } from "./access/authenticator.ts";
import { StateFolder } from "./access/folder.ts";
import {
  type Identity,
  prepareIdentity,
  writeLocalAddress,
  writeRemoteBind,
} from "./access/identity.ts";
import { KeyStore } from "./access/keys.ts";
import { AttemptLimit } from "./access/limit.ts";
import { BrowserSessions } from "./access/sessions.ts";
import { OAuth } from "./oauth/oauth.ts";
import { OAuthStore } from "./oauth/store.ts";
import { capped } from "./auth.ts";
import { addressText, isWildcard } from "./config.ts";
import { Listener } from "./listener.ts";
import { makeRecord, register } from "./registry.ts";
import { lateServer, limitsOption, publishAddress, type ServeHooks } from "./serve.ts";
import type { PoolDirectory, ServerOptions } from "./server.ts";
import type { SharedConfig } from "./shared_config.ts";

/** Two running listeners. */
export interface RunningShared {
  /** `IP:PORT` of the local listener. */
  readonly local: string;
  /** `IP:PORT` of the remote listener. */
  readonly remote: string;
  /** Whom others reach, and how they know it. */
  readonly identity: Identity;
  /** The URL for other machines; null if unknown. */
  readonly remoteUrl: string | null;
  /** Resolves when one of the two has stopped. */
  readonly finished: Promise<void>;
  /** Ends streams, finishes appends and stops. */
  shutdown(): Promise<void>;
}

/** What has been opened so far, to be closed in reverse order. */
type Closers = (() => void | Promise<void>)[];

async function closeAll(closers: Closers): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/**
 * Starts both listeners. Nothing is written before both are bound.
 *
 * @throws {PlasmiteError} Busy if another server owns the directory; Permission, Corrupt, Usage, Io
 */
export async function startSharing(
  client: PoolDirectory,
  config: SharedConfig,
  hooks: ServeHooks = {},
): Promise<RunningShared> {
  const folder = StateFolder.make(client.poolDir);
  const lock = await folder.lock();
  const closers: Closers = [() => lock.release()];
  try {
    const keys = KeyStore.load(folder);
    closers.push(() => keys.close());
    const prepared = await prepareIdentity(folder, config);
    return open(client, config, hooks, { folder, keys, prepared, closers });
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

interface Parts {
  readonly folder: StateFolder;
  readonly keys: KeyStore;
  readonly prepared: Awaited<ReturnType<typeof prepareIdentity>>;
  readonly closers: Closers;
}

function open(
  client: PoolDirectory,
  config: SharedConfig,
  hooks: ServeHooks,
  { folder, keys, prepared, closers }: Parts,
): RunningShared {
  const { identity } = prepared;
  const sessions = BrowserSessions.load(folder, keys, identity.fingerprint);
  const limit = new AttemptLimit();
  const oauth = new OAuth({
    origin: identity.sharedAddress,
    fingerprint: identity.fingerprint,
    keys,
    store: OAuthStore.load(folder, keys),
    limit,
  });
  const { readyFile, registry, onTrouble, onBroken, ...options } = hooks;
  let status: unknown = null;
  const listen = (
    where: SharedConfig["local"],
    tls: Identity | null,
    more: ServerOptions,
  ): Listener => {
    const listener = new Listener(
      { ...where, tls, onTrouble, peers: tls !== null },
      (invented) => {
        const all = { ...limitsOption(config), ...options, ...more, ...invented };
        return lateServer(client, all, onBroken);
      },
    );
    closers.push(() => listener.shutdown());
    return listener;
  };
  const administration = new Administration(client.poolDir, heldState({ identity, keys }));
  const local = listen(config.local, null, {
    loopbackOnly: true,
    administration: () => Promise.resolve(administration),
    browser: "local",
    status: () => status,
  });
  const remote = listen(config.remote, identity, {
    authenticator: capped(
      keyAuthenticator(keys, config.token?.value ?? null, sessions, oauth),
      config.access,
    ),
    browser: { sessions, limit },
    oauth,
    administration: "elsewhere",
    loopbackOnly: false,
    // Once names are given only these are answered: the one that clients use is among them.
    allowHosts: config.allowHosts.length === 0 || identity.sharedAddress === null
      ? config.allowHosts
      : [...config.allowHosts, new URL(identity.sharedAddress).hostname],
  });
  prepared.commit();
  writeRemoteBind(folder, addressText(config.remote));
  writeLocalAddress(folder, local.address);
  keys.watchExpiry();
  if (readyFile !== undefined) publishAddress(readyFile, remote.address);
  const remoteUrl = identity.sharedAddress ?? specificUrl(config.remote.hostname, remote);
  if (registry !== false) {
    const record = makeRecord(client.poolDir, `http://${local.address}`, remoteUrl, "answer");
    status = record;
    closers.push(register(record));
  }
  return {
    local: local.address,
    remote: remote.address,
    identity,
    remoteUrl,
    finished: Promise.race([local.finished, remote.finished]),
    shutdown: async () => {
      // The two together: one with a slow reader must not keep the other open.
      await Promise.all([local.shutdown(), remote.shutdown()]);
      await closeAll(closers);
    },
  };
}

/** The address of a listener that is bound to one, for whoever knows no better. */
function specificUrl(hostname: string, listener: Listener): string | null {
  return isWildcard(hostname) ? null : `https://${listener.address}`;
}
