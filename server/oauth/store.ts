/**
 * OAuth clients with their codes and tokens: `oauth.json` in the state folder, in the format of 1.x
 * (docs/spec/sharing.md 5).
 *
 * The state is replaced atomically, and takes effect once written.
 *
 * @module
 */

import { newSecret, textHash } from "../../lib/access/key.ts";
import type { Grant } from "../../lib/types.ts";
import type { StateFolder } from "../access/folder.ts";
import { type KeyGrant, type KeyStore, nowSeconds } from "../access/keys.ts";
import { OAuthError, tooMany } from "./error.ts";
import {
  type CodeEntry,
  EMPTY,
  FILE,
  fileText,
  type GrantEntry,
  type OAuthClient,
  type OAuthState,
  readState,
} from "./state.ts";
import type { Registration } from "./parameters.ts";
import type { Wanted } from "./pending.ts";

/** How long a client may wait for approval, in seconds. */
const UNAPPROVED_LIFE = 600;
/** The maximum number of clients. */
const MOST_CLIENTS = 1024;
/** The maximum file size, in bytes: long registrations must not make it unreadable. */
const LARGEST_FILE = 8 << 20;
/** The lifetime of a code, in seconds. */
const CODE_LIFE = 600;
/** The lifetime of an access token, in seconds. */
export const TOKEN_LIFE = 900;

/** What a client may currently do: the same as the key that approved it. */
class LiveGrant implements Grant {
  readonly ended: AbortSignal;
  readonly #ending = new AbortController();

  constructor(readonly key: KeyGrant) {
    this.ended = AbortSignal.any([key.ended, this.#ending.signal]);
  }

  get subject(): string {
    return this.key.subject;
  }

  can(need: Parameters<Grant["can"]>[0], pool?: string): boolean {
    return !this.#ending.signal.aborted && this.key.can(need, pool);
  }

  end(): void {
    this.#ending.abort();
  }
}

/** A pair of tokens; never shown again. */
export interface Tokens {
  readonly access: string;
  readonly refresh: string;
}

function invalidGrant(): OAuthError {
  return new OAuthError(400, "invalid_grant");
}

/** The grant id in a refresh token; null if it is malformed. */
function grantIdOf(refresh: string): string | null {
  return /^rt1\.([0-9a-z]{1,128})\.[0-9a-f]{64}$/.exec(refresh)?.[1] ?? null;
}

/** The clients of one server. */
export class OAuthStore {
  readonly #folder: StateFolder;
  readonly #keys: KeyStore;
  readonly #live = new Map<string, LiveGrant>();
  readonly #watched = new Set<string>();
  #state: OAuthState = EMPTY;

  private constructor(folder: StateFolder, keys: KeyStore) {
    this.#folder = folder;
    this.#keys = keys;
  }

  /**
   * Reads the clients, without anything that belongs to keys that are no longer valid.
   *
   * @throws {PlasmiteError} Corrupt, Permission, Io
   */
  static load(folder: StateFolder, keys: KeyStore): OAuthStore {
    const store = new OAuthStore(folder, keys);
    store.#state = store.#current(readState(folder));
    store.#enliven();
    return store;
  }

  /** A copy of the state without expired entries. */
  #current(state: OAuthState): OAuthState {
    const now = nowSeconds();
    const isLive = ({ key_id }: { readonly key_id: string }): boolean =>
      this.#keys.byId(key_id) !== null;
    const grants = state.grants.filter(isLive);
    const ids = new Set(grants.map(({ id }) => id));
    return {
      clients: state.clients.filter(({ expires_at }) => expires_at === null || expires_at > now),
      codes: state.codes.filter((code) => code.expires_at > now && isLive(code)),
      grants,
      access_tokens: state.access_tokens.filter(({ grant_id, expires_at }) =>
        expires_at > now && ids.has(grant_id)
      ),
    };
  }

  /** Writes a state, then puts it into effect. Grants that it no longer contains end. */
  #commit(state: OAuthState): void {
    const next = this.#current(state);
    this.#folder.write(FILE, fileText(next));
    this.#state = next;
    this.#enliven();
  }

  /** Activates new grants and ends removed ones. */
  #enliven(): void {
    const ids = new Set(this.#state.grants.map(({ id }) => id));
    for (const [id, live] of this.#live) {
      if (ids.has(id)) continue;
      this.#live.delete(id);
      live.end();
    }
    for (const { id, key_id } of this.#state.grants) {
      const key = this.#keys.byId(key_id);
      if (key !== null && !this.#live.has(id)) this.#live.set(id, new LiveGrant(key));
    }
    for (const { key_id } of [...this.#state.grants, ...this.#state.codes]) this.#watch(key_id);
  }

  /** Removes everything that belongs to a key when the key ends. */
  #watch(keyId: string): void {
    const key = this.#keys.byId(keyId);
    if (key === null || this.#watched.has(keyId)) return;
    this.#watched.add(keyId);
    key.ended.addEventListener("abort", () => {
      this.#watched.delete(keyId);
      try {
        this.#commit(this.#state);
      } catch {
        // For example, the disk is full. Each use checks the key, and so does the next start.
      }
    }, { once: true });
  }

  /** A client, if it is known and has not expired. */
  client(id: string): OAuthClient | null {
    const now = nowSeconds();
    const found = this.#state.clients.find((client) => client.id === id);
    if (found === undefined) return null;
    return found.expires_at === null || found.expires_at > now ? found : null;
  }

  /**
   * Adds a client that is not approved yet.
   *
   * @throws {OAuthError} 429 if there are too many
   */
  register({ name, redirectUris }: Registration): OAuthClient {
    const client: OAuthClient = {
      id: newSecret(),
      name,
      redirect_uris: redirectUris,
      expires_at: nowSeconds() + UNAPPROVED_LIFE,
      key_id: null,
    };
    const clients = this.#current(this.#state).clients;
    const kept = clients.length < MOST_CLIENTS ? clients : this.#withoutIdle(clients);
    const next = { ...this.#state, clients: [...kept, client] };
    if (kept.length >= MOST_CLIENTS || fileText(next).length > LARGEST_FILE) throw tooMany(600);
    this.#commit(next);
    return client;
  }

  /** The clients without the oldest approved one that no longer has codes or tokens. */
  #withoutIdle(clients: readonly OAuthClient[]): readonly OAuthClient[] {
    const { grants, codes } = this.#state;
    const busy = new Set([...grants, ...codes].map(({ client_id }) => client_id));
    const idle = clients.find(({ id, expires_at }) => expires_at === null && !busy.has(id));
    return clients.filter((client) => client !== idle);
  }

  /** Approves a client with a key; returns the code for its callback. */
  approve({ clientId, redirectUri, challenge, resource }: Wanted, key: KeyGrant): string {
    const code = newSecret();
    const entry: CodeEntry = {
      hash: textHash(code),
      client_id: clientId,
      redirect_uri: redirectUri,
      challenge,
      resource,
      key_id: key.id,
      expires_at: nowSeconds() + CODE_LIFE,
    };
    this.#commit({
      ...this.#state,
      clients: this.#state.clients.map((client) =>
        client.id === clientId ? { ...client, expires_at: null, key_id: key.id } : client
      ),
      codes: [...this.#state.codes, entry],
    });
    return code;
  }

  /** Takes a code; it cannot be used again, whatever the outcome. */
  takeCode(code: string): CodeEntry | null {
    const hash = textHash(code);
    const entry = this.#state.codes.find((one) => one.hash === hash);
    if (entry === undefined) return null;
    this.#commit({ ...this.#state, codes: this.#state.codes.filter((one) => one !== entry) });
    const good = entry.expires_at > nowSeconds() && this.#keys.byId(entry.key_id) !== null;
    return good ? entry : null;
  }

  /** Exchanges a code for a grant, which replaces the client's previous one. */
  grant({ client_id, resource, key_id }: CodeEntry): Tokens {
    return this.#issue({ id: newSecret(), client_id, resource, key_id });
  }

  /**
   * Exchanges a refresh token, which becomes invalid, for new tokens.
   *
   * @throws {OAuthError} invalid_grant; a used or forged token ends the grant
   */
  refresh(token: string, clientId: string, resource: string): Tokens {
    const id = grantIdOf(token);
    const grant = this.#state.grants.find((one) => one.id === id);
    if (grant === undefined || grant.client_id !== clientId) throw invalidGrant();
    if (grant.refresh_hash !== textHash(token)) {
      this.#end(grant.id);
      throw invalidGrant();
    }
    if (grant.resource !== resource || !this.#live.has(grant.id)) throw invalidGrant();
    if (this.#keys.byId(grant.key_id) === null) throw invalidGrant();
    return this.#issue(grant);
  }

  #issue(grant: Omit<GrantEntry, "refresh_hash">): Tokens {
    const access = newSecret();
    const refresh = `rt1.${grant.id}.${newSecret()}`;
    const entry: GrantEntry = { ...grant, refresh_hash: textHash(refresh) };
    const { grants, access_tokens } = this.#state;
    const gone = grants.filter(({ client_id }) => client_id === grant.client_id)
      .map(({ id }) => id);
    this.#commit({
      ...this.#state,
      grants: [...grants.filter(({ id }) => !gone.includes(id)), entry],
      access_tokens: [
        ...access_tokens.filter(({ grant_id }) => !gone.includes(grant_id)),
        { hash: textHash(access), grant_id: grant.id, expires_at: nowSeconds() + TOKEN_LIFE },
      ],
    });
    return { access, refresh };
  }

  /** Ends the grant of a client's access or refresh token; ignores tokens of others. */
  revoke(token: string, clientId: string): void {
    const hash = textHash(token);
    const { grants, access_tokens } = this.#state;
    const id = access_tokens.find((one) => one.hash === hash)?.grant_id ??
      grants.find(({ refresh_hash }) => refresh_hash === hash)?.id;
    if (grants.some((one) => one.id === id && one.client_id === clientId)) this.#end(id);
  }

  #end(id: string | undefined): void {
    this.#commit({ ...this.#state, grants: this.#state.grants.filter((one) => one.id !== id) });
  }

  /**
   * What the holder of an access token may do; null if the token is invalid or expired.
   *
   * @param resource the resource that it must be for
   */
  find(token: string, resource: string): Grant | null {
    const hash = textHash(token);
    const { access_tokens, grants } = this.#state;
    const entry = access_tokens.find((one) => one.hash === hash);
    if (entry === undefined || entry.expires_at <= nowSeconds()) return null;
    const grant = grants.find(({ id }) => id === entry.grant_id);
    const live = this.#live.get(entry.grant_id);
    if (grant === undefined || live === undefined || grant.resource !== resource) return null;
    const key = this.#keys.byId(grant.key_id);
    if (key === null) return null;
    key.use();
    return live;
  }
}
