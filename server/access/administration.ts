/**
 * Access key administration by the owner of a pool directory: status, invite, list, revoke
 * (docs/spec/sharing.md 1.3).
 *
 * @module
 */

import { formatAccessKey, newSecret, verifierOf } from "../../lib/access/key.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { HttpError } from "../errors.ts";
import { type MachineAddress, machineAddresses } from "./addresses.ts";
import { StateFolder } from "./folder.ts";
import { type Identity, readIdentity, readLocalAddress } from "./identity.ts";
import { checkedName, KeyStore, type ListedKey } from "./keys.ts";
import { checkedPatterns, expiryOf, isFull, isRights, type Restriction, RIGHTS } from "./rights.ts";

/** A request for a key. */
export interface Invitation {
  /** Who it is for. */
  readonly name: string;
  /** Pool name patterns; default all pools. */
  readonly pools?: readonly string[] | undefined;
  /** `read`, `append`, `read-append` or `admin`; default `admin`. */
  readonly rights?: string | undefined;
  /** How long it is valid, such as `30d`; by default it never expires. */
  readonly expires?: string | undefined;
}

/**
 * A new key; it is never shown again. The limits are absent if none were requested, or if the
 * server does not support limits.
 */
export interface Invited {
  readonly access_key: string;
  readonly pools?: readonly string[];
  readonly rights?: string;
  readonly expires_at?: number | null;
}

/** The response of `GET /v0/access/status`. */
export interface AccessStatus {
  readonly addresses: readonly MachineAddress[];
  readonly next_action: string | null;
  readonly pool_dir: string;
  /** The bytes of the canonical path. */
  readonly pool_dir_identity: readonly number[];
  /** Whether there is an address to share. */
  readonly ready: boolean;
  readonly server_fingerprint?: string;
  readonly shared_address?: string | null;
}

/** The keys of a directory and the identity of its server. */
export interface AccessState {
  readonly identity: Identity;
  readonly keys: KeyStore;
}

/** Access to the state. */
export interface StateSource {
  /** The current state; null before the first start with two listeners. */
  read(): Promise<AccessState | null>;
  /** Changes the state exclusively; null as above. */
  change<T>(work: (state: AccessState) => T): Promise<T | null>;
}

/** The state of a server that owns the directory. */
export function heldState(state: AccessState): StateSource {
  return {
    read: () => Promise.resolve(state),
    change: (work) => Promise.resolve().then(() => work(state)),
  };
}

async function load(folder: StateFolder): Promise<AccessState | null> {
  const identity = await readIdentity(folder);
  return identity === null ? null : { identity, keys: KeyStore.load(folder) };
}

/** The state of a directory without a server: its lock is held only during a change. */
export function filedState(poolDir: string): StateSource {
  return {
    read: async () => {
      const folder = StateFolder.find(poolDir);
      return folder === null ? null : await load(folder);
    },
    change: async (work) => {
      const folder = StateFolder.find(poolDir);
      if (folder === null) return null;
      const lock = await folder.lock();
      try {
        const state = await load(folder);
        return state === null ? null : work(state);
      } finally {
        lock.release();
      }
    },
  };
}

const START = "plasmite serve https://HOST:9743";

function notShared(): HttpError {
  return new HttpError(400, "Usage", "this pool directory is not shared yet", {
    hint: `Start sharing first: \`${START}\`, with the name by which others reach this machine.`,
  });
}

/**
 * The limits of an invitation; null if none were requested.
 *
 * @throws {PlasmiteError} Usage
 */
function limitsOf(invitation: Invitation): Restriction | null {
  const { pools, rights = "admin", expires } = invitation;
  const asked = [pools, invitation.rights, expires];
  if (asked.every((one) => one === undefined)) return null;
  if (!isRights(rights)) {
    throw new PlasmiteError("Usage", `invalid rights ${JSON.stringify(rights)}`, {
      hint: `Use one of ${Object.keys(RIGHTS).join(", ")}.`,
    });
  }
  return {
    pools: pools === undefined ? ["*"] : checkedPatterns(pools),
    rights,
    expiresAt: expires === undefined ? null : expiryOf(expires, Math.ceil(Date.now() / 1000)),
  };
}

/** Administers the access keys of one pool directory. */
export class Administration {
  readonly #poolDir: string;
  readonly #source: StateSource;

  /** @param poolDir the directory as given by the user */
  constructor(poolDir: string, source: StateSource) {
    this.#poolDir = poolDir;
    this.#source = source;
  }

  /** Whether the directory is shared, and under which address and identity. */
  async status(): Promise<AccessStatus> {
    const identity = (await this.#source.read())?.identity;
    const ready = identity !== undefined && identity.sharedAddress !== null;
    return {
      addresses: machineAddresses(),
      next_action: ready ? null : `Start sharing with an address that others can use: ${START}`,
      pool_dir: this.#poolDir,
      pool_dir_identity: [...new TextEncoder().encode(canonical(this.#poolDir))],
      ready,
      ...identity === undefined ? {} : {
        server_fingerprint: identity.fingerprint,
        shared_address: identity.sharedAddress,
      },
    };
  }

  /**
   * Creates a key.
   *
   * @param fingerprint of the intended server; undefined for any
   * @throws {PlasmiteError} Usage, Permission for another server, Busy, Corrupt, Io
   */
  async invite(invitation: Invitation, fingerprint?: string | null): Promise<Invited> {
    return await this.#change<Invited>(fingerprint, ({ identity, keys }) => {
      const name = checkedName(invitation.name);
      const limits = limitsOf(invitation);
      // A key without effective limits is a full key, which 1.x can read.
      const restriction = limits === null || isFull(limits) ? null : limits;
      const secret = newSecret();
      keys.add({ name, verifier: verifierOf(secret), restriction });
      const access_key = formatAccessKey({ spki: identity.fingerprint, secret });
      if (limits === null) return { access_key };
      const { pools, rights, expiresAt } = limits;
      return { access_key, pools, rights, expires_at: expiresAt };
    });
  }

  /** All keys, including revoked ones. */
  async keys(fingerprint?: string | null): Promise<{ readonly keys: readonly ListedKey[] }> {
    const state = await this.#source.read();
    if (state === null) {
      if (fingerprint === undefined) return { keys: [] };
      throw notOwner();
    }
    checkOwner(state, fingerprint);
    return { keys: state.keys.list() };
  }

  /**
   * Revokes a key and ends its open streams.
   *
   * @throws {PlasmiteError} NotFound, Usage, Permission for another server, Busy, Corrupt, Io
   */
  async revoke(
    id: string,
    fingerprint?: string | null,
  ): Promise<{ readonly id: string; readonly revoked: true }> {
    return await this.#change<{ readonly id: string; readonly revoked: true }>(
      fingerprint,
      ({ keys }) => {
        keys.revoke(id);
        return { id, revoked: true };
      },
    );
  }

  async #change<T extends object>(
    fingerprint: string | null | undefined,
    work: (state: AccessState) => T,
  ): Promise<T> {
    const done = await this.#source.change((state) => {
      checkOwner(state, fingerprint);
      return work(state);
    });
    if (done === null) throw notShared();
    return done;
  }
}

function canonical(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return path; // Created with the first pool.
    throw error;
  }
}

function notOwner(): HttpError {
  return new HttpError(
    401,
    "Permission",
    "local server does not own the selected pool directory",
    { hint: "Another server has taken its address. Start one for this directory." },
  );
}

function checkOwner({ identity }: AccessState, fingerprint: string | null | undefined): void {
  if (fingerprint !== undefined && fingerprint !== identity.fingerprint) throw notOwner();
}

/** Administers a directory without a server, for the command line. */
export function administration(poolDir: string): Administration {
  return new Administration(poolDir, filedState(poolDir));
}

/** Where the server of a directory is, according to its state folder. */
export interface LocalServer {
  /** `IP:PORT` of its loopback listener, as of its last start; null if unknown. */
  readonly local: string | null;
  /** SHA-256 of its public key; null before the first start with two listeners. */
  readonly fingerprint: string | null;
  /** The origin that clients use. */
  readonly sharedAddress: string | null;
}

/**
 * Reads where the server is from the state folder of a directory.
 *
 * @throws {PlasmiteError} Permission, Corrupt, Io
 */
export async function localServer(poolDir: string): Promise<LocalServer> {
  const folder = StateFolder.find(poolDir);
  const identity = folder === null ? null : await readIdentity(folder);
  return {
    local: folder === null ? null : readLocalAddress(folder),
    fingerprint: identity?.fingerprint ?? null,
    sharedAddress: identity?.sharedAddress ?? null,
  };
}
