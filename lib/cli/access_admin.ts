/**
 * The owner's side of access keys: `access invite`, `keys` and `revoke` reach the server that runs
 * on the directory, or change its files where none does (docs/spec/sharing.md 1.3, 1.7).
 *
 * @module
 */

import { RemoteError } from "../backend/http/error.ts";
import { type JsonFields, Transport } from "../backend/http/transport.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { token } from "./words.ts";

/** What these commands need of `server/access/administration.ts`, which `lib/cli` may not import. */
export interface AdministrationModule {
  /** Changes the files of a directory, under its lock. */
  administration(poolDir: string): Administration;
  /** What the state folder says of its server. */
  localServer(poolDir: string): Promise<LocalServer>;
}

interface LocalServer {
  readonly local: string | null;
  readonly fingerprint: string | null;
  readonly sharedAddress: string | null;
}

/** A key that is asked for; what is left out does not limit it. */
export interface Invitation {
  readonly name: string;
  readonly pools?: readonly string[];
  readonly rights?: string;
  readonly expires?: string;
}

/** A key that was made; the limits are absent for a full one. */
export interface Invited {
  readonly access_key: string;
  readonly pools?: readonly string[];
  readonly rights?: string;
  readonly expires_at?: number | null;
}

/** A key in a list; the last three are absent for a full one. */
export interface ListedKey {
  readonly id: string;
  readonly name: string;
  readonly revoked: boolean;
  readonly created_at: number | null;
  readonly last_used_at: number | null;
  readonly pools?: readonly string[] | null;
  readonly rights?: string | null;
  readonly expires_at?: number | null;
}

/** Administers keys, on a server or in files. */
export interface Administration {
  invite(invitation: Invitation): Promise<Invited>;
  keys(): Promise<{ readonly keys: readonly ListedKey[] }>;
  revoke(id: string): Promise<{ readonly id: string; readonly revoked: true }>;
}

/** What a command does its work with. */
export interface Administered extends Disposable {
  readonly administration: Administration;
  /** The origin that clients use; null when it is not known. */
  readonly sharedAddress: string | null;
}

/**
 * The administration of the directory of a command line.
 *
 * @throws {PlasmiteError} Io when the directory was never shared; Permission, Corrupt
 */
export async function administer(
  context: CommandContext,
  module: AdministrationModule,
): Promise<Administered> {
  const { dir } = context;
  const { local, fingerprint, sharedAddress } = await module.localServer(dir);
  if (fingerprint === null) throw notShared(context);
  const server = local === null ? null : await runningServer(local, dir, fingerprint);
  if (server instanceof RunningServer) {
    return { administration: server, sharedAddress, [Symbol.dispose]: () => server.close() };
  }
  const files = module.administration(dir);
  const administration = server === "another" ? behindAnother(files) : files;
  return { administration, sharedAddress, [Symbol.dispose]: () => {} };
}

function notShared(context: CommandContext): PlasmiteError {
  const { dirGiven } = context;
  const dir = dirGiven === undefined ? "" : ` --dir ${token(dirGiven)}`;
  return new PlasmiteError("Io", "this pool directory is not shared yet", {
    path: context.dir,
    hint:
      `Start sharing first: \`plasmite${dir} serve https://HOST:9743\`, with the name by which ` +
      "others reach this machine.",
  });
}

/**
 * The server at an address of `local.json`: null when nobody answers, `another` when it is not that
 * of the directory, for a port may be used again and a folder copied.
 */
async function runningServer(
  local: string,
  dir: string,
  fingerprint: string,
): Promise<RunningServer | "another" | null> {
  if (!/^(?:127\.\d+\.\d+\.\d+|\[::1\]):\d{1,5}$/.test(local)) return "another";
  const server = new RunningServer(`http://${local}`, fingerprint);
  try {
    if (await server.owns(dir)) return server;
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    if (error.status === 0) {
      server.close();
      return null;
    }
  }
  server.close();
  return "another";
}

/** The files, where the lock is held by a server that does not answer at its address. */
function behindAnother(files: Administration): Administration {
  const explained = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Busy)) throw error;
      throw new PlasmiteError(
        "Permission",
        "local server does not own the selected pool directory",
        {
          path: error.path,
          hint: "Stop it, or restart the server of this directory.",
          cause: error,
        },
      );
    }
  };
  return {
    invite: (invitation) => explained(files.invite(invitation)),
    keys: () => files.keys(),
    revoke: (id) => explained(files.revoke(id)),
  };
}

/** The server that runs on a directory, by its loopback listener. */
class RunningServer implements Administration {
  readonly #transport: Transport;
  readonly #fingerprint: string;

  constructor(url: string, fingerprint: string) {
    this.#transport = new Transport(url);
    this.#fingerprint = fingerprint;
  }

  /** Whether it is the one of the directory: the same path and the same key. */
  async owns(dir: string): Promise<boolean> {
    const status = await this.#transport.json("/v0/access/status");
    const mine = [...new TextEncoder().encode(canonical(dir))];
    const { pool_dir_identity: theirs, server_fingerprint: fingerprint } = status;
    return fingerprint === this.#fingerprint && Array.isArray(theirs) &&
      theirs.length === mine.length && theirs.every((byte, i) => Number(byte) === mine[i]);
  }

  async invite(invitation: Invitation): Promise<Invited> {
    const { access_key, pools, rights, expires_at } = await this.#post("invite", { ...invitation });
    if (typeof access_key !== "string") throw unexpected();
    const isLimited = Object.keys(invitation).length > 1;
    if (!isLimited) return { access_key };
    if (typeof rights === "string" && Array.isArray(pools)) {
      return {
        access_key,
        pools: pools.map(String),
        rights,
        expires_at: expires_at === null ? null : Number(expires_at),
      };
    }
    // A server of 1.x does not know of limits: what it has made opens everything.
    await this.#withdraw(access_key);
    throw new PlasmiteError("Usage", "the running server cannot limit access keys", {
      hint: "It made a key without limits, which is revoked again. Restart the server with this " +
        "program, or leave out --pools, --rights and --expires.",
    });
  }

  async #withdraw(accessKey: string): Promise<void> {
    const { keyIdOf, parseAccessKey, verifierOf } = await import("../access/key.ts");
    await this.revoke(keyIdOf(verifierOf(parseAccessKey(accessKey).secret)));
  }

  async keys(): Promise<{ readonly keys: readonly ListedKey[] }> {
    const { keys } = await this.#transport.json("/v0/access/keys", {
      headers: { "x-plasmite-server-fingerprint": this.#fingerprint },
    });
    if (!Array.isArray(keys)) throw unexpected();
    return { keys: keys.map(listedKey) };
  }

  async revoke(id: string): Promise<{ readonly id: string; readonly revoked: true }> {
    await this.#post("revoke", { id });
    return { id, revoked: true };
  }

  #post(action: "invite" | "revoke", fields: object): Promise<JsonFields> {
    return this.#transport.json(`/v0/access/${action}`, {
      method: "POST",
      type: "application/json",
      body: JSON.stringify({ ...fields, server_fingerprint: this.#fingerprint }),
    });
  }

  close(): void {
    this.#transport.release();
  }
}

function canonical(dir: string): string {
  try {
    return Deno.realPathSync(dir);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return dir;
    throw error;
  }
}

function unexpected(): PlasmiteError {
  return new PlasmiteError("Internal", "unexpected answer of the server");
}

function listedKey(value: unknown): ListedKey {
  if (typeof value !== "object" || value === null) throw unexpected();
  const { id, name, revoked, created_at, last_used_at, pools, rights, expires_at } = value as {
    readonly [key: string]: unknown;
  };
  if (typeof id !== "string" || typeof name !== "string") throw unexpected();
  const seconds = (given: unknown): number | null =>
    typeof given === "number" || typeof given === "bigint" ? Number(given) : null;
  return {
    id,
    name,
    revoked: revoked === true,
    created_at: seconds(created_at),
    last_used_at: seconds(last_used_at),
    ...(typeof rights === "string" && Array.isArray(pools)
      ? { pools: pools.map(String), rights, expires_at: seconds(expires_at) }
      : {}),
  };
}
