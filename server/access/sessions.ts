/**
 * Browsers signed in with an access key: a cookie replaces the key, survives restarts, and has the
 * same rights for at most as long as the key is valid (docs/spec/sharing.md 4).
 *
 * @module
 */

import { isHex64, newSecret, textHash } from "../../lib/access/key.ts";
import type { Grant } from "../../lib/types.ts";
import { HttpError } from "../errors.ts";
import { cookiesOf } from "../headers.ts";
import { damaged, readJson, type StateFolder } from "./folder.ts";
import { type KeyGrant, type KeyStore, nowSeconds } from "./keys.ts";

const FILE = "browser-sessions.json";
/** How long a session lasts, in seconds; it is not extended. */
const LIFE = 30 * 86_400;
/** The maximum number of active sessions. */
const MOST = 1024;
const COOKIE = "plasmite_session";
const ATTRIBUTES = "Secure; HttpOnly; SameSite=Strict";

/** The cookie that ends a session in the browser. */
export const CLEARED = `${COOKIE}=; Path=/v0; Max-Age=0; ${ATTRIBUTES}`;

/** The session of one browser. */
class Session implements Grant {
  readonly ended: AbortSignal;
  readonly #ending = new AbortController();

  constructor(readonly key: KeyGrant, readonly expiresAt: number) {
    this.ended = AbortSignal.any([key.ended, this.#ending.signal]);
  }

  get subject(): string {
    return this.key.subject;
  }

  get isLive(): boolean {
    if (nowSeconds() >= this.expiresAt) this.end();
    return !this.#ending.signal.aborted && this.key.isLive;
  }

  can(need: Parameters<Grant["can"]>[0], pool?: string): boolean {
    return this.isLive && this.key.can(need, pool);
  }

  end(): void {
    this.#ending.abort();
  }
}

/** The token in a request's cookie; null if it is missing or malformed. */
export function sessionToken(request: Request): string | null {
  return cookiesOf(request, COOKIE).find(isHex64) ?? null;
}

/** The sessions of one server. */
export class BrowserSessions {
  readonly #folder: StateFolder;
  readonly #keys: KeyStore;
  readonly #fingerprint: string;
  /** By the hash of their token. */
  readonly #sessions: Map<string, Session>;

  private constructor(
    folder: StateFolder,
    keys: KeyStore,
    fingerprint: string,
    sessions: Map<string, Session>,
  ) {
    this.#folder = folder;
    this.#keys = keys;
    this.#fingerprint = fingerprint;
    this.#sessions = sessions;
  }

  /**
   * Reads the sessions, except those whose keys are no longer valid.
   *
   * @param fingerprint of the server, which is part of its keys
   * @throws {PlasmiteError} Corrupt, Permission, Io
   */
  static load(folder: StateFolder, keys: KeyStore, fingerprint: string): BrowserSessions {
    const path = `${folder.path}/${FILE}`;
    const value = readJson(folder, FILE) ?? {};
    if (typeof value !== "object" || Array.isArray(value)) throw damaged(path, "it is no object");
    const sessions = new Map<string, Session>();
    for (const [hash, entry] of Object.entries(value)) {
      const { key_id, expires_at } = (entry ?? {}) as { key_id?: unknown; expires_at?: unknown };
      if (!isHex64(hash) || typeof key_id !== "string" || typeof expires_at !== "number") {
        throw damaged(path, "an entry has a wrong form");
      }
      const key = keys.byId(key_id);
      if (key !== null) sessions.set(hash, new Session(key, expires_at));
    }
    return new BrowserSessions(folder, keys, fingerprint, sessions);
  }

  /**
   * Signs a browser in.
   *
   * @returns the cookie
   * @throws {HttpError} 401 for a wrong key, 423 if there are too many sessions
   */
  signIn(accessKey: string): string {
    const key = this.#keys.match(accessKey, this.#fingerprint);
    if (key === null) {
      throw new HttpError(401, "Permission", "invalid access key", {
        hint: "It is mistyped, revoked or expired, or for another server. Ask for a new one.",
      });
    }
    for (const [hash, session] of this.#sessions) {
      if (!session.isLive) this.#sessions.delete(hash);
    }
    if (this.#sessions.size >= MOST) {
      throw new HttpError(423, "Busy", "too many browser sessions", {
        hint: "Log out in another browser, or revoke a key that is not used any more.",
      });
    }
    const token = newSecret();
    const hash = textHash(token);
    this.#sessions.set(hash, new Session(key, nowSeconds() + LIFE));
    try {
      this.#write();
    } catch (error) {
      this.#sessions.delete(hash);
      throw error;
    }
    return `${COOKIE}=${token}; Path=/v0; Max-Age=${LIFE}; ${ATTRIBUTES}`;
  }

  /** What the browser with this token may do; null if its session has ended. */
  find(token: string): Grant | null {
    const session = this.#sessions.get(textHash(token));
    if (session === undefined || !session.isLive) return null;
    session.key.use();
    return session;
  }

  /**
   * Signs a browser out and ends its streams.
   *
   * @throws {PlasmiteError} Io
   */
  signOut(token: string): void {
    const hash = textHash(token);
    const session = this.#sessions.get(hash);
    if (session === undefined) return;
    this.#sessions.delete(hash);
    session.end();
    this.#write();
  }

  #write(): void {
    const entries: { [hash: string]: object } = {};
    for (const [hash, { key, expiresAt }] of this.#sessions) {
      entries[hash] = { key_id: key.id, expires_at: expiresAt };
    }
    this.#folder.write(FILE, JSON.stringify(entries));
  }
}
